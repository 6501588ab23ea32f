//! Patches: from an object and a patch to the object as it should be.

pub mod apply;
mod strategic;

use serde_json::{Map, Value};

use super::{Refusal, Resource};

/// What a patch's bytes mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Operations on paths (RFC 6902).
    Json,
    /// A tree laid over the object (RFC 7386).
    Merge,
    /// A merge patch that knows which lists are maps.
    Strategic,
    /// What one manager wants the object to say (server-side apply).
    Apply,
}

impl Form {
    /// The form of a content type.
    ///
    /// # Errors
    /// None of the forms has it, or the kind does not take the form.
    pub fn of(content_type: &str, resource: &Resource) -> Result<Self, Refusal> {
        let name = content_type.split(';').next().unwrap_or_default().trim();
        let form = match name {
            "application/json-patch+json" => Self::Json,
            "application/merge-patch+json" => Self::Merge,
            "application/strategic-merge-patch+json" if !resource.custom => Self::Strategic,
            "application/apply-patch+yaml" => Self::Apply,
            "application/strategic-merge-patch+json" => {
                let message = "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
                return Err(Refusal::new(415, "UnsupportedMediaType", message));
            }
            _ => {
                let message = "415: Unsupported Media Type";
                return Err(Refusal::new(415, "UnsupportedMediaType", message).with_empty_details());
            }
        };
        Ok(form)
    }
}

/// `object` after `patch`, which is not of the form [`Form::Apply`].
///
/// # Errors
/// The patch is malformed, or does not apply.
pub fn patched(
    form: Form,
    resource: &Resource,
    object: &Value,
    patch: &Value,
) -> Result<Value, Refusal> {
    let after = match form {
        Form::Json => operations(object, patch)?,
        Form::Merge | Form::Apply => {
            let mut object = object.clone();
            merge(&mut object, patch);
            object
        }
        Form::Strategic => strategic::patched(resource, object, patch)?,
    };
    if after.is_object() {
        return Ok(after);
    }
    Err(Refusal::bad_request("error decoding patch: it leaves no object"))
}

/// The API server does not say which operation failed.
fn rejected() -> Refusal {
    let message = "the server rejected our request due to an error in our request";
    Refusal::new(422, "Invalid", message).with_empty_details()
}

fn operations(object: &Value, patch: &Value) -> Result<Value, Refusal> {
    if !patch.is_array() {
        return Err(Refusal::bad_request("error decoding patch: it is no list"));
    }
    let patch: json_patch::Patch = serde_json::from_value(patch.clone()).map_err(|_| rejected())?;
    let mut object = object.clone();
    for operation in patch.0 {
        // The API server's library takes an absent value for null.
        if let json_patch::PatchOperation::Test(test) = &operation
            && test.value.is_null()
            && object.pointer(test.path.as_str()).is_none()
        {
            continue;
        }
        json_patch::patch(&mut object, &json_patch::Patch(vec![operation]).0)
            .map_err(|_| rejected())?;
    }
    Ok(object)
}

/// Lays `patch` over `target`; null removes.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(object) = target.as_object_mut() else { return };
    for (name, field) in fields {
        if field.is_null() {
            object.remove(name);
        } else {
            merge(object.entry(name).or_insert(Value::Null), field);
        }
    }
}

#[cfg(test)]
mod tests;
