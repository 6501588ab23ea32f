//! Runs a plan in its order and decides nothing; stops at the first write that fails.
//!
//! In: the writes of a [`Plan`](crate::plan::Plan) with their preconditions. Out: the cluster
//! changed, and every answer taken into the caches at once, so that the next look sees our own
//! writes. Nothing is written without the lease.

mod evict;
mod objects;
pub mod rights;
mod role;
mod run;

pub use run::{JobStart, RunApplier};

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::ReplicaSet,
    core::v1::{Pod, Service},
};
use kube::{
    Api, Client,
    api::{
        ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions,
        PropagationPolicy,
    },
    core::GroupVersionKind,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    api::{COMMAND_ANNOTATION, SURPLUS_LABEL},
    observe::{Caches, Kind, Object, Touched, Watched},
    plan::{Action, FIELD_MANAGER, NewReplicaSet, RouteKind, Write},
    world::World,
};

/// What the API server says, with 422, of a JSON patch that does not apply to the object as it is: a
/// failed `test`, or a path that is not there (recorded in `tests/conformance/patches.yaml`).
const PATCH_DOES_NOT_APPLY: &str = "due to an error in our request";

/// Why a write failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object has changed since it was read: look again.
    #[error("{what}: the object has changed since it was read")]
    Conflict {
        /// The write.
        what: String,
        /// The answer.
        #[source]
        source: kube::Error,
    },
    /// The API server refuses the object; a person must change something.
    #[error("{what}: {message}")]
    Refused {
        /// The write.
        what: String,
        /// Why, in the API server's words.
        message: String,
    },
    /// The name of a new ReplicaSet belongs to somebody else.
    #[error("the name {name} is taken by a ReplicaSet of somebody else")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The API server could not be asked, or asked to wait: try again.
    #[error("{what}")]
    Unavailable {
        /// The write.
        what: String,
        /// The error.
        #[source]
        source: kube::Error,
    },
    /// The lease is lost: somebody else works now.
    #[error("{what}: not written, because this controller does not hold the lease")]
    NoLease {
        /// The write.
        what: String,
    },
}

/// Whether writes are allowed at this moment: the lease is held.
pub trait Fence: Send + Sync {
    /// True while no other controller can be at work.
    fn is_open(&self) -> bool;
}

/// Is told of each write just before it is made, with its reason.
pub trait Journal: Send + Sync {
    /// The write that comes next.
    fn writing(&self, action: &Action);
}

/// Writes for one Rollout.
pub struct Applier<'a> {
    /// The API server.
    pub client: &'a Client,
    /// Where answers go.
    pub caches: &'a Caches,
    /// The lease.
    pub fence: &'a dyn Fence,
    /// API version of Istio's networking group that the cluster serves, such as `v1`.
    pub istio_version: &'a str,
    /// The clock: what counts from a write counts from its answer, not from the plan.
    pub now: &'a (dyn Fn() -> Timestamp + Sync),
    /// Who wants to know of each write.
    pub journal: Option<&'a dyn Journal>,
}

