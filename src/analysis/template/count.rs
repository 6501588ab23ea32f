//! `count` from an argument, so that one template serves beside the steps and within one.
//!
//! In: a metric whose `count` may be `"{{args.NAME}}"`, and the arguments of the run. Out: the
//! metric with a number, or endless; or what is wrong.

use super::{ResolveError, argument_names, invalid};
use crate::analysis::arguments::{placeholders, plain_values, secret_arguments};
use crate::api::{AnalysisArgument, Count, Metric};

/// Most measurements that an argument may ask for, as the CRD has it for a number.
const MOST: i32 = 100_000;

/// The metric with its number of measurements. The value 0 stands for none: without an end.
pub(super) fn counted(
    path: &str,
    metric: &Metric,
    args: &[AnalysisArgument],
) -> Result<Metric, ResolveError> {
    let mut metric = metric.clone();
    let Some(Count::Argument(text)) = &metric.count else { return Ok(metric) };
    let path = format!("{path}.count");
    let allowed =
        || format!("a number, or {{{{args.NAME}}}} with the names {}", argument_names(args));
    let names = placeholders(text).unwrap_or_default();
    let name = names.first().filter(|name| {
        let inside = text.trim_start_matches('{').trim_end_matches('}').trim();
        inside.strip_prefix("args.") == Some(**name)
    });
    let Some(name) = name else { return Err(invalid(path, format!("`{text}`"), allowed())) };
    if secret_arguments(args).contains_key(name) {
        let found = format!("{text}, which stands for a secret");
        return Err(invalid(path, found, "an argument with a value"));
    }
    let values = plain_values(args);
    let Some(value) = values.get(*name) else {
        return Err(invalid(path, text, allowed()));
    };
    let number = value.trim().parse().ok().filter(|number| (0..=MOST).contains(number));
    let Some(number) = number else {
        let found = format!("{text}, which is `{value}`");
        return Err(invalid(path, found, format!("a whole number up to {MOST}; 0 is without end")));
    };
    metric.count = (number > 0).then_some(Count::Number(number));
    Ok(metric)
}
