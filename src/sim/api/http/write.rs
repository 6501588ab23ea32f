//! Creating, replacing and patching.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Answer, Context, read, scale};
use crate::sim::api::{
    Refusal, Store, admission,
    managed_fields::Writer,
    patch::{self, Form, apply},
    resource,
    store::second,
};

impl Context<'_> {
    /// The writer of a plain write.
    pub(super) fn writer(&self) -> Writer<'_> {
        Writer { manager: self.manager(), operation: "Update", subresource: self.subresource }
    }

    /// The body, from JSON or YAML.
    pub(super) fn body(&self) -> Result<Value, Refusal> {
        if self.request.content_type.contains("protobuf") {
            let message =
                "the simulated API server reads JSON and YAML only; use `apply -f` or `create -f`";
            return Err(Refusal::new(415, "UnsupportedMediaType", message));
        }
        let text = std::str::from_utf8(&self.request.body)
            .map_err(|_| Refusal::bad_request("the body is no text"))?;
        let json = serde_json::from_str(text);
        let yaml = self.request.content_type.contains("yaml");
        match json {
            Ok(value) => Ok(value),
            Err(_) if yaml => serde_yaml::from_str(text)
                .map_err(|error| Refusal::bad_request(format!("error decoding YAML: {error}"))),
            Err(error) => Err(Refusal::bad_request(format!(
                "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: {error}",
                self.resource.kind
            ))),
        }
    }

    /// What the object says of itself must fit the path.
    fn expect(&self, object: &Value) -> Result<(), Refusal> {
        let version = object["apiVersion"].as_str().unwrap_or_default();
        if !version.is_empty() && version != self.api_version() {
            let message = format!(
                "{kind} in version \"{version}\" cannot be handled as a {kind}: no kind \"{kind}\" is registered for version \"{version}\" in scheme \"pkg/runtime/scheme.go:111\"",
                kind = self.resource.kind
            );
            return Err(Refusal::bad_request(message));
        }
        let kind = object["kind"].as_str().unwrap_or_default();
        if !kind.is_empty() && kind != self.resource.kind {
            let message = format!(
                "{kind} in version \"{}\" cannot be handled as a {}",
                self.version, self.resource.kind
            );
            return Err(Refusal::bad_request(message));
        }
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        if self.resource.namespaced && !namespace.is_empty() && namespace != self.namespace {
            let message = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Refusal::bad_request(message));
        }
        Ok(())
    }

    fn expect_name(&self, object: &Value) -> Result<(), Refusal> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        if name == self.name {
            return Ok(());
        }
        Err(Refusal::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            self.name
        )))
    }

    /// A patch does not make another object of it.
    fn expect_same(&self, before: &Value, after: &Value) -> Result<(), Refusal> {
        self.expect_name(after)?;
        let uid = &after["metadata"]["uid"];
        if *uid == before["metadata"]["uid"] || uid.is_null() {
            return Ok(());
        }
        let text = format!("Invalid value: {uid}: field is immutable");
        let cause = ("metadata.uid".to_owned(), "FieldValueInvalid", text);
        Err(Refusal::invalid(self.resource, self.name, &[cause]))
    }

    /// Unknown fields, as sentences; refused where the request asks for it.
    fn unknown(&self, object: &Value) -> Result<Vec<String>, Vec<String>> {
        let fields = admission::unknown_fields(self.resource, object);
        let texts: Vec<String> =
            fields.iter().map(|field| format!("unknown field \"{field}\"")).collect();
        match self.request.query.get("fieldValidation") {
            Some("Ignore") => Ok(Vec::new()),
            Some("Strict") if !texts.is_empty() => Err(texts),
            _ => Ok(texts),
        }
    }

    fn strictly(&self, object: &Value) -> Result<Vec<String>, Refusal> {
        self.unknown(object).map_err(|unknown| {
            Refusal::bad_request(format!(
                "{kind} in version \"{}\" cannot be handled as a {kind}: strict decoding error: {}",
                self.version,
                unknown.join(", "),
                kind = self.resource.kind,
            ))
        })
    }
}

/// Creates an object.
pub(super) fn create(store: &mut Store, context: &Context) -> Result<Answer, Refusal> {
    let object = context.body()?;
    let warnings = context.strictly(&object)?;
    context.expect(&object)?;
    if object["metadata"]["resourceVersion"].as_str().is_some_and(|version| !version.is_empty()) {
        let message = "resourceVersion should not be set on objects to be created";
        return Err(Refusal::new(500, "", message));
    }
    let created = store.create(&context.writer(), context.resource, context.namespace, object);
    Ok(written(context, 201, created, warnings))
}

/// The answer to a write: the object, or why not; the warnings go with both.
fn written(
    context: &Context,
    status: u16,
    result: Result<Arc<Value>, Refusal>,
    warnings: Vec<String>,
) -> Answer {
    match result {
        Ok(object) => Answer::Json { status, body: context.shown(&object), warnings },
        Err(refusal) => Answer::Json { status: refusal.code, body: refusal.body(), warnings },
    }
}

