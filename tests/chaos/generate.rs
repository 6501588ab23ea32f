//! From a seed to a case.

use sluice::{api::Verb, sim::mesh::Answers};

use super::case::{Act, Case, Fault, How, KINDS, Layout, Trouble, Wait, What};
use super::chance::Chance;

const LAYOUTS: [Layout; 11] = [
    Layout::Hosts,
    Layout::Subsets,
    Layout::BlueGreen,
    Layout::Hosts,
    Layout::BlueGreenHosts,
    Layout::Rolling,
    Layout::ByPods,
    Layout::AdoptHosts,
    Layout::Subsets,
    Layout::AdoptRolling,
    Layout::BlueGreen,
];

const VERBS: [Verb; 8] = [
    Verb::Promote,
    Verb::PromoteFull,
    Verb::Abort,
    Verb::Retry,
    Verb::Pause,
    Verb::Resume,
    Verb::SkipStep,
    Verb::Restart,
];

const HOWS: [How; 10] = [
    How::Conflict,
    How::TooMany,
    How::Internal,
    How::Unavailable,
    How::Denied,
    How::Forbidden,
    How::Timeout,
    How::Lost,
    How::AnswerLost,
    How::Any,
];

/// The case of a seed.
pub fn case(seed: u64) -> Case {
    let chance = &mut Chance::new(seed);
    let layout = chance.pick(&LAYOUTS);
    let strict = chance.one_in(2);
    let users = chance.one_in(3);
    let judged = users && layout.is_routed() && chance.one_in(2);
    let dynamic = matches!(layout, Layout::Hosts | Layout::Subsets) && chance.one_in(4);
    let autoscaled = !strict && chance.one_in(6);
    let steps = usize::try_from(chance.below(7)).unwrap_or(0);
    // Without weights there is nothing to judge, and the release waits for a person.
    let steps = if judged && steps == 5 { 1 } else { steps };
    let mut acts = vec![Act { what: What::Nothing, wait: Wait::Rest, faults: Vec::new() }];
    for _ in 0..chance.within(2, 6) {
        let what = if strict { calm(chance) } else { wild(chance, layout) };
        let wait = if strict || chance.one_in(3) {
            Wait::Rest
        } else {
            Wait::Millis(chance.pick(&[100, 700, 2_000, 5_000, 15_000, 40_000]))
        };
        acts.push(Act { what, wait, faults: Vec::new() });
    }
    // The first release begins at once in most cases.
    if !chance.one_in(4) {
        acts[1].what = What::Image(chance.pick(&["2", "2", "slow", "bad"]));
    }
    let replicas = chance.within(1, 5);
    // What was adopted is given back in every other life.
    if layout.is_adopted()
        && seed.is_multiple_of(2)
        && let Some(last) = acts.last_mut()
    {
        last.what = What::DeleteRollout;
    }
    let mut case = Case {
        seed,
        layout,
        replicas,
        steps,
        judged,
        dynamic,
        autoscaled,
        users,
        mesh_delay_ms: chance.pick(&[100, 900]),
        strict,
        acts,
    };
    for _ in 0..chance.within(1, 3) {
        let at = usize::try_from(chance.below(case.acts.len() as u64)).unwrap_or(0);
        let fault = fault(chance, &case);
        let fault = spares_jobs(fault, case.strict);
        case.acts[at].faults.push(fault);
    }
    let aimed = aimed(chance, &case);
    case.acts[1].faults.push(spares_jobs(aimed, case.strict));
    for act in &mut case.acts {
        // Pods that go while nobody hears of it.
        if takes_pods(&act.what) && chance.one_in(2) {
            let kinds = if chance.one_in(2) { KINDS.to_vec() } else { vec!["Pod"] };
            let (for_ms, what) = (chance.pick(&[4_000, 20_000]), Trouble::Deaf { kinds });
            act.faults.push(Fault { after_ms: 0, for_ms, what });
        }
        // What answers a wish, in the spec or as a command, is written under trouble.
        if matches!(act.what, What::Image(_) | What::Command(_)) && chance.one_in(3) {
            let how = chance.pick(&[How::Conflict, How::Denied, How::AnswerLost, How::Rival]);
            let what = Trouble::OneCall { call: chance.below(2), of: Some("Rollout"), how };
            act.faults.push(Fault { after_ms: 0, for_ms: 20_000, what });
        }
    }
    case
}

fn takes_pods(what: &What) -> bool {
    matches!(what, What::DeletePods(_) | What::Evict(_) | What::Drain | What::Scale(_))
}

/// A Job that the API server refuses is a verdict, and not only trouble: another end, rightly.
fn spares_jobs(mut fault: Fault, strict: bool) -> Fault {
    if let Trouble::Calls { of, how, .. } | Trouble::OneCall { of, how, .. } = &mut fault.what
        && strict
        && *of == Some("Job")
        && matches!(how, How::Denied | How::Forbidden | How::Any)
    {
        *how = How::AnswerLost;
    }
    fault
}

