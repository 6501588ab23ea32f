//! The shipped `analysis-templates`, each tried on the real thing: a real API server takes them, a
//! real Prometheus answers their queries, and a real curl does the smoke test's work.

use std::collections::BTreeMap;

use axum::{
    Router,
    http::{HeaderMap, StatusCode},
    routing::get,
};
use serde_json::Value;
use sluice::{analysis::provider::prometheus::HttpClients, sim::prometheus::openmetrics};
use tokio::{net::TcpListener, process::Command};

use crate::{
    scenario::{on_runtime, scenario},
    support::{folder, prometheus::Prometheus, shipped},
};

#[test]
fn a_real_prometheus_tells_the_good_from_the_bad_as_the_simulated_one_does() {
    on_runtime(async {
        let samples = openmetrics(&shipped::samples());
        let real = Prometheus::over(&folder("e2e-templates"), &samples).await;
        let surprises = shipped::surprises(&HttpClients::without_proxy(), &real.url).await;
        assert!(surprises.is_empty(), "{}", surprises.join("\n"));
    });
}

#[test]
fn kubectl_applies_the_shipped_templates_as_a_folder() {
    scenario("templates", async |scenario| {
        for line in ["apply -k analysis-templates", "apply -f analysis-templates"] {
            scenario.user.kubectl(line, "").await.expect(line);
        }
        let shown = scenario.user.kubectl("get clusteranalysistemplates -o json", "").await;
        let shown: Value = serde_json::from_str(&shown.expect("get")).expect("JSON");
        let stored = shown["items"].as_array().expect("items").iter();
        let stored: BTreeMap<&str, &Value> =
            stored.filter_map(|one| Some((one["metadata"]["name"].as_str()?, one))).collect();
        for (name, spec) in shipped::templates() {
            let count = &stored[&*name]["spec"]["metrics"][0]["count"];
            let written = serde_json::to_value(&spec.metrics[0].count).expect("JSON");
            assert_eq!(*count, written, "{name}");
        }
    });
}

/// What the smoke test's container runs. It needs a curl, as its image has it.
#[test]
fn the_smoke_test_passes_on_the_expected_status_and_on_no_other() {
    on_runtime(async {
        if Command::new("curl").arg("--version").output().await.is_err() {
            eprintln!("not tried: there is no curl here");
            return;
        }
        let canary = |headers: HeaderMap| {
            let found = headers.get("x-canary").is_some_and(|value| value == "always");
            std::future::ready(if found { StatusCode::OK } else { StatusCode::NOT_FOUND })
        };
        let router = Router::new()
            .route("/", get(async || "well"))
            .route("/empty", get(async || StatusCode::NO_CONTENT))
            .route("/broken", get(async || StatusCode::INTERNAL_SERVER_ERROR))
            .route("/canary", get(canary));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let here = format!("http://{}", listener.local_addr().expect("it is bound"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let header = ("header", "x-canary: always");
        for (url, args, passes) in [
            ("/", &[][..], true),
            ("/empty", &[], false),
            ("/empty", &[("expected-status", "2..")], true),
            ("/broken", &[], false),
            ("/broken", &[("expected-status", "500|503")], true),
            ("/canary", &[], false),
            ("/canary", &[header], true),
        ] {
            let url = format!("{here}{url}");
            let (passed, said) = smoke(&url, args).await;
            assert_eq!(passed, passes, "{url} {args:?}: {said}");
        }
        // A port on which nobody listens: it asks three times, and says what it got.
        let (passed, said) = smoke("http://127.0.0.1:1/", &[]).await;
        assert!(!passed && said.contains("answered 000, expected 200"), "{said}");
    });
}

/// Whether the smoke test's container would end well, and what it says.
async fn smoke(url: &str, args: &[(&str, &str)]) -> (bool, String) {
    let args: Vec<(&str, &str)> = args.iter().copied().chain([("url", url)]).collect();
    let job = shipped::smoke_job(&args);
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    let words = container["command"].as_array().expect("a command").iter();
    let words: Vec<&str> = words.filter_map(Value::as_str).collect();
    let variables = container["env"].as_array().expect("variables").iter();
    let variables =
        variables.filter_map(|one| Some((one["name"].as_str()?, one["value"].as_str()?)));
    let output = Command::new(words[0]).args(&words[1..]).envs(variables).output().await;
    let output = output.expect("a shell");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), said)
}
