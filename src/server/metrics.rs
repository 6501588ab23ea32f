//! The controller's own metrics, all of them. Labels are bounded: the one series per object is
//! `sluice_rollout_info`, which is gone with its Rollout.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::{
    api::{ConditionType, Phase, RolloutStatus, Verdict},
    observe::cache::Key,
};

/// A Rollout and its state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RolloutLabels {
    namespace: String,
    name: String,
    phase: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NameLabels {
    namespace: String,
    name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProblemLabels {
    namespace: String,
    name: String,
    problem: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    verb: String,
    resource: String,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabels {
    verdict: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FoundLabels {
    found: &'static str,
}

type Durations = Family<KindLabels, Histogram, fn() -> Histogram>;

/// All metrics.
pub struct Metrics {
    registry: Registry,
    info: Family<RolloutLabels, Gauge>,
    step: Family<NameLabels, Gauge>,
    weight: Family<NameLabels, Gauge>,
    problems: Family<ProblemLabels, Gauge>,
    releases: Family<OutcomeLabels, Counter>,
    reconciles: Durations,
    calls: Family<CallLabels, Counter>,
    verdicts: Family<VerdictLabels, Counter>,
    drain_checks: Family<FoundLabels, Counter>,
    /// Passes that ended by a panic.
    pub panics: Counter,
    /// Writes that failed, conflicts apart.
    pub write_errors: Counter,
    /// Watches that broke.
    pub watch_errors: Counter,
    /// Items that wait to be looked at.
    pub queue: Gauge,
    seen: Mutex<BTreeMap<Key, Seen>>,
}

/// What was last seen of a Rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    phase: String,
    /// Number and attempt of the last release that has ended.
    ended: Option<(i64, i64)>,
}

/// The conditions that are problems.
const PROBLEMS: [ConditionType; 2] = [ConditionType::InvalidSpec, ConditionType::RouteContested];

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("sluice");
        let reconciles: Durations = Family::new_with_constructor(durations);
        let metrics = Self {
            info: Family::default(),
            step: Family::default(),
            weight: Family::default(),
            problems: Family::default(),
            releases: Family::default(),
            reconciles,
            calls: Family::default(),
            verdicts: Family::default(),
            drain_checks: Family::default(),
            panics: Counter::default(),
            write_errors: Counter::default(),
            watch_errors: Counter::default(),
            queue: Gauge::default(),
            seen: Mutex::default(),
            registry: Registry::default(),
        };
        registry.register("rollout_info", "1 for the phase of each Rollout", metrics.info.clone());
        registry.register("rollout_step", "Index of the present step", metrics.step.clone());
        registry.register(
            "rollout_canary_weight",
            "Canary weight, percent, or parts of traffic.maxWeight",
            metrics.weight.clone(),
        );
        registry.register(
            "rollout_problem",
            "1 for each condition InvalidSpec or RouteContested that is true",
            metrics.problems.clone(),
        );
        registry.register("releases", "Ended releases", metrics.releases.clone());
        registry.register(
            "reconcile_duration_seconds",
            "Time of one pass, writes included",
            metrics.reconciles.clone(),
        );
        registry.register("api_calls", "Calls to the API server", metrics.calls.clone());
        registry.register("analysis_runs", "Finished AnalysisRuns", metrics.verdicts.clone());
        registry.register(
            "drain_checks",
            "Looks for requests to old revisions, before their pods go",
            metrics.drain_checks.clone(),
        );
        registry.register("panics", "Passes that ended by a panic", metrics.panics.clone());
        registry.register(
            "write_errors",
            "Writes that failed, conflicts apart",
            metrics.write_errors.clone(),
        );
        registry.register("watch_errors", "Watches that broke", metrics.watch_errors.clone());
        registry.register("queue_length", "Objects that wait for a pass", metrics.queue.clone());
        Self { registry, ..metrics }
    }
}

fn durations() -> Histogram {
    Histogram::new([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5])
}

