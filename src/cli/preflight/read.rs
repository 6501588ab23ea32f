//! Reads what a preflight looks at, at once.

use std::sync::Arc;

use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::{
    Flags, ask, rights,
    snapshot::{Answer, Answered, Snapshot},
};
use crate::{
    analysis::template::{Library, Request, Subject, resolve},
    api::{Metric, Provider, Rollout, ScaleDown},
    cli::{
        adopt::scene::{list, value},
        exit::Failure,
        manifests::{self, Choice, requests},
        session::{Session, typed},
        state,
    },
    observe::{Caches, Kind, Object},
    plan,
    sim::api::{Resource, resource},
    world::{Program, WorkloadKind, World},
};

/// The revision of a Rollout that has none yet.
const NO_REVISION: &str = "none";

/// Reads.
pub async fn read(session: &Session<'_>, flags: &Flags) -> Result<Snapshot, Failure> {
    let mut reader = Reader { session, objects: Vec::new(), unread: Vec::new() };
    let (rollout, from_files) = reader.rollout(flags).await?;
    let is_there = from_files.is_empty();
    reader.objects.extend(from_files);
    reader.around(&rollout).await;
    let world = world(&reader.objects, &rollout, session)?;
    let program = Program::new(&rollout.spec);
    let mut problems: Vec<String> =
        plan::problems(&world).into_iter().map(|problem| problem.0).collect();
    let of_kind = |kinds: &[&str]| -> Vec<Value> {
        let objects = reader.objects.iter();
        let of = objects.filter(|object| kinds.iter().any(|kind| object["kind"] == *kind));
        of.cloned().collect()
    };
    let mut seen = Snapshot {
        name: world.rollout.name.clone(),
        is_there,
        observed: state::observed(&rollout),
        desired: world.desired(),
        workload: rollout.spec.workload_ref.as_ref().map(|reference| {
            let keeps = reference.scale_down == ScaleDown::Never;
            (reference.kind.clone(), reference.name.clone(), keeps)
        }),
        template: json!({"metadata": world.template.metadata, "spec": world.template.spec}),
        problems: Vec::new(),
        autoscalers: of_kind(&["HorizontalPodAutoscaler", "VerticalPodAutoscaler"]),
        budgets: of_kind(&["PodDisruptionBudget"]),
        quotas: of_kind(&["ResourceQuota"]),
        queries: Vec::new(),
        jobs: Vec::new(),
        controller: Ok(Vec::new()),
        account: format!(
            "{}/{}",
            flags.controller_service_account.0, flags.controller_service_account.1
        ),
        caller: rights::caller(session, &world.rollout.name).await,
        unread: Vec::new(),
        program: Arc::new(program),
    };
    analyses(session, flags, &rollout, &world, &mut seen, &mut problems).await;
    let needed = rights::needed(
        seen.program.istio().is_some(),
        seen.workload.is_some(),
        !seen.jobs.is_empty(),
    );
    seen.controller = rights::controller(session, &flags.controller_service_account, &needed).await;
    seen.unread = reader.unread;
    problems.dedup();
    seen.problems = problems;
    Ok(seen)
}

/// What the controller would see.
fn world(objects: &[Value], rollout: &Rollout, session: &Session<'_>) -> Result<World, Failure> {
    let caches = Caches::default();
    let now = (session.clock)();
    caches.set_istio_served(true);
    for kind in [WorkloadKind::Deployment, WorkloadKind::ReplicaSet, WorkloadKind::PodTemplate] {
        caches.begin_listing(Kind::Workload(kind));
    }
    for object in objects {
        if let Some(seen) = observed(object) {
            caches.put(seen, now);
        }
    }
    for kind in [WorkloadKind::Deployment, WorkloadKind::ReplicaSet, WorkloadKind::PodTemplate] {
        caches.end_listing(Kind::Workload(kind));
    }
    let name = rollout.metadata.name.clone().unwrap_or_default();
    let namespace = rollout.metadata.namespace.clone();
    let key = (namespace.unwrap_or_else(|| session.namespace.clone()), name.clone());
    let world = caches.world(&key, now);
    let world = world.unwrap_or_else(|| Err("it cannot be read".to_owned()));
    world.map_err(|error| Failure::plain(format!("{name}: {error}")))
}

fn observed(object: &Value) -> Option<Object> {
    let dynamic = |kind: Kind| {
        let object: DynamicObject = serde_json::from_value(object.clone()).ok()?;
        Some(Object::Dynamic(kind, Box::new(object)))
    };
    match object["kind"].as_str()? {
        "Rollout" => dynamic(Kind::Rollout),
        "Deployment" => dynamic(Kind::Workload(WorkloadKind::Deployment)),
        "ReplicaSet" => dynamic(Kind::Workload(WorkloadKind::ReplicaSet)),
        "PodTemplate" => dynamic(Kind::Workload(WorkloadKind::PodTemplate)),
        "VirtualService" => dynamic(Kind::VirtualService),
        "DestinationRule" => dynamic(Kind::DestinationRule),
        "AnalysisTemplate" => dynamic(Kind::AnalysisTemplate),
        "ClusterAnalysisTemplate" => dynamic(Kind::ClusterAnalysisTemplate),
        "Service" => {
            let service = serde_json::from_value(object.clone()).ok()?;
            Some(Object::Service(Box::new(service)))
        }
        _ => None,
    }
}

