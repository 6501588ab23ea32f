//! The outbox: what is still to be said, and to whom, after a pass.
//!
//! In: a world, the status that its plan writes, and who is told. Out: the notifications that belong
//! into that status. An entry stands for one target and one release, from the write that begins the
//! release to the moment at which all is said.

use std::collections::BTreeSet;

use super::{
    alert,
    facts::{self, Happening},
    target::Target,
    words::{Values, Words},
};
use crate::{
    api::{Fact, FactKind, Notification, RolloutStatus},
    world::World,
};

/// Facts that wait at most, while a target does not answer. Then the oldest but one is left out.
const MOST: usize = 40;

/// Where a message was that somebody has deleted: nothing more is said there.
pub const GONE: &str = "gone";

/// The notifications that belong into the status `after` a pass.
pub fn record(
    world: &World,
    after: &RolloutStatus,
    targets: &[Target],
    words: &Words,
) -> Vec<Notification> {
    let names: BTreeSet<String> = targets.iter().map(Target::to_string).collect();
    let before = world.rollout.status.notifications.iter();
    let mut list: Vec<Notification> =
        before.filter(|entry| names.contains(&entry.to)).cloned().collect();
    if world.rollout.deleting || targets.is_empty() {
        return list;
    }
    let happened = facts::between(world, after);
    for target in targets {
        match target {
            Target::Alertmanager => alert::record(after, &target.to_string(), &mut list),
            Target::Slack(_) | Target::Webhook(_) => {
                let teller = Teller { world, after, target, words };
                teller.record(&happened, &mut list);
            }
        }
    }
    list
}

struct Teller<'a> {
    world: &'a World,
    after: &'a RolloutStatus,
    target: &'a Target,
    words: &'a Words,
}

impl Teller<'_> {
    fn record(&self, happened: &[Happening], list: &mut Vec<Notification>) {
        let to = self.target.to_string();
        if let Some(open) = facts::open(self.after) {
            let release = facts::key(open);
            if !list.iter().any(|entry| entry.to == to && entry.release == release) {
                let begins = happened.iter().any(|one| one.kind == FactKind::Started);
                let mut entry = Notification { to: to.clone(), release, ..Notification::default() };
                if !begins {
                    // Somebody subscribed in mid-release: told from here on.
                    let values = facts::values(self.world, self.after, open);
                    entry.pending.push(self.fact(FactKind::Started, "started", &values));
                }
                list.push(entry);
            }
        }
        for one in happened {
            let mine = |entry: &&mut Notification| entry.to == to && entry.release == one.release;
            let Some(entry) = list.iter_mut().find(mine) else { continue };
            if entry.message != GONE {
                entry.pending.push(self.fact(one.kind, one.words, &one.values));
                if entry.pending.len() > MOST {
                    entry.pending.remove(1);
                }
            }
            let over =
                matches!(one.kind, FactKind::Promoted | FactKind::Aborted | FactKind::Superseded);
            if over {
                entry.end = ended(self.words, &self.spoken(&one.values));
            }
        }
    }

    fn fact(&self, kind: FactKind, words: &str, values: &Values) -> Fact {
        let text = self.words.say(words, &self.spoken(values));
        Fact { kind, at: self.world.now, text }
    }

    /// Values as this target wants them.
    fn spoken(&self, values: &Values) -> Values {
        match self.target {
            Target::Slack(_) => escaped(values),
            Target::Webhook(_) | Target::Alertmanager => values.clone(),
        }
    }
}

/// Values in which nothing is markup to Slack: a reason that somebody wrote calls nobody.
pub fn escaped(values: &Values) -> Values {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    values.iter().map(|(place, text)| (*place, escape(text))).collect()
}

/// The message about a release while it is under way.
pub fn live(words: &Words, values: &Values) -> String {
    format!("{}\n{}", words.say("title", values), words.say("live", values))
}

fn ended(words: &Words, values: &Values) -> String {
    format!("{}\n{}", words.say("title", values), words.say("end", values))
}
