//! The analysis of a Rollout: that it resolves, that its Secrets are there, and that the simulated
//! Prometheus understands its queries.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::{names_of, there};
use crate::{
    analysis::{
        arguments::{needed_secrets, plain_values, secret_arguments, substitute},
        compare,
        template::{Library, Request, Subject, resolve},
    },
    api::{AnalysisRunSpec, AnalysisTemplateSpec, Rollout},
    sim::{
        prometheus::{Database, Query},
        traffic::is_application_metric,
    },
    world::{Program, StrategyKind},
};

/// What stands for the hash of a revision that does not exist yet.
const SOME_REVISION: &str = "revision";

/// A query of the Rollout.
#[derive(Debug)]
pub struct Measured {
    /// Where it is.
    place: String,
    query: Query,
}

impl Measured {
    /// The metrics of requests that only the application itself can have.
    pub fn application_metrics(&self) -> impl Iterator<Item = String> {
        self.query.metrics().into_iter().filter(|name| is_application_metric(name))
    }

    /// A sentence for each metric that the query reads and `samples` do not have.
    pub fn warnings(&self, samples: &Database) -> Vec<String> {
        let there: Vec<&str> = samples.names().collect();
        let unknown = self.query.unknown_metrics(samples).into_iter();
        let sentence = |name: String| {
            format!(
                "{}: the simulation has no samples of {name}, so the query will have no data; there is {}",
                self.place,
                there.join(", ")
            )
        };
        unknown.map(sentence).collect()
    }
}

type Templates = BTreeMap<String, Arc<AnalysisTemplateSpec>>;

/// Checks each analysis of the Rollout. Returns its queries.
///
/// # Errors
/// All that is wrong, each in a sentence.
pub(super) fn check(
    object: &Value,
    rollout: &Rollout,
    namespace: &str,
    objects: &[Value],
) -> Result<Vec<Measured>, Vec<String>> {
    let templates = templates_in(objects, "AnalysisTemplate", Some(namespace));
    let cluster_templates = templates_in(objects, "ClusterAnalysisTemplate", None);
    let library = Library { templates: &templates, cluster_templates: &cluster_templates };
    let subject = Subject { rollout: object, stable: Some(SOME_REVISION), latest: SOME_REVISION };
    let name = rollout.metadata.name.as_deref().unwrap_or_default();
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    for (place, request) in requests(&Program::new(&rollout.spec)) {
        let owner = format!("Rollout {name}: {place}");
        match resolve(&request, &library, &subject) {
            Err(error) => {
                let names: Vec<&str> =
                    templates.keys().chain(cluster_templates.keys()).map(String::as_str).collect();
                errors.push(format!("{owner}.{error} (templates: {})", there(&names)));
            }
            Ok(run) => {
                errors.extend(secrets(&run, &owner, &library, namespace, objects));
                for parsed in queries(&run, &owner, &library) {
                    match parsed {
                        Ok(measured) => found.push(measured),
                        Err(error) => errors.push(error),
                    }
                }
            }
        }
    }
    if errors.is_empty() { Ok(found) } else { Err(errors) }
}

/// Each place that asks for an analysis.
pub(in crate::cli) fn requests(program: &Program) -> Vec<(String, Request<'_>)> {
    let mut found = Vec::new();
    if let Some(analysis) = &program.analysis {
        let request = Request {
            templates: &analysis.templates,
            metrics: &analysis.metrics,
            args: &analysis.args,
        };
        found.push((format!("{}.analysis", program.field()), request));
    }
    for step in &program.steps {
        if let Some(analysis) = &step.step.analysis {
            let request = Request {
                templates: &analysis.templates,
                metrics: &analysis.metrics,
                args: &analysis.args,
            };
            let field = match program.strategy {
                StrategyKind::Canary => ".analysis",
                StrategyKind::BlueGreen | StrategyKind::Rolling => "",
            };
            found.push((format!("{}{field}", step.field), request));
        }
    }
    found
}

fn templates_in(objects: &[Value], kind: &str, namespace: Option<&str>) -> Templates {
    let is = |object: &&Value| {
        object["kind"] == *kind
            && namespace.is_none_or(|namespace| object["metadata"]["namespace"] == *namespace)
    };
    let read = objects.iter().filter(is).filter_map(|object| {
        let spec = serde_json::from_value(object["spec"].clone()).ok()?;
        Some((object["metadata"]["name"].as_str()?.to_owned(), Arc::new(spec)))
    });
    read.collect()
}

/// Where a metric is written: names are unique in a run.
fn owner_of(metric: &str, owner: &str, library: &Library<'_>) -> String {
    let has = |spec: &AnalysisTemplateSpec| spec.metrics.iter().any(|m| m.name == metric);
    let of = |templates: &Templates, kind: &str| {
        let mut found = templates.iter().filter(|(_, spec)| has(spec));
        found.next().map(|(name, _)| format!("{kind} {name}, metric {metric}"))
    };
    of(library.templates, "AnalysisTemplate")
        .or_else(|| of(library.cluster_templates, "ClusterAnalysisTemplate"))
        .unwrap_or_else(|| format!("{owner}, metric {metric}"))
}

fn queries(
    run: &AnalysisRunSpec,
    owner: &str,
    library: &Library<'_>,
) -> Vec<Result<Measured, String>> {
    let mut values = plain_values(&run.args);
    for name in secret_arguments(&run.args).into_keys() {
        values.insert(name.to_owned(), "secret".to_owned());
    }
    let parsed = |place: String, text: &str| match substitute(text, &values) {
        Err(error) => Err(format!("{place}: {error}")),
        Ok(text) => match Query::parse(&text) {
            Ok(query) => Ok(Measured { place, query }),
            Err(error) => Err(format!("{place}: {error}")),
        },
    };
    let asked = run.metrics.iter().filter_map(|metric| {
        let prometheus = metric.provider.prometheus.as_ref()?;
        let place = owner_of(&metric.name, owner, library);
        Some(match &prometheus.compare {
            None => vec![parsed(format!("{place}: query"), &prometheus.query)],
            Some(compare) => compare::query::queries(compare, compare::query::FIRST)
                .iter()
                .map(|(text, _)| parsed(format!("{place}: compare"), text))
                .collect(),
        })
    });
    asked.flatten().collect()
}

fn secrets(
    run: &AnalysisRunSpec,
    owner: &str,
    library: &Library<'_>,
    namespace: &str,
    objects: &[Value],
) -> Vec<String> {
    let mut errors = Vec::new();
    for metric in &run.metrics {
        for (name, key) in needed_secrets(metric, &run.args) {
            let place = owner_of(&metric.name, owner, library);
            let is = |object: &&Value| {
                object["kind"] == "Secret"
                    && object["metadata"]["name"] == *name
                    && object["metadata"]["namespace"] == *namespace
            };
            let Some(secret) = objects.iter().find(is) else {
                let names = names_of(objects, "Secret", Some(namespace));
                errors.push(format!(
                    "{place}: there is no Secret {name} in namespace {namespace}; {}",
                    there(&names)
                ));
                continue;
            };
            if secret["data"][&key].is_null() && secret["stringData"][&key].is_null() {
                errors.push(format!("{place}: Secret {name} has no key {key}"));
            }
        }
    }
    errors
}
