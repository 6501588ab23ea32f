//! The comparison after every interval, beside an objective if there is one.

use serde::Serialize;

use super::{
    flags::{Flags, Metric},
    intervals::Slice,
};
use crate::{
    analysis::judge::{
        Counts, Finding, Params, Verdict, counts,
        dispersion::Dispersion,
        latency,
        slo::{self, Action, Objective},
        words::{self, Subject},
    },
    cli::exit::Exit,
};

/// How it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) exit: Exit,
    /// A line for people.
    pub(super) text: String,
}

/// A line of the output.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    time: &'a str,
    seconds: f64,
    verdict: Action,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Finding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<Latency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    burn: Option<Burn>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Latency {
    /// The bound that speaks loudest, in seconds; the counts are of requests above it.
    bound: f64,
    #[serde(flatten)]
    finding: Finding,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct Burn {
    canary: bool,
    stable: bool,
}

/// Windows of the classic burn rate during a release, in seconds.
const LONG: f64 = 300.0;
const SHORT: f64 = 60.0;

/// Whether an arm burns its budget.
struct Budget {
    state: slo::State,
    past: Vec<(f64, Counts)>,
}

impl Budget {
    fn new() -> Self {
        Self { state: slo::State::default(), past: Vec::new() }
    }

    fn burns(&mut self, seconds: f64, counts: Counts, phi: f64, limit: f64, alpha: f64) -> bool {
        let (state, burn) = slo::step(&self.state, counts, phi, limit, alpha);
        self.state = state;
        self.past.push((seconds, counts));
        let window = |seconds| slo::window(&self.past, seconds);
        burn.alarmed || slo::burns(window(LONG), window(SHORT), limit)
    }
}

/// Judges all intervals. Errors are sentences about flags.
pub(super) fn compare(
    slices: &[Slice],
    bounds: &[f64],
    metrics: &[Metric],
    flags: &Flags,
) -> Result<(Vec<String>, Ending), Vec<String>> {
    if bounds.len() > latency::MOST_BOUNDS && metrics.contains(&Metric::Latency) {
        let (found, most) = (bounds.len(), latency::MOST_BOUNDS);
        return Err(vec![format!(
            "found {found} buckets; allowed are up to {most}, or --metric errors"
        )]);
    }
    let mut comparison = Comparison::new(bounds, metrics, flags)?;
    let mut lines = Vec::new();
    let (mut found, mut last) = (None, None);
    for slice in slices {
        let line = comparison.step(slice);
        if line.verdict == Action::RollBack && found.is_none() {
            found = Some((line.time, line.seconds, line.message.clone()));
        }
        lines.push(serde_json::to_string(&line).map_err(|error| vec![error.to_string()])?);
        last = Some((line.verdict, line.message, line.seconds));
    }
    Ok((lines, ending(found, last)))
}

/// What has been found, at which time, after how many seconds.
type Found<'a> = Option<(&'a str, f64, String)>;

fn ending(found: Found, last: Option<(Action, String, f64)>) -> Ending {
    if let Some((time, seconds, message)) = found {
        let after = words::time(seconds);
        let text = format!("roll back, found after {after} at {time}: {message}");
        return Ending { exit: Exit::Aborted, text };
    }
    let (action, message, seconds) = last.unwrap_or((Action::Wait, String::new(), 0.0));
    let after = words::time(seconds);
    let (exit, text) = match action {
        Action::GoOn => (Exit::Done, format!("no reason to roll back after {after}: {message}")),
        Action::HoldSharedIncident => (Exit::Waiting, format!("hold after {after}: {message}")),
        _ => (Exit::Waiting, format!("undecided after {after}: {message}")),
    };
    Ending { exit, text }
}

/// All judges of a release side by side.
struct Comparison<'a> {
    errors: Option<(counts::State, Params)>,
    latency: Option<(latency::State, Params)>,
    bounds: &'a [f64],
    objective: Option<(f64, f64)>,
    canary: Budget,
    stable: Budget,
    /// How errors of stable come, for the objective.
    dispersion: Dispersion,
    rolled_back: bool,
}

