//! The comparisons that manifests ask for, and what they count of a service as a whole.
//!
//! A release tells its two revisions apart by a label. Before a release, and in the past, there is one
//! revision, and nobody knows its hash: here the counters have no revision.

use serde_json::Value;

use super::{Analysis, Templates, of_rollout};
use crate::{
    analysis::{
        arguments::{plain_values, substitute},
        compare::query,
    },
    api::{AnalysisArgument, Compare, Metric, PrometheusProvider, Rollout},
    traffic::istio::host::service_of,
    world::Program,
};

/// A comparison of a Rollout or a template.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Where it is asked for, and its name.
    pub place: String,
    /// The metric, its defaults put in.
    pub metric: Metric,
    /// Values of arguments.
    pub args: Vec<AnalysisArgument>,
    /// The Services that its Rollout names.
    services: Vec<String>,
    /// Where Istio's counter would be read by default.
    namespace: String,
}

impl Comparison {
    /// The comparison as written, its defaults put in.
    pub fn compare(&self) -> Compare {
        self.provider().compare.unwrap_or_default()
    }

    /// Whom to ask.
    pub fn provider(&self) -> PrometheusProvider {
        self.metric.provider.prometheus.clone().unwrap_or_default()
    }

    /// The counters of requests and of errors, of all revisions of the service; `errors` is nothing
    /// where the labels of `requests` say it.
    ///
    /// # Errors
    /// The default counter would count other services, too.
    pub fn counters(&self) -> Result<(String, Option<String>), String> {
        let compare = self.compare();
        let values = plain_values(&self.args);
        let filled = |text: &str| {
            substitute(text, &values).map_err(|error| format!("{}: compare: {error}", self.place))
        };
        let requests = filled(compare.requests.as_deref().unwrap_or_default())?;
        let errors = compare.errors.as_deref().map(filled).transpose()?;
        if requests != query::istio_requests(&self.namespace) {
            return Ok((requests, errors));
        }
        if self.services.is_empty() {
            return Err(format!(
                "{}: compare.requests: found none, which counts all services of namespace {} where there is no revision to choose; allowed is a counter of this service, or a Rollout that names its Services",
                self.place, self.namespace
            ));
        }
        let names = self.services.join("|");
        let requests = requests.trim_end_matches('}');
        Ok((format!("{requests},destination_service_name=~\"{names}\"}}"), errors))
    }
}

/// The comparisons of the Rollouts among the objects, then those of templates that no Rollout names;
/// with what cannot be made into a run, in sentences.
pub fn comparisons(
    objects: &[Value],
    default_namespace: &str,
    args: &[AnalysisArgument],
) -> (Vec<Comparison>, Vec<String>) {
    let (mut found, mut errors): (Vec<Comparison>, _) = (Vec::new(), Vec::new());
    let rollouts = objects.iter().filter(|object| object["kind"] == "Rollout");
    for object in rollouts {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or(default_namespace);
        let rollout: Rollout = match serde_json::from_value(object.clone()) {
            Ok(rollout) => rollout,
            Err(error) => {
                errors.push(format!("Rollout: {error}"));
                continue;
            }
        };
        let templates = Templates::of(objects, namespace);
        let services = services(&rollout, namespace, objects);
        for Analysis { owner, run } in of_rollout(object, &rollout, &templates) {
            match run {
                Ok(run) => add(&mut found, &owner, &run, &services, namespace),
                Err(error) => errors.push(error.sentence),
            }
        }
    }
    if found.is_empty() && errors.is_empty() {
        let templates = Templates::of(objects, default_namespace);
        for Analysis { owner, run } in templates.alone(default_namespace, args) {
            match run {
                Ok(run) => add(&mut found, &owner, &run, &[], default_namespace),
                Err(error) => errors.push(error.sentence),
            }
        }
    }
    (found, errors)
}

fn add(
    found: &mut Vec<Comparison>,
    owner: &str,
    run: &crate::api::AnalysisRunSpec,
    services: &[String],
    namespace: &str,
) {
    for metric in &run.metrics {
        let compare = metric.provider.prometheus.as_ref().and_then(|p| p.compare.as_ref());
        let twice = || found.iter().any(|known| known.metric == *metric && known.args == run.args);
        if compare.is_some() && !twice() {
            found.push(Comparison {
                place: format!("{owner}, metric {}", metric.name),
                metric: metric.clone(),
                args: run.args.clone(),
                services: services.to_vec(),
                namespace: namespace.to_owned(),
            });
        }
    }
}

/// The Services by which users reach the Rollout's pods.
fn services(rollout: &Rollout, namespace: &str, objects: &[Value]) -> Vec<String> {
    let program = Program::new(&rollout.spec);
    let named = [&program.stable_service, &program.canary_service];
    let mut found: Vec<String> = named.into_iter().flatten().cloned().collect();
    let rule = program.istio().and_then(|istio| istio.destination_rule.as_ref());
    let is = |object: &&Value| {
        object["kind"] == "DestinationRule"
            && rule.is_some_and(|rule| object["metadata"]["name"] == *rule.name)
    };
    let host = objects.iter().find(is).and_then(|rule| rule["spec"]["host"].as_str());
    found
        .extend(host.and_then(|host| service_of(host, namespace)).map(|(_, name)| name.to_owned()));
    found.sort();
    found.dedup();
    found
}
