//! Watches: one task a kind, each feeding the caches and the queue.

use std::{collections::BTreeSet, fmt::Debug, sync::Arc, time::Duration};

use futures::{Stream, StreamExt, stream};
use k8s_openapi::api::{
    apps::v1::ReplicaSet,
    batch::v1::Job,
    core::v1::{Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Client, Resource,
    api::{ApiResource, DynamicObject},
    core::GroupVersionKind,
    runtime::watcher,
};
use serde::de::DeserializeOwned;
use tokio::{sync::mpsc::UnboundedSender, task::JoinSet};

use super::Context;
use crate::{
    api::{GROUP, REVISION_LABEL, RUN_LABEL},
    apply::rights,
    observe::{Kind, Touched, Watched},
    world::WorkloadKind,
};

/// The kinds without which nothing can be decided. Istio's may be absent from the cluster.
const REQUIRED: [Kind; 11] = [
    Kind::Rollout,
    Kind::ReplicaSet,
    Kind::Pod,
    Kind::JobPod,
    Kind::Service,
    Kind::EndpointSlice,
    Kind::AnalysisTemplate,
    Kind::ClusterAnalysisTemplate,
    Kind::AnalysisRun,
    Kind::Job,
    Kind::Autoscaler,
];

/// Pause before a watch that broke is taken up again for the first time.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The longest such pause: so long may a controller see nothing after the API server is back. The
/// default of kube grows to a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The pauses of one watch: each twice the last, until something is seen.
#[derive(Debug)]
struct Pauses {
    next: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { next: FIRST_PAUSE }
    }
}

impl Pauses {
    /// How long to wait after this event.
    fn after<T>(&mut self, event: &Result<T, watcher::Error>) -> Option<Duration> {
        let Err(error) = event else {
            *self = Self::default();
            return None;
        };
        // The API server is back, and has forgotten what we knew: only a new listing helps.
        if is_gone(error) {
            *self = Self::default();
        }
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST_PAUSE);
        Some(pause)
    }
}

fn is_gone(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::WatchError(status)
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code == 410,
        _ => false,
    }
}

/// The events of a watch that is taken up again whenever it breaks.
pub(super) fn events<K>(
    api: Api<K>,
    config: watcher::Config,
) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let events = watcher(api, config).boxed();
    stream::unfold(
        (events, Pauses::default(), None),
        |(mut events, mut pauses, pause)| async move {
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
            let event = events.next().await?;
            let pause = pauses.after(&event);
            Some((event, (events, pauses, pause)))
        },
    )
}

/// What a watch reports.
pub(super) enum Report {
    /// Somebody must look again.
    Touched(BTreeSet<Touched>),
    /// A first listing of the kind is complete.
    Listed(Kind),
}

/// Whether all kinds in `listed` that are needed are there.
pub(super) fn is_complete(listed: &BTreeSet<Kind>) -> bool {
    REQUIRED.iter().all(|kind| listed.contains(kind))
}

/// Starts all watches but Istio's.
pub(super) fn start(
    context: &Arc<Context>,
    tasks: &mut JoinSet<()>,
    out: &UnboundedSender<Report>,
) {
    let with_label = |label: &str| watcher::Config::default().labels(label);
    let all = watcher::Config::default;
    spawn::<ReplicaSet>(context, tasks, out, Kind::ReplicaSet, with_label(REVISION_LABEL));
    spawn::<Pod>(context, tasks, out, Kind::Pod, with_label(REVISION_LABEL));
    spawn::<Pod>(context, tasks, out, Kind::JobPod, with_label(RUN_LABEL));
    spawn::<Service>(context, tasks, out, Kind::Service, all());
    spawn::<EndpointSlice>(context, tasks, out, Kind::EndpointSlice, all());
    spawn::<Job>(context, tasks, out, Kind::Job, with_label(RUN_LABEL));
    for (kind, name, plural) in [
        (Kind::Rollout, "Rollout", "rollouts"),
        (Kind::AnalysisTemplate, "AnalysisTemplate", "analysistemplates"),
        (Kind::ClusterAnalysisTemplate, "ClusterAnalysisTemplate", "clusteranalysistemplates"),
        (Kind::AnalysisRun, "AnalysisRun", "analysisruns"),
    ] {
        let gvk = GroupVersionKind::gvk(GROUP, "v1alpha1", name);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        let cluster = kind == Kind::ClusterAnalysisTemplate;
        let api = dynamic(context, &resource, cluster);
        tasks.spawn(follow(api, all(), kind, context.clone(), out.clone()));
    }
    let gvk = GroupVersionKind::gvk("autoscaling", "v2", "HorizontalPodAutoscaler");
    let resource = ApiResource::from_gvk_with_plural(&gvk, "horizontalpodautoscalers");
    let api = dynamic(context, &resource, false);
    tasks.spawn(follow(api, all(), Kind::Autoscaler, context.clone(), out.clone()));
}