impl<'a> Comparison<'a> {
    fn new(bounds: &'a [f64], metrics: &[Metric], flags: &Flags) -> Result<Self, Vec<String>> {
        // Every judge that may roll back takes its part of the false alarms.
        let judges = metrics.len() + usize::from(flags.objective.is_some());
        let judges = u32::try_from(judges).unwrap_or(u32::MAX);
        let params = |metric: Metric| -> Result<Option<Params>, Vec<String>> {
            if !metrics.contains(&metric) {
                return Ok(None);
            }
            flags.parameters(metric).check(judges).map(Some)
        };
        let errors = params(Metric::Errors)?.map(|params| (counts::State::default(), params));
        let latency =
            params(Metric::Latency)?.map(|params| (latency::State::new(bounds.len()), params));
        let objective = match flags.objective {
            None => None,
            Some(objective) => {
                let alpha = flags.false_alarms.0 / f64::from(judges);
                Some((Objective { objective, burn: flags.burn }.limit()?, alpha))
            }
        };
        Ok(Self {
            errors,
            latency,
            bounds,
            objective,
            canary: Budget::new(),
            stable: Budget::new(),
            dispersion: Dispersion::default(),
            rolled_back: false,
        })
    }

    fn step<'s>(&mut self, slice: &'s Slice) -> Line<'s> {
        let mut messages = Vec::new();
        let both = self.errors.is_some() && self.latency.is_some();
        let named = |name: &str, text: String| if both { format!("{name}: {text}") } else { text };
        let errors = self.errors.as_mut().map(|(state, params)| {
            let finding;
            (*state, finding) = counts::step(state, &slice.errors, params);
            let report = words::report(&finding, params, &Subject::Errors);
            messages.push(named("errors", report.line()));
            finding
        });
        let bounds = self.bounds;
        let latency = self.latency.as_mut().map(|(state, params)| {
            let finding;
            (*state, finding) = latency::step(state, &slice.latency, params);
            let bound = bounds.get(state.loudest()).copied().unwrap_or_default();
            let subject = Subject::Slower { than: format!("{bound} s") };
            messages.push(named("latency", words::report(&finding, params, &subject).line()));
            Latency { bound, finding }
        });
        let burn = self.burn(slice);
        let findings = errors.iter().chain(latency.as_ref().map(|latency| &latency.finding));
        let verdict = worst(findings.map(|finding| finding.verdict));
        let Burn { canary, stable } = burn.unwrap_or(Burn { canary: false, stable: false });
        let mut action = slo::action(verdict, canary, stable);
        if action == Action::HoldSharedIncident {
            messages.insert(0, "shared incident: stable burns its budget as well".to_owned());
        } else if canary && action == Action::RollBack {
            messages.insert(0, "the canary burns its error budget".to_owned());
        }
        // A release is rolled back once.
        self.rolled_back |= action == Action::RollBack;
        if self.rolled_back {
            action = Action::RollBack;
        }
        let seconds = errors.or_else(|| latency.as_ref().map(|latency| latency.finding));
        Line {
            time: &slice.time,
            seconds: seconds.map_or(0.0, |finding| finding.seconds),
            verdict: action,
            message: messages.join("; "),
            errors,
            latency,
            burn,
        }
    }

    fn burn(&mut self, slice: &Slice) -> Option<Burn> {
        let (limit, alpha) = self.objective?;
        let (phi, seconds) = (self.dispersion.phi(), slice.errors.seconds);
        let Slice { errors: counts::Interval { canary, stable, minute, .. }, .. } = slice;
        self.dispersion = self.dispersion.and(minute);
        Some(Burn {
            canary: self.canary.burns(seconds, *canary, phi, limit, alpha),
            stable: self.stable.burns(seconds, *stable, phi, limit, alpha),
        })
    }
}

/// One that is worse decides; one that has too little data leaves it open.
fn worst(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    verdicts.fold(Verdict::NotWorse, |so_far, verdict| match (so_far, verdict) {
        (Verdict::Worse, _) | (_, Verdict::Worse) => Verdict::Worse,
        (Verdict::NotEnoughData, _) | (_, Verdict::NotEnoughData) => Verdict::NotEnoughData,
        _ => Verdict::NotWorse,
    })
}
