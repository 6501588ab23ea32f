//! One pass over one Rollout: observe → plan → apply.

use std::{collections::BTreeSet, time::Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Context, events};
use crate::{
    api::{ConditionType, Phase, Reason, RolloutStatus},
    apply::Error,
    observe::{Touched, cache::Key},
    plan::{self, Plan},
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
            Outcome::default()
        }
        Some(Err(error)) => malformed(context, key, &error).await,
        Some(Ok(world)) => pass(context, &world).await,
    };
    context.metrics.reconciled("Rollout", started.elapsed());
    outcome
}

async fn pass(context: &Context, world: &World) -> Outcome {
    let key = (world.rollout.namespace.clone(), world.rollout.name.clone());
    let plan = plan::plan(world);
    context.metrics.observe(&key, &plan.status);
    // A refused write waits, but nothing keeps an abort waiting.
    let calm = world.rollout.command.is_none() && plan.status.abort == world.rollout.status.abort;
    if let Some(until) = context.refusals.until(&key, world.rollout.generation, world.now)
        && calm
    {
        return Outcome { touched: BTreeSet::new(), next_check: Some(until) };
    }
    if plan.actions.is_empty() {
        return Outcome { touched: BTreeSet::new(), next_check: plan.next_check };
    }
    let istio_version = context.istio_version();
    let applier = context.applier(&istio_version);
    match applier.run(world, &plan.actions).await {
        Ok(touched) => {
            context.refusals.forget(&key);
            events::publish(context, world, &plan.notes).await;
            Outcome { touched, next_check: plan.next_check }
        }
        Err((touched, error)) => {
            let outcome = failed(context, world, &plan, &error).await;
            let touched = touched.into_iter().chain(outcome.touched).collect();
            Outcome { touched, next_check: outcome.next_check }
        }
    }
}

/// What to do about a write that failed, by its class: look again, wait, or ask a person.
async fn failed(context: &Context, world: &World, plan: &Plan, error: &Error) -> Outcome {
    let key = (world.rollout.namespace.clone(), world.rollout.name.clone());
    match error {
        Error::Conflict { .. } => {
            tracing::debug!(%error, "looking again");
            Outcome::again_in(world.now, 20)
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
            let until = context.refusals.remember(&key, world.rollout.generation, world.now);
            let touched = tell(context, world, plan, &error.to_string()).await;
            Outcome { touched, next_check: Some(until) }
        }
    }
}

/// Shows in the status what the API server refused; the release stays where it is.
async fn tell(context: &Context, world: &World, plan: &Plan, error: &str) -> BTreeSet<Touched> {
    let mut status: RolloutStatus = (*world.rollout.status).clone();
    // Read again: the status may have been written before the write that failed.
    let key = (world.rollout.namespace.clone(), world.rollout.name.clone());
    let Some(Ok(fresh)) = context.caches.world(&key, context.clock.now()) else {
        return BTreeSet::new();
    };
    if fresh.rollout.resource_version != world.rollout.resource_version {
        status = (*fresh.rollout.status).clone();
    }
    status.phase = Some(Phase::Degraded);
    status.message = error.to_owned();
    status.observed_generation = Some(world.rollout.generation);
    status.conditions.clone_from(&plan.status.conditions);
    let now = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(world.now);
    let kind = ConditionType::InvalidSpec.as_str();
    let old = status.conditions.iter().find(|c| c.type_ == kind && c.status == "True").cloned();
    status.conditions.retain(|condition| condition.type_ != kind);
    status.conditions.push(k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition {
        type_: kind.to_owned(),
        status: "True".to_owned(),
        reason: Reason::InvalidSpec.to_string(),
        message: error.to_owned(),
        last_transition_time: old.map_or(now, |old| old.last_transition_time),
        observed_generation: None,
    });
    if *fresh.rollout.status == status {
        return BTreeSet::new();
    }
    let action = plan::Action {
        write: plan::Write::Status(Box::new(status)),
        why: "the API server refused a write".to_owned(),
    };
    let istio_version = context.istio_version();
    let applier = context.applier(&istio_version);
    let note =
        crate::api::Note { reason: Reason::InvalidSpec, warning: true, text: error.to_owned() };
    match applier.run(&fresh, &[action]).await {
        Ok(touched) => {
            events::publish(context, &fresh, &[note]).await;
            touched
        }
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
