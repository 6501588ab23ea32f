//! What is wrong with a Rollout, or with what it names, that the API server could not refuse.
//!
//! Out: sentences that name the field, what was found and what is allowed. While there is one, no
//! release goes forward; it is looked for again at each pass, so that a Rollout recovers without an
//! edit when the missing thing appears.

mod match_routes;
mod reach;

use std::collections::BTreeMap;

use super::{Draft, gate, messages, runs};
use crate::{
    analysis::{
        compare::rules::sharing,
        template::{Library, Request, Subject, resolve},
    },
    api::{Duration, IntOrPercent, REVISION_LABEL, Step, Strategy},
    traffic::istio::{Split, destination_rule, virtual_service},
    world::{Shift, StrategyKind, WorkloadKind, World},
};

const CANARY: &str = "spec.strategy.canary";

/// One thing that is wrong, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(pub String);

/// Everything that is wrong, the spec's own faults first.
pub(super) fn problems(world: &World, draft: &Draft) -> Vec<Problem> {
    let mut found = Vec::new();
    spec(world, &mut found);
    workload(world, &mut found);
    found.extend(world.rival_claims.iter().cloned());
    services(world, &mut found);
    routes(world, &mut found);
    analyses(world, draft, &mut found);
    found.into_iter().map(Problem).collect()
}

fn spec(world: &World, found: &mut Vec<String>) {
    let spec = &world.rollout.spec;
    let labels = template_labels(world);
    let template = if spec.workload_ref.is_some() { "spec.workloadRef" } else { "spec.template" };
    let selector =
        if spec.selector.is_some() { "spec.selector.matchLabels" } else { "its selector" };
    for (key, value) in &world.selector {
        match labels.get(key) {
            Some(have) if have == value => {}
            Some(have) => found.push(format!(
                "{template}.metadata.labels[{key}]: found `{have}`, but {selector} wants `{value}`; the pods must carry the selector's labels"
            )),
            None => found.push(format!(
                "{template}.metadata.labels: `{key}: {value}` of {selector} is missing; the pods must carry the selector's labels"
            )),
        }
    }
    if world.selector.is_empty() {
        found.push("spec.selector.matchLabels is empty: allowed is at least one label".into());
    }
    if world.selector.contains_key(REVISION_LABEL) {
        found.push(format!(
            "spec.selector.matchLabels[{REVISION_LABEL}]: this label belongs to Sluice; remove it"
        ));
    }
    let min_ready = Duration(world.min_ready());
    if spec.progress_deadline <= min_ready {
        found.push(format!(
            "spec.progressDeadline: found {}, allowed is more than spec.minReadySeconds ({min_ready}), \
             else no release can ever finish",
            spec.progress_deadline
        ));
    }
    let Strategy { rolling, blue_green, canary } = &spec.strategy;
    let count = [rolling.is_some(), blue_green.is_some(), canary.is_some()];
    let count = count.iter().filter(|set| **set).count();
    if count != 1 {
        found.push(format!(
            "spec.strategy: found {count} strategies, allowed is exactly one of rolling, blueGreen, \
             canary"
        ));
    }
    pods(world, found);
    role_labels(world, found);
    if let Some(canary) = canary {
        steps(&canary.steps, world.program.total(), found);
        match_routes::named(world, found);
    }
}

/// A ReplicaSet with a controller of its own is sized by that.
fn workload(world: &World, found: &mut Vec<String>) {
    let Some(workload) = world.workload.found() else { return };
    if let (WorkloadKind::ReplicaSet, Some(owner)) = (workload.kind, &workload.owner) {
        found.push(format!(
            "spec.workloadRef: ReplicaSet {}/{} belongs to {owner}, which decides its size; name {}",
            world.rollout.namespace,
            workload.name,
            if owner.starts_with("Deployment ") { "that" } else { "another workload" }
        ));
    }
}

/// What is wrong between releases, though the release itself could go on without it: nothing that
/// follows can be released.
pub(super) fn between_releases(world: &World, draft: &Draft) -> Option<Problem> {
    let missing = !world.has_template() && !draft.in_release();
    missing.then(|| Problem(messages::no_workload(world)))
}

