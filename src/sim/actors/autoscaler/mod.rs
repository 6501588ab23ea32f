//! The controller of `HorizontalPodAutoscalers`: sizes that follow the use of cpu and memory.
//!
//! In: an autoscaler, the scale of its target, the pods that the scale selects and what they use.
//! Out: the target's size, and the autoscaler's status. It looks every 15 seconds and at nothing else,
//! as the real one. What pods use is an annotation of theirs, `testcluster/cpu` or
//! `testcluster/memory`, or the load of the settings; a sample is of this moment and covers the last
//! 15 seconds. Metrics of other types do not exist here, which the condition says.

mod behaviour;
mod replicas;

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde_json::{Value, json};

use self::{
    behaviour::{Memory, Sized},
    replicas::{Group, Sample, Target},
};
use super::{cluster::Cluster, object};
use crate::sim::api::{
    Key, Refusal, Resource, eviction,
    http::selector::{self, Selector},
    limits::amount::Amount,
    managed_fields::Writer,
    resource::{self, AUTOSCALER, POD},
    store::second,
};

/// Seconds between two looks, as of the real controller.
pub const PERIOD_SECONDS: i64 = 15;

/// Seconds that a sample of what a pod uses covers.
const WINDOW_SECONDS: i64 = 15;

/// Seconds from a pod's start in which it counts only while it is ready.
const INITIAL_CPU_SECONDS: i64 = 300;

/// Seconds from a pod's start in which it may first become ready.
const INITIAL_READINESS_SECONDS: i64 = 30;

/// The autoscalers' memory.
#[derive(Debug, Default)]
pub struct Autoscalers(BTreeMap<Key, Memory>);

/// What an autoscaler scales.
struct Scale {
    resource: &'static Resource,
    key: Key,
    wanted: i64,
    selector: Option<Selector>,
}

/// What the metrics ask for, and their statuses.
type Asked = (Result<(i64, String), Unable>, Value);

/// Why a metric says nothing.
struct Unable {
    reason: &'static str,
    message: String,
}

impl Autoscalers {
    /// Looks at an autoscaler. Returns when it is to be looked at again.
    pub fn sync(&mut self, cluster: &mut Cluster, key: &Key) -> Option<Timestamp> {
        let Some(autoscaler) = cluster.get(&AUTOSCALER, key) else {
            self.0.remove(key);
            return None;
        };
        let mut status = object::status(&autoscaler);
        self.look(cluster, key, &autoscaler, &mut status);
        cluster.set_status(&AUTOSCALER, key, status);
        Some(object::after(cluster.now, PERIOD_SECONDS))
    }

    fn look(&mut self, cluster: &mut Cluster, key: &Key, autoscaler: &Value, status: &mut Value) {
        let now = cluster.now;
        let scale = match scale_of(cluster, &key.0, &autoscaler["spec"]["scaleTargetRef"]) {
            Ok(scale) => scale,
            Err(why) => {
                let message = format!(
                    "the HPA controller was unable to get the target's current scale: {why}"
                );
                return tell(status, now, "AbleToScale", Err(("FailedGetScale", message)));
            }
        };
        let able = "the HPA controller was able to get the target's current scale".to_owned();
        tell(status, now, "AbleToScale", Ok(("SucceededGetScale", able)));
        let memory = self.0.entry(key.clone()).or_default();
        memory.begin(now, scale.wanted);
        status["currentReplicas"] = json!(scale.wanted);
        let Some(wanted) = decide(cluster, autoscaler, &scale, memory, status) else { return };
        status["desiredReplicas"] = json!(wanted);
        if wanted == scale.wanted {
            return;
        }
        match write(cluster, &scale, wanted) {
            Ok(()) => {
                let text =
                    format!("the HPA controller was able to update the target scale to {wanted}");
                tell(status, now, "AbleToScale", Ok(("SucceededRescale", text)));
                memory.scaled(&autoscaler["spec"]["behavior"], now, scale.wanted, wanted);
                status["lastScaleTime"] = json!(second(now));
            }
            Err(refusal) => {
                let text = format!(
                    "the HPA controller was unable to update the target scale: {}",
                    refusal.message
                );
                tell(status, now, "AbleToScale", Err(("FailedUpdateScale", text)));
            }
        }
    }
}

