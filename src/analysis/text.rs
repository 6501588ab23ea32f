//! Texts for people: numbers, lists and messages of bounded length.
//!
//! In: values and texts of any size. Out: one line that fits a status.

/// Longest message of a measurement, metric or run, in bytes.
pub const MESSAGE_BYTES: usize = 300;

/// Longest text of a measured value, in bytes.
pub const VALUE_BYTES: usize = 160;

/// `text` on one line, without control characters, cut to `limit` bytes with `...` at its end.
pub fn bounded(text: &str, limit: usize) -> String {
    let mut line = String::with_capacity(text.len().min(limit));
    // One character more than fits tells whether anything is cut.
    for character in text.trim().chars() {
        let character = if character.is_control() { ' ' } else { character };
        if line.len() > limit {
            break;
        }
        if character == ' ' && line.ends_with(' ') {
            continue;
        }
        line.push(character);
    }
    if line.len() <= limit {
        return line;
    }
    let mut end = limit.saturating_sub(3);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line.truncate(end);
    line + "..."
}

/// A number as people write it: `0.97`, `1`, `1e-9`, `NaN`, `+Inf`.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else if value == 0.0 || (1e-5..1e16).contains(&size) {
        value.to_string()
    } else {
        format!("{value:e}")
    }
}

/// A list of numbers, shortened: `[0.97, 0.99]`, `[1, 2, ... 998 more]`.
pub fn numbers(values: &[f64]) -> String {
    const SHOWN: usize = 6;
    let shown: Vec<_> = values.iter().take(SHOWN).map(|v| number(*v)).collect();
    let rest = values.len().saturating_sub(SHOWN);
    if rest == 0 {
        format!("[{}]", shown.join(", "))
    } else {
        format!("[{}, ... {rest} more]", shown.join(", "))
    }
}

/// `1 measurement`, `3 measurements`.
pub fn count(n: u32, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_of_bounded_length() {
        assert_eq!(bounded("a\nb\u{0}  c", 100), "a b c");
        assert_eq!(bounded("abcdefgh", 6), "abc...");
        assert_eq!(bounded("abcdef", 6), "abcdef");
        let emoji = "\u{1F600}".repeat(100);
        let cut = bounded(&emoji, 50);
        assert!(cut.len() <= 50 && cut.ends_with("..."), "{cut}");
    }

    #[test]
    fn numbers_read_as_people_write_them() {
        for (value, text) in [
            (0.97, "0.97"),
            (1.0, "1"),
            (-0.5, "-0.5"),
            (0.0, "0"),
            (1e-9, "1e-9"),
            (1e300, "1e300"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(numbers(&[0.97, 0.99]), "[0.97, 0.99]");
        assert_eq!(numbers(&[1.0; 8]), "[1, 1, 1, 1, 1, 1, ... 2 more]");
    }
}
