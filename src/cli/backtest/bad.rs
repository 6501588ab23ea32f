//! A bad release of the past: which series are the canary's? Pure.

use std::collections::BTreeMap;

use super::release::{Arm, Release, Times, seconds, told};
use crate::analysis::{compare::samples::Holds, provider::prometheus::Series};

/// How the arms are told apart.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The label of revisions.
    pub label: String,
    /// Its value for the canary, where somebody said it.
    pub canary: Option<String>,
    /// Its value for stable.
    pub stable: Option<String>,
}

/// A bad release that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// What the judges see.
    pub release: Release,
    /// Which one the canary is, in words.
    pub canary: String,
    /// Which one stable is.
    pub stable: String,
}

/// Finds canary and stable.
///
/// # Errors
/// What is missing, and what may be said instead.
pub fn find(series: &[(Holds, Series)], times: Times, wanted: &Wanted) -> Result<Found, String> {
    let revisions = grown(series, times, &|series| series.labels.get(&wanted.label).cloned());
    let (canary, stable) = if wanted.canary.is_some() || revisions.len() > 1 {
        by_label(&revisions, wanted)?
    } else {
        return by_pods(series, times, wanted, &revisions);
    };
    let is = |series: &Series, value: &str| {
        series.labels.get(&wanted.label).is_some_and(|found| found == value)
    };
    let arm = |series: &Series| match () {
        () if is(series, &canary) => Some(Arm::Canary),
        () if is(series, &stable) => Some(Arm::Stable),
        () => None,
    };
    let release = Release::of(&told(series, arm), times);
    finished(release, canary, stable)
}

/// How much the series of each name grew before the release and in it.
type Grown = BTreeMap<String, (f64, f64)>;

fn grown(
    series: &[(Holds, Series)],
    times: Times,
    name: &dyn Fn(&Series) -> Option<String>,
) -> Grown {
    let began = seconds(times.began);
    let mut all = Grown::new();
    for (_, series) in series.iter().filter(|(holds, _)| *holds != Holds::Errors) {
        let Some(name) = name(series) else { continue };
        let found = all.entry(name).or_default();
        let mut last = None;
        for (at, value) in &series.samples {
            let grew = match last {
                // A series that is there from the beginning counts since long ago.
                None if *at > began => *value,
                None => 0.0,
                Some(last) if *value < last => *value,
                Some(last) => *value - last,
            };
            last = Some(*value);
            let part = if *at > began { &mut found.1 } else { &mut found.0 };
            *part += grew;
        }
    }
    all
}

fn by_label(revisions: &Grown, wanted: &Wanted) -> Result<(String, String), String> {
    let known = || {
        let names: Vec<&str> = revisions.keys().map(String::as_str).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    };
    for (flag, name) in [("canary", &wanted.canary), ("stable", &wanted.stable)] {
        if let Some(name) = name.as_ref().filter(|name| !revisions.contains_key(*name)) {
            return Err(format!(
                "--{flag}: found `{name}`, allowed are the values of the label {} in that time: {}",
                wanted.label,
                known()
            ));
        }
    }
    let most = |part: &dyn Fn(&(f64, f64)) -> f64, but: Option<&String>| {
        let others = revisions.iter().filter(|(name, _)| Some(*name) != but);
        let best = others.max_by(|one, two| part(one.1).total_cmp(&part(two.1)));
        best.filter(|(_, grown)| part(grown) > 0.0).map(|(name, _)| name.clone())
    };
    let stable = wanted.stable.clone().or_else(|| most(&|g| g.0, wanted.canary.as_ref()));
    let canary = wanted.canary.clone().or_else(|| most(&|g| g.1, stable.as_ref()));
    canary.zip(stable).ok_or_else(|| {
        format!(
            "found the values {} of the label {}, and not two with requests; allowed is a time with a canary, and stable before it: name them by --canary and --stable",
            known(),
            wanted.label
        )
    })
}

/// New pods are the canary's.
fn by_pods(
    series: &[(Holds, Series)],
    times: Times,
    wanted: &Wanted,
    revisions: &Grown,
) -> Result<Found, String> {
    let pod = |series: &Series| {
        let label = |name: &str| series.labels.get(name).filter(|name| !name.is_empty()).cloned();
        label("pod").or_else(|| label("instance"))
    };
    let pods = grown(series, times, &pod);
    let began = seconds(times.began);
    let mut first: BTreeMap<String, f64> = BTreeMap::new();
    for (_, series) in series {
        let (Some(pod), Some((at, _))) = (pod(series), series.samples.first()) else { continue };
        let known = first.entry(pod).or_insert(*at);
        *known = known.min(*at);
    }
    let is_new = |pod: &String| first.get(pod).is_some_and(|at| *at > began);
    let (new, old): (Vec<&String>, Vec<&String>) = pods.keys().partition(|pod| is_new(pod));
    if new.is_empty() || old.is_empty() {
        let revisions = revisions.keys().cloned().collect::<Vec<_>>().join(", ");
        let revisions = if revisions.is_empty() { "no value".to_owned() } else { revisions };
        return Err(format!(
            "found {revisions} of the label {}, {} new pods and {} that were there before; allowed is a time with a canary and stable: --label names the label that tells them apart",
            wanted.label,
            new.len(),
            old.len()
        ));
    }
    let arm = |series: &Series| {
        let pod = pod(series)?;
        Some(if is_new(&pod) { Arm::Canary } else { Arm::Stable })
    };
    let release = Release::of(&told(series, arm), times);
    let pods = |number: usize, how: &str| {
        format!("{number} {how} {}", if number == 1 { "pod" } else { "pods" })
    };
    finished(release, pods(new.len(), "new"), pods(old.len(), "older"))
}

fn finished(release: Release, canary: String, stable: String) -> Result<Found, String> {
    if release.begins().is_none() {
        return Err(format!(
            "found no request of the canary ({canary}) in that time; allowed is the time from its first pod to its end"
        ));
    }
    Ok(Found { release, canary, stable })
}