impl Applier<'_> {
    /// Carries out `actions` in their order.
    ///
    /// # Errors
    /// At the first write that fails; those after it are not tried.
    pub async fn run(
        &self,
        world: &World,
        actions: &[Action],
    ) -> Result<BTreeSet<Touched>, (BTreeSet<Touched>, Error)> {
        let mut touched = BTreeSet::new();
        let mut version = world.rollout.resource_version.clone();
        for action in actions {
            let what = describe(&action.write);
            if !self.fence.is_open() {
                return Err((touched, Error::NoLease { what }));
            }
            if let Some(journal) = self.journal {
                journal.writing(action);
            }
            match self.write(world, &action.write, &mut version).await {
                Ok(object) => {
                    tracing::info!(write = what, why = action.why, "written");
                    if let Some(object) = object {
                        touched.extend(self.caches.put(object, (self.now)()));
                    }
                }
                Err(error) => return Err((touched, classify(what, error))),
            }
        }
        Ok(touched)
    }

    async fn write(
        &self,
        world: &World,
        write: &Write,
        version: &mut String,
    ) -> Result<Option<Object>, Failure> {
        let namespace = &world.rollout.namespace;
        let owner = || objects::owner(&world.rollout.name, &world.rollout.uid);
        match write {
            Write::Status(status) => {
                let from = serde_json::to_value(&*world.rollout.status)
                    .map_err(|error| Failure::json(&error))?;
                let to = serde_json::to_value(status).map_err(|error| Failure::json(&error))?;
                let from = if world.rollout.status.phase.is_none() {
                    Value::Object(serde_json::Map::new())
                } else {
                    from
                };
                let patch = objects::status(&from, &to, version);
                let api = self.dynamic(namespace, &resource("sluice.dev", "v1alpha1", "Rollout"));
                let params = params();
                let patch: Patch<()> = json_patch(patch)?;
                let object = api.patch_status(&world.rollout.name, &params, &patch).await?;
                version.clone_from(&object.metadata.resource_version.clone().unwrap_or_default());
                Ok(Some(object.observed(Kind::Rollout)))
            }
            Write::CreateReplicaSet(new) => self.create_replica_set(world, new, &owner()).await,
            Write::AdoptReplicaSet { name, uid } => {
                let patch = objects::adopt(uid, &owner());
                self.patch::<ReplicaSet>(namespace, name, patch, Kind::ReplicaSet).await
            }
            Write::Scale { name, uid, from, to } => {
                let patch = objects::scale(uid, *from, *to);
                self.patch::<ReplicaSet>(namespace, name, patch, Kind::ReplicaSet).await
            }
            Write::DeleteReplicaSet { name, uid } => {
                let api: Api<ReplicaSet> = Api::namespaced(self.client.clone(), namespace);
                delete(&api, name, Some(uid)).await
            }
            Write::SelectRevision { service, from, to } => {
                let patch = objects::select(from.as_deref(), to.as_deref());
                self.patch::<Service>(namespace, service, patch, Kind::Service).await
            }
            Write::EditRoute { kind, namespace, name, resource_version, from, to } => {
                let patch: Patch<()> = json_patch(objects::edit(from, to, resource_version))?;
                let (kind, text) = match kind {
                    RouteKind::VirtualService => (Kind::VirtualService, "VirtualService"),
                    RouteKind::DestinationRule => (Kind::DestinationRule, "DestinationRule"),
                };
                let api = self
                    .dynamic(namespace, &resource("networking.istio.io", self.istio_version, text));
                let object = api.patch(name, &params(), &patch).await?;
                Ok(Some(object.observed(kind)))
            }
            Write::CreateRun { name, spec, labels } => {
                let body = objects::run(name, spec, labels, &owner());
                let api = self.runs(namespace);
                let object = serde_json::from_value(body).map_err(|error| Failure::json(&error))?;
                let object = api.create(&post(), &object).await?;
                Ok(Some(object.observed(Kind::AnalysisRun)))
            }
            Write::EndRun { name } => {
                let patch = Patch::Merge(json!({"spec": {"terminate": true}}));
                let object = self.runs(namespace).patch(name, &params(), &patch).await?;
                Ok(Some(object.observed(Kind::AnalysisRun)))
            }
            Write::DeleteRun { name } => delete(&self.runs(namespace), name, None).await,
            Write::Evict { name, uid } => self.evict(namespace, name, uid).await,
            Write::ScaleWorkload { kind, name, uid, from, to } => {
                let patch: Patch<()> = json_patch(objects::scale(uid, *from, *to))?;
                let api = self.dynamic(namespace, &resource("apps", "v1", kind.as_str()));
                let object = api.patch(name, &params(), &patch).await?;
                Ok(Some(object.observed(Kind::Workload(*kind))))
            }
            Write::RoleOfSet { name, uid, from, to } => {
                let metadata = role::of_template(world, from.as_ref(), to);
                let patch = json!({"spec": {"template": {"metadata": metadata}}});
                self.merge::<ReplicaSet>(namespace, name, uid, patch, Kind::ReplicaSet).await
            }
            Write::RoleOfPod { name, uid, from, to } => {
                let patch = json!({"metadata": role::of_template(world, from.as_ref(), to)});
                self.merge::<Pod>(namespace, name, uid, patch, Kind::Pod).await
            }
            Write::CountPod { name, uid, surplus } => {
                let label = surplus.then_some("true");
                let patch = json!({"metadata": {"labels": {SURPLUS_LABEL: label}}});
                self.merge::<Pod>(namespace, name, uid, patch, Kind::Pod).await
            }
            Write::Finalizer { present } => {
                let patch = objects::finalizers(&world.rollout.finalizers, *present, version);
                let object = self.patch_rollout(world, patch, version).await?;
                // Without its last finalizer the object is gone: the watch says so.
                Ok(present.then_some(object))
            }
            Write::ClearCommand => {
                let patch = objects::without_annotation(COMMAND_ANNOTATION, version);
                self.patch_rollout(world, patch, version).await.map(Some)
            }
        }
    }

    async fn patch_rollout(
        &self,
        world: &World,
        patch: Value,
        version: &mut String,
    ) -> Result<Object, Failure> {
        let resource = resource("sluice.dev", "v1alpha1", "Rollout");
        let api = self.dynamic(&world.rollout.namespace, &resource);
        let patch: Patch<()> = json_patch(patch)?;
        let object = api.patch(&world.rollout.name, &params(), &patch).await?;
        version.clone_from(&object.metadata.resource_version.clone().unwrap_or_default());
        Ok(object.observed(Kind::Rollout))
    }

    /// A name that is taken is ours if an earlier create was carried out but its answer was lost.
    async fn create_replica_set(
        &self,
        world: &World,
        new: &NewReplicaSet,
        owner: &Value,
    ) -> Result<Option<Object>, Failure> {
        let api: Api<ReplicaSet> = Api::namespaced(self.client.clone(), &world.rollout.namespace);
        let body = objects::replica_set(new, world, owner);
        let body: ReplicaSet =
            serde_json::from_value(body).map_err(|error| Failure::template(&error))?;
        match api.create(&post(), &body).await {
            Ok(object) => Ok(Some(object.observed(Kind::ReplicaSet))),
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                let found = api.get(&new.name).await?;
                let owners = found.metadata.owner_references.as_ref();
                let ours = owners.into_iter().flatten().any(|o| o.uid == world.rollout.uid);
                if ours {
                    Ok(Some(found.observed(Kind::ReplicaSet)))
                } else {
                    self.caches.remember_taken(&world.rollout.namespace, &new.name);
                    Err(Failure::NameTaken(new.name.clone()))
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn patch<K>(
        &self,
        namespace: &str,
        name: &str,
        patch: Value,
        kind: Kind,
    ) -> Result<Option<Object>, Failure>
    where
        K: Watched
            + kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        let patch: Patch<()> = json_patch(patch)?;
        let object = api.patch(name, &params(), &patch).await?;
        Ok(Some(object.observed(kind)))
    }

    /// Merges a patch over the object of this uid.
    async fn merge<K>(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
        mut patch: Value,
        kind: Kind,
    ) -> Result<Option<Object>, Failure>
    where
        K: Watched
            + kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        patch["metadata"]["uid"] = uid.into();
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        let object = api.patch(name, &params(), &Patch::Merge(patch)).await?;
        Ok(Some(object.observed(kind)))
    }

    fn dynamic(&self, namespace: &str, resource: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, resource)
    }

    fn runs(&self, namespace: &str) -> Api<DynamicObject> {
        self.dynamic(namespace, &resource("sluice.dev", "v1alpha1", "AnalysisRun"))
    }
}

