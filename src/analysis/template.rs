//! From templates to the spec of a run.
//!
//! In: what a Rollout asks for (templates by name, inline metrics, arguments), the templates that
//! there are, and the Rollout itself. Out: an `AnalysisRunSpec` that depends on nothing else any
//! more, so that a later edit of a template does not change a running release; or a sentence that
//! names the field, what was found, and what is allowed.
//!
//! Fields in errors are relative to the place that asks: `templates[1].metrics[0].interval`.

mod count;
mod flatten;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use self::count::counted;
use self::flatten::{Part, flatten};
use super::arguments::{field, known_names, revision};
use super::compare::query::filled;
use super::validate::{self, MAX_ARGUMENTS, MAX_METRICS, Pattern};
use crate::api::{
    AnalysisArgument, AnalysisRunSpec, AnalysisTemplateSpec, ArgumentSource, DryRun,
    MeasurementRetention, Metric, TemplateRef,
};

/// What a Rollout asks for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Templates by name.
    pub templates: &'a [TemplateRef],
    /// Metrics without a template.
    pub metrics: &'a [Metric],
    /// Arguments; they win over the defaults of templates.
    pub args: &'a [AnalysisArgument],
}

/// The templates that there are, by name.
#[derive(Clone, Copy, Debug)]
pub struct Library<'a> {
    /// Those in the Rollout's namespace.
    pub templates: &'a BTreeMap<String, Arc<AnalysisTemplateSpec>>,
    /// Those of the cluster.
    pub cluster_templates: &'a BTreeMap<String, Arc<AnalysisTemplateSpec>>,
}

/// What is analysed.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The Rollout as JSON, for `fieldRef`.
    pub rollout: &'a Value,
    /// Hash of the stable revision; nothing before the first release has ended.
    pub stable: Option<&'a str>,
    /// Hash of the newest revision.
    pub latest: &'a str,
}

/// Why no run can be made. All of these wait for a person: asking again changes nothing until a
/// Rollout or template is edited.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// A template is not there.
    #[error("{field}: there is no {kind} \"{name}\"{}", via(chain))]
    MissingTemplate {
        /// The reference.
        field: String,
        /// `AnalysisTemplate` or `ClusterAnalysisTemplate`.
        kind: &'static str,
        /// The name that was asked for.
        name: String,
        /// The templates that led there, outermost first.
        chain: Vec<String>,
    },
    /// Templates refer to each other in a circle.
    #[error("{field}: templates refer to each other in a circle: {}", chain.join(" -> "))]
    Circle {
        /// The reference that closes the circle.
        field: String,
        /// The templates, outermost first; the last is one of the former.
        chain: Vec<String>,
    },
    /// Two templates have different defaults for one argument, and nobody decides.
    #[error(
        "{second}: found another default for argument \"{name}\" than in {first}; allowed is one \
         default, or a value in args"
    )]
    DefaultsDiffer {
        /// The argument.
        name: String,
        /// The field with the first default.
        first: String,
        /// The field with the other.
        second: String,
    },
    /// A field is wrong.
    #[error("{field}: found {found}, allowed is {allowed}")]
    Invalid {
        /// Where.
        field: String,
        /// What was found there.
        found: String,
        /// What is allowed there.
        allowed: String,
    },
}

fn via(chain: &[String]) -> String {
    if chain.is_empty() {
        String::new()
    } else {
        format!(", referred to by {}", chain.join(" -> "))
    }
}

