//! Tables of queries with the answers that Prometheus 3 documents or that follow from its rules.
//!
//! Series are written as in Prometheus' own tests: values a minute apart from 0 on, `0+10x3` for 0,
//! 10, 20, 30, `_` for no sample and `stale` for a marker.

mod aggregations;
mod functions;
mod http;
mod operators;
mod ranges;
mod text;

use jiff::{SignedDuration, Timestamp};

use super::{Database, Labels, NAME, Query, QueryError, Sample, Value, format};

/// Seconds after 1970.
fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
}

/// A database of these series, each as `name{label="value"} values`.
fn load(series: &[&str]) -> Database {
    load_every(60, series)
}

fn load_every(step_seconds: i64, series: &[&str]) -> Database {
    let mut database = Database::new();
    for line in series {
        let split = line.find('}').map_or_else(|| line.find(' ').unwrap(), |brace| brace + 1);
        let labels = labels(&line[..split]);
        for (index, value) in values(line[split..].trim()).into_iter().enumerate() {
            let time = at(i64::try_from(index).unwrap() * step_seconds);
            match value {
                Written::Nothing => {}
                Written::Stale => database.mark_stale(&labels, time).unwrap(),
                Written::Value(value) => database.append(&labels, time, value).unwrap(),
            }
        }
    }
    database
}

fn labels(text: &str) -> Labels {
    let (name, rest) = text.split_once('{').unwrap_or((text, "}"));
    let pairs = rest.trim_end_matches('}').split(',').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap());
    let pairs = pairs.map(|(name, value)| (name.trim(), value.trim_matches('"')));
    Labels::new(pairs.chain([(NAME, name.trim())]))
}

/// What stands at one minute of a series.
enum Written {
    Nothing,
    Stale,
    Value(f64),
}

fn values(text: &str) -> Vec<Written> {
    let mut values = Vec::new();
    for word in text.split_whitespace() {
        match word {
            "_" => values.push(Written::Nothing),
            "stale" => values.push(Written::Stale),
            _ => match word.split_once('x') {
                None => values.push(Written::Value(number(word))),
                Some((start, times)) => {
                    let sign = start[1..].find(['+', '-']).map(|place| place + 1);
                    let (first, step) = start.split_at(sign.unwrap_or(start.len()));
                    let step = if step.is_empty() { 0.0 } else { number(step) };
                    for index in 0..=times.parse::<u32>().unwrap() {
                        values.push(Written::Value(number(first) + step * f64::from(index)));
                    }
                }
            },
        }
    }
    values
}

fn number(text: &str) -> f64 {
    match text {
        "NaN" => f64::NAN,
        "Inf" | "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        _ => text.parse().unwrap(),
    }
}

/// The answer as lines `labels value`, with up to 9 digits.
fn ask(database: &Database, seconds: i64, query: &str) -> Result<Vec<String>, QueryError> {
    let query = Query::parse(query)?;
    Ok(match query.instant(database, at(seconds))? {
        Value::Scalar(value) => vec![rounded(value)],
        Value::String(text) => vec![text],
        Value::Vector(samples) => samples
            .iter()
            .map(|Sample { labels, value }| format!("{labels} {}", rounded(*value)))
            .collect(),
        Value::Matrix(rows) => rows
            .iter()
            .map(|row| {
                let points = row.points.iter();
                let points =
                    points.map(|point| format!("{}@{}", rounded(point.value), point.at_ms / 1000));
                format!("{} {}", row.labels, points.collect::<Vec<_>>().join(" "))
            })
            .collect(),
    })
}

fn rounded(value: f64) -> String {
    if !value.is_finite() {
        return format::plain(value);
    }
    format::plain((value * 1e9).round() / 1e9)
}

/// Checks a table of (time in seconds, query, lines of the answer).
fn check(database: &Database, table: &[(i64, &str, &[&str])]) {
    for (seconds, query, expected) in table {
        let found = ask(database, *seconds, query);
        let found = found.unwrap_or_else(|error| vec![format!("error: {error}")]);
        assert_eq!(&found, expected, "{query} at {seconds} s");
    }
}

/// Checks that a query is refused with these words.
fn refused(database: &Database, query: &str, words: &str) {
    let error = ask(database, 60, query).expect_err(query).to_string();
    assert!(error.contains(words), "{query}: {error}");
}
