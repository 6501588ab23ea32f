//! Operators: arithmetic, comparisons, matching.

use super::*;

fn requests() -> Database {
    load(&[
        "errors{code=\"500\",method=\"get\"} 24",
        "errors{code=\"404\",method=\"get\"} 30",
        "errors{code=\"501\",method=\"put\"} 3",
        "errors{code=\"500\",method=\"post\"} 6",
        "requests{method=\"get\"} 600",
        "requests{method=\"del\"} 34",
        "requests{method=\"post\"} 120",
    ])
}

#[test]
fn numbers() {
    check(
        &Database::new(),
        &[
            (0, "1 + 2 * 3", &["7"]),
            (0, "-2 ^ 2", &["-4"]),
            (0, "2 ^ 3 ^ 2", &["512"]),
            (0, "7 % 3", &["1"]),
            (0, "-7 % 3", &["-1"]),
            (0, "1 / 0", &["+Inf"]),
            (0, "-1 / 0", &["-Inf"]),
            (0, "0 / 0", &["NaN"]),
            (0, "2 > bool 1", &["1"]),
            (0, "NaN == bool NaN", &["0"]),
            (0, "time()", &["0"]),
            (0, "\"text\"", &["text"]),
            (0, "1e10", &["10000000000"]),
            (0, "0x1f", &["31"]),
        ],
    );
}

#[test]
fn a_vector_and_a_number() {
    let database = requests();
    check(
        &database,
        &[
            (0, "requests{method=\"get\"} / 2", &["{method=\"get\"} 300"]),
            (0, "2 ^ vector(3)", &["{} 8"]),
            (0, "-requests{method=\"get\"}", &["{method=\"get\"} -600"]),
            // A comparison keeps the name and the value of the vector.
            (0, "requests > 500", &["requests{method=\"get\"} 600"]),
            (0, "500 < requests", &["requests{method=\"get\"} 600"]),
            (
                0,
                "requests > bool 500",
                &["{method=\"get\"} 1", "{method=\"del\"} 0", "{method=\"post\"} 0"],
            ),
            (0, "requests != requests", &[]),
        ],
    );
}

#[test]
fn vectors_match_by_labels() {
    let database = requests();
    check(
        &database,
        &[
            (
                0,
                "errors{code=\"500\"} / ignoring(code) requests",
                &["{method=\"get\"} 0.04", "{method=\"post\"} 0.05"],
            ),
            (
                0,
                "errors{code=\"500\"} / on(method) requests",
                &["{method=\"get\"} 0.04", "{method=\"post\"} 0.05"],
            ),
            (
                0,
                "errors / ignoring(code) group_left requests",
                &[
                    "{code=\"500\", method=\"get\"} 0.04",
                    "{code=\"404\", method=\"get\"} 0.05",
                    "{code=\"500\", method=\"post\"} 0.05",
                ],
            ),
            (
                0,
                "requests{method=\"post\"} / on(method) group_right errors",
                &["{code=\"500\", method=\"post\"} 20"],
            ),
            (
                0,
                "requests{method=\"post\"} * on(method) group_left(code) errors{code=\"500\"}",
                &["{code=\"500\", method=\"post\"} 720"],
            ),
            (
                0,
                "errors{code=\"500\"} > bool ignoring(code) requests",
                &["{method=\"get\"} 0", "{method=\"post\"} 0"],
            ),
            // No shared labels, no result.
            (0, "errors + requests", &[]),
        ],
    );
    refused(
        &database,
        "requests / on(method) errors",
        "found duplicate series for the match group {method=\"get\"} on the right hand-side",
    );
    refused(
        &database,
        "errors / on(method) requests",
        "many-to-one matching must be explicit (group_left/group_right)",
    );
    refused(
        &database,
        "errors * on(method) group_left(code) requests",
        "grouping labels must ensure unique matches",
    );
}

#[test]
fn sets() {
    let database = requests();
    check(
        &database,
        &[
            (0, "requests and on(method) errors{code=\"404\"}", &["requests{method=\"get\"} 600"]),
            (0, "requests unless on(method) errors", &["requests{method=\"del\"} 34"]),
            (
                0,
                "requests{method=\"del\"} or errors{code=\"501\"}",
                &["requests{method=\"del\"} 34", "errors{code=\"501\", method=\"put\"} 3"],
            ),
            (0, "sum(nothing) or vector(0)", &["{} 0"]),
            (0, "vector(1) or vector(2)", &["{} 1"]),
            (0, "nothing or requests{method=\"del\"}", &["requests{method=\"del\"} 34"]),
        ],
    );
}

#[test]
fn two_results_with_the_same_labels_are_refused() {
    let database = load(&["a 1", "b 2", "a_total 0 1", "b_total 0 1"]);
    let why = "vector cannot contain metrics with the same labelset";
    refused(&database, "{__name__=~\"a|b\"} * 2", why);
    refused(&database, "-{__name__=~\"a|b\"}", why);
    refused(&database, "sum_over_time({__name__=~\"[ab]_total\"}[5m])", why);
    refused(&database, "label_replace({__name__=~\"a|b\"}, \"__name__\", \"c\", \"\", \"\")", why);
}

#[test]
fn what_is_missing_is_refused_by_its_name() {
    let database = requests();
    for (query, what) in [
        ("deriv(errors[5m])", "the function deriv()"),
        ("sum(predict_linear(errors[5m], 60))", "the function predict_linear()"),
        ("histogram_fraction(0, 1, errors)", "the function histogram_fraction()"),
        ("limitk(2, errors)", "the aggregation limitk()"),
        ("errors{code=\"500\" or code=\"404\"}", "`or` between matchers"),
        ("errors + on(method) fill(0) requests", "the modifier fill()"),
        ("day_of_week()", "the function day_of_week()"),
    ] {
        refused(&database, query, what);
        let error = Query::parse(query).unwrap_err();
        assert!(matches!(error, QueryError::Unsupported(_)), "{query}: {error}");
    }
}

#[test]
fn what_is_no_promql_is_refused() {
    for query in
        ["", "errors{", "sum by", "rate(errors)", "{}", "{a=~\".*\"}", "errors[5m", "nope(1)"]
    {
        let error = Query::parse(query).expect_err(query);
        assert!(matches!(error, QueryError::Syntax(_)), "{query}: {error}");
    }
}

#[test]
fn every_function_that_is_offered_is_there() {
    let database = load(&["a{le=\"+Inf\"} 0+1x5"]);
    for name in crate::sim::prometheus::query::FUNCTIONS {
        let arguments = match name {
            "time" | "pi" => "",
            "vector" => "1",
            "clamp" => "a, 1, 2",
            "clamp_min" | "clamp_max" => "a, 1",
            "histogram_quantile" => "0.5, a",
            "quantile_over_time" => "0.5, a[5m]",
            "label_join" => "a, \"b\", \"-\", \"le\"",
            "label_replace" => "a, \"b\", \"$1\", \"le\", \"(.*)\"",
            "rate" | "increase" | "delta" | "irate" | "idelta" | "changes" | "resets" => "a[5m]",
            name if name.ends_with("_over_time") => "a[5m]",
            _ => "a",
        };
        ask(&database, 60, &format!("{name}({arguments})")).expect(name);
    }
    for name in crate::sim::prometheus::query::AGGREGATIONS {
        let parameter = match name {
            "topk" | "bottomk" | "quantile" => "1, ",
            "count_values" => "\"v\", ",
            _ => "",
        };
        ask(&database, 60, &format!("{name}({parameter}a)")).expect(name);
    }
}
