//! Leader election by a Lease, and the fence that it puts before every write.
//!
//! The holder renews the Lease; a candidate watches it and takes it when it is released or has not
//! been renewed for its duration. Expiry is judged by this process's own clock from the moment at
//! which a renewal was *seen*, so that clocks of machines need not agree (client-go does the same).
//! The fence closes before any other candidate may take over: a controller that cannot renew stops
//! writing at two thirds of the duration.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::json;
use tokio::time::Instant;

use super::watches::events;
use crate::{
    apply::{Fence, rights},
    plan::FIELD_MANAGER,
};

/// How long a Lease is valid without renewal.
pub const DURATION: Duration = Duration::from_secs(15);

/// Time between two renewals.
const RENEW_EVERY: Duration = Duration::from_secs(5);

/// Time between two attempts after a failed one.
const RETRY_EVERY: Duration = Duration::from_millis(500);

/// The fence before every write: open while the Lease is certainly ours.
#[derive(Debug, Default)]
pub struct LeaseFence {
    open_until: Mutex<Option<Instant>>,
    always: AtomicBool,
}

impl LeaseFence {
    /// A fence that is always open, for a controller that runs without leader election.
    pub fn always_open() -> Self {
        Self { open_until: Mutex::new(None), always: AtomicBool::new(true) }
    }

    /// Closes the fence for good: somebody else has the Lease.
    pub fn close(&self) {
        self.always.store(false, Ordering::Relaxed);
        self.open(None);
    }

    fn open(&self, until: Option<Instant>) {
        *self.open_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

impl Fence for LeaseFence {
    fn is_open(&self) -> bool {
        let until = *self.open_until.lock().unwrap_or_else(PoisonError::into_inner);
        self.always.load(Ordering::Relaxed) || until.is_some_and(|until| Instant::now() < until)
    }
}

/// A candidate for the Lease.
pub struct Candidate {
    /// The API server.
    pub client: Client,
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// A name for this process that no other has.
    pub identity: String,
}

impl Candidate {
    fn api(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Waits until the Lease is ours, and opens the fence.
    ///
    /// # Errors
    /// If the watch cannot be kept up.
    pub async fn acquire(&self, fence: &LeaseFence) -> anyhow::Result<()> {
        let config = watcher::Config::default().fields(&format!("metadata.name={}", self.name));
        let mut lease_stream = events(self.api(), config).applied_objects().boxed();
        let mut seen: Option<Lease> = None;
        let mut free_at = Instant::now();
        loop {
            tokio::select! {
                next = lease_stream.try_next() => match next {
                    Ok(Some(lease)) => {
                        if seen.as_ref().is_none_or(|before| before.spec != lease.spec) {
                            free_at = expiry(&lease, Instant::now());
                        }
                        seen = Some(lease);
                    }
                    Ok(None) => anyhow::bail!("the watch of the Lease ended"),
                    Err(error) => {
                        let error = rights::explained(&error);
                        tracing::warn!(error, "cannot watch the Lease");
                    }
                },
                () = tokio::time::sleep_until(free_at) => {
                    let started = Instant::now();
                    match self.take(seen.as_ref()).await {
                        Ok(()) => {
                            fence.open(Some(started + DURATION * 2 / 3));
                            return Ok(());
                        }
                        Err(error) => {
                            // Whoever was quicker shows in the watch; without one, ask again soon.
                            if let Some(error) = rights::missing(&error.to_string()) {
                                tracing::warn!(error, "cannot take the Lease");
                            } else {
                                tracing::debug!(%error, "the Lease was not taken");
                            }
                            free_at = Instant::now() + RETRY_EVERY;
                        }
                    }
                }
            }
        }
    }

    /// Creates the Lease, or takes it as it was last seen; fails if somebody else was quicker.
    async fn take(&self, seen: Option<&Lease>) -> Result<(), kube::Error> {
        let now = MicroTime(super::clock::now());
        let before = seen.and_then(|lease| lease.spec.as_ref());
        let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or(0);
        let spec = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            lease_transitions: Some(transitions + i32::from(before.is_some())),
            ..LeaseSpec::default()
        };
        let version = seen.and_then(|lease| lease.metadata.resource_version.clone());
        let params =
            PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
        let metadata = ObjectMeta {
            name: Some(self.name.clone()),
            namespace: Some(self.namespace.clone()),
            resource_version: version.clone(),
            ..ObjectMeta::default()
        };
        let lease = Lease { metadata, spec: Some(spec) };
        if version.is_some() {
            self.api().replace(&self.name, &params, &lease).await?;
        } else {
            self.api().create(&params, &lease).await?;
        }
        Ok(())
    }

    /// Renews the Lease until it is lost. The fence closes by itself when renewals fail.
    pub async fn keep(&self, fence: &LeaseFence) {
        let mut valid_until = Instant::now() + DURATION * 2 / 3;
        let mut wait = RENEW_EVERY;
        loop {
            tokio::time::sleep(wait).await;
            let started = Instant::now();
            let attempt = tokio::time::timeout(RENEW_EVERY, self.renew());
            match attempt.await {
                Ok(Ok(())) => {
                    valid_until = started + DURATION * 2 / 3;
                    fence.open(Some(valid_until));
                    wait = RENEW_EVERY;
                }
                Ok(Err(Renewal::Lost)) => {
                    fence.open(None);
                    tracing::error!("the Lease was taken by another controller");
                    return;
                }
                Ok(Err(Renewal::Failed(error))) => {
                    let error = rights::explained(&error);
                    tracing::warn!(error, "the Lease could not be renewed");
                    wait = RETRY_EVERY;
                }
                Err(_) => {
                    tracing::warn!("the Lease could not be renewed in time");
                    wait = RETRY_EVERY;
                }
            }
            if Instant::now() > valid_until {
                fence.open(None);
                tracing::error!("the Lease could not be renewed and has run out");
                return;
            }
        }
    }

    async fn renew(&self) -> Result<(), Renewal> {
        let now = super::clock::now();
        let patch = json!([
            {"op": "test", "path": "/spec/holderIdentity", "value": self.identity},
            {"op": "replace", "path": "/spec/renewTime", "value": MicroTime(now)},
        ]);
        self.patch(patch).await
    }

    async fn patch(&self, patch: serde_json::Value) -> Result<(), Renewal> {
        let patch: Patch<()> = match serde_json::from_value(patch) {
            Ok(patch) => Patch::Json(patch),
            Err(_) => return Ok(()),
        };
        let params =
            PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        match self.api().patch(&self.name, &params, &patch).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 422) => Err(Renewal::Lost),
            Err(error) => Err(Renewal::Failed(error)),
        }
    }

    /// Closes the fence and gives the Lease away, so that another controller goes on at once.
    pub async fn release(&self, fence: &LeaseFence) {
        fence.open(None);
        let patch = json!([
            {"op": "test", "path": "/spec/holderIdentity", "value": self.identity},
            {"op": "replace", "path": "/spec/holderIdentity", "value": ""},
        ]);
        if self.patch(patch).await.is_err() {
            tracing::warn!("the Lease could not be released; it runs out by itself");
        }
    }
}

enum Renewal {
    Lost,
    Failed(kube::Error),
}

/// When a Lease that was last seen to change at `at` is free.
fn expiry(lease: &Lease, at: Instant) -> Instant {
    let Some(spec) = &lease.spec else { return at + DURATION };
    let held = spec.holder_identity.as_ref().is_some_and(|holder| !holder.is_empty());
    if !held {
        return at;
    }
    let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    at + seconds.map_or(DURATION, Duration::from_secs)
}
