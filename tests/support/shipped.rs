//! The shipped `analysis-templates`, and samples by which each is tried: the same ones in the
//! simulated and in a real Prometheus.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sluice::{
    analysis::{
        arguments::{Secrets, plain_values},
        compare::look,
        provider::{
            job,
            prometheus::{Comparing, HttpClients, compare, measure},
        },
        template::{Library, Request, ResolveError, Subject, resolve},
        verdict::{Counts, Judged, Reading, judge},
    },
    api::{
        AnalysisArgument, AnalysisRun, AnalysisRunSpec, AnalysisTemplateSpec,
        ClusterAnalysisTemplate, TemplateRef, Verdict,
    },
    sim::{
        prometheus::{Database, Labels, NAME},
        simulation::START,
    },
};

/// What one measurement says of a revision of [`samples`].
type Word = &'static str;

/// A revision, and what is said of it.
type Said = (&'static str, Word);

/// The name of an argument, and a value.
type Argument = (&'static str, &'static str);

/// Without an argument: template, metric, and what it says of each revision.
const EXPECTED: [(&str, &str, &[Said]); 13] = [
    ("success-rate", "success-rate", REQUESTS),
    ("latency", "latency", REQUESTS),
    ("error-rate", "error-rate", REQUESTS),
    ("burn-rate", "fast-burn", REQUESTS),
    ("burn-rate", "slow-burn", REQUESTS),
    ("burn-rate", "fast-burn", &[("recovered", "good")]),
    ("compare-errors", "compare-errors", AGAINST_STABLE),
    ("compare-latency", "compare-latency", AGAINST_STABLE),
    ("slo-burn", "slo-burn", AGAINST_STABLE),
    ("pod-restarts", "restarts", PODS),
    ("pod-restarts", "crash-loops", PODS),
    ("cpu-saturation", "cpu", PODS),
    ("memory-saturation", "memory", PODS),
];

/// Little traffic is no data, whatever became of it; nothing but errors is no silence.
const REQUESTS: &[Said] = &[
    ("good", "good"),
    ("bad", "bad"),
    ("broken", "bad"),
    ("quiet", "no data"),
    ("silent", "no data"),
];

/// Nothing but errors is found in little traffic, too.
const AGAINST_STABLE: &[Said] = &[
    ("good", "good"),
    ("bad", "bad"),
    ("broken", "bad"),
    ("quiet", "bad"),
    ("silent", "no data"),
    ("recovered", "good"),
];

const PODS: &[Said] = &[("good", "good"), ("bad", "bad"), ("silent", "no data")];

/// With an argument: template, metric, revision, argument, and what it says then. What is wrongly
/// named never looks good.
const WITH_ARGUMENTS: [(&str, &str, &str, Argument, Word); 21] = [
    ("success-rate", "success-rate", "bad", ("min-success-rate", "0.8"), "good"),
    ("success-rate", "success-rate", "quiet", ("min-requests", "5"), "bad"),
    ("success-rate", "success-rate", "good", ("reporter", "waypoint"), "no data"),
    ("success-rate", "success-rate", "good", ("namespace", "staging"), "bad"),
    ("success-rate", "success-rate", "recovered", ("window", "35m"), "bad"),
    ("latency", "latency", "bad", ("quantile", "0.5"), "good"),
    ("latency", "latency", "bad", ("max-latency-ms", "1000"), "good"),
    ("latency", "latency", "good", ("max-latency-ms", "50"), "bad"),
    ("error-rate", "error-rate", "bad", ("max-error-rate", "0.2"), "good"),
    ("error-rate", "error-rate", "good", ("good", "status=\"200\""), "bad"),
    ("error-rate", "error-rate", "good", ("counter", "grpc_server_handled_total"), "no data"),
    ("burn-rate", "fast-burn", "good", ("objective", "0.99999"), "bad"),
    ("burn-rate", "fast-burn", "bad", ("max-fast-burn", "200"), "good"),
    ("burn-rate", "slow-burn", "bad", ("max-slow-burn", "200"), "good"),
    ("slo-burn", "slo-burn", "bad", ("objective", "0.99"), "good"),
    ("pod-restarts", "restarts", "bad", ("max-restarts", "3"), "good"),
    ("pod-restarts", "restarts", "bad", ("rollout", "other"), "no data"),
    ("cpu-saturation", "cpu", "bad", ("max-cpu", "0.99"), "good"),
    ("cpu-saturation", "cpu", "good", ("share-of", "requests"), "no data"),
    ("memory-saturation", "memory", "bad", ("max-memory", "0.99"), "good"),
    ("memory-saturation", "memory", "good", ("max-memory", "0.3"), "bad"),
];

/// Minutes that the samples last.
const MINUTES: i64 = 40;

/// When it is measured: on no scrape, because Prometheus 2 and 3 differ in whether one at the left
/// end of a range counts.
pub fn measured_at() -> Timestamp {
    began() + SignedDuration::from_mins(MINUTES - 1) + SignedDuration::from_millis(7321)
}

fn began() -> Timestamp {
    START.parse().expect("a time")
}

// === the templates

/// Their files.
pub fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("analysis-templates");
    let entries = fs::read_dir(folder).expect("the shipped templates");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "yaml"))
        .collect();
    files.sort();
    files
}

