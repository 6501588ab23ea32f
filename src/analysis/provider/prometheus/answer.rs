//! The answers of Prometheus.
//!
//! In: the status and body of an answer, whatever sent it. Out: a [`Reading`]. Never panics.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::analysis::text::bounded;
use crate::analysis::verdict::Reading;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status: String,
    #[serde(default)]
    data: Option<Data>,
    #[serde(default)]
    error_type: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default)]
    infos: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Value,
}

/// One series of raw samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its samples in the order of time, each with the seconds since 1970 at which it was taken.
    pub samples: Vec<(f64, f64)>,
}

/// Reads an answer of the query API: a scalar is one number, an instant vector one number for each
/// series, a range all numbers of all series. `host` is for the texts; `redact` takes secrets out of
/// what the server says.
pub fn parse(host: &str, status: u16, body: &[u8], redact: &dyn Fn(&str) -> String) -> Reading {
    let (data, note) = match data(host, status, body, redact) {
        Ok(found) => found,
        Err(why) => return Reading::Error(why),
    };
    let read = match data.result_type.as_str() {
        "scalar" => {
            return match sample(&data.result) {
                Ok(value) => Reading::Scalar { value, note },
                Err(why) => Reading::Error(format!("prometheus at {host}: {why}")),
            };
        }
        "vector" => series(&data.result, |series| Ok(vec![sample(one(series, "value")?)?])),
        "matrix" => series(&data.result, |series| {
            let points = one(series, "values")?.as_array().ok_or(UNREADABLE)?;
            points.iter().map(sample).collect()
        }),
        "string" => Err("the query gives a string, allowed is one that gives numbers"),
        _ => Err("the result is of an unknown type"),
    };
    match read {
        Ok(values) => Reading::Vector { values, note },
        Err(why) => Reading::Error(format!("prometheus at {host}: {why}")),
    }
}

/// Reads the answer to a query for raw samples. `host` and `redact` as for [`parse`].
///
/// # Errors
///
/// The server says that something is wrong, or the answer is of another form: in words.
pub fn samples(
    host: &str,
    status: u16,
    body: &[u8],
    redact: &dyn Fn(&str) -> String,
) -> Result<Vec<Series>, String> {
    let (data, _) = data(host, status, body, redact)?;
    let in_words = |why: &str| format!("prometheus at {host}: {why}");
    if data.result_type != "matrix" {
        let why = "the query gives no range, allowed is one that gives raw samples";
        return Err(in_words(why));
    }
    raw(&data.result).map_err(in_words)
}

fn raw(result: &Value) -> Read<Vec<Series>> {
    let mut all = Vec::new();
    for each in result.as_array().ok_or(UNREADABLE)? {
        let labels = each.get("metric").and_then(Value::as_object).ok_or(UNREADABLE)?;
        let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.into()));
        let points = one(each, "values")?.as_array().ok_or(UNREADABLE)?;
        let timed = |point: &Value| {
            let at = point.get(0).and_then(Value::as_f64).ok_or(UNREADABLE)?;
            Ok((at, sample(point)?))
        };
        all.push(Series {
            labels: labels.iter().filter_map(text).collect(),
            samples: points.iter().map(timed).collect::<Read<_>>()?,
        });
    }
    Ok(all)
}

/// What an answer holds, and what the server notes beside it.
fn data(
    host: &str,
    status: u16,
    body: &[u8],
    redact: &dyn Fn(&str) -> String,
) -> Result<(Data, String), String> {
    if (300..400).contains(&status) {
        return Err(format!(
            "prometheus at {host} answered with a redirect ({status}); allowed is the address that \
             it leads to"
        ));
    }
    let answer: Answer = match serde_json::from_slice(body) {
        Ok(answer) => answer,
        Err(_) if !(200..300).contains(&status) => {
            let start = String::from_utf8_lossy(body);
            let start = bounded(&redact(&start), 120);
            let text = if start.is_empty() { String::new() } else { format!(": {start}") };
            return Err(format!("prometheus at {host} answered {status}{text}"));
        }
        Err(_) => {
            return Err(format!(
                "the answer of {host} is not one of the Prometheus HTTP API; is the address right?"
            ));
        }
    };
    if answer.status != "success" || !(200..300).contains(&status) {
        let said = [answer.error_type.as_str(), answer.error.as_str()];
        let said: Vec<&str> = said.into_iter().filter(|text| !text.is_empty()).collect();
        // As one text: what is withheld is said once.
        let said = bounded(&redact(&said.join(": ")), 240);
        let text = if said.is_empty() { said } else { format!(": {said}") };
        return Err(format!("prometheus at {host} answered {status}{text}"));
    }
    let note = note(&answer.warnings, &answer.infos, redact);
    let data =
        answer.data.ok_or_else(|| format!("the answer of prometheus at {host} has no data"))?;
    Ok((data, note))
}

const UNREADABLE: &str = "the result cannot be read";

type Read<T> = Result<T, &'static str>;

/// All numbers of all series.
fn series(result: &Value, read: impl Fn(&Value) -> Read<Vec<f64>>) -> Read<Vec<f64>> {
    let mut values = Vec::new();
    for each in result.as_array().ok_or(UNREADABLE)? {
        values.extend(read(each)?);
    }
    Ok(values)
}

fn one<'s>(series: &'s Value, key: &str) -> Read<&'s Value> {
    if let Some(found) = series.get(key) {
        return Ok(found);
    }
    if series.get("histogram").is_some() || series.get("histograms").is_some() {
        return Err(
            "the query gives native histograms, allowed are numbers: use histogram_quantile",
        );
    }
    Err(UNREADABLE)
}

/// The number of `[time, "text"]`.
fn sample(point: &Value) -> Read<f64> {
    let text = point.get(1).and_then(Value::as_str).ok_or(UNREADABLE)?;
    match text {
        "NaN" => Ok(f64::NAN),
        "+Inf" | "Inf" => Ok(f64::INFINITY),
        "-Inf" => Ok(f64::NEG_INFINITY),
        _ => text.parse().map_err(|_| UNREADABLE),
    }
}

/// Warnings (something is missing) before infos (something looks odd). Prometheus begins them with
/// `PromQL warning:` itself; those of a remote storage come bare.
fn note(warnings: &[String], infos: &[String], redact: &dyn Fn(&str) -> String) -> String {
    let all: Vec<&str> = warnings.iter().chain(infos).map(String::as_str).take(5).collect();
    bounded(&redact(&all.join("; ")), 200)
}
