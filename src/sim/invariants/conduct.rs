//! What always holds of the controller's conduct over time (DESIGN, section 3): rules that no single
//! change shows.
//!
//! In: changes with their writers, and the controller's clock. Out: sentences about what was broken:
//! a command that was applied twice or lost, a Job that ran twice for one measurement, a step that was
//! passed over, pods that went before the proxies had followed, objects of others that were touched.

mod release;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{REVISION, State, ready_pods, routes::Rollout};
use crate::{
    api::{COMMAND_ANNOTATION, Command},
    plan::FIELD_MANAGER,
    sim::api::Change,
};

/// Time that proxies get where the Rollout does not say it.
const PROPAGATION: SignedDuration = SignedDuration::from_secs(2);

/// Follows the changes of all namespaces.
#[derive(Debug, Default)]
pub struct Conduct {
    /// The record of each command, by namespace, Rollout and id.
    commands: BTreeMap<(String, String, String), Value>,
    /// Jobs of each AnalysisRun, by its uid.
    jobs: BTreeMap<String, BTreeSet<String>>,
    /// Revisions that have weight, by namespace and Rollout.
    weighted: BTreeMap<(String, String), BTreeSet<String>>,
    /// When a revision lost its weight, by namespace and revision.
    left: BTreeMap<(String, String), Timestamp>,
    /// Whether each of a Rollout's two destinations has weight, and when it lost it.
    full: BTreeSet<(String, String, usize)>,
    empty: BTreeMap<(String, String, usize), Timestamp>,
}

/// One change of the controller's, and what stands after it.
struct Deed<'a> {
    change: &'a Change,
    before: &'a Value,
    after: &'a Value,
    state: &'a State,
    /// The controller's clock.
    now: Timestamp,
}

impl Conduct {
    /// Takes in a change, after which `state` is that of its namespace. Returns what it broke.
    pub fn check(&mut self, change: &Change, state: &State, now: Timestamp) -> Vec<String> {
        let mut found = Vec::new();
        if change.by == FIELD_MANAGER {
            let none = &Value::Null;
            let before = change.before.as_deref().unwrap_or(none);
            let after = change.after.as_deref().unwrap_or(none);
            let deed = Deed { change, before, after, state, now };
            deed.is_on_ours(&mut found);
            match change.resource.kind {
                "Rollout" => {
                    self.command(&deed, &mut found);
                    deed.release(&mut found);
                }
                "ReplicaSet" => {
                    deed.size_in_abort(&mut found);
                    self.drained(&deed, &mut found);
                }
                "Service" | "DestinationRule" => self.repointed(&deed, &mut found),
                "Pod" => deed.evicted(&mut found),
                "Job" => self.job(&deed, &mut found),
                "AnalysisRun" => deed.verdict(&mut found),
                _ => {}
            }
        }
        self.follow(change, state, now);
        let (kind, name, at) = (change.resource.kind, &change.key.1, change.version);
        found.into_iter().map(|text| format!("{kind} {name} at {at}: {text}")).collect()
    }

    /// Rule 6: a command is applied once, and none is removed that was not.
    fn command(&mut self, deed: &Deed, found: &mut Vec<String>) {
        let (namespace, name) = deed.change.key.clone();
        let record = &deed.after["status"]["lastCommand"];
        if let Some(id) = record["id"].as_str() {
            let key = (namespace, name, id.to_owned());
            let known = self.commands.entry(key).or_insert_with(|| record.clone());
            if known != record {
                found.push(format!("the command {id} was applied twice"));
            }
        }
        let waiting = |object: &Value| {
            let text = object["metadata"]["annotations"][COMMAND_ANNOTATION].as_str()?;
            // What is no command is taken off.
            serde_json::from_str::<Command>(text).ok()?;
            serde_json::from_str::<Value>(text).ok()
        };
        let (had, has) = (waiting(deed.before), waiting(deed.after));
        if let Some(had) = had.filter(|had| has.as_ref() != Some(had))
            && had["id"] != record["id"]
            // It goes with its Rollout.
            && deed.before["metadata"]["deletionTimestamp"].is_null()
        {
            found.push(format!("the command {} was lost", had["id"]));
        }
    }

    /// Rule 6: a Job for each measurement, and no more.
    fn job(&mut self, deed: &Deed, found: &mut Vec<String>) {
        if !deed.before.is_null() {
            return;
        }
        let owner = &deed.after["metadata"]["ownerReferences"][0];
        let jobs = self.jobs.entry(text(&owner["uid"]).to_owned()).or_default();
        let name = text(&deed.after["metadata"]["name"]);
        if !jobs.insert(name.to_owned()) {
            found.push(format!("the Job {name} ran twice"));
        }
        let run = deed.state.get(&("AnalysisRun", text(&owner["name"]).to_owned()));
        let Some(run) = run else { return };
        let metrics = run["spec"]["metrics"].as_array().into_iter().flatten();
        let metrics = metrics.filter(|metric| !metric["provider"]["job"].is_null()).count();
        let results = run["status"]["metricResults"].as_array().into_iter().flatten();
        let taken: u64 = results
            .flat_map(|result| ["count", "error", "noData"].map(|field| result[field].as_u64()))
            .flatten()
            .sum();
        let most = metrics + usize::try_from(taken).unwrap_or(usize::MAX);
        if jobs.len() > most {
            found.push(format!("{} Jobs for {most} measurements", jobs.len()));
        }
    }

