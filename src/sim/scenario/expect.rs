//! What must be true: read from objects as the API server shows them, simulated or real.
//!
//! In: an [`Expectation`] and the objects. Out: nothing, or sentences that say what was found instead.

mod pods;

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    api::{COMMAND_ANNOTATION, REVISION_LABEL},
    sim::{
        api::{Resource, http::selector::Selector, resource},
        invariants,
        traffic::Totals,
    },
};

pub use pods::{fewest_ready, most_pods};

/// What must be true. What is not named may be anything.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expectation {
    /// Name of the Rollout; the scenario's first by default.
    #[serde(default)]
    pub rollout: Option<String>,
    /// `status.phase`.
    #[serde(default)]
    pub phase: Option<String>,
    /// A part of `status.message`.
    #[serde(default)]
    pub message: Option<String>,
    /// The step it is in, counted from 1; one more than there are steps when all are done.
    #[serde(default)]
    pub step: Option<i64>,
    /// `status.attempt`.
    #[serde(default)]
    pub attempt: Option<i64>,
    /// The canary's weight in the first managed route of the first VirtualService.
    #[serde(default)]
    pub weight: Option<i64>,
    /// All canary weights that this route has had since the beginning, without repeats.
    #[serde(default)]
    pub weights: Option<Vec<i64>>,
    /// Image of the stable revision.
    #[serde(default)]
    pub stable: Option<String>,
    /// Image of the newest revision.
    #[serde(default)]
    pub current: Option<String>,
    /// Pods wanted (`spec.replicas`) by the image of their revision.
    #[serde(default)]
    pub pods: BTreeMap<String, i64>,
    /// Ready pods by the image of their revision.
    #[serde(default)]
    pub ready: BTreeMap<String, i64>,
    /// Labels that all ready pods of an image carry; null for `not there`.
    #[serde(default)]
    pub pod_labels: BTreeMap<String, BTreeMap<String, Option<String>>>,
    /// At no moment since the last action were fewer pods ready that the Rollout selects, or the
    /// Deployment that it refers to. A pod that is being deleted is not.
    #[serde(default)]
    pub ready_at_least: Option<usize>,
    /// At no moment since the last action were there more such pods, ready or not.
    #[serde(default)]
    pub pods_at_most: Option<usize>,
    /// Images of the ReplicaSets that exist, with pods or without, in alphabetical order.
    #[serde(default)]
    pub sets: Option<Vec<String>>,
    /// Status of conditions by type; `absent` for none.
    #[serde(default)]
    pub conditions: BTreeMap<String, String>,
    /// `status.history[0].outcome`.
    #[serde(default)]
    pub outcome: Option<String>,
    /// A part of `status.history[0].reason`.
    #[serde(default)]
    pub reason: Option<String>,
    /// Why it is aborted: a part of `status.abort.reason`; empty for `not aborted`.
    #[serde(default)]
    pub aborted: Option<String>,
    /// Reasons of Events that exist.
    #[serde(default)]
    pub events: Vec<String>,
    /// Reasons of Events that do not exist.
    #[serde(default)]
    pub no_events: Vec<String>,
    /// Phases of AnalysisRuns, oldest first.
    #[serde(default)]
    pub runs: Option<Vec<String>>,
    /// Number of Jobs.
    #[serde(default)]
    pub jobs: Option<usize>,
    /// Image of the revision that a Service or a subset selects, by its name; `none` for no revision.
    #[serde(default)]
    pub selects: BTreeMap<String, String>,
    /// Whether a command waits.
    #[serde(default)]
    pub command_waits: Option<bool>,
    /// Requests that reached no pod, since users came. Counted up to the last scrape, one every 15
    /// seconds, as the next two.
    #[serde(default)]
    pub lost: Option<u64>,
    /// The most requests that pods of an image answered with an error.
    #[serde(default)]
    pub failed: BTreeMap<String, u64>,
    /// The fewest requests that pods of an image answered.
    #[serde(default)]
    pub served: BTreeMap<String, u64>,
    /// The fewest copies of requests that pods of an image got.
    #[serde(default)]
    pub copied: BTreeMap<String, u64>,
    /// Texts that no object contains, Secrets left aside.
    #[serde(default)]
    pub nowhere: Vec<String>,
    /// Values in objects, by `Kind/name` and JSON pointer; null for `not there`.
    #[serde(default)]
    pub objects: BTreeMap<String, BTreeMap<String, Value>>,
}

