//! Writes for one AnalysisRun: its Jobs and its status.

use k8s_openapi::api::batch::v1::Job;
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams, Patch},
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
        let mut answer = self.jobs().create(&post(), &job).await;
        if matches!(&answer, Err(kube::Error::Api(status)) if status.code == 403) {
            // An API server that has just started knows nobody's rights yet. One that lets us list
            // Jobs knows ours, and what it says then is meant.
            if let Err(error) = self.jobs().list(&ListParams::default().limit(1)).await {
                tracing::warn!(%error, job = name, "the API server does not know our rights yet");
                return JobStart::Again;
            }
            if !self.fence.is_open() {
                return JobStart::Again;
            }
            answer = self.jobs().create(&post(), &job).await;
        }
        match answer {
            Ok(job) => {
                tracing::info!(job = name, "Job started");
                self.caches.put(job.observed(Kind::Job), (self.now)());
                JobStart::Started
            }
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                self.existing_job(run, name).await
            }
            Err(kube::Error::Api(status)) if rights::is_undiscovered(&status.message) => {
                tracing::warn!(
                    error = status.message,
                    job = name,
                    "the API server has just started and does not know our kinds yet; will retry"
                );
                JobStart::Again
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

#[cfg(test)]
mod tests {
    use std::{
        future::{Ready, ready},
        sync::{Arc, Mutex},
        task,
    };

    use http::{Method, Request, Response};
    use kube::client::Body;
    use serde_json::json;

    use super::*;

    /// What an API server says when it refuses.
    const FORBIDDEN: &str = "forbidden";

    /// A method, and the code and words with which it is answered.
    type Answer = (Method, u16, &'static str);

    /// Answers creates and lists of Jobs so, in this order.
    #[derive(Clone)]
    struct Server(Arc<Mutex<Vec<Answer>>>);

    impl tower::Service<Request<Body>> for Server {
        type Response = Response<Body>;
        type Error = kube::Error;
        type Future = Ready<Result<Response<Body>, kube::Error>>;

        fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), kube::Error>> {
            task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<Body>) -> Self::Future {
            let (method, code, message) = self.0.lock().unwrap().remove(0);
            assert_eq!(*request.method(), method);
            let answer = match (code, method) {
                (400.., _) => json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                    "message": message, "reason": "Forbidden", "code": code,
                }),
                (_, Method::GET) => json!({
                    "kind": "JobList", "apiVersion": "batch/v1", "metadata": {}, "items": [],
                }),
                _ => json!({
                    "kind": "Job", "apiVersion": "batch/v1",
                    "metadata": {"name": "probe", "namespace": "shop", "resourceVersion": "1"},
                }),
            };
            let body = Body::from(serde_json::to_vec(&answer).unwrap());
            ready(Ok(Response::builder().status(code).body(body).unwrap()))
        }
    }

    struct Open;

    impl Fence for Open {
        fn is_open(&self) -> bool {
            true
        }
    }

    async fn started(answers: &[Answer]) -> JobStart {
        let server = Server(Arc::new(Mutex::new(answers.to_vec())));
        let client = Client::new(server.clone(), "shop");
        let caches = Caches::default();
        let applier = RunApplier {
            client: &client,
            caches: &caches,
            fence: &Open,
            namespace: "shop",
            now: &|| jiff::Timestamp::UNIX_EPOCH,
        };
        let run = json!({"metadata": {"name": "run"}, "spec": {"metrics": []}});
        let run: AnalysisRun = serde_json::from_value(run).unwrap();
        let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "probe"}});
        let start = applier.create_job(&run, "probe", job).await;
        assert!(server.0.lock().unwrap().is_empty(), "it asks all of this");
        start
    }

    #[tokio::test]
    async fn a_starting_api_server_that_knows_no_rights_yet_refuses_no_job() {
        let refused = (Method::POST, 403, FORBIDDEN);
        let start = started(&[refused.clone(), (Method::GET, 403, FORBIDDEN)]).await;
        assert_eq!(start, JobStart::Again);
        let listed = (Method::GET, 200, "");
        let start = started(&[refused, listed, (Method::POST, 201, "")]).await;
        assert_eq!(start, JobStart::Started, "it has learned them meanwhile");
    }

    #[tokio::test]
    async fn a_starting_api_server_that_knows_no_kinds_yet_refuses_no_job() {
        let unknown = "cannot set blockOwnerDeletion in this case because cannot find RESTMapping";
        let (refused, listed) = ((Method::POST, 403, unknown), (Method::GET, 200, ""));
        let start = started(&[refused.clone(), listed, refused]).await;
        assert_eq!(start, JobStart::Again);
    }

    #[tokio::test]
    async fn a_job_that_is_forbidden_though_our_rights_are_known_is_refused() {
        let (refused, listed) = ((Method::POST, 403, FORBIDDEN), (Method::GET, 200, ""));
        let start = started(&[refused.clone(), listed, refused]).await;
        assert!(matches!(start, JobStart::Refused(_)), "{start:?}");
    }
}
