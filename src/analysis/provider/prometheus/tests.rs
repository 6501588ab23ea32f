mod sender;

use proptest::prelude::*;

use super::*;

fn provider(yaml: &str) -> PrometheusProvider {
    serde_yaml::from_str(yaml).expect(yaml)
}

fn args(yaml: &str) -> Vec<AnalysisArgument> {
    serde_yaml::from_str(yaml).expect(yaml)
}

fn secrets(pairs: &[(&str, &str, &str)]) -> Secrets {
    pairs
        .iter()
        .map(|(name, key, value)| (((*name).to_owned(), (*key).to_owned()), (*value).to_owned()))
        .collect()
}

fn now() -> Timestamp {
    "2026-11-21T02:00:00.25Z".parse().expect("a time")
}

fn made(provider_yaml: &str, args_yaml: &str, of: &Secrets) -> Result<Request, RequestError> {
    request(&provider(provider_yaml), &args(args_yaml), of, Some("http://default:9090/"), now())
}

fn parse(status: u16, body: &str) -> Reading {
    answer::parse("p:9090", status, body.as_bytes(), &str::to_owned)
}

#[test]
fn raw_samples_keep_their_labels_and_times() {
    let read = |body: &str| answer::samples("p:9090", 200, body.as_bytes(), &str::to_owned);
    let found = read(
        r#"{"status":"success","data":{"resultType":"matrix","result":[
            {"metric":{"reporter":"source"},"values":[[10.5,"7"],[25.5,"9"]]}]}}"#,
    );
    let labels = [("reporter".to_owned(), "source".to_owned())].into();
    assert_eq!(found, Ok(vec![Series { labels, samples: vec![(10.5, 7.0), (25.5, 9.0)] }]));
    let vector = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
    assert!(read(vector).unwrap_err().contains("raw samples"));
    let refused = answer::samples("p:9090", 503, b"", &str::to_owned);
    assert_eq!(refused, Err("prometheus at p:9090 answered 503".to_owned()));
}

#[test]
fn numbers_are_read_from_every_kind_of_result() {
    let ok = |kind: &str, result: &str| {
        parse(
            200,
            &format!(
                r#"{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}"#
            ),
        )
    };
    assert_eq!(ok("scalar", r#"[1735689600.123,"0.97"]"#), Reading::scalar(0.97));
    assert_eq!(ok("scalar", r#"[1735689600,"+Inf"]"#), Reading::scalar(f64::INFINITY));
    assert_eq!(ok("vector", "[]"), Reading::vector([]));
    assert_eq!(
        ok(
            "vector",
            r#"[{"metric":{"app":"web"},"value":[1735689600.123,"0.97"]},{"metric":{},"value":[1735689600.123,"-Inf"]}]"#
        ),
        Reading::vector([0.97, f64::NEG_INFINITY])
    );
    assert_eq!(
        ok(
            "matrix",
            r#"[{"metric":{},"values":[[1,"1"],[2,"1.5e-3"]]},{"metric":{},"values":[[1,"3"]]}]"#
        ),
        Reading::vector([1.0, 0.0015, 3.0])
    );
    assert_eq!(ok("matrix", "[]"), Reading::vector([]));
    let Reading::Scalar { value, .. } = ok("scalar", r#"[1,"NaN"]"#) else {
        unreachable!("a scalar")
    };
    assert!(value.is_nan());
}

#[test]
fn warnings_and_infos_go_to_the_note() {
    let body = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]},
        "warnings":["remote storage: shard 3 did not answer"],
        "infos":["PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"x\" (1:6)"]}"#;
    let Reading::Scalar { note, .. } = parse(200, body) else { unreachable!("a scalar") };
    assert!(
        note.starts_with("remote storage: shard 3 did not answer; PromQL info: metric might"),
        "{note}"
    );
}

#[test]
fn what_is_no_value_is_said_in_words() {
    for (status, body, expected) in [
        (
            400,
            r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:5: parse error: unexpected end of input"}"#,
            "prometheus at p:9090 answered 400: bad_data: invalid parameter \"query\": 1:5: parse error: unexpected end of input",
        ),
        (
            422,
            r#"{"status":"error","errorType":"execution","error":"multiple matches for labels: many-to-one matching must be explicit"}"#,
            "prometheus at p:9090 answered 422: execution: multiple matches",
        ),
        (
            503,
            r#"{"status":"error","errorType":"timeout","error":"query timed out in expression evaluation"}"#,
            "prometheus at p:9090 answered 503: timeout: query timed out",
        ),
        (200, r#"{"status":"error"}"#, "prometheus at p:9090 answered 200"),
        (401, "Unauthorized\n", "prometheus at p:9090 answered 401: Unauthorized"),
        (
            502,
            "<html>\n<h1>Bad Gateway</h1></html>",
            "answered 502: <html> <h1>Bad Gateway</h1></html>",
        ),
        (500, "", "prometheus at p:9090 answered 500"),
        (302, "", "answered with a redirect (302)"),
        (200, "<html>Grafana</html>", "is not one of the Prometheus HTTP API"),
        (200, "", "is not one of the Prometheus HTTP API"),
        (200, "{}", "is not one of the Prometheus HTTP API"),
        (200, r#"{"status":"success"}"#, "has no data"),
        (
            200,
            r#"{"status":"success","data":{"resultType":"string","result":[1,"a"]}}"#,
            "gives a string",
        ),
        (
            200,
            r#"{"status":"success","data":{"resultType":"streams","result":[]}}"#,
            "of an unknown type",
        ),
        (
            200,
            r#"{"status":"success","data":{"resultType":"vector","result":{}}}"#,
            "cannot be read",
        ),
        (
            200,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"x"]}]}}"#,
            "cannot be read",
        ),
        (
            200,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"value":[]}]}}"#,
            "cannot be read",
        ),
        (
            200,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{"count":"1"}]}]}}"#,
            "use histogram_quantile",
        ),
    ] {
        let Reading::Error(why) = parse(status, body) else { unreachable!("{body}") };
        assert!(why.contains(expected), "{body}\n  {why}");
    }
    let long = format!(r#"{{"status":"error","error":"{}"}}"#, "x".repeat(100_000));
    let Reading::Error(why) = parse(400, &long) else { unreachable!("an error") };
    assert!(why.len() < 300, "{}", why.len());
}

