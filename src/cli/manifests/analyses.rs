//! The analyses that manifests ask for, made into runs.
//!
//! In: a Rollout with the templates beside it, or templates alone. Out: for each place that asks for an
//! analysis its run, or why there can be none.

use std::{collections::BTreeMap, str::FromStr, sync::Arc};

use serde_json::Value;

use super::there;
use crate::{
    analysis::template::{Library, Request, ResolveError, Subject, resolve},
    api::{
        AnalysisArgument, AnalysisRunSpec, AnalysisTemplateSpec, Metric, PrometheusProvider,
        Provider, Rollout, TemplateRef,
    },
    world::{Program, StrategyKind},
};

/// What stands for the hash of a revision that does not exist yet.
const SOME_REVISION: &str = "revision";

const OWN: &str = "AnalysisTemplate";
const CLUSTER: &str = "ClusterAnalysisTemplate";

/// An analysis that something asks for.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// What asks for it: `Rollout checkout: spec.strategy.canary.analysis`.
    pub owner: String,
    /// What runs, or why nothing can.
    pub run: Result<AnalysisRunSpec, Unresolved>,
}

/// Why there is no run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// What is wrong, and where.
    pub sentence: String,
    /// Whether a template is not there.
    pub no_template: bool,
}

impl Unresolved {
    fn of(error: &ResolveError, sentence: String) -> Self {
        let no_template = matches!(error, ResolveError::MissingTemplate { .. });
        Self { sentence, no_template }
    }
}

/// The templates that a Rollout may name.
#[derive(Clone, Debug, Default)]
pub struct Templates {
    own: BTreeMap<String, Arc<AnalysisTemplateSpec>>,
    cluster: BTreeMap<String, Arc<AnalysisTemplateSpec>>,
}

/// A value for an argument, as `NAME=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument(pub AnalysisArgument);

impl FromStr for Argument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => Ok(Self(AnalysisArgument {
                name: name.trim().to_owned(),
                value: Some(value.to_owned()),
                value_from: None,
            })),
            _ => Err(format!("found `{text}`, allowed is NAME=VALUE")),
        }
    }
}

// === impl Templates ===

impl Templates {
    /// Those among the objects that a Rollout of the namespace may name.
    pub fn of(objects: &[Value], namespace: &str) -> Self {
        Self {
            own: templates_in(objects, OWN, Some(namespace)),
            cluster: templates_in(objects, CLUSTER, None),
        }
    }