/// Watches Istio's kinds as soon as the cluster serves them, at whichever version it does.
pub(super) async fn istio(context: Arc<Context>, out: UnboundedSender<Report>) {
    let version = loop {
        if let Some(version) = context.find_istio().await {
            break version;
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
    };
    let mut tasks = JoinSet::new();
    for (kind, name, plural) in [
        (Kind::VirtualService, "VirtualService", "virtualservices"),
        (Kind::DestinationRule, "DestinationRule", "destinationrules"),
    ] {
        let gvk = GroupVersionKind::gvk("networking.istio.io", &version, name);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        let api = dynamic(&context, &resource, false);
        tasks.spawn(follow(api, watcher::Config::default(), kind, context.clone(), out.clone()));
    }
    tasks.join_next().await;
}

/// Watches a kind of workload as soon as a Rollout names one: a cluster without them pays nothing.
pub(super) async fn workloads(
    context: Arc<Context>,
    kind: WorkloadKind,
    out: UnboundedSender<Report>,
) {
    loop {
        let changed = context.rollouts_changed.notified();
        if context.caches.needs_workloads(kind) {
            break;
        }
        changed.await;
    }
    let (group, plural) = match kind {
        WorkloadKind::Deployment => ("apps", "deployments"),
        WorkloadKind::ReplicaSet => ("apps", "replicasets"),
        WorkloadKind::PodTemplate => ("", "podtemplates"),
    };
    let gvk = GroupVersionKind::gvk(group, "v1", kind.as_str());
    let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
    let api = dynamic(&context, &resource, false);
    follow(api, watcher::Config::default(), Kind::Workload(kind), context.clone(), out).await;
}

/// The newest version of Istio's networking group that the cluster serves both kinds at.
pub(super) async fn istio_version(client: &Client) -> Option<String> {
    for version in ["v1", "v1beta1", "v1alpha3"] {
        let group = format!("networking.istio.io/{version}");
        if let Ok(list) = client.list_api_group_resources(&group).await {
            let has = |kind: &str| list.resources.iter().any(|resource| resource.kind == kind);
            if has("VirtualService") && has("DestinationRule") {
                return Some(version.to_owned());
            }
        }
    }
    None
}

fn dynamic(context: &Context, resource: &ApiResource, cluster: bool) -> Api<DynamicObject> {
    match &context.settings.namespace {
        Some(namespace) if !cluster => {
            Api::namespaced_with(context.client.clone(), namespace, resource)
        }
        _ => Api::all_with(context.client.clone(), resource),
    }
}

fn spawn<K>(
    context: &Arc<Context>,
    tasks: &mut JoinSet<()>,
    out: &UnboundedSender<Report>,
    kind: Kind,
    config: watcher::Config,
) where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Watched
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + 'static,
{
    let api: Api<K> = match &context.settings.namespace {
        Some(namespace) => Api::namespaced(context.client.clone(), namespace),
        None => Api::all(context.client.clone()),
    };
    tasks.spawn(follow(api, config, kind, context.clone(), out.clone()));
}

/// Follows one kind for ever. A watch that breaks is taken up again, after a pause that grows.
async fn follow<K>(
    api: Api<K>,
    config: watcher::Config,
    kind: Kind,
    context: Arc<Context>,
    out: UnboundedSender<Report>,
) where
    K: Resource + Watched + Clone + Debug + DeserializeOwned + Send + 'static,
    K::DynamicType: Clone,
{
    let mut events = events(api, config).boxed();
    while let Some(event) = events.next().await {
        let now = context.clock.now();
        let touched = match event {
            Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                context.caches.put(object.observed(kind), now)
            }
            Ok(watcher::Event::Delete(object)) => context.caches.remove(&object.observed(kind)),
            Ok(watcher::Event::Init) => {
                context.caches.begin_listing(kind);
                continue;
            }
            Ok(watcher::Event::InitDone) => {
                let touched = context.caches.end_listing(kind);
                if out.send(Report::Listed(kind)).is_err() {
                    return;
                }
                touched
            }
            Err(error) => {
                context.metrics.watch_errors.inc();
                let error = rights::explained(&error);
                tracing::warn!(?kind, error, "the watch broke and is taken up again");
                continue;
            }
        };
        if kind == Kind::Rollout {
            context.rollouts_changed.notify_waiters();
        }
        if !touched.is_empty() && out.send(Report::Touched(touched)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(code: u16) -> Result<(), watcher::Error> {
        let status = kube::core::Status::failure("", "").with_code(code);
        Err(watcher::Error::WatchError(Box::new(status)))
    }

    #[test]
    fn after_a_long_outage_nothing_is_looked_at_more_than_five_seconds_late() {
        let mut pauses = Pauses::default();
        let millis: Vec<u128> =
            (0..7).filter_map(|_| pauses.after(&failed(500))).map(|one| one.as_millis()).collect();
        assert_eq!(millis, [200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(pauses.after(&Ok(())), None);
        assert_eq!(pauses.after(&failed(500)), Some(FIRST_PAUSE), "it was seen meanwhile");
    }

    #[test]
    fn an_api_server_that_is_back_but_has_forgotten_is_asked_at_once() {
        let mut pauses = Pauses::default();
        for _ in 0..7 {
            pauses.after(&failed(500));
        }
        assert_eq!(pauses.after(&failed(410)), Some(FIRST_PAUSE));
    }
}
