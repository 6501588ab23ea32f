//! Facts as `CloudEvents` 1.0, one request each, in structured JSON and signed.
//!
//! An event that was sent twice has the same `id`, so that whoever gets it can tell.

use jiff::Timestamp;
use serde_json::json;

use super::{
    config::Webhook,
    hmac,
    http::{Answer, Failure, Request},
};
use crate::{
    api::{Fact, Notification},
    world::Rollout,
};

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken.
    Taken,
    /// Try again, after so many seconds if it says so.
    Later(Option<u64>, String),
}

/// The request that tells `fact` of `entry`.
pub fn request(
    webhook: &Webhook,
    rollout: &Rollout,
    entry: &Notification,
    fact: &Fact,
    now: Timestamp,
) -> Request {
    let number = entry.sent + 1;
    let mut parts = entry.release.split('/');
    let revision = parts.next().unwrap_or_default();
    let attempt: i64 = parts.nth(1).and_then(|text| text.parse().ok()).unwrap_or(1);
    let kind = fact.kind.as_str();
    let body = json!({
        "specversion": "1.0",
        "id": format!("{}/{}/{number}", rollout.uid, entry.release),
        "source": format!("/namespaces/{}/rollouts/{}", rollout.namespace, rollout.name),
        "type": format!("dev.sluice.release.{kind}"),
        "subject": revision,
        "time": fact.at,
        "datacontenttype": "application/json",
        "data": {
            "namespace": rollout.namespace,
            "rollout": rollout.name,
            "revision": revision,
            "attempt": attempt,
            "sequence": number,
            "kind": kind,
            "text": fact.text,
        },
    })
    .to_string();
    let timestamp = now.as_second().to_string();
    let signature = sign(webhook, &timestamp, &body);
    let headers = vec![
        ("content-type", "application/cloudevents+json; charset=utf-8".to_owned()),
        ("x-sluice-timestamp", timestamp),
        ("x-sluice-signature", signature),
    ];
    Request { url: webhook.url.clone(), headers, body: Some(body) }
}

/// `v1=` and the HMAC-SHA256 of timestamp, point and body.
fn sign(webhook: &Webhook, timestamp: &str, body: &str) -> String {
    let parts: [&[u8]; 3] = [timestamp.as_bytes(), b".", body.as_bytes()];
    format!("v1={}", hmac::sign(webhook.secret.0.as_bytes(), &parts))
}

/// What an answer means.
pub fn read(answer: Result<Answer, Failure>) -> Outcome {
    match answer {
        Ok(answer) if (200..300).contains(&answer.status) => Outcome::Taken,
        Ok(answer) => Outcome::Later(answer.retry_after, format!("it answered {}", answer.status)),
        Err(error) => Outcome::Later(None, error.to_string()),
    }
}