/// Objects as an API server shows them.
pub trait Objects {
    /// An object; null if it is not there.
    fn get(&self, kind: &str, name: &str) -> &Value;
    /// All objects of a kind, by name.
    fn all(&self, kind: &str) -> Vec<&Value>;
    /// All states that an object has had, oldest first.
    fn history(&self, kind: &str, name: &str) -> Vec<Arc<Value>>;
    /// The fewest pods of a selector that were ready at once since the last action.
    fn fewest_ready(&self, selector: &Selector) -> usize;
    /// The most pods of a selector that were there at once since the last action.
    fn most_pods(&self, selector: &Selector) -> usize;
    /// What became of the users' requests; nothing where there are no such users.
    fn requests(&self) -> Option<Totals>;
}

/// Compares. Returns what is otherwise, in sentences.
pub fn differences(expected: &Expectation, rollout: &str, objects: &dyn Objects) -> Vec<String> {
    let name = expected.rollout.as_deref().unwrap_or(rollout);
    let object = objects.get("Rollout", name);
    let mut look = Look { objects, name, object, status: &object["status"], found: Vec::new() };
    look.status(expected);
    look.revisions(expected);
    look.pods(expected);
    look.routes(expected);
    look.others(expected);
    look.requests(expected);
    look.texts(expected);
    look.found
}

struct Look<'a> {
    objects: &'a dyn Objects,
    name: &'a str,
    object: &'a Value,
    status: &'a Value,
    found: Vec<String>,
}

