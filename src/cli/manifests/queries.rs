//! The analysis of a Rollout: that it resolves, that its Secrets are there, and that the simulated
//! Prometheus understands its queries.

use serde_json::Value;

use super::{
    analyses::{Analysis, Templates, of_rollout},
    names_of, there,
};
use crate::{
    analysis::{
        arguments::{needed_secrets, plain_values, secret_arguments, substitute},
        compare,
    },
    api::{AnalysisRunSpec, Rollout},
    sim::{
        prometheus::{Database, Query},
        traffic::is_application_metric,
    },
};

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
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    let templates = Templates::of(objects, namespace);
    for Analysis { owner, run } in of_rollout(object, rollout, &templates) {
        match run {
            Err(error) => errors.push(error.sentence),
            Ok(run) => {
                errors.extend(secrets(&run, &owner, &templates, namespace, objects));
                for parsed in queries(&run, &owner, &templates) {
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

fn queries(
    run: &AnalysisRunSpec,
    owner: &str,
    templates: &Templates,
) -> Vec<Result<Measured, String>> {
    let all = texts(run, owner, templates).into_iter();
    let parsed = all.map(|(place, text)| match text {
        Err(error) => Err(format!("{place}: {error}")),
        Ok(text) => match Query::parse(&text) {
            Ok(query) => Ok(Measured { place, query }),
            Err(error) => Err(format!("{place}: {error}")),
        },
    });
    parsed.collect()
}

/// The queries of a run, each with where it is, and with its arguments put in.
pub fn texts(
    run: &AnalysisRunSpec,
    owner: &str,
    templates: &Templates,
) -> Vec<(String, Result<String, String>)> {
    let mut values = plain_values(&run.args);
    for name in secret_arguments(&run.args).into_keys() {
        values.insert(name.to_owned(), "secret".to_owned());
    }
    let filled = |place: String, text: &str| {
        (place, substitute(text, &values).map_err(|error| error.to_string()))
    };
    let asked = run.metrics.iter().filter_map(|metric| {
        let prometheus = metric.provider.prometheus.as_ref()?;
        let place = templates.owner_of(&metric.name, owner);
        Some(match &prometheus.compare {
            None => vec![filled(format!("{place}: query"), &prometheus.query)],
            Some(compare) => compare::query::queries(compare, compare::query::FIRST)
                .iter()
                .map(|(text, _)| filled(format!("{place}: compare"), text))
                .collect(),
        })
    });
    asked.flatten().collect()
}

fn secrets(
    run: &AnalysisRunSpec,
    owner: &str,
    templates: &Templates,
    namespace: &str,
    objects: &[Value],
) -> Vec<String> {
    let mut errors = Vec::new();
    for metric in &run.metrics {
        for (name, key) in needed_secrets(metric, &run.args) {
            let place = templates.owner_of(&metric.name, owner);
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
