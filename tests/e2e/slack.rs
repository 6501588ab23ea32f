//! A Slack on a port: what `sluice::sim::slack` answers, over HTTP. And the clicks of its users.

use std::sync::OnceLock;

use axum::{
    body::Bytes,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde_json::Value;
use sluice::{
    notify::{
        http::{Failure, Request},
        slack::signature,
    },
    sim::slack::{CHANNEL, Slack, TOKEN},
};
use tokio::sync::OnceCell;

use crate::{
    scenario::Scenario,
    support::{cluster::CONTROLLER, controller::Controller},
};

/// What Slack signs its requests with.
pub const SIGNING_SECRET: &str = "hush-8f742231b10e8888";

/// Slack users: ann steers releases where she is bound to `sluice-operate`, bob only looks on.
pub const ANN: &str = "UANN";
/// See [`ANN`].
pub const BOB: &str = "UBOB";

static SLACK: OnceLock<Slack> = OnceLock::new();
static CONFIGURED: OnceCell<()> = OnceCell::const_new();

/// The one Slack of all tests, which the controllers are configured for.
pub async fn slack(scenario: &Scenario) -> &'static Slack {
    CONFIGURED.get_or_init(|| configure(scenario)).await;
    SLACK.get_or_init(Slack::default)
}

async fn configure(scenario: &Scenario) {
    let address = served().await;
    let config = format!(
        "slack:\n  url: http://{address}/api\n  channels: {{releases: {CHANNEL}}}\n  users:\n    \
         {ANN}: {{user: ann@example.com, groups: [sre]}}\n    {BOB}: {{user: bob@example.com}}\n"
    );
    let cluster = scenario.cluster();
    let file = cluster.folder.join("config.yaml");
    std::fs::write(&file, config).expect("the folder is ours");
    // As docs/notifications.md has it.
    let namespace = CONTROLLER.0;
    let file = file.display();
    for line in [
        format!(
            "-n {namespace} create secret generic sluice-notifications \
             --from-literal=slack-token={TOKEN} --from-literal=slack-signing-secret={SIGNING_SECRET}"
        ),
        format!("-n {namespace} create configmap sluice-notifications --from-file={file}"),
    ] {
        cluster.admin.kubectl(&line, "").await.expect("the configuration");
    }
}

/// Serves it. Returns its `host:port`.
async fn served() -> String {
    let router = axum::Router::new().fallback(answer);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn answer(uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &'static str| {
        let value = headers.get(name)?.to_str().ok()?;
        Some((name, value.to_owned()))
    };
    let body = (!body.is_empty()).then(|| String::from_utf8_lossy(&body).into_owned());
    let request = Request {
        url: format!("http://slack.test{uri}").parse().expect("an address"),
        headers: ["authorization", "content-type"].into_iter().filter_map(header).collect(),
        body,
    };
    match SLACK.get_or_init(Slack::default).answer(&request, Timestamp::now()) {
        Ok(answer) => {
            let status = StatusCode::from_u16(answer.status).expect("a status code");
            let mut response = (status, answer.body).into_response();
            if let Some(seconds) = answer.retry_after {
                response.headers_mut().insert("retry-after", seconds.into());
            }
            response
        }
        // Nobody ever answers.
        Err(Failure::NotSent(_) | Failure::Unknown(_)) => std::future::pending().await,
    }
}

/// Sends a click to a controller, signed by Slack at this time. Returns the status code.
pub async fn send(controller: &Controller, payload: &Value, at: i64, secret: &str) -> u16 {
    let body = reqwest::Url::parse_with_params("form:", [("payload", payload.to_string())]);
    let body = body.expect("a form").query().expect("a form").to_owned();
    let timestamp = at.to_string();
    let signature = signature::sign(secret, &timestamp, body.as_bytes());
    let url = format!("http://{}/slack/actions", controller.address);
    let sent = reqwest::Client::new()
        .post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("x-slack-request-timestamp", timestamp)
        .header("x-slack-signature", signature)
        .body(body)
        .send();
    sent.await.expect("the controller answers").status().as_u16()
}
