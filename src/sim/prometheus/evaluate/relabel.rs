//! Functions that change labels.
//!
//! In: samples and the arguments of `label_replace` or `label_join`. Out: the samples with a label
//! set, or taken away by an empty value.

use regex::Regex;

use super::{Sample, unique};
use crate::sim::prometheus::QueryError;

/// Sets `target` from the groups of `pattern` where it matches the whole of the label `source`.
pub(super) fn replace(
    samples: Vec<Sample>,
    [target, replacement, source, pattern]: [&str; 4],
) -> Result<Vec<Sample>, QueryError> {
    let regex = Regex::new(&format!("^(?s:{pattern})$")).map_err(|_| {
        QueryError::Execution(format!("invalid regular expression in label_replace(): {pattern}"))
    })?;
    check("label_replace", "destination", target)?;
    let replaced = samples.into_iter().map(|sample| {
        let Some(found) = regex.captures(sample.labels.get(source)) else { return sample };
        let mut value = String::new();
        found.expand(replacement, &mut value);
        Sample { labels: sample.labels.with(target, &value), ..sample }
    });
    unique(replaced.collect())
}

/// Sets `target` to the values of `sources`.
pub(super) fn join(
    samples: Vec<Sample>,
    target: &str,
    separator: &str,
    sources: &[String],
) -> Result<Vec<Sample>, QueryError> {
    for source in sources {
        check("label_join", "source", source)?;
    }
    check("label_join", "destination", target)?;
    let joined = samples.into_iter().map(|sample| {
        let values: Vec<&str> = sources.iter().map(|source| sample.labels.get(source)).collect();
        Sample { labels: sample.labels.with(target, &values.join(separator)), ..sample }
    });
    unique(joined.collect())
}

/// Prometheus 3 takes any name that is not empty.
fn check(function: &str, which: &str, name: &str) -> Result<(), QueryError> {
    if name.is_empty() {
        return Err(QueryError::Execution(format!(
            "invalid {which} label name in {function}(): {name}"
        )));
    }
    Ok(())
}
