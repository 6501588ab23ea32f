//! What is known of a canary's error budget, in words.

use super::{Report, chance, grouped, needs_requests, short, time};
use crate::analysis::{
    judge::{
        Finding, Params, Totals, Verdict, outlook::Traffic, parameters::Share, slo::Objective,
    },
    text::number,
};

/// Says what is known of the canary's budget. `limit` is the share of errors that burns too fast.
pub fn burning(finding: &Finding, objective: &Objective, limit: f64, params: &Params) -> Report {
    let (needs, blind) = match (finding.verdict, Traffic::seen(finding)) {
        (Verdict::NotEnoughData, _) => (needs_requests(finding, params), String::new()),
        (Verdict::NotWorse, Some(traffic)) => outlook(finding, &traffic, limit, params),
        (Verdict::Worse, _) | (Verdict::NotWorse, None) => (String::new(), String::new()),
    };
    Report { found: found(finding, objective, limit, params), needs, blind }
}

/// "canary 19 of 404 failed, 47 times what 99.9% allows (14.4 is too fast); stable 0.4 times".
fn found(finding: &Finding, objective: &Objective, limit: f64, params: &Params) -> String {
    let Finding { canary, stable, verdict, ln_evidence, .. } = finding;
    if canary.requests == 0 {
        return "no requests of the canary yet".to_owned();
    }
    let Share(good) = objective.objective;
    let speed = |totals: &Totals| format!("{} times", short(totals.rate() / (1.0 - good)));
    let counted = format!(
        "canary {} of {} failed, {} what {} allows ({} is too fast); stable {}",
        grouped(canary.errors),
        grouped(canary.requests),
        speed(canary),
        objective.objective,
        number(objective.burn),
        speed(stable)
    );
    match verdict {
        // The evidence is one reason, the two windows the other.
        Verdict::Worse if *ln_evidence < params.ln_needed() => {
            format!("{counted}, over the long window and the short one")
        }
        _ if *ln_evidence >= 2.0_f64.ln() => {
            format!("{counted}; {} by chance", chance(*ln_evidence))
        }
        Verdict::NotWorse if canary.rate() >= limit && stable.rate() >= limit => {
            format!("{counted}; what stable suffered from as well does not count")
        }
        Verdict::NotWorse if canary.rate() >= limit => {
            format!("{counted}; chance explains it so far")
        }
        _ => counted,
    }
}

/// What is still needed to see a canary with twice as many errors as the limit, or that this cannot
/// be seen.
fn outlook(finding: &Finding, traffic: &Traffic, limit: f64, params: &Params) -> (String, String) {
    let release = params.release_seconds;
    let after = |times: f64| traffic.seconds_to_find_burning(times, limit, params);
    let found = |times: &f64| after(*times).is_some_and(|seconds| seconds <= release);
    let twice = after(2.0);
    if let Some(seconds) = twice.filter(|seconds| *seconds <= release) {
        let left = seconds - finding.seconds;
        let needs = format!("to see one that burns twice as fast as that: {}", time(left));
        return (if left > 0.0 { needs } else { String::new() }, String::new());
    }
    let blind = format!(
        "one that burns twice as fast as that cannot be found in {} at this traffic",
        time(release)
    );
    match [3.0, 5.0, 10.0, 20.0, 50.0].into_iter().find(found) {
        Some(times) => {
            let seconds = after(times).unwrap_or(release);
            (String::new(), format!("{blind}; {} times can, in {}", short(times), time(seconds)))
        }
        None => (String::new(), blind),
    }
}
