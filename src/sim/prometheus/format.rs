//! Numbers as Prometheus writes them.
//!
//! In: a double. Out: the text of the HTTP API and of the exposition format.

/// The shortest decimal text that reads back as `value`, without an exponent: `FormatFloat(v, 'f',
/// -1, 64)` of Go.
pub(super) fn plain(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        value.to_string()
    }
}