/// Makes the spec of a run: flattens the templates (each is taken once), merges arguments, puts
/// `fieldRef` and revision hashes in as values (a secret stays a reference), and checks all of it.
///
/// A `dryRun` or `measurementRetention` of a template speaks of its own metrics and of those it
/// composes, not of its neighbours': else `.*` in one template would disarm all others. In the
/// result each names one metric.
///
/// # Errors
///
/// See [`ResolveError`].
pub fn resolve(
    request: &Request,
    library: &Library,
    subject: &Subject,
) -> Result<AnalysisRunSpec, ResolveError> {
    let parts = flatten(request.templates, library)?;
    let args = merge_arguments(request.args, &parts)?
        .into_iter()
        .map(|(path, argument)| resolve_argument(&path, argument, subject))
        .collect::<Result<Vec<_>, _>>()?;
    check_size("args", args.len(), MAX_ARGUMENTS)?;

    let inline = request
        .metrics
        .iter()
        .enumerate()
        .map(|(index, metric)| (format!("metrics[{index}]"), metric));
    let composed = parts.iter().flat_map(|part| {
        let metrics = part.spec.metrics.iter().enumerate();
        metrics.map(move |(index, metric)| (format!("{}.metrics[{index}]", part.path), metric))
    });
    let metrics: Vec<(String, &Metric)> = composed.chain(inline).collect();
    check_size("metrics", metrics.len(), MAX_METRICS)?;
    if metrics.is_empty() {
        return Err(invalid("templates", "no metrics", "at least one, in templates or metrics"));
    }
    let metrics = metrics
        .into_iter()
        .map(|(path, metric)| {
            let metric = filled(&path, counted(&path, metric, &args)?, &args, subject)?;
            Ok((path, metric))
        })
        .collect::<Result<Vec<_>, _>>()?;
    validate::metrics(metrics.iter().map(|(path, metric)| (path.as_str(), metric)), &args)?;

    let (dry_run, measurement_retention) = scoped(&parts)?;
    Ok(AnalysisRunSpec {
        args,
        metrics: metrics.into_iter().map(|(_, metric)| metric).collect(),
        dry_run,
        measurement_retention,
        comparisons: None,
        ttl: parts.iter().filter_map(|part| part.spec.ttl).min(),
        terminate: false,
    })
}

/// The arguments with the place they come from: those asked for, then the templates' own.
fn merge_arguments<'a>(
    given: &'a [AnalysisArgument],
    parts: &[Part<'a>],
) -> Result<Vec<(String, &'a AnalysisArgument)>, ResolveError> {
    let mut merged: Vec<(String, &AnalysisArgument)> = Vec::new();
    for (index, argument) in given.iter().enumerate() {
        let path = format!("args[{index}]");
        if merged.iter().any(|(_, other)| other.name == argument.name) {
            return Err(invalid(
                format!("{path}.name"),
                format!("a second \"{}\"", argument.name),
                "each name once",
            ));
        }
        merged.push((path, argument));
    }
    let fixed: BTreeSet<&str> = given
        .iter()
        .filter(|argument| has_value(argument))
        .map(|argument| argument.name.as_str())
        .collect();
    for part in parts {
        for (index, argument) in part.spec.args.iter().enumerate() {
            let path = format!("{}.args[{index}]", part.path);
            let known = merged.iter_mut().find(|(_, known)| known.name == argument.name);
            match known {
                None => merged.push((path, argument)),
                Some(_) if fixed.contains(argument.name.as_str()) || !has_value(argument) => {}
                Some(known) if !has_value(known.1) => *known = (path, argument),
                Some((_, known)) if *known == argument => {}
                Some((first, _)) => {
                    return Err(ResolveError::DefaultsDiffer {
                        name: argument.name.clone(),
                        first: first.clone(),
                        second: path,
                    });
                }
            }
        }
    }
    Ok(merged)
}

fn has_value(argument: &AnalysisArgument) -> bool {
    argument.value.is_some() || argument.value_from.is_some()
}

