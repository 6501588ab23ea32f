//! Rows of cells to counts. Every error names the place, the column, what was found and what is
//! allowed.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::table::Record;

/// Which pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Arm {
    Canary,
    Stable,
}

/// What one row counted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// End of the interval in seconds, from any beginning.
    pub(super) seconds: f64,
    /// The same, as written.
    pub(super) time: String,
    pub(super) arm: Arm,
    pub(super) pod: String,
    pub(super) requests: u32,
    /// Nothing in a file without errors.
    pub(super) errors: Option<u32>,
    /// Requests above each bound.
    pub(super) above: Vec<u32>,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rows {
    /// Ordered by time, then arm, then pod.
    pub(super) all: Vec<Row>,
    /// The bounds of the buckets in seconds, ascending.
    pub(super) bounds: Vec<f64>,
    /// Whether there is a column of errors.
    pub(super) has_errors: bool,
}

/// Faults that are told at once; more would not help.
const TOLD: usize = 5;

const COLUMNS: &str = "time, arm, pod, requests, errors, and le_BOUND for buckets, such as le_0.25";

/// A column of a bucket.
struct Bucket {
    column: String,
    bound: f64,
}

/// Reads rows. Errors are sentences, at most a handful.
pub(super) fn read(records: &[Record]) -> Result<Rows, Vec<String>> {
    let buckets = buckets(records).map_err(|error| vec![error])?;
    let has_errors = records.iter().any(|record| record.cell("errors").is_some());
    let Some(first) = records.first() else {
        return Err(vec!["found no rows; allowed is a row for each interval and arm".to_owned()]);
    };
    let finite = buckets.iter().filter(|bucket| bucket.bound.is_finite()).count();
    if !has_errors && finite == 0 {
        let found = format!("{}: found neither the column errors nor buckets", first.place);
        return Err(vec![format!("{found}; allowed are the columns {COLUMNS}")]);
    }
    let mut wrong = Vec::new();
    let mut seen: BTreeMap<(u64, Arm, String), &str> = BTreeMap::new();
    let mut rows = Vec::new();
    for record in records {
        match row(record, &buckets, has_errors) {
            Ok(row) => {
                let key = (row.seconds.to_bits(), row.arm, row.pod.clone());
                if let Some(earlier) = seen.insert(key, &record.place) {
                    wrong.push(format!(
                        "{}: found the time, arm and pod of {earlier}; allowed is one row for each",
                        record.place
                    ));
                }
                rows.push(row);
            }
            Err(error) => wrong.push(error),
        }
        if wrong.len() == TOLD {
            break;
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    for (arm, name) in [(Arm::Canary, "canary"), (Arm::Stable, "stable")] {
        if !rows.iter().any(|row| row.arm == arm) {
            let allowed = "rows of both arms, canary and stable";
            return Err(vec![format!("column arm: found no row of {name}; allowed are {allowed}")]);
        }
    }
    rows.sort_by(|one, two| {
        one.seconds
            .total_cmp(&two.seconds)
            .then_with(|| (one.arm, &one.pod).cmp(&(two.arm, &two.pod)))
    });
    let bounds = buckets.iter().map(|bucket| bucket.bound).filter(|bound| bound.is_finite());
    Ok(Rows { all: rows, bounds: bounds.collect(), has_errors })
}

/// The buckets, ascending; every other column must be one that is known.
fn buckets(records: &[Record]) -> Result<Vec<Bucket>, String> {
    let mut buckets: Vec<Bucket> = Vec::new();
    for record in records {
        for (column, _) in &record.cells {
            if ["time", "arm", "pod", "requests", "errors"].contains(&column.as_str())
                || buckets.iter().any(|bucket| bucket.column == *column)
            {
                continue;
            }
            let Some(bound) = column.strip_prefix("le_") else {
                return Err(format!(
                    "{}: found the column `{column}`; allowed are {COLUMNS}",
                    record.place
                ));
            };
            match bound.parse::<f64>() {
                Ok(bound) if bound > 0.0 => {
                    buckets.push(Bucket { column: column.clone(), bound });
                }
                _ => {
                    return Err(format!(
                        "{}: found the column `{column}`; allowed is le_ with a bound in seconds above 0, such as le_0.25 or le_+Inf",
                        record.place
                    ));
                }
            }
        }
    }
    buckets.sort_by(|one, two| one.bound.total_cmp(&two.bound));
    Ok(buckets)
}

fn row(record: &Record, buckets: &[Bucket], has_errors: bool) -> Result<Row, String> {
    let at = |column: &str, found: &str, allowed: &str| {
        format!("{}, column {column}: found {found}; allowed is {allowed}", record.place)
    };
    let cell = |column: &str, allowed: &str| {
        record.cell(column).ok_or_else(|| at(column, "nothing", allowed))
    };
    let count = |column: &str| {
        const ALLOWED: &str = "a whole number of requests from 0 to 4294967295";
        let text = cell(column, ALLOWED)?;
        whole(text).ok_or_else(|| at(column, &format!("`{text}`"), ALLOWED))
    };
    let time = cell("time", TIMES)?;
    let seconds = seconds(time).ok_or_else(|| at("time", &format!("`{time}`"), TIMES))?;
    let arm = match cell("arm", ARMS)? {
        "canary" => Arm::Canary,
        "stable" => Arm::Stable,
        other => return Err(at("arm", &format!("`{other}`"), ARMS)),
    };
    let requests = count("requests")?;
    let errors = if has_errors { Some(count("errors")?) } else { None };
    if let Some(errors) = errors.filter(|errors| *errors > requests) {
        let found = format!("{errors} of {requests} requests");
        return Err(at("errors", &found, "no more errors than requests"));
    }
    let mut above = Vec::new();
    let mut below = 0;
    for Bucket { column, bound } in buckets {
        let within = count(column)?;
        if within < below || within > requests {
            let found =
                format!("{within}, with {below} in the bucket before and {requests} requests");
            return Err(at(
                column,
                &found,
                "a count that grows from bound to bound, up to requests",
            ));
        }
        below = within;
        if bound.is_finite() {
            above.push(requests - within);
        } else if within != requests {
            return Err(at(
                column,
                &within.to_string(),
                &format!("the number of requests, {requests}"),
            ));
        }
    }
    let (time, pod) = (time.to_owned(), record.cell("pod").unwrap_or_default().to_owned());
    Ok(Row { seconds, time, arm, pod, requests, errors, above })
}

const TIMES: &str = "a time such as 2026-11-21T03:00:15Z, or a number of seconds";
const ARMS: &str = "canary or stable";

fn seconds(text: &str) -> Option<f64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return seconds.is_finite().then_some(seconds);
    }
    let time: Timestamp = text.parse().ok()?;
    Some(time.as_duration().as_secs_f64())
}

/// A count; `3.0` is one as well, since tables of numbers are often written so.
fn whole(text: &str) -> Option<u32> {
    if let Ok(count) = text.parse() {
        return Some(count);
    }
    let number: f64 = text.parse().ok()?;
    let fits = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    fits.then_some(number as u32)
}
