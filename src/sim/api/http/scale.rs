//! The scale of an object: its size, in a form that is the same for all kinds.

use serde_json::{Value, json};

use super::{Context, read};
use crate::sim::api::{
    Refusal, Resource, Store,
    patch::{self, Form},
};

/// The scale as an object.
static SCALE: Resource = Resource {
    group: "autoscaling",
    versions: &["v1"],
    kind: "Scale",
    plural: "scales",
    short: &[],
    namespaced: true,
    status: true,
    scale: false,
    custom: false,
};

/// Reads it.
pub(super) fn read(store: &Store, context: &Context) -> Result<Value, Refusal> {
    Ok(of(context, read::present(store, context)?))
}

/// Replaces it.
pub(super) fn replace(store: &mut Store, context: &Context) -> Result<Value, Refusal> {
    write(store, context, context.body()?)
}

/// Patches it.
pub(super) fn patch(
    store: &mut Store,
    context: &Context,
    form: Form,
    patch: &Value,
) -> Result<Value, Refusal> {
    let present = of(context, read::present(store, context)?);
    write(store, context, patch::patched(form, &SCALE, &present, patch)?)
}

fn write(store: &mut Store, context: &Context, mut scale: Value) -> Result<Value, Refusal> {
    read::present(store, context)?;
    if scale["spec"]["replicas"].is_null() {
        scale["spec"]["replicas"] = json!(0);
    }
    let replicas = &scale["spec"]["replicas"];
    if !context.resource.custom && replicas.as_i64().is_none_or(|replicas| replicas < 0) {
        let text = format!("Invalid value: {replicas}: must be greater than or equal to 0");
        let cause = ("spec.replicas".to_owned(), "FieldValueInvalid", text);
        return Err(Refusal::invalid(&SCALE, context.name, &[cause]));
    }
    let written = store.replace(&context.writer(), context.resource, &context.key(), scale)?;
    Ok(of(context, &written))
}

fn of(context: &Context, object: &Value) -> Value {
    let metadata = &object["metadata"];
    let mut shown = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if !metadata[field].is_null() {
            shown[field] = metadata[field].clone();
        }
    }
    let selector = if context.resource.custom {
        object["status"]["selector"].clone()
    } else {
        json!(text(&object["spec"]["selector"]))
    };
    let replicas = |part: &str| object[part]["replicas"].as_i64().unwrap_or(0);
    let mut status = json!({"replicas": replicas("status")});
    if selector.as_str().is_some_and(|selector| !selector.is_empty()) {
        status["selector"] = selector;
    }
    let mut spec = json!({});
    if replicas("spec") != 0 {
        spec["replicas"] = json!(replicas("spec"));
    }
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": shown,
        "spec": spec, "status": status,
    })
}

/// A selector's labels as one text.
fn text(selector: &Value) -> String {
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    let pairs = labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    pairs.collect::<Vec<_>>().join(",")
}
