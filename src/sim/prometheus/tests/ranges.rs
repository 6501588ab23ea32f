//! Selectors, ranges and what is computed over them.

use super::*;

#[test]
fn selects_by_all_four_matchers() {
    let database = load(&[
        "http{code=\"200\",pod=\"a\"} 1",
        "http{code=\"500\",pod=\"a\"} 2",
        "http{code=\"503\"} 3",
        "other{code=\"200\"} 4",
    ]);
    check(
        &database,
        &[
            (0, "http{code=\"200\"}", &["http{code=\"200\", pod=\"a\"} 1"]),
            (0, "http{code!=\"200\",pod!=\"\"}", &["http{code=\"500\", pod=\"a\"} 2"]),
            (0, "http{code=~\"5..\",pod=\"\"}", &["http{code=\"503\"} 3"]),
            // Anchored on both sides.
            (0, "http{code=~\"5\"}", &[]),
            (0, "http{code!~\"5..|4..\"}", &["http{code=\"200\", pod=\"a\"} 1"]),
            (0, "{__name__=~\"oth.*\"}", &["other{code=\"200\"} 4"]),
            (0, "{__name__=\"other\"}", &["other{code=\"200\"} 4"]),
        ],
    );
}

#[test]
fn looks_back_less_than_five_minutes_and_not_past_a_marker() {
    let database = load(&["a 1", "b 1 stale _ 2"]);
    check(
        &database,
        &[
            (299, "a", &["a{} 1"]),
            // The bound itself is out: Prometheus 3.
            (300, "a", &[]),
            (59, "b", &["b{} 1"]),
            (60, "b", &[]),
            (180, "b", &["b{} 2"]),
            (180, "count_over_time(b[10m])", &["{} 2"]),
        ],
    );
}

#[test]
fn ranges_are_open_on_the_left() {
    let database = load(&["a 0+1x10"]);
    check(
        &database,
        &[
            (120, "a[2m]", &["a{} 1@60 2@120"]),
            (120, "count_over_time(a[1m])", &["{} 1"]),
            (130, "a[2m]", &["a{} 1@60 2@120"]),
            (120, "a[1ms]", &["a{} 2@120"]),
        ],
    );
}

#[test]
fn offset_and_at_move_the_time() {
    let database = load(&["a 0+1x10"]);
    check(
        &database,
        &[
            (300, "a offset 2m", &["a{} 3"]),
            (300, "a offset -1m", &["a{} 6"]),
            (300, "a @ 60", &["a{} 1"]),
            (300, "a @ 60 offset -2m", &["a{} 3"]),
            (300, "a @ end()", &["a{} 5"]),
            (300, "sum_over_time(a[2m] offset 1m)", &["{} 7"]),
            (300, "a[2m] @ 120", &["a{} 1@60 2@120"]),
        ],
    );
}

#[test]
fn rate_extrapolates_to_close_bounds_and_half_way_to_far_ones() {
    // 10 each minute.
    let database = load(&["c 0+10x5", "late _ _ _ 100 110", "one 5"]);
    check(
        &database,
        &[
            // Samples at 60..300 in (0, 300]: 40 over 240 s, 60 s to the bound at the left, but the
            // counter was 0 at 0: 50 over 300 s.
            (300, "increase(c[5m])", &["{} 50"]),
            (300, "rate(c[5m])", &["{} 0.166666667"]),
            // Samples at 180, 240; bounds 0 and 300: to the left 180 s is far (half a distance), to
            // the right 60 s is close: 10 / 60 * (30 + 60 + 60).
            (300, "increase(late[5m])", &["{} 25"]),
            (300, "delta(late[5m])", &["{} 25"]),
            // One sample is no change.
            (60, "rate(one[5m])", &[]),
            (60, "irate(one[5m])", &[]),
        ],
    );
}

#[test]
fn rate_does_not_begin_below_zero() {
    // At 60 s already 1: by its slope it was 0 only 6 s before.
    let database = load(&["c _ 1 11 21"]);
    check(
        &database,
        &[
            (180, "increase(c[3m])", &["{} 21"]),
            // A gauge has no such bound: 20 over 120 s becomes 180 s.
            (180, "delta(c[3m])", &["{} 30"]),
        ],
    );
}

#[test]
fn a_threshold_of_one_tenth_more_decides_what_is_close() {
    // Distance 10 s, so that 11 s is far and 10.9 s is close.
    let database = load_every(10, &["c _ _ 100 110 120"]);
    check(
        &database,
        &[
            // Bounds at 10 and 51: 11 s to the right, counted as 5.
            (51, "increase(c[41s])", &["{} 35"]),
            (50, "increase(c[40s])", &["{} 40"]),
        ],
    );
}

#[test]
fn counters_reset() {
    let database = load(&["c 0 10 20 5 15"]);
    check(
        &database,
        &[
            // 10 to 15, and 20 lost by the reset: 25 in 180 s, and 60 s to the left.
            (240, "increase(c[4m])", &["{} 33.333333333"]),
            (240, "resets(c[4m])", &["{} 1"]),
            (240, "changes(c[4m])", &["{} 3"]),
            (180, "irate(c[5m])", &["{} 0.083333333"]),
            (180, "idelta(c[5m])", &["{} -15"]),
            (240, "irate(c[5m])", &["{} 0.166666667"]),
        ],
    );
}