/// Replaces an object, or its status.
pub(super) fn replace(store: &mut Store, context: &Context) -> Result<Answer, Refusal> {
    let object = context.body()?;
    let warnings = context.strictly(&object)?;
    context.expect(&object)?;
    context.expect_name(&object)?;
    let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    if read::present(store, context).is_err() && may_create(context) && version.is_empty() {
        let writer = context.writer();
        let created = store.create(&writer, context.resource, context.namespace, object)?;
        return Ok(Answer::Json { status: 201, body: context.shown(&created), warnings });
    }
    read::present(store, context)?;
    if version.is_empty() && needs_version(context) {
        let cause = (
            "metadata.resourceVersion".to_owned(),
            "FieldValueInvalid",
            "Invalid value: 0: must be specified for an update".to_owned(),
        );
        let mut refusal = Refusal::invalid(context.resource, context.name, &[cause]);
        // The API server names the resource here where it names the kind elsewhere.
        refusal.message =
            refusal.message.replacen(context.resource.kind, context.resource.plural, 1);
        refusal.details["kind"] = json!(context.resource.plural);
        return Err(refusal);
    }
    let by = context.writer();
    let replaced = store.replace(&by, context.resource, &context.key(), object);
    Ok(written(context, 200, replaced, warnings))
}

/// Kinds that a PUT creates.
fn may_create(context: &Context) -> bool {
    [&resource::LEASE, &resource::SERVICE, &resource::EVENT].contains(&context.resource)
        && context.subresource.is_none()
}

/// Kinds that are not overwritten blindly.
fn needs_version(context: &Context) -> bool {
    let guarded =
        [&resource::LEASE, &resource::DISRUPTION_BUDGET, &resource::AUTOSCALER, &resource::EVENT];
    context.resource.custom || guarded.contains(&context.resource)
}

/// Patches an object, its status or its scale.
pub(super) fn patch(store: &mut Store, context: &Context) -> Result<Answer, Refusal> {
    let form = Form::of(&context.request.content_type, context.resource)?;
    let patch = context.body()?;
    if context.subresource == Some("scale") {
        return scale::patch(store, context, form, &patch).map(Answer::ok);
    }
    if form == Form::Apply {
        return applied(store, context, &patch);
    }
    let present = context.shown(read::present(store, context)?);
    let patched = patch::patched(form, context.resource, &present, &patch)?;
    let warnings = context.unknown(&patched).map_err(|unknown| {
        let text = serde_json::to_string(&patched.to_string()).unwrap_or_default();
        let why = format!("Invalid value: {text}: strict decoding error: {}", unknown.join(", "));
        let mut refusal = Refusal::new(422, "Invalid", format!(" \"\" is invalid: patch: {why}"));
        let cause = json!({"field": "patch", "message": why, "reason": "FieldValueInvalid"});
        refusal.details = json!({"causes": [cause]});
        refusal
    })?;
    context.expect(&patched)?;
    context.expect_same(&present, &patched)?;
    let by = context.writer();
    let replaced = store.replace(&by, context.resource, &context.key(), patched);
    Ok(written(context, 200, replaced, warnings))
}

fn applied(store: &mut Store, context: &Context, wanted: &Value) -> Result<Answer, Refusal> {
    let query = &context.request.query;
    let manager = query.get("fieldManager").unwrap_or_default();
    if manager.is_empty() {
        let why = "Required value: is required for apply patch";
        return Err(Refusal::options("PatchOptions", "fieldManager", "FieldValueRequired", why));
    }
    if wanted["apiVersion"].is_null() || wanted["kind"].is_null() {
        return Err(Refusal::bad_request("invalid object type: /, Kind="));
    }
    let warnings = context.strictly(wanted)?;
    context.expect(wanted)?;
    if !wanted["metadata"]["managedFields"].is_null() {
        return Err(Refusal::bad_request("metadata.managedFields must be nil"));
    }
    let time = second(store.time().now());
    let by = apply::Apply {
        manager,
        force: query.is_set("force"),
        subresource: context.subresource,
        time: &time,
    };
    let writer = Writer { manager, operation: "Apply", subresource: context.subresource };
    let key = context.key();
    let live = store.get(context.resource, &key.0, &key.1).cloned();
    let Some(live) = live else {
        let empty = json!({"metadata": {"name": context.name}});
        let object = apply::applied(context.resource, &empty, wanted, &by)?;
        let created = store.create(&writer, context.resource, context.namespace, object)?;
        return Ok(Answer::Json { status: 201, body: context.shown(&created), warnings });
    };
    let object = apply::applied(context.resource, &live, wanted, &by)?;
    let replaced = store.replace(&writer, context.resource, &key, object);
    Ok(written(context, 200, replaced, warnings))
}