    fn library(&self) -> Library<'_> {
        Library { templates: &self.own, cluster_templates: &self.cluster }
    }

    fn names(&self) -> String {
        there(&self.own.keys().chain(self.cluster.keys()).map(String::as_str).collect::<Vec<_>>())
    }

    /// Where a metric is written: names are unique in a run.
    pub fn owner_of(&self, metric: &str, owner: &str) -> String {
        let has = |spec: &AnalysisTemplateSpec| spec.metrics.iter().any(|m| m.name == metric);
        let of = |templates: &BTreeMap<String, Arc<AnalysisTemplateSpec>>, kind: &str| {
            let mut found = templates.iter().filter(|(_, spec)| has(spec));
            found.next().map(|(name, _)| format!("{kind} {name}, metric {metric}"))
        };
        of(&self.own, OWN)
            .or_else(|| of(&self.cluster, CLUSTER))
            .unwrap_or_else(|| format!("{owner}, metric {metric}"))
    }

    /// Each template by itself, as a Rollout in `namespace` would ask for it with these arguments.
    pub fn alone(&self, namespace: &str, args: &[AnalysisArgument]) -> Vec<Analysis> {
        let all = self.kinds().into_iter();
        all.map(|(kind, name, _)| self.one(kind, name, namespace, args)).collect()
    }

    /// The same, but each metric by itself, so that one that is wrong does not hide the next: in its
    /// template the others are harmless ones.
    pub fn metric_by_metric(&self, namespace: &str, args: &[AnalysisArgument]) -> Vec<Analysis> {
        let mut found = Vec::new();
        for (kind, name, spec) in self.kinds() {
            for metric in 0..spec.metrics.len().max(1) {
                let mut spec = (**spec).clone();
                for (index, other) in spec.metrics.iter_mut().enumerate() {
                    if index != metric {
                        *other = harmless(&other.name);
                    }
                }
                let mut one = self.clone();
                let own = if kind == OWN { &mut one.own } else { &mut one.cluster };
                own.insert(name.to_owned(), Arc::new(spec));
                found.push(one.one(kind, name, namespace, args));
            }
        }
        found
    }

    /// Kind, name and spec of all of them.
    fn kinds(&self) -> Vec<(&'static str, &str, &Arc<AnalysisTemplateSpec>)> {
        let own = self.own.iter().map(|(name, spec)| (OWN, name.as_str(), spec));
        own.chain(self.cluster.iter().map(|(name, spec)| (CLUSTER, name.as_str(), spec))).collect()
    }

    /// One template by itself.
    fn one(&self, kind: &str, name: &str, namespace: &str, args: &[AnalysisArgument]) -> Analysis {
        let rollout = serde_json::json!({"metadata": {"namespace": namespace, "name": "rollout"}});
        let subject =
            Subject { rollout: &rollout, stable: Some(SOME_REVISION), latest: SOME_REVISION };
        let cluster_scope = kind == CLUSTER;
        let spec = if cluster_scope { self.cluster.get(name) } else { self.own.get(name) };
        let templates = [TemplateRef { template_name: name.to_owned(), cluster_scope }];
        let is_its = |arg: &&AnalysisArgument| spec.is_some_and(|spec| uses(spec, &arg.name));
        let given: Vec<AnalysisArgument> = args.iter().filter(is_its).cloned().collect();
        let request = Request { templates: &templates, metrics: &[], args: &given };
        let owner = format!("{kind} {name}");
        let run = resolve(&request, &self.library(), &subject).map_err(|refused| {
            let error = refused.to_string();
            // It speaks of the template itself, which nobody names here.
            let field = error.strip_prefix("templates[0]");
            let sentence = match field.map(|rest| rest.trim_start_matches(['.', ':', ' '])) {
                Some(field) => format!("{owner}: spec.{field}"),
                None => format!("{owner}: {error}"),
            };
            Unresolved::of(&refused, sentence)
        });
        Analysis { owner, run }
    }

    /// The arguments that a template has no value for.
    pub fn open_arguments(&self) -> Vec<String> {
        let all = self.own.values().chain(self.cluster.values()).flat_map(|spec| &spec.args);
        let open = all.filter(|arg| arg.value.is_none() && arg.value_from.is_none());
        let names: std::collections::BTreeSet<String> = open.map(|arg| arg.name.clone()).collect();
        names.into_iter().collect()
    }
}

/// A metric that nothing is wrong with.
fn harmless(name: &str) -> Metric {
    let provider =
        PrometheusProvider { query: "vector(1)".to_owned(), ..PrometheusProvider::default() };
    Metric {
        name: name.to_owned(),
        success_condition: Some("result[0] > 0".to_owned()),
        provider: Provider { prometheus: Some(provider), ..Provider::default() },
        ..Metric::default()
    }
}

/// Whether an argument belongs to a template, or to one that it may compose.
fn uses(spec: &AnalysisTemplateSpec, name: &str) -> bool {
    !spec.templates.is_empty() || spec.args.iter().any(|arg| arg.name == name)
}

fn templates_in(
    objects: &[Value],
    kind: &str,
    namespace: Option<&str>,
) -> BTreeMap<String, Arc<AnalysisTemplateSpec>> {
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

/// Each analysis of a Rollout.
pub fn of_rollout(object: &Value, rollout: &Rollout, templates: &Templates) -> Vec<Analysis> {
    let subject = Subject { rollout: object, stable: Some(SOME_REVISION), latest: SOME_REVISION };
    let name = rollout.metadata.name.as_deref().unwrap_or_default();
    let program = Program::new(&rollout.spec);
    let run = |(place, request): (String, Request<'_>)| {
        let owner = format!("Rollout {name}: {place}");
        let run = resolve(&request, &templates.library(), &subject).map_err(|error| {
            let sentence = format!("{owner}.{error} (templates: {})", templates.names());
            Unresolved::of(&error, sentence)
        });
        Analysis { owner, run }
    };
    requests(&program).into_iter().map(run).collect()
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
