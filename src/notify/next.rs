//! What to do next about one message in Slack: a pure function of the outbox and of what this process
//! knows.
//!
//! Slack has no idempotency key. So each message carries a key, the outbox stands in the status before
//! anything is posted, and whoever does not know for certain what became of a post (it began after the
//! crash of another process, or the answer was lost) looks for the key before it posts again, and only
//! when the post can no longer be under way.

use jiff::{SignedDuration, Timestamp};

use super::outbox::GONE;
use crate::api::Notification;

/// A post whose answer was lost has arrived by then, or never will.
pub const SETTLE: SignedDuration = SignedDuration::from_secs(10);

/// The least time between two edits of one message.
const PACE: SignedDuration = SignedDuration::from_secs(3);

/// What this process knows of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memo {
    /// The release that it is about.
    pub release: String,
    /// Whether nothing of what is unsent can be in Slack.
    pub certain: bool,
    /// Since when that is not so.
    pub since: Timestamp,
    /// What the message shows, as far as it is known.
    pub shown: Option<String>,
    /// When it was edited last.
    pub edited: Option<Timestamp>,
    /// What came of a post and is not yet in the status.
    pub unsaved: Option<Saved>,
    /// Nothing is sent before this.
    pub not_before: Option<Timestamp>,
    /// Failures in a row.
    pub failures: u32,
}

/// What came of a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saved {
    /// The message stands here.
    Message(String),
    /// The first of the pending facts has been told; the number is its own.
    Told(u32),
    /// All is said.
    Over,
}

impl Memo {
    /// A memo of an entry that this process made itself, or found.
    pub fn new(release: &str, certain: bool, since: Timestamp) -> Self {
        Self {
            release: release.to_owned(),
            certain,
            since,
            shown: None,
            edited: None,
            unsaved: None,
            not_before: None,
            failures: 0,
        }
    }

    /// The answer to a post was lost at `now`.
    pub fn doubt(&mut self, now: Timestamp) {
        self.certain = false;
        self.since = now;
    }

    /// What became of the last post is known.
    pub fn know(&mut self) {
        self.certain = true;
        self.failures = 0;
        self.not_before = None;
    }
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Write into the status what came of a post.
    Save(Saved),
    /// Look whether the message stands already.
    FindMessage,
    /// Post the message.
    PostMessage,
    /// Edit the message.
    Edit,
    /// Look whether the first pending fact has been told already.
    FindReply,
    /// Tell the first pending fact in the thread.
    Reply,
    /// Nothing before this time.
    Wait(Timestamp),
    /// Nothing until something happens.
    Rest,
}

/// What to do next for `entry`, whose message should read `wanted`.
pub fn next(entry: &Notification, wanted: &str, memo: &Memo, now: Timestamp) -> Next {
    if let Some(saved) = &memo.unsaved {
        return Next::Save(saved.clone());
    }
    if entry.message == GONE {
        return if entry.end.is_empty() { Next::Rest } else { Next::Save(Saved::Over) };
    }
    if let Some(at) = memo.not_before.filter(|at| *at > now) {
        return Next::Wait(at);
    }
    let settled = memo.since.checked_add(SETTLE).unwrap_or(now);
    let look = |find: Next| if settled > now { Next::Wait(settled) } else { find };
    if entry.message.is_empty() {
        return if memo.certain { Next::PostMessage } else { look(Next::FindMessage) };
    }
    let differs = memo.shown.as_deref() != Some(wanted);
    let paced = memo.edited.and_then(|edited| edited.checked_add(PACE).ok());
    let paced = paced.filter(|at| *at > now);
    // An end is worth an edit at once.
    if differs && (paced.is_none() || !entry.end.is_empty()) {
        return Next::Edit;
    }
    if !entry.pending.is_empty() {
        return if memo.certain { Next::Reply } else { look(Next::FindReply) };
    }
    if !entry.end.is_empty() && !differs {
        return Next::Save(Saved::Over);
    }
    match paced.filter(|_| differs) {
        Some(at) => Next::Wait(at),
        None => Next::Rest,
    }
}
