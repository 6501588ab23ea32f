//! One pass over one AnalysisRun: what is due is measured, and the verdict follows.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::Api;

use super::{Context, reconcile::Outcome};
use crate::{
    analysis::{
        advance::{Advance, Due, Taken, advance, expires_at},
        arguments::{Secrets, needed_secrets},
        provider::{job, prometheus, prometheus::Comparing},
        verdict::Reading,
    },
    api::AnalysisRun,
    apply::{JobStart, RunApplier, rights},
    observe::{Touched, cache::Key},
};

/// Time after which a pass that could not write is tried again.
const RETRY: SignedDuration = SignedDuration::from_millis(500);

/// Looks at one AnalysisRun, takes the measurements that are due, and writes what follows.
pub(super) async fn reconcile(context: &Context, key: &Key) -> Outcome {
    let started = Instant::now();
    let Some(entry) = context.caches.runs.get(&key.0, &key.1) else { return Outcome::default() };
    let outcome = match &entry.value.run {
        Ok(run) => pass(context, key, run).await,
        Err(error) => {
            tracing::error!(namespace = key.0, name = key.1, error, "malformed AnalysisRun");
            Outcome::default()
        }
    };
    context.metrics.reconciled("AnalysisRun", started.elapsed());
    outcome
}

async fn pass(context: &Context, key: &Key, run: &Arc<AnalysisRun>) -> Outcome {
    let now = context.clock.now();
    let applier = RunApplier {
        client: &context.client,
        caches: &context.caches,
        fence: &*context.fence,
        namespace: &key.0,
        now: &|| context.clock.now(),
    };
    let status = run.status.clone().unwrap_or_default();
    if status.phase.is_final() {
        return expire(&applier, key, run, now).await;
    }
    let before = advance(&run.spec, &status, now, &[]);
    let taken: Vec<Option<Taken>> =
        join_all(before.due.iter().map(|due| take(context, &applier, key, run, due, now))).await;
    let complete = taken.iter().all(Option::is_some);
    let taken: Vec<Taken> = taken.into_iter().flatten().collect();
    let after = context.clock.now();
    let next = advance(&run.spec, &before.status, after, &taken);
    for job in before.stop_jobs.iter().chain(&next.stop_jobs) {
        applier.delete_job(job).await;
    }
    finish(context, &applier, key, run, next, complete).await
}

async fn finish(
    context: &Context,
    applier: &RunApplier<'_>,
    key: &Key,
    run: &AnalysisRun,
    next: Advance,
    complete: bool,
) -> Outcome {
    let now = context.clock.now();
    let again = now.checked_add(RETRY).ok();
    let mut touched = BTreeSet::new();
    if run.status.as_ref() != Some(&next.status) {
        if !applier.write_status(run, &next.status).await {
            return Outcome { touched, next_check: again };
        }
        if let Some(rollout) = rollout_of(context, key) {
            touched.insert(Touched::Rollout(rollout));
        }
        if next.status.phase.is_final() {
            context.metrics.judged(next.status.phase);
        }
        tracing::info!(
            run = key.1,
            phase = %next.status.phase,
            message = next.status.message,
            "measured"
        );
    }
    let due_now = next.due.iter().any(|due| due.running_job.is_none());
    let next_check = if due_now || !complete {
        again
    } else {
        // Our own write is no news to us: nobody else would come back for the end of the ttl.
        next.next_check.or_else(|| expires_at(&run.spec, &next.status))
    };
    Outcome { touched, next_check }
}

fn rollout_of(context: &Context, key: &Key) -> Option<Key> {
    let entry = context.caches.runs.get(&key.0, &key.1)?;
    let rollout = entry.value.rollout.clone();
    (!rollout.is_empty()).then(|| (key.0.clone(), rollout))
}

async fn expire(applier: &RunApplier<'_>, key: &Key, run: &AnalysisRun, now: Timestamp) -> Outcome {
    let status = run.status.clone().unwrap_or_default();
    match expires_at(&run.spec, &status) {
        Some(at) if at <= now => {
            applier.delete_run(&key.1).await;
            Outcome::default()
        }
        at => Outcome { touched: BTreeSet::new(), next_check: at },
    }
}

