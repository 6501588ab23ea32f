//! Single complaints about fields, in the API server's words (`field.Error`).

use serde_json::Value;

/// A field's path, what the API server calls the error, and a sentence.
pub type Cause = (String, &'static str, String);

/// A value that is malformed.
pub fn invalid(path: &str, value: &Value, detail: &str) -> Cause {
    (path.to_owned(), "FieldValueInvalid", format!("Invalid value: {value}: {detail}"))
}

/// A value that is malformed and too long to show.
pub fn invalid_unshown(path: &str, detail: &str) -> Cause {
    (path.to_owned(), "FieldValueInvalid", format!("Invalid value: {detail}"))
}

/// A value of the wrong type; `found` and `expected` are types.
pub fn wrong_type(path: &str, expected: &str, found: &str) -> Cause {
    let text = format!(
        "Invalid value: \"{found}\": {path} in body must be of type {expected}: \"{found}\""
    );
    (path.to_owned(), "FieldValueTypeInvalid", text)
}

/// A value that is missing.
pub fn required(path: &str, detail: &str) -> Cause {
    let text = if detail.is_empty() {
        "Required value".to_owned()
    } else {
        format!("Required value: {detail}")
    };
    (path.to_owned(), "FieldValueRequired", text)
}

/// A value that is none of the possible ones.
pub fn not_supported(path: &str, value: &Value, supported: &[String]) -> Cause {
    let quoted: Vec<String> = supported.iter().map(|one| format!("{one:?}")).collect();
    let text = format!("Unsupported value: {value}: supported values: {}", quoted.join(", "));
    (path.to_owned(), "FieldValueNotSupported", text)
}

/// A value with too many bytes.
pub fn too_long(path: &str, limit: i64) -> Cause {
    let unit = if limit == 1 { "byte" } else { "bytes" };
    let text = format!("Too long: may not be more than {limit} {unit}");
    (path.to_owned(), "FieldValueTooLong", text)
}

/// A list or map with too many entries.
pub fn too_many(path: &str, found: usize, limit: i64) -> Cause {
    let unit = if limit == 1 { "item" } else { "items" };
    let text = format!("Too many: {found}: must have at most {limit} {unit}");
    (path.to_owned(), "FieldValueTooMany", text)
}

/// A value that may not be there, or not change.
pub fn forbidden(path: &str, detail: &str) -> Cause {
    (path.to_owned(), "FieldValueForbidden", format!("Forbidden: {detail}"))
}

/// A value that is there twice.
pub fn duplicate(path: &str, value: &Value) -> Cause {
    (path.to_owned(), "FieldValueDuplicate", format!("Duplicate value: {value}"))
}

/// Whether the CEL rules are not looked at because of it.
pub fn is_blocking(cause: &Cause) -> bool {
    matches!(
        cause.1,
        "FieldValueNotSupported"
            | "FieldValueRequired"
            | "FieldValueTooLong"
            | "FieldValueTooMany"
            | "FieldValueTypeInvalid"
    )
}

/// That the CEL rules were not looked at.
pub fn unchecked() -> Cause {
    let detail = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
    invalid("<nil>", &Value::Null, detail)
}
