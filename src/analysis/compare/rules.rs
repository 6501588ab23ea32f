//! What was written of a comparison, checked.
//!
//! In: a comparison as in the API. Out: the judge and its parameters, or a sentence for each field
//! that is wrong.

use crate::analysis::judge::{
    mann_whitney::{self, Direction},
    parameters::{Parameters, Params, Share, Tolerate},
    slo::Objective,
};
use crate::analysis::validate::Pattern;
use crate::api::{self, AnalysisRunSpec, Compare, Duration};

use super::intervals::INCIDENT;
use super::query;

/// Failed requests from which on a share is an incident, as far as nobody says otherwise.
const USUAL_INCIDENT: Share = Share(0.05);

/// How many times too fast a budget may burn, as far as nobody says otherwise.
const BURN: f64 = 14.4;

/// How much longer the long window of an objective is than the short one.
const SHORT: u32 = 5;

/// What was written, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// For the judges.
    pub params: Params,
    /// Which judge.
    pub judge: Judge,
    /// The share of failed requests from which on it is an incident.
    pub incident: f64,
}

/// Who judges.
#[derive(Clone, Debug, PartialEq)]
pub enum Judge {
    /// The failed requests of both.
    Errors,
    /// The requests above each of these bounds.
    Latency(Vec<Duration>),
    /// An objective, with the share of errors that burns too fast, and its window in milliseconds.
    Slo(Objective, f64, i64),
    /// The values of a query.
    MannWhitney(Kayenta),
}

/// Kayenta's judge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kayenta {
    /// What counts as a difference.
    pub rules: mann_whitney::Rules,
    /// Values of each revision without which it says nothing.
    pub values: usize,
    /// Scores at which it passes, and at which it is marginal.
    pub scores: (f64, f64),
}

impl Rules {
    /// How far back the recent past goes, and how much of that is the present, in milliseconds.
    pub fn recent(&self) -> (i64, i64) {
        match self.judge {
            Judge::Slo(_, _, window) => (window, window / i64::from(SHORT)),
            _ => INCIDENT,
        }
    }

    /// How many bounds of a histogram are compared.
    pub fn bounds(&self) -> usize {
        if let Judge::Latency(bounds) = &self.judge { bounds.len() } else { 0 }
    }
}

/// How many comparisons of a run share its false alarms: those that count, and promise something.
pub fn sharing(run: &AnalysisRunSpec) -> u32 {
    let compiled = |dry: &api::DryRun| Pattern::compile("", &dry.metric_name).ok();
    let dry: Vec<Pattern> = run.dry_run.iter().filter_map(compiled).collect();
    let shares = run.metrics.iter().filter(|metric| {
        let prometheus = metric.provider.prometheus.as_ref();
        let compare = prometheus.and_then(|prometheus| prometheus.compare.as_ref());
        compare.is_some_and(|compare| compare.mann_whitney.is_none())
            && !dry.iter().any(|pattern| pattern.matches(&metric.name))
    });
    u32::try_from(shares.count()).unwrap_or(u32::MAX)
}

/// Checks what was written, for one of `sharing` comparisons that share their false alarms.
///
/// # Errors
/// A sentence for each field that is wrong.
pub fn rules(compare: &Compare, sharing: u32) -> Result<Rules, Vec<String>> {
    let mut wrong = Vec::new();
    let mut share = |field: &str, text: Option<&str>, default: Share| {
        let share = text.map_or(Ok(default), str::parse::<Share>);
        share.unwrap_or_else(|error| {
            wrong.push(format!("{field}: {error}"));
            default
        })
    };
    let defaults = Parameters::default();
    let false_alarms = share("falseAlarms", compare.false_alarms.as_deref(), defaults.false_alarms);
    let incident = share("incident", compare.incident.as_deref(), USUAL_INCIDENT);
    if !(0.001..=1.0).contains(&incident.0) {
        wrong.push(format!("incident: found {incident}; allowed is a share from 0.1% to 100%"));
    }
    wrong.extend(strangers(compare));
    let judge = judge(compare).unwrap_or_else(|more| {
        wrong.extend(more);
        Judge::Errors
    });
    let ratio = match judge {
        Judge::Errors | Judge::Slo(..) => 1.1,
        Judge::Latency(_) => 1.2,
        Judge::MannWhitney(_) => 1.0,
    };
    let parameters = Parameters {
        tolerate: Tolerate {
            ratio: compare.tolerate.ratio.unwrap_or(ratio),
            absolute: compare.tolerate.absolute,
        },
        false_alarms,
        min_requests: u32::try_from(compare.min_requests).unwrap_or(0),
        release: compare.release.unwrap_or(defaults.release),
        ..defaults
    };
    match parameters.check(sharing) {
        Ok(params) if wrong.is_empty() => Ok(Rules { params, judge, incident: incident.0 }),
        Ok(_) => Err(wrong),
        Err(more) => Err(wrong.into_iter().chain(more).collect()),
    }
}

