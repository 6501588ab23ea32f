//! Which revision `undo` goes back to. Pure.
//!
//! In: the Rollout, the revisions whose ReplicaSets are still there, and the fingerprint of the
//! template that stands in the spec now. Out: one of them, or the sentence that says why not.

use crate::{
    api::{Outcome, Rollout, RolloutStatus},
    cli::{
        exit::Failure,
        state::{self, Release},
    },
};

/// A revision whose ReplicaSet is still there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its running number.
    pub number: i64,
    /// Its hash.
    pub revision: String,
    /// Its images.
    pub images: Vec<String>,
    /// Fingerprint of its template.
    pub fingerprint: String,
}

impl Kept {
    /// `revision 2 (web:1.4)`.
    pub fn text(&self) -> String {
        if self.images.is_empty() {
            return format!("revision {}", self.number);
        }
        format!("revision {} ({})", self.number, self.images.join(", "))
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Go back to this one.
    Back(Kept),
    /// The template is that of this one already.
    Already(Kept),
}

/// Chooses. `present` is the fingerprint of the template of now, `to` the number that was asked for.
///
/// # Errors
/// There is no such revision: a sentence that lists those that there are.
pub fn choose(
    rollout: &Rollout,
    kept: &[Kept],
    present: &str,
    to: Option<i64>,
) -> Result<Choice, Failure> {
    if rollout.metadata.deletion_timestamp.is_some() {
        return Err(Failure::plain("the Rollout is being deleted, so there is nothing to undo"));
    }
    let status = rollout.status.as_ref().filter(|_| state::release(rollout) != Release::Unseen);
    let Some(status) = status else {
        return Err(Failure::plain(
            "the controller has not looked at this Rollout yet, so there is no revision to go back to; see `kubectl sluice status`, and whether the controller runs",
        ));
    };
    let chosen = match to {
        Some(number) => numbered(status, kept, number)?,
        None => earlier(rollout, status, kept, present)?,
    };
    if chosen.fingerprint == present {
        return Ok(Choice::Already(chosen.clone()));
    }
    Ok(Choice::Back(chosen.clone()))
}

/// The revision with this number. A revision that came back has a second number in the history.
fn numbered<'a>(
    status: &RolloutStatus,
    kept: &'a [Kept],
    number: i64,
) -> Result<&'a Kept, Failure> {
    let by_hash = |hash: &str| kept.iter().find(|kept| kept.revision == hash);
    let recorded = status.history.iter().find(|release| release.number == number);
    let found = kept.iter().find(|kept| kept.number == number);
    if let Some(found) = found.or_else(|| recorded.and_then(|release| by_hash(&release.revision))) {
        return Ok(found);
    }
    let why = match recorded {
        Some(_) => format!(
            "the ReplicaSet of revision {number} is gone, and with it its pod template (spec.revisionHistoryLimit says how many are kept)"
        ),
        None => format!("there is no revision {number}"),
    };
    Err(Failure::plain(format!("{why}; {}", list(status, kept))))
}

/// The stable revision during a release, else the one that was stable before it.
fn earlier<'a>(
    rollout: &Rollout,
    status: &RolloutStatus,
    kept: &'a [Kept],
    present: &str,
) -> Result<&'a Kept, Failure> {
    let Some(stable) = status.stable_revision.as_deref() else {
        return Err(Failure::plain(
            "this is the first deployment, so there is no earlier revision to go back to; apply a version that works",
        ));
    };
    let by_hash = |hash: &str| kept.iter().find(|kept| kept.revision == hash);
    if state::release(rollout) != Release::Complete {
        return by_hash(stable).ok_or_else(|| gone(status, kept, "the stable revision"));
    }
    let is_present = |kept: &Kept| kept.fingerprint == present;
    if !by_hash(stable).map_or_else(|| state::observed(rollout), is_present) {
        return Err(Failure::plain(
            "the controller has not looked at the newest template yet, so it is not clear which release this is about; try again in a moment, or name a revision with --to-revision",
        ));
    }
    let mut before = status
        .history
        .iter()
        .filter(|release| release.outcome == Some(Outcome::Promoted) && release.revision != stable);
    let was_stable = before.clone().next().is_some();
    match before.find_map(|release| by_hash(&release.revision)) {
        Some(found) => Ok(found),
        None if was_stable => Err(gone(status, kept, "every revision that was stable before")),
        None => Err(Failure::plain(format!(
            "no revision was stable before the present one, so there is none to go back to; {}",
            list(status, kept)
        ))),
    }
}

fn gone(status: &RolloutStatus, kept: &[Kept], what: &str) -> Failure {
    Failure::plain(format!(
        "{what} has lost its ReplicaSet, and with it its pod template (spec.revisionHistoryLimit says how many are kept); {}",
        list(status, kept)
    ))
}

/// The revisions that there are, newest first.
fn list(status: &RolloutStatus, kept: &[Kept]) -> String {
    let mut kept: Vec<&Kept> = kept.iter().collect();
    kept.sort_by_key(|kept| std::cmp::Reverse(kept.number));
    let one = |kept: &&Kept| {
        let is = |hash: &Option<String>| hash.as_ref() == Some(&kept.revision);
        let role = match (is(&status.stable_revision), is(&status.current_revision)) {
            (true, _) => ", stable",
            (false, true) => ", newest",
            (false, false) => "",
        };
        format!("{} ({}{role})", kept.number, kept.images.join(", "))
    };
    match kept.iter().map(one).collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => "no revision is kept".to_owned(),
        list => format!("those that are kept: {list}"),
    }
}

#[cfg(test)]
mod tests;
