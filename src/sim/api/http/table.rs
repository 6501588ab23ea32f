//! Tables, as `kubectl get` prints them.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Context;
use crate::sim::api::admission;

/// A column: its name, type, and where its value is. An empty place is worked out in [`cell`].
type Column = (String, String, String);

/// Whether the client wants a table.
pub(super) fn is_wanted(accept: &str) -> bool {
    accept.contains("as=Table")
}

/// An object or a list as a table.
pub(super) fn of(context: &Context, answer: &Value, now: Timestamp) -> Value {
    let single = [answer.clone()];
    let items = answer["items"].as_array().map_or(&single[..], Vec::as_slice);
    let columns = columns(context);
    let rows: Vec<Value> = items
        .iter()
        .map(|item| {
            let cells: Vec<Value> = columns.iter().map(|column| cell(item, column, now)).collect();
            let object = json!({
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                "metadata": item["metadata"],
            });
            json!({"cells": cells, "object": object})
        })
        .collect();
    let definitions: Vec<Value> = columns
        .iter()
        .map(|(name, kind, _)| {
            let format = if name == "Name" { "name" } else { "" };
            json!({"name": name, "type": kind, "format": format, "description": "", "priority": 0})
        })
        .collect();
    let mut metadata = json!({});
    for field in ["resourceVersion", "continue", "remainingItemCount"] {
        if !answer["metadata"][field].is_null() {
            metadata[field] = answer["metadata"][field].clone();
        }
    }
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": definitions, "rows": rows,
    })
}

fn columns(context: &Context) -> Vec<Column> {
    let column = |(name, place): &(&str, &str)| {
        ((*name).to_owned(), "string".to_owned(), (*place).to_owned())
    };
    let mut columns = vec![column(&("Name", ".metadata.name"))];
    if let Some(definition) = admission::definition(context.resource) {
        let printed = &definition["spec"]["versions"][0]["additionalPrinterColumns"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let shown = printed.as_array().into_iter().flatten();
        columns.extend(shown.map(|column| {
            (text(&column["name"]), text(&column["type"]), text(&column["jsonPath"]))
        }));
        if columns.iter().any(|(name, ..)| name == "Age") {
            return columns;
        }
    }
    let known: &[(&str, &str)] = match context.resource.kind {
        "Pod" => &[("Ready", ""), ("Status", ".status.phase"), ("Restarts", "")],
        "ReplicaSet" => &[
            ("Desired", ".spec.replicas"),
            ("Current", ".status.replicas"),
            ("Ready", ".status.readyReplicas"),
        ],
        "Deployment" => &[
            ("Ready", ""),
            ("Up-to-date", ".status.updatedReplicas"),
            ("Available", ".status.availableReplicas"),
        ],
        "Service" => &[("Type", ".spec.type"), ("Cluster-IP", ".spec.clusterIP"), ("Port(s)", "")],
        "Job" => &[("Status", ""), ("Completions", "")],
        "Namespace" => &[("Status", ".status.phase")],
        "Event" => {
            &[("Type", ".type"), ("Reason", ".reason"), ("Object", ""), ("Message", ".note")]
        }
        _ => &[],
    };
    columns.extend(known.iter().map(column));
    columns.push(("Age".to_owned(), "date".to_owned(), ".metadata.creationTimestamp".to_owned()));
    columns
}

fn cell(item: &Value, (name, kind, place): &Column, now: Timestamp) -> Value {
    let at = |path: &str| path.split('.').skip(1).fold(item, |value, part| &value[part]);
    let number = |path: &str| at(path).as_i64().unwrap_or(0);
    if place.is_empty() {
        return worked_out(item, name);
    }
    let value = at(place);
    match (kind.as_str(), value) {
        ("date", value) => {
            let since = value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
            json!(
                since
                    .map_or_else(|| "<unknown>".to_owned(), |since| age(now.duration_since(since)))
            )
        }
        ("integer", Value::Null) => Value::Null,
        (_, Value::Null) if place.contains("eplicas") => json!(number(place)),
        (_, Value::Null) => json!(""),
        (_, value) => value.clone(),
    }
}

fn worked_out(item: &Value, name: &str) -> Value {
    let number = |path: &str| item.pointer(path).and_then(Value::as_i64).unwrap_or(0);
    let list = |path: &str| item.pointer(path).and_then(Value::as_array).cloned();
    let statuses = list("/status/containerStatuses").unwrap_or_default();
    match (item.get("regarding").is_some(), name) {
        (true, _) => {
            let text = |field: &str| item["regarding"][field].as_str().unwrap_or_default();
            json!(format!("{}/{}", text("kind").to_lowercase(), text("name")))
        }
        (_, "Ready") if item["spec"].get("containers").is_some() => {
            let all = list("/spec/containers").unwrap_or_default().len();
            let ready = statuses.iter().filter(|status| status["ready"] == true).count();
            json!(format!("{ready}/{all}"))
        }
        (_, "Ready") => {
            json!(format!("{}/{}", number("/status/readyReplicas"), number("/spec/replicas")))
        }
        (_, "Restarts") => {
            let counts = statuses.iter().filter_map(|status| status["restartCount"].as_i64());
            json!(counts.sum::<i64>().to_string())
        }
        (_, "Completions") => {
            json!(format!("{}/{}", number("/status/succeeded"), number("/spec/completions")))
        }
        (_, "Status") => {
            let met = |kind: &str| {
                let conditions = list("/status/conditions").unwrap_or_default();
                conditions.iter().any(|one| one["type"] == kind && one["status"] == "True")
            };
            let word = ["Complete", "Failed", "Suspended"].into_iter().find(|kind| met(kind));
            json!(word.unwrap_or("Running"))
        }
        (_, "Port(s)") => {
            let ports = list("/spec/ports").unwrap_or_default();
            let text = |port: &Value| {
                format!("{}/{}", port["port"], port["protocol"].as_str().unwrap_or("TCP"))
            };
            json!(ports.iter().map(text).collect::<Vec<_>>().join(","))
        }
        _ => json!(""),
    }
}

/// An age as kubectl writes it: the coarser, the longer.
fn age(age: SignedDuration) -> String {
    let seconds = age.as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 if seconds % 60 != 0 => format!("{}m{}s", seconds / 60, seconds % 60),
        120..10_800 => format!("{}m", seconds / 60),
        10_800..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
