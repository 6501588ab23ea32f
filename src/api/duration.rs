//! Durations as people write them: `90s`, `5m`, `1h30m`, or a bare number of seconds.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time, at least zero. Read from `90s`, `5m`, `1h30m`, `1.5h`, `250ms`, or from a bare
/// integer, which is seconds; written without spaces (`1h30m`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(pub std::time::Duration);

impl Duration {
    /// A duration of whole seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }

    /// The duration in seconds, with its fraction.
    pub fn as_secs_f64(self) -> f64 {
        self.0.as_secs_f64()
    }

    /// The instant that lies this duration after `start`; the end of time if that overflows.
    pub fn after(self, start: jiff::Timestamp) -> jiff::Timestamp {
        let span = jiff::SignedDuration::try_from(self.0).unwrap_or(jiff::SignedDuration::MAX);
        start.checked_add(span).unwrap_or(jiff::Timestamp::MAX)
    }
}

impl std::str::FromStr for Duration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("found `{text}`, allowed is a duration such as 90s, 5m or 1h30m");
        if let Ok(seconds) = text.parse::<u64>() {
            return Ok(Self::from_secs(seconds));
        }
        // humantime reads `M` as a month; nobody who writes a pause means that.
        if text.contains('M') {
            return Err(wrong());
        }
        humantime::parse_duration(text).map(Self).map_err(|_| wrong())
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&humantime::format_duration(self.0).to_string().replace(' ', ""))
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Duration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as 90s, 5m or 1h30m, or a number of seconds")
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Duration, E> {
                Ok(Duration::from_secs(seconds))
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Duration, E> {
                let seconds = u64::try_from(seconds)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(seconds), &self))?;
                Ok(Duration::from_secs(seconds))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // The pattern admits no more than `from_str` reads, so that the API server refuses the rest.
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "minimum": 0,
            "maxLength": 32,
            "pattern": "^([0-9]+|([0-9]+(\\.[0-9]+)?(ms|s|m|h|d))+)$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, millis) in [
            ("90s", 90_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1.5h", 5_400_000),
            ("250ms", 250),
            ("0s", 0),
            ("7", 7_000),
        ] {
            let read: Duration = text.parse().expect(text);
            assert_eq!(read.0.as_millis(), millis, "{text}");
        }
        assert_eq!(serde_json::from_str::<Duration>("90").unwrap(), Duration::from_secs(90));
        assert_eq!(Duration::from_secs(5_400).to_string(), "1h30m");
    }

    #[test]
    fn refuses_with_a_sentence() {
        for text in ["1M", "fast", "-5s", "", "5 x"] {
            let error = text.parse::<Duration>().expect_err(text);
            assert!(error.contains("allowed is a duration"), "{error}");
        }
        assert!(serde_json::from_str::<Duration>("-1").is_err());
    }
}
