//! Smoke tests: Jobs.
//!
//! In: a run and one of its metrics; later the Job and its pods. Out: the Job to create; later what
//! it says. The caller creates the Job (a Job of that name that the run owns already is the one),
//! watches it, and stops it when [`super::super::advance`] says so.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::analysis::arguments::{ArgumentError, plain_values, secret_arguments};
use crate::analysis::arguments::{placeholders, substitute_object};
use crate::analysis::verdict::Reading;
use crate::api::{AnalysisRun, GROUP, JobProvider, ROLLOUT_LABEL, RUN_LABEL};

/// Seconds that a Job without `activeDeadlineSeconds` may take.
pub const DEADLINE_SECONDS: u32 = 600;

/// Longest name of a Job: its pods carry it as a label.
const NAME_BYTES: usize = 63;

/// Reasons for which a container waits that no waiting cures.
const UNSTARTABLE: [&str; 5] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
];

/// Why no Job can be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// The metric is not there or is none with a Job.
    #[error("metrics[{0}]: found no Job, allowed is a metric with provider.job")]
    NotAJob(usize),
    /// The run has not been created.
    #[error("the run has no {0}, which it gets when it is created")]
    NotCreated(&'static str),
    /// An argument is missing.
    #[error("metrics[{metric}].provider.job: {source}")]
    Argument {
        /// Index of the metric.
        metric: usize,
        /// What is wrong.
        source: ArgumentError,
    },
    /// A secret would be written into the Job.
    #[error(
        "metrics[{metric}].provider.job: found {{{{args.{name}}}}}, which stands for a secret, \
         allowed is env.valueFrom.secretKeyRef in the container"
    )]
    Secret {
        /// Index of the metric.
        metric: usize,
        /// Name of the argument.
        name: String,
    },
    /// There is no pod template.
    #[error("metrics[{0}].provider.job.spec.template: found no pod, allowed is a pod template")]
    NoTemplate(usize),
}

/// The Job for one measurement. Its name follows from run, metric and number, so that it cannot be
/// created twice. It belongs to the run, and its pods carry [`RUN_LABEL`].
///
/// # Errors
///
/// See [`JobError`]; a run that [`super::super::validate`] has passed gives none once it is created.
pub fn build(run: &AnalysisRun, metric: usize, number: u32) -> Result<Value, JobError> {
    let of_metric = run.spec.metrics.get(metric);
    let provider = of_metric
        .and_then(|metric| metric.provider.job.as_ref())
        .ok_or(JobError::NotAJob(metric))?;
    let run_name = run.metadata.name.as_deref().ok_or(JobError::NotCreated("name"))?;
    let uid = run.metadata.uid.as_deref().ok_or(JobError::NotCreated("uid"))?;
    let JobProvider { metadata, mut spec } = filled(provider, run, metric)?;

    let mut labels = strings(metadata.get("labels"));
    labels.insert(RUN_LABEL.to_owned(), label(run_name).into());
    if let Some(rollout) = run.labels().get(ROLLOUT_LABEL) {
        labels.insert(ROLLOUT_LABEL.to_owned(), rollout.as_str().into());
    }
    spec.entry("backoffLimit").or_insert_with(|| 0.into());
    spec.entry("activeDeadlineSeconds").or_insert_with(|| DEADLINE_SECONDS.into());
    let template = spec.get_mut("template").and_then(Value::as_object_mut);
    let template = template.ok_or(JobError::NoTemplate(metric))?;
    let pod = template.get_mut("spec").and_then(Value::as_object_mut);
    let pod = pod.ok_or(JobError::NoTemplate(metric))?;
    pod.entry("restartPolicy").or_insert_with(|| "Never".into());
    let of_pods = template.entry("metadata").or_insert_with(|| json!({}));
    let mut pod_labels = strings(of_pods.get("labels"));
    pod_labels.insert(RUN_LABEL.to_owned(), label(run_name).into());
    if let Some(of_pods) = of_pods.as_object_mut() {
        of_pods.insert("labels".to_owned(), pod_labels.into());
    }
    Ok(json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name(run_name, metric, number),
            "namespace": run.metadata.namespace,
            "labels": labels,
            "annotations": strings(metadata.get("annotations")),
            "ownerReferences": [{
                "apiVersion": format!("{GROUP}/v1alpha1"),
                "kind": "AnalysisRun",
                "name": run_name,
                "uid": uid,
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
        "spec": spec,
    }))
}

