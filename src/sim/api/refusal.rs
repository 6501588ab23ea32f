//! Answers that say no, as the API server says it (`metav1.Status`).

use serde_json::{Value, json};

use super::Resource;

/// A request that was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// HTTP status code.
    pub code: u16,
    /// Reason, such as `NotFound`.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
    /// `details` of the Status; null if there are none.
    pub details: Value,
}

impl Refusal {
    /// A refusal without details.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Value::Null }
    }

    /// With `details` that are empty, where the API server sends such.
    #[must_use]
    pub fn with_empty_details(mut self) -> Self {
        self.details = json!({});
        self
    }

    /// A refusal about one object.
    pub(super) fn of(
        code: u16,
        reason: &'static str,
        resource: &Resource,
        name: &str,
        message: String,
    ) -> Self {
        let mut details = json!({"kind": resource.plural});
        if !name.is_empty() {
            details["name"] = json!(name);
        }
        if !resource.group.is_empty() {
            details["group"] = json!(resource.group);
        }
        Self { code, reason, message, details }
    }

    /// There is no such object.
    pub fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", resource.qualified());
        Self::of(404, "NotFound", resource, name, message)
    }

    /// There is such an object already.
    pub fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", resource.qualified());
        Self::of(409, "AlreadyExists", resource, name, message)
    }

    /// The object is not as the request expects it; `why` says in what.
    pub fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let message =
            format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.qualified());
        Self::of(409, "Conflict", resource, name, message)
    }

    /// The object was written by somebody else since it was read.
    pub fn modified(resource: &Resource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    /// The object breaks rules; each cause is a field's path, what the API server calls such an
    /// error, such as `FieldValueRequired`, and a sentence.
    pub fn invalid(
        resource: &Resource,
        name: &str,
        causes: &[(String, &'static str, String)],
    ) -> Self {
        let sentences: Vec<String> = causes
            .iter()
            .map(
                |(field, _, text)| {
                    if field.is_empty() { text.clone() } else { format!("{field}: {text}") }
                },
            )
            .collect();
        let text = match sentences.as_slice() {
            [one] => one.clone(),
            several => format!("[{}]", several.join(", ")),
        };
        let kind = if resource.group.is_empty() {
            resource.kind.to_owned()
        } else {
            format!("{}.{}", resource.kind, resource.group)
        };
        let message = format!("{kind} \"{name}\" is invalid: {text}");
        let mut refusal = Self::of(422, "Invalid", resource, name, message);
        refusal.details["kind"] = json!(resource.kind);
        refusal.details["causes"] = causes
            .iter()
            .map(|(field, reason, text)| json!({"reason": reason, "message": text, "field": field}))
            .collect();
        refusal
    }

    /// The object is not the one, or not as, a deletion expects it.
    pub fn precondition(resource: &Resource, name: &str, why: &str) -> Self {
        let kind = resource.qualified().replacen(resource.plural, resource.kind, 1);
        let message = format!("Operation cannot be fulfilled on {kind} \"{name}\": {why}");
        let mut refusal = Self::of(409, "Conflict", resource, name, message);
        refusal.details["kind"] = json!(resource.kind);
        refusal
    }

    /// The options of a request, such as `ListOptions`, break a rule.
    pub fn options(kind: &str, field: &str, reason: &'static str, text: &str) -> Self {
        let message = format!("{kind}.meta.k8s.io \"\" is invalid: {field}: {text}");
        let mut refusal = Self::new(422, "Invalid", message);
        let cause = json!({"field": field, "message": text, "reason": reason});
        refusal.details = json!({"causes": [cause], "group": "meta.k8s.io", "kind": kind});
        refusal
    }

    /// The request itself cannot be understood.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// The answer's body.
    pub fn body(&self) -> Value {
        let mut body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            body["reason"] = json!(self.reason);
        }
        if !self.details.is_null() {
            body["details"] = self.details.clone();
        }
        body
    }
}
