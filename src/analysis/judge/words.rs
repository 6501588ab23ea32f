//! What a comparison knows, in words.
//!
//! In: a finding, its parameters, and how much of the release is left. Out: sentences: what was
//! counted and how likely chance is, what is still needed, and what cannot be seen.

use super::{
    Finding, Params, Totals, Verdict,
    outlook::{Part, Traffic, found_after, smallest_found},
    real,
};

/// What is compared, for sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Errors: "failed".
    Errors,
    /// Requests above a bound: "took longer than 0.5 s".
    Slower {
        /// The bound with its unit.
        than: String,
    },
}

/// What a comparison knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// "canary 14 of 1,204 failed, stable 31 of 10,870: 4.1 times worse, 1 in 900 by chance".
    pub found: String,
    /// "about 2,300 more requests at this traffic: 6 min"; empty when nothing is needed.
    pub needs: String,
    /// "a doubling cannot be found in 30 min at this traffic"; empty when all that matters can.
    pub blind: String,
}

impl Report {
    /// All of it on one line.
    pub fn line(&self) -> String {
        let parts = [&self.found, &self.needs, &self.blind];
        let parts: Vec<&str> =
            parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        parts.join("; ")
    }
}

/// Says what a comparison knows.
pub fn report(finding: &Finding, params: &Params, subject: &Subject) -> Report {
    let left = (params.release_seconds - finding.seconds).max(0.0);
    let needs = match finding.verdict {
        Verdict::Worse => String::new(),
        Verdict::NotEnoughData => needs_requests(finding, params),
        // The bets on latency are on odds, and on several bounds at once.
        Verdict::NotWorse if *subject != Subject::Errors => String::new(),
        Verdict::NotWorse => needs_evidence(finding, params, left),
    };
    let blind = match finding.verdict {
        Verdict::Worse => String::new(),
        _ => blind(finding, params, subject),
    };
    Report { found: found(finding, subject), needs, blind }
}

fn found(finding: &Finding, subject: &Subject) -> String {
    let Finding { canary, stable, .. } = finding;
    let what = match subject {
        Subject::Errors => "failed".to_owned(),
        Subject::Slower { than } => format!("took longer than {than}"),
    };
    let part = |of: &Totals| format!("{} of {}", grouped(of.errors), grouped(of.requests));
    let counted = format!("canary {} {what}, stable {}", part(canary), part(stable));
    format!("{counted}: {}", compared(finding))
}

/// "4.1 times worse, 1 in 900 by chance".
fn compared(finding: &Finding) -> String {
    let Finding { canary, stable, verdict, ln_evidence, .. } = finding;
    if canary.requests == 0 {
        return "no requests of the canary to compare".to_owned();
    }
    if stable.requests == 0 {
        return "no requests of stable to compare with".to_owned();
    }
    if canary.errors == 0 && stable.errors == 0 {
        return "none of either".to_owned();
    }
    let ratio = match (canary.errors, stable.errors) {
        (0, _) => "none of the canary".to_owned(),
        (_, 0) => "none of stable".to_owned(),
        _ => {
            let ratio = canary.rate() / stable.rate();
            if (0.95..1.05).contains(&ratio) {
                "the same rate".to_owned()
            } else if ratio > 1.0 {
                format!("{} times worse", short(ratio))
            } else {
                format!("{} times stable's rate", short(ratio))
            }
        }
    };
    let worse = canary.rate() > 1.05 * stable.rate();
    match verdict {
        _ if *ln_evidence >= 2.0_f64.ln() => format!("{ratio}, {} by chance", chance(*ln_evidence)),
        Verdict::Worse => format!("{ratio} by now; it was clearly worse before"),
        _ if worse => format!("{ratio}, which chance explains so far"),
        _ => ratio,
    }
}

/// "1 in 900".
fn chance(ln_evidence: f64) -> String {
    // Nobody tells a billion from more.
    let evidence = ln_evidence.exp();
    if evidence >= 1e9 { "less than 1 in a billion".to_owned() } else { one_in(evidence) }
}

fn one_in(evidence: f64) -> String {
    format!("1 in {}", rounded(evidence))
}

fn needs_requests(finding: &Finding, params: &Params) -> String {
    let least = u64::from(params.min_requests);
    let missing = |arm: Totals| least.saturating_sub(arm.requests);
    let (canary, stable) = (missing(finding.canary), missing(finding.stable));
    let (arm, missing, seen) = if canary >= stable {
        ("canary", canary, finding.canary.requests)
    } else {
        ("stable", stable, finding.stable.requests)
    };
    if missing == 0 {
        // Only latency has enough requests and still says nothing.
        let bounds = "none of the bounds has between 0.1 % and 50 % of stable's requests above it";
        return format!("not enough data: {bounds}");
    }
    let needs = format!("not enough data: {} more requests of {arm} needed", grouped(missing));
    if seen == 0 || finding.seconds <= 0.0 {
        return needs;
    }
    let seconds = real(missing) * finding.seconds / real(seen);
    format!("{needs}, at this traffic {}", time(seconds))
}

