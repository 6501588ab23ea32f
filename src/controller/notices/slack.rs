//! One step towards what Slack should show.

use serde_json::Value;

use super::{Speaker, Step};
use crate::notify::{
    config::{Config, Slack},
    facts,
    next::{Memo, Next, Saved, next},
    outbox::{self, GONE},
    slack::{
        api::{self, Mark, Outcome, Place},
        message::blocks,
    },
};

/// Pages of a channel that are searched for a message. Then it counts as not posted.
const PAGES: usize = 50;

/// Seconds by which Slack's clock may be behind ours.
const SKEW: i64 = 60;

/// Longest text of a message, in characters; Slack takes 3000.
const LONGEST: usize = 2900;

/// The name that Slack's rate limits go by.
const SERVICE: &str = "slack";

/// What the message should show.
struct Wanted {
    text: String,
    blocks: Value,
    /// Both, to compare. In the end it is what the outbox has.
    shown: String,
}

/// Does the next thing.
pub(super) async fn step(speaker: &mut Speaker<'_>, channel: &str) -> Step {
    let config = speaker.context.notifier.config();
    let slack = config.slack.as_ref();
    let Some((slack, channel)) =
        slack.and_then(|slack| Some((slack, slack.channels.get(channel)?)))
    else {
        return Step::Rest(None);
    };
    let (now, entry) = (speaker.now(), speaker.entry.clone());
    let memo = speaker.context.notifier.memo(speaker.key, &entry, now);
    let wanted = wanted(speaker, &config);
    let next = next(&entry, &wanted.shown, &memo, now);
    match next {
        Next::Save(saved) => return speaker.save(saved).await,
        Next::Wait(at) => return Step::Rest(Some(at)),
        Next::Rest => return Step::Rest(None),
        _ => {}
    }
    if let Some(until) = speaker.context.notifier.held(SERVICE, now) {
        return Step::Rest(Some(until));
    }
    let Some(place) = Place::read(&entry.message) else {
        return match next {
            Next::PostMessage => post(speaker, slack, channel, &wanted).await,
            _ => find_message(speaker, slack, channel).await,
        };
    };
    match next {
        Next::Edit => edit(speaker, slack, &place, wanted).await,
        Next::Reply => reply(speaker, slack, &place).await,
        _ => find_reply(speaker, slack, &place).await,
    }
}

fn wanted(speaker: &Speaker<'_>, config: &Config) -> Wanted {
    let (world, entry) = (&speaker.world, &speaker.entry);
    let status = &*world.rollout.status;
    let open = facts::open(status).filter(|open| facts::key(open) == entry.release);
    let (text, blocks) = match open {
        _ if !entry.end.is_empty() => {
            let text = cut(&entry.end);
            let blocks = blocks(&text, None);
            return Wanted { text, blocks, shown: entry.end.clone() };
        }
        None => ("this release is over".to_owned(), blocks("this release is over", None)),
        Some(open) => {
            let values = outbox::escaped(&facts::values(world, status, open));
            let text = cut(&outbox::live(&config.words, &values));
            let blocks = blocks(&text, Some(world));
            (text, blocks)
        }
    };
    let shown = format!("{text}{blocks}");
    Wanted { text, blocks, shown }
}

/// What Slack takes as the text of one block.
fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

/// What tells the messages about this release apart from all others.
fn mark(speaker: &Speaker<'_>, number: u32) -> Mark {
    let release = format!("{}/{}", speaker.world.rollout.uid, speaker.entry.release);
    Mark { release, number }
}

async fn post(speaker: &mut Speaker<'_>, slack: &Slack, channel: &str, wanted: &Wanted) -> Step {
    let mark = mark(speaker, 0);
    let request = api::post(slack, channel, &wanted.text, &wanted.blocks, &mark);
    let outcome = api::read(speaker.send(request).await);
    let Outcome::Done(body) = &outcome else { return failed(speaker, outcome, true).await };
    let Some(place) = Place::of(body) else {
        let outcome = Outcome::Unknown("Slack did not say where the message stands".to_owned());
        return failed(speaker, outcome, true).await;
    };
    let now = speaker.now();
    speaker.context.notifier.learn(speaker.key, &speaker.entry, |memo| {
        memo.know();
        memo.shown = Some(wanted.shown.clone());
        memo.edited = Some(now);
    });
    speaker.save(Saved::Message(place.to_string())).await
}

