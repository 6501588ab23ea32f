//! What only a try can tell: queries are asked from here, Jobs created in a dry run.

use jiff::Timestamp;
use kube::api::{DynamicObject, PostParams};
use serde_json::Value;

use super::snapshot::{Answer, Answered, Refusal, Tried};
use crate::{
    analysis::{
        arguments::{Secrets, needed_secrets},
        compare::query,
        provider::{
            job,
            prometheus::{HttpClients, measure},
        },
        text::numbers,
        verdict::Reading,
    },
    api::{AnalysisRun, AnalysisRunSpec, Metric, PrometheusProvider},
    cli::session::Session,
    sim::api::resource,
};

/// The longest that a Prometheus may take to answer a person.
const PATIENCE: crate::api::Duration = crate::api::Duration::from_secs(10);

/// How errors begin that say nothing of the query: nobody answered from here.
const SILENCE: [&str; 5] =
    ["cannot reach", "no answer from", "did not answer", "cannot be made", "cannot be set up"];

/// Asks the queries of a run.
pub async fn queries(
    place: &str,
    run: &AnalysisRunSpec,
    prometheus_url: Option<&str>,
    now: Timestamp,
) -> Vec<Answered> {
    let http = HttpClients::new();
    let mut found = Vec::new();
    for metric in &run.metrics {
        let Some(provider) = &metric.provider.prometheus else { continue };
        let place = format!("{place}, metric {}", metric.name);
        for provider in asked(provider) {
            let answer = answer(metric, provider, run, prometheus_url, &http, now).await;
            found.push(Answered { place: place.clone(), answer });
        }
    }
    found
}

/// The provider with each query that it would ask; a comparison's counters are counted.
fn asked(provider: &PrometheusProvider) -> Vec<PrometheusProvider> {
    let with = |query: String| PrometheusProvider {
        query,
        compare: None,
        timeout: Some(provider.timeout.map_or(PATIENCE, |timeout| timeout.min(PATIENCE))),
        ..provider.clone()
    };
    match &provider.compare {
        None => vec![with(provider.query.clone())],
        Some(compare) => query::queries(compare, query::FIRST)
            .into_iter()
            .map(|(query, _)| with(format!("count(count_over_time({query}))")))
            .collect(),
    }
}

async fn answer(
    metric: &Metric,
    mut provider: PrometheusProvider,
    run: &AnalysisRunSpec,
    prometheus_url: Option<&str>,
    http: &HttpClients,
    now: Timestamp,
) -> Answer {
    if !needed_secrets(metric, &run.args).is_empty() {
        return Answer::NotAsked("it logs in with a Secret, which is not read here".to_owned());
    }
    if prometheus_url.is_some() {
        provider.address = None;
    }
    if provider.address.is_none() && prometheus_url.is_none() {
        return Answer::NotAsked(
            "its address is the controller's --prometheus-url, which is not known here".to_owned(),
        );
    }
    let reading = measure(&provider, &run.args, &Secrets::new(), http, prometheus_url, now).await;
    match reading {
        Reading::Scalar { value, .. } => Answer::Data(numbers(&[value])),
        Reading::Vector { values, .. } if values.is_empty() => Answer::NoData(String::new()),
        Reading::Vector { values, .. } => Answer::Data(numbers(&values)),
        Reading::NoData(why) => Answer::NoData(why),
        Reading::Error(why) if SILENCE.iter().any(|words| why.contains(words)) => {
            Answer::NotAsked(why)
        }
        Reading::Error(why) => Answer::Error(why),
        _ => Answer::NotAsked("its provider is no query".to_owned()),
    }
}

/// Creates the Jobs of a run, in a dry run of the API server.
pub async fn jobs(session: &Session<'_>, place: &str, run: &AnalysisRunSpec) -> Vec<Tried> {
    let mut found = Vec::new();
    for (index, metric) in run.metrics.iter().enumerate() {
        if metric.provider.job.is_none() {
            continue;
        }
        let place = format!("{place}, metric {}", metric.name);
        let mut owner = AnalysisRun::new("preflight", run.clone());
        owner.metadata.namespace = Some(session.namespace.clone());
        owner.metadata.uid = Some("00000000-0000-0000-0000-000000000000".to_owned());
        let refusal = match job::build(&owner, index, 1) {
            Err(error) => Some(Refusal::Job(error.to_string())),
            Ok(job) => tried(session, job).await,
        };
        found.push(Tried { place, refusal });
    }
    found
}

async fn tried(session: &Session<'_>, mut job: Value) -> Option<Refusal> {
    if let Some(metadata) = job["metadata"].as_object_mut() {
        metadata.remove("ownerReferences");
    }
    let object: DynamicObject = match serde_json::from_value(job) {
        Ok(object) => object,
        Err(error) => return Some(Refusal::Job(error.to_string())),
    };
    let parameters = PostParams { dry_run: true, ..PostParams::default() };
    let api = session.objects(&resource::JOB, &session.namespace);
    match api.create(&parameters, &object).await {
        Ok(_) => None,
        Err(kube::Error::Api(status))
            if status.code == 403 && status.message.contains("cannot create resource") =>
        {
            Some(Refusal::NotTried("you may not create Jobs, so that it was not tried".to_owned()))
        }
        Err(kube::Error::Api(status)) => Some(Refusal::Job(status.message.clone())),
        Err(error) => Some(Refusal::NotTried(error.to_string())),
    }
}
