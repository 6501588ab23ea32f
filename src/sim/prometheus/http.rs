//! The HTTP API of Prometheus, as a function.
//!
//! In: a request (method, path, query string or form), the database and the time. Out: a status and
//! a JSON body, to the field as Prometheus answers. There are `/api/v1/query`,
//! `/api/v1/query_range`, `/api/v1/status/buildinfo`, `/-/healthy` and `/-/ready`; the latter two
//! answer a text, which is a JSON string here.

use std::collections::BTreeMap;
use std::str::FromStr;

use jiff::Timestamp;
use serde_json::{Map, Number, Value as Json, json};

use super::format::plain;
use super::{Database, Labels, Point, Query, QueryError, Row, Value, seconds};

/// Steps that a range query may have.
const MOST_STEPS: i64 = 11_000;

/// Answers a request. `query` is what stands behind the `?` of the address, and `body` a form
/// (`application/x-www-form-urlencoded`); of a field in both, the body's value counts.
pub fn answer(
    method: &str,
    path: &str,
    query: &str,
    body: &str,
    database: &Database,
    now: Timestamp,
) -> (u16, Json) {
    if !matches!(method, "GET" | "POST" | "HEAD") {
        return (405, Json::from("Method Not Allowed"));
    }
    let mut fields = form(query);
    if method == "POST" {
        fields.extend(form(body));
    }
    let answer = match path.trim_end_matches('/') {
        "/-/healthy" => return (200, Json::from("Prometheus Server is Healthy.\n")),
        "/-/ready" => return (200, Json::from("Prometheus Server is Ready.\n")),
        "/api/v1/status/buildinfo" => Ok(json!({
            "version": "3.0.0",
            "revision": "simulation",
            "branch": "",
            "buildUser": "",
            "buildDate": "",
            "goVersion": "",
        })),
        "/api/v1/query" => instant(&fields, database, now),
        "/api/v1/query_range" => range(&fields, database),
        _ => return (404, Json::from("404 page not found\n")),
    };
    match answer {
        Ok(data) => (200, json!({"status": "success", "data": data})),
        Err(Failure { status, kind, error }) => {
            (status, json!({"status": "error", "errorType": kind, "error": error}))
        }
    }
}

/// Why there is no data.
struct Failure {
    status: u16,
    kind: &'static str,
    error: String,
}

type Fields = BTreeMap<String, String>;

// === impl Failure ===

impl Failure {
    fn bad(field: &str, why: impl std::fmt::Display) -> Self {
        let error = format!("invalid parameter \"{field}\": {why}");
        Self { status: 400, kind: "bad_data", error }
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Syntax(_) => Self::bad("query", error),
            QueryError::Unsupported(_) | QueryError::Execution(_) => {
                Self { status: 422, kind: "execution", error: error.to_string() }
            }
        }
    }
}

fn instant(fields: &Fields, database: &Database, now: Timestamp) -> Result<Json, Failure> {
    let at = match field(fields, "time") {
        "" => now,
        text => time("time", text)?,
    };
    timeout(fields)?;
    let value = Query::known(field(fields, "query"))?.instant(database, at)?;
    let at_ms = at.as_millisecond();
    let (kind, result) = match value {
        Value::Scalar(value) => ("scalar", point(Point { at_ms, value })),
        Value::String(text) => ("string", json!([time_number(at_ms), text])),
        Value::Vector(samples) => {
            let samples = samples.into_iter().map(|sample| {
                let value = point(Point { at_ms, value: sample.value });
                json!({"metric": metric(&sample.labels), "value": value})
            });
            ("vector", samples.collect())
        }
        Value::Matrix(rows) => ("matrix", matrix(&rows)),
    };
    Ok(json!({"resultType": kind, "result": result}))
}

