//! A Rollout with all that belongs to it, as read at one instant.

use futures::join;
use k8s_openapi::api::{apps::v1::ReplicaSet, batch::v1::Job, core::v1::Pod};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DynamicObject, ListParams},
};

use crate::api::{AnalysisRun, REVISION_LABEL, ROLLOUT_LABEL, Rollout};

use super::{exit::Failure, session::Session, workload::Holder};

/// A Rollout with all that belongs to it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The Rollout.
    pub rollout: Rollout,
    /// Its `ReplicaSets`.
    pub replica_sets: Vec<ReplicaSet>,
    /// The pods of these `ReplicaSets`.
    pub pods: Vec<Pod>,
    /// Its `AnalysisRuns`.
    pub runs: Vec<AnalysisRun>,
    /// Its Jobs.
    pub jobs: Vec<Job>,
    /// The workload that it names.
    pub workload: Option<DynamicObject>,
    /// What could not be read, each in a sentence.
    pub notes: Vec<String>,
}

/// What selects the objects that belong to a Rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selectors {
    /// Of `ReplicaSets` and pods.
    pub pods: String,
    /// Of `AnalysisRuns` and Jobs.
    pub analysis: String,
}

impl Selectors {
    /// The selectors of `rollout`.
    pub fn of(rollout: &Rollout) -> Self {
        // With a workload the status knows the selector.
        let of_status = || {
            let text = rollout.status.as_ref().map(|status| status.selector.as_str());
            let pairs = text.unwrap_or_default().split(',').filter_map(|pair| pair.split_once('='));
            // Of two colours it names the active one; both are shown.
            let pairs = pairs.filter(|(key, _)| *key != REVISION_LABEL);
            pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
        };
        let own = rollout.spec.selector.as_ref().map(|selector| selector.match_labels.clone());
        let labels = own.unwrap_or_else(of_status);
        let pairs: Vec<String> =
            labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        Self { pods: pairs.join(","), analysis: format!("{ROLLOUT_LABEL}={}", rollout.name_any()) }
    }
}

impl Snapshot {
    /// A Rollout alone.
    pub fn bare(rollout: Rollout) -> Self {
        Self {
            rollout,
            replica_sets: Vec::new(),
            pods: Vec::new(),
            runs: Vec::new(),
            jobs: Vec::new(),
            workload: None,
            notes: Vec::new(),
        }
    }

    /// Leaves only what the Rollout owns: labels alone may select the pods of others.
    #[must_use]
    pub fn owned(mut self) -> Self {
        let owner = self.rollout.metadata.uid.clone();
        self.replica_sets.retain(|set| owned_by(set, |uid| Some(uid) == owner.as_deref()));
        let sets: Vec<&str> =
            self.replica_sets.iter().filter_map(|set| set.metadata.uid.as_deref()).collect();
        self.pods.retain(|pod| owned_by(pod, |uid| sets.contains(&uid)));
        self
    }
}

fn owned_by<K: Resource>(object: &K, is: impl Fn(&str) -> bool) -> bool {
    let mut owners = object.owner_references().iter();
    owners.any(|owner| owner.controller == Some(true) && is(&owner.uid))
}

/// Reads the Rollout and all that belongs to it.
pub async fn read(session: &Session<'_>, name: &str) -> Result<Snapshot, Failure> {
    let rollout = session.fetch(name).await?;
    let selectors = Selectors::of(&rollout);
    let (client, namespace) = (&session.client, session.namespace.as_str());
    let (sets, pods, runs, jobs, workload) = join!(
        list::<ReplicaSet>(client, namespace, &selectors.pods),
        list::<Pod>(client, namespace, &selectors.pods),
        list::<AnalysisRun>(client, namespace, &selectors.analysis),
        list::<Job>(client, namespace, &selectors.analysis),
        workload(client, namespace, &rollout),
    );
    let mut snapshot = Snapshot::bare(rollout);
    let notes = &mut snapshot.notes;
    snapshot.replica_sets = kept(sets, "ReplicaSets", notes);
    snapshot.pods = kept(pods, "pods", notes);
    snapshot.runs = kept(runs, "AnalysisRuns", notes);
    snapshot.jobs = kept(jobs, "Jobs", notes);
    snapshot.workload = kept(workload, "workload", notes).pop();
    Ok(snapshot.owned())
}

/// The workload that the Rollout names; none if it names none or it does not exist.
async fn workload(
    client: &Client,
    namespace: &str,
    rollout: &Rollout,
) -> kube::Result<Vec<DynamicObject>> {
    let reference = rollout.spec.workload_ref.as_ref();
    let Some(holder) = reference.and_then(Holder::of_workload) else {
        return Ok(Vec::new());
    };
    let found = holder.api(client, namespace).get_opt(&holder.name).await?;
    Ok(found.into_iter().collect())
}

async fn list<K>(client: &Client, namespace: &str, labels: &str) -> kube::Result<Vec<K>>
where
    K: Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let objects: Api<K> = Api::namespaced(client.clone(), namespace);
    let parameters = ListParams::default().labels(labels);
    objects.list(&parameters).await.map(|list| list.items)
}

/// The list; what cannot be read is left out and noted, because the rest still helps.
fn kept<K>(read: kube::Result<Vec<K>>, kind: &str, notes: &mut Vec<String>) -> Vec<K> {
    read.unwrap_or_else(|error| {
        notes.push(unread(kind, &error));
        Vec::new()
    })
}

/// The note that a kind could not be read.
pub fn unread(kind: &str, error: &kube::Error) -> String {
    Failure::api(error, &format!("read the {kind}")).text
}
