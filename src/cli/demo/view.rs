//! One look at a release: step, weights, pods, analysis against its limits, users. Pure.

use std::collections::BTreeMap;

use crate::{
    analysis::arguments::{plain_values, substitute},
    api::{AnalysisRun, Metric, REVISION_LABEL, RolloutStatus, Verdict, Weights},
    cli::{
        header,
        snapshot::Snapshot,
        state,
        style::{self, Paint, Style},
        table::{self, Cell, cut},
        timeline,
        trial::Requests,
    },
    sim::transcript::{Line, clock},
};
use k8s_openapi::api::{apps::v1::ReplicaSet, core::v1::Pod};
use kube::ResourceExt;

/// What is to be seen.
pub struct Scene<'a> {
    /// Which release, in a few words.
    pub title: &'a str,
    /// The Rollout with all that belongs to it.
    pub snapshot: &'a Snapshot,
    /// Users' requests since the release began.
    pub requests: Requests,
    /// Milliseconds since the release began.
    pub millis: i64,
    /// The story since then.
    pub lines: &'a [Line],
}

/// The lines to draw, on a terminal of `width` columns and `height` lines.
pub fn draw(scene: &Scene<'_>, style: Style, (width, height): (usize, usize)) -> Vec<String> {
    let mut rows = vec![
        Cell::new(Paint::Bold, cut(scene.title, width.saturating_sub(12))),
        Cell::new(Paint::Dim, clock(scene.millis)),
    ]
    .into_iter()
    .map(|cell| style.paint(cell.paint, &cell.text))
    .collect::<Vec<_>>()
    .join("   ");
    rows.push('\n');
    rows.push_str(&facts(scene, style, width));
    let mut lines: Vec<String> = rows.lines().map(str::to_owned).collect();
    lines.push(String::new());
    // A line remains for the cursor.
    let room = height.saturating_sub(lines.len() + 1);
    let told: Vec<&Line> = scene.lines.iter().filter(|line| matters(line)).collect();
    let shown = told.iter().skip(told.len().saturating_sub(room.min(10)));
    lines.extend(shown.map(|line| timeline::line(line, style, Some(width))));
    lines.truncate(height.saturating_sub(1));
    lines
}

/// Whether a line is shown below the facts, which show the rest.
fn matters(line: &Line) -> bool {
    let shown = ["ReplicaSet", "Pod", "Service"].iter().any(|kind| line.what.starts_with(kind));
    !shown && !line.text.ends_with(": Successful")
}

fn facts(scene: &Scene<'_>, style: Style, width: usize) -> String {
    let rollout = &scene.snapshot.rollout;
    let empty = RolloutStatus::default();
    let status = rollout.status.as_ref().unwrap_or(&empty);
    let room = width.saturating_sub(16);
    let mut rows = Vec::new();
    let mut add = |label: &str, cells: Vec<Cell>| {
        let mut row = vec![Cell::new(Paint::Dim, label)];
        row.extend(cells);
        rows.push(row);
    };
    let step = match (&status.step, state::current_step(rollout)) {
        (Some(step), Some(current)) => {
            format!("{}/{} {}", step.index + 1, step.of, state::describe(&current))
        }
        (Some(step), None) => step.text.clone(),
        (None, _) => "none yet".to_owned(),
    };
    add("Step", vec![Cell::new(Paint::Bold, cut(&step, room))]);
    let message = cut(&message(scene.snapshot), room);
    add("State", vec![Cell::new(style::phase(status.phase), message)]);
    for row in revisions(scene.snapshot, status) {
        add(&row.0, vec![row.1]);
    }
    for (name, cell) in analysis(scene.snapshot, status) {
        add(&cut(&name, 18), vec![Cell::new(cell.paint, cut(&cell.text, room))]);
    }
    let users = cut(&users(&scene.requests), room);
    let paint = if scene.requests.because_of_canary > 0 { Paint::Wait } else { Paint::Plain };
    add("Users", vec![Cell::new(paint, users)]);
    table::render(&rows, style)
}

/// The Rollout's message without the names of `AnalysisRuns`, which take the room of the reason.
fn message(snapshot: &Snapshot) -> String {
    let message = state::message(&snapshot.rollout);
    let names = snapshot.runs.iter().map(|run| format!("analysis {}: ", run.name_any()));
    names.fold(message, |message, name| message.replace(&name, ""))
}

/// Each revision: its image, its share of the traffic, and its pods.
fn revisions(snapshot: &Snapshot, status: &RolloutStatus) -> Vec<(String, Cell)> {
    let weights = status.weights.unwrap_or_else(|| Weights::of(100, 0));
    let hash = |set: &ReplicaSet| set.labels().get(REVISION_LABEL).cloned();
    let row = |set: &ReplicaSet, name: &str, weight: i32| {
        let pods: Vec<&Pod> = snapshot.pods.iter().filter(|pod| owns(set, pod)).collect();
        let ready = set.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
        let spec = set.spec.template.as_ref().and_then(|template| template.spec.as_ref());
        let image = spec.and_then(|spec| spec.containers.first()?.image.clone());
        let image = image.unwrap_or_default();
        let text = format!(
            "{} {:>5}   {ready} of {} pods ready   {image}",
            header::bar(weight, weights),
            state::part(weight, weights).replacen('%', " %", 1),
            pods.len()
        );
        (name.to_owned(), text)
    };
    let find = |wanted: &Option<String>| {
        snapshot.replica_sets.iter().find(|set| wanted.is_some() && hash(set) == *wanted)
    };
    let stable = find(&status.stable_revision).map(|set| row(set, "stable", weights.stable));
    let is_new = status.current_revision != status.stable_revision;
    let canary = find(&status.current_revision).filter(|_| is_new);
    let canary = canary.map(|set| row(set, "canary", weights.canary));
    let paint = if status.abort.is_some() { Paint::Bad } else { Paint::Busy };
    let mut rows: Vec<(String, Cell)> = Vec::new();
    rows.extend(stable.map(|(name, text)| (name, Cell::new(Paint::Good, text))));
    rows.extend(canary.map(|(name, text)| (name, Cell::new(paint, text))));
    rows
}

