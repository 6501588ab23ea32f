//! Those who release: for each Rollout one image after the other, as a pipeline does.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams},
    core::GroupVersionKind,
};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{fleet::Shop, support::cluster::Cluster};

/// When a release counts as stuck.
const STUCK: Duration = Duration::from_mins(6);

/// A release that reached its end.
pub struct Release {
    /// Of which Rollout.
    pub namespace: String,
    /// From the new image to the end.
    pub took: Duration,
}

/// All pipelines.
pub struct Pipelines {
    tasks: JoinSet<Result<Vec<Release>, String>>,
    ended: Vec<Release>,
    _looks: JoinSet<()>,
}

/// The Rollouts by namespace, as they were last listed.
type Seen = Arc<BTreeMap<String, Value>>;

/// Starts a pipeline for each Rollout: at least `releases`, and then on until `over`.
pub fn start(
    cluster: &Cluster,
    shops: &[Shop],
    releases: usize,
    over: &Arc<AtomicBool>,
) -> Pipelines {
    let api = rollouts(&cluster.client, None);
    let (told, seen) = watch::channel(Seen::default());
    let mut looks = JoinSet::new();
    looks.spawn(async move {
        loop {
            let listed = timeout(Duration::from_secs(10), api.list(&ListParams::default())).await;
            if let Ok(Ok(listed)) = listed {
                let by_namespace = listed.items.into_iter().map(|rollout| {
                    let namespace = rollout.metadata.namespace.clone().unwrap_or_default();
                    (namespace, serde_json::to_value(rollout).expect("it came as JSON"))
                });
                told.send_replace(Arc::new(by_namespace.collect()));
            }
            sleep(Duration::from_millis(250)).await;
        }
    });
    let mut tasks = JoinSet::new();
    for shop in shops {
        let (namespace, over) = (shop.namespace.clone(), over.clone());
        let (api, seen) = (rollouts(&cluster.client, Some(&namespace)), seen.clone());
        tasks.spawn(async move {
            let mut pipeline = Pipeline { namespace, api, seen };
            let (_, mut number) = pipeline.released().await?;
            let mut done = Vec::new();
            while done.len() < releases || !over.load(Ordering::Relaxed) {
                number += 1;
                done.push(pipeline.release(number).await?);
            }
            Ok(done)
        });
    }
    Pipelines { tasks, ended: Vec::new(), _looks: looks }
}

impl Pipelines {
    /// Waits for the end of all. Returns their releases.
    pub async fn join(&mut self) -> Vec<Release> {
        while let Some(ended) = self.tasks.join_next().await {
            let ended = ended.expect("a pipeline does not panic");
            self.ended.extend(ended.unwrap_or_else(|stuck| panic!("{stuck}")));
        }
        std::mem::take(&mut self.ended)
    }

    /// Resolves when a release is stuck: why.
    pub async fn failed(&mut self) -> String {
        while let Some(ended) = self.tasks.join_next().await {
            match ended.expect("a pipeline does not panic") {
                Ok(releases) => self.ended.extend(releases),
                Err(stuck) => return stuck,
            }
        }
        std::future::pending().await
    }
}

struct Pipeline {
    namespace: String,
    api: Api<DynamicObject>,
    seen: watch::Receiver<Seen>,
}

impl Pipeline {
    /// Releases the image with this number.
    async fn release(&mut self, number: usize) -> Result<Release, String> {
        let began = Instant::now();
        let deadline = began + STUCK;
        let patch = json!({"spec": {"template": {"spec": {"containers": [
            {"name": "web", "image": format!("web:{number}"), "ports": [{"containerPort": 80}]},
        ]}}}});
        let params =
            PatchParams { field_manager: Some("pipeline".into()), ..PatchParams::default() };
        // An answer that is lost says nothing: asked again, it is the same image.
        loop {
            let patch = Patch::Merge(&patch);
            let asked = timeout(Duration::from_secs(10), self.api.patch("web", &params, &patch));
            match asked.await {
                Ok(Ok(_)) => break,
                failed if Instant::now() > deadline => {
                    return Err(format!(
                        "{}: web:{number} was never taken: {failed:?}",
                        self.namespace
                    ));
                }
                _ => sleep(Duration::from_millis(300)).await,
            }
        }
        loop {
            let (_, released) = self.released().await?;
            if released == number {
                return Ok(Release { namespace: self.namespace.clone(), took: began.elapsed() });
            }
            self.next(deadline).await?;
        }
    }

    /// Waits until no release is under way. Returns the Rollout and the number of its image.
    async fn released(&mut self) -> Result<(Value, usize), String> {
        let deadline = Instant::now() + STUCK;
        loop {
            let rollout = self.rollout();
            let status = &rollout["status"];
            let image = status["history"][0]["images"][0].as_str().unwrap_or_default();
            if !rollout.is_null()
                && status["observedGeneration"] == rollout["metadata"]["generation"]
                && status["phase"] == "Healthy"
                && status["history"][0]["outcome"] == "Promoted"
                && status["stableRevision"] == status["currentRevision"]
                && rollout["spec"]["template"]["spec"]["containers"][0]["image"] == image
            {
                let number = image.rsplit(':').next().and_then(|tag| tag.parse().ok());
                return Ok((rollout.clone(), number.expect("an image with a number")));
            }
            self.next(deadline).await?;
        }
    }

    fn rollout(&mut self) -> Value {
        self.seen.borrow_and_update().get(&self.namespace).cloned().unwrap_or_default()
    }

    /// Waits for the next look.
    async fn next(&mut self, deadline: Instant) -> Result<(), String> {
        match tokio::time::timeout_at(deadline, self.seen.changed()).await {
            Ok(changed) => changed.map_err(|_| "nobody looks any more".to_owned()),
            Err(_) => {
                let status = serde_json::to_string_pretty(&self.rollout()["status"]);
                let status = status.unwrap_or_default();
                Err(format!("{} is stuck for {STUCK:?}: {status}", self.namespace))
            }
        }
    }
}

/// The Rollouts of one namespace, or of all.
pub fn rollouts(client: &Client, namespace: Option<&str>) -> Api<DynamicObject> {
    let resource =
        ApiResource::from_gvk(&GroupVersionKind::gvk("sluice.dev", "v1alpha1", "Rollout"));
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}
