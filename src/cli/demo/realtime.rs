//! `sluice demo --realtime`: the simulated cluster behind a port, for a real kubectl.

use std::{
    fs,
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{
    cli::{
        exit::{Exit, Failure},
        style::{Paint, Style},
        trial::World,
    },
    controller::{self, Context, Settings, clock::SystemClock, lease::LeaseFence},
    server::{health::Health, metrics::Metrics},
    sim::realtime::Cluster,
};

use super::{BAD, GOOD, NAMESPACE, ROLLOUT};

/// Where `kubectl apply` keeps what it applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Who the kubeconfig says one is.
const USER: &str = "you";

/// Serves until somebody interrupts.
///
/// # Errors
/// A port or the kubeconfig is not to be had, or the controller ends.
pub async fn run(
    listen: SocketAddr,
    kubeconfig: Option<&Path>,
    world: &World,
    style: Style,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let api = bind(listen).await?;
    // Whatever the address of the API server, this one is for this machine only.
    let prometheus = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let (api_address, prometheus_address) = (api.local_addr()?, prometheus.local_addr()?);
    let path = kubeconfig.map_or_else(temporary, Path::to_owned);
    fs::write(&path, config(api_address))
        .map_err(|error| Failure::plain(format!("--kubeconfig {}: {error}", path.display())))?;

    let (actors, users) = world.settings();
    let cluster = Cluster::new(users, Arc::new(SystemClock));
    for object in &world.objects {
        let object = applied(object);
        cluster.create(&object).map_err(|refusal| Failure::plain(refusal.message))?;
    }
    let context = Context::new(
        cluster.client(),
        Box::new(SystemClock),
        Arc::new(LeaseFence::always_open()),
        Arc::new(Metrics::default()),
        Settings {
            prometheus_url: Some(format!("http://{prometheus_address}")),
            ..Settings::default()
        },
    );
    let health = Arc::new(Health::default());
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let text = commands(&path, prometheus_address, style);
    out.write_all(text.as_bytes())?;
    out.flush()?;
    let ended = tokio::select! {
        ended = cluster.serve(api, USER) => ended.map_err(Failure::from),
        ended = cluster.serve_prometheus(prometheus) => ended.map_err(Failure::from),
        ended = controller::run(Arc::new(context), None, health, std::future::pending()) => {
            ended.map_err(|error| Failure::plain(format!("the controller ended: {error:#}")))
        }
        () = cluster.live(actors) => Ok(()),
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    if kubeconfig.is_none() {
        // It was ours, and leads nowhere from now on.
        let _ = fs::remove_file(&path);
    }
    ended.map(|()| Exit::Done)
}

/// The object with what `kubectl apply` leaves in it, so that the next one does not warn.
fn applied(object: &Value) -> Value {
    let mut applied = object.clone();
    applied["metadata"]["annotations"][LAST_APPLIED] = Value::String(object.to_string());
    applied
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| Failure::plain(format!("cannot listen on {address}: {error}")))
}

fn temporary() -> PathBuf {
    std::env::temp_dir().join(format!("sluice-demo-{}.kubeconfig", std::process::id()))
}

/// A kubeconfig for the API server.
fn config(address: SocketAddr) -> String {
    format!(
        "\
apiVersion: v1
kind: Config
current-context: sluice-demo
clusters:
  - name: sluice-demo
    cluster: {{server: \"http://{address}\"}}
users:
  - name: {USER}
    user: {{}}
contexts:
  - name: sluice-demo
    context: {{cluster: sluice-demo, user: {USER}, namespace: {NAMESPACE}}}
"
    )
}

/// What to try, to be copied into another terminal.
fn commands(kubeconfig: &Path, prometheus: SocketAddr, style: Style) -> String {
    let release = |image: &str| format!("kubectl sluice set image {ROLLOUT} '*={image}'");
    let lines = [
        ("", format!("export KUBECONFIG={}", kubeconfig.display())),
        (
            "A good version, watched in place (about 4 minutes; Ctrl-C ends the view):",
            release(GOOD),
        ),
        ("", format!("kubectl sluice get rollout {ROLLOUT} --watch")),
        (
            "End the pause that it is in; go back at once:",
            format!("kubectl sluice promote {ROLLOUT}"),
        ),
        ("", format!("kubectl sluice abort {ROLLOUT} --reason 'I changed my mind'")),
        (
            "A version with 6 % errors; the exit code says how it ended (4: rolled back):",
            release(BAD),
        ),
        ("", format!("kubectl sluice status {ROLLOUT} --watch")),
        ("What lies below:", "kubectl get rollouts,pods,virtualservices,analysisruns".to_owned()),
        (
            "",
            format!(
                "curl -s http://{prometheus}/api/v1/query --data-urlencode 'query=sum by (response_code) (istio_requests_total)'"
            ),
        ),
    ];
    let mut text = "A simulated cluster in real time, with users and the real controller. In another terminal:\n".to_owned();
    for (comment, command) in lines {
        if !comment.is_empty() {
            let comment = style.paint(Paint::Dim, &format!("# {comment}"));
            text.extend(["\n", &comment, "\n"]);
        } else if command.starts_with("export") {
            text.push('\n');
        }
        text.push_str(&command);
        text.push('\n');
    }
    text.push_str(
        "\nThe plugin is `cargo install --path . --bin kubectl-sluice`, or target/debug on your PATH. Ctrl-C ends all of it.\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubeconfig_is_one() {
        let text = config(SocketAddr::from(([127, 0, 0, 1], 6443)));
        let config: Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(config["clusters"][0]["cluster"]["server"], "http://127.0.0.1:6443");
        assert_eq!(config["contexts"][0]["context"]["namespace"], NAMESPACE);
    }

    #[test]
    fn the_commands_name_the_kubeconfig() {
        let address = SocketAddr::from(([127, 0, 0, 1], 9090));
        let text = commands(Path::new("/tmp/a"), address, Style::PLAIN);
        assert!(text.contains("export KUBECONFIG=/tmp/a\n"), "{text}");
        assert!(text.contains(BAD) && text.contains("127.0.0.1:9090"), "{text}");
    }
}
