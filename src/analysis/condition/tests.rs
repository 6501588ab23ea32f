use proptest::prelude::*;

use super::*;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

fn holds(text: &str, sample: Sample) -> Result<bool, ConditionError> {
    Condition::compile(text)?.evaluate(sample).map(|outcome| outcome.holds)
}

fn vector(text: &str, values: &[f64]) -> bool {
    holds(text, Sample::Vector(values)).expect(text)
}

fn scalar(text: &str, value: f64) -> bool {
    holds(text, Sample::Scalar(value)).expect(text)
}

#[test]
fn numbers_compare_and_combine_however_they_are_written() {
    for (text, values, expected) in [
        ("result[0] >= 0.95", &[0.97][..], true),
        ("result[0] >= 0.95", &[0.94], false),
        ("result[0] * 100 > 95", &[0.97], true),
        ("100 * result[0] > 95", &[0.97], true),
        ("result[0] + 1 == 2", &[1.0], true),
        ("result[0] == 1", &[1.0], true),
        ("result[0] == 1u", &[1.0], true),
        ("1 - result[0] <= 0.05", &[0.97], true),
        ("result[0] / 4 == 0.25", &[1.0], true),
        ("result[0] % 2 == 1", &[3.0], true),
        ("-result[0] < 0", &[3.0], true),
        ("size(result) * 2 == 4", &[3.0, 4.0], true),
        ("result.size() == 2", &[3.0, 4.0], true),
        ("result[size(result) - 1] == 4", &[3.0, 4.0], true),
        ("double(1) + 0.5 == 1.5 && int(1.7) == 1", &[3.0], true),
        ("abs(result[0]) < 4", &[-3.0], true),
        ("result[0] > 1e3", &[1001.0], true),
        ("result[0] in [1, 2, 3]", &[2.0], true),
        ("result == [1, 2]", &[1.0, 2.0], true),
        ("result[0] > 0 ? result[0] < 5 : false", &[2.0], true),
    ] {
        assert_eq!(vector(text, values), expected, "{text} on {values:?}");
    }
    assert!(scalar("result > 95 / 100", 0.97));
    assert!(scalar("result * 100 > 95", 0.97));
}

#[test]
fn macros_look_at_every_value() {
    for (text, values, expected) in [
        ("result.all(x, x < 0.5)", &[0.1, 0.2][..], true),
        ("result.all(x, x < 0.15)", &[0.1, 0.2], false),
        ("result.exists(x, x * 10 > 1)", &[0.1, 0.2], true),
        ("result.exists_one(x, x > 0.15)", &[0.1, 0.2], true),
        ("result.filter(x, x > 0.15).size() == 1", &[0.1, 0.2], true),
        ("result.map(x, x * 2)[1] == 4", &[1.0, 2.0], true),
        ("result.map(x, x > 1, x * 2) == [4]", &[1.0, 2.0], true),
        ("result.all(x, result.exists(y, y > x || y == x))", &[1.0, 2.0], true),
        ("(result + [5]).size() == 3", &[1.0, 2.0], true),
    ] {
        assert_eq!(vector(text, values), expected, "{text} on {values:?}");
    }
}

#[test]
fn nan_compares_as_false_and_an_answer_by_accident_is_known_as_such() {
    for (text, value, expected, by_accident) in [
        ("result >= 0.95", NAN, false, true),
        ("!(result >= 0.95)", NAN, true, true),
        ("result != 1", NAN, true, true),
        ("result == result", NAN, false, true),
        ("isNaN(result) || result >= 0.95", NAN, true, false),
        ("result >= 0.95 || isNaN(result)", NAN, true, false),
        ("!isNaN(result) && result >= 0.95", NAN, false, false),
        ("default(result, 1) >= 0.95", NAN, true, false),
        ("isInf(result)", INF, true, false),
        ("isInf(result)", -INF, true, false),
        ("result > 1", INF, true, false),
        ("result > 1", -INF, false, false),
        ("true", NAN, true, false),
    ] {
        let outcome = Condition::compile(text)
            .and_then(|condition| condition.evaluate(Sample::Scalar(value)))
            .expect(text);
        assert_eq!(outcome.holds, expected, "{text} on {value}");
        assert_eq!(outcome.by_accident, by_accident, "{text} on {value}");
    }
}

#[test]
fn the_side_that_decides_wins_over_one_that_cannot_be_told() {
    assert!(vector("result[5] > 1 || result[0] > 1", &[2.0]));
    assert!(!vector("result[5] > 1 && result[0] > 1", &[1.0]));
    assert!(vector("default(result[5], 3) == 3", &[2.0]));
    assert_eq!(
        holds("result[5] > 1 && result[0] > 1", Sample::Vector(&[2.0])),
        Err(ConditionError::OutOfRange { index: "5".to_owned(), len: 1 })
    );
}