/// The templates by name, which is that of the file.
pub fn templates() -> BTreeMap<String, Arc<AnalysisTemplateSpec>> {
    let read = files().into_iter().map(|path| {
        let text = fs::read_to_string(&path).expect("a readable file");
        let template: ClusterAnalysisTemplate = serde_yaml::from_str(&text).expect(&text);
        let name = template.metadata.name.expect("a name");
        assert_eq!(Some(&*name), path.file_stem().and_then(|stem| stem.to_str()));
        (name, Arc::new(template.spec.spec))
    });
    read.collect()
}

/// The run that a Rollout `web` with a canary of this revision gets from these templates.
///
/// # Errors
/// As [`resolve`].
pub fn run(
    names: &[&str],
    args: &[(&str, &str)],
    revision: &str,
) -> Result<AnalysisRunSpec, ResolveError> {
    let template =
        |name: &&str| TemplateRef { template_name: (*name).to_owned(), cluster_scope: true };
    let given = |(name, value): &(&str, &str)| AnalysisArgument {
        name: (*name).to_owned(),
        value: Some((*value).to_owned()),
        value_from: None,
    };
    let rollout = json!({"metadata": {"name": "web", "namespace": "shop"}});
    resolve(
        &Request {
            templates: &names.iter().map(template).collect::<Vec<_>>(),
            metrics: &[],
            args: &args.iter().map(given).collect::<Vec<_>>(),
        },
        &Library { templates: &BTreeMap::new(), cluster_templates: &templates() },
        &Subject { rollout: &rollout, stable: Some("stable"), latest: revision },
    )
}

/// The Job that the shipped smoke test makes with these arguments.
pub fn smoke_job(args: &[(&str, &str)]) -> Value {
    let spec = run(&["smoke-http"], args, "abc").expect("a run");
    let mut run = AnalysisRun::new("web-abc-1-step-0", spec);
    run.metadata.namespace = Some("shop".to_owned());
    run.metadata.uid = Some("1".to_owned());
    job::build(&run, 0, 1).expect("a Job")
}

