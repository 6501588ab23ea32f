//! One step towards the alerts that should stand.

use super::{Speaker, Step};
use crate::notify::{
    alert,
    config::Alertmanager,
    http::Request,
    next::{Memo, Saved},
    webhook::{Outcome, read},
};

/// Does the next thing: for the first alert that is due.
pub(super) async fn step(speaker: &mut Speaker<'_>) -> Step {
    let config = speaker.context.notifier.config();
    let Some(alertmanager) = &config.alertmanager else { return Step::Rest(None) };
    let now = speaker.now();
    let standing = alert::standing(&speaker.world.rollout.status);
    let to = speaker.entry.to.clone();
    let mut soonest = None;
    for entry in speaker.world.rollout.status.notifications.clone() {
        if entry.to != to {
            continue;
        }
        let memo = speaker.context.notifier.memo(speaker.key, &entry, now);
        let over = standing != Some(entry.release.as_str());
        let again = memo.edited.and_then(|said| said.checked_add(alert::REPEAT).ok());
        let again = again.filter(|_| !over).max(memo.not_before);
        if let Some(at) = again.filter(|at| *at > now) {
            soonest = Some(soonest.map_or(at, |soonest: jiff::Timestamp| soonest.min(at)));
            continue;
        }
        speaker.entry = entry;
        return say(speaker, alertmanager, over, &memo).await;
    }
    Step::Rest(soonest)
}

async fn say(
    speaker: &mut Speaker<'_>,
    alertmanager: &Alertmanager,
    over: bool,
    memo: &Memo,
) -> Step {
    if memo.unsaved.is_some() && over {
        return speaker.save(Saved::Over).await;
    }
    let now = speaker.now();
    let (world, name) = (&speaker.world, &speaker.entry.release);
    let body = alert::body(world, &alertmanager.labels, name, over, now);
    let mut url = alertmanager.url.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["api", "v2", "alerts"]);
    }
    let mut headers = vec![("content-type", "application/json".to_owned())];
    let token = alertmanager.token.as_ref();
    headers.extend(token.map(|token| ("authorization", format!("Bearer {}", token.0))));
    let request = Request { url, headers, body: Some(body.to_string()) };
    match read(speaker.send(request).await) {
        Outcome::Taken => {
            speaker.context.notifier.learn(speaker.key, &speaker.entry, |memo| {
                memo.know();
                memo.edited = Some(now);
            });
            if over { speaker.save(Saved::Over).await } else { Step::Again }
        }
        Outcome::Later(_, why) => speaker.later(&why),
    }
}