    /// Rule 2: pods stay until every proxy can be taken to know that nothing leads to them.
    fn drained(&self, deed: &Deed, found: &mut Vec<String>) {
        let size = |set: &Value| set["spec"]["replicas"].as_i64().unwrap_or(0);
        if deed.before.is_null() || size(deed.after) > 0 || size(deed.before) == 0 {
            return;
        }
        let Some(rollout) = deed.rollout() else { return };
        let rollout = Rollout::new(rollout);
        if rollout.stable_revision().is_none() || rollout.replicas() == 0 {
            return;
        }
        let revision = text(&deed.after["metadata"]["labels"][REVISION]).to_owned();
        let labels = [(REVISION.to_owned(), revision.clone())].into_iter().collect();
        let delay = propagation(&rollout);
        let left = self.left.get(&(deed.change.key.0.clone(), revision.clone()));
        let since = left.map(|left| deed.now.duration_since(*left));
        if let Some(since) = since.filter(|since| *since < delay)
            && !ready_pods(deed.state, &labels).is_empty()
        {
            found.push(format!(
                "revision {revision} loses its pods {since:#} after its weight, allowed is {delay:#}"
            ));
        }
    }

    /// Rule 2: a destination goes elsewhere when every proxy can be taken to know that no weight leads
    /// to what it reaches.
    fn repointed(&self, deed: &Deed, found: &mut Vec<String>) {
        let namespace = &deed.change.key.0;
        let key = (deed.change.resource.kind, deed.change.key.1.clone());
        let mut past = deed.state.clone();
        past.extend(deed.change.before.clone().map(|before| (key.clone(), before)));
        for (_, object) in deed.state.iter().filter(|(key, _)| key.0 == "Rollout") {
            let rollout = Rollout::new(object);
            let going = !object["metadata"]["deletionTimestamp"].is_null();
            if rollout.istio.is_null() || going || rollout.replicas() == 0 {
                continue;
            }
            if rollout.stable_revision().is_none() {
                continue;
            }
            let ends = [
                (rollout.stable(&past), rollout.stable(deed.state)),
                (rollout.canary(&past), rollout.canary(deed.state)),
            ];
            for (end, (was, is)) in ends.into_iter().enumerate() {
                let (was, is) = (was.revision(&past), is.revision(deed.state));
                let Some(was) = was.filter(|was| is.as_ref() != Some(was)) else { continue };
                // What somebody pointed elsewhere comes back at once, and from nobody at once, too.
                let back = end == 0 && is.as_deref() == rollout.stable_revision();
                let labels = [(REVISION.to_owned(), was.clone())].into_iter().collect();
                // The canary's end is free to leave the stable revision, whose pods stay.
                let stays = end == 1 && Some(was.as_str()) == rollout.stable_revision();
                if back || stays || ready_pods(deed.state, &labels).is_empty() {
                    continue;
                }
                let delay = propagation(&rollout);
                let of = (namespace.clone(), rollout.name().to_owned(), end);
                let since = self.empty.get(&of).map(|left| deed.now.duration_since(*left));
                if let Some(since) = since.filter(|since| *since < delay) {
                    found.push(format!(
                        "it leaves {was} {since:#} after its weight, allowed is {delay:#}"
                    ));
                }
            }
        }
    }

    /// Notes which revisions have weight.
    fn follow(&mut self, change: &Change, state: &State, now: Timestamp) {
        if !["VirtualService", "Service", "DestinationRule", "Rollout"]
            .contains(&change.resource.kind)
        {
            return;
        }
        let namespace = &change.key.0;
        for (key, object) in state.iter().filter(|(key, _)| key.0 == "Rollout") {
            let rollout = Rollout::new(object);
            let mut weighted = BTreeSet::new();
            for (stable, canary) in rollout.all_weights(state) {
                let ends = [(stable, rollout.stable(state)), (canary, rollout.canary(state))];
                let reached = ends.into_iter().filter(|(weight, _)| *weight > 0);
                weighted.extend(reached.filter_map(|(_, end)| end.revision(state)));
            }
            let weights = rollout.all_weights(state);
            for end in 0..2 {
                let of = (namespace.clone(), key.1.clone(), end);
                let has = |(stable, canary): &(i64, i64)| [*stable, *canary][end] > 0;
                if weights.iter().any(has) {
                    self.full.insert(of);
                } else if self.full.remove(&of) {
                    self.empty.insert(of, now);
                }
            }
            let of = (namespace.clone(), key.1.clone());
            let had = self.weighted.insert(of, weighted.clone()).unwrap_or_default();
            for left in had.difference(&weighted) {
                self.left.insert((namespace.clone(), left.clone()), now);
            }
        }
    }
}

