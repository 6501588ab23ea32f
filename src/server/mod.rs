//! What the controller serves: probes and metrics, to whoever asks. They need no rights, so they say
//! nothing that does: names and phases of Rollouts, and counts. And where Slack tells of clicks.

pub mod actions;
pub mod calls;
pub mod health;
pub mod listener;
pub mod metrics;

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};

use health::Health;
use listener::Short;
use metrics::Metrics;

/// What the endpoints show.
#[derive(Clone)]
struct Shown {
    health: Arc<Health>,
    metrics: Arc<Metrics>,
}

/// Serves `/healthz`, `/readyz`, `/metrics` and `/slack/actions` until the process ends.
///
/// # Errors
/// If the address cannot be listened on.
pub async fn serve(
    address: SocketAddr,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    actions: actions::Actions,
) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "serving probes and metrics");
    let all = router(health, metrics).merge(actions::router(actions));
    axum::serve(Short::new(listener), all).await
}

fn router(health: Arc<Health>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(show_metrics))
        .with_state(Shown { health, metrics })
}

async fn healthz(State(shown): State<Shown>) -> impl IntoResponse {
    if shown.health.is_alive() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the work loop has not moved for a minute\n")
    }
}

async fn readyz(State(shown): State<Shown>) -> impl IntoResponse {
    if shown.health.is_ready() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the caches are not complete yet\n")
    }
}

async fn show_metrics(State(shown): State<Shown>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([("content-type", kind)], shown.metrics.text())
}

#[cfg(test)]
mod tests;
