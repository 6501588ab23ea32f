//! The looks at the metrics that plans ask for, before pods go. Each is an item of its own in the
//! queue: no pass over a Rollout waits for Prometheus.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures::future::join_all;
use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::{Context, reconcile::Outcome};
use crate::{
    analysis::provider::prometheus::{self, Series},
    observe::{Touched, cache::Key},
    plan::Question,
    world::drain::{Counter, Evidence, evidence},
};

/// Queries that are under way at once, whatever the number of Rollouts: Prometheus has others to serve.
const AT_ONCE: usize = 8;

/// Time that an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What is to be asked.
#[derive(Debug)]
pub(super) struct Questions {
    waiting: Mutex<BTreeMap<Key, Vec<Question>>>,
    slots: Semaphore,
}

impl Default for Questions {
    fn default() -> Self {
        Self { waiting: Mutex::default(), slots: Semaphore::new(AT_ONCE) }
    }
}

impl Questions {
    /// Notes what to ask about a Rollout.
    pub(super) fn ask(&self, context: &Context, key: &Key, questions: Vec<Question>) {
        let now = context.clock.now();
        for question in &questions {
            context.caches.drains.asked(key, &question.revision, question.since, now);
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.insert(key.clone(), questions);
    }

    fn take(&self, key: &Key) -> Vec<Question> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.remove(key).unwrap_or_default()
    }
}

/// Asks Prometheus, and remembers what it says.
pub(super) async fn look(context: &Context, key: &Key) -> Outcome {
    let questions = context.questions.take(key);
    if questions.is_empty() {
        return Outcome::default();
    }
    join_all(questions.iter().map(|question| ask(context, key, question))).await;
    Outcome { touched: [Touched::Rollout(key.clone())].into(), next_check: None }
}

async fn ask(context: &Context, key: &Key, question: &Question) {
    // It is never closed.
    let _slot = context.questions.slots.acquire().await;
    let now = context.clock.now();
    let url = context.settings.prometheus_url.as_deref().unwrap_or_default();
    let found = prometheus::samples(&question.query, url, &context.http, TIMEOUT, now).await;
    let found = match found {
        Ok(series) => {
            let counters: Vec<Counter> = series.iter().map(counter).collect();
            evidence(&counters, question.since, now)
        }
        Err(error) => {
            let revision = &question.revision;
            tracing::warn!(error, revision, "requests to an old revision could not be counted");
            Evidence::NoAnswer
        }
    };
    context.metrics.drain_checked(found.as_str());
    let (revision, since) = (&question.revision, question.since);
    context.caches.drains.answered(key, revision, since, found, context.clock.now());
}

fn counter(series: &Series) -> Counter {
    let label = |name: &str| series.labels.get(name).cloned().unwrap_or_default();
    let from = match (label("source_workload_namespace"), label("source_workload")) {
        (_, name) if name.is_empty() => name,
        (namespace, name) => format!("{namespace}/{name}"),
    };
    let at = |seconds: f64| {
        #[expect(clippy::cast_possible_truncation, reason = "a time out of range is none")]
        Timestamp::from_millisecond((seconds * 1000.0).round() as i64).ok()
    };
    let samples = series.samples.iter();
    let samples = samples.filter_map(|(seconds, value)| Some((at(*seconds)?, *value)));
    Counter { reporter: label("reporter"), from, samples: samples.collect() }
}
