//! The answers of Prometheus.
//!
//! In: the status and body of an answer, whatever sent it. Out: a [`Reading`]. Never panics.

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

/// Reads an answer of the query API: a scalar is one number, an instant vector one number for each
/// series, a range all numbers of all series. `host` is for the texts; `redact` takes secrets out of
/// what the server says.
pub fn parse(host: &str, status: u16, body: &[u8], redact: &dyn Fn(&str) -> String) -> Reading {
    if (300..400).contains(&status) {
        return Reading::Error(format!(
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
            return Reading::Error(format!("prometheus at {host} answered {status}{text}"));
        }
        Err(_) => {
            return Reading::Error(format!(
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
        return Reading::Error(format!("prometheus at {host} answered {status}{text}"));
    }
    let note = note(&answer.warnings, &answer.infos, redact);
    let Some(data) = answer.data else {
        return Reading::Error(format!("the answer of prometheus at {host} has no data"));
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
