//! Mann–Whitney on the shares of bad requests, an interval a value.

use serde::Serialize;

use super::{flags::Metric, intervals::Slice, verdicts::Ending};
use crate::{
    analysis::judge::{
        Counts,
        latency::Slow,
        mann_whitney::{self, Class, Comparison, Grade, Rules},
    },
    cli::exit::Exit,
};

/// Kayenta's documents pass a release at this score, and call it marginal from the other one.
const PASS: f64 = 95.0;
const MARGINAL: f64 = 75.0;

/// Values an arm should have, by Kayenta's documents.
const ADVISED: usize = 50;

/// A line of the output.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    time: &'a str,
    verdict: Grade,
    score: Option<f64>,
    metrics: Vec<Judged>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Judged {
    name: String,
    class: Class,
    #[serde(flatten)]
    comparison: Option<Comparison>,
}

/// One metric: percent of bad requests, an interval a value. (In percent: the test stops looking for
/// a shift at 1e-4, which would be much for a share.)
struct Series {
    name: String,
    canary: Vec<f64>,
    stable: Vec<f64>,
}

/// Grades after every interval; the last one counts.
pub(super) fn mann_whitney(
    slices: &[Slice],
    bounds: &[f64],
    metrics: &[Metric],
) -> (Vec<String>, Ending) {
    let mut series = Vec::new();
    if metrics.contains(&Metric::Errors) {
        series.push(Series::new("errors".to_owned()));
    }
    if metrics.contains(&Metric::Latency) {
        series.extend(bounds.iter().map(|bound| Series::new(format!("above {bound} s"))));
    }
    let errors = usize::from(metrics.contains(&Metric::Errors));
    let mut lines: Vec<String> = Vec::new();
    let mut last = (Grade::Fail, None, Vec::new());
    // Like with like: minutes before the canary came are not compared.
    let compared = |slice: &&Slice| slice.errors.canary.requests > 0;
    for slice in slices.iter().filter(compared) {
        for (index, series) in series.iter_mut().enumerate() {
            let of = |counts: &Counts, slow: &Slow| match index.checked_sub(errors) {
                None => percent(counts.errors, counts.requests),
                Some(bound) => percent(slow.above.get(bound).copied().unwrap_or(0), slow.requests),
            };
            series.canary.push(of(&slice.errors.canary, &slice.latency.canary));
            series.stable.push(of(&slice.errors.stable, &slice.latency.stable));
        }
        let judged: Vec<Judged> = series.iter().map(Series::judge).collect();
        let classes: Vec<Class> = judged.iter().map(|judged| judged.class).collect();
        let score = mann_whitney::score(&classes);
        let grade = mann_whitney::grade(score, PASS, MARGINAL);
        let high = judged.iter().filter(|judged| judged.class == Class::High);
        let high: Vec<String> = high.map(|judged| judged.name.clone()).collect();
        let line = Line { time: &slice.time, verdict: grade, score, metrics: judged };
        lines.extend(serde_json::to_string(&line));
        last = (grade, score, high);
    }
    let ending = ending(&last, lines.len());
    (lines, ending)
}

fn ending((grade, score, high): &(Grade, Option<f64>, Vec<String>), values: usize) -> Ending {
    let few = if values < ADVISED {
        format!(" ({values} values an arm; {ADVISED} are advised)")
    } else {
        String::new()
    };
    let Some(score) = score else {
        let text = format!("undecided: half of the metrics or more have no data{few}");
        return Ending { exit: Exit::Waiting, text };
    };
    let high = if high.is_empty() {
        String::new()
    } else {
        format!(", the canary is high in {}", high.join(", "))
    };
    let (exit, verdict) = match grade {
        Grade::Pass => (Exit::Done, "no reason to roll back"),
        Grade::Marginal => (Exit::Waiting, "undecided, marginal"),
        Grade::Fail => (Exit::Aborted, "roll back"),
    };
    Ending { exit, text: format!("{verdict}: score {score:.0} of 100{high}{few}") }
}

impl Series {
    fn new(name: String) -> Self {
        Self { name, canary: Vec::new(), stable: Vec::new() }
    }

    fn judge(&self) -> Judged {
        Judged {
            name: self.name.clone(),
            class: mann_whitney::classify(&self.canary, &self.stable, &Rules::default()),
            comparison: mann_whitney::compare(&self.canary, &self.stable),
        }
    }
}

/// NaN without requests: the test leaves such values out.
fn percent(bad: u32, requests: u32) -> f64 {
    if requests == 0 { f64::NAN } else { 100.0 * f64::from(bad) / f64::from(requests) }
}
