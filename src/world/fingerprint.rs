//! The fingerprint of a pod template: whether two templates run the same pods.
//!
//! In: a template as a person wrote it, or as the API server gave it back. Out: a text that is the
//! same for both. A release starts when it differs from that of the newest revision, so what does
//! not change pods must not change it: key order, unset fields, the API server's defaults, another
//! spelling of a quantity.
//!
//! The rules carry a version and **`v1` never changes**, else an upgrade of Sluice would start a
//! release of everything at once (rivals have done so, by a new version of a library). Hence no
//! typed structs and no library's idea of JSON order. Other rules would be a `v2` beside it, and a
//! stored fingerprint would be compared under its own version. `tests/fingerprints/v1.json` holds
//! templates with the fingerprints that they must have for ever.

mod canonical;

#[cfg(test)]
mod tests;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::api::PodTemplate;

/// The fingerprint of `template`: `v1:` and 64 hexadecimal digits.
pub fn fingerprint(template: &PodTemplate) -> String {
    let mut text = String::new();
    write(&canonical::form(template), &mut text);
    let digits = Sha256::digest(text).into_iter();
    digits.fold("v1:".into(), |text, byte| format!("{text}{byte:02x}"))
}

/// The revision hash of a fingerprint: 10 characters that are safe in labels and names, without
/// vowels, so that they spell no words. `collisions` counts how many revisions of the same Rollout
/// had this hash for *another* fingerprint: 0 unless names collided.
pub fn revision_hash(fingerprint: &str, collisions: i64) -> String {
    // The alphabet that Kubernetes uses for the same purpose.
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let digest = Sha256::digest(format!("{fingerprint}/{collisions}"));
    let mut number =
        digest.iter().take(16).fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    let mut hash = String::new();
    for _ in 0..10 {
        let digit = usize::try_from(number % 27).unwrap_or_default();
        hash.push(char::from(ALPHABET[digit]));
        number /= 27;
    }
    hash
}

/// JSON without spaces and with sorted keys. Written here, because whether `serde_json` sorts keys
/// depends on what other crates of the build ask of it.
fn write(value: &Value, text: &mut String) {
    match value {
        Value::Array(list) => {
            text.push('[');
            for (index, item) in list.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(item, text);
            }
            text.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            text.push('{');
            for (index, (key, item)) in entries.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(&Value::from(key.as_str()), text);
                text.push(':');
                write(item, text);
            }
            text.push('}');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}