proptest! {
    #[test]
    fn no_answer_panics(status in 100..600_u16, body in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = answer::parse("p", status, &body, &str::to_owned);
    }
}

#[test]
fn an_instant_or_a_range_is_asked_for_below_the_path_of_the_address() {
    for (yaml, url, host, form) in [
        (
            "query: up",
            "http://default:9090/api/v1/query",
            "default:9090",
            "query=up&time=1795226400.250",
        ),
        (
            "{query: 'sum(x{a=\"{{args.a}}\"})', address: 'https://thanos.example/base/path/'}",
            "https://thanos.example/base/path/api/v1/query",
            "thanos.example",
            "query=sum(x{a=\"web\"})&time=1795226400.250",
        ),
        (
            "{query: up, address: 'http://{{args.a}}:1/p?tenant=t', range: {lookback: 5m, step: 15s}}",
            "http://web:1/p/api/v1/query_range?tenant=t",
            "web:1",
            "query=up&start=1795226100.250&end=1795226400.250&step=15",
        ),
    ] {
        let request = made(yaml, "[{name: a, value: web}]", &Secrets::new()).expect(yaml);
        assert_eq!((request.url.as_str(), request.host.as_str()), (url, host));
        let fields: Vec<_> =
            request.form.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(fields.join("&"), form);
        assert_eq!(request.timeout, TIMEOUT);
    }
}

#[test]
fn what_cannot_be_sent_is_said_without_secrets() {
    let of = secrets(&[("s", "k", "hunter2")]);
    let secret = "[{name: a, valueFrom: {secretKeyRef: {name: s, key: k}}}]";
    for (yaml, args, words) in [
        ("{query: '{{args.b}}'}", "[]", "found {{args.b}}"),
        ("{query: up, address: '{{args.a}}'}", secret, "something that is not an address"),
        ("{query: up, address: 'ftp://{{args.a}}'}", secret, "without http:// or https://"),
        (
            "{query: up, headers: [{name: x, secretKeyRef: {name: t, key: k}}]}",
            "[]",
            "headers: there is no key \"k\" in a Secret \"t\"",
        ),
        (
            "{query: up, authentication: {bearer: {name: s, key: z}}}",
            "[]",
            "authentication.bearer: there is no key \"z\"",
        ),
        (
            "{query: '{{args.c}}'}",
            "[{name: c, valueFrom: {secretKeyRef: {name: n, key: k}}}]",
            "argument \"c\": there is no key \"k\" in a Secret \"n\"",
        ),
    ] {
        let error = made(yaml, args, &of).err().expect(yaml).to_string();
        assert!(error.contains(words) && !error.contains("hunter2"), "{yaml}: {error}");
    }
    let none = request(&provider("query: up"), &[], &Secrets::new(), None, now());
    assert_eq!(none.err(), Some(RequestError::NoAddress));
}

#[test]
fn user_and_password_of_an_address_are_used_and_never_shown() {
    let request =
        made("{query: up, address: 'https://bob:p%40ss@p.example/x'}", "[]", &Secrets::new())
            .unwrap_or_else(|error| unreachable!("{error}"));
    assert_eq!(request.url.as_str(), "https://p.example/x/api/v1/query");
    assert_eq!(request.basic, Some(("bob".to_owned(), "p@ss".to_owned())));
    assert_eq!(request.redact("bob said p@ss"), "*** said ***");
}

#[test]
fn longer_secrets_are_redacted_before_those_they_contain() {
    let hidden = ["ab".to_owned(), "abc".to_owned(), String::new()];
    assert_eq!(redact("abc ab xabcx", &hidden), "*** *** x***x");
}