impl Look<'_> {
    #[expect(clippy::needless_pass_by_value, reason = "most are made for this comparison")]
    fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, expected: Option<T>, found: T) {
        if let Some(expected) = expected
            && expected != found
        {
            self.found.push(format!("{what}: expected {expected:?}, found {found:?}"));
        }
    }

    fn part(&mut self, what: &str, expected: Option<&String>, found: &Value) {
        let found = found.as_str().unwrap_or_default();
        if let Some(part) = expected.filter(|part| !found.contains(part.as_str())) {
            self.found.push(format!("{what}: expected a text with {part:?}, found {found:?}"));
        }
    }

    fn status(&mut self, expected: &Expectation) {
        let status = self.status;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.same("phase", expected.phase.clone(), text(&status["phase"]));
        self.part("message", expected.message.as_ref(), &status["message"]);
        let step = status["step"]["index"].as_i64().map_or(0, |index| index + 1);
        self.same("step", expected.step, step);
        self.same("attempt", expected.attempt, status["attempt"].as_i64().unwrap_or(0));
        for (kind, wanted) in &expected.conditions {
            let all = status["conditions"].as_array();
            let one = all.into_iter().flatten().find(|condition| condition["type"] == *kind);
            let found = one.map_or_else(|| "absent".to_owned(), |one| text(&one["status"]));
            self.same(&format!("condition {kind}"), Some(wanted.clone()), found);
        }
        let last = &status["history"][0];
        self.same("outcome", expected.outcome.clone(), text(&last["outcome"]));
        self.part("reason", expected.reason.as_ref(), &last["reason"]);
        match expected.aborted.as_deref() {
            Some("") if !status["abort"].is_null() => {
                self.found.push(format!("aborted: expected no abort, found {}", status["abort"]));
            }
            Some("") | None => {}
            Some(_) => {
                self.part("aborted", expected.aborted.as_ref(), &status["abort"]["reason"]);
            }
        }
        // A status that speaks of an older spec proves nothing about this one.
        let asks = expected.phase.is_some() || expected.step.is_some();
        let (seen, spec) = (&status["observedGeneration"], &self.object["metadata"]["generation"]);
        if asks && seen != spec {
            self.found.push(format!("observedGeneration: expected {spec}, found {seen}"));
        }
    }

    /// The ReplicaSets of the Rollout, with their images.
    fn sets(&self) -> Vec<(String, &Value)> {
        let ours = |set: &&Value| {
            let owner = &set["metadata"]["ownerReferences"][0];
            owner["kind"] == "Rollout" && owner["name"] == *self.name
        };
        let sets = self.objects.all("ReplicaSet").into_iter().filter(ours);
        sets.map(|set| (image(set), set)).collect()
    }

    fn image_of(&self, revision: &Value) -> String {
        let sets = self.sets().into_iter();
        let mut of = sets.filter(|(_, set)| set["metadata"]["labels"][REVISION_LABEL] == *revision);
        of.next().map_or_else(|| "none".to_owned(), |(image, _)| image)
    }

    fn revisions(&mut self, expected: &Expectation) {
        let (stable, current) = (&self.status["stableRevision"], &self.status["currentRevision"]);
        let (stable, current) = (self.image_of(stable), self.image_of(current));
        self.same("stable", expected.stable.clone(), stable);
        self.same("current", expected.current.clone(), current);
        let mut sets: Vec<String> = self.sets().into_iter().map(|(image, _)| image).collect();
        sets.sort();
        self.same("sets", expected.sets.clone(), sets);
        let sizes = [
            ("pods", &expected.pods, "/spec/replicas"),
            ("ready", &expected.ready, "/status/readyReplicas"),
        ];
        for (what, wanted, pointer) in sizes {
            for (image, wanted) in wanted {
                let sets = self.sets().into_iter().filter(|(of, _)| of == image);
                let counts = sets.filter_map(|(_, set)| set.pointer(pointer)?.as_i64());
                let found: i64 = counts.sum();
                self.same(&format!("{what} of {image}"), Some(*wanted), found);
            }
        }
    }

    fn routes(&mut self, expected: &Expectation) {
        let named = |strategy: &str| {
            let path = format!("/spec/strategy/{strategy}/traffic/istio/virtualServices/0/name");
            self.object.pointer(&path).and_then(Value::as_str)
        };
        let route = named("canary").or_else(|| named("blueGreen")).unwrap_or_default();
        if expected.weight.is_some() {
            let route = self.objects.get("VirtualService", route);
            let found = invariants::canary_weight(self.object, route).unwrap_or(-1);
            self.same("weight", expected.weight, found);
        }
        if let Some(wanted) = &expected.weights {
            let mut found: Vec<i64> = Vec::new();
            for state in self.objects.history("VirtualService", route) {
                let weight = invariants::canary_weight(self.object, &state);
                found.extend(weight.filter(|weight| found.last() != Some(weight)));
            }
            self.same("weights", Some(wanted.clone()), found);
        }
        for (name, wanted) in &expected.selects {
            let service = self.objects.get("Service", name);
            let revision = if service.is_null() {
                let rules = self.objects.all("DestinationRule").into_iter();
                let subsets = rules.filter_map(|rule| rule["spec"]["subsets"].as_array()).flatten();
                let mut named = subsets.filter(|subset| subset["name"] == **name);
                named.next().map_or(&Value::Null, |subset| &subset["labels"][REVISION_LABEL])
            } else {
                &service["spec"]["selector"][REVISION_LABEL]
            };
            let found = self.image_of(revision);
            self.same(&format!("{name} selects"), Some(wanted.clone()), found);
        }
    }

    fn others(&mut self, expected: &Expectation) {
        let events = self.objects.all("Event");
        let told = |reason: &String| {
            let about = |event: &&&Value| event["regarding"]["name"] == *self.name;
            events.iter().filter(about).any(|event| event["reason"] == **reason)
        };
        let missing: Vec<String> =
            expected.events.iter().filter(|reason| !told(reason)).cloned().collect();
        let surplus: Vec<String> =
            expected.no_events.iter().filter(|reason| told(reason)).cloned().collect();
        self.found.extend(missing.iter().map(|reason| format!("Event {reason}: found none")));
        self.found.extend(surplus.iter().map(|reason| format!("Event {reason}: expected none")));
        if let Some(wanted) = &expected.runs {
            let mut runs = self.objects.all("AnalysisRun");
            let created = |run: &Value| {
                let text = |at: &Value| at.as_str().map(str::to_owned);
                // An API server tells whole seconds. What has not started yet comes last.
                let started = text(&run["status"]["startedAt"]);
                (text(&run["metadata"]["creationTimestamp"]), started.is_none(), started)
            };
            runs.sort_by_key(|run| created(run));
            let phase =
                |run: &&Value| run["status"]["phase"].as_str().unwrap_or("Pending").to_owned();
            let found: Vec<String> = runs.iter().map(phase).collect();
            self.same("runs", Some(wanted.clone()), found);
        }
        self.same("jobs", expected.jobs, self.objects.all("Job").len());
        let waits = !self.object["metadata"]["annotations"][COMMAND_ANNOTATION].is_null();
        self.same("commandWaits", expected.command_waits, waits);
        for (reference, values) in &expected.objects {
            let (kind, name) = reference.split_once('/').unwrap_or((reference, ""));
            let object = self.objects.get(kind, name);
            for (pointer, wanted) in values {
                let found = object.pointer(pointer).unwrap_or(&Value::Null);
                if found != wanted {
                    let place = format!("{reference}{pointer}");
                    self.found.push(format!("{place}: expected {wanted}, found {found}"));
                }
            }
        }
    }
}