/// The size that the target should have; none where the metrics do not say.
fn decide(
    cluster: &Cluster,
    autoscaler: &Value,
    scale: &Scale,
    memory: &mut Memory,
    status: &mut Value,
) -> Option<i64> {
    let (spec, now) = (&autoscaler["spec"], cluster.now);
    let least = spec["minReplicas"].as_i64().unwrap_or(1);
    let most = spec["maxReplicas"].as_i64().unwrap_or(1);
    let active = "ScalingActive";
    if scale.wanted == 0 && least != 0 {
        let why = "scaling is disabled since the replica count of the target is zero".to_owned();
        tell(status, now, active, Err(("ScalingDisabled", why)));
        return Some(0);
    }
    if scale.wanted > most || scale.wanted < least {
        return Some(scale.wanted.clamp(least, most));
    }
    let (asked, metrics) = asked(cluster, autoscaler, scale);
    status["currentMetrics"] = metrics;
    let proposed = match asked {
        Ok((proposed, metric)) => {
            let how =
                format!("the HPA was able to successfully calculate a replica count from {metric}");
            tell(status, now, active, Ok(("ValidMetricFound", how)));
            proposed
        }
        Err(Unable { reason, message }) => {
            tell(status, now, active, Err((reason, message)));
            return None;
        }
    };
    let sized = Sized { least, most, present: scale.wanted, proposed, now };
    let outcome = memory.normal(&spec["behavior"], &sized);
    let (reason, why) = outcome.able;
    tell(status, now, "AbleToScale", Ok((reason, why.to_owned())));
    let (reason, why) = outcome.limit;
    let within = outcome.size == outcome.stable;
    let limited = if within { Err((reason, why.to_owned())) } else { Ok((reason, why.to_owned())) };
    tell(status, now, "ScalingLimited", limited);
    Some(outcome.size)
}

/// Sets a condition of the status: that it holds, or that it does not, with reason and message.
fn tell(
    status: &mut Value,
    now: Timestamp,
    kind: &str,
    holds: Result<(&str, String), (&str, String)>,
) {
    let word = if holds.is_ok() { "True" } else { "False" };
    let (Ok((reason, message)) | Err((reason, message))) = holds;
    let condition = json!({
        "type": kind, "status": word, "lastTransitionTime": second(now),
        "reason": reason, "message": message,
    });
    eviction::set_condition(status, condition);
}

fn scale_of(cluster: &Cluster, namespace: &str, reference: &Value) -> Result<Scale, String> {
    let (version, kind) =
        (object::text(reference, "/apiVersion"), object::text(reference, "/kind"));
    let resource = resource::of_kind(version, kind)
        .ok_or_else(|| format!("no matches for kind {kind:?} in version {version:?}"))?;
    if !resource.scale {
        return Err("the server could not find the requested resource".to_owned());
    }
    let key = (namespace.to_owned(), object::text(reference, "/name").to_owned());
    let target: Arc<Value> =
        cluster.get(resource, &key).ok_or_else(|| Refusal::not_found(resource, &key.1).message)?;
    let selector = if resource.custom {
        let text = object::text(&target, "/status/selector");
        (!text.is_empty()).then(|| selector::parse(text).ok()).flatten()
    } else {
        Some(selector::of_object(&target["spec"]["selector"]))
    };
    Ok(Scale { resource, key, wanted: target["spec"]["replicas"].as_i64().unwrap_or(0), selector })
}

fn write(cluster: &mut Cluster, scale: &Scale, size: i64) -> Result<(), Refusal> {
    let by = Writer { manager: cluster.manager, operation: "Update", subresource: Some("scale") };
    let new = json!({"metadata": {}, "spec": {"replicas": size}});
    cluster.store.replace(&by, scale.resource, &scale.key, new).map(drop)
}

