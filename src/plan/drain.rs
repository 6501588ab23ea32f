//! Whether the pods of a revision that lost its place may go: the routes say that no request reaches
//! it, and the metrics must not say otherwise.
//!
//! A route that is written is not yet followed: while istiod is down, proxies go on as before, and
//! need the old pods. Where there is a Prometheus with Istio's metrics, requests are evidence; where
//! there is none, or it does not know, time decides. Nothing here waits without an end, and nothing
//! but these pods waits at all.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Draft, Held, gate::Traffic, messages, scale};
use crate::{
    api::{CANONICAL_REVISION_LABEL, Duration},
    world::{
        ReplicaSet, World,
        drain::{Drain, Evidence, Flow},
    },
};

/// How long scrapes are waited for: they come every 15 to 60 seconds, and two may be needed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Time from one look at the metrics to the next.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// What to ask of the metrics about one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The revision.
    pub revision: String,
    /// From when on no request should have come.
    pub since: Timestamp,
    /// The query: a range of raw samples.
    pub query: String,
}

/// Whether the pods of `set` may go, which no route has reached since `since`. Returns why. If not
/// yet, the draft says what to ask and when to look again.
pub(super) fn may_go(
    world: &World,
    draft: &mut Draft,
    traffic: &Traffic,
    set: &ReplicaSet,
    since: Timestamp,
) -> Option<String> {
    let drained = Some(messages::drained(&set.revision));
    // A label of the user's own does not tell one revision from the next.
    let told_apart = set.pod_labels.get(CANONICAL_REVISION_LABEL) == Some(&set.revision);
    let Some(drains) = world.drains.as_ref().filter(|_| told_apart) else { return drained };
    let Some(known) = drains.get(&set.revision) else {
        ask(world, draft, traffic, set, since);
        return None;
    };
    // An answer about an earlier time proves nothing of this one.
    let evidence = known.evidence.as_ref().filter(|_| known.since == since);
    let over = |from: Timestamp, time: Duration| time.after(from) <= world.now;
    // With each route that is written anew, a proxy that was seen to lag must be looked at anew.
    let from = known.flowed.map_or(known.begun, |flowed| flowed.max(since));
    let impatient = over(from, PATIENCE);
    // A release that waits for the room of these pods waits for proof, not for a scrape.
    let crowded = draft.in_release() && scale::is_crowded(world, &draft.target, world.desired());
    match (evidence, known.flowed) {
        (Some(Evidence::Quiet | Evidence::NoAnswer), _) | (Some(Evidence::NoSeries), None) => {
            return drained;
        }
        (Some(Evidence::Unknown), None) if impatient || crowded => return drained,
        (Some(Evidence::NoSeries | Evidence::Unknown) | None, _) if impatient => return drained,
        _ => {}
    }
    let deadline = world.rollout.spec.progress_deadline;
    if known.flowed.is_some() && over(known.begun, deadline) {
        draft.note(messages::drain_overdue(&set.revision, flow(known), deadline));
        return Some(messages::still_reached(&set.revision, deadline));
    }
    hold(world, draft, set);
    if known.since != since || over(known.at, LOOK_AGAIN) {
        ask(world, draft, traffic, set, since);
    } else {
        draft.check_at(LOOK_AGAIN.after(known.at));
    }
    None
}

/// Says that the pods of `set` stay, once requests have been seen.
pub(super) fn hold(world: &World, draft: &mut Draft, set: &ReplicaSet) {
    let revision = &set.revision;
    let known = world.drains.as_ref().and_then(|drains| drains.get(revision));
    let Some(known) = known.filter(|known| known.flowed.is_some()) else { return };
    let until = world.rollout.spec.progress_deadline.after(known.begun);
    draft.held.push(Held {
        text: messages::held(revision, known.since, until),
        mark: messages::held_mark(revision),
        note: messages::drain_held(revision, flow(known), known.since, until),
    });
}

/// The requests that were seen last, if the last answer tells of some.
fn flow(known: &Drain) -> Option<&Flow> {
    match &known.evidence {
        Some(Evidence::Flowing(flow)) => Some(flow),
        _ => None,
    }
}

fn ask(world: &World, draft: &mut Draft, traffic: &Traffic, set: &ReplicaSet, since: Timestamp) {
    let namespace = &world.rollout.namespace;
    let services = traffic.service_names(namespace);
    let query = query(namespace, &set.revision, &services);
    draft.questions.push(Question { revision: set.revision.clone(), since, query });
    // Should no answer come at all.
    draft.check_at(LOOK_AGAIN.after(world.now));
}

/// The requests that proxies send to a revision by way of our Services. What no proxy sends follows no
/// route: Prometheus' own scrapes, health checks of a load balancer. What comes by another Service
/// that selects all pods may come as long as there are pods.
fn query(namespace: &str, revision: &str, services: &BTreeSet<String>) -> String {
    let services: Vec<&str> = services.iter().map(String::as_str).collect();
    let services = match services.as_slice() {
        [] => String::new(),
        names => format!(",destination_service_name=~\"{}\"", names.join("|")),
    };
    format!(
        "istio_requests_total{{destination_workload_namespace=\"{namespace}\",\
         destination_canonical_revision=\"{revision}\"{services},source_workload!=\"unknown\"}}[3m]"
    )
}