impl Metrics {
    /// All metrics in the OpenMetrics text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// Takes in the status of a Rollout.
    pub fn observe(&self, key: &Key, status: &RolloutStatus) {
        let phase = status.phase.unwrap_or(Phase::Progressing).to_string();
        let mut ended = status.history.iter().filter(|release| release.outcome.is_some());
        let last = ended.next();
        let now = Seen {
            phase: phase.clone(),
            ended: last.map(|release| (release.number, release.attempt)),
        };
        let before = self.seen().insert(key.clone(), now.clone());
        if let Some(before) = before {
            // What had ended before this process began is not counted again.
            if let Some(outcome) =
                last.filter(|_| before.ended != now.ended).and_then(|r| r.outcome)
            {
                let labels = OutcomeLabels { outcome: format!("{outcome:?}") };
                self.releases.get_or_create(&labels).inc();
            }
            if before.phase != phase {
                self.info.remove(&labels(key, before.phase));
            }
        }
        self.info.get_or_create(&labels(key, phase)).set(1);
        let (namespace, name) = key.clone();
        for problem in PROBLEMS {
            let mut conditions = status.conditions.iter();
            let is = conditions.any(|c| c.type_ == problem.as_str() && c.status == "True");
            let labels = problem_labels(key, problem);
            if is {
                self.problems.get_or_create(&labels).set(1);
            } else {
                self.problems.remove(&labels);
            }
        }
        let name = NameLabels { namespace, name };
        let step = status.step.as_ref().map_or(0, |step| step.index);
        self.step.get_or_create(&name).set(i64::from(step));
        let weight = status.weights.map_or(0, |weights| weights.canary);
        self.weight.get_or_create(&name).set(i64::from(weight));
    }

    /// A Rollout is gone.
    pub fn forget(&self, key: &Key) {
        if let Some(Seen { phase, .. }) = self.seen().remove(key) {
            self.info.remove(&labels(key, phase));
            for problem in PROBLEMS {
                self.problems.remove(&problem_labels(key, problem));
            }
            let name = NameLabels { namespace: key.0.clone(), name: key.1.clone() };
            self.step.remove(&name);
            self.weight.remove(&name);
        }
    }

    /// A pass is over.
    pub fn reconciled(&self, kind: &str, took: Duration) {
        let labels = KindLabels { kind: kind.to_owned() };
        self.reconciles.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// A call to the API server was answered.
    pub fn called(&self, verb: &str, resource: &str, code: u16) {
        let labels = CallLabels { verb: verb.to_owned(), resource: resource.to_owned(), code };
        self.calls.get_or_create(&labels).inc();
    }

    /// An AnalysisRun has its verdict.
    pub fn judged(&self, verdict: Verdict) {
        self.verdicts.get_or_create(&VerdictLabels { verdict: verdict.to_string() }).inc();
    }

    /// Requests to a revision whose pods are due to go were looked for.
    pub fn drain_checked(&self, found: &'static str) {
        self.drain_checks.get_or_create(&FoundLabels { found }).inc();
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, BTreeMap<Key, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn problem_labels((namespace, name): &Key, problem: ConditionType) -> ProblemLabels {
    ProblemLabels { namespace: namespace.clone(), name: name.clone(), problem: problem.as_str() }
}

fn labels((namespace, name): &Key, phase: String) -> RolloutLabels {
    RolloutLabels { namespace: namespace.clone(), name: name.clone(), phase }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rollout_has_one_phase_and_leaves_nothing_behind() {
        let metrics = Metrics::default();
        let key = ("shop".to_owned(), "web".to_owned());
        let mut status =
            RolloutStatus { phase: Some(Phase::Progressing), ..RolloutStatus::default() };
        metrics.observe(&key, &status);
        status.phase = Some(Phase::Healthy);
        metrics.observe(&key, &status);
        let text = metrics.text();
        assert!(
            text.contains(r#"sluice_rollout_info{namespace="shop",name="web",phase="Healthy"} 1"#),
            "{text}"
        );
        assert!(!text.contains("Progressing"), "{text}");
        metrics.forget(&key);
        assert!(!metrics.text().contains("shop"), "{}", metrics.text());
    }

    #[test]
    fn a_problem_is_there_while_it_lasts_and_each_end_counts_once() {
        let metrics = Metrics::default();
        let key = ("shop".to_owned(), "web".to_owned());
        let status =
            |value: serde_json::Value| -> RolloutStatus { serde_json::from_value(value).unwrap() };
        let contested = json!([{"type": "RouteContested", "status": "True", "reason": "r",
            "message": "", "lastTransitionTime": "2026-11-21T00:00:00Z"}]);
        let ended = |number: i64, outcome: &str| {
            json!([{"revision": "a", "number": number, "attempt": 1, "outcome": outcome,
                    "startedAt": "2026-11-21T00:00:00Z"}])
        };
        metrics.observe(&key, &status(json!({"history": ended(1, "Promoted")})));
        let now = json!({"conditions": contested, "history": ended(2, "Aborted")});
        metrics.observe(&key, &status(now.clone()));
        metrics.observe(&key, &status(now));
        let text = metrics.text();
        assert!(text.contains(r#"problem="RouteContested"} 1"#), "{text}");
        assert!(text.contains(r#"sluice_releases_total{outcome="Aborted"} 1"#), "{text}");
        assert!(!text.contains("Promoted"), "ended before this process began: {text}");
        metrics.observe(&key, &status(json!({"history": ended(2, "Aborted")})));
        assert!(!metrics.text().contains("RouteContested\""), "{}", metrics.text());
    }
}
