//! Faults at work: which of them hold at an instant, and what each call meets.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use jiff::SignedDuration;
use sluice::sim::{
    api::{
        Refusal,
        http::{Fault as Broken, RequestSummary},
    },
    deliver::Network,
    mesh::Answers,
    simulation::{Calls, Meets, Simulation},
};

use super::case::{Fault, How, Trouble};

/// A fault with the calls that it has counted.
#[derive(Clone)]
pub struct Active {
    pub fault: Fault,
    counted: Arc<AtomicU64>,
}

impl Active {
    pub fn new(fault: &Fault) -> Self {
        Self { fault: fault.clone(), counted: Arc::default() }
    }
}

/// Lets these faults hold, and no others.
pub fn set(simulation: &mut Simulation, active: &[Active], istiod_was_up: bool) -> bool {
    let troubles = || active.iter().map(|active| &active.fault.what);
    let mut network = Network::default();
    let (mut answers, mut clock, mut istiod) = (Answers::Well, 0, true);
    for trouble in troubles() {
        match trouble {
            Trouble::Late { kinds, ms } => {
                let late = std::time::Duration::from_millis(*ms);
                network.late.extend(kinds.iter().map(|kind| (*kind, late)));
            }
            Trouble::Deaf { kinds } => network.lost.extend(kinds),
            Trouble::Twice => network.twice = true,
            Trouble::Clock(seconds) => clock = *seconds,
            Trouble::Prometheus(how) => answers = *how,
            Trouble::Counters => simulation.mesh().reset_counters(),
            Trouble::Istiod => istiod = false,
            _ => {}
        }
    }
    simulation.set_network(network);
    simulation.set_clock_wrong(SignedDuration::from_secs(clock));
    simulation.mesh().set_prometheus(answers);
    if istiod != istiod_was_up {
        simulation.set_istiod_up(istiod);
    }
    let active: Vec<Active> = active.to_vec();
    let calls: Calls = Box::new(move |request| {
        // How versions are found out is a matter of watches that ask until they are answered.
        request.resource?;
        active.iter().find_map(|active| met(active, request))
    });
    simulation.set_calls(Some(calls));
    istiod
}

fn met(active: &Active, request: &RequestSummary) -> Option<Meets> {
    let count = || active.counted.fetch_add(1, Ordering::Relaxed);
    let is_of = |of: Option<&str>| {
        of.is_none_or(|kind| {
            !reads(request) && request.resource.is_some_and(|resource| resource.kind == kind)
        })
    };
    match &active.fault.what {
        Trouble::Calls { of, .. } | Trouble::OneCall { of, .. } | Trouble::Crash { of, .. }
            if !is_of(*of) =>
        {
            None
        }
        Trouble::Calls { percent, how, of } => {
            let call = count();
            // Spread evenly, and another way for each fault.
            let falls = (call.wrapping_mul(0x9E37_79B9) >> 7) % 100 < *percent;
            falls.then(|| broken(*how, call, request, of.is_some())).flatten()
        }
        Trouble::OneCall { call, how, of } => {
            (count() == *call).then(|| broken(*how, *call, request, of.is_some())).flatten()
        }
        Trouble::Crash { call, carried_out, .. } => {
            (count() == *call).then_some(Meets::Crash { carried_out: *carried_out })
        }
        Trouble::Deposed { call } => (count() == *call).then_some(Meets::Deposed),
        _ => None,
    }
}

fn reads(request: &RequestSummary) -> bool {
    matches!(request.verb, "get" | "list" | "watch")
}

const ALL: [How; 10] = [
    How::Conflict,
    How::TooMany,
    How::Internal,
    How::Unavailable,
    How::Denied,
    How::Forbidden,
    How::Timeout,
    How::Lost,
    How::AnswerLost,
    How::Rival,
];

/// The answer to a call that fails so; none where the API server would not fail so. Only a fault that
/// is aimed at Jobs refuses one: that is a question to a person, and another end.
fn broken(how: How, call: u64, request: &RequestSummary, aimed: bool) -> Option<Meets> {
    let reads = reads(request);
    let spared = !aimed && request.resource.is_some_and(|resource| resource.kind == "Job");
    let refuse = |code, reason, text: &str| {
        Some(Meets::Fault(Broken::Refuse(Refusal::new(code, reason, text))))
    };
    match how {
        How::Conflict if reads || request.verb == "create" => None,
        How::Conflict => refuse(409, "Conflict", "the object has been modified"),
        How::TooMany => refuse(429, "TooManyRequests", "please try again later"),
        How::Internal => refuse(500, "InternalError", "etcdserver: leader changed"),
        How::Unavailable => refuse(503, "ServiceUnavailable", "apiserver is shutting down"),
        How::Denied if reads || spared => None,
        How::Forbidden if spared => None,
        How::Denied => refuse(422, "Invalid", "admission webhook \"policy\" denied the request"),
        How::Forbidden => refuse(403, "Forbidden", "the rights are being changed"),
        How::Timeout => refuse(504, "Timeout", "request did not complete within the deadline"),
        How::Lost => Some(Meets::Fault(Broken::Lose)),
        How::AnswerLost => Some(Meets::Fault(Broken::LoseAnswer)),
        How::Rival => (!reads).then_some(Meets::Rival),
        How::Any => {
            let at = usize::try_from(call % ALL.len() as u64).unwrap_or(0);
            broken(ALL[at], call, request, aimed)
        }
    }
}
