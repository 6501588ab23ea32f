//! What the history must not show.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use serde_json::Value;
use sluice::sim::invariants::{self, canary_weights};

use crate::{
    fleet::{PODS, Shop},
    pipelines::Release,
    replicas::{self, NAMES},
    support::{
        audit::{self, Call},
        cluster::{Breaker, CONTROLLER, Cluster},
        recorder::{Kind, Seen, read_back},
    },
};

const LEASE: Kind = ("coordination.k8s.io", "v1", "Lease", "leases");

/// All that happened.
pub struct History {
    cluster: Arc<Cluster>,
    namespaces: BTreeMap<String, Seen>,
    /// Who held the Lease, from when on.
    pub leaders: Vec<(Timestamp, String)>,
    /// What controllers asked the API server.
    pub calls: Vec<Call>,
    credentials: BTreeMap<String, &'static str>,
}

impl History {
    /// Reads it back: the objects' from etcd, the requests' from the audit log.
    pub async fn read(
        cluster: &Arc<Cluster>,
        mut breaker: Breaker,
        from: &str,
        credentials: BTreeMap<String, &'static str>,
    ) -> (Self, Breaker) {
        breaker.tell("kill apiserver").await;
        breaker.tell("start apiserver uncached").await;
        let namespaces = read_back(&cluster.client, from, &[LEASE]).await;
        let mut calls = audit::calls_since(&cluster.audit_log, 0);
        calls.retain(|call| credentials.contains_key(call.credential()));
        let leases = namespaces.get(CONTROLLER.0).map(|seen| seen.history(LEASE.2, "sluice"));
        let mut leaders: Vec<(Timestamp, String)> = Vec::new();
        for lease in leases.into_iter().flatten() {
            let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
            let acquired = lease["spec"]["acquireTime"].as_str().unwrap_or_default();
            let acquired = acquired.parse().expect("a Lease is acquired at a time");
            if !holder.is_empty() && leaders.last().is_none_or(|(at, _)| *at != acquired) {
                leaders.push((acquired, holder.to_owned()));
            }
        }
        let cluster = cluster.clone();
        (Self { cluster, namespaces, leaders, calls, credentials }, breaker)
    }

    /// Everything that is wrong, in sentences.
    pub fn problems(
        &self,
        shops: &[Shop],
        quiet: &[Release],
        disturbed: &[Release],
    ) -> Vec<String> {
        let mut problems = Vec::new();
        for shop in shops {
            let releases =
                quiet.iter().chain(disturbed).filter(|one| one.namespace == shop.namespace).count();
            let Some(seen) = self.namespaces.get(&shop.namespace) else {
                problems.push(format!("{}: nothing was seen", shop.namespace));
                continue;
            };
            let found = of_shop(shop, seen, releases);
            let (namespace, kind) = (&shop.namespace, shop.kind.name);
            problems.extend(found.into_iter().map(|text| format!("{namespace} ({kind}): {text}")));
        }
        problems.extend(self.foreign_writes());
        problems.extend(self.panics());
        problems
    }

    /// Writes of a controller that did not hold the Lease when they came in. An Event may: one that
    /// was on its way when its sender was frozen has no version to be refused by, and only tells.
    fn foreign_writes(&self) -> Vec<String> {
        let mut found = Vec::new();
        for call in &self.calls {
            let free = ["leases", "events"].contains(&call.resource().as_str());
            if !call.writes() || !call.succeeded() || free {
                continue;
            }
            let name = self.credentials[call.credential()];
            let held = self.leaders.iter().rev().find(|(at, _)| *at <= call.received);
            if held.is_none_or(|(_, holder)| holder != name) {
                let (namespace, object) = call.object();
                let (verb, resource, at) = (&call.verb, call.resource(), call.received);
                found.push(format!(
                    "{name} wrote without the Lease at {at}: {verb} {resource} {namespace}/{object}; \
                     it was held by {held:?}"
                ));
            }
        }
        found
    }

    fn panics(&self) -> Vec<String> {
        let logs = NAMES.map(|name| replicas::log(&self.cluster, name));
        let texts = logs.iter().map(|log| std::fs::read_to_string(log).expect("a log"));
        texts.flat_map(|text| lines_with(&text, "a pass ended by a panic")).collect()
    }

    /// How often another replica than before took the Lease.
    pub fn moves(&self) -> usize {
        self.leaders.windows(2).filter(|pair| pair[0].1 != pair[1].1).count()
    }

    /// Jobs that were created.
    pub fn jobs(&self) -> usize {
        self.namespaces.values().map(|seen| uids(seen, "Job").len()).sum()
    }

