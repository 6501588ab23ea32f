//! The namespace of one test: who acts in it, all that happens there, and waits for it.

use std::{any::Any, fmt::Write, panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;
use serde_json::Value;
use sluice::sim::invariants::late;
use tokio::time::timeout;

use super::{
    cluster::Cluster,
    kubectl::User,
    recorder::{Recorder, Seen},
    wait::until,
};

/// The longest time that a test waits for one thing, on a busy machine, unless it says another.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// How late the controller may hear of a change, on a busy machine.
const LATE: Duration = Duration::from_secs(1);

/// A namespace that is recorded.
pub struct Namespace {
    /// Its name.
    pub namespace: String,
    /// A user who may do everything in it.
    pub user: User,
    /// The longest time that the test waits for one thing.
    pub patience: Duration,
    recorder: Recorder,
}

impl Namespace {
    /// Makes a namespace and begins to record it.
    pub async fn open(cluster: &Cluster, namespace: &str) -> Self {
        let line = format!("create namespace {namespace}");
        cluster.admin.kubectl(&line, "").await.expect("the namespace is new");
        let recorder = Recorder::start(&cluster.client, namespace);
        let user = cluster.user(namespace);
        Self { namespace: namespace.to_owned(), user, patience: PATIENCE, recorder }
    }

    /// Runs `body`, and checks afterwards what always holds.
    ///
    /// # Errors
    /// The panic of the body or of the checks.
    pub async fn told(
        &self,
        name: &str,
        body: impl Future<Output = ()>,
    ) -> Result<(), Box<dyn Any + Send>> {
        let ran = async {
            body.await;
            self.recorder.catch_up().await;
            let broken = self.broken();
            assert!(broken.is_empty(), "what always holds was broken:\n  {}", broken.join("\n  "));
        };
        let ended = AssertUnwindSafe(ran).catch_unwind().await;
        if ended.is_err() {
            eprintln!("--- {name} failed; namespace {}:\n{}", self.namespace, self.report());
        }
        ended
    }

    /// What was broken of what always holds, by what the controller could know at each write.
    fn broken(&self) -> Vec<String> {
        let (changes, times) = self.recorder.seen().timed();
        late::broken(&changes, |at| {
            let recent = |other: &usize| times[at].saturating_duration_since(times[*other]) < LATE;
            (0..at).rev().take_while(recent).last().unwrap_or(at)
        })
    }

    /// What has been seen so far.
    pub fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.recorder.seen()
    }

    /// Waits until `look` finds what it looks for, looking after each change in the namespace.
    pub async fn until<T>(&self, what: &str, look: impl FnMut(&Seen) -> Option<T>) -> T {
        let found = self.in_time(look).await;
        found.unwrap_or_else(|| panic!("waited {:?} in vain for {what}", self.patience))
    }

    /// The same; none if it waited in vain.
    pub async fn in_time<T>(&self, look: impl FnMut(&Seen) -> Option<T>) -> Option<T> {
        timeout(self.patience, self.recorder.until(look)).await.ok()
    }

    /// Waits until the Rollout's present spec has been looked at and its status satisfies `is`.
    pub async fn until_status(&self, name: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let what = format!("{what} of Rollout {name}");
        self.until(&what, |seen| {
            let rollout = seen.get("Rollout", name);
            let status = &rollout["status"];
            let observed = status["observedGeneration"] == rollout["metadata"]["generation"];
            (!rollout.is_null() && observed && is(status)).then(|| status.clone())
        })
        .await
    }

    /// Waits until the controller has looked at a Rollout whose pods have this image: the watch that
    /// is waited on may show the edit late.
    pub async fn until_asked_for(&self, name: &str, image: &str) -> Value {
        let what = format!("the controller to see {image}");
        self.until(&what, |seen| {
            let rollout = seen.get("Rollout", name);
            let asked = &rollout["spec"]["template"]["spec"]["containers"][0]["image"];
            let status = &rollout["status"];
            let observed = status["observedGeneration"] == rollout["metadata"]["generation"];
            (*asked == *image && observed).then(|| status.clone())
        })
        .await
    }

    /// Waits until the spec's revision is stable and everything has settled.
    pub async fn until_released(&self, name: &str) -> Value {
        self.until_status(name, "the end of the release", |status| {
            status["phase"] == "Healthy"
                && status["history"][0]["outcome"] == "Promoted"
                && status["stableRevision"] == status["currentRevision"]
        })
        .await
    }

    /// Waits until the pods of all other revisions are gone.
    pub async fn until_alone(&self, name: &str) {
        let what = format!("the pods of Rollout {name} to be those of its stable revision alone");
        self.until(&what, |seen| {
            let stable = &seen.get("Rollout", name)["status"]["stableRevision"];
            let revisions =
                seen.all("Pod").map(|pod| &pod["metadata"]["labels"]["sluice.dev/revision"]);
            let mut ours = revisions.filter(|revision| !revision.is_null());
            ours.all(|revision| revision == stable).then_some(())
        })
        .await;
    }

    /// Waits until the canary has this weight in the routes, as the status shows it.
    pub async fn until_weight(&self, name: &str, weight: i64) -> Value {
        let what = format!("canary weight {weight}");
        self.until_status(name, &what, |status| status["weights"]["canary"] == weight).await
    }

    /// Waits until the release waits in the step with this number, counted from 1.
    pub async fn until_paused_at(&self, name: &str, step: i64) -> Value {
        let what = format!("a pause at step {step}");
        self.until_status(name, &what, |status| {
            status["phase"] == "Paused" && status["step"]["index"] == step - 1
        })
        .await
    }

    /// Waits until the release was rolled back: aborted, no weight, no pods of the canary.
    pub async fn until_rolled_back(&self, name: &str) -> Value {
        let aborted = self
            .until_status(name, "the rollback", |status| {
                status["phase"] == "Degraded"
                    && !status["abort"].is_null()
                    && status["weights"]["canary"] == 0
                    && status["updatedReplicas"] == 0
            })
            .await;
        let stable = aborted["stableRevision"].as_str().unwrap_or_default().to_owned();
        for role in ["stable", "canary"] {
            let what = format!("the {role} Service to select stable again");
            let service = format!("{name}-{role}");
            self.until(&what, |seen| {
                let service = seen.get("Service", &service);
                let selects = &service["spec"]["selector"]["sluice.dev/revision"];
                (service.is_null() || *selects == *stable).then_some(())
            })
            .await;
        }
        aborted
    }

    /// Waits for an Event about `name` with this reason. Returns its text.
    pub async fn until_event(&self, name: &str, reason: &str) -> String {
        let what = format!("an Event {reason} about {name}");
        self.until(&what, |seen| seen.events(name, reason).pop()).await
    }

    /// Looks until `look` finds what it looks for, where no watch shows it.
    pub async fn poll<T>(&self, what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
        until(what, self.patience, look).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The states of the Rollouts and the last Events, for a test that failed.
    fn report(&self) -> String {
        let seen = self.recorder.seen();
        let mut text = String::new();
        for kind in ["Rollout", "AnalysisRun"] {
            for object in seen.all(kind) {
                let name = &object["metadata"]["name"];
                let status = serde_json::to_string_pretty(&object["status"]).unwrap_or_default();
                let _ = writeln!(text, "{kind} {name}: {status}");
            }
        }
        for event in seen.all("Event") {
            let _ = writeln!(text, "Event {} {}", event["reason"], event["note"]);
        }
        text
    }
}