fn range(fields: &Fields, database: &Database) -> Result<Json, Failure> {
    let start = time("start", field(fields, "start"))?;
    let end = time("end", field(fields, "end"))?;
    if end < start {
        return Err(Failure::bad("end", "end timestamp must not be before start time"));
    }
    let step_ms = duration("step", field(fields, "step"))?;
    if step_ms <= 0 {
        return Err(Failure::bad(
            "step",
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        ));
    }
    if (end.as_millisecond() - start.as_millisecond()) / step_ms > MOST_STEPS {
        let error = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing \
                     the query resolution (?step=XX)";
        return Err(Failure { status: 400, kind: "bad_data", error: error.to_owned() });
    }
    timeout(fields)?;
    let query = Query::known(field(fields, "query"))?;
    if !matches!(query.result_type(), "scalar" | "instant vector") {
        return Err(Failure::bad(
            "query",
            format_args!(
                "invalid expression type \"{}\" for range query, must be Scalar or instant Vector",
                query.result_type()
            ),
        ));
    }
    let rows = query.range(database, start, end, step_ms)?;
    Ok(json!({"resultType": "matrix", "result": matrix(&rows)}))
}

// === fields

/// The fields of a form.
fn form(text: &str) -> Fields {
    let mut fields = Fields::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        fields.entry(decoded(name)).or_insert_with(|| decoded(value));
    }
    fields
}

/// `a+b%2Fc` as `a b/c`.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = code.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        rest = tail;
        match (first, byte) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn field<'f>(fields: &'f Fields, name: &str) -> &'f str {
    fields.get(name).map_or("", String::as_str)
}

/// Unix seconds with a fraction, or RFC 3339.
fn time(name: &str, text: &str) -> Result<Timestamp, Failure> {
    let number = f64::from_str(text).ok().filter(|number| number.is_finite());
    let found = match number {
        #[expect(clippy::cast_possible_truncation, reason = "a time out of range is refused below")]
        Some(number) => Timestamp::from_millisecond((number * 1000.0).round() as i64).ok(),
        None => text.parse().ok(),
    };
    let why = format_args!("cannot parse \"{text}\" to a valid timestamp").to_string();
    found.ok_or_else(|| Failure::bad(name, why))
}

/// Milliseconds of seconds with a fraction, or of a duration such as `1m30s`.
fn duration(name: &str, text: &str) -> Result<i64, Failure> {
    let refused = || Failure::bad(name, format!("cannot parse \"{text}\" to a valid duration"));
    if let Ok(number) = f64::from_str(text) {
        let ms = number * 1000.0;
        if !ms.is_finite() || ms.abs() > 9.2e15 {
            return Err(refused());
        }
        #[expect(clippy::cast_possible_truncation, reason = "checked to fit")]
        return Ok(ms as i64);
    }
    let duration = promql_parser::util::parse_duration(text).map_err(|_| refused())?;
    i64::try_from(duration.as_millis()).map_err(|_| refused())
}

/// Nothing here takes long; a timeout only has to be one.
fn timeout(fields: &Fields) -> Result<(), Failure> {
    match field(fields, "timeout") {
        "" => Ok(()),
        text => duration("timeout", text).map(|_| ()),
    }
}

// === results

fn matrix(rows: &[Row]) -> Json {
    let rows = rows.iter().map(|row| {
        let values: Vec<Json> = row.points.iter().copied().map(point).collect();
        json!({"metric": metric(&row.labels), "values": values})
    });
    rows.collect()
}

fn metric(labels: &Labels) -> Json {
    let pairs = labels.iter().map(|(name, value)| (name.to_owned(), Json::from(value)));
    Json::Object(pairs.collect::<Map<String, Json>>())
}

fn point(Point { at_ms, value }: Point) -> Json {
    json!([time_number(at_ms), plain(value)])
}

/// Seconds, with a fraction only where there is one.
fn time_number(at_ms: i64) -> Json {
    if at_ms % 1000 == 0 {
        return Json::from(at_ms / 1000);
    }
    Number::from_f64(seconds(at_ms)).map_or(Json::Null, Json::Number)
}