/// The largest size that a metric asks for. Where one says nothing, the others only raise the size.
fn asked(cluster: &Cluster, autoscaler: &Value, scale: &Scale) -> Asked {
    let Some(selector) = &scale.selector else {
        let message = "the HPA target's scale is missing a selector".to_owned();
        return (Err(Unable { reason: "InvalidSelector", message }), json!(null));
    };
    let namespace = object::text(autoscaler, "/metadata/namespace");
    let pods = cluster.store.list(&POD, Some(namespace)).map(|(_, pod)| &**pod);
    let pods: Vec<&Value> = pods.filter(|pod| selector.matches(object::labels(pod))).collect();
    let (mut best, mut failed, mut shown) = (None::<(i64, String)>, None, Vec::new());
    for metric in autoscaler["spec"]["metrics"].as_array().into_iter().flatten() {
        match of_metric(cluster, metric, &pods, scale) {
            Ok((proposed, name, value)) => {
                shown.push(value);
                if best.as_ref().is_none_or(|(best, _)| proposed > *best) {
                    best = Some((proposed, name));
                }
            }
            Err(unable) => {
                shown.push(json!({"type": ""}));
                failed.get_or_insert(unable);
            }
        }
    }
    let asked = match (best, failed) {
        (None, None) => {
            let message = "the HPA has no metrics".to_owned();
            Err(Unable { reason: "FailedGetResourceMetric", message })
        }
        (None, Some(failed)) => Err(failed),
        (Some((proposed, _)), Some(failed)) if proposed < scale.wanted => Err(failed),
        (Some(best), _) => Ok(best),
    };
    (asked, Value::Array(shown))
}

fn of_metric(
    cluster: &Cluster,
    metric: &Value,
    pods: &[&Value],
    scale: &Scale,
) -> Result<(i64, String, Value), Unable> {
    let unable = |reason, why: String| Unable {
        reason,
        message: format!("the HPA was unable to compute the replica count: {why}"),
    };
    match object::text(metric, "/type") {
        "Resource" => {
            let name = object::text(metric, "/resource/name");
            let target = &metric["resource"]["target"];
            let target = match (target["averageUtilization"].as_i64(), &target["averageValue"]) {
                (Some(percent), _) => Target::Utilization(percent),
                (None, value) => Target::Value(
                    Amount::read(value).map(|amount| amount.thousandths()).unwrap_or_default(),
                ),
            };
            of_resource(cluster, name, target, pods, scale)
                .map_err(|why| unable("FailedGetResourceMetric", why))
        }
        "External" => {
            let why = "unable to get external metric: unable to fetch metrics from external metrics API: the server could not find the requested resource";
            Err(unable("FailedGetExternalMetric", why.to_owned()))
        }
        "ContainerResource" => {
            let why = "the simulated cluster has no metrics of single containers";
            Err(unable("FailedGetContainerResourceMetric", why.to_owned()))
        }
        kind => {
            let reason =
                if kind == "Pods" { "FailedGetPodsMetric" } else { "FailedGetObjectMetric" };
            let why =
                "unable to get metric: no custom metrics API (custom.metrics.k8s.io) registered";
            Err(unable(reason, why.to_owned()))
        }
    }
}

fn of_resource(
    cluster: &Cluster,
    name: &str,
    target: Target,
    pods: &[&Value],
    scale: &Scale,
) -> Result<(i64, String, Value), String> {
    let utilization = matches!(target, Target::Utilization(_));
    let what = if utilization { "utilization" } else { "usage" };
    let wrap = |why: String| format!("failed to get {name} {what}: {why}");
    let samples = samples(cluster, name, pods, utilization).map_err(wrap)?;
    let found = replicas::wanted(scale.wanted, target, &samples).map_err(wrap)?;
    let average = Amount { nanos: i128::from(found.average) * 1_000_000, binary: name == "memory" };
    let mut current = json!({"averageValue": average.to_string()});
    if let Some(percent) = found.percent {
        current["averageUtilization"] = json!(percent);
    }
    let shown = json!({"type": "Resource", "resource": {"name": name, "current": current}});
    let metric = if utilization {
        format!("{name} resource utilization (percentage of request)")
    } else {
        format!("{name} resource")
    };
    Ok((found.replicas, metric, shown))
}

