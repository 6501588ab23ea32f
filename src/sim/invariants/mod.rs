//! What always holds (DESIGN, section 3), checked on every change of a cluster, simulated or real.
//!
//! In: changes in the order in which the API server made them. Out: sentences about what was
//! broken. Each rule is checked at the controller's own writes: what pods or people do meanwhile is
//! not its fault, what it writes next is. Rules 2 and 3 speak of releases; before the first
//! deployment is complete there is no stable revision to protect.

mod colours;
pub mod conduct;
pub mod late;
mod routes;
mod sizes;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

use routes::{Destination, Rollout};

/// Kind and name.
pub type Key = (&'static str, String);

/// Objects of one namespace at one instant.
pub type State = BTreeMap<Key, Arc<Value>>;

/// One change of one object.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which object.
    pub key: Key,
    /// When, in the order of all changes.
    pub version: u64,
    /// The object after the change; none if it was deleted.
    pub object: Option<Arc<Value>>,
}

/// The label that tells revisions apart.
const REVISION: &str = "sluice.dev/revision";

/// The kinds that the rules speak of.
const KINDS: [&str; 9] = [
    "AnalysisRun",
    "Deployment",
    "Rollout",
    "ReplicaSet",
    "Pod",
    "Service",
    "EndpointSlice",
    "VirtualService",
    "DestinationRule",
];

/// Follows the changes of one namespace.
#[derive(Clone, Debug, Default)]
pub struct Checker {
    state: State,
}

impl Checker {
    /// The objects as they are.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Takes in a change without a judgement, unless a newer one of the same object is known.
    pub fn learn(&mut self, change: &Change) {
        let newer = self.state.get(&change.key).is_some_and(|present| {
            let version = present["metadata"]["resourceVersion"].as_str().unwrap_or_default();
            version.parse::<u64>().is_ok_and(|version| version > change.version)
        });
        if newer || !KINDS.contains(&change.key.0) {
            return;
        }
        match &change.object {
            Some(object) => self.state.insert(change.key.clone(), object.clone()),
            None => self.state.remove(&change.key),
        };
    }

    /// Takes in a change. Returns what it broke.
    pub fn check(&mut self, change: &Change) -> Vec<String> {
        if !KINDS.contains(&change.key.0) {
            return Vec::new();
        }
        let before = match &change.object {
            Some(object) => self.state.insert(change.key.clone(), object.clone()),
            None => self.state.remove(&change.key),
        };
        let (Some(before), Some(after)) = (&before, &change.object) else { return Vec::new() };
        let rollouts = self.state.iter().filter(|(key, _)| key.0 == "Rollout");
        let mut found = Vec::new();
        for rollout in rollouts.map(|(_, object)| Rollout::new(object)) {
            let mut sentences = Vec::new();
            let key = &change.key;
            let step = Step { state: &self.state, rollout: &rollout, before, after, key };
            match change.key.0 {
                "VirtualService" => step.route(&mut sentences),
                "DestinationRule" => step.rule(&mut sentences),
                "Service" => {
                    step.service(&mut sentences);
                    step.switch(&mut sentences);
                }
                "Rollout" => step.decided(&mut sentences),
                "ReplicaSet" => step.size(&mut sentences),
                _ => {}
            }
            let (kind, name) = key;
            let at = change.version;
            found
                .extend(sentences.into_iter().map(|text| format!("{kind} {name} at {at}: {text}")));
        }
        found
    }
}

/// Replays a namespace's changes. Returns what was broken, and when.
pub fn broken(changes: &[Change]) -> Vec<String> {
    let mut checker = Checker::default();
    changes.iter().flat_map(|change| checker.check(change)).collect()
}

/// The canary's weight in a VirtualService's first managed route.
pub fn canary_weight(rollout: &Value, route: &Value) -> Option<i64> {
    Rollout::new(rollout).weights(route).first().map(|(_, canary)| *canary)
}

/// The canary weights of a VirtualService's first managed route, in order and without repeats.
pub fn canary_weights(changes: &[Change], rollout: &Value, name: &str) -> Vec<i64> {
    let rollout = Rollout::new(rollout);
    let mut weights = Vec::new();
    for change in changes.iter().filter(|c| c.key.0 == "VirtualService" && c.key.1 == name) {
        let Some(object) = &change.object else { continue };
        let shown = rollout.weights(object).first().map(|(_, canary)| *canary);
        if let Some(shown) = shown.filter(|shown| weights.last() != Some(shown)) {
            weights.push(shown);
        }
    }
    weights
}