/// Measures every metric of every template that asks Prometheus, by the product's own provider, and
/// says where a verdict is not the expected one, or what is untried.
pub async fn surprises(http: &HttpClients, url: &str) -> Vec<String> {
    let plain = EXPECTED.iter().flat_map(|(template, metric, revisions)| {
        let tries = revisions.iter();
        tries.map(|(revision, word)| (*template, *metric, *revision, None, *word))
    });
    let with = WITH_ARGUMENTS.iter().map(|(template, metric, revision, argument, word)| {
        (*template, *metric, *revision, Some(*argument), *word)
    });
    let mut surprises = Vec::new();
    let mut tried = BTreeSet::new();
    for (template, metric, revision, argument, expected) in plain.chain(with) {
        let args: Vec<(&str, &str)> = argument.into_iter().collect();
        let run = run(&[template], &args, revision).expect(template);
        let judged = judged(&run, metric, http, url).await;
        if word(&judged) != expected {
            surprises.push(format!(
                "{template}/{metric} {argument:?} of {revision}: expected {expected}, found {judged:?}"
            ));
        }
        tried.insert((template.to_owned(), metric.to_owned()));
    }
    let asked = templates().into_iter().flat_map(|(name, spec)| {
        let asks = spec.metrics.iter().filter(|metric| metric.provider.prometheus.is_some());
        asks.map(|metric| (name.clone(), metric.name.clone())).collect::<Vec<_>>()
    });
    let forgotten = asked.filter(|metric| !tried.contains(metric));
    surprises.extend(forgotten.map(|(template, metric)| format!("{template}/{metric} is untried")));
    surprises
}

async fn judged(run: &AnalysisRunSpec, metric: &str, http: &HttpClients, url: &str) -> Judged {
    let metric = run.metrics.iter().find(|one| one.name == metric).expect(metric);
    let provider = metric.provider.prometheus.as_ref().expect("a query");
    let (secrets, now) = (Secrets::default(), measured_at());
    if let Some(found) = &provider.compare {
        let began = now - SignedDuration::from_mins(10);
        let interval = metric.interval.unwrap_or_default();
        let comparing = Comparing { compare: found, interval, before: None, began };
        let read = compare(provider, comparing, &run.args, &secrets, http, Some(url), now).await;
        let Reading::Counted(counted) = read else { unreachable!("{read:?}") };
        return look(metric, found, 1, None, &counted, now).1;
    }
    let reading = measure(provider, &run.args, &secrets, http, Some(url), now).await;
    judge(metric, &plain_values(&run.args), &reading)
}

fn word(judged: &Judged) -> Word {
    match (judged.counts, judged.verdict) {
        (Counts::NoData, Verdict::Inconclusive) => "no data",
        (Counts::Verdict, Verdict::Successful) => "good",
        (Counts::Verdict, Verdict::Failed) => "bad",
        _ => "neither",
    }
}

// === the samples

/// Five revisions of the Rollout `web` in the namespace `shop`: `good`; `bad` (10 % errors, slow,
/// crashing, saturated); `broken` (nothing but errors, slow); `quiet` (few requests, all of them
/// slow errors); `recovered` (5 % errors for the first half of the time). Beside them what must not be taken for
/// theirs.
pub fn samples() -> Database {
    let mut samples = Samples::default();
    for (revision, good, bad) in [
        ("good", 10.0, 0.005),
        ("bad", 9.0, 1.0),
        ("broken", 0.0, 10.0),
        ("quiet", 0.0, 0.05),
        ("recovered", 10.0, 0.0),
        ("stable", 10.0, 1.0 / 15.0),
    ] {
        requests(&mut samples, "shop", revision, good, bad);
        // Revisions have the same name where the template is the same.
        requests(&mut samples, "staging", revision, bad, good);
    }
    pods(&mut samples, "good", [0.0, 0.2, 100.0]);
    pods(&mut samples, "bad", [3.0, 0.49, 250.0]);
    pods(&mut samples, "stable", [7.0, 0.5, 256.0]);
    let waiting = json!({"namespace": "shop", "pod": "web-bad-x2z5w", "container": "app",
        "reason": "CrashLoopBackOff"});
    samples.gauge("kube_pod_container_status_waiting_reason", &waiting, 1.0);
    samples.database
}

