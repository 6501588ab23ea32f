//! A crash after every single write of a release ends at the same place.

use super::model::{Behaviour, Model, rollout, steps, subset_rollout};
use crate::{
    api::{Phase, Verb},
    plan::{Write, plan, refused},
};

/// Plays the release and dies after the `n`-th write; the next look begins from what is there.
/// Returns the weights in the order in which they were written, and false if there were fewer writes.
pub(super) fn crash_after(mut model: Model, n: usize, act: impl Fn(&mut Model)) -> (Model, bool) {
    let mut written = 0;
    let mut crashed = false;
    act(&mut model);
    for _ in 0..5_000 {
        model.settle();
        let next = plan(&model.world);
        if next.actions.is_empty() {
            if model.phase() == Some(Phase::Healthy) || model.phase() == Some(Phase::Degraded) {
                break;
            }
            model.world.now += jiff::SignedDuration::from_millis(250);
            continue;
        }
        let left = if crashed { usize::MAX } else { n - written };
        model.carry_out(&next, left);
        written += next.actions.len().min(left);
        if !crashed && written >= n {
            crashed = true;
            // A new process sees everything for the first time.
            let now = model.world.now;
            for route in model.world.routes.iter_mut().flatten() {
                route.since = now;
            }
            for service in model.world.services.values_mut() {
                service.since = now;
            }
            if let Some(rule) = &mut model.world.destination_rule {
                rule.since = now;
            }
        }
    }
    model.run_for(300);
    (model, crashed)
}

fn body(subsets: bool) -> serde_json::Value {
    let list = steps(
        "[{setWeight: 25}, {setWeight: 50}, {setCanaryScale: {replicas: 4}}, {setWeight: 75}]",
    );
    if subsets { subset_rollout(&list) } else { rollout(&list) }
}

#[test]
fn a_crash_after_any_write_of_a_release_ends_the_same() {
    for subsets in [false, true] {
        let mut n = 0;
        loop {
            let model = Model::healthy(body(subsets));
            let (model, crashed) = crash_after(model, n, |model| model.set_image("web:2"));
            assert_eq!(
                model.phase(),
                Some(Phase::Healthy),
                "after write {n}: {}",
                model.story.join("\n")
            );
            assert_eq!(model.stable(), Model::revision_of("web:2"), "after write {n}");
            assert_eq!(model.pods(&Model::revision_of("web:1")), 0, "after write {n}");
            assert_eq!(
                model.weights,
                [25, 50, 75, 100, 0],
                "no step skipped or doubled after write {n}"
            );
            if !crashed {
                assert!(n > 10, "the release has writes");
                break;
            }
            n += 1;
        }
    }
}

#[test]
fn a_crash_after_any_write_of_an_abort_ends_the_same() {
    let mut n = 0;
    loop {
        let mut model = Model::healthy(rollout(&steps("[{setWeight: 80}, {pause: {}}]")));
        model.set_image("web:2");
        model.run_until(Phase::Paused);
        model.weights.clear();
        let (model, crashed) = crash_after(model, n, |model| model.command(Verb::Abort));
        assert_eq!(model.phase(), Some(Phase::Degraded), "after write {n}");
        assert_eq!(model.weights, [0], "after write {n}");
        assert_eq!(model.pods(&Model::revision_of("web:2")), 0, "after write {n}");
        assert_eq!(model.status().last_command.as_ref().map(|c| c.accepted), Some(true));
        assert!(model.world.rollout.command.is_none(), "after write {n}");
        if !crashed {
            break;
        }
        n += 1;
    }
}

#[test]
fn a_crash_after_any_write_while_overtaking_ends_the_same() {
    let mut n = 0;
    loop {
        let mut model =
            Model::healthy(rollout(&steps("[{setWeight: 80}, {pause: {duration: 9}}]")));
        model.behave("web:2", Behaviour::ReadyAfter(1));
        model.set_image("web:2");
        model.run_until(Phase::Paused);
        let (model, crashed) = crash_after(model, n, |model| model.set_image("web:3"));
        assert_eq!(
            model.phase(),
            Some(Phase::Healthy),
            "after write {n}: {}",
            model.story.join("\n")
        );
        assert_eq!(model.stable(), Model::revision_of("web:3"), "after write {n}");
        assert_eq!(model.pods(&Model::revision_of("web:2")), 0, "after write {n}");
        if !crashed {
            break;
        }
        n += 1;
    }
}

#[test]
fn a_refused_status_takes_no_note_of_a_new_template() {
    let mut model = Model::healthy(body(false));
    model.set_image("web:2");
    let plan = refused(&model.world, "write the status: forbidden");
    model.carry_out(&plan, usize::MAX);
    model.run_until(Phase::Healthy);
    assert_eq!(model.stable(), Model::revision_of("web:2"));
}

#[test]
fn a_pod_that_is_ready_in_the_future_of_our_clock_is_looked_at_again() {
    let mut model = Model::healthy(body(false));
    model.settle();
    let ready = model.world.now + jiff::SignedDuration::from_secs(5);
    model.world.revisions[0].pods[0].ready_since = Some(ready);
    let next = plan(&model.world);
    assert!(next.next_check.is_some_and(|at| at <= ready), "{:?}", next.next_check);
    assert!(!next.actions.iter().any(|action| matches!(action.write, Write::Scale { .. })));
}