async fn reply(speaker: &mut Speaker<'_>, slack: &Slack, place: &Place) -> Step {
    let Some(fact) = speaker.entry.pending.first() else { return Step::Rest(None) };
    let number = speaker.entry.sent + 1;
    let request = api::reply(slack, place, &fact.text, &mark(speaker, number));
    match api::read(speaker.send(request).await) {
        Outcome::Done(_) => {
            speaker.context.notifier.learn(speaker.key, &speaker.entry, Memo::know);
            speaker.save(Saved::Told(number)).await
        }
        Outcome::Gone => speaker.save(Saved::Message(GONE.to_owned())).await,
        outcome => failed(speaker, outcome, true).await,
    }
}

/// An edit that is made twice harms nobody.
async fn edit(speaker: &mut Speaker<'_>, slack: &Slack, place: &Place, wanted: Wanted) -> Step {
    let mark = mark(speaker, 0);
    let request = api::update(slack, place, &wanted.text, &wanted.blocks, &mark);
    let outcome = api::read(speaker.send(request).await);
    let problem = match outcome {
        Outcome::Done(_) => None,
        // It may be too old to be edited; its thread goes on.
        Outcome::Refused(why) => Some(why),
        Outcome::Gone => return speaker.save(Saved::Message(GONE.to_owned())).await,
        outcome => return failed(speaker, outcome, false).await,
    };
    if let Some(why) = problem {
        let problem = format!("{}: the message cannot be edited: {why}", speaker.entry.to);
        super::tell(speaker.context, &speaker.world, vec![problem]).await;
    }
    let now = speaker.now();
    speaker.context.notifier.learn(speaker.key, &speaker.entry, |memo| {
        memo.failures = 0;
        memo.not_before = None;
        memo.shown = Some(wanted.shown);
        memo.edited = Some(now);
    });
    Step::Again
}

async fn find_message(speaker: &mut Speaker<'_>, slack: &Slack, channel: &str) -> Step {
    let started = speaker.entry.release.split('/').nth(1).and_then(|at| at.parse::<i64>().ok());
    let oldest = started.unwrap_or(0) - SKEW;
    let mark = mark(speaker, 0);
    match search(speaker, &mark, |cursor| api::history(slack, channel, oldest, cursor)).await {
        Ok(found) => {
            speaker.context.notifier.learn(speaker.key, &speaker.entry, Memo::know);
            match found {
                Some(ts) => {
                    let place = Place { channel: channel.to_owned(), ts };
                    speaker.save(Saved::Message(place.to_string())).await
                }
                None => Step::Again,
            }
        }
        Err(outcome) => failed(speaker, outcome, false).await,
    }
}

async fn find_reply(speaker: &mut Speaker<'_>, slack: &Slack, place: &Place) -> Step {
    let number = speaker.entry.sent + 1;
    let mark = mark(speaker, number);
    match search(speaker, &mark, |cursor| api::replies(slack, place, cursor)).await {
        Ok(found) => {
            speaker.context.notifier.learn(speaker.key, &speaker.entry, Memo::know);
            match found {
                Some(_) => speaker.save(Saved::Told(number)).await,
                None => Step::Again,
            }
        }
        Err(Outcome::Gone) => speaker.save(Saved::Message(GONE.to_owned())).await,
        Err(outcome) => failed(speaker, outcome, false).await,
    }
}

/// Looks for a message, page by page.
async fn search(
    speaker: &Speaker<'_>,
    mark: &Mark,
    page: impl Fn(&str) -> crate::notify::http::Request,
) -> Result<Option<String>, Outcome> {
    let mut cursor = String::new();
    for _ in 0..PAGES {
        let body = match api::read(speaker.send(page(&cursor)).await) {
            Outcome::Done(body) => body,
            other => return Err(other),
        };
        match api::find(&body, mark) {
            Ok(ts) => return Ok(Some(ts)),
            Err(Some(next)) => cursor = next,
            Err(None) => return Ok(None),
        }
    }
    Ok(None)
}

/// What follows from an answer that is no yes.
async fn failed(speaker: &Speaker<'_>, outcome: Outcome, posting: bool) -> Step {
    let now = speaker.now();
    match outcome {
        Outcome::Later(seconds) => {
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX).clamp(1, 3600);
            let until = now.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(now);
            speaker.context.notifier.hold(SERVICE, until);
            tracing::info!(seconds, "Slack asks to wait");
            Step::Rest(Some(until))
        }
        Outcome::Unknown(why) => {
            if posting {
                speaker.context.notifier.learn(speaker.key, &speaker.entry, |memo| memo.doubt(now));
            }
            speaker.later(&why)
        }
        Outcome::Failed(why) => speaker.later(&why),
        Outcome::Refused(why) => speaker.refused(&why).await,
        Outcome::Gone | Outcome::Done(_) => speaker.later("the message is not there"),
    }
}
