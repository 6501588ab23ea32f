//! Says what the outbox holds. An item of the queue for each Rollout and target: no pass over a
//! Rollout waits for Slack, and no target for another. What to do is decided in `notify`.

mod alerts;
mod slack;
mod webhook;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{Context, events, reconcile::Outcome};
use crate::{
    api::{Note, Notification, Reason},
    apply::{Error, Fence},
    notify::{
        http::{Answer, Failure, Request},
        next::Saved,
        target::Target,
    },
    observe::{Touched, cache::Key},
    plan::{Action, Plan, Write},
    world::World,
};

/// Things that are done at one look.
const MOST: usize = 20;

/// Where the names of Events begin that do not come from a pass.
const BESIDE: usize = 100;

/// Pause after a write that conflicted: by then the watch has brought what others wrote.
const RETRY: SignedDuration = SignedDuration::from_millis(50);

/// What a step of a look leads to.
enum Step {
    /// Something was done: look again.
    Again,
    /// Nothing is to be done before that time; none: until something happens.
    Rest(Option<Timestamp>),
}

/// Puts what is to be said into the status that the plan writes. A subscription that comes in
/// mid-release, or an alert, is reason enough for a write.
pub(super) fn record(context: &Context, world: &World, plan: &mut Plan) {
    let Some(list) = context.notifier.record(world, &plan.status) else { return };
    let mut statuses = plan.actions.iter_mut().filter_map(|action| match &mut action.write {
        Write::Status(status) => Some(status),
        _ => None,
    });
    if let Some(status) = statuses.next() {
        status.notifications.clone_from(&list);
        plan.status.notifications = list;
    } else if plan.actions.is_empty() {
        let mut status = (*world.rollout.status).clone();
        status.notifications = list;
        let write = Write::Status(Box::new(status));
        plan.actions.push(Action { write, why: "people are told of this release".to_owned() });
    }
}

/// What is to be said after a pass.
pub(super) fn due(context: &Context, key: &Key) -> BTreeSet<Touched> {
    let Some(entry) = context.caches.rollouts.get(&key.0, &key.1) else { return BTreeSet::new() };
    let Ok((_, status)) = &entry.value.parsed else { return BTreeSet::new() };
    let targets = status.notifications.iter().map(|entry| entry.to.clone());
    targets.map(|to| Touched::Notice(key.clone(), to)).collect()
}

/// Publishes what is wrong with a subscription, once.
pub(super) async fn complain(context: &Context, world: &World) {
    let problems = context.notifier.subscription(world).problems;
    tell(context, world, problems).await;
}

/// Says that somebody cannot be told: as an Event, and in the log.
async fn tell(context: &Context, world: &World, problems: Vec<String>) {
    if !context.fence.is_open() {
        return;
    }
    let key = (world.rollout.namespace.clone(), world.rollout.name.clone());
    let news = context.notifier.news(&key, problems);
    let notes: Vec<Note> = news
        .into_iter()
        .map(|text| {
            tracing::warn!(problem = text, "somebody who is to be told of a release cannot be");
            Note { reason: Reason::NotificationFailed, warning: true, text }
        })
        .collect();
    events::publish_from(context, world, &notes, BESIDE).await;
}

/// Says what is to be said to one target.
pub(super) async fn look(context: &Context, key: &Key, to: &str) -> Outcome {
    let mut touched = BTreeSet::new();
    for _ in 0..MOST {
        let now = context.clock.now();
        if !context.fence.is_open() {
            return Outcome { touched, next_check: None };
        }
        let Some(Ok(world)) = context.caches.world(key, now) else {
            context.notifier.forget(key);
            return Outcome { touched, next_check: None };
        };
        let entries = &world.rollout.status.notifications;
        let Some(entry) = entries.iter().find(|entry| entry.to == to).cloned() else {
            context.notifier.keep(key, entries);
            return Outcome { touched, next_check: None };
        };
        let mut speaker = Speaker { context, key, world, entry, touched: &mut touched };
        let step = match Target::read(to) {
            Some(Target::Slack(channel)) => slack::step(&mut speaker, &channel).await,
            Some(Target::Webhook(name)) => webhook::step(&mut speaker, &name).await,
            Some(Target::Alertmanager) => alerts::step(&mut speaker).await,
            None => Step::Rest(None),
        };
        if let Step::Rest(next_check) = step {
            return Outcome { touched, next_check };
        }
    }
    Outcome { touched, next_check: Some(context.clock.now()) }
}

