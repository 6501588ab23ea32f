//! Whether a case goes well, and the smallest one that does not.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{
    case::Case,
    play::{Played, play},
};

/// Runs that a shrink may take.
const MOST_RUNS: usize = 150;

/// Plays a case. Returns what is wrong, with the story.
pub fn failure(case: &Case) -> Option<(String, String)> {
    let caught = catch_unwind(AssertUnwindSafe(|| judged(case)));
    caught.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Some((format!("panic: {}", text.unwrap_or_default()), String::new()))
    })
}

fn judged(case: &Case) -> Option<(String, String)> {
    let Played { rests, failure, story, .. } = play(case);
    if let Some(failure) = failure {
        return Some((failure, story));
    }
    let disturbed = case.acts.iter().any(|act| !act.faults.is_empty());
    if !case.strict || !disturbed {
        return None;
    }
    let undisturbed = play(&case.undisturbed());
    if let Some(failure) = undisturbed.failure {
        return Some((format!("without faults: {failure}"), undisturbed.story));
    }
    for (at, (found, wanted)) in rests.iter().zip(&undisturbed.rests).enumerate() {
        if found != wanted {
            let what = format!(
                "after act {at}, {:?}, with faults:\n{found}\nand without:\n{wanted}",
                case.acts[at].what
            );
            return Some((what, story));
        }
    }
    None
}

/// The smallest case that still fails, with its failure.
pub fn shrunk(case: &Case, failed: (String, String)) -> (Case, (String, String)) {
    let (mut smallest, mut failed) = (case.clone(), failed);
    let mut runs = 0;
    loop {
        let mut better = false;
        for smaller in candidates(&smallest) {
            runs += 1;
            if runs > MOST_RUNS {
                return (smallest, failed);
            }
            if let Some(still) = failure(&smaller) {
                (smallest, failed, better) = (smaller, still, true);
                break;
            }
        }
        if !better {
            return (smallest, failed);
        }
    }
}

fn candidates(case: &Case) -> Vec<Case> {
    let mut smaller = Vec::new();
    let mut with = |change: &dyn Fn(&mut Case)| {
        let mut next = case.clone();
        change(&mut next);
        smaller.push(next);
    };
    for at in (1..case.acts.len()).rev() {
        with(&|case| {
            case.acts.remove(at);
        });
    }
    for (at, act) in case.acts.iter().enumerate() {
        for fault in 0..act.faults.len() {
            with(&|case| {
                case.acts[at].faults.remove(fault);
            });
        }
    }
    if case.autoscaled {
        with(&|case| case.autoscaled = false);
    }
    if case.users && !case.judged {
        with(&|case| case.users = false);
    }
    if case.dynamic {
        with(&|case| case.dynamic = false);
    }
    if case.judged {
        with(&|case| case.judged = false);
    }
    smaller
}
