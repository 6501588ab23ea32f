//! Events as `core/v1` shows them: another form of those of `events.k8s.io`, for kubectl.

use serde_json::{Value, json};

use super::{Answer, Query, Request, handle};
use crate::sim::api::Store;

/// The answer, if the request reads such Events.
pub(super) fn answer(store: &mut Store, request: &Request) -> Option<Answer> {
    let rest = request.path.strip_prefix("/api/v1/")?;
    let parts: Vec<&str> = rest.split('/').collect();
    let ours = matches!(parts.as_slice(), ["events"] | ["namespaces", _, "events", ..]);
    if !ours || request.method != "GET" || request.query.is_set("watch") {
        return None;
    }
    let mut inner = request.clone();
    inner.path = format!("/apis/events.k8s.io/v1/{rest}");
    inner.query = renamed(&request.query);
    let wants_table = super::table::is_wanted(&request.accept);
    let mut answer = handle(store, &inner);
    if let Answer::Json { status: 200, body, .. } = &mut answer
        && !wants_table
    {
        body["apiVersion"] = json!("v1");
        match body.get_mut("items").and_then(Value::as_array_mut) {
            Some(items) => items.iter_mut().for_each(convert),
            None => convert(body),
        }
    }
    Some(answer)
}

fn renamed(query: &Query) -> Query {
    let selector = query.get("fieldSelector").unwrap_or_default();
    query.with("fieldSelector", &selector.replace("involvedObject.", "regarding."))
}

fn convert(event: &mut Value) {
    let Some(fields) = event.as_object_mut() else { return };
    let mut take = |field: &str| fields.remove(field).unwrap_or_default();
    let (regarding, note) = (take("regarding"), take("note"));
    let (controller, instance) = (take("reportingController"), take("reportingInstance"));
    let time = event["eventTime"].as_str().unwrap_or_default();
    let second = time.split('.').next().unwrap_or_default().trim_end_matches('Z');
    let first = if second.is_empty() {
        event["metadata"]["creationTimestamp"].clone()
    } else {
        json!(format!("{second}Z"))
    };
    event["involvedObject"] = regarding;
    event["message"] = note;
    event["source"] = json!({"component": controller});
    event["reportingComponent"] = controller;
    event["reportingInstance"] = instance;
    event["firstTimestamp"] = first.clone();
    event["lastTimestamp"] = first;
    event["count"] = json!(1);
}