/// A fault in the first release of every life, at one kind of write that it makes.
fn aimed(chance: &mut Chance, case: &Case) -> Fault {
    let of = Some(chance.pick(&case.written()));
    let call = chance.below(2);
    let what = match chance.below(4) {
        0 => Trouble::OneCall { call, of, how: How::AnswerLost },
        1 => {
            let down_ms = chance.pick(&[500, 20_000]);
            Trouble::Crash { call, of, carried_out: true, down_ms }
        }
        2 => Trouble::Calls { percent: 60, of, how: How::Rival },
        _ => Trouble::Calls { percent: 100, of, how: chance.pick(&[How::Denied, How::Forbidden]) },
    };
    Fault { after_ms: 0, for_ms: chance.pick(&[20_000, 60_000]), what }
}

/// What has an end that does not depend on the time at which it happens.
fn calm(chance: &mut Chance) -> What {
    match chance.below(11) {
        0..=2 => What::Image(chance.pick(&["1", "2", "3", "slow", "never"])),
        3 | 4 | 8 => What::Command(Verb::Promote),
        5 => What::Command(chance.pick(&[Verb::Abort, Verb::PromoteFull, Verb::SkipStep])),
        6 => What::Command(chance.pick(&VERBS)),
        7 => What::Scale(chance.within(1, 6)),
        9 => chance.pick(&[What::Drain, What::DeletePods(2), What::Evict(1)]),
        _ => What::Paused(chance.one_in(3)),
    }
}

fn wild(chance: &mut Chance, layout: Layout) -> What {
    let number = |number: u64| usize::try_from(number).unwrap_or(1);
    match chance.below(27) {
        0..=4 => What::Image(chance.pick(&["1", "2", "3", "slow", "never", "bad", "crash"])),
        5..=8 => What::Command(chance.pick(&VERBS)),
        9 => What::Steps(number(chance.below(5))),
        10 | 11 => What::Scale(chance.within(0, 7)),
        12 => What::Paused(chance.one_in(2)),
        13 | 14 => What::Weight(chance.pick(&[0, 1, 33, 99, 100])),
        15 => What::GitOps,
        16 => What::SizeByHand(chance.within(0, 6)),
        17 => What::DeletePods(number(chance.within(1, 3))),
        18 => What::Evict(number(chance.within(1, 3))),
        19 => What::DeleteSet { stable: chance.one_in(3) },
        20 if layout.is_adopted() || chance.one_in(3) => What::DeleteRollout,
        21 => What::Quota(chance.within(1, 8)),
        23 => What::Drain,
        24 | 25 if chance.one_in(4) => What::NoBudget,
        24 | 25 => What::Budget(chance.within(0, 1)),
        22 => What::Load(i64::try_from(chance.within(50, 900)).unwrap_or(100)),
        _ => What::NoQuota,
    }
}

/// Kinds whose watches have trouble together.
fn kinds(chance: &mut Chance) -> Vec<&'static str> {
    let some = KINDS.iter().copied().filter(|_| chance.one_in(4));
    let some: Vec<&'static str> = some.collect();
    match () {
        // An API server that restarts ends all watches.
        () if chance.one_in(3) => KINDS.to_vec(),
        () if some.is_empty() => vec![chance.pick(&KINDS)],
        () => some,
    }
}

fn fault(chance: &mut Chance, case: &Case) -> Fault {
    let how = chance.pick(&HOWS);
    let of = Some(chance.pick(&case.written()));
    let down_ms = chance.pick(&[0, 500, 20_000]);
    let carried_out = chance.one_in(2);
    let ways = if case.strict { 12 } else { 15 };
    let what = match chance.below(ways) {
        0 => Trouble::Calls { percent: chance.pick(&[10, 40, 70]), of: None, how },
        1 => Trouble::Calls { percent: 100, of, how },
        2 => Trouble::OneCall { call: chance.below(25), of: None, how },
        3 => Trouble::OneCall { call: chance.below(3), of, how },
        4 => Trouble::Crash { call: chance.below(25), of: None, carried_out, down_ms },
        5 => Trouble::Crash { call: chance.below(3), of, carried_out, down_ms },
        6 => Trouble::Deposed { call: chance.below(25) },
        7 => Trouble::Late { kinds: kinds(chance), ms: chance.pick(&[50, 400, 3_000, 15_000]) },
        8 | 9 => Trouble::Deaf { kinds: kinds(chance) },
        10 => Trouble::Twice,
        11 => Trouble::Calls { percent: chance.pick(&[30, 60]), of: None, how: How::Rival },
        12 => Trouble::Clock(chance.pick(&[-5, -1, 2, 30])),
        13 if case.judged => Trouble::Prometheus(chance.pick(&[
            Answers::Unavailable,
            Answers::Error,
            Answers::TooLate,
            Answers::Page,
            Answers::Empty,
            Answers::NaN,
        ])),
        13 => Trouble::Counters,
        _ => Trouble::Istiod,
    };
    let for_ms = chance.pick(&[500, 4_000, 20_000, 60_000]);
    Fault { after_ms: chance.pick(&[0, 0, 300, 1_500, 6_000, 25_000]), for_ms, what }
}