/// Says one thing.
struct Speaker<'a> {
    context: &'a Context,
    key: &'a Key,
    world: World,
    entry: Notification,
    touched: &'a mut BTreeSet<Touched>,
}

impl Speaker<'_> {
    fn now(&self) -> Timestamp {
        self.context.clock.now()
    }

    /// Sends a request, if the lease is still ours when its turn has come.
    async fn send(&self, request: Request) -> Result<Answer, Failure> {
        // It is never closed.
        let _slot = self.context.notifier.slots.acquire().await;
        if !self.context.fence.is_open() {
            return Err(Failure::NotSent("this controller does not hold the lease".to_owned()));
        }
        self.context.notifier.http.send(request).await
    }

    /// A failure that may pass.
    fn later(&self, why: &str) -> Step {
        let (to, release) = (&self.entry.to, &self.entry.release);
        tracing::warn!(to, release, why, "not told yet; will retry");
        Step::Rest(Some(self.context.notifier.pause(self.key, &self.entry, self.now())))
    }

    /// A failure that a person must mend.
    async fn refused(&self, why: &str) -> Step {
        let problem = format!("{} cannot be told of this release: {why}", self.entry.to);
        tell(self.context, &self.world, vec![problem]).await;
        self.context.notifier.learn(self.key, &self.entry, |memo| memo.failures = u32::MAX);
        Step::Rest(Some(self.context.notifier.pause(self.key, &self.entry, self.now())))
    }

    /// Writes into the status what came of something that was said. What came of it is remembered
    /// until that is done.
    async fn save(&mut self, saved: Saved) -> Step {
        let notifier = &self.context.notifier;
        let shown = notifier.memo(self.key, &self.entry, self.now()).shown;
        notifier.learn(self.key, &self.entry, |memo| memo.unsaved = Some(saved.clone()));
        let mut status = (*self.world.rollout.status).clone();
        let why = apply(&mut status.notifications, &self.entry, &saved, shown.as_deref());
        let write = Write::Status(Box::new(status));
        let actions = [Action { write, why: why.to_owned() }];
        match self.context.apply(&self.world, &actions, &[]).await {
            Ok(touched) => {
                self.touched.extend(touched);
                notifier.learn(self.key, &self.entry, |memo| memo.unsaved = None);
                Step::Again
            }
            Err((_, Error::NoLease { .. })) => Step::Rest(None),
            Err((_, Error::Conflict { .. })) => Step::Rest(self.now().checked_add(RETRY).ok()),
            Err((_, error)) => self.later(&error.to_string()),
        }
    }
}

/// Notes in the outbox what came of something that was said. Returns that in words.
fn apply(
    list: &mut Vec<Notification>,
    entry: &Notification,
    saved: &Saved,
    shown: Option<&str>,
) -> &'static str {
    let mine = |one: &Notification| one.to == entry.to && one.release == entry.release;
    let Some(at) = list.iter().position(mine) else { return "nothing is left to say" };
    match saved {
        Saved::Message(place) => {
            list[at].message.clone_from(place);
            "the message about the release stands"
        }
        Saved::Told(number) => {
            let one = &mut list[at];
            if one.sent + 1 == *number && !one.pending.is_empty() {
                one.pending.remove(0);
                one.sent = *number;
            }
            let said = shown == Some(one.end.as_str());
            if one.pending.is_empty() && !one.end.is_empty() && said {
                list.remove(at);
            }
            "a fact about the release has been told"
        }
        Saved::Over => {
            list.remove(at);
            "all is said"
        }
    }
}
