//! `sluice controller`: runs the controller until it is told to stop.

use std::{io::IsTerminal, net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use clap::Args;
use kube::{Client, Config, client::ClientBuilder};

use crate::{
    controller::{
        self, Context, Settings,
        clock::{Clock, SystemClock},
        lease::{Candidate, LeaseFence},
    },
    notify::clicks::{self, Bench},
    server::{self, actions::Actions, calls::CountCalls, health::Health, metrics::Metrics},
};

/// Flags of `sluice controller`.
#[derive(Args, Debug)]
pub struct Flags {
    /// Serve only this namespace (default: all)
    #[arg(long, env = "SLUICE_NAMESPACE")]
    namespace: Option<String>,
    /// Serve only Rollouts with this label sluice.dev/instance (default: those without one)
    #[arg(long, env = "SLUICE_INSTANCE", default_value = "")]
    instance: String,
    /// Address of Prometheus for metrics that name none, such as <http://prometheus.monitoring:9090>
    #[arg(long, env = "SLUICE_PROMETHEUS_URL")]
    prometheus_url: Option<String>,
    /// Address of /healthz, /readyz and /metrics
    #[arg(long, default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// Run without leader election: only where no second controller can ever run
    #[arg(long)]
    no_leader_election: bool,
    /// Namespace of the Lease (default: that of the pod, else the kubeconfig's)
    #[arg(long, env = "SLUICE_LEASE_NAMESPACE")]
    lease_namespace: Option<String>,
    /// Name of this process in the Lease (default: the host name and a number)
    #[arg(long, env = "SLUICE_IDENTITY")]
    identity: Option<String>,
    /// What to log, such as info, debug or `sluice::controller=debug`
    #[arg(long, env = "SLUICE_LOG", default_value = "info")]
    log_level: String,
    /// How to log: json or text
    #[arg(long, default_value = "json")]
    log_format: LogFormat,
}

/// How to log.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text for a terminal.
    Text,
}

/// Libraries that carry requests. Below `info` they would log hosts and headers, which may be from
/// Secrets.
const CARRIERS: [&str; 5] = ["hyper", "hyper_util", "h2", "reqwest", "rustls"];

/// Runs the controller until SIGTERM or SIGINT.
///
/// # Errors
/// If it cannot start, or must not go on because it lost the lease.
pub async fn run(flags: Flags) -> anyhow::Result<()> {
    start_log(&flags)?;
    let config = Config::infer()
        .await
        .context("no access to a cluster: neither in a pod nor by kubeconfig")?;
    let lease_namespace =
        flags.lease_namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let metrics = Arc::new(Metrics::default());
    let health = Arc::new(Health::default());
    let client = client(config, &metrics)?;
    let candidate = (!flags.no_leader_election).then(|| Candidate {
        client: client.clone(),
        namespace: lease_namespace.clone(),
        name: lease_name(&flags),
        identity: flags.identity.clone().unwrap_or_else(identity),
    });
    let fence = Arc::new(if candidate.is_some() {
        LeaseFence::default()
    } else {
        LeaseFence::always_open()
    });
    let settings = Settings {
        namespace: flags.namespace,
        instance: flags.instance,
        prometheus_url: flags.prometheus_url,
        own_namespace: Some(lease_namespace),
    };
    let context = Context::new(client, Box::new(SystemClock), fence, metrics.clone(), settings);
    let context = Arc::new(context);
    let (desk, clicked) = clicks::desk(context.notifier.clone());
    let actions = Actions { desk, now: Arc::new(|| SystemClock.now()) };
    let serve = server::serve(flags.listen, health.clone(), metrics, actions);
    let bench = Bench {
        client: context.client.clone(),
        context: context.clone(),
        notifier: context.notifier.clone(),
    };
    tokio::select! {
        served = serve => served.context("cannot serve probes and metrics"),
        () = clicks::work(&bench, clicked) => anyhow::bail!("clicks are not carried out any more"),
        ran = controller::run(context, candidate, health, stop_signal()) => ran,
    }
}

fn client(mut config: Config, metrics: &Arc<Metrics>) -> anyhow::Result<Client> {
    // A pass tries again from a fresh look; and 429 is the answer of a PodDisruptionBudget, for which
    // the client would hold up the pass for minutes.
    config.default_retry = false;
    let builder = ClientBuilder::try_from(config).context("cannot build a client")?;
    Ok(builder.with_layer(&CountCalls(metrics.clone())).build())
}

/// Controllers side by side have a Lease each.
fn lease_name(flags: &Flags) -> String {
    let parts = [Some("sluice"), Some(flags.instance.as_str()), flags.namespace.as_deref()];
    let parts: Vec<&str> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
    parts.join("-")
}

fn identity() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "sluice".to_owned());
    format!("{host}-{}", std::process::id())
}

fn start_log(flags: &Flags) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&flags.log_level)
        .with_context(|| format!("--log-level: found `{}`, allowed is a level (error, warn, info, debug, trace) or target=level", flags.log_level))?;
    let filter = CARRIERS.iter().try_fold(filter, |filter, carrier| {
        anyhow::Ok(filter.add_directive(format!("{carrier}=info").parse()?))
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match flags.log_format {
        LogFormat::Json => builder.json().flatten_event(true).init(),
        LogFormat::Text => builder.init(),
    }
    Ok(())
}

/// Resolves at SIGTERM or SIGINT.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