#[test]
fn what_can_never_work_is_refused_with_a_sentence_when_it_is_read() {
    for (text, words) in [
        ("result[0] >= ", "is not a CEL expression"),
        ("", "is not a CEL expression"),
        ("result[0] => 1", "is not a CEL expression"),
        ("resutl[0] > 1", "found the name `resutl`, allowed is `result`"),
        ("len(result) > 1", "found the function `len`, allowed is size"),
        ("all(result, {# > 1})", "is not a CEL expression"),
        ("isNaN(result, 1)", "found `isNaN` with 2 arguments, allowed is 1"),
        ("result[0]", "not true or false"),
        ("result", "not true or false"),
        ("result[0] + 1", "not true or false"),
        ("result.map(x, x > 1)", "not true or false"),
        ("result[0] >= \"0.95\"", "found `>=` between a number and a text"),
        ("result[0] && true", "allowed is true or false"),
        ("result.value > 1", "found the field `.value`"),
        ("x > 1 && result.all(x, x > 1)", "found the name `x`"),
        ("{'a': 1} == {}", "found a map"),
        ("b'a' == b'a'", "found bytes"),
        ("has(result.x)", "found the field"),
        ("99999999999999999999999 > result", "is not a CEL expression"),
    ] {
        let error = Condition::compile(text).expect_err(text).to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn a_list_is_not_a_number_and_the_message_shows_the_way_out() {
    let error = holds("result >= 0.95", Sample::Vector(&[0.97])).expect_err("a list");
    assert!(error.to_string().contains("write `result[0]`"), "{error}");
    let error = holds("result[0] >= 0.95", Sample::Scalar(0.97)).expect_err("a scalar");
    assert!(error.to_string().contains("write `result`"), "{error}");
    assert!(holds("result == 1", Sample::Vector(&[1.0])).is_err());
    assert!(holds("result[0.5] > 1", Sample::Vector(&[1.0])).is_err());
    assert!(holds("result[-1] > 1", Sample::Vector(&[1.0])).is_err());
}

#[test]
fn no_condition_takes_endless_work() {
    let many = vec![1.0; 10_000];
    for text in [
        "result.all(x, result.all(y, result.all(z, x == y && y == z)))",
        "result.map(x, result.map(y, x + y)).size() > 1",
        "result.all(x, result == result)",
    ] {
        let condition = Condition::compile(text).expect(text);
        assert_eq!(
            condition.evaluate(Sample::Vector(&many)),
            Err(ConditionError::TooMuchWork),
            "{text}"
        );
    }
    let condition = Condition::compile("result.filter(x, x > 0).all(x, x < 2)").expect("linear");
    let largest = vec![1.0; 100_000];
    assert!(condition.evaluate(Sample::Vector(&largest)).expect("linear").holds);
}

#[test]
fn hostile_texts_are_refused_and_overflow_no_stack() {
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("!", ""),
        ("-", ""),
        ("!-", ""),
        ("size(", ")"),
        ("[1].map(x,", ")"),
        ("true ? ", " : false"),
        ("result[", "]"),
        ("{1:", "}"),
        ("'", "'"),
        ("`", "`"),
    ] {
        for inner in ["1", "true", "result[0] > 1", ""] {
            for times in [3, 40, 700] {
                let text = open.repeat(times) + inner + &close.repeat(times);
                // Refused or not, it comes back.
                let _ = holds(&text, Sample::Vector(&[1.0]));
            }
        }
    }
    for joined in ["+", "==", "&&", "||", " in ", "[0]", ".a", ","] {
        let _ = holds(&vec!["1"; 1500].join(joined), Sample::Scalar(1.0));
    }
    let deep = vec!["1"; 500].join("+") + " > 1";
    let error = Condition::compile(&deep).expect_err("deep").to_string();
    assert!(error.contains("nested deeper than 100"), "{error}");
    assert!(Condition::compile(&"1".repeat(MAX_BYTES + 1)).is_err());
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,80}", value in any::<f64>()) {
        let _ = holds(&text, Sample::Scalar(value));
        let _ = holds(&text, Sample::Vector(&[value]));
    }

    #[test]
    fn no_text_of_tokens_panics(
        tokens in proptest::collection::vec(
            proptest::sample::select(vec![
                "result", "[0]", "[", "]", "(", ")", "+", "-", "*", "/", "%", "&&", "||", "!",
                "==", "<", ">=", "?", ":", ".all(x,", ".map(x,", "x", "1", "0.5", "1u", "'a'",
                "b'a'", "null", "true", "in", ",", "isNaN(", "default(", "size(", "has(", ".",
                "{", "}", "\"", "\\", "r'", "'''", "`", "//", "\n", "\u{1F600}", "0x", "1e",
            ]),
            0..25,
        ),
        values in proptest::collection::vec(any::<f64>(), 0..4),
    ) {
        let text = tokens.concat();
        let _ = holds(&text, Sample::Vector(&values));
        let _ = holds(&tokens.join(" "), Sample::Vector(&values));
    }

    #[test]
    fn comparisons_agree_with_the_numbers(a in any::<f64>(), b in -1000_i32..1000) {
        let b = f64::from(b);
        prop_assert_eq!(scalar(&format!("result > {b}"), a), a > b);
        prop_assert_eq!(scalar(&format!("result <= {b}"), a), a <= b);
        prop_assert_eq!(vector(&format!("result[0] * 2 < {b}"), &[a]), (a * 2.0) < b);
    }
}
