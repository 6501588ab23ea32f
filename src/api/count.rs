//! A number of measurements, or the argument that gives it.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A number of measurements (`5`), or in a template the argument that gives it
/// (`"{{args.count}}"`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Count {
    /// The number.
    Number(i32),
    /// The placeholder, as it is written.
    Argument(String),
}

impl Count {
    /// The number; none where an argument gives it.
    pub fn number(&self) -> Option<i32> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Argument(_) => None,
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Argument(placeholder) => f.write_str(placeholder),
        }
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_i32(*number),
            Self::Argument(placeholder) => serializer.serialize_str(placeholder),
        }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number such as 5, or an argument such as \"{{args.count}}\"")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Count, E> {
                let whole = i32::try_from(number);
                whole
                    .map(Count::Number)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Count, E> {
                let whole = i32::try_from(number);
                whole
                    .map(Count::Number)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Count, E> {
                Ok(Count::Argument(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Count {
    fn schema_name() -> Cow<'static, str> {
        "Count".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "minimum": 1,
            "maximum": 100_000,
            "maxLength": 80,
            "pattern": r"^\{\{ *args\.[A-Za-z_][A-Za-z0-9_-]* *\}\}$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_stays_a_number_and_a_placeholder_a_text() {
        for (json, count) in [
            ("5", Count::Number(5)),
            (r#""{{args.count}}""#, Count::Argument("{{args.count}}".to_owned())),
        ] {
            assert_eq!(serde_json::from_str::<Count>(json).expect(json), count);
            assert_eq!(serde_json::to_string(&count).expect("JSON"), json);
        }
        let error = serde_json::from_str::<Count>("99999999999").expect_err("too many");
        assert!(error.to_string().contains("a number such as 5"), "{error}");
    }
}
