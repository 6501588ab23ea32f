//! How a release goes: from step to step, to its promotion or its abort (rules 4, 6 and 7).

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Deed, text};
use crate::sim::invariants::{REVISION, ready_pods, routes::Rollout};

impl Deed<'_> {
    /// What a new status of a Rollout says of the release.
    pub(super) fn release(&self, found: &mut Vec<String>) {
        let (before, after) = (&self.before["status"], &self.after["status"]);
        if before == after || self.after.is_null() {
            self.handed_back(found);
            return;
        }
        let rollout = Rollout::new(self.after);
        let replicas = after["replicas"].as_i64().unwrap_or(0);
        if replicas > rollout.replicas() {
            found.push(format!(
                "autoscalers are shown {replicas} pods of {} wanted ones",
                rollout.replicas()
            ));
        }
        if before["abort"].is_null() && !after["abort"].is_null() {
            self.aborted(&rollout, found);
        }
        let same = |field: &str| before[field] == after[field];
        let again = !before["abort"].is_null() && after["abort"].is_null();
        if again && same("currentRevision") && same("lastCommand") {
            found.push("an aborted release goes on by itself".to_owned());
        }
        let promoted = !same("stableRevision") && !before["stableRevision"].is_null();
        let full = before["promoteFull"] == true || after["promoteFull"] == true;
        if !same("currentRevision") || !same("lastCommand") || !same("attempt") || full {
            return;
        }
        if before["step"]["hash"] == after["step"]["hash"] {
            self.steps(&rollout, found);
        }
        if promoted {
            self.promoted(&rollout, found);
        }
    }

    /// Rule 4: when an abort shows, users are back already.
    fn aborted(&self, rollout: &Rollout, found: &mut Vec<String>) {
        let canary = &self.after["spec"]["strategy"]["canary"];
        if canary["traffic"].is_null()
            || canary["dynamicStableScale"] == true
            || rollout.replicas() == 0
        {
            return;
        }
        let serves = !rollout.stable(self.state).ready(self.state).is_empty()
            && rollout.stable(self.state).revision(self.state).as_deref()
                == rollout.stable_revision();
        let weighted = rollout.all_weights(self.state).iter().any(|(_, canary)| *canary > 0);
        if serves && weighted {
            found.push("aborted, and users still reach the canary".to_owned());
        }
    }

    /// Rule 6: what is passed was done.
    fn steps(&self, rollout: &Rollout, found: &mut Vec<String>) {
        let canary = &self.after["spec"]["strategy"]["canary"];
        let Some(steps) = canary["steps"].as_array() else { return };
        let index = |status: &Value| {
            let index = status["step"]["index"].as_u64().unwrap_or(0);
            usize::try_from(index).unwrap_or(usize::MAX)
        };
        let (from, to) = (index(&self.before["status"]), index(&self.after["status"]));
        let of = self.after["status"]["step"]["of"].as_u64();
        if of != u64::try_from(steps.len()).ok() {
            return;
        }
        for (at, step) in steps.iter().enumerate().take(to).skip(from) {
            let weights = rollout.all_weights(self.state);
            if let Some(weight) = step["setWeight"].as_i64()
                // One of several routes may be none of ours.
                && !weights.is_empty()
                && weights.iter().all(|(_, canary)| *canary != weight)
                && rollout.replicas() > 0
            {
                found.push(format!("step {} is passed without weight {weight}", at + 1));
            }
            let stands = rollout.all_added(self.state);
            let serves = !rollout.canary(self.state).serving(self.state).is_empty();
            // One that goes with the next step may have gone before the status said so.
            let stay = routes(&steps[..steps.len().min(to + 1)]);
            let wanted = routes(&steps[..=at]).into_iter().filter(|name| stay.contains(name));
            for name in wanted.filter(|_| serves && rollout.replicas() > 0) {
                if !stands.contains(&name) {
                    found.push(format!("step {} is passed without route {name}", at + 1));
                }
            }
            let pause = &step["pause"];
            if !pause.is_null() && !self.is_over(pause, at == from) {
                found.push(format!("step {} is passed before the pause is over", at + 1));
            }
            let judged = !step["analysis"].is_null() || !step["job"].is_null();
            if judged && !self.has_passed(|name| !name.ends_with("-background")) {
                found.push(format!("step {} is passed without a good verdict", at + 1));
            }
        }
    }

    fn is_over(&self, pause: &Value, present: bool) -> bool {
        let limit = [&pause["duration"], &pause["timeout"]].into_iter().find(|d| !d.is_null());
        let Some(limit) = limit else { return false };
        let limit: Option<crate::api::Duration> = serde_json::from_value(limit.clone()).ok();
        let limit = limit.and_then(|limit| SignedDuration::try_from(limit.0).ok());
        let begun = self.before["status"]["step"]["startedAt"].as_str();
        let begun: Option<Timestamp> = begun.and_then(|begun| begun.parse().ok());
        let Some((limit, begun)) = limit.zip(begun) else { return true };
        limit.is_zero() || present && self.now.duration_since(begun) >= limit
    }

    /// Whether a run of this attempt, of such a name, has passed.
    fn has_passed(&self, named: impl Fn(&str) -> bool) -> bool {
        let status = &self.after["status"];
        let revision = text(&status["currentRevision"]);
        let attempt = status["attempt"].as_i64().unwrap_or(0);
        let prefix = format!("{}-{revision}-{attempt}-", self.change.key.1);
        let runs = self.state.iter().filter(|(key, _)| {
            key.0 == "AnalysisRun" && key.1.starts_with(&prefix) && named(&key.1)
        });
        let mut runs = runs.map(|(_, run)| &run["status"]);
        runs.any(|run| {
            let results = run["metricResults"].as_array();
            let good = |result: &Value| {
                result["dryRun"] == true || result["successful"].as_u64().unwrap_or(0) > 0
            };
            let all_good = results.is_some_and(|all| !all.is_empty() && all.iter().all(good));
            run["phase"] == "Successful" || run["phase"] == "Running" && all_good
        })
    }

    /// Rules 6 and 7: a release is promoted that has passed its analysis and has pods.
    fn promoted(&self, rollout: &Rollout, found: &mut Vec<String>) {
        let (before, after) = (&self.before["status"], &self.after["status"]);
        if !after["abort"].is_null() {
            found.push("promoted in an abort".to_owned());
        }
        let canary = &self.after["spec"]["strategy"]["canary"];
        let analysis = &canary["analysis"];
        let starts = analysis["startingStep"].as_u64() < before["step"]["of"].as_u64();
        let accepted = before["analysis"]["background"]["accepted"] == true;
        if !analysis.is_null()
            && starts
            && !accepted
            && !self.has_passed(|name| name.ends_with("-background"))
        {
            found.push("promoted without a good verdict of the background analysis".to_owned());
        }
        let stable = text(&after["stableRevision"]).to_owned();
        let labels = [(REVISION.to_owned(), stable.clone())].into_iter().collect();
        if rollout.replicas() > 0 && ready_pods(self.state, &labels).is_empty() {
            found.push(format!("{stable} is promoted without a ready pod"));
        }
    }

    /// Rule 7: a verdict is made of measurements.
    pub(super) fn verdict(&self, found: &mut Vec<String>) {
        let passed = |run: &Value| run["status"]["phase"] == "Successful";
        if passed(self.before) || !passed(self.after) {
            return;
        }
        let metrics = self.after["spec"]["metrics"].as_array().into_iter().flatten();
        for metric in metrics.filter(|metric| metric["onNoData"] != "pass") {
            let results = self.after["status"]["metricResults"].as_array();
            let result = results.into_iter().flatten().find(|r| r["name"] == metric["name"]);
            let counted = result.is_some_and(|result| {
                result["dryRun"] == true || result["successful"].as_u64().unwrap_or(0) > 0
            });
            if !counted {
                found.push(format!("passed, and {} was never good", metric["name"]));
            }
        }
    }

    /// Rule 8: a Rollout goes when all is given back.
    fn handed_back(&self, found: &mut Vec<String>) {
        let finalizers = |object: &Value| {
            let all = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
            all.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect::<Vec<_>>()
        };
        let held =
            |object: &Value| finalizers(object).iter().any(|name| name.starts_with("sluice.dev/"));
        let others = finalizers(self.before);
        let orphans = others.iter().any(|name| name == "orphan" || name == "foregroundDeletion");
        let going = !self.before["metadata"]["deletionTimestamp"].is_null();
        // With `--cascade=orphan` the pods stay, and what selects them.
        let orphans = orphans
            || self.state.iter().any(|(key, set)| {
                key.0 == "ReplicaSet"
                    && set["metadata"]["labels"][REVISION]
                        == self.before["status"]["stableRevision"]
                    && set["metadata"]["ownerReferences"][0].is_null()
            });
        if !going || orphans || !held(self.before) || held(self.after) {
            return;
        }
        let rollout = Rollout::new(self.before);
        let services = self
            .state
            .iter()
            .filter(|(key, _)| key.0 == "Service" && rollout.names_service(&key.1));
        for (key, service) in services {
            let at = &service["spec"]["selector"][REVISION];
            let ours = [
                &self.before["status"]["stableRevision"],
                &self.before["status"]["currentRevision"],
            ];
            if !at.is_null() && ours.contains(&at) {
                found.push(format!("gone, and Service {} still selects {at}", key.1));
            }
        }
        let workload = text(&self.before["spec"]["workloadRef"]["name"]).to_owned();
        let workload = self.state.get(&("Deployment", workload));
        let Some(workload) = workload else { return };
        let wanted = workload["spec"]["replicas"].as_i64().unwrap_or(1);
        let there = workload["status"]["availableReplicas"].as_i64().unwrap_or(0);
        let never = self.before["spec"]["workloadRef"]["scaleDown"] == "never";
        if wanted > 0 && there == 0 && rollout.replicas() > 0 && !never {
            found.push("gone, and the Deployment has no pods yet".to_owned());
        }
    }
}

/// Names of the routes for some requests that the steps add up to.
fn routes(steps: &[Value]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for step in steps {
        for field in ["setHeaderRoute", "setMirrorRoute"] {
            let Some(name) = step[field]["name"].as_str() else { continue };
            names.retain(|other| other != name);
            // Without a match it goes.
            if step[field]["match"].as_array().is_some_and(|found| !found.is_empty()) {
                names.push(name.to_owned());
            }
        }
    }
    names
}
