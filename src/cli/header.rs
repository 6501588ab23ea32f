//! The top of the tree: what a person on call reads first. Pure.

use jiff::Timestamp;

use crate::{
    api::{CommandRecord, ConditionType, PauseReason, Rollout, RolloutStatus, Weights},
    world::{Program, Shift},
};

use super::{
    age::age,
    state::{self, Release},
    style::{self, Paint, Style},
    table::{self, Cell},
};

/// Width of the weight bar.
const BAR: usize = 20;

/// The lines above the tree.
pub fn render(rollout: &Rollout, now: Timestamp, style: Style) -> String {
    let empty = RolloutStatus::default();
    let status = rollout.status.as_ref().unwrap_or(&empty);
    let metadata = &rollout.metadata;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut rows = Rows::default();
    rows.add(
        "Name",
        Paint::Bold,
        format!("{}/{}", text(&metadata.namespace), text(&metadata.name)),
    );
    rows.add("Phase", style::phase(status.phase), state::phase(rollout));
    rows.add("Message", Paint::Plain, state::message(rollout));
    rows.add("Next", Paint::Bold, state::next_step(rollout).unwrap_or_default());
    for problem in problems(status) {
        rows.add("Problem", Paint::Bad, problem);
    }
    rows.add("Strategy", Paint::Plain, strategy(&Program::new(&rollout.spec)));
    rows.add("Step", Paint::Plain, step(rollout, status, now));
    if let Some(weights) = &status.weights {
        let text = format!(
            "{} canary {}, stable {}",
            bar(weights.canary, *weights),
            state::share(*weights),
            state::part(weights.stable, *weights)
        );
        rows.add("Weight", Paint::Plain, text);
    }
    if !status.routes.is_empty() {
        let text = format!("{} to the canary", status.routes.join(", "));
        rows.add("Routes", Paint::Plain, text);
    }
    rows.add("Pods", Paint::Plain, pods(rollout, status));
    for pause in pauses(rollout, status, now) {
        rows.add("Held", Paint::Wait, pause);
    }
    if let Some(abort) = &status.abort {
        let text = format!(
            "by {} {} ago ({:?}): {}",
            state::by(&abort.by),
            age(abort.at, now),
            abort.cause,
            abort.reason
        );
        rows.add("Aborted", Paint::Bad, text);
    }
    if let Some(record) = &status.last_command {
        rows.add("Command", Paint::Plain, last_command(record, now));
    }
    table::render(&rows.0, style)
}

#[derive(Default)]
struct Rows(Vec<Vec<Cell>>);

impl Rows {
    /// Adds a line, unless there is nothing to say.
    fn add(&mut self, label: &str, paint: Paint, text: impl Into<String>) {
        let text = text.into();
        if !text.is_empty() {
            self.0.push(vec![Cell::new(Paint::Dim, format!("{label}:")), Cell::new(paint, text)]);
        }
    }
}

/// Conditions that a person must know of.
fn problems(status: &RolloutStatus) -> Vec<String> {
    let types = [ConditionType::InvalidSpec, ConditionType::RouteContested];
    let is_problem = |wanted: &str| types.iter().any(|known| known.as_str() == wanted);
    status
        .conditions
        .iter()
        .filter(|condition| condition.status == "True" && is_problem(&condition.type_))
        .map(|condition| format!("{}: {}", condition.type_, condition.message))
        .collect()
}

