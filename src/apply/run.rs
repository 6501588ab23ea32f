//! Writes for one AnalysisRun: its Jobs and its status.

use k8s_openapi::api::batch::v1::Job;
use kube::{
    Api, Client,
    api::{DynamicObject, Patch},
};
use serde_json::Value;

use super::{Failure, Fence, delete, objects, params, post, resource, rights};
use crate::{
    api::{AnalysisRun, AnalysisRunStatus},
    observe::{Caches, Kind, Watched},
};

/// What came of starting a Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobStart {
    /// It is there.
    Started,
    /// It cannot be there until somebody changes something: why, as a sentence.
    Refused(String),
    /// The API server could not be asked, or the lease is not held: try again.
    Again,
}

/// Writes for one AnalysisRun.
pub struct RunApplier<'a> {
    /// The API server.
    pub client: &'a Client,
    /// Where answers go.
    pub caches: &'a Caches,
    /// The lease.
    pub fence: &'a dyn Fence,
    /// Namespace of the run.
    pub namespace: &'a str,
    /// The clock.
    pub now: &'a (dyn Fn() -> jiff::Timestamp + Sync),
}

impl RunApplier<'_> {
    fn jobs(&self) -> Api<Job> {
        Api::namespaced(self.client.clone(), self.namespace)
    }

    fn runs(&self) -> Api<DynamicObject> {
        let resource = resource("sluice.dev", "v1alpha1", "AnalysisRun");
        Api::namespaced_with(self.client.clone(), self.namespace, &resource)
    }

    /// Starts a Job.
    pub async fn create_job(&self, run: &AnalysisRun, name: &str, body: Value) -> JobStart {
        let job: Job = match serde_json::from_value(body) {
            Ok(job) => job,
            Err(error) => return JobStart::Refused(format!("this is no Job: {error}")),
        };
        if !self.fence.is_open() {
            return JobStart::Again;
        }
        match self.jobs().create(&post(), &job).await {
            Ok(job) => {
                tracing::info!(job = name, "Job started");
                self.caches.put(job.observed(Kind::Job), (self.now)());
                JobStart::Started
            }
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                self.existing_job(run, name).await
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 400 | 403 | 404 | 413 | 422) => {
                let why = rights::explained(&status.message);
                JobStart::Refused(format!("the API server refuses the Job: {why}"))
            }
            Err(error) => {
                tracing::warn!(%error, job = name, "the Job could not be started; will retry");
                JobStart::Again
            }
        }
    }

    /// A Job of that name is ours if an earlier create was carried out but its answer was lost.
    async fn existing_job(&self, run: &AnalysisRun, name: &str) -> JobStart {
        let Ok(job) = self.jobs().get(name).await else { return JobStart::Again };
        let owners = job.metadata.owner_references.as_ref();
        let uid = run.metadata.uid.as_ref();
        if owners.into_iter().flatten().any(|owner| Some(&owner.uid) == uid) {
            self.caches.put(job.observed(Kind::Job), (self.now)());
            return JobStart::Started;
        }
        JobStart::Refused("a Job of this name belongs to somebody else; delete it".to_owned())
    }

    /// Deletes a Job whose outcome does not matter any more.
    pub async fn delete_job(&self, name: &str) {
        if self.fence.is_open()
            && let Err(error) = delete(&self.jobs(), name, None).await
        {
            let error = why(&error);
            tracing::warn!(job = name, error, "the Job could not be deleted; it goes with its run");
        }
    }

    /// Deletes the run.
    pub async fn delete_run(&self, name: &str) {
        if self.fence.is_open()
            && let Err(error) = delete(&self.runs(), name, None).await
        {
            let error = why(&error);
            tracing::warn!(run = name, error, "the expired AnalysisRun could not be deleted");
        }
    }

    /// Writes the run's status. Returns whether it was written.
    pub async fn write_status(&self, run: &AnalysisRun, to: &AnalysisRunStatus) -> bool {
        let name = run.metadata.name.clone().unwrap_or_default();
        let version = run.metadata.resource_version.clone().unwrap_or_default();
        let empty = || Value::Object(serde_json::Map::new());
        let from = run
            .status
            .as_ref()
            .map_or_else(|| Some(empty()), |status| serde_json::to_value(status).ok());
        let Some((from, to)) = from.zip(serde_json::to_value(to).ok()) else { return false };
        let patch = objects::status(&from, &to, &version);
        let Ok(patch) = serde_json::from_value(patch) else { return false };
        if !self.fence.is_open() {
            return false;
        }
        let patch: Patch<()> = Patch::Json(patch);
        match self.runs().patch_status(&name, &params(), &patch).await {
            Ok(object) => {
                self.caches.put(object.observed(Kind::AnalysisRun), (self.now)());
                true
            }
            Err(kube::Error::Api(status)) if status.code == 403 => {
                let error = rights::explained(&status.message);
                tracing::error!(error, run = name, "the status was refused");
                false
            }
            Err(error) => {
                tracing::debug!(%error, run = name, "the status was not written; looking again");
                false
            }
        }
    }
}

fn why(failure: &Failure) -> String {
    match failure {
        Failure::Api(error) => rights::explained(error),
        Failure::Malformed(text) | Failure::NameTaken(text) => text.clone(),
    }
}