fn classify(what: String, failure: Failure) -> Error {
    let source = match failure {
        Failure::NameTaken(name) => return Error::NameTaken { name },
        Failure::Malformed(message) => return Error::Refused { what, message },
        Failure::Api(source) => source,
    };
    let kube::Error::Api(status) = &source else { return Error::Unavailable { what, source } };
    match status.code {
        // A wrong resource version is answered 409; an object that is gone must be looked for
        // again too.
        404 | 409 => Error::Conflict { what, source },
        422 if status.message.contains(PATCH_DOES_NOT_APPLY) => Error::Conflict { what, source },
        403 if rights::is_undiscovered(&status.message) => Error::Unavailable { what, source },
        400 | 403 | 413 | 422 => {
            let message = rights::explained(&status.message);
            Error::Refused { what, message: message.chars().take(600).collect() }
        }
        _ => Error::Unavailable { what, source },
    }
}

enum Failure {
    Api(kube::Error),
    Malformed(String),
    NameTaken(String),
}

impl Failure {
    fn json(error: &serde_json::Error) -> Self {
        Self::Malformed(error.to_string())
    }

    fn template(error: &serde_json::Error) -> Self {
        Self::Malformed(format!("the pod template cannot be read: {error}"))
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        Self::Api(error)
    }
}