/// One change, and the state after it.
struct Step<'a> {
    state: &'a State,
    rollout: &'a Rollout<'a>,
    before: &'a Arc<Value>,
    after: &'a Value,
    key: &'a Key,
}

impl Step<'_> {
    /// Whether the controller made this change of a field.
    fn ours(&self, field: &[&str]) -> bool {
        let pointer = format!("/{}", field.join("/"));
        self.before.pointer(&pointer) != self.after.pointer(&pointer)
            && owner_is_sluice(self.after, field)
    }

    /// Rules 1, 2 and 4, at a change of weights.
    fn route(&self, found: &mut Vec<String>) {
        let rollout = self.rollout;
        if !rollout.names_route(&self.key.1) {
            return;
        }
        let ours = ["http", "tls", "tcp"].iter().any(|kind| self.ours(&["spec", kind]));
        if !ours {
            return;
        }
        // A VirtualService may be shared: what is another Rollout's is not looked at here.
        let bare = |route: &Value| {
            let rollouts = self.state.iter().filter(|(key, _)| key.0 == "Rollout");
            let rollouts = rollouts.map(|(_, object)| Rollout::new(object));
            let sharing = rollouts.filter(|rollout| rollout.names_route(&self.key.1));
            sharing.fold(route.clone(), |route, rollout| rollout.without_weights(&route))
        };
        if bare(self.before) != bare(self.after) {
            found.push("more than weights was changed".into());
        }
        self.added(found);
        let before = rollout.weights(self.before);
        for (index, (stable, canary)) in rollout.weights(self.after).into_iter().enumerate() {
            let total = rollout.total();
            if stable + canary != total {
                found.push(format!("weights {stable} and {canary} do not sum to {total}"));
            }
            let (had_stable, had_canary) = before.get(index).copied().unwrap_or((0, 0));
            if rollout.aborted() && canary > had_canary {
                found.push(format!("the canary's weight rose to {canary} in an abort"));
            }
            if rollout.stable_revision().is_none() {
                continue;
            }
            if canary > 0 {
                self.serves(&rollout.canary(self.state), canary, canary > had_canary, found);
            }
            // What takes weight off a broken stable revision is no fault. Going back to the old
            // revision waits for nothing; going over to the new one does.
            // From nobody to nobody takes nothing from anybody, and where no pod of stable is ready an
            // overtaken canary makes way for its successor.
            let from = rollout.canary(self.state);
            let makes_way = from.revision(self.state).as_deref() != rollout.current_revision()
                && self.is_dead(rollout.stable_revision())
                && !self.is_dead(rollout.current_revision());
            if stable > had_stable && !from.ready(self.state).is_empty() && !makes_way {
                let to = rollout.stable(self.state);
                let over = to.revision(self.state).as_deref() == rollout.current_revision();
                self.serves(&to, stable, over, found);
                self.carries(&to, &from, (stable, canary), found);
            }
        }
    }

    /// Whether a revision has no ready pod.
    fn is_dead(&self, revision: Option<&str>) -> bool {
        let labels = revision.map(|revision| (REVISION.to_owned(), revision.to_owned()));
        revision.is_none() || ready_pods(self.state, &labels.into_iter().collect()).is_empty()
    }

    /// Rules 1, 2 and 4 for routes that Sluice added for some requests.
    fn added(&self, found: &mut Vec<String>) {
        let rollout = self.rollout;
        found.extend(rollout.wrong_added(self.after));
        let added = rollout.added(self.after);
        let before = rollout.added(self.before);
        for one in &added {
            let known = before.iter().any(|before| before["name"] == one["name"]);
            if rollout.aborted() && !known {
                found.push(format!("managed route {} was added in an abort", one["name"]));
            }
        }
        if !added.is_empty() && rollout.replicas() > 0 {
            let pods = rollout.canary(self.state).serving(self.state);
            if pods.is_empty() {
                found.push("a managed route leads to the canary, which has no serving pod".into());
            }
        }
    }

    /// Rule 2: a destination with weight reaches ready, published pods: enough of them where the
    /// weight rises, and never none.
    fn serves(&self, to: &Destination, weight: i64, strict: bool, found: &mut Vec<String>) {
        let desired = self.rollout.replicas();
        if desired == 0 {
            return;
        }
        let of = |weight| share(desired, weight, self.rollout.total());
        let need = if strict && !self.rollout.sets_scale() { of(weight) } else { 1 };
        let pods = to.serving(self.state);
        if i64::try_from(pods.len()).unwrap_or(i64::MAX) < need {
            found.push(format!(
                "{} has weight {weight} and {} of {need} serving pods {pods:?}",
                to.name,
                pods.len()
            ));
        }
    }

    /// Rule 3 where stable may shrink: of an overtaken canary no more weight comes back than the pods of
    /// stable can carry, unless those of the canary cannot carry it either.
    fn carries(
        &self,
        to: &Destination,
        from: &Destination,
        (stable, canary): (i64, i64),
        found: &mut Vec<String>,
    ) {
        let (desired, total) = (self.rollout.replicas(), self.rollout.total());
        let pods = |end: &Destination| i64::try_from(end.serving(self.state).len()).unwrap_or(0);
        let carried = |end: &Destination| (pods(end) * total / desired.max(1)).min(total);
        let overtaken =
            from.revision(self.state).as_deref() != self.rollout.current_revision() && pods(to) > 0;
        if self.rollout.may_shrink() && overtaken && stable > carried(to) && canary < carried(from)
        {
            let pods = pods(to);
            found
                .push(format!("stable gets weight {stable} back and has {pods} of {desired} pods"));
        }
    }

    /// Rule 1 for a DestinationRule: only the labels of the two subsets change.
    fn rule(&self, found: &mut Vec<String>) {
        if !self.rollout.names_rule(&self.key.1) || !self.ours(&["spec", "subsets"]) {
            return;
        }
        if self.rollout.without_labels(self.before) != self.rollout.without_labels(self.after) {
            found.push("more than the labels of the two subsets was changed".into());
        }
        self.pointers(&|_| true, found);
    }

    /// Rule 2, when a Service selects another revision.
    fn service(&self, found: &mut Vec<String>) {
        if !self.rollout.names_service(&self.key.1) || !self.ours(&["spec", "selector"]) {
            return;
        }
        let others = |service: &Value| {
            let mut service = service["spec"].clone();
            let selector = service.get_mut("selector").and_then(Value::as_object_mut);
            selector.map(|labels| labels.remove(REVISION));
            service
        };
        if others(self.before) != others(self.after) {
            found.push("more than the revision in the selector was changed".into());
        }
        self.pointers(&|to| to.is_of(&self.key.1), found);
    }

    /// Destinations that were moved reach serving pods if they have weight and did so before, and in
    /// any case ready ones: users may have routes of their own to them.
    fn pointers(&self, moved: &dyn Fn(&Destination) -> bool, found: &mut Vec<String>) {
        let rollout = self.rollout;
        if rollout.stable_revision().is_none() || rollout.replicas() == 0 {
            return;
        }
        let (stable, canary) = (rollout.stable(self.state), rollout.canary(self.state));
        // The way back to stable is one write: until the endpoints follow, the pods selected before
        // still serve, and what it selects now is ready.
        let back = stable.revision(self.state).as_deref() == rollout.stable_revision()
            && !stable.ready(self.state).is_empty();
        let past = self.past();
        let [had_stable, had_canary] =
            [rollout.stable(&past), rollout.canary(&past)].map(|to| !to.serving(&past).is_empty());
        for (weight_stable, weight_canary) in rollout.all_weights(self.state) {
            for (to, weight, had) in [
                (&stable, weight_stable, had_stable && !back),
                (&canary, weight_canary, had_canary),
            ] {
                if weight > 0 && had && moved(to) {
                    self.serves(to, weight, false, found);
                }
            }
        }
        let added = !rollout.all_added(self.state).is_empty();
        if added && had_canary && moved(&canary) && canary.serving(self.state).is_empty() {
            found.push("a managed route leads to the canary, which has no serving pod".into());
        }
        let before = [rollout.stable(&past), rollout.canary(&past)];
        for (to, was) in [stable, canary].iter().zip(before).filter(|(to, _)| moved(to)) {
            // From nobody to nobody takes nothing from anybody.
            if to.ready(self.state).is_empty() && !was.ready(&past).is_empty() {
                found.push(format!("{} selects no ready pod", to.name));
            }
        }
    }

    /// The state before the change.
    fn past(&self) -> State {
        let mut past = self.state.clone();
        past.insert(self.key.clone(), self.before.clone());
        past
    }

    /// Rules 2, 3 and 5, when a revision's size changes.
    fn size(&self, found: &mut Vec<String>) {
        let owner = self.after.pointer("/metadata/ownerReferences/0/name");
        if owner.and_then(Value::as_str) != Some(self.rollout.name())
            || !self.ours(&["spec", "replicas"])
        {
            return;
        }
        let desired = self.rollout.replicas();
        let size = self.after["spec"]["replicas"].as_i64().unwrap_or(0);
        let had = self.before["spec"]["replicas"].as_i64().unwrap_or(0);
        let revision = self.after["metadata"]["labels"][REVISION].as_str().unwrap_or_default();
        if self.rollout.is_blue_green() && size > had {
            return self.colour_grows(size, found);
        }
        if size > had {
            self.grows(found);
            return;
        }
        self.shrinks(had, size, found);
        let fewest = self.fewest_of_stable();
        if self.rollout.stable_revision() == Some(revision) && size < fewest {
            found.push(format!("stable falls to {size} of {fewest} pods"));
        }
        if self.rollout.stable_revision().is_none() || desired == 0 {
            return;
        }
        self.colour_shrinks(revision, size, found);
        let ends = [self.rollout.stable(self.state), self.rollout.canary(self.state)];
        let is_canary = ends[1].revision(self.state).as_deref() == Some(revision);
        if is_canary && size == 0 && !self.rollout.all_added(self.state).is_empty() {
            found.push(format!(
                "a managed route leads to revision {revision}, and it falls to 0 pods"
            ));
        }
        for (weight_stable, weight_canary) in self.rollout.all_weights(self.state) {
            for (to, weight) in ends.iter().zip([weight_stable, weight_canary]) {
                let reaches = to.revision(self.state).as_deref() == Some(revision);
                let share = share(desired, weight, self.rollout.total());
                let need = if self.rollout.sets_scale() { 1 } else { share.max(1) };
                // Nobody misses what was overtaken before a pod of it was ready.
                let overtaken = self.rollout.current_revision() != Some(revision);
                let missed = weight > 0 || !overtaken || !self.is_dead(Some(revision));
                if reaches && size < need && missed {
                    found.push(format!(
                        "{} reaches revision {revision} with weight {weight}, and it falls to {size} pods",
                        to.name
                    ));
                }
            }
        }
    }
}