impl Look<'_> {
    fn texts(&mut self, expected: &Expectation) {
        let kinds = resource::ALL.iter().filter(|kind| ***kind != resource::SECRET);
        for Resource { kind, .. } in kinds.filter(|_| !expected.nowhere.is_empty()) {
            for object in self.objects.all(kind) {
                let whole = object.to_string();
                let shown = expected.nowhere.iter().filter(|text| whole.contains(text.as_str()));
                let name = &object["metadata"]["name"];
                self.found.extend(shown.map(|text| format!("{kind} {name} contains {text:?}")));
            }
        }
    }

    fn requests(&mut self, expected: &Expectation) {
        let maps = [&expected.failed, &expected.served, &expected.copied];
        if expected.lost.is_none() && maps.iter().all(|map| map.is_empty()) {
            return;
        }
        let Some(totals) = self.objects.requests() else {
            self.found.push("requests: there are no simulated users to count".to_owned());
            return;
        };
        self.same("lost", expected.lost, totals.all().lost);
        for (image, most) in &expected.failed {
            let found = totals.sum(|whose| whose.image == *image).errors;
            if found > *most {
                self.found
                    .push(format!("failed of {image}: expected at most {most}, found {found}"));
            }
        }
        for (image, fewest) in &expected.served {
            let found = totals.sum(|whose| whose.image == *image).sent;
            if found < *fewest {
                let what = format!("served by {image}: expected at least {fewest}, found {found}");
                self.found.push(what);
            }
        }
        for (image, fewest) in &expected.copied {
            let found = totals.sum(|whose| whose.image == *image).copies;
            if found < *fewest {
                let what = format!("copied to {image}: expected at least {fewest}, found {found}");
                self.found.push(what);
            }
        }
    }
}

/// The image of a revision's first container.
pub fn image(set: &Value) -> String {
    let image = &set["spec"]["template"]["spec"]["containers"][0]["image"];
    image.as_str().unwrap_or_default().to_owned()
}
