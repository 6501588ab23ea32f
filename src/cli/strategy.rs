//! What a release under each strategy shows of itself. Pure.

use jiff::Timestamp;

use crate::{
    api::{PauseReason, Rollout, RolloutStatus, Weights},
    world::{Program, Shift, StrategyKind},
};

use super::{
    age::age,
    state::{self, Release},
};

/// Width of the bar of a share.
const BAR: usize = 20;

/// A line of the header: its label and its text.
pub type Row = (&'static str, String);

/// The strategy, and what carries the traffic.
pub fn text(program: &Program) -> String {
    let name = program.strategy.field();
    if program.strategy == StrategyKind::Rolling {
        let surge = program.max_surge.map(|surge| format!("maxSurge {surge}, "));
        let surge = surge.unwrap_or_default();
        return format!("{name}; {surge}maxUnavailable {}", program.max_unavailable);
    }
    let [stable, canary] = match program.strategy {
        StrategyKind::BlueGreen => ["active", "preview"],
        StrategyKind::Canary | StrategyKind::Rolling => ["stable", "canary"],
    };
    let rule = program.istio().and_then(|istio| istio.destination_rule.as_ref());
    let services = || {
        let named = [(&program.stable_service, stable), (&program.canary_service, canary)];
        let named = named.into_iter().filter_map(|(name, role)| Some((name.as_ref()?, role)));
        let named: Vec<String> =
            named.map(|(name, role)| format!("{role} Service {name}")).collect();
        if named.is_empty() { "no Services named".to_owned() } else { named.join(", ") }
    };
    let split = match rule {
        Some(rule) => format!(
            "DestinationRule {}, subsets {} and {}",
            rule.name, rule.stable_subset, rule.canary_subset
        ),
        None => services(),
    };
    let by = match (program.istio(), program.shift) {
        (Some(istio), _) => {
            let names = istio.virtual_services.iter().map(|service| service.name.as_str());
            format!("by VirtualService {}", names.collect::<Vec<_>>().join(", "))
        }
        (None, Shift::Switch) => "by the Service's selector".to_owned(),
        (None, Shift::Routes | Shift::Pods) => "by the number of pods".to_owned(),
    };
    format!("{name} {by}; {split}")
}

/// A weight of the program in percent; where routes sum to something else, as it stands there, too.
pub fn share(program: &Program, weight: i32) -> String {
    state::part(weight, Weights::of(program.total(), weight))
}

/// `part` of `total` as a bar; any part above 0 shows, and only the whole fills it.
pub fn bar(part: i32, total: i32) -> String {
    let total = usize::try_from(total).unwrap_or(0);
    let part = usize::try_from(part).unwrap_or(0).min(total);
    let full = match part {
        0 => 0,
        part if part == total => BAR,
        _ => (part * BAR / total).clamp(1, BAR - 1),
    };
    format!("[{}{}]", "#".repeat(full), "-".repeat(BAR - full))
}

/// How far the new revision has come, in a few words; none between releases.
pub fn standing(rollout: &Rollout) -> Option<String> {
    let status = rollout.status.as_ref()?;
    let release = state::release(rollout);
    if !matches!(release, Release::Running | Release::Aborted) {
        return None;
    }
    let program = Program::new(&rollout.spec);
    match program.strategy {
        StrategyKind::Rolling => Some(rolled(rollout, status)),
        StrategyKind::Canary => {
            let weights = status.weights?;
            Some(format!("canary {}", state::share(weights)))
        }
        StrategyKind::BlueGreen => {
            let revision = state::revision(status);
            match (switched(&program, status), release) {
                (true, _) => Some(format!("active {revision}")),
                (false, Release::Aborted) => None,
                (false, _) => Some(format!("preview {revision}")),
            }
        }
    }
}

/// The lines that tell how far the new revision has come.
pub fn rows(rollout: &Rollout, now: Timestamp) -> Vec<Row> {
    let Some(status) = rollout.status.as_ref() else { return Vec::new() };
    let program = Program::new(&rollout.spec);
    let release = state::release(rollout);
    match (program.strategy, release) {
        (_, Release::Unseen) | (StrategyKind::Rolling, Release::Complete) => Vec::new(),
        (StrategyKind::Rolling, _) => {
            let bar = bar(status.updated_available_replicas, rollout.spec.replicas);
            vec![("Rolled", format!("{bar} {}", rolled(rollout, status)))]
        }
        (StrategyKind::Canary, _) => status
            .weights
            .map(|weights| ("Weight", weight(&program, weights)))
            .into_iter()
            .collect(),
        (StrategyKind::BlueGreen, Release::Complete) => {
            vec![("Active", format!("revision {}", state::revision(status)))]
        }
        (StrategyKind::BlueGreen, _) => colours(&program, status, release, now),
    }
}

fn rolled(rollout: &Rollout, status: &RolloutStatus) -> String {
    let new = status.updated_available_replicas;
    let old = (status.available_replicas - new).max(0);
    format!("{new} of {} pods new, {old} old", rollout.spec.replicas)
}

fn weight(program: &Program, weights: Weights) -> String {
    let bar = bar(weights.canary, program.total());
    let (canary, stable) = (state::share(weights), state::part(weights.stable, weights));
    let by = if program.shift == Shift::Pods { " (the shares of the pods)" } else { "" };
    format!("{bar} canary {canary}, stable {stable}{by}")
}

/// Whether a blue-green release is under way whose users reach the new revision.
pub fn is_switched(rollout: &Rollout) -> bool {
    let program = Program::new(&rollout.spec);
    let under_way = matches!(state::release(rollout), Release::Running | Release::Aborted);
    let status = rollout.status.as_ref().filter(|status| status.stable_revision.is_some());
    let blue_green = program.strategy == StrategyKind::BlueGreen;
    under_way && blue_green && status.is_some_and(|status| switched(&program, status))
}

fn switched(program: &Program, status: &RolloutStatus) -> bool {
    let all = status.weights.is_some_and(|weights| weights.canary >= program.total());
    let past = status.step.as_ref().is_some_and(|step| step.index >= step.of);
    all || past && !status.promote_full && status.abort.is_none()
}

fn colours(
    program: &Program,
    status: &RolloutStatus,
    release: Release,
    now: Timestamp,
) -> Vec<Row> {
    let new = state::revision(status);
    let old = status.stable_revision.as_deref().unwrap_or("none");
    if status.stable_revision.is_none() {
        return Vec::new();
    }
    if switched(program, status) {
        let after = match release {
            Release::Aborted => "being switched back".to_owned(),
            _ if judges(program, status) => {
                "done; the post-promotion analysis decides whether it stays".to_owned()
            }
            _ => "done".to_owned(),
        };
        let active = format!("revision {new}; {old} stands by");
        return vec![("Active", active), ("Switch", after)];
    }
    let mut rows = vec![("Active", format!("revision {old}"))];
    if release == Release::Running {
        let (available, pods) = (status.updated_available_replicas, status.updated_replicas);
        rows.push(("Preview", format!("revision {new}, {available} of {pods} pods available")));
        rows.push(("Switch", switch(program, status, now)));
    }
    rows
}

/// Whether an analysis after the switch is still to come or under way.
fn judges(program: &Program, status: &RolloutStatus) -> bool {
    let index = status.step.as_ref().map_or(0, |step| usize::try_from(step.index).unwrap_or(0));
    let at = program.steps.iter().position(|step| step.name == "post-promotion");
    !status.promote_full && at.is_some_and(|at| index <= at)
}

/// What the switch waits for.
fn switch(program: &Program, status: &RolloutStatus, now: Timestamp) -> String {
    if status.promote_full {
        return "as soon as all pods are available".to_owned();
    }
    let index = status.step.as_ref().map_or(0, |step| usize::try_from(step.index).unwrap_or(0));
    let Some(present) = program.steps.get(index) else { return "under way".to_owned() };
    let gate = program.steps.iter().position(|step| step.name == "gate");
    let timed = gate.and_then(|gate| program.step(gate)?.pause.as_ref()?.duration);
    if gate == Some(index) {
        let began = status.pauses.iter().find(|pause| pause.reason == PauseReason::Step);
        return match (timed, began) {
            (Some(after), Some(began)) => {
                let at = after.after(began.started_at);
                let (clock, left) = (at.strftime("%H:%M:%SZ"), age(now, at.max(now)));
                format!("by itself at {clock}, in {left}; `promote` switches now")
            }
            (Some(after), None) => format!("by itself after {after}; `promote` switches now"),
            (None, _) => "waits for a person: `promote`".to_owned(),
        };
    }
    if present.name == "switch" {
        return "under way".to_owned();
    }
    let then = match (gate.filter(|gate| *gate > index), timed) {
        (None, _) => String::new(),
        (Some(_), Some(after)) => format!(", then {after} (or `promote`)"),
        (Some(_), None) => ", then for a person".to_owned(),
    };
    format!("waits for: {}{then}", present.text)
}

#[cfg(test)]
mod tests;
