//! What is wrong with a Rollout, or with what it names, that the API server could not refuse.
//!
//! Out: sentences that name the field, what was found and what is allowed. While there is one, no
//! release goes forward; it is looked for again at each pass, so that a Rollout recovers without an
//! edit when the missing thing appears.

use std::collections::BTreeMap;

use super::{Draft, gate, runs, scale};
use crate::{
    analysis::template::{Library, Request, Subject, resolve},
    api::{Duration, REVISION_LABEL, Step},
    traffic::istio::{RouteTarget, Split, destination_rule, virtual_service},
    world::World,
};

const CANARY: &str = "spec.strategy.canary";
const ISTIO: &str = "spec.strategy.canary.traffic.istio";

/// One thing that is wrong, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(pub String);

/// Everything that is wrong, the spec's own faults first.
pub(super) fn problems(world: &World, draft: &Draft) -> Vec<Problem> {
    let mut found = Vec::new();
    spec(world, &mut found);
    found.extend(world.rival_claims.iter().cloned());
    services(world, &mut found);
    routes(world, &mut found);
    analyses(world, draft, &mut found);
    found.into_iter().map(Problem).collect()
}

fn spec(world: &World, found: &mut Vec<String>) {
    let spec = &world.rollout.spec;
    let labels = template_labels(world);
    for (key, value) in &spec.selector.match_labels {
        match labels.get(key) {
            Some(have) if have == value => {}
            Some(have) => found.push(format!(
                "spec.template.metadata.labels[{key}]: found `{have}`, but spec.selector.matchLabels \
                 wants `{value}`; the pods must carry the selector's labels"
            )),
            None => found.push(format!(
                "spec.template.metadata.labels: `{key}: {value}` of spec.selector.matchLabels is \
                 missing; the pods must carry the selector's labels"
            )),
        }
    }
    if spec.selector.match_labels.is_empty() {
        found.push("spec.selector.matchLabels is empty: allowed is at least one label".into());
    }
    if spec.selector.match_labels.contains_key(REVISION_LABEL) {
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
    let desired = world.desired();
    if scale::surge(world) < desired {
        let surge = spec.strategy.canary.max_surge.map(|surge| surge.to_string());
        found.push(format!(
            "{CANARY}.maxSurge: found {}, allowed is at least spec.replicas ({desired}) or 100%: the \
             canary grows to full size beside the stable revision",
            surge.unwrap_or_default()
        ));
    }
    steps(&spec.strategy.canary.steps, found);
}

/// The API server refuses these too; objects stored before the rule existed reach us all the same.
fn steps(steps: &[Step], found: &mut Vec<String>) {
    for (index, step) in steps.iter().enumerate() {
        let set = [
            step.set_weight.is_some(),
            step.pause.is_some(),
            step.set_canary_scale.is_some(),
            step.analysis.is_some(),
            step.job.is_some(),
        ];
        let count = set.iter().filter(|set| **set).count();
        if count != 1 {
            found.push(format!(
                "{CANARY}.steps[{index}]: found {count} actions, allowed is exactly one of \
                 setWeight, pause, setCanaryScale, analysis, job"
            ));
        }
        if let Some(weight) = step.set_weight.filter(|weight| !(0..=100).contains(weight)) {
            found.push(format!(
                "{CANARY}.steps[{index}].setWeight: found {weight}, allowed is 0 to 100"
            ));
        }
    }
}

fn template_labels(world: &World) -> BTreeMap<String, String> {
    let labels = world.rollout.spec.template.metadata.get("labels");
    let labels = labels.and_then(|labels| labels.as_object());
    labels
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

fn services(world: &World, found: &mut Vec<String>) {
    let canary = &world.rollout.spec.strategy.canary;
    let labels = template_labels(world);
    for (field, name) in
        [("stableService", &canary.stable_service), ("canaryService", &canary.canary_service)]
    {
        let Some(name) = name else { continue };
        let namespace = &world.rollout.namespace;
        let Some(service) = world.services.get(name) else {
            found.push(format!(
                "{CANARY}.{field}: Service {namespace}/{name} does not exist; create it with a \
                 selector that the pods match"
            ));
            continue;
        };
        if service.selector.is_empty() {
            found.push(format!(
                "{CANARY}.{field}: Service {namespace}/{name} has no selector; write one that the \
                 pods match, such as {}",
                selector_text(&world.rollout.spec.selector.match_labels)
            ));
        }
        for (key, value) in service.selector.iter().filter(|(key, _)| *key != REVISION_LABEL) {
            if labels.get(key) != Some(value) {
                let have = labels.get(key).map_or("no such label", String::as_str);
                found.push(format!(
                    "{CANARY}.{field}: Service {namespace}/{name} selects {key}={value}, but the \
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
    let istio = &world.rollout.spec.strategy.canary.traffic.istio;
    if !world.istio_served {
        found.push(
            "spec.strategy.canary.traffic.istio: this cluster serves no networking.istio.io; \
             install Istio's CustomResourceDefinitions"
                .into(),
        );
        return;
    }
    if istio.destination_rule.is_some() && !rule(world, found) {
        return;
    }
    let split = match gate::split(world) {
        Ok(split) => split,
        Err(error) => {
            found.push(format!("{ISTIO}.destinationRule: {error}"));
            return;
        }
    };
    for (index, (reference, route)) in istio.virtual_services.iter().zip(&world.routes).enumerate()
    {
        let namespace = reference.namespace.as_ref().unwrap_or(&world.rollout.namespace);
        let Some(route) = route else {
            found.push(format!(
                "{ISTIO}.virtualServices[{index}]: VirtualService {namespace}/{} does not exist",
                reference.name
            ));
            continue;
        };
        let target = RouteTarget { reference, split: &split, namespace: &world.rollout.namespace };
        if let Err(error) = virtual_service::weights(&route.object, target) {
            found.push(format!("{ISTIO}.virtualServices[{index}]: {error}"));
        }
    }
}

/// Whether the DestinationRule can be used.
fn rule(world: &World, found: &mut Vec<String>) -> bool {
    let istio = &world.rollout.spec.strategy.canary.traffic.istio;
    let Some(reference) = &istio.destination_rule else { return true };
    let namespace = &world.rollout.namespace;
    let before = found.len();
    let Some(rule) = &world.destination_rule else {
        found.push(format!(
            "{ISTIO}.destinationRule: DestinationRule {namespace}/{} does not exist",
            reference.name
        ));
        return false;
    };
    let labels = template_labels(world);
    for (field, subset) in
        [("stableSubset", &reference.stable_subset), ("canarySubset", &reference.canary_subset)]
    {
        if let Err(error) =
            destination_rule::with_subset_revision(&rule.object, subset, "x", &labels)
        {
            found.push(format!("{ISTIO}.destinationRule.{field}: {error}"));
        }
    }
    match gate::split(world) {
        Ok(Split::Subsets { host, .. }) => match gate::host_service(&host, namespace) {
            Some(name) if world.services.contains_key(&name) => {}
            _ => found.push(format!(
                "{ISTIO}.destinationRule: DestinationRule {namespace}/{} has host `{host}`, which is \
                 no Service of namespace {namespace}",
                reference.name
            )),
        },
        Ok(Split::Hosts { .. }) => {}
        Err(error) => found.push(format!("{ISTIO}.destinationRule: {error}")),
    }
    found.len() == before
}

/// Every analysis is resolved before the first step: a release must not stop half-way because a
/// template is missing. An aborted one measures nothing any more.
fn analyses(world: &World, draft: &Draft, found: &mut Vec<String>) {
    if !draft.in_release() || draft.stable.is_none() || draft.status.abort.is_some() {
        return;
    }
    let canary = &world.rollout.spec.strategy.canary;
    let mut check = |field: String, request: &Request| {
        let library =
            Library { templates: &world.templates, cluster_templates: &world.cluster_templates };
        let subject = Subject {
            rollout: &world.rollout.object,
            stable: draft.stable.as_deref(),
            latest: &draft.target,
        };
        if let Err(error) = resolve(request, &library, &subject) {
            found.push(format!("{field}: {error}"));
        }
    };
    if let Some(analysis) = &canary.analysis {
        let request = Request {
            templates: &analysis.templates,
            metrics: &analysis.metrics,
            args: &analysis.args,
        };
        check(format!("{CANARY}.analysis"), &request);
    }
    for (index, step) in canary.steps.iter().enumerate() {
        if let Some(analysis) = &step.analysis {
            check(format!("{CANARY}.steps[{index}].analysis"), &runs::request_of(analysis));
        }
        if let Some(job) = &step.job {
            let metrics = [runs::job_metric(job)];
            check(format!("{CANARY}.steps[{index}].job"), &runs::request_of_job(&metrics));
        }
    }
}