/// What the pods use of a resource, in thousandths.
fn samples(
    cluster: &Cluster,
    name: &str,
    pods: &[&Value],
    with_requests: bool,
) -> Result<Vec<Sample>, String> {
    if pods.is_empty() {
        return Err("no pods returned by selector while calculating replica count".to_owned());
    }
    let ready = |pod: &&&Value| object::is_active(pod) && object::ready_since(pod).is_some();
    let serving = i64::try_from(pods.iter().filter(ready).count()).unwrap_or(1).max(1);
    let load = &cluster.settings.load;
    let own = |pod: &Value| {
        let place = format!("/metadata/annotations/testcluster~1{name}");
        pod.pointer(&place).and_then(Amount::read).map(|amount| amount.thousandths())
    };
    let used = |pod: &&Value| {
        own(pod).or_else(|| match name {
            "cpu" => load.cpu.map(|all| if ready(&pod) { all / serving } else { 0 }),
            "memory" => load.memory.map(|mebibytes| mebibytes * 1024 * 1024 * 1000),
            _ => None,
        })
    };
    if pods.iter().all(|pod| used(pod).is_none()) {
        return Err(format!(
            "unable to get metrics for resource {name}: unable to fetch metrics from resource metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)"
        ));
    }
    let sample = |pod: &&Value| {
        let runs = pod["status"]["phase"] == "Running";
        let used = used(pod).filter(|_| runs);
        let group = group(pod, used.is_some(), name == "cpu", cluster.now);
        let request = if with_requests { request(pod, name)? } else { 0 };
        Ok(Sample { group, used: used.unwrap_or(0), request })
    };
    pods.iter().map(sample).collect()
}

/// How a pod counts.
fn group(pod: &Value, has_metric: bool, is_cpu: bool, now: Timestamp) -> Group {
    if object::is_deleting(pod) || pod["status"]["phase"] == "Failed" {
        return Group::Ignored;
    }
    if pod["status"]["phase"] == "Pending" {
        return Group::Unready;
    }
    if !has_metric {
        return Group::Missing;
    }
    let ready = object::condition(pod, "Ready");
    let (Some(ready), Some(start)) = (ready, object::time(&pod["status"]["startTime"])) else {
        return if is_cpu { Group::Unready } else { Group::Ready };
    };
    let changed = object::time(&ready["lastTransitionTime"]).unwrap_or(start);
    let is_ready = ready["status"] != "False";
    let unready = if object::after(start, INITIAL_CPU_SECONDS) > now {
        !is_ready || now < object::after(changed, WINDOW_SECONDS)
    } else {
        !is_ready && object::after(start, INITIAL_READINESS_SECONDS) > changed
    };
    if is_cpu && unready { Group::Unready } else { Group::Ready }
}

/// What the containers of a pod ask for together; all must ask.
fn request(pod: &Value, name: &str) -> Result<i64, String> {
    let list = |list: &str| pod["spec"][list].as_array().cloned().unwrap_or_default();
    let beside = list("initContainers").into_iter().filter(|one| one["restartPolicy"] == "Always");
    let mut whole = 0;
    for container in list("containers").into_iter().chain(beside) {
        let request = Amount::read(&container["resources"]["requests"][name]);
        whole += request.map(|request| request.thousandths()).ok_or_else(|| {
            let container = container["name"].as_str().unwrap_or_default();
            format!(
                "missing request for {name} in container {container} of Pod {}",
                object::name(pod)
            )
        })?;
    }
    Ok(whole)
}

#[cfg(test)]
mod tests;