/// Limits on the number of pods that leave no way forward.
fn pods(world: &World, found: &mut Vec<String>) {
    let program = &world.program;
    let desired = world.desired();
    let surge = program.max_surge.map(|surge| surge.rounded_up(desired));
    if program.shift == Shift::Routes && surge.is_some_and(|surge| surge < desired) {
        found.push(format!(
            "{}.maxSurge: found {}, allowed is at least spec.replicas ({desired}) or 100%: the canary \
             grows to full size beside the stable revision",
            program.field(),
            program.max_surge.map(|surge| surge.to_string()).unwrap_or_default()
        ));
    }
    let none =
        |limit: IntOrPercent| matches!(limit, IntOrPercent::Count(0) | IntOrPercent::Percent(0));
    if program.shift == Shift::Pods
        && program.max_surge.is_some_and(none)
        && none(program.max_unavailable)
    {
        found.push(format!(
            "{}: maxSurge and maxUnavailable are both 0, so that no pod could ever be replaced; \
             allowed is at least one of them above 0",
            program.field()
        ));
    }
}

/// A role cannot change the labels by which pods are selected.
fn role_labels(world: &World, found: &mut Vec<String>) {
    let program = &world.program;
    let [stable, canary] = match program.strategy {
        StrategyKind::BlueGreen => ["activeMetadata", "previewMetadata"],
        StrategyKind::Canary | StrategyKind::Rolling => ["stableMetadata", "canaryMetadata"],
    };
    for (field, metadata) in
        [(stable, &program.stable_metadata), (canary, &program.canary_metadata)]
    {
        for key in metadata.iter().flat_map(|metadata| metadata.labels.keys()) {
            if world.selector.contains_key(key) || key == REVISION_LABEL {
                found.push(format!(
                    "{}.{field}.labels[{key}]: the pods are selected by this label; allowed is any \
                     other",
                    program.field()
                ));
            }
        }
    }
}

/// The API server refuses these too; objects stored before the rule existed reach us all the same.
fn steps(steps: &[Step], total: i32, found: &mut Vec<String>) {
    for (index, step) in steps.iter().enumerate() {
        let set = [
            step.set_weight.is_some(),
            step.pause.is_some(),
            step.set_canary_scale.is_some(),
            step.set_header_route.is_some(),
            step.set_mirror_route.is_some(),
            step.analysis.is_some(),
            step.job.is_some(),
            step.ramp.is_some(),
            step.hold.is_some(),
        ];
        let count = set.iter().filter(|set| **set).count();
        if count != 1 {
            found.push(format!(
                "{CANARY}.steps[{index}]: found {count} actions, allowed is exactly one of \
                 setWeight, pause, setCanaryScale, setHeaderRoute, setMirrorRoute, analysis, job, ramp, \
                 hold"
            ));
        }
        let ramp = step.ramp.map(|ramp| ramp.to);
        let weights = [("setWeight", step.set_weight), ("ramp.to", ramp)];
        for (field, weight) in weights {
            if let Some(weight) = weight.filter(|weight| !(0..=total).contains(weight)) {
                found.push(format!(
                    "{CANARY}.steps[{index}].{field}: found {weight}, allowed is 0 to {total}"
                ));
            }
        }
    }
}

fn template_labels(world: &World) -> BTreeMap<String, String> {
    let labels = world.template.metadata.get("labels");
    let labels = labels.and_then(|labels| labels.as_object());
    labels
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

fn services(world: &World, found: &mut Vec<String>) {
    let program = &world.program;
    let strategy = program.field();
    let labels = template_labels(world);
    let names = [&program.stable_service, &program.canary_service];
    for (field, name) in program.service_fields().into_iter().zip(names) {
        let Some(name) = name else { continue };
        let namespace = &world.rollout.namespace;
        let Some(service) = world.services.get(name) else {
            found.push(format!(
                "{strategy}.{field}: Service {namespace}/{name} does not exist; create it with a \
                 selector that the pods match"
            ));
            continue;
        };
        if service.selector.is_empty() {
            found.push(format!(
                "{strategy}.{field}: Service {namespace}/{name} has no selector; write one that the \
                 pods match, such as {}",
                selector_text(&world.selector)
            ));
        }
        for (key, value) in service.selector.iter().filter(|(key, _)| *key != REVISION_LABEL) {
            if labels.get(key) != Some(value) {
                let have = labels.get(key).map_or("no such label", String::as_str);
                found.push(format!(
                    "{strategy}.{field}: Service {namespace}/{name} selects {key}={value}, but the \
                     pods have {have}; it would select none of them"
                ));
            }
        }
    }
}

fn selector_text(labels: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}: {value}")).collect();
    format!("{{{}}}", pairs.join(", "))
}

