//! Random lives of a Rollout: whatever people and pods do, the invariants hold after every write,
//! and once they stop, it comes to rest.

use proptest::prelude::*;

use super::model::{Behaviour, Model, rollout, steps, subset_rollout};
use crate::api::{Phase, Verb};

#[derive(Clone, Debug)]
enum Act {
    Wait(u64),
    Image(u8),
    Command(Verb),
    EditWeight(i32),
    Replicas(i32),
    Pods(u8, Option<i64>),
    Paused(bool),
    CrashAfter(usize),
}

fn act() -> impl Strategy<Value = Act> {
    let verb = prop::sample::select(vec![
        Verb::Promote,
        Verb::PromoteFull,
        Verb::Abort,
        Verb::Retry,
        Verb::Pause,
        Verb::Resume,
    ]);
    prop_oneof![
        4 => (0_u64..40).prop_map(Act::Wait),
        2 => (1_u8..4).prop_map(Act::Image),
        3 => verb.prop_map(Act::Command),
        1 => (0_i32..=100).prop_map(Act::EditWeight),
        1 => (0_i32..8).prop_map(Act::Replicas),
        1 => (1_u8..4, prop::option::of(0_i64..5)).prop_map(|(image, ready)| Act::Pods(image, ready)),
        1 => any::<bool>().prop_map(Act::Paused),
        2 => (0_usize..4).prop_map(Act::CrashAfter),
    ]
}

fn play(model: &mut Model, act: &Act) {
    match act {
        Act::Wait(seconds) => model.run_for(*seconds),
        Act::Image(version) => model.set_image(&format!("web:{version}")),
        Act::Command(verb) => {
            if model.status().current_revision.is_some() {
                model.command(*verb);
            }
        }
        Act::EditWeight(weight) => model.edit_weight(*weight),
        Act::Replicas(replicas) => model.edit_spec(|spec| spec.replicas = *replicas),
        Act::Pods(version, ready) => {
            let behaviour = ready.map_or(Behaviour::NeverReady, Behaviour::ReadyAfter);
            model.behave(&format!("web:{version}"), behaviour);
        }
        Act::Paused(paused) => model.edit_spec(|spec| spec.paused = *paused),
        Act::CrashAfter(writes) => {
            model.settle();
            let plan = crate::plan::plan(&model.world);
            model.carry_out(&plan, *writes);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_invariants_hold_and_it_comes_to_rest(
        acts in prop::collection::vec(act(), 1..25),
        subsets in any::<bool>(),
        routes in any::<bool>(),
    ) {
        let list = steps("[{setWeight: 20}, {pause: {duration: 20}}, {setCanaryScale: {weight: 50}}, {setWeight: 60}, {pause: {duration: 5}}]");
        let testers = steps("[{setHeaderRoute: {name: testers, match: [{headerName: a, headerValue: {exact: b}}]}}, {pause: {duration: 20}}, {setWeight: 60}, {pause: {duration: 5}}, {setWeight: 0}, {setHeaderRoute: {name: testers}}, {pause: {duration: 9}}]");
        let list = if routes { testers } else { list };
        let mut rollout = if subsets { subset_rollout(&list) } else { rollout(&list) };
        rollout["spec"]["strategy"]["canary"]["traffic"]["managedRoutes"] = serde_json::json!([{"name": "testers"}]);
        let mut model = Model::healthy(rollout);
        for act in &acts {
            // Pods that break, and people who point weights at them, are not the planner's doing.
            model.check = !matches!(act, Act::EditWeight(_) | Act::Pods(..) | Act::CrashAfter(_));
            play(&mut model, act);
            model.check = false;
            model.settle();
            model.look();
        }
        // All pods are well again, nobody holds anything, and the newest version is asked for.
        for version in 1..4 {
            model.behave(&format!("web:{version}"), Behaviour::ReadyAfter(1));
        }
        model.edit_spec(|spec| {
            spec.paused = false;
            spec.replicas = 4;
        });
        model.run_for(900);
        for verb in [Verb::Resume, Verb::Retry] {
            model.command(verb);
            model.run_for(5);
        }
        model.run_for(900);
        prop_assert_eq!(model.phase(), Some(Phase::Healthy), "{}\n{}", model.status().message, model.story.join("\n"));
        prop_assert_eq!(model.stable(), model.current());
        let others = model.world.revisions.iter().filter(|set| set.revision != model.current());
        prop_assert!(others.map(|set| set.replicas).sum::<u32>() == 0);
        prop_assert!(model.added_routes().is_empty(), "routes of ours are gone");
        prop_assert!(model.look().actions.is_empty(), "at rest nothing is written");
    }
}
