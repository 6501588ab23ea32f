//! A count, or a percentage of `spec.replicas`.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A count of pods (`2`), or a percentage of `spec.replicas` (`25%`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntOrPercent {
    /// A number of pods.
    Count(u32),
    /// A percentage of `spec.replicas`.
    Percent(u32),
}

impl IntOrPercent {
    /// The number of pods that this means for `replicas`; a fraction counts as one more pod.
    pub fn rounded_up(self, replicas: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => {
                let pods = (u64::from(replicas) * u64::from(percent)).div_ceil(100);
                u32::try_from(pods).unwrap_or(u32::MAX)
            }
        }
    }

    /// The number of pods that this means for `replicas`; a fraction counts for nothing.
    pub fn rounded_down(self, replicas: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => {
                let pods = u64::from(replicas) * u64::from(percent) / 100;
                u32::try_from(pods).unwrap_or(u32::MAX)
            }
        }
    }
}

impl std::str::FromStr for IntOrPercent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_suffix('%')
            .map_or_else(
                || text.parse().map(Self::Count),
                |percent| percent.parse().map(Self::Percent),
            )
            .map_err(|_| {
                format!("found `{text}`, allowed is a count such as 2 or a share such as 25%")
            })
    }
}

impl fmt::Display for IntOrPercent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl Serialize for IntOrPercent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u32(*count),
            Self::Percent(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for IntOrPercent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = IntOrPercent;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a count such as 2 or a share such as 25%")
            }

            fn visit_u64<E: de::Error>(self, count: u64) -> Result<IntOrPercent, E> {
                let count = u32::try_from(count)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(count), &self))?;
                Ok(IntOrPercent::Count(count))
            }

            fn visit_i64<E: de::Error>(self, count: i64) -> Result<IntOrPercent, E> {
                let count = u32::try_from(count)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(count), &self))?;
                Ok(IntOrPercent::Count(count))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<IntOrPercent, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for IntOrPercent {
    fn schema_name() -> Cow<'static, str> {
        "IntOrPercent".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "minimum": 0,
            "maximum": 1_000_000,
            "maxLength": 8,
            "pattern": "^[0-9]{1,6}%?$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_of_a_pod_is_a_pod() {
        for (value, replicas, pods) in [
            ("0%", 10, 0),
            ("20%", 10, 2),
            ("25%", 10, 3),
            ("100%", 3, 3),
            ("4", 3, 4),
            ("33%", 0, 0),
        ] {
            let value: IntOrPercent = value.parse().expect(value);
            assert_eq!(value.rounded_up(replicas), pods, "{value} of {replicas}");
        }
        assert!("many".parse::<IntOrPercent>().unwrap_err().contains("25%"));
    }
}
