//! Functions of instant vectors.

use super::*;

#[test]
fn of_numbers() {
    let database = load(&["a -1.5", "n NaN", "z 0"]);
    check(
        &database,
        &[
            (0, "abs(a)", &["{} 1.5"]),
            (0, "ceil(a)", &["{} -1"]),
            (0, "floor(a)", &["{} -2"]),
            // Ties go up.
            (0, "round(a)", &["{} -1"]),
            (0, "round(vector(17), 5)", &["{} 15"]),
            (0, "sgn(a)", &["{} -1"]),
            (0, "sgn(z)", &["{} 0"]),
            (0, "ln(z)", &["{} -Inf"]),
            (0, "log2(vector(8))", &["{} 3"]),
            (0, "log10(vector(1000))", &["{} 3"]),
            (0, "exp(z)", &["{} 1"]),
            (0, "sqrt(a)", &["{} NaN"]),
            (0, "clamp(a, 0, 1)", &["{} 0"]),
            (0, "clamp(a, 1, 0)", &[]),
            (0, "clamp_max(a, -2)", &["{} -2"]),
            (0, "clamp_min(n, 2)", &["{} NaN"]),
            (0, "scalar(a)", &["-1.5"]),
            (0, "scalar(nothing)", &["NaN"]),
            (90, "time()", &["90"]),
            (90, "timestamp(z)", &["{} 0"]),
            (90, "timestamp(z + 0)", &["{} 90"]),
            (90, "vector(time())", &["{} 90"]),
        ],
    );
}

#[test]
fn of_absence() {
    let database = load(&["a 1"]);
    check(
        &database,
        &[
            (0, "absent(a)", &[]),
            (0, "absent(b{x=\"1\",y=~\"2\"})", &["{x=\"1\"} 1"]),
            (0, "absent(b{x=\"1\",x=\"2\"})", &["{} 1"]),
            (0, "absent(sum(b))", &["{} 1"]),
            (0, "absent_over_time(b{x=\"1\"}[5m])", &["{x=\"1\"} 1"]),
            (0, "absent_over_time(a[5m])", &[]),
        ],
    );
}

#[test]
fn of_order() {
    let database = load(&["a{i=\"1\"} 2", "a{i=\"2\"} NaN", "a{i=\"3\"} 1"]);
    let [two, nan, one] = ["a{i=\"1\"} 2", "a{i=\"2\"} NaN", "a{i=\"3\"} 1"];
    check(&database, &[(0, "sort(a)", &[one, two, nan]), (0, "sort_desc(a)", &[two, one, nan])]);
}

#[test]
fn of_labels() {
    let database = load(&["a{src=\"web-12\",b=\"x\"} 1"]);
    check(
        &database,
        &[
            (
                0,
                "label_replace(a, \"n\", \"$2-${1}\", \"src\", \"(.*)-(.*)\")",
                &["a{b=\"x\", n=\"12-web\", src=\"web-12\"} 1"],
            ),
            // Anchored: no match, no change.
            (
                0,
                "label_replace(a, \"n\", \"$1\", \"src\", \"(web)\")",
                &["a{b=\"x\", src=\"web-12\"} 1"],
            ),
            // An empty value takes the label away.
            (0, "label_replace(a, \"b\", \"\", \"src\", \".*\")", &["a{src=\"web-12\"} 1"]),
            (
                0,
                "label_join(a, \"j\", \"/\", \"b\", \"none\", \"src\")",
                &["a{b=\"x\", j=\"x//web-12\", src=\"web-12\"} 1"],
            ),
        ],
    );
    refused(
        &database,
        "label_replace(a, \"n\", \"\", \"src\", \"(\")",
        "invalid regular expression",
    );
    refused(&database, "label_replace(a, \"\", \"\", \"src\", \"x\")", "invalid destination label");
}

#[test]
fn quantiles_of_histograms() {
    let database = load(&[
        "h_bucket{le=\"0.1\",p=\"a\"} 10",
        "h_bucket{le=\"1\",p=\"a\"} 30",
        "h_bucket{le=\"10\",p=\"a\"} 40",
        "h_bucket{le=\"+Inf\",p=\"a\"} 50",
        // Not a bucket.
        "h_bucket{le=\"x\",p=\"a\"} 7",
    ]);
    check(
        &database,
        &[
            (0, "histogram_quantile(0.5, h_bucket)", &["{p=\"a\"} 0.775"]),
            (0, "histogram_quantile(0.1, h_bucket)", &["{p=\"a\"} 0.05"]),
            (0, "histogram_quantile(0.8, h_bucket)", &["{p=\"a\"} 10"]),
            // In the last bucket: the highest bound known.
            (0, "histogram_quantile(0.99, h_bucket)", &["{p=\"a\"} 10"]),
            (0, "histogram_quantile(0, h_bucket)", &["{p=\"a\"} 0"]),
            (0, "histogram_quantile(1.1, h_bucket)", &["{p=\"a\"} +Inf"]),
            (0, "histogram_quantile(-1, h_bucket)", &["{p=\"a\"} -Inf"]),
            (0, "histogram_quantile(NaN, h_bucket)", &["{p=\"a\"} NaN"]),
            (0, "histogram_quantile(0.5, sum by (le) (h_bucket * 2))", &["{} 0.775"]),
        ],
    );
}

#[test]
fn odd_histograms() {
    let database = load(&[
        "open_bucket{le=\"1\"} 1",
        "open_bucket{le=\"2\"} 2",
        "alone_bucket{le=\"+Inf\"} 5",
        "empty_bucket{le=\"1\"} 0",
        "empty_bucket{le=\"+Inf\"} 0",
        // Counts that fall are lifted.
        "falling_bucket{le=\"1\"} 10",
        "falling_bucket{le=\"2\"} 8",
        "falling_bucket{le=\"3\"} 20",
        "falling_bucket{le=\"+Inf\"} 20",
        // The lowest bound is not above 0.
        "low_bucket{le=\"-1\"} 5",
        "low_bucket{le=\"1\"} 10",
        "low_bucket{le=\"+Inf\"} 10",
        // The same bound twice is one bucket.
        "twice_bucket{le=\"1\"} 2",
        "twice_bucket{le=\"1.0\"} 2",
        "twice_bucket{le=\"+Inf\"} 8",
    ]);
    check(
        &database,
        &[
            (0, "histogram_quantile(0.5, open_bucket)", &["{} NaN"]),
            (0, "histogram_quantile(0.5, alone_bucket)", &["{} NaN"]),
            (0, "histogram_quantile(0.5, empty_bucket)", &["{} NaN"]),
            (0, "histogram_quantile(0.75, falling_bucket)", &["{} 2.5"]),
            (0, "histogram_quantile(0.1, low_bucket)", &["{} -1"]),
            (0, "histogram_quantile(0.75, low_bucket)", &["{} 0"]),
            (0, "histogram_quantile(0.25, twice_bucket)", &["{} 0.5"]),
        ],
    );
}
