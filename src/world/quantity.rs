//! Kubernetes quantities (`500m`, `1Gi`, `1e3`), exactly.
//!
//! In: a quantity as a person or the API server wrote it. Out: its number of nano-units, the
//! smallest that Kubernetes keeps, so that `1` and `1000m` are one number. No floats, because two
//! spellings of one amount must not differ in the last bit.

use serde_json::Value;

/// The quantity in nano-units (`1` is 1 000 000 000), rounded away from zero as Kubernetes does
/// below a nano-unit. `None` if the text is no quantity, or one beyond 128 bits.
pub fn nano_units(text: &str) -> Option<i128> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let digits: i128 = format!("0{whole}{fraction}").parse().ok()?;
    let decimals = i32::try_from(fraction.len()).ok()?;
    let Scale { two, ten } = scale(suffix)?;
    let nanos = times_power_of_ten(
        digits.checked_mul(1 << two)?,
        ten.checked_add(9)?.checked_sub(decimals)?,
    )?;
    Some(if negative { -nanos } else { nanos })
}

/// `quantity` in the one spelling that all its equals share; what is no quantity stays as it is.
pub fn canonical(quantity: &Value) -> Value {
    let nanos = match quantity {
        Value::String(text) => nano_units(text),
        Value::Number(number) => nano_units(&number.to_string()),
        _ => None,
    };
    nanos.map_or_else(|| quantity.clone(), |nanos| format!("{nanos}n").into())
}

/// What a suffix multiplies by: 2^two · 10^ten.
struct Scale {
    two: u32,
    ten: i32,
}

fn scale(suffix: &str) -> Option<Scale> {
    let (two, ten) = match suffix {
        "n" => (0, -9),
        "u" => (0, -6),
        "m" => (0, -3),
        "" => (0, 0),
        "k" => (0, 3),
        "M" => (0, 6),
        "G" => (0, 9),
        "T" => (0, 12),
        "P" => (0, 15),
        "E" => (0, 18),
        "Ki" => (10, 0),
        "Mi" => (20, 0),
        "Gi" => (30, 0),
        "Ti" => (40, 0),
        "Pi" => (50, 0),
        "Ei" => (60, 0),
        exponent => {
            let exponent = exponent.strip_prefix(['e', 'E'])?;
            (0, exponent.parse().ok()?)
        }
    };
    Some(Scale { two, ten })
}

/// `number` · 10^`exponent` for a number that is not negative; a fraction counts as one more.
fn times_power_of_ten(number: i128, exponent: i32) -> Option<i128> {
    if number == 0 {
        return Some(0);
    }
    let power = 10_i128.checked_pow(exponent.unsigned_abs());
    if exponent >= 0 {
        return number.checked_mul(power?);
    }
    // A divisor beyond 128 bits is greater than any number here.
    let Some(divisor) = power else {
        return Some(1);
    };
    Some(number / divisor + i128::from(number % divisor != 0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: i128 = 1_000_000_000;

    #[test]
    fn spellings_of_one_amount_are_one_number() {
        for (amount, spellings) in [
            (
                ONE,
                vec!["1", "1000m", "1.0", "+1", "1.", "1e0", "1000000u", "1000000000n", "0.001k"],
            ),
            (ONE / 2, vec!["0.5", ".5", "500m", "5e-1", "5E-1", "0.50"]),
            (1000 * ONE, vec!["1k", "1e3", "1E3", "1e+3", "1000", "0001000"]),
            (1024 * ONE, vec!["1Ki", "1024", "1.024k", "0.0009765625Mi"]),
            ((1 << 30) * ONE, vec!["1Gi", "1073741824", "1024Mi", "1048576Ki"]),
            ((3 << 29) * ONE, vec!["1.5Gi", "1536Mi"]),
            ((1 << 60) * ONE, vec!["1Ei", "1024Pi", "1048576Ti"]),
            (
                1_000_000_000_000_000_000 * ONE,
                vec!["1E", "1e18", "1000P", "1000000T", "1000000000G"],
            ),
            (-3 * ONE, vec!["-3", "-3000m"]),
            (0, vec!["0", "0m", "0Gi", "-0", "0.000", "0e400"]),
            (1, vec!["1n", "0.1n", "1e-9", "1e-99", "0.0000000000001"]),
            (-1, vec!["-1n", "-0.1n"]),
        ] {
            for spelling in spellings {
                assert_eq!(nano_units(spelling), Some(amount), "{spelling}");
            }
        }
    }

    #[test]
    fn what_is_no_quantity_stays_as_it_is() {
        for text in [
            "",
            "-",
            "+",
            ".",
            "1.2.3",
            "1 Gi",
            "1gi",
            "1K",
            "1ki",
            "Gi",
            "e3",
            "1e",
            "1e1.5",
            "1e3k",
            "1e12M",
            "--1",
            "1,5",
            "0x10",
            "inf",
            "NaN",
            "1Gi ",
            "1é",
            "é",
            "1e99999999999",
            "1e2147483647",
            "1e60",
            "999999999999999999999999999999999999999999",
        ] {
            assert_eq!(nano_units(text), None, "{text}");
            assert_eq!(canonical(&text.into()), Value::from(text));
        }
        for value in [Value::Null, true.into(), serde_json::json!(["1"])] {
            assert_eq!(canonical(&value), value);
        }
    }

    #[test]
    fn numbers_and_texts_have_one_spelling() {
        for value in [
            serde_json::json!(2),
            serde_json::json!(2.0),
            serde_json::json!("2"),
            serde_json::json!("2000m"),
        ] {
            assert_eq!(canonical(&value), Value::from("2000000000n"), "{value}");
        }
    }

    proptest! {
        #[test]
        fn a_canonical_quantity_is_its_own_canonical_form(text in "[+-]?[0-9]{1,6}(\\.[0-9]{0,4})?(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|e[0-9]|E-[0-9])?") {
            let once = canonical(&text.as_str().into());
            prop_assert!(nano_units(&text).is_some(), "{}", text);
            prop_assert_eq!(canonical(&once), once);
        }

        #[test]
        fn no_text_panics(text in ".{0,12}") {
            let _ = nano_units(&text);
        }
    }
}