#[test]
fn functions_over_time() {
    let database = load(&["g{x=\"1\"} 2 4 4 4 5 5 7 9", "n NaN 1 NaN 3", "e{y=\"1\"} 1e308 1e308"]);
    check(
        &database,
        &[
            (420, "avg_over_time(g[8m1s])", &["{x=\"1\"} 5"]),
            (420, "sum_over_time(g[8m])", &["{x=\"1\"} 40"]),
            (420, "min_over_time(g[8m])", &["{x=\"1\"} 2"]),
            (420, "max_over_time(g[8m])", &["{x=\"1\"} 9"]),
            (420, "count_over_time(g[8m])", &["{x=\"1\"} 8"]),
            (420, "stddev_over_time(g[8m])", &["{x=\"1\"} 2"]),
            (420, "stdvar_over_time(g[8m])", &["{x=\"1\"} 4"]),
            (420, "quantile_over_time(0.5, g[8m])", &["{x=\"1\"} 4.5"]),
            (420, "quantile_over_time(2, g[8m])", &["{x=\"1\"} +Inf"]),
            (420, "last_over_time(g[8m])", &["g{x=\"1\"} 9"]),
            (420, "present_over_time(g[8m])", &["{x=\"1\"} 1"]),
            (180, "max_over_time(n[8m])", &["{} 3"]),
            (180, "min_over_time(n[8m])", &["{} 1"]),
            (180, "sum_over_time(n[8m])", &["{} NaN"]),
            (180, "changes(n[8m])", &["{} 3"]),
            (60, "sum_over_time(e[8m])", &["{y=\"1\"} +Inf"]),
            // The sum overflows, the mean does not.
            (60, "avg_over_time(e[8m]) / 1e300", &["{y=\"1\"} 100000000"]),
        ],
    );
}

#[test]
fn small_numbers_survive_a_sum() {
    let database =
        load(&["a 1e100 1 -1e100", "b{i=\"1\"} 1e100", "b{i=\"2\"} 1", "b{i=\"3\"} -1e100"]);
    check(&database, &[(120, "sum_over_time(a[5m])", &["{} 1"]), (0, "sum(b)", &["{} 1"])]);
}

#[test]
fn subqueries_step_on_multiples() {
    let database = load(&["a 0+1x10"]);
    check(
        &database,
        &[
            // In (180, 300] at 240 and 300.
            (300, "sum_over_time(a[2m:1m])", &["{} 9"]),
            // At 190 the steps are 120 and 180, not 130 and 190.
            (190, "a[2m:1m]", &["a{} 2@120 3@180"]),
            (300, "max_over_time(rate(a[2m])[3m:1m])", &["{} 0.016666667"]),
            // Without a step: one minute.
            (300, "count_over_time(a[3m:])", &["{} 3"]),
            (300, "sum_over_time(vector(2)[3m:30s])", &["{} 12"]),
            (300, "sum_over_time(a[2m:1m] offset 1m)", &["{} 7"]),
            (300, "sum_over_time(a[2m:1m] @ 120)", &["{} 3"]),
        ],
    );
}

#[test]
fn a_range_query_is_an_instant_query_at_each_step() {
    let database = load(&["a{p=\"1\"} 0+1x10", "a{p=\"2\"} _ 5 stale"]);
    let query = Query::parse("a + 0 * (a @ start() or a)").unwrap();
    let rows = query.range(&database, at(0), at(120), 60_000).unwrap();
    let found: Vec<String> = rows
        .iter()
        .map(|row| {
            let values: Vec<f64> = row.points.iter().map(|point| point.value).collect();
            format!("{} {values:?}", row.labels)
        })
        .collect();
    assert_eq!(found, ["{p=\"1\"} [0.0, 1.0, 2.0]", "{p=\"2\"} [5.0]"]);
    let moving = Query::parse("a{p=\"1\"} @ end()").unwrap();
    let rows = moving.range(&database, at(0), at(120), 60_000).unwrap();
    assert!(rows[0].points.iter().all(|point| point.value.to_bits() == 2.0_f64.to_bits()));
}

#[test]
fn samples_come_in_the_order_of_time() {
    let mut database = Database::new();
    let labels = Labels::new([(NAME, "a")]);
    database.append(&labels, at(60), 1.0).unwrap();
    // The same again is no harm.
    database.append(&labels, at(60), 1.0).unwrap();
    let error = database.append(&labels, at(60), 2.0).unwrap_err().to_string();
    assert_eq!(error, "a{} has a sample at 60000 ms, so that none can be added at 60000 ms");
}

proptest::proptest! {
    #[test]
    fn the_increase_of_an_even_counter_is_its_slope_times_the_range(
        slope in 1u32..1000, step in 1i64..60, samples in 4i64..40,
    ) {
        let line = format!("c 1000000+{slope}x{samples}");
        let database = load_every(step, &[&line]);
        let range = step * 3;
        let found = ask(&database, step * samples, &format!("increase(c[{range}s])")).unwrap();
        proptest::prop_assert_eq!(found, [format!("{{}} {}", slope * 3)]);
    }

    #[test]
    fn a_rate_is_never_negative(values in proptest::collection::vec(0u32..100, 2..20)) {
        let text: Vec<String> = values.iter().map(ToString::to_string).collect();
        let database = load(&[&format!("c {}", text.join(" "))]);
        let query = Query::parse("rate(c[7m])").unwrap();
        for minute in 0..30 {
            let Value::Vector(samples) = query.instant(&database, at(minute * 60)).unwrap() else {
                panic!("no vector");
            };
            proptest::prop_assert!(samples.iter().all(|sample| sample.value >= 0.0));
        }
    }
}