/// The provider with its arguments put in. No secret ever is.
fn filled(
    provider: &JobProvider,
    run: &AnalysisRun,
    metric: usize,
) -> Result<JobProvider, JobError> {
    let secrets = secret_arguments(&run.spec.args);
    for object in [&provider.metadata, &provider.spec] {
        if let Some(name) = first_of(object.values(), &|name| secrets.contains_key(name)) {
            return Err(JobError::Secret { metric, name });
        }
    }
    let values = plain_values(&run.spec.args);
    let fill = |object: &Map<String, Value>| {
        substitute_object(object, &values).map_err(|source| JobError::Argument { metric, source })
    };
    Ok(JobProvider { metadata: fill(&provider.metadata)?, spec: fill(&provider.spec)? })
}

/// The first argument in the strings below these values that is one of those asked for.
fn first_of<'v>(
    mut values: impl Iterator<Item = &'v Value>,
    is: &dyn Fn(&str) -> bool,
) -> Option<String> {
    values.find_map(|value| match value {
        Value::String(text) => placeholders(text)
            .unwrap_or_default()
            .into_iter()
            .find(|name| is(name))
            .map(str::to_owned),
        Value::Array(items) => first_of(items.iter(), is),
        Value::Object(object) => {
            let values: Box<dyn Iterator<Item = &Value>> = Box::new(object.values());
            first_of(values, is)
        }
        _ => None,
    })
}

/// `RUN-METRIC-NUMBER`, cut and made unique by a hash where it is too long.
pub fn name(run: &str, metric: usize, number: u32) -> String {
    let whole = format!("{run}-{metric}-{number}");
    if whole.len() <= NAME_BYTES {
        return whole;
    }
    let tail = format!("-{}-{metric}-{number}", short_hash(run));
    let mut head = NAME_BYTES.saturating_sub(tail.len());
    while !run.is_char_boundary(head) {
        head -= 1;
    }
    let head = run.get(..head).unwrap_or_default();
    format!("{}{tail}", head.trim_end_matches(['-', '.']))
}

/// The value of [`RUN_LABEL`] for a run: its name, or where that is too long for a label its
/// beginning and a hash.
pub fn label(run: &str) -> String {
    if run.len() <= NAME_BYTES {
        return run.to_owned();
    }
    let hash = short_hash(run);
    let mut head = NAME_BYTES - hash.len() - 1;
    while !run.is_char_boundary(head) {
        head -= 1;
    }
    let head = run.get(..head).unwrap_or_default();
    format!("{}-{hash}", head.trim_end_matches(['-', '.']))
}

fn short_hash(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().take(5).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// The entries of a JSON object that are strings, such as labels.
fn strings(object: Option<&Value>) -> Map<String, Value> {
    let entries = object.and_then(Value::as_object).into_iter().flatten();
    entries
        .filter(|(_, value)| value.is_string())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// What a Job says. `pods` are its pods, as far as they are known; without them a Job that cannot
/// start is seen when its deadline has passed.
pub fn state(job: &Job, pods: &[Pod]) -> Reading {
    let name = job.metadata.name.clone().unwrap_or_default();
    let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    for condition in conditions.filter(|condition| condition.status == "True") {
        let message = condition.message.clone().unwrap_or_default();
        match condition.type_.as_str() {
            "Complete" => {
                return Reading::JobSucceeded { name, message: String::new() };
            }
            "Failed" => {
                let reason = condition.reason.clone().unwrap_or_default();
                let message = match (reason.is_empty(), message.is_empty()) {
                    (true, true) => "no reason given".to_owned(),
                    (false, true) => reason,
                    (true, false) => message,
                    (false, false) => format!("{reason}: {message}"),
                };
                return Reading::JobFailed { name, message };
            }
            _ => {}
        }
    }
    let phase = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.clone());
    let mut open = pods
        .iter()
        .filter(|pod| !matches!(phase(pod).as_deref(), Some("Succeeded" | "Failed")))
        .peekable();
    if open.peek().is_none() {
        return Reading::JobRunning { name };
    }
    // One pod that can start may still decide the Job.
    let stuck: Option<Vec<String>> = open.map(why_unstartable).collect();
    match stuck.and_then(|reasons| reasons.into_iter().next()) {
        Some(message) => Reading::JobUnstartable { name, message },
        None => Reading::JobRunning { name },
    }
}

/// The news of a Job that should be there and is not: somebody deleted it. It is an error, after
/// which another Job is started.
pub fn gone(name: &str) -> Reading {
    Reading::Error(format!("Job {name} is gone: it was deleted before it ended"))
}

fn why_unstartable(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let containers = status.container_statuses.iter().flatten();
    let mut all = status.init_container_statuses.iter().flatten().chain(containers);
    all.find_map(|container: &ContainerStatus| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let reason = waiting.reason.as_deref().filter(|reason| UNSTARTABLE.contains(reason))?;
        let why = waiting.message.as_deref().unwrap_or_default();
        let colon = if why.is_empty() { "" } else { ": " };
        Some(format!("container \"{}\": {reason}{colon}{why}", container.name))
    })
}

#[cfg(test)]
mod tests;