fn owns(set: &ReplicaSet, pod: &Pod) -> bool {
    let mut owners = pod.owner_references().iter();
    owners.any(|owner| Some(&owner.uid) == set.metadata.uid.as_ref())
}

/// Each metric of this release's analysis: its last value and its limit.
fn analysis(snapshot: &Snapshot, status: &RolloutStatus) -> Vec<(String, Cell)> {
    let Some(analysis) = &status.analysis else { return Vec::new() };
    let names: Vec<&str> = [&analysis.background, &analysis.step]
        .into_iter()
        .flatten()
        .map(|run| run.name.as_str())
        .collect();
    let runs = snapshot.runs.iter().filter(|run| names.contains(&&*run.name_any()));
    runs.flat_map(metrics).collect()
}

fn metrics(run: &AnalysisRun) -> Vec<(String, Cell)> {
    let values = plain_values(&run.spec.args);
    let results: BTreeMap<&str, _> = run
        .status
        .iter()
        .flat_map(|status| &status.metric_results)
        .map(|result| (result.name.as_str(), result))
        .collect();
    let mut cells = Vec::new();
    for metric in &run.spec.metrics {
        let result = results.get(metric.name.as_str());
        let phase = result.map_or(Verdict::Pending, |result| result.phase);
        let last =
            result.and_then(|result| result.measurements.iter().rev().find(|m| m.phase.is_final()));
        let value = match last {
            _ if metric.provider.job.is_some() => phase.to_string(),
            Some(last) if !last.value.is_empty() => short(&last.value),
            Some(_) => "no data".to_owned(),
            None => "not measured yet".to_owned(),
        };
        let passed = result.map_or((0, 0), |result| (result.successful, result.failed));
        let limit = limit(metric, &values);
        let mut text = value;
        if !limit.is_empty() {
            text = format!("{text:<9} allowed {limit}   {} passed, {} failed", passed.0, passed.1);
        }
        let last = last.map_or(Verdict::Pending, |last| last.phase);
        let paint = if phase.is_final() { style::verdict(phase) } else { style::verdict(last) };
        cells.push((metric.name.clone(), Cell::new(paint, text)));
    }
    cells
}

/// What is allowed, in words.
fn limit(metric: &Metric, values: &BTreeMap<String, String>) -> String {
    if let Some(threshold) = metric.threshold {
        let least = threshold.min.map(|min| format!("at least {min}"));
        let most = threshold.max.map(|max| format!("at most {max}"));
        return least.into_iter().chain(most).collect::<Vec<_>>().join(" and ");
    }
    let text = metric.success_condition.clone();
    let fails = metric.failure_condition.as_deref().map(|text| format!("not {text}"));
    text.or(fails).map_or_else(String::new, |text| substitute(&text, values).unwrap_or(text))
}

/// A number as long as a person reads it.
fn short(value: &str) -> String {
    let bare = value.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<f64>() {
        Ok(number) if number.is_finite() && number.abs() >= 10.0 => format!("{number:.0}"),
        Ok(number) if number.is_finite() => format!("{number:.4}"),
        _ => value.to_owned(),
    }
}

/// Users' requests in a sentence.
pub fn users(requests: &Requests) -> String {
    let Requests { sent, failed, lost, because_of_canary, .. } = requests;
    let canary = match because_of_canary {
        0 => "none because of the canary".to_owned(),
        count => format!("{count} because of the canary"),
    };
    format!("{sent} requests, {failed} failed ({canary}), {lost} lost without an answer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fixtures::paused;

    fn scene<'a>(snapshot: &'a Snapshot, lines: &'a [Line]) -> Scene<'a> {
        let requests =
            Requests { sent: 100, failed: 3, because_of_canary: 2, ..Requests::default() };
        Scene { title: "a release", snapshot, requests, millis: 61_000, lines }
    }

    #[test]
    fn shows_step_state_and_users() {
        let snapshot = Snapshot::bare(paused());
        let lines = draw(&scene(&snapshot, &[]), Style::PLAIN, (100, 30)).join("\n");
        assert!(lines.starts_with("a release   1:01.0\n"), "{lines}");
        assert!(lines.contains("2/4 pause until promoted"), "{lines}");
        assert!(
            lines.contains("100 requests, 3 failed (2 because of the canary), 0 lost"),
            "{lines}"
        );
    }

    #[test]
    fn fits_the_terminal() {
        let line = Line {
            millis: 0,
            who: "sluice".to_owned(),
            what: "Rollout web".to_owned(),
            text: "x".repeat(300),
            why: None,
        };
        let (snapshot, lines) = (Snapshot::bare(paused()), vec![line; 50]);
        for (width, height) in [(80, 24), (120, 40), (72, 8)] {
            let drawn = draw(&scene(&snapshot, &lines), Style::PLAIN, (width, height));
            assert!(drawn.len() < height, "{height}");
            assert!(drawn.iter().all(|line| line.chars().count() <= width), "{drawn:#?}");
        }
    }
}
