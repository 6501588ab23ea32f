//! How many pods there must be, and may be (rules 3 and 5), for each strategy.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{REVISION, Step, ready_pods, share};

/// The limits of a strategy for a number of replicas.
struct Limits {
    /// Pods in total; none where full sets stand by.
    most: Option<i64>,
    /// Available pods, where the shares of the pods are the weight.
    fewest: Option<i64>,
}

impl Step<'_> {
    /// Rule 5, when a revision grows.
    pub(super) fn grows(&self, found: &mut Vec<String>) {
        let total: i64 = self.sets().values().sum();
        if let Some(most) = self.limits().most.filter(|most| total > *most) {
            found.push(format!("{total} pods in total, allowed are {most}"));
        }
    }

    /// Rule 5, when a revision shrinks where the shares of the pods are the weight: those that are
    /// left serve. Pods that are not ready go first, and are missed by nobody.
    pub(super) fn shrinks(&self, had: i64, size: i64, found: &mut Vec<String>) {
        let Some(fewest) = self.limits().fewest else { return };
        let labels = &self.rollout.object()["spec"]["selector"]["matchLabels"];
        let mut serving = BTreeMap::new();
        for (revision, size) in self.sets() {
            let labels = [(REVISION.to_owned(), revision.clone())];
            let ready = ready_pods(self.state, &labels.into_iter().collect());
            serving.insert(revision, i64::try_from(ready.len()).unwrap_or(i64::MAX).min(size));
        }
        let left: i64 = serving.values().sum();
        let ours = self.after["metadata"]["labels"][REVISION].as_str().unwrap_or_default();
        let of_ours =
            ready_pods(self.state, &[(REVISION.to_owned(), ours.to_owned())].into_iter().collect());
        let lost = i64::try_from(of_ours.len()).unwrap_or(0).min(had) - size;
        if lost > 0 && left < fewest {
            found.push(format!(
                "{left} serving pods with {labels} are left, allowed are at least {fewest}"
            ));
        }
    }

    /// The fewest pods that the stable revision may have (rule 3).
    pub(super) fn fewest_of_stable(&self) -> i64 {
        let desired = self.rollout.replicas();
        let canary = &self.rollout.object()["spec"]["strategy"]["canary"];
        if self.limits().fewest.is_some() {
            return 0;
        }
        if canary["dynamicStableScale"] != true {
            return desired;
        }
        let total = canary["traffic"]["maxWeight"].as_i64().unwrap_or(100);
        let weights = self.rollout.all_weights(self.state);
        let stable = weights.into_iter().map(|(stable, _)| stable).max().unwrap_or(total);
        (desired * stable + total - 1) / total
    }

    /// Sizes of the Rollout's ReplicaSets, by revision.
    fn sets(&self) -> BTreeMap<String, i64> {
        let ours = |set: &Value| {
            set["metadata"]["ownerReferences"][0]["name"] == *self.rollout.name()
                && set["metadata"]["ownerReferences"][0]["kind"] == "Rollout"
        };
        let sets = self.state.iter().filter(|(key, set)| key.0 == "ReplicaSet" && ours(set));
        let sized = sets.filter_map(|(_, set)| {
            let revision = set["metadata"]["labels"][REVISION].as_str()?;
            Some((revision.to_owned(), set["spec"]["replicas"].as_i64()?))
        });
        sized.collect()
    }

    fn limits(&self) -> Limits {
        let desired = self.rollout.replicas();
        let strategy = &self.rollout.object()["spec"]["strategy"];
        let (rolling, canary) = (&strategy["rolling"], &strategy["canary"]);
        if !canary["traffic"].is_null() {
            let surge = pods(&canary["maxSurge"], "100%", desired, true);
            return Limits { most: Some(desired + surge), fewest: None };
        }
        let fields = if rolling.is_null() { canary } else { rolling };
        if fields.is_null() {
            return Limits { most: None, fewest: None };
        }
        let surge = pods(&fields["maxSurge"], "25%", desired, true);
        let missing = pods(&fields["maxUnavailable"], "25%", desired, false);
        let missing = if surge == 0 && missing == 0 { 1 } else { missing };
        Limits { most: Some(desired + surge), fewest: Some(desired - missing.min(desired)) }
    }
}

/// A count, or a percentage of `desired`.
fn pods(value: &Value, default: &str, desired: i64, up: bool) -> i64 {
    let text = value.as_str().unwrap_or(default);
    let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(0);
    let of_percent = if up { share(desired, percent, 100) } else { desired * percent / 100 };
    value.as_i64().unwrap_or(of_percent)
}