/// `part` of a `total` of `pods`, rounded up.
fn share(pods: i64, part: i64, total: i64) -> i64 {
    (pods * part + total - 1) / total
}

/// Whether the controller is the last writer of a field, as `managedFields` say.
fn owner_is_sluice(object: &Value, field: &[&str]) -> bool {
    let pointer = format!("/f:{}", field.join("/f:"));
    let entries = object["metadata"]["managedFields"].as_array();
    entries.into_iter().flatten().any(|entry| {
        entry["manager"] == "sluice"
            && entry["subresource"].is_null()
            && entry.pointer(&format!("/fieldsV1{pointer}")).is_some()
    })
}

/// Names of pods that are ready, with these labels.
fn ready_pods(state: &State, labels: &BTreeMap<String, String>) -> BTreeSet<String> {
    let pods = state.iter().filter(|(key, _)| key.0 == "Pod");
    let ready = pods.filter(|(_, pod)| {
        let conditions = pod["status"]["conditions"].as_array();
        let ready = conditions
            .into_iter()
            .flatten()
            .any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
        let matches = labels.iter().all(|(key, value)| pod["metadata"]["labels"][key] == *value);
        ready && matches && pod["metadata"]["deletionTimestamp"].is_null()
    });
    ready.map(|(key, _)| key.1.clone()).collect()
}
