//! One pass over one Rollout: observe → plan → apply.

use std::{collections::BTreeSet, time::Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Context, notices};
use crate::{
    apply::Error,
    observe::{Touched, cache::Key},
    plan,
    world::World,
};

/// What a pass leaves behind.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Who must look again because of what was written.
    pub touched: BTreeSet<Touched>,
    /// When to look at the same object again.
    pub next_check: Option<Timestamp>,
}

impl Outcome {
    fn again_in(now: Timestamp, millis: i64) -> Self {
        let at = now.checked_add(SignedDuration::from_millis(millis)).ok();
        Self { touched: BTreeSet::new(), next_check: at }
    }
}

/// Looks at one Rollout and does what is to be done.
pub async fn rollout(context: &Context, key: &Key) -> Outcome {
    let now = context.clock.now();
    let started = Instant::now();
    let outcome = match context.caches.world(key, now) {
        None => {
            context.metrics.forget(key);
            context.caches.drains.keep(key, std::iter::empty());
            context.notifier.forget(key);
            Outcome::default()
        }
        Some(Err(error)) => malformed(context, key, &error).await,
        Some(Ok(mut world)) => {
            world.refused = context.refusals.words(key, world.rollout.generation);
            pass(context, &world).await
        }
    };
    context.metrics.reconciled("Rollout", started.elapsed());
    outcome
}

async fn pass(context: &Context, world: &World) -> Outcome {
    let key = (world.rollout.namespace.clone(), world.rollout.name.clone());
    let mut plan = plan::plan(world);
    notices::record(context, world, &mut plan);
    context.metrics.observe(&key, &plan.status);
    let retiring = plan.status.retiring.iter().map(|retiring| retiring.revision.as_str());
    context.caches.drains.keep(&key, retiring);
    let mut outcome = carry_out(context, world, &key, &plan).await;
    notices::complain(context, world).await;
    outcome.touched.extend(notices::due(context, &key));
    if !plan.questions.is_empty() {
        context.questions.ask(context, &key, plan.questions);
        outcome.touched.insert(Touched::Drain(key));
    }
    outcome
}

async fn carry_out(context: &Context, world: &World, key: &Key, plan: &plan::Plan) -> Outcome {
    // A refused write waits, but nothing keeps an abort waiting.
    let calm = world.rollout.command.is_none() && plan.status.abort == world.rollout.status.abort;
    if let Some(until) = context.refusals.until(key, world.rollout.generation, world.now)
        && calm
    {
        return Outcome { touched: BTreeSet::new(), next_check: Some(until) };
    }
    if plan.actions.is_empty() {
        context.refusals.forget(key);
        return Outcome { touched: BTreeSet::new(), next_check: plan.next_check };
    }
    match context.apply(world, &plan.actions, &plan.notes).await {
        Ok(touched) => {
            context.refusals.forget(key);
            // What went through at last is not what the status says yet.
            let next_check = world.refused.as_ref().map(|_| world.now).or(plan.next_check);
            Outcome { touched, next_check }
        }
        Err((touched, error)) => {
            let outcome = failed(context, world, &error).await;
            let touched = touched.into_iter().chain(outcome.touched).collect();
            Outcome { touched, next_check: outcome.next_check }
        }
    }
}

/// What to do about a write that failed, by its class: look again, wait, or ask a person.
async fn failed(context: &Context, world: &World, error: &Error) -> Outcome {
    let key = (world.rollout.namespace.clone(), world.rollout.name.clone());
    match error {
        Error::Conflict { .. } => {
            tracing::debug!(%error, "looking again");
            Outcome::again_in(world.now, context.refusals.next_retry(&key))
        }
        Error::NameTaken { .. } => Outcome::again_in(world.now, 0),
        Error::NoLease { .. } => Outcome::default(),
        Error::Unavailable { source, .. } => {
            context.metrics.write_errors.inc();
            tracing::warn!(%error, %source, "will retry");
            let millis = context.refusals.next_retry(&key);
            Outcome::again_in(world.now, millis)
        }
        Error::Refused { .. } => {
            context.metrics.write_errors.inc();
            tracing::error!(%error, "refused by the API server");
            let (words, generation) = (error.to_string(), world.rollout.generation);
            let touched = tell(context, &key, &words).await;
            let until = context.refusals.remember(&key, generation, words, world.now);
            Outcome { touched, next_check: Some(until) }
        }
    }
}

/// Shows in the status what the API server refused; the release stays where it is.
async fn tell(context: &Context, key: &Key, error: &str) -> BTreeSet<Touched> {
    // Put together anew: the status may have been written just before the write that failed.
    let Some(Ok(world)) = context.caches.world(key, context.clock.now()) else {
        return BTreeSet::new();
    };
    let mut plan = plan::refused(&world, error);
    notices::record(context, &world, &mut plan);
    match context.apply(&world, &plan.actions, &plan.notes).await {
        Ok(touched) => touched,
        Err((touched, error)) => {
            tracing::warn!(%error, "the refusal could not be shown in the status");
            touched
        }
    }
}

/// Shows in the status why an object in the cluster is no Rollout; others are not disturbed.
async fn malformed(context: &Context, key: &Key, error: &str) -> Outcome {
    let message = format!("this object cannot be read as a Rollout: {error}");
    tracing::error!(namespace = key.0, name = key.1, error, "malformed Rollout");
    if !context.refusals.is_news(key, &message) {
        return Outcome::default();
    }
    let patch = json!({"status": {"phase": "Degraded", "message": message}});
    if !crate::apply::Fence::is_open(&*context.fence) {
        return Outcome::default();
    }
    let api = context.rollouts(&key.0);
    let params = kube::api::PatchParams {
        field_manager: Some(plan::FIELD_MANAGER.into()),
        ..kube::api::PatchParams::default()
    };
    if let Err(error) = api.patch_status(&key.1, &params, &kube::api::Patch::Merge(patch)).await {
        tracing::warn!(%error, "the error could not be shown in the status");
    }
    Outcome::default()
}
