//! Texts: numbers, the exposition, names of metrics.

use super::*;
use crate::sim::prometheus::openmetrics;

#[test]
fn numbers_are_written_as_prometheus_does() {
    for (value, expected) in [
        (1.0, "1"),
        (0.1, "0.1"),
        (-0.0, "-0"),
        (1e21, "1000000000000000000000"),
        (1.5e-7, "0.00000015"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "+Inf"),
        (f64::NEG_INFINITY, "-Inf"),
    ] {
        assert_eq!(format::plain(value), expected);
    }
}

#[test]
fn the_database_is_written_as_openmetrics() {
    let mut database = load(&["up{pod=\"b\"} 1 stale", "a_total 0+1.5x1", "n NaN +Inf"]);
    let odd = Labels::new([(NAME, "odd"), ("x", "\"\\\n")]);
    database.append(&odd, at(1) + SignedDuration::from_millis(5), 1.0).unwrap();
    assert_eq!(
        openmetrics(&database),
        "a_total 0 0.000\na_total 1.5 60.000\nn NaN 0.000\nn +Inf 60.000\n\
         odd{x=\"\\\"\\\\\\n\"} 1 1.005\nup{pod=\"b\"} 1 0.000\n# EOF\n"
    );
}

#[test]
fn a_query_tells_which_metrics_it_reads() {
    let database = load(&["a 1"]);
    let query = "sum(rate(a[1m])) / on() (b offset 5m) + max_over_time({__name__=\"c\"}[5m:])";
    let query = Query::parse(query).unwrap();
    assert_eq!(query.metrics().into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(query.unknown_metrics(&database).into_iter().collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(database.names().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn labels_with_empty_values_are_none() {
    let labels = Labels::new([("b", "2"), ("a", "1"), ("c", ""), ("a", "3")]);
    assert_eq!(labels.iter().collect::<Vec<_>>(), [("a", "3"), ("b", "2")]);
    assert_eq!(labels.with("b", "").to_string(), "{a=\"3\"}");
}
