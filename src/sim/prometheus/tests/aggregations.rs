//! Aggregations.

use super::*;

fn instances() -> Database {
    load(&[
        "cpu{job=\"api\",pod=\"a\"} 1",
        "cpu{job=\"api\",pod=\"b\"} 3",
        "cpu{job=\"web\",pod=\"a\"} 10",
        "cpu{job=\"web\",pod=\"b\"} NaN",
    ])
}

#[test]
fn groups() {
    let database = instances();
    check(
        &database,
        &[
            (0, "sum(cpu{job=\"api\"})", &["{} 4"]),
            (0, "sum by (job) (cpu)", &["{job=\"api\"} 4", "{job=\"web\"} NaN"]),
            (0, "sum without (pod) (cpu)", &["{job=\"api\"} 4", "{job=\"web\"} NaN"]),
            (0, "sum by (nothing) (cpu{job=\"api\"})", &["{} 4"]),
            (0, "sum by (__name__) (cpu{job=\"api\"})", &["cpu{} 4"]),
            (0, "avg by (job) (cpu)", &["{job=\"api\"} 2", "{job=\"web\"} NaN"]),
            // NaN is neither least nor greatest, unless alone.
            (0, "min by (job) (cpu)", &["{job=\"api\"} 1", "{job=\"web\"} 10"]),
            (0, "max by (job) (cpu)", &["{job=\"api\"} 3", "{job=\"web\"} 10"]),
            (0, "max(cpu{job=\"web\",pod=\"b\"})", &["{} NaN"]),
            (0, "count(cpu)", &["{} 4"]),
            (0, "group by (pod) (cpu)", &["{pod=\"a\"} 1", "{pod=\"b\"} 1"]),
            (0, "stddev(cpu{job=\"api\"})", &["{} 1"]),
            (0, "stdvar by (job) (cpu)", &["{job=\"api\"} 1", "{job=\"web\"} NaN"]),
            (0, "sum(nothing)", &[]),
        ],
    );
}

#[test]
fn top_and_bottom() {
    let database = instances();
    let (api_a, api_b) = ("cpu{job=\"api\", pod=\"a\"} 1", "cpu{job=\"api\", pod=\"b\"} 3");
    let (web_a, web_b) = ("cpu{job=\"web\", pod=\"a\"} 10", "cpu{job=\"web\", pod=\"b\"} NaN");
    check(
        &database,
        &[
            (0, "topk(2, cpu)", &[web_a, api_b]),
            (0, "bottomk(1, cpu)", &[api_a]),
            // NaN comes last in both.
            (0, "topk(9, cpu)", &[web_a, api_b, api_a, web_b]),
            (0, "bottomk(9, cpu)", &[api_a, api_b, web_a, web_b]),
            (0, "topk by (job) (1, cpu)", &[api_b, web_a]),
            (0, "topk(0, cpu)", &[]),
            (0, "topk(-1, cpu)", &[]),
        ],
    );
    refused(&database, "topk(NaN, cpu)", "Scalar value NaN overflows int64");
}

#[test]
fn quantiles_and_counts_of_values() {
    let database = load(&["g{p=\"1\"} 1", "g{p=\"2\"} 2", "g{p=\"3\"} 2", "g{p=\"4\"} 10"]);
    check(
        &database,
        &[
            (0, "quantile(0.5, g)", &["{} 2"]),
            (0, "quantile(0.9, g)", &["{} 7.6"]),
            (0, "quantile(-1, g)", &["{} -Inf"]),
            (0, "quantile(1.1, g)", &["{} +Inf"]),
            (0, "quantile(NaN, g)", &["{} NaN"]),
            (0, "count_values(\"v\", g)", &["{v=\"1\"} 1", "{v=\"2\"} 2", "{v=\"10\"} 1"]),
            (0, "count_values without (p) (\"v\", g > 2)", &["{v=\"10\"} 1"]),
        ],
    );
}
