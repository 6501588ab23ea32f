//! Deleting.

use serde_json::{Value, json};

use super::{Answer, Context, listing, read};
use crate::sim::api::{Key, Refusal, Store, resource, store::Deletion};

impl Context<'_> {
    /// How to delete, from the body or the query.
    fn deletion(&self) -> Result<Deletion, Refusal> {
        let body = if self.request.body.is_empty() { Value::Null } else { self.body()? };
        self.deletion_of(&body)
    }

    /// How to delete, from `DeleteOptions` or the query.
    pub(super) fn deletion_of(&self, body: &Value) -> Result<Deletion, Refusal> {
        let query = &self.request.query;
        let text = |field: &str| {
            let sent = body[field].as_str().or_else(|| query.get(field));
            sent.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let orphans = body["orphanDependents"]
            .as_bool()
            .or_else(|| query.get("orphanDependents").map(|value| value == "true"));
        let propagation = text("propagationPolicy").or_else(|| {
            orphans.map(|orphans| if orphans { "Orphan" } else { "Background" }.to_owned())
        });
        let known = ["Background", "Foreground", "Orphan"];
        if let Some(policy) = propagation.as_deref().filter(|policy| !known.contains(policy)) {
            let why = format!(
                "Unsupported value: \"{policy}\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
            );
            let (kind, reason) = ("DeleteOptions", "FieldValueNotSupported");
            return Err(Refusal::options(kind, "propagationPolicy", reason, &why));
        }
        let grace = body["gracePeriodSeconds"].as_i64();
        let expected = |field: &str| body["preconditions"][field].as_str().map(str::to_owned);
        Ok(Deletion {
            uid: expected("uid"),
            resource_version: expected("resourceVersion"),
            grace_period_seconds: grace
                .or_else(|| query.get("gracePeriodSeconds").and_then(|text| text.parse().ok())),
            propagation,
        })
    }
}

/// Deletes one object.
pub(super) fn one(store: &mut Store, context: &Context) -> Result<Answer, Refusal> {
    let how = context.deletion()?;
    read::present(store, context)?;
    let (object, gone) = store.delete(&context.writer(), context.resource, &context.key(), &how)?;
    if gone {
        empty_namespace(store, context);
    }
    let returned = [&resource::POD, &resource::SERVICE, &resource::SERVICE_ACCOUNT];
    if !gone || returned.contains(&context.resource) {
        return Ok(Answer::ok(context.shown(&object)));
    }
    let mut details = json!({
        "name": context.name, "kind": context.resource.plural, "uid": object["metadata"]["uid"],
    });
    if !context.resource.group.is_empty() {
        details["group"] = json!(context.resource.group);
    }
    Ok(Answer::ok(json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": details,
    })))
}

/// What is in a namespace goes with it.
fn empty_namespace(store: &mut Store, context: &Context) {
    if context.resource != &resource::NAMESPACE {
        return;
    }
    let how = Deletion { grace_period_seconds: Some(0), ..Deletion::default() };
    for resource in resource::ALL.into_iter().filter(|resource| resource.namespaced) {
        let keys: Vec<Key> =
            store.list(resource, Some(context.name)).map(|(key, _)| key.clone()).collect();
        for key in keys {
            // Whatever is gone already is as it should be.
            let _ = store.delete(&context.writer(), resource, &key, &how);
        }
    }
}

/// Deletes what the request selects. Answers with the list as it was.
pub(super) fn many(store: &mut Store, context: &Context) -> Result<Value, Refusal> {
    let how = context.deletion()?;
    let list = listing::list(store, context)?;
    for item in list["items"].as_array().into_iter().flatten() {
        let text = |field: &str| item["metadata"][field].as_str().unwrap_or_default().to_owned();
        let key = (text("namespace"), text("name"));
        // Somebody else may have been quicker.
        let _ = store.delete(&context.writer(), context.resource, &key, &how);
    }
    Ok(list)
}
