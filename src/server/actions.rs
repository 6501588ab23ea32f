//! `POST /slack/actions`: where Slack tells of clicks. Nothing is said to who is not Slack.

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};

use crate::notify::clicks::{Desk, Taken};
use jiff::Timestamp;
use std::sync::Arc;

/// Largest request that is read: a payload has the whole message in it.
const LARGEST: usize = 256 * 1024;

/// What the endpoint needs.
#[derive(Clone)]
pub struct Actions {
    /// Takes what is Slack's.
    pub desk: Desk,
    /// The clock.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

/// The endpoint.
pub fn router(actions: Actions) -> Router {
    Router::new()
        .route("/slack/actions", post(take))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(actions)
}

/// Answers at once: Slack waits three seconds.
async fn take(State(actions): State<Actions>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (timestamp, signature) = (header("x-slack-request-timestamp"), header("x-slack-signature"));
    match actions.desk.take(timestamp, signature, &body, (actions.now)()) {
        Taken::Yes => StatusCode::OK,
        Taken::NotConfigured => StatusCode::NOT_FOUND,
        Taken::Refused => StatusCode::UNAUTHORIZED,
        Taken::TooMany => StatusCode::SERVICE_UNAVAILABLE,
    }
}