/// What it takes until a doubling would have shown.
fn needs_evidence(finding: &Finding, params: &Params, left: f64) -> String {
    let Some(traffic) = Traffic::seen(finding) else { return String::new() };
    let ratio = noteworthy(params);
    let Some(whole) = traffic.seconds_to_find(ratio, params) else { return String::new() };
    let seconds = whole - finding.seconds;
    if seconds <= 0.0 || seconds > left {
        return String::new();
    }
    let requests = rounded(seconds * traffic.requests_a_second());
    format!(
        "to see {}: about {requests} more requests at this traffic: {}",
        times(ratio),
        time(seconds)
    )
}

fn blind(finding: &Finding, params: &Params, subject: &Subject) -> String {
    if *subject != Subject::Errors {
        return String::new();
    }
    let Some(traffic) = Traffic::seen(finding) else { return String::new() };
    blind_spot(&traffic, params)
}

/// What cannot be found during a release at this traffic; empty when a doubling can. It may be asked
/// before a release as well.
pub fn blind_spot(traffic: &Traffic, params: &Params) -> String {
    let release = time(params.release_seconds);
    match traffic.smallest_found_within(params.release_seconds, params) {
        Some(ratio) if ratio <= noteworthy(params) => String::new(),
        Some(ratio) => {
            let seconds = traffic.seconds_to_find(ratio, params).unwrap_or(params.release_seconds);
            format!(
                "{} cannot be found in {release} at this traffic; {} can, in {}",
                times(noteworthy(params)),
                times(ratio),
                time(seconds)
            )
        }
        None => match traffic.seconds_to_find(1.0 / traffic.rate, params) {
            Some(seconds) if seconds <= params.release_seconds => format!(
                "only a canary that fails nearly always can be found in {release} at this traffic, in {}",
                time(seconds)
            ),
            _ => format!("nothing can be found in {release} at this traffic"),
        },
    }
}

/// What can be found within the parts of a release, before it begins.
pub fn outlook(parts: &[Part], params: &Params) -> String {
    let length = time(parts.iter().map(|part| part.seconds).sum());
    let wanted = noteworthy(params);
    let total = parts.iter().map(|part| part.traffic.rate).fold(f64::MIN_POSITIVE, f64::max);
    match smallest_found(parts, params) {
        Some((ratio, _)) if ratio <= wanted => {
            let seconds = found_after(parts, wanted, params).unwrap_or_default();
            format!("{} can be found, after {} of {length}", times(wanted), time(seconds))
        }
        Some((ratio, seconds)) => format!(
            "{} cannot be found in {length} at this traffic; {} can, after {}",
            times(wanted),
            times(ratio),
            time(seconds)
        ),
        None => match found_after(parts, 1.0 / total, params) {
            Some(seconds) => format!(
                "only a canary that fails nearly always can be found in {length} at this traffic, after {}",
                time(seconds)
            ),
            None => format!("nothing can be found in {length} at this traffic"),
        },
    }
}

/// The ratio that people want to see: a doubling, unless that is tolerated or nearly so.
fn noteworthy(params: &Params) -> f64 {
    if params.ratio < 1.5 { 2.0 } else { (2.0 * params.ratio).ceil() }
}

/// "a doubling", "5 times as many".
fn times(ratio: f64) -> String {
    if (ratio - 2.0).abs() < 0.01 {
        "a doubling".to_owned()
    } else {
        format!("{} times as many", short(ratio))
    }
}

/// A ratio with two digits.
fn short(value: f64) -> String {
    if value >= 100.0 {
        rounded(value)
    } else if value >= 9.95 {
        format!("{value:.0}")
    } else {
        let text = format!("{value:.1}");
        text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
    }
}

/// Two significant digits, with thousands apart.
pub fn rounded(value: f64) -> String {
    if value < 1.0 {
        return "1".to_owned();
    }
    let unit = 10_f64.powf((value.log10().floor() - 1.0).max(0.0));
    grouped(whole((value / unit).round() * unit))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of a float saturates, and this is for reading"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

/// `10,870`.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `45 s`, `6 min`, `1.5 h`.
pub fn time(seconds: f64) -> String {
    if seconds < 90.0 {
        format!("{:.0} s", seconds.max(1.0))
    } else if seconds < 5400.0 {
        format!("{:.0} min", seconds / 60.0)
    } else {
        format!("{} h", short(seconds / 3600.0))
    }
}
