//! Quantities that can be added and are shown as the API server shows them.

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value, json};

use crate::world::quantity::nano_units;

/// Amounts by what they are of, such as `requests.cpu`.
pub type Amounts = BTreeMap<String, Amount>;

/// A quantity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Its size in nano-units.
    pub nanos: i128,
    /// Whether it is shown with `Ki`, `Mi` and their like.
    pub binary: bool,
}

const ONE: i128 = 1_000_000_000;

// === impl Amount

impl Amount {
    /// A number of things.
    pub fn of(count: usize) -> Self {
        Self { nanos: i128::try_from(count).unwrap_or(i128::MAX / ONE) * ONE, binary: false }
    }

    /// The amount as it stands in an object; none if it is no quantity.
    pub fn read(value: &Value) -> Option<Self> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        Some(Self { nanos: nano_units(&text)?, binary: text.ends_with('i') })
    }

    /// Both together, in the form of the first, unless that is nothing.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let binary = if self.nanos == 0 { other.binary } else { self.binary };
        Self { nanos: self.nanos.saturating_add(other.nanos), binary }
    }

    /// In thousandths, rounded up.
    pub fn thousandths(&self) -> i64 {
        let unit = ONE / 1000;
        let whole = self.nanos.div_euclid(unit) + i128::from(self.nanos.rem_euclid(unit) > 0);
        i64::try_from(whole).unwrap_or(i64::MAX)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.nanos / ONE;
        let exact = self.nanos % ONE == 0;
        if self.binary && exact && whole.abs() >= 1024 {
            return scaled(f, whole, 1024, &["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]);
        }
        if exact {
            return scaled(f, whole, 1000, &["", "k", "M", "G", "T", "P", "E"]);
        }
        scaled(f, self.nanos, 1000, &["n", "u", "m"])
    }
}

/// With the greatest suffix that leaves a whole number.
fn scaled(
    f: &mut fmt::Formatter<'_>,
    mut number: i128,
    base: i128,
    suffixes: &[&str],
) -> fmt::Result {
    let mut suffix = 0;
    while number != 0 && number % base == 0 && suffix + 1 < suffixes.len() {
        number /= base;
        suffix += 1;
    }
    let suffix = if number == 0 { "" } else { suffixes[suffix] };
    write!(f, "{number}{suffix}")
}

// === lists

/// The amounts in a list of an object; what is no quantity is left out.
pub fn read(list: &Value) -> Amounts {
    let entries = list.as_object().into_iter().flatten();
    entries.filter_map(|(name, value)| Some((name.clone(), Amount::read(value)?))).collect()
}

/// The list as it stands in an object.
pub fn shown(amounts: &Amounts) -> Value {
    let entries = amounts.iter().map(|(name, amount)| (name.clone(), json!(amount.to_string())));
    Value::Object(entries.collect::<Map<_, _>>())
}

/// Adds one list to another.
pub fn add(to: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let present = to.entry(name.clone()).or_default();
        *present = present.plus(*amount);
    }
}

/// Writes the quantities of a list as the API server does; what is no quantity stays.
pub fn tidy(list: &mut Value) {
    for (_, value) in list.as_object_mut().into_iter().flatten() {
        if let Some(amount) = Amount::read(value) {
            *value = json!(amount.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_shown_in_its_greatest_unit() {
        for (text, shown) in [
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1500m", "1500m"),
            ("2000", "2k"),
            ("1024Mi", "1Gi"),
            ("1536Mi", "1536Mi"),
            ("2000Mi", "2000Mi"),
            ("0.5Gi", "512Mi"),
            ("512Mi", "512Mi"),
            ("1000Ki", "1000Ki"),
            ("0", "0"),
            ("0Gi", "0"),
            ("0.5Ki", "512"),
            ("100n", "100n"),
            ("3", "3"),
        ] {
            let amount = Amount::read(&json!(text)).unwrap();
            assert_eq!(amount.to_string(), shown, "{text}");
        }
        assert_eq!(Amount::read(&json!(3)).unwrap().to_string(), "3");
    }

    #[test]
    fn a_sum_keeps_the_first_form() {
        let read = |text: &str| Amount::read(&json!(text)).unwrap();
        assert_eq!(read("64Mi").plus(read("64Mi")).to_string(), "128Mi");
        assert_eq!(Amount::default().plus(read("1Gi")).to_string(), "1Gi");
        assert_eq!(read("100m").plus(read("900m")).to_string(), "1");
    }
}