/// An argument with its value, or with its reference to a Secret.
fn resolve_argument(
    path: &str,
    argument: &AnalysisArgument,
    subject: &Subject,
) -> Result<AnalysisArgument, ResolveError> {
    let with_value = |value: &str| AnalysisArgument {
        name: argument.name.clone(),
        value: Some(value.to_owned()),
        value_from: None,
    };
    let source = match (&argument.value, &argument.value_from) {
        (Some(_), None) => return Ok(argument.clone()),
        (None, Some(source)) => source,
        (Some(_), Some(_)) => {
            return Err(invalid(path, "value and valueFrom", "one of them"));
        }
        (None, None) => {
            return Err(invalid(
                path,
                format!("no value for \"{}\"", argument.name),
                "value or valueFrom, in args or as a default in a template",
            ));
        }
    };
    match source {
        ArgumentSource {
            secret_key_ref: Some(_),
            field_ref: None,
            pod_template_hash_value: None,
        } => Ok(argument.clone()),
        ArgumentSource {
            secret_key_ref: None,
            field_ref: Some(from),
            pod_template_hash_value: None,
        } => match field(subject.rollout, &from.field_path) {
            Ok(value) => Ok(with_value(&value)),
            Err(reason) => Err(invalid(
                format!("{path}.valueFrom.fieldRef.fieldPath"),
                format!("`{}`: {reason}", from.field_path),
                "a field of the Rollout with a value",
            )),
        },
        ArgumentSource {
            secret_key_ref: None,
            field_ref: None,
            pod_template_hash_value: Some(choice),
        } => revision(*choice, subject.stable, subject.latest).map(with_value).ok_or_else(|| {
            invalid(
                format!("{path}.valueFrom.podTemplateHashValue"),
                "Stable, but there is no stable revision yet",
                "Latest in a first release",
            )
        }),
        _ => Err(invalid(
            format!("{path}.valueFrom"),
            "none or several sources",
            "exactly one of secretKeyRef, fieldRef, podTemplateHashValue",
        )),
    }
}

/// Dry runs and retentions by the exact name of each metric they match.
fn scoped(parts: &[Part]) -> Result<(Vec<DryRun>, Vec<MeasurementRetention>), ResolveError> {
    let mut dry = BTreeSet::new();
    let mut keep = BTreeMap::new();
    // Inner parts come later: walking backwards, the innermost retention is met first and stays.
    for (at, part) in parts.iter().enumerate().rev() {
        let composed = parts.get(at..part.end).unwrap_or_default();
        let names: Vec<&str> = composed
            .iter()
            .flat_map(|part| part.spec.metrics.iter().map(|metric| metric.name.as_str()))
            .collect();
        for (index, each) in part.spec.dry_run.iter().enumerate() {
            let path = format!("{}.dryRun[{index}].metricName", part.path);
            let pattern = Pattern::compile(&path, &each.metric_name)?;
            dry.extend(names.iter().filter(|name| pattern.matches(name)));
        }
        for (index, each) in part.spec.measurement_retention.iter().enumerate() {
            let path = format!("{}.measurementRetention[{index}]", part.path);
            let pattern = Pattern::compile(&format!("{path}.metricName"), &each.metric_name)?;
            validate::retention_limit(&path, each.limit)?;
            for name in names.iter().filter(|name| pattern.matches(name)) {
                keep.entry(*name).or_insert(each.limit);
            }
        }
    }
    let dry = dry.into_iter().map(|name| DryRun { metric_name: exact(name) });
    let keep = keep
        .into_iter()
        .map(|(name, limit)| MeasurementRetention { metric_name: exact(name), limit });
    Ok((dry.collect(), keep.collect()))
}

/// A pattern that matches this name only; plain names stay readable.
fn exact(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if plain { name.to_owned() } else { regex::escape(name) }
}

fn check_size(field: &str, found: usize, allowed: usize) -> Result<(), ResolveError> {
    if found <= allowed {
        return Ok(());
    }
    Err(invalid(
        field,
        format!("{found} with all that the templates add"),
        format!("at most {allowed} in one run"),
    ))
}

/// The names of arguments, for an error.
pub(super) fn argument_names(args: &[AnalysisArgument]) -> String {
    known_names(args.iter().map(|argument| argument.name.as_str()))
}

/// A [`ResolveError::Invalid`] with bounded texts.
pub(super) fn invalid(
    field: impl Into<String>,
    found: impl AsRef<str>,
    allowed: impl Into<String>,
) -> ResolveError {
    ResolveError::Invalid {
        field: field.into(),
        found: super::text::bounded(found.as_ref(), 250),
        allowed: allowed.into(),
    }
}

#[cfg(test)]
mod tests;
