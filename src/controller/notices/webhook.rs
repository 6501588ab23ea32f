//! One step towards what a webhook should know.

use jiff::SignedDuration;

use super::{Speaker, Step};
use crate::notify::{
    next::Saved,
    webhook::{Outcome, read, request},
};

/// Does the next thing.
pub(super) async fn step(speaker: &mut Speaker<'_>, name: &str) -> Step {
    let config = speaker.context.notifier.config();
    let Some(webhook) = config.webhooks.get(name) else { return Step::Rest(None) };
    let (now, entry) = (speaker.now(), speaker.entry.clone());
    let memo = speaker.context.notifier.memo(speaker.key, &entry, now);
    if let Some(saved) = memo.unsaved {
        return speaker.save(saved).await;
    }
    let Some(fact) = entry.pending.first() else {
        let over = !entry.end.is_empty();
        return if over { speaker.save(Saved::Over).await } else { Step::Rest(None) };
    };
    if let Some(at) = memo.not_before.filter(|at| *at > now) {
        return Step::Rest(Some(at));
    }
    let request = request(webhook, &speaker.world.rollout, &entry, fact, now);
    match read(speaker.send(request).await) {
        Outcome::Taken => {
            speaker.context.notifier.learn(speaker.key, &entry, |memo| {
                memo.know();
                // Nothing stands anywhere that would still have to be edited.
                memo.shown = Some(entry.end.clone());
            });
            speaker.save(Saved::Told(entry.sent + 1)).await
        }
        Outcome::Later(seconds, why) => {
            let asked = seconds.and_then(|seconds| i64::try_from(seconds).ok());
            let asked = asked.and_then(|seconds| {
                now.checked_add(SignedDuration::from_secs(seconds.clamp(1, 3600))).ok()
            });
            let step = speaker.later(&why);
            let Some(asked) = asked else { return step };
            speaker.context.notifier.learn(speaker.key, &entry, |memo| {
                memo.not_before = Some(asked);
            });
            Step::Rest(Some(asked))
        }
    }
}
