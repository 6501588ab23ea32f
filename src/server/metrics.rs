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
    api::{Phase, RolloutStatus, Verdict},
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
    phases: Mutex<BTreeMap<Key, String>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("sluice");
        let reconciles: Durations = Family::new_with_constructor(durations);
        let metrics = Self {
            info: Family::default(),
            step: Family::default(),
            weight: Family::default(),
            reconciles,
            calls: Family::default(),
            verdicts: Family::default(),
            drain_checks: Family::default(),
            panics: Counter::default(),
            write_errors: Counter::default(),
            watch_errors: Counter::default(),
            queue: Gauge::default(),
            phases: Mutex::default(),
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
    pub fn observe(&self, (namespace, name): &Key, status: &RolloutStatus) {
        let phase = status.phase.unwrap_or(Phase::Progressing).to_string();
        let key = (namespace.clone(), name.clone());
        let before = self.phases().insert(key.clone(), phase.clone());
        if let Some(before) = before.filter(|before| *before != phase) {
            self.info.remove(&labels(&key, before));
        }
        self.info.get_or_create(&labels(&key, phase)).set(1);
        let name = NameLabels { namespace: key.0, name: key.1 };
        let step = status.step.as_ref().map_or(0, |step| step.index);
        self.step.get_or_create(&name).set(i64::from(step));
        let weight = status.weights.map_or(0, |weights| weights.canary);
        self.weight.get_or_create(&name).set(i64::from(weight));
    }

    /// A Rollout is gone.
    pub fn forget(&self, key: &Key) {
        if let Some(phase) = self.phases().remove(key) {
            self.info.remove(&labels(key, phase));
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

    fn phases(&self) -> std::sync::MutexGuard<'_, BTreeMap<Key, String>> {
        self.phases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn labels((namespace, name): &Key, phase: String) -> RolloutLabels {
    RolloutLabels { namespace: namespace.clone(), name: name.clone(), phase }
}

#[cfg(test)]
mod tests {
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
}