/// Resolves each analysis, asks its queries and tries its Jobs.
async fn analyses(
    session: &Session<'_>,
    flags: &Flags,
    rollout: &Rollout,
    world: &World,
    seen: &mut Snapshot,
    problems: &mut Vec<String>,
) {
    let library =
        Library { templates: &world.templates, cluster_templates: &world.cluster_templates };
    let stable = rollout.status.as_ref().and_then(|status| status.stable_revision.as_deref());
    // Between releases only the stable revision has data.
    let revision = stable.unwrap_or(NO_REVISION);
    let subject =
        Subject { rollout: &world.rollout.object, stable: Some(revision), latest: revision };
    let program = seen.program.clone();
    let jobs: Vec<(String, [Metric; 1])> = program
        .steps
        .iter()
        .filter_map(|step| {
            let job = step.step.job.clone()?;
            let provider = Provider { job: Some(job), ..Provider::default() };
            let metric = Metric { name: "job".into(), provider, ..Metric::default() };
            Some((format!("{}.job", step.field), [metric]))
        })
        .collect();
    let of_jobs = jobs
        .iter()
        .map(|(place, metrics)| (place.clone(), Request { templates: &[], metrics, args: &[] }));
    for (place, request) in requests(&program).into_iter().chain(of_jobs) {
        match resolve(&request, &library, &subject) {
            Err(error) => problems.push(format!("{place}.{error}")),
            Ok(run) => {
                let url = flags.prometheus_url.as_deref();
                let now = (session.clock)();
                let answers = match stable {
                    Some(_) => ask::queries(&place, &run, url, now).await,
                    None => not_asked(&place, &run.metrics),
                };
                seen.queries.extend(answers);
                seen.jobs.extend(ask::jobs(session, &place, &run).await);
            }
        }
    }
}

fn not_asked(place: &str, metrics: &[Metric]) -> Vec<Answered> {
    let asked = metrics.iter().filter(|metric| metric.provider.prometheus.is_some());
    let why = "no revision runs under the Rollout yet, so that there is none to ask for";
    asked
        .map(|metric| Answered {
            place: format!("{place}, metric {}", metric.name),
            answer: Answer::NotAsked(why.to_owned()),
        })
        .collect()
}

struct Reader<'a, 'b> {
    session: &'a Session<'b>,
    objects: Vec<Value>,
    unread: Vec<String>,
}

impl Reader<'_, '_> {
    /// The Rollout, and the objects of the files if it comes from there.
    async fn rollout(&mut self, flags: &Flags) -> Result<(Rollout, Vec<Value>), Failure> {
        if flags.filename.is_empty() {
            let name = flags.name.as_deref().unwrap_or_default();
            let object = self.session.fetch_raw(name).await?;
            self.objects.push(value(&resource::ROLLOUT, &object)?);
            return Ok((typed(object)?, Vec::new()));
        }
        let failure = |errors: Vec<String>| Failure::plain(errors.join("\nerror: "));
        let sources = manifests::sources(&flags.filename).map_err(Failure::plain)?;
        let namespace = Some(self.session.namespace.clone());
        let choice = Choice { rollout: flags.name.clone(), namespace };
        let objects = manifests::objects(&sources, &choice).map_err(failure)?;
        let faults = manifests::faults("the files", &objects);
        if !faults.is_empty() {
            return Err(failure(faults));
        }
        let is = |object: &&Value| {
            object["kind"] == "Rollout"
                && flags.name.as_deref().is_none_or(|name| object["metadata"]["name"] == name)
        };
        let found: Vec<&Value> = objects.iter().filter(is).collect();
        let [object] = found.as_slice() else {
            let text = format!("-f: found {} Rollouts, allowed is one: name it", found.len());
            return Err(Failure::plain(text));
        };
        let rollout = serde_json::from_value((*object).clone())
            .map_err(|error| Failure::plain(format!("-f: cannot read the Rollout: {error}")))?;
        Ok((rollout, objects))
    }

    /// What it names, and what else is in its namespace.
    async fn around(&mut self, rollout: &Rollout) {
        let namespace = self.session.namespace.clone();
        let mut kinds: Vec<(&Resource, String, bool)> = [
            (&resource::ROLLOUT, false),
            (&resource::SERVICE, false),
            (&resource::ANALYSIS_TEMPLATE, false),
            (&resource::CLUSTER_ANALYSIS_TEMPLATE, false),
            (&resource::AUTOSCALER, false),
            (&resource::VERTICAL_AUTOSCALER, true),
            (&resource::DISRUPTION_BUDGET, false),
            (&resource::RESOURCE_QUOTA, false),
            (&resource::DESTINATION_RULE, true),
            (&resource::VIRTUAL_SERVICE, true),
        ]
        .map(|(kind, may_lack)| (kind, namespace.clone(), may_lack))
        .into();
        let workload = rollout.spec.workload_ref.as_ref();
        let workload =
            workload.and_then(|found| resource::of_kind(&found.api_version, &found.kind));
        kinds.extend(workload.map(|kind| (kind, namespace.clone(), false)));
        let program = Program::new(&rollout.spec);
        let elsewhere = program.istio().into_iter().flat_map(|istio| &istio.virtual_services);
        kinds.extend(elsewhere.filter_map(|route| {
            let owner = route.namespace.clone().filter(|owner| *owner != namespace)?;
            Some((&resource::VIRTUAL_SERVICE, owner, true))
        }));
        let session = self.session;
        let lists = kinds.iter().map(|(kind, owner, lack)| list(session, kind, owner, *lack));
        for found in futures::future::join_all(lists).await {
            match found {
                Ok(list) => self.add(list),
                Err(failure) => self.unread.push(failure.text),
            }
        }
    }

    /// Adds what is not there yet: what comes from files wins.
    fn add(&mut self, list: Vec<Value>) {
        let same = |a: &Value, b: &Value| {
            ["/kind", "/metadata/name", "/metadata/namespace"]
                .iter()
                .all(|at| a.pointer(at) == b.pointer(at))
        };
        for object in list {
            if !self.objects.iter().any(|other| same(other, &object)) {
                self.objects.push(object);
            }
        }
    }
}