impl<'a> Deed<'a> {
    /// The Rollout that owns the object.
    fn rollout(&self) -> Option<&'a Value> {
        let owner = &self.after["metadata"]["ownerReferences"][0];
        let owner = owner["name"].as_str().filter(|_| owner["kind"] == "Rollout")?;
        self.state.get(&("Rollout", owner.to_owned())).map(|rollout| &**rollout)
    }

    /// Rules 3 and 5: of a revision that serves, no last ready pod is evicted.
    fn evicted(&self, found: &mut Vec<String>) {
        let goes = |pod: &Value| pod.is_null() || !pod["metadata"]["deletionTimestamp"].is_null();
        if !goes(self.after) || goes(self.before) {
            return;
        }
        let revision = text(&self.before["metadata"]["labels"][REVISION]).to_owned();
        let conditions = self.before["status"]["conditions"].as_array().into_iter().flatten();
        let mut ready = conditions.filter(|one| one["type"] == "Ready" && one["status"] == "True");
        let labels = [(REVISION.to_owned(), revision.clone())].into_iter().collect();
        let rollouts = self.state.iter().filter(|(key, _)| key.0 == "Rollout");
        let mut rollouts = rollouts.map(|(_, object)| Rollout::new(object));
        // Without a surge, one pod may be all that there is.
        let alone = rollouts.any(|rollout| {
            rollout.stable_revision() == Some(revision.as_str()) && rollout.replicas() > 1
        });
        if ready.next().is_some() && alone && ready_pods(self.state, &labels).is_empty() {
            found.push(format!("the last ready pod of {revision} is evicted"));
        }
    }

    /// Rule 4: what is aborted never grows.
    fn size_in_abort(&self, found: &mut Vec<String>) {
        let size = |set: &Value| set["spec"]["replicas"].as_i64().unwrap_or(0);
        let Some(rollout) = self.rollout() else { return };
        let aborted = Rollout::new(rollout).aborted();
        let current = &rollout["status"]["currentRevision"];
        let is_current = self.after["metadata"]["labels"][REVISION] == *current;
        if aborted && is_current && size(self.after) > size(self.before) {
            found.push(format!("the aborted revision grows to {} pods", size(self.after)));
        }
    }

    /// Rule 8: what is not ours is not touched.
    fn is_on_ours(&self, found: &mut Vec<String>) {
        let object = if self.before.is_null() { self.after } else { self.before };
        let name = &self.change.key.1;
        let rollouts = || {
            let all = self.state.iter().filter(|(key, _)| key.0 == "Rollout");
            all.map(|(_, object)| &**object)
        };
        let owner = &object["metadata"]["ownerReferences"][0]["kind"];
        let held = |prefix: &str| {
            rollouts().any(|rollout| {
                let held = rollout["status"]["held"].as_array().into_iter().flatten();
                let mut held = held.filter_map(Value::as_str);
                held.any(|held| {
                    held.strip_prefix(prefix).is_some_and(|rest| {
                        rest == name
                            || rest.strip_prefix(name.as_str()).is_some_and(|r| r.starts_with('/'))
                    })
                })
            })
        };
        let ours = match self.change.resource.kind {
            "ReplicaSet" => *owner == "Rollout" || owner.is_null(),
            "Service" => {
                held("Service/") || rollouts().any(|r| Rollout::new(r).names_service(name))
            }
            "DestinationRule" => {
                held("DestinationRule/") || rollouts().any(|r| Rollout::new(r).names_rule(name))
            }
            "Deployment" => {
                rollouts().any(|rollout| rollout["spec"]["workloadRef"]["name"] == **name)
            }
            "Pod" => !object["metadata"]["labels"][REVISION].is_null(),
            "Job" => *owner == "AnalysisRun",
            "VirtualService" | "Rollout" | "AnalysisRun" | "Event" | "Lease" => true,
            _ => false,
        };
        if !ours {
            found.push("this object is not ours to touch".to_owned());
        }
    }
}

/// Time that the proxies get.
fn propagation(rollout: &Rollout) -> SignedDuration {
    let delay = rollout.istio["propagationDelay"].clone();
    let delay: Option<crate::api::Duration> = serde_json::from_value(delay).ok();
    let delay = delay.and_then(|delay| SignedDuration::try_from(delay.0).ok());
    delay.unwrap_or(PROPAGATION)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