/// A write in few words, for errors and logs.
fn describe(write: &Write) -> String {
    match write {
        Write::Status(_) => "write the status".into(),
        Write::CreateReplicaSet(new) => format!("create ReplicaSet {}", new.name),
        Write::AdoptReplicaSet { name, .. } => format!("adopt ReplicaSet {name}"),
        Write::Scale { name, from, to, .. } => {
            format!("scale ReplicaSet {name} from {from} to {to}")
        }
        Write::Evict { name, .. } => format!("evict pod {name}"),
        Write::ScaleWorkload { kind, name, from, to, .. } => {
            format!("scale {} {name} from {from} to {to}", kind.as_str())
        }
        Write::RoleOfSet { name, .. } => format!("set the role's metadata of ReplicaSet {name}"),
        Write::CountPod { name, surplus: true, .. } => format!("mark pod {name} as surplus"),
        Write::CountPod { name, .. } => format!("let pod {name} count"),
        Write::RoleOfPod { name, .. } => format!("set the role's metadata of pod {name}"),
        Write::Finalizer { present: true } => "add the finalizer".into(),
        Write::Finalizer { present: false } => "remove the finalizer".into(),
        Write::DeleteReplicaSet { name, .. } => format!("delete ReplicaSet {name}"),
        Write::SelectRevision { service, to: Some(to), .. } => {
            format!("let Service {service} select {to}")
        }
        Write::SelectRevision { service, to: None, .. } => {
            format!("let Service {service} select any revision")
        }
        Write::EditRoute { kind, namespace, name, .. } => {
            format!("edit {kind:?} {namespace}/{name}")
        }
        Write::CreateRun { name, .. } => format!("create AnalysisRun {name}"),
        Write::EndRun { name } => format!("end AnalysisRun {name}"),
        Write::DeleteRun { name } => format!("delete AnalysisRun {name}"),
        Write::ClearCommand => "remove the applied command".into(),
    }
}

fn resource(group: &str, version: &str, kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

fn params() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() }
}

fn post() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() }
}

fn json_patch<T: serde::Serialize>(patch: Value) -> Result<Patch<T>, Failure> {
    serde_json::from_value(patch).map(Patch::Json).map_err(|error| Failure::json(&error))
}

async fn delete<K>(
    api: &Api<K>,
    name: &str,
    uid: Option<&String>,
) -> Result<Option<Object>, Failure>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    let preconditions = Preconditions { uid: uid.cloned(), resource_version: None };
    let params = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Background),
        ..DeleteParams::default()
    };
    let params = if uid.is_some() { params.preconditions(preconditions) } else { params };
    match api.delete(name, &params).await {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}