/// Fields that the judge does not ask for: who writes them expects something of them.
fn strangers(compare: &Compare) -> Vec<String> {
    let Compare { latency, slo, mann_whitney, .. } = compare;
    let (latency, slo) = (latency.is_some(), slo.is_some());
    let series = mann_whitney.is_some();
    let name = match (latency, slo, series) {
        (true, false, false) => "latency",
        (false, true, false) => "slo",
        (false, false, true) => "mannWhitney",
        (false, false, false) => return Vec::new(),
        _ => {
            return vec![
                "slo: found several judges; allowed is one of latency, slo, mannWhitney".into(),
            ];
        }
    };
    let found = [
        ("requests", compare.requests.is_some(), slo),
        ("errors", compare.errors.is_some(), slo),
        ("tolerate.ratio", compare.tolerate.ratio.is_some(), !slo),
        ("tolerate.absolute", compare.tolerate.absolute != 0.0, false),
        ("incident", compare.incident.is_some(), latency),
        ("falseAlarms", compare.false_alarms.is_some(), !series),
    ];
    let strange = found.into_iter().filter(|(_, there, allowed)| *there && !allowed);
    strange
        .map(|(field, ..)| format!("{field}: found one beside {name}; allowed is none, because {name} does not ask for it"))
        .collect()
}

fn judge(compare: &Compare) -> Result<Judge, Vec<String>> {
    if let Some(latency) = &compare.latency {
        return bounds(latency).map(Judge::Latency).map_err(|wrong| vec![wrong]);
    }
    if let Some(slo) = &compare.slo {
        return objective(slo);
    }
    let Some(found) = &compare.mann_whitney else { return Ok(Judge::Errors) };
    let kayenta = kayenta(found, compare.tolerate.ratio.unwrap_or(1.0));
    let wrong = odd(&kayenta);
    if wrong.is_empty() { Ok(Judge::MannWhitney(kayenta)) } else { Err(wrong) }
}

/// The bounds in their order.
fn bounds(latency: &api::CompareLatency) -> Result<Vec<Duration>, String> {
    let bounds = query::bounds(latency);
    let sound = |bound: &Duration| (0.001..=600.0).contains(&bound.as_secs_f64());
    if let Some(bound) = bounds.iter().find(|bound| !sound(bound)) {
        return Err(format!(
            "latency.bounds: found {bound}; allowed is a duration from 1ms to 10m"
        ));
    }
    let rise = bounds.windows(2).all(|two| two[0] < two[1]);
    if !rise || bounds.len() > query::MOST_BOUNDS {
        let found: Vec<String> = bounds.iter().map(ToString::to_string).collect();
        return Err(format!(
            "latency.bounds: found {}; allowed are up to {} that rise, such as 100ms, 250ms, 1s",
            found.join(", "),
            query::MOST_BOUNDS
        ));
    }
    Ok(bounds)
}

fn objective(slo: &api::Slo) -> Result<Judge, Vec<String>> {
    let mut wrong = Vec::new();
    let share = slo.objective.parse::<Share>().unwrap_or_else(|error| {
        wrong.push(format!("slo.objective: {error}"));
        Share(0.99)
    });
    let window = slo.window.unwrap_or(Duration::from_secs(300));
    let seconds = window.as_secs_f64();
    if !(60.0..=1800.0).contains(&seconds) {
        wrong.push(format!("slo.window: found {window}; allowed is a duration from 1m to 30m"));
    }
    let objective = Objective { objective: share, burn: slo.burn.unwrap_or(BURN) };
    match objective.limit() {
        Ok(limit) if wrong.is_empty() => {
            let window = i64::try_from(window.0.as_millis()).unwrap_or(300_000);
            Ok(Judge::Slo(objective, limit, window))
        }
        Ok(_) => Err(wrong),
        Err(more) => {
            wrong.extend(more.into_iter().map(|error| format!("slo.{error}")));
            Err(wrong)
        }
    }
}

fn kayenta(found: &api::MannWhitney, ratio: f64) -> Kayenta {
    let direction = match found.direction {
        api::Direction::Increase => Direction::Increase,
        api::Direction::Decrease => Direction::Decrease,
        api::Direction::Either => Direction::Either,
    };
    Kayenta {
        rules: mann_whitney::Rules {
            tolerance: found.tolerance.unwrap_or(0.25),
            allowed_increase: ratio,
            allowed_decrease: 1.0 / ratio,
            direction,
        },
        values: found.values.map_or(50, |values| usize::try_from(values).unwrap_or(0)),
        scores: (f64::from(found.pass.unwrap_or(95)), f64::from(found.marginal.unwrap_or(75))),
    }
}

/// What is wrong with Kayenta's parameters.
fn odd(Kayenta { rules, values, scores: (pass, marginal) }: &Kayenta) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut refuse = |field: &str, found: &dyn std::fmt::Display, allowed: &str| {
        wrong.push(format!("mannWhitney.{field}: found {found}; allowed is {allowed}"));
    };
    if !(0.0..=1.0).contains(&rules.tolerance) {
        refuse("tolerance", &rules.tolerance, "a part from 0 to 1, such as 0.25");
    }
    if !(5..=1000).contains(values) {
        refuse("values", values, "a number from 5 to 1000, such as 50");
    }
    if !(0.0..=100.0).contains(pass) {
        refuse("pass", pass, "a percentage from 0 to 100, such as 95");
    }
    if !(0.0..=*pass).contains(marginal) {
        refuse("marginal", marginal, "a percentage from 0 to that of pass, such as 75");
    }
    wrong
}
