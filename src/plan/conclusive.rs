//! A step that goes on as soon as the comparisons of the release are conclusive: the canary has had
//! enough requests since the step began, and nothing speaks against it.

use jiff::Timestamp;

use super::{Draft, WaitKind, messages, outcome, runs};
use crate::{
    api::{
        AbortCause, Comparison, ComparisonFinding, Hold, OnTimeout, PauseReason, PauseStatus,
        Verdict,
    },
    world::{Run, World},
};

/// Whether the step is done; aborts, goes on or asks a person when its time is over.
pub(super) fn is_done(world: &World, draft: &mut Draft, hold: &Hold) -> bool {
    let run = runs::background_run(world, draft);
    let begun = draft.status.pauses.iter().find(|pause| pause.reason == PauseReason::Hold);
    let Some(begun) = begun.cloned() else {
        draft.status.pauses.push(PauseStatus {
            reason: PauseReason::Hold,
            started_at: world.now,
            by: String::new(),
            canary_requests: run.iter().flat_map(|run| run.comparisons()).map(seen).collect(),
        });
        return is_done(world, draft, hold);
    };
    let lacks = lacks(run, &begun);
    let earliest = hold.at_least.unwrap_or_default().after(begun.started_at);
    let early = earliest > world.now;
    if lacks.is_none() && !early {
        return true;
    }
    let end = hold.at_most.map(|limit| limit.after(begun.started_at));
    for at in [Some(earliest), end].into_iter().flatten().filter(|at| *at > world.now) {
        draft.check_at(at);
    }
    let why = lacks.unwrap_or_else(|| format!("it is; held until {}", clock(earliest)));
    if end.is_none_or(|end| end > world.now) {
        draft.wait(WaitKind::Other, messages::holding(&why, end.map(clock)));
        return false;
    }
    let limit = hold.at_most.unwrap_or_default();
    match hold.on_timeout {
        Some(OnTimeout::Promote) => true,
        Some(OnTimeout::Abort) => {
            let reason = messages::hold_timed_out(limit, &why);
            outcome::abort(world, draft, AbortCause::PauseTimeout, "sluice", &reason);
            false
        }
        Some(OnTimeout::Hold) | None => {
            draft.wait(WaitKind::Pause, messages::still_holding(limit, &why));
            false
        }
    }
}

fn seen((metric, comparison): (&str, &Comparison)) -> (String, u64) {
    (metric.to_owned(), comparison.canary.requests)
}

/// What a comparison still lacks; nothing when all are conclusive.
fn lacks(run: Option<&Run>, begun: &PauseStatus) -> Option<String> {
    let Some(run) = run else { return Some("the analysis has not begun".to_owned()) };
    // One that ends after so many good looks says itself when it has seen enough.
    if run.phase() == Verdict::Successful {
        return None;
    }
    if run.comparisons().next().is_none() {
        return Some("nothing is compared yet".to_owned());
    }
    run.comparisons().find_map(|(metric, comparison)| {
        let before = begun.canary_requests.get(metric).copied().unwrap_or(0);
        let here = comparison.canary.requests.saturating_sub(before);
        let why = match comparison.finding {
            ComparisonFinding::Worse => "the canary is worse".to_owned(),
            ComparisonFinding::SharedIncident => "an incident of both revisions".to_owned(),
            _ if here < comparison.min_requests => {
                format!("the canary has had {here} of {} requests here", comparison.min_requests)
            }
            ComparisonFinding::NotEnoughData => "not enough data".to_owned(),
            ComparisonFinding::NotWorse if comparison.in_doubt => {
                "the canary looks worse; more requests will show".to_owned()
            }
            ComparisonFinding::NotWorse => return None,
        };
        Some(format!("metric \"{metric}\": {why}"))
    })
}

fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%SZ").to_string()
}