/// Takes one measurement; none if it must be tried again.
async fn take(
    context: &Context,
    applier: &RunApplier<'_>,
    key: &Key,
    run: &AnalysisRun,
    due: &Due,
    now: Timestamp,
) -> Option<Taken> {
    let metric = run.spec.metrics.get(due.metric)?;
    let reading = if let Some(provider) = &metric.provider.prometheus {
        match secrets(context, &key.0, run, due.metric).await {
            Ok(secrets) => {
                let url = context.settings.prometheus_url.as_deref();
                let (args, http) = (&run.spec.args, &context.http);
                match comparing(run, due.metric, now) {
                    Some(comparing) => {
                        prometheus::compare(provider, comparing, args, &secrets, http, url, now)
                            .await
                    }
                    None => prometheus::measure(provider, args, &secrets, http, url, now).await,
                }
            }
            Err(error) => Reading::Error(error),
        }
    } else {
        job_reading(context, applier, key, run, due).await?
    };
    Some(Taken { metric: due.metric, started_at: now, reading })
}

/// What a comparison goes on from, if the metric is one.
fn comparing(run: &AnalysisRun, metric: usize, now: Timestamp) -> Option<Comparing<'_>> {
    let of = run.spec.metrics.get(metric)?;
    let compare = of.provider.prometheus.as_ref()?.compare.as_ref()?;
    let status = run.status.as_ref();
    let result = status.and_then(|status| status.metric_results.get(metric));
    let started_at = status.and_then(|status| status.started_at).unwrap_or(now);
    Some(Comparing {
        compare,
        interval: of.interval.unwrap_or_default(),
        before: result.and_then(|result| result.comparison.as_ref()),
        began: of.initial_delay.unwrap_or_default().after(started_at),
    })
}

async fn job_reading(
    context: &Context,
    applier: &RunApplier<'_>,
    key: &Key,
    run: &AnalysisRun,
    due: &Due,
) -> Option<Reading> {
    let run_name = &key.1;
    let Some(name) = &due.running_job else {
        let name = job::name(run_name, due.metric, due.number);
        return match job::build(run, due.metric, due.number) {
            Ok(body) => match applier.create_job(run, &name, body).await {
                JobStart::Started => Some(Reading::JobRunning { name }),
                JobStart::Refused(message) => Some(Reading::JobUnstartable { name, message }),
                JobStart::Again => None,
            },
            Err(error) => Some(Reading::JobUnstartable { name, message: error.to_string() }),
        };
    };
    let Some(entry) = context.caches.jobs.get(&key.0, name) else {
        return Some(job::gone(name));
    };
    let pods = context.caches.job_pods.in_group(&key.0, name);
    let pods: Vec<Pod> = pods.into_iter().map(|(_, entry)| (*entry.value.pod).clone()).collect();
    Some(job::state(&entry.value.job, &pods))
}

/// Reads the Secrets that a metric needs, at each measurement: nothing of them is kept.
async fn secrets(
    context: &Context,
    namespace: &str,
    run: &AnalysisRun,
    metric: usize,
) -> Result<Secrets, String> {
    let mut values = Secrets::new();
    let Some(metric) = run.spec.metrics.get(metric) else { return Ok(values) };
    let api: Api<Secret> = Api::namespaced(context.client.clone(), namespace);
    for (name, key) in needed_secrets(metric, &run.spec.args) {
        let secret = api.get(&name).await.map_err(|error| match error {
            kube::Error::Api(status) if status.is_not_found() => {
                format!("Secret {namespace}/{name} does not exist")
            }
            error => {
                let why = rights::explained(&error);
                format!("Secret {namespace}/{name} cannot be read: {why}")
            }
        })?;
        let data = secret.data.unwrap_or_default();
        let value = data
            .get(&key)
            .ok_or_else(|| format!("Secret {namespace}/{name} has no key `{key}`"))?;
        let text = String::from_utf8(value.0.clone())
            .map_err(|_| format!("Secret {namespace}/{name}, key `{key}`: this is no text"))?;
        values.insert((name, key), text);
    }
    Ok(values)
}
