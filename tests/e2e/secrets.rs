//! Secrets that an analysis uses show nowhere, whatever the server that gets them says, and whatever
//! is logged.

use axum::{
    body::Bytes,
    http::{HeaderMap, StatusCode, Uri},
};
use serde_json::json;

use crate::{app::App, scenario::scenario};

/// What must not show, with its characters that pages and addresses write otherwise.
const TOKEN: &str = "Hush&Token<7";
const USER: &str = "hush-user";
const PASSWORD: &str = "hush-password";

/// Other spellings: in a page, in an address, in a Secret and in a header.
const SPELLINGS: [&str; 7] = [
    "Hush&amp;Token",
    "Hush%26Token",
    "SHVzaCZUb2tlbjw3",
    "aHVzaC11c2Vy",
    "aHVzaC1wYXNzd29yZA==",
    "aHVzaC11c2VyOmh1c2gtcGFzc3dvcmQ=",
    "token<7",
];

/// A server that answers 401 and quotes all that it was sent. Returns its `host:port`.
async fn quoting() -> String {
    let quote = |uri: Uri, headers: HeaderMap, body: Bytes| async move {
        let body = String::from_utf8_lossy(&body).into_owned();
        let said = format!("refused: {uri} {headers:?} {body}");
        let page = said.replace('&', "&amp;").replace('<', "&lt;");
        if uri.path().starts_with("/page") {
            return (StatusCode::UNAUTHORIZED, page);
        }
        let answer = json!({"status": "error", "errorType": "unauthorized", "error": said});
        (StatusCode::UNAUTHORIZED, answer.to_string())
    };
    let router = axum::Router::new().fallback(quote);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[test]
fn no_secret_shows_in_any_object_log_or_metric() {
    scenario("secrets", async |scenario| {
        let server = quoting().await;
        let controller = scenario.controller("loud", "secrets", &["--log-level", "trace"]).await;
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"},
            "stringData": {"token": TOKEN, "user": USER, "password": PASSWORD, "ca": TOKEN},
        });
        scenario.user.apply(&secret.to_string()).await;
        let key = |key: &str| json!({"name": "login", "key": key});
        let http = format!("http://{server}");
        let basic = json!({"username": key("user"), "password": key("password")});
        let providers = json!([
            {"query": "up", "address": http, "authentication": {"bearer": key("token")}},
            {"query": "up", "address": format!("{http}/page"), "authentication": {"bearer": key("token")}},
            {"query": "up", "address": http, "authentication": {"basic": basic}},
            {"query": "up", "address": http, "headers": [{"name": "x-token", "secretKeyRef": key("token")}]},
            {"query": "up", "address": http, "headers": [{"name": "x-token", "value": "a {{args.token}}"}]},
            {"query": "up{a='{{args.token}}'}", "address": http},
            {"query": "up", "address": format!("{http}/{{{{args.token}}}}")},
            {"query": "up", "address": "http://{{args.user}}.invalid:1"},
            {"query": "up", "address": format!("http://{{{{args.user}}}}:{{{{args.password}}}}@{server}")},
            {"query": "up", "address": format!("https://{server}"), "authentication": {"bearer": key("token")}},
            {"query": "up", "address": format!("https://{server}"), "tls": {"ca": key("ca")}},
        ]);
        let metrics: Vec<_> = providers
            .as_array()
            .unwrap()
            .iter()
            .enumerate()
            .map(|(index, one)| {
                json!({
                    "name": format!("metric-{index}"), "successCondition": "true",
                    "consecutiveErrorLimit": 1, "interval": "1s", "provider": {"prometheus": one},
                })
            })
            .collect();
        let argument = |name: &str| json!({"name": name, "valueFrom": {"secretKeyRef": key(name)}});
        let template = json!({
            "apiVersion": "sluice.dev/v1alpha1", "kind": "AnalysisTemplate",
            "metadata": {"name": "quoted"},
            "spec": {"args": [argument("token"), argument("user"), argument("password")], "metrics": metrics},
        });
        scenario.user.apply(&template.to_string()).await;
        let steps = "[{setWeight: 20}, {analysis: {templates: [{templateName: quoted}]}}]";
        let app = App::new("web", steps).instance("secrets");
        scenario.deploy(&app).await;
        scenario.release(&app, "app:v2").await;
        let aborted = scenario.until_rolled_back("web").await;
        assert_eq!(aborted["abort"]["cause"], "Analysis", "{aborted}");

        let kinds =
            "rollouts,analysisruns,analysistemplates,events,jobs,pods,replicasets,virtualservices";
        let objects = scenario.user.kubectl(&format!("get {kinds} -o yaml"), "").await;
        let objects = objects.expect("get");
        assert!(objects.contains("metric-10") && objects.contains("401"), "{objects}");
        let described = scenario.user.sluice("get rollout web").await.expect("get rollout");
        let log = controller.logged();
        assert!(log.contains("TRACE"), "it logs all");
        let shown = controller.get("metrics").await.expect("the metrics");
        for (place, text) in [
            ("an object", objects),
            ("get rollout", described),
            ("the log", log),
            ("a metric", shown),
        ] {
            for hidden in [TOKEN, USER, PASSWORD].iter().chain(&SPELLINGS) {
                let found = text.find(hidden).map(|at| {
                    let near = |at: usize| (0..=at).rev().find(|at| text.is_char_boundary(*at));
                    &text[near(at.saturating_sub(300)).unwrap_or(0)..at + hidden.len()]
                });
                assert_eq!(found, None, "`{hidden}` shows in {place}");
            }
        }
    });
}