fn routes(world: &World, found: &mut Vec<String>) {
    let Some(istio) = world.program.istio() else { return };
    let field = field(world);
    if !world.istio_served {
        found.push(format!(
            "{field}: this cluster serves no networking.istio.io; install Istio's \
             CustomResourceDefinitions"
        ));
        return;
    }
    if istio.destination_rule.is_some() && !rule(world, found) {
        return;
    }
    let split = match gate::split(world) {
        Ok(split) => split,
        Err(error) => {
            found.push(format!("{field}.destinationRule: {error}"));
            return;
        }
    };
    for (index, (reference, route)) in istio.virtual_services.iter().zip(&world.routes).enumerate()
    {
        let namespace = reference.namespace.as_ref().unwrap_or(&world.rollout.namespace);
        let place = format!("{field}.virtualServices[{index}]");
        if let Some(refusal) = reach::refusal(world, &place, reference, route.as_ref()) {
            found.push(refusal);
            continue;
        }
        let Some(route) = route else {
            found.push(format!(
                "{place}: VirtualService {namespace}/{} does not exist",
                reference.name
            ));
            continue;
        };
        let target = gate::target(world, reference, &split);
        if let Err(error) = virtual_service::weights(&route.object, target) {
            found.push(format!("{place}: {error}"));
        }
    }
    match_routes::made(world, &split, found);
}

/// The field that names Istio's routes.
fn field(world: &World) -> String {
    format!("{}.traffic.istio", world.program.field())
}

/// Whether the DestinationRule can be used.
fn rule(world: &World, found: &mut Vec<String>) -> bool {
    let reference = world.program.istio().and_then(|istio| istio.destination_rule.as_ref());
    let Some(reference) = reference else { return true };
    let field = field(world);
    let namespace = &world.rollout.namespace;
    let before = found.len();
    let Some(rule) = &world.destination_rule else {
        found.push(format!(
            "{field}.destinationRule: DestinationRule {namespace}/{} does not exist",
            reference.name
        ));
        return false;
    };
    let labels = template_labels(world);
    for (name, subset) in
        [("stableSubset", &reference.stable_subset), ("canarySubset", &reference.canary_subset)]
    {
        if let Err(error) =
            destination_rule::with_subset_revision(&rule.object, subset, "x", &labels)
        {
            found.push(format!("{field}.destinationRule.{name}: {error}"));
        }
    }
    match gate::split(world) {
        Ok(Split::Subsets { host, .. }) => match gate::host_service(&host, namespace) {
            Some(name) if world.services.contains_key(&name) => {}
            _ => found.push(format!(
                "{field}.destinationRule: DestinationRule {namespace}/{} has host `{host}`, which is \
                 no Service of namespace {namespace}",
                reference.name
            )),
        },
        Ok(Split::Hosts { .. }) => {}
        Err(error) => found.push(format!("{field}.destinationRule: {error}")),
    }
    found.len() == before
}

/// Every analysis is resolved before the first step: a release must not stop half-way because a
/// template is missing. An aborted one measures nothing any more.
fn analyses(world: &World, draft: &Draft, found: &mut Vec<String>) {
    if !draft.in_release() || draft.stable.is_none() || draft.status.abort.is_some() {
        return;
    }
    let mut check = |field: String, request: &Request| {
        let library =
            Library { templates: &world.templates, cluster_templates: &world.cluster_templates };
        let subject = Subject {
            rollout: &world.rollout.object,
            stable: draft.stable.as_deref(),
            latest: &draft.target,
        };
        match resolve(request, &library, &subject) {
            Ok(run) => sharing(&run) > 0,
            Err(error) => {
                found.push(format!("{field}: {error}"));
                true
            }
        }
    };
    let mut compared = false;
    if let Some(analysis) = &world.program.analysis {
        let request = Request {
            templates: &analysis.templates,
            metrics: &analysis.metrics,
            args: &analysis.args,
        };
        compared = check(format!("{}.analysis", world.program.field()), &request);
    }
    let user_wrote = world.program.strategy == StrategyKind::Canary;
    for step in &world.program.steps {
        if let Some(analysis) = &step.step.analysis {
            let field = if user_wrote { ".analysis" } else { "" };
            check(format!("{}{field}", step.field), &runs::request_of(analysis));
        }
        if let Some(job) = &step.step.job {
            let metrics = [runs::job_metric(job)];
            check(format!("{}.job", step.field), &runs::request_of_job(&metrics));
        }
    }
    let starts = world.program.analysis.as_ref().map_or(0, |analysis| analysis.starting_step);
    for (index, step) in world.program.steps.iter().enumerate() {
        let late = usize::try_from(starts).is_ok_and(|starts| starts > index);
        if step.step.hold.is_some() && (!compared || late) {
            let beside = if late { "one that begins later" } else { "none" };
            found.push(format!(
                "{}.hold: found {beside} of the comparisons that it waits for, allowed is a metric \
                 with provider.prometheus.compare in {}.analysis, from this step on or earlier",
                step.field,
                world.program.field()
            ));
        }
    }
}
