//! A fault at every call of a release, of each strategy: the same end.

use super::{
    case::{Act, Case, Fault, How, Layout, Trouble, Wait, What},
    play::play,
};
use sluice::api::Verb;

/// A short release: first deployment, a new version, promotion in full.
fn case(layout: Layout, steps: usize, trouble: Option<Trouble>) -> Case {
    let act = |what| Act { what, wait: Wait::Rest, faults: Vec::new() };
    let mut acts =
        vec![act(What::Nothing), act(What::Image("2")), act(What::Command(Verb::Promote))];
    if let Some(what) = trouble {
        // It lasts as long as its act: the call is counted from the new version on.
        acts[1].faults.push(Fault { after_ms: 0, for_ms: 3_600_000, what });
    }
    Case {
        seed: 1,
        layout,
        replicas: 1,
        steps,
        judged: false,
        dynamic: false,
        autoscaled: false,
        users: false,
        mesh_delay_ms: 100,
        strict: true,
        acts,
    }
}

fn at_every_call(layout: Layout, steps: usize) {
    let undisturbed = play(&case(layout, steps, None));
    assert_eq!(undisturbed.failure, None, "{}", undisturbed.story);
    let mut call = 0;
    loop {
        let mut crashed = false;
        for trouble in [
            Trouble::Crash { call, of: None, carried_out: false, down_ms: 0 },
            // Another process begins later.
            Trouble::Crash { call, of: None, carried_out: true, down_ms: 1_300 },
            Trouble::OneCall { call, of: None, how: How::Rival },
        ] {
            let played = play(&case(layout, steps, Some(trouble.clone())));
            let at = format!("at call {call}: {trouble:?}");
            assert_eq!(played.failure, None, "{at}\n{}", played.story);
            assert_eq!(played.rests, undisturbed.rests, "{at}\n{}", played.story);
            crashed |= played.story.contains("crashed");
        }
        if !crashed {
            assert!(call >= 6, "{layout:?} makes only {call} calls");
            return;
        }
        call += 1;
    }
}

#[test]
fn a_fault_at_every_call_of_a_host_split() {
    at_every_call(Layout::Hosts, 2);
}

#[test]
fn a_fault_at_every_call_of_a_subset_split() {
    at_every_call(Layout::Subsets, 3);
}

#[test]
fn a_fault_at_every_call_of_a_blue_green_release() {
    at_every_call(Layout::BlueGreen, 3);
}

#[test]
fn a_fault_at_every_call_of_a_rolling_release() {
    at_every_call(Layout::Rolling, 1);
}

#[test]
fn a_fault_at_every_call_of_a_canary_by_pods() {
    at_every_call(Layout::ByPods, 0);
}