/// So many good and bad requests a second to a revision: the bad are errors and slow.
fn requests(samples: &mut Samples, namespace: &str, revision: &str, good: f64, bad: f64) {
    for (code, rate) in [("200", good), ("500", bad)].into_iter().filter(|(_, rate)| *rate > 0.0) {
        let istio = json!({"reporter": "source", "response_code": code,
            "destination_workload_namespace": namespace,
            "destination_canonical_revision": revision});
        samples.counter("istio_requests_total", &istio, |_| rate);
        let own = json!({"namespace": namespace, "pod": format!("web-{revision}-x2z5w"),
            "code": code});
        samples.counter("http_requests_total", &own, |_| rate);
    }
    if revision == "recovered" {
        let istio = json!({"reporter": "source", "response_code": "503",
            "destination_workload_namespace": namespace,
            "destination_canonical_revision": revision});
        samples.counter("istio_requests_total", &istio, |minute| {
            if minute < MINUTES / 2 { 0.5 } else { 0.0 }
        });
    }
    let duration = "istio_request_duration_milliseconds";
    for (le, rate) in
        [("100", good), ("250", good), ("500", good), ("1000", good + bad), ("+Inf", good + bad)]
    {
        let labels = json!({"reporter": "source", "le": le,
            "destination_workload_namespace": namespace,
            "destination_canonical_revision": revision});
        samples.counter(&format!("{duration}_bucket"), &labels, |_| rate);
        if le == "+Inf" {
            let mut labels = labels;
            labels["le"] = json!("");
            samples.counter(&format!("{duration}_count"), &labels, |_| rate);
        }
    }
}

/// Two pods of a revision, the first of them with so many restarts, cores and MiB; both have a
/// second container, and the sums of the kubelet's cgroups beside them.
fn pods(samples: &mut Samples, revision: &str, [restarts, cores, mib]: [f64; 3]) {
    const MIB: f64 = 1024.0 * 1024.0;
    for (name, share) in [("x2z5w", 1.0), ("k8s2q", 0.5)] {
        let labels = |container: &str| {
            json!({"namespace": "shop", "pod": format!("web-{revision}-{name}"),
                "container": container})
        };
        let limit = |container: &str, resource: &str, unit: &str| {
            let mut labels = labels(container);
            labels["resource"] = json!(resource);
            labels["unit"] = json!(unit);
            labels
        };
        for (container, factor) in [("app", share), ("istio-proxy", 0.1)] {
            let own = labels(container);
            let restarts = if factor < 1.0 { 0.0 } else { restarts };
            samples.gauge("kube_pod_container_status_restarts_total", &own, restarts);
            samples.counter("container_cpu_usage_seconds_total", &own, |_| cores * factor);
            samples.gauge("container_memory_working_set_bytes", &own, mib * MIB * factor);
            let limits = "kube_pod_container_resource_limits";
            samples.gauge(limits, &limit(container, "cpu", "core"), 0.5);
            samples.gauge(limits, &limit(container, "memory", "byte"), 256.0 * MIB);
        }
        for container in ["", "POD"] {
            let own = labels(container);
            samples.counter("container_cpu_usage_seconds_total", &own, |_| 2.0);
            samples.gauge("container_memory_working_set_bytes", &own, 1024.0 * MIB);
        }
    }
}

/// Samples every 15 seconds.
#[derive(Default)]
struct Samples {
    database: Database,
}

impl Samples {
    /// A counter that grows by so much a second, as each minute says.
    fn counter(&mut self, name: &str, labels: &Value, per_second: impl Fn(i64) -> f64) {
        let mut total = 0.0;
        self.series(name, labels, |minute| {
            total += per_second(minute) * 15.0;
            total
        });
    }

    fn gauge(&mut self, name: &str, labels: &Value, value: f64) {
        self.series(name, labels, |_| value);
    }

    fn series(&mut self, name: &str, labels: &Value, mut value: impl FnMut(i64) -> f64) {
        let pairs = labels.as_object().expect("labels").iter();
        let pairs = pairs.map(|(name, value)| (&**name, value.as_str().expect("a text")));
        let labels = Labels::new(pairs.chain([(NAME, name)]));
        for scrape in 0..MINUTES * 4 {
            let at = began() + SignedDuration::from_secs(scrape * 15);
            self.database.append(&labels, at, value(scrape / 4)).expect("later than the last");
        }
    }
}