    /// Changes of objects that were looked at.
    pub fn changes(&self) -> usize {
        self.namespaces.values().map(|seen| seen.changes.len()).sum()
    }
}

fn lines_with(text: &str, word: &str) -> Vec<String> {
    text.lines().filter(|line| line.contains(word)).map(str::to_owned).collect()
}

/// What is wrong with one Rollout after so many releases.
fn of_shop(shop: &Shop, seen: &Seen, releases: usize) -> Vec<String> {
    let mut problems = Vec::new();
    let changes = seen.in_order();
    problems.extend(invariants::broken(&changes));
    let rollout = seen.get("Rollout", "web");
    let status = &rollout["status"];
    let last = format!("web:{}", releases + 1);
    if status["phase"] != "Healthy" || status["history"][0]["images"][0] != *last {
        problems.push(format!("the end is not {last}: {status}"));
    }
    let wanted: Vec<String> =
        (1..=releases + 1).map(|number| format!("web:{number} Promoted 1")).collect();
    let ended = ended(seen);
    if ended != wanted {
        problems.push(format!("the releases that ended, in their order: {ended:?}"));
    }
    for (kind, count) in [
        ("ReplicaSet", releases + 1),
        ("Job", shop.kind.jobs * releases),
        ("AnalysisRun", usize::from(shop.kind.jobs > 0) * releases),
    ] {
        let created = uids(seen, kind);
        let names: BTreeSet<&String> = created.values().collect();
        if created.len() != count || names.len() != count {
            problems.push(format!(
                "{} {kind}s were created, expected are {count}: {names:?}",
                created.len()
            ));
        }
    }
    if !shop.kind.weights.is_empty() {
        let mut wanted = vec![0];
        (0..releases).for_each(|_| wanted.extend(shop.kind.weights));
        let weights = canary_weights(&changes, rollout, "web");
        if weights != wanted {
            problems.push(format!("the weights were {weights:?}"));
        }
    }
    problems.extend(left_over(seen, status));
    problems
}

/// The releases in the order in which they ended: image, outcome, attempt.
fn ended(seen: &Seen) -> Vec<String> {
    let mut ended: Vec<String> = Vec::new();
    for state in seen.history("Rollout", "web") {
        let (newest, status) = (&state["status"]["history"][0], &state["status"]);
        let (Some(image), Some(outcome)) =
            (newest["images"][0].as_str(), newest["outcome"].as_str())
        else {
            continue;
        };
        let text = format!("{image} {outcome} {}", status["attempt"].as_i64().unwrap_or(1));
        if ended.last() != Some(&text) {
            ended.push(text);
        }
    }
    ended
}

/// The objects of a kind that were ever created, by their uids.
fn uids(seen: &Seen, kind: &str) -> BTreeMap<String, String> {
    let of_kind = seen.changes.iter().filter(|change| change.key.0 == kind);
    let objects = of_kind.filter_map(|change| change.object.as_deref());
    let named = objects.map(|object| {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        (text("uid"), text("name"))
    });
    named.collect()
}

/// What should be gone when nothing is under way.
fn left_over(seen: &Seen, status: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let stable = &status["stableRevision"];
    for set in seen.all("ReplicaSet") {
        let of_stable = set["metadata"]["labels"]["sluice.dev/revision"] == *stable;
        if !of_stable && set["spec"]["replicas"] != 0 {
            found.push(format!("{} has {} pods", set["metadata"]["name"], set["spec"]["replicas"]));
        }
    }
    let pods: Vec<&Value> = seen
        .all("Pod")
        .filter(|pod| !pod["metadata"]["labels"]["sluice.dev/revision"].is_null())
        .collect();
    let of_stable = pods
        .iter()
        .filter(|pod| pod["metadata"]["labels"]["sluice.dev/revision"] == *stable)
        .count();
    if (pods.len(), of_stable) != (PODS, PODS) {
        found.push(format!("{} pods, {of_stable} of them stable's; {PODS} are wanted", pods.len()));
    }
    let canary = &status["weights"]["canary"];
    if !canary.is_null() && *canary != 0 {
        found.push(format!("the canary has weight {canary}"));
    }
    for (key, object) in &seen.present {
        if !object["metadata"]["deletionTimestamp"].is_null() {
            found.push(format!("{key:?} is being deleted for ever"));
        }
    }
    for job in seen.all("Job") {
        if job["status"]["active"].as_i64().unwrap_or(0) > 0 {
            found.push(format!("Job {} still runs", job["metadata"]["name"]));
        }
    }
    found
}
