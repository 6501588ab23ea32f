//! The HTTP API.

use serde_json::{Value as Json, json};

use super::*;
use crate::sim::prometheus::http::answer;

fn get(path: &str, query: &str) -> (u16, Json) {
    let database = load(&["a{p=\"1\"} 0+1x5", "n NaN"]);
    answer("GET", path, query, "", &database, at(60))
}

#[test]
fn answers_instant_queries() {
    assert_eq!(
        get("/api/v1/query", "query=a"),
        (
            200,
            json!({"status": "success", "data": {"resultType": "vector", "result": [
                {"metric": {"__name__": "a", "p": "1"}, "value": [60, "1"]},
            ]}})
        )
    );
    let (_, scalar) = get("/api/v1/query", "query=1%2B0.5&time=1.25");
    assert_eq!(scalar["data"], json!({"resultType": "scalar", "result": [1.25, "1.5"]}));
    let (_, infinite) = get("/api/v1/query", "query=-1/0&time=1970-01-01T00:00:02Z");
    assert_eq!(infinite["data"]["result"], json!([2, "-Inf"]));
    let (_, text) = get("/api/v1/query", "query=%22x%22&timeout=30s");
    assert_eq!(text["data"], json!({"resultType": "string", "result": [60, "x"]}));
    let (_, matrix) = get("/api/v1/query", "query=a[1m]&time=90");
    let row = json!({"metric": {"__name__": "a", "p": "1"}, "values": [[60, "1"]]});
    assert_eq!(matrix["data"], json!({"resultType": "matrix", "result": [row]}));
    let (_, none) = get("/api/v1/query", "query=none");
    assert_eq!(none["data"]["result"], json!([]));
}

#[test]
fn answers_range_queries_by_post() {
    let database = load(&["a{p=\"1\"} 0+1x5"]);
    let form = "query=sum(a)+%2B+1&start=0.000&end=120.000&step=60";
    let (status, body) = answer("POST", "/api/v1/query_range", "", form, &database, at(0));
    assert_eq!(status, 200);
    assert_eq!(
        body["data"],
        json!({"resultType": "matrix", "result": [
            {"metric": {}, "values": [[0, "1"], [60, "2"], [120, "3"]]},
        ]})
    );
}

#[test]
fn refuses_as_prometheus_does() {
    let range = "/api/v1/query_range";
    for (path, query, status, kind, words) in [
        (
            "/api/v1/query",
            "query=sum(",
            400,
            "bad_data",
            "invalid parameter \"query\": parse error",
        ),
        ("/api/v1/query", "", 400, "bad_data", "invalid parameter \"query\""),
        (
            "/api/v1/query",
            "query=1&time=x",
            400,
            "bad_data",
            "cannot parse \"x\" to a valid timestamp",
        ),
        (
            "/api/v1/query",
            "query=1&timeout=x",
            400,
            "bad_data",
            "cannot parse \"x\" to a valid duration",
        ),
        ("/api/v1/query", "query=deriv(a[5m])", 422, "execution", "deriv()"),
        (
            "/api/v1/query",
            "query=a+*on()+group_left+{__name__=~%22a|n%22}",
            422,
            "execution",
            "duplicate",
        ),
        (
            range,
            "query=a&start=2&end=1&step=1",
            400,
            "bad_data",
            "end timestamp must not be before",
        ),
        (
            range,
            "query=a&start=1&end=2&step=0",
            400,
            "bad_data",
            "zero or negative query resolution",
        ),
        (
            range,
            "query=a&start=0&end=20000&step=1s",
            400,
            "bad_data",
            "exceeded maximum resolution",
        ),
        (
            range,
            "query=a[5m]&start=0&end=2&step=1",
            400,
            "bad_data",
            "invalid expression type \"range vector\"",
        ),
        (range, "query=a&end=2&step=1", 400, "bad_data", "invalid parameter \"start\""),
    ] {
        let (found, body) = get(path, query);
        assert_eq!(
            (found, &body["status"], &body["errorType"]),
            (status, &json!("error"), &json!(kind)),
            "{query}: {body}"
        );
        assert!(body["error"].as_str().unwrap().contains(words), "{query}: {body}");
    }
    assert_eq!(get("/api/v1/nothing", "").0, 404);
    assert_eq!(answer("DELETE", "/api/v1/query", "", "", &Database::new(), at(0)).0, 405);
}

#[test]
fn says_that_it_is_well() {
    assert_eq!(get("/-/healthy", ""), (200, json!("Prometheus Server is Healthy.\n")));
    assert_eq!(get("/-/ready", ""), (200, json!("Prometheus Server is Ready.\n")));
    assert_eq!(get("/api/v1/status/buildinfo", "").1["status"], "success");
}

#[test]
fn our_own_client_reads_the_answers() {
    use crate::analysis::provider::prometheus::answer::parse;
    let (status, body) = get("/api/v1/query", "query=n+or+a");
    let reading = parse("host", status, body.to_string().as_bytes(), &str::to_owned);
    assert!(format!("{reading:?}").contains("NaN"), "{reading:?}");
}