fn strategy(program: &Program) -> String {
    let name = program.strategy.field();
    let rule = program.istio().and_then(|istio| istio.destination_rule.as_ref());
    let split = match (rule, &program.stable_service, &program.canary_service) {
        (Some(rule), _, _) => format!(
            "DestinationRule {}, subsets {} and {}",
            rule.name, rule.stable_subset, rule.canary_subset
        ),
        (None, Some(stable), Some(canary)) => format!("Services {stable} and {canary}"),
        (None, Some(service), None) | (None, None, Some(service)) => format!("Service {service}"),
        (None, None, None) => "no Services named".to_owned(),
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

fn step(rollout: &Rollout, status: &RolloutStatus, now: Timestamp) -> String {
    let Some(step) = &status.step else {
        return String::new();
    };
    match state::release(rollout) {
        Release::Running => {}
        Release::Aborted => {
            let at = step.of.min(step.index + 1);
            return format!("ended in step {at}/{}", step.of);
        }
        Release::Complete | Release::Unseen => return format!("{} done", step.text),
    }
    let place = if status.promote_full {
        "the rest is skipped (promote --full)".to_owned()
    } else if let Some(current) = state::current_step(rollout) {
        // Counted from 1, as in the controller's message.
        let (what, since) = (state::describe(&current), age(step.started_at, now));
        format!("{}/{}, {what}, for {since}", step.index + 1, step.of)
    } else {
        format!("{} done", step.text)
    };
    match status.attempt {
        2.. => format!("{place} (attempt {})", status.attempt),
        _ => place,
    }
}

/// One of two weights as a bar; any above 0 shows, and only all of them fills it.
pub(super) fn bar(weight: i32, of: Weights) -> String {
    let total = usize::try_from(of.stable.saturating_add(of.canary)).unwrap_or(0);
    let weight = usize::try_from(weight).unwrap_or(0).min(total);
    let full = match weight {
        0 => 0,
        _ if weight == total => BAR,
        _ => (weight * BAR / total).clamp(1, BAR - 1),
    };
    format!("[{}{}]", "#".repeat(full), "-".repeat(BAR - full))
}

fn pods(rollout: &Rollout, status: &RolloutStatus) -> String {
    let wanted = rollout.spec.replicas;
    let (ready, available) = (status.ready_replicas, status.available_replicas);
    let all = format!("{wanted} wanted, {ready} ready, {available} available");
    if state::release(rollout) != Release::Running {
        return all;
    }
    let (updated, good) = (status.updated_replicas, status.updated_available_replicas);
    format!("{all}; of the newest revision {updated}, {good} available")
}

fn pauses(rollout: &Rollout, status: &RolloutStatus, now: Timestamp) -> Vec<String> {
    let mut lines: Vec<String> = status
        .pauses
        .iter()
        .map(|pause| {
            let why = match pause.reason {
                PauseReason::Step => "by the pause step".to_owned(),
                PauseReason::Command => {
                    format!("by the command `pause` of {}", state::by(&pause.by))
                }
                PauseReason::Inconclusive => "because the analysis was inconclusive".to_owned(),
            };
            format!("{why}, for {}", age(pause.started_at, now))
        })
        .collect();
    if rollout.spec.paused {
        lines.push("by spec.paused".to_owned());
    }
    lines
}

fn last_command(record: &CommandRecord, now: Timestamp) -> String {
    let outcome = if record.accepted { "carried out" } else { "refused" };
    let (who, when) = (state::by(&record.by), age(record.at, now));
    format!("`{}` by {who} {when} ago, {outcome}: {}", record.verb, record.message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fixtures::{aborted, now, paused};

    #[test]
    fn a_paused_release() {
        assert_eq!(
            render(&paused(), now(), Style::PLAIN),
            "\
Name:       shop/checkout
Phase:      Paused
Message:    step 2/4 (pause): waiting for a person
Next:       `promote` goes on, `promote --full` skips all steps, `abort` rolls back
Strategy:   canary by VirtualService checkout; Services checkout and checkout-canary
Step:       2/4, pause until promoted, for 5m
Weight:     [####----------------] canary 20%, stable 80%
Pods:       5 wanted, 6 ready, 6 available; of the newest revision 1, 1 available
Held:       by the pause step, for 5m
"
        );
    }

    #[test]
    fn an_aborted_release_says_who_and_why() {
        let text = render(&aborted(), now(), Style::PLAIN);
        assert!(
            text.contains("Aborted:    by alice 3m ago (Command): too many errors\n"),
            "{text}"
        );
        assert!(text.contains("Next:       `retry` starts again"), "{text}");
    }

    #[test]
    fn the_bar_shows_any_weight() {
        for (weight, full) in [(0, 0), (1, 1), (50, 10), (99, 19), (100, 20), (-3, 0), (400, 20)] {
            let bar = bar(weight, Weights::of(100, 0));
            assert_eq!(bar.matches('#').count(), full, "{weight}");
            assert_eq!(bar.len(), BAR + 2);
        }
    }

    #[test]
    fn parts_of_a_thousand_are_shown_as_such() {
        let mut rollout = paused();
        let status = rollout.status.as_mut().unwrap();
        status.weights = Some(Weights::of(1000, 5));
        status.routes = vec!["testers".to_owned()];
        let text = render(&rollout, now(), Style::PLAIN);
        let weight = "Weight:     [#-------------------] canary 0.5% (5 of 1000), stable 99.5% (995 of 1000)\n";
        assert!(text.contains(weight), "{text}");
        assert!(text.contains("Routes:     testers to the canary\n"), "{text}");
    }
}
