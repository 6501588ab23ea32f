//! The verdict on a release for pipelines: a line of JSON, a summary in Markdown, a `JUnit` file. Pure.

use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::api::{AnalysisRun, MetricResult, REVISION_LABEL, ReleaseRecord, Rollout, Verdict};

use super::super::{
    exit::Exit,
    history::took,
    state::{self, Release},
};

/// A Rollout's state as one JSON object. The fields stay as they are in later versions.
pub fn json(rollout: &Rollout, exit: Exit, now: Timestamp) -> Value {
    let status = rollout.status.as_ref();
    let step = status.and_then(|status| status.step.as_ref());
    json!({
        "time": now,
        "namespace": rollout.namespace(),
        "name": rollout.name_any(),
        "phase": status.and_then(|status| status.phase),
        "release": match state::release(rollout) {
            Release::Unseen => "unseen",
            Release::Complete => "complete",
            Release::Running => "running",
            Release::Aborted => "aborted",
        },
        "exitCode": exit.code(),
        "message": state::message(rollout),
        "revision": status.map(|status| status.revision),
        "currentRevision": status.and_then(|status| status.current_revision.as_ref()),
        "stableRevision": status.and_then(|status| status.stable_revision.as_ref()),
        "images": state::images(rollout),
        "step": step.map(|step| json!({"index": step.index, "of": step.of, "text": step.text})),
        "weights": status.and_then(|status| status.weights),
        "abort": status.and_then(|status| status.abort.as_ref()),
    })
}

/// What a report is made of.
pub struct Report<'a> {
    /// The Rollout as it was last seen.
    pub rollout: &'a Rollout,
    /// Its AnalysisRuns.
    pub runs: &'a [AnalysisRun],
    /// How the command ends.
    pub exit: Exit,
    /// Now.
    pub now: Timestamp,
}

impl Report<'_> {
    /// The release that the report is on: that of the newest revision.
    fn release(&self) -> Option<&ReleaseRecord> {
        self.rollout.status.as_ref()?.history.first()
    }

    fn title(&self) -> String {
        let namespace = self.rollout.namespace().unwrap_or_default();
        format!("{namespace}/{}", self.rollout.name_any())
    }

    fn outcome(&self) -> &'static str {
        match self.exit {
            Exit::Done => match state::release(self.rollout) {
                Release::Complete => "released",
                _ => "as waited for",
            },
            Exit::Aborted => "rolled back",
            Exit::Degraded => "degraded",
            Exit::Waiting => "waits for a person",
            Exit::TimedOut => "timed out",
            Exit::InProgress => "in progress",
            Exit::Failed | Exit::Usage | Exit::NotFound => "failed",
        }
    }

    /// The runs of the newest revision, oldest first.
    fn runs(&self) -> Vec<&AnalysisRun> {
        let current = self.rollout.status.as_ref().and_then(|now| now.current_revision.as_ref());
        let of_release =
            |run: &&AnalysisRun| current.is_some() && run.labels().get(REVISION_LABEL) == current;
        let mut runs: Vec<&AnalysisRun> = self.runs.iter().filter(of_release).collect();
        runs.sort_by_key(|run| (run.metadata.creation_timestamp.clone(), run.name_any()));
        runs
    }

    fn metrics(&self) -> Vec<(String, &MetricResult)> {
        let runs = self.runs();
        let results = runs.iter().filter_map(|run| Some((run.name_any(), run.status.as_ref()?)));
        let all = results.flat_map(|(name, status)| {
            status.metric_results.iter().map(move |result| (name.clone(), result))
        });
        all.collect()
    }

    /// The summary as Markdown, for the page of a CI job.
    pub fn markdown(&self) -> String {
        let sign = match self.exit {
            Exit::Done => "✅",
            Exit::Waiting | Exit::InProgress => "⏸️",
            _ => "❌",
        };
        let cells = |cells: &[&str]| {
            let cells: Vec<String> = cells.iter().map(|cell| escaped(cell)).collect();
            format!("| {} |", cells.join(" | "))
        };
        let mut lines = vec![
            format!("### {sign} {}: {}", self.title(), self.outcome()),
            String::new(),
            escaped(&state::message(self.rollout)),
            String::new(),
            "| revision | images | took | ended by | reason |".to_owned(),
            "|---|---|---|---|---|".to_owned(),
        ];
        lines.extend(self.release().map(|release| {
            let by = release.ended_at.map_or("", |_| state::by(&release.by));
            let (number, images) = (release.number.to_string(), release.images.join(", "));
            cells(&[&number, &images, &took(release, self.now), by, &release.reason])
        }));
        let metrics = self.metrics();
        if !metrics.is_empty() {
            lines.push(String::new());
            lines.push("| metric | verdict | measured | last value | why |".to_owned());
            lines.push("|---|---|---|---|---|".to_owned());
        }
        lines.extend(metrics.into_iter().map(|(_, metric)| {
            let trial = if metric.dry_run { " (dry run)" } else { "" };
            let (verdict, count) = (format!("{}{trial}", metric.phase), metric.count.to_string());
            cells(&[&metric.name, &verdict, &count, last_value(metric), &metric.message])
        }));
        if let Some(next) = state::next_step(self.rollout) {
            lines.push(String::new());
            lines.push(format!("Next: {}", escaped(next)));
        }
        lines.extend([String::new(), String::new()]);
        lines.join("\n")
    }

    /// The summary as `JUnit` XML: a test case for the release, and one for each metric.
    pub fn junit(&self) -> String {
        let mut cases = vec![self.release_case()];
        cases.extend(self.metrics().into_iter().map(|(run, metric)| metric_case(&run, metric)));
        let count = |part: &str| cases.iter().filter(|case| case.contains(part)).count();
        let suite = format!(
            "<testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\">",
            xml(&self.title()),
            cases.len(),
            count("<failure "),
            count("<skipped "),
        );
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  {suite}\n{}  </testsuite>\n</testsuites>\n",
            cases.concat()
        )
    }

    fn release_case(&self) -> String {
        let seconds = self.release().map_or(0, |release| {
            let end = release.ended_at.unwrap_or(self.now);
            (end.as_second() - release.started_at.as_second()).max(0)
        });
        let number = self.rollout.status.as_ref().map_or(0, |status| status.revision);
        let message = state::message(self.rollout);
        let failure = (self.exit != Exit::Done).then_some((self.outcome(), message.as_str()));
        case(&format!("release of revision {number}"), &self.title(), seconds, failure, None)
    }
}

fn metric_case(run: &str, metric: &MetricResult) -> String {
    let verdict = metric.phase.to_string();
    let passed = metric.phase == Verdict::Successful;
    let skipped = metric.dry_run
        || matches!(metric.phase, Verdict::Stopped | Verdict::Pending | Verdict::Running);
    let why = if metric.message.is_empty() { last_value(metric) } else { &metric.message };
    let failure = (!passed && !skipped).then_some((verdict.as_str(), why));
    let skip = (!passed && skipped).then_some(verdict.as_str());
    case(&metric.name, run, 0, failure, skip)
}

fn case(
    name: &str,
    class: &str,
    seconds: i64,
    failure: Option<(&str, &str)>,
    skipped: Option<&str>,
) -> String {
    let head = format!(
        "    <testcase name=\"{}\" classname=\"{}\" time=\"{seconds}\"",
        xml(name),
        xml(class)
    );
    match (failure, skipped) {
        (Some((kind, why)), _) => format!(
            "{head}>\n      <failure type=\"{}\" message=\"{}\"/>\n    </testcase>\n",
            xml(kind),
            xml(why)
        ),
        (None, Some(why)) => {
            format!("{head}>\n      <skipped message=\"{}\"/>\n    </testcase>\n", xml(why))
        }
        (None, None) => format!("{head}/>\n"),
    }
}

fn last_value(metric: &MetricResult) -> &str {
    metric.measurements.last().map_or("", |measurement| measurement.value.as_str())
}

/// Text for a cell of a Markdown table.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '|' | '<' | '\\' | '*' | '_' | '[' => escaped.extend(['\\', character]),
            '\n' | '\r' => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Text for an XML attribute. Characters that XML 1.0 forbids are left out.
fn xml(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' | '\t' => safe.push(' '),
            other if other < ' ' || matches!(other, '\u{fffe}' | '\u{ffff}') => {}
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fixtures::{aborted, now, under};

    fn run() -> AnalysisRun {
        serde_json::from_value(json!({
            "apiVersion": "sluice.dev/v1alpha1", "kind": "AnalysisRun",
            "metadata": {"name": "checkout-7f9c-1", "labels": {REVISION_LABEL: "7f9c"}},
            "spec": {"metrics": []},
            "status": {"phase": "Failed", "metricResults": [
                {"name": "errors", "phase": "Failed", "count": 3, "message": "0.07 > 0.01 | 3 times",
                 "measurements": [{"phase": "Failed", "value": "0.07", "at": "2026-11-21T02:56:50Z"}]},
                {"name": "cpu", "phase": "Failed", "dryRun": true, "count": 1},
                {"name": "latency", "phase": "Successful", "count": 3},
            ]},
        }))
        .unwrap()
    }

    fn rolled_back() -> Rollout {
        let history = json!({"history": [{
            "revision": "7f9c", "number": 3, "images": ["shop/checkout:v3"], "attempt": 1,
            "startedAt": "2026-11-21T02:54:00Z", "endedAt": "2026-11-21T02:57:00Z",
            "outcome": "Aborted", "by": "sluice", "reason": "analysis errors: Failed",
        }]});
        let strategy = serde_json::to_value(&aborted().spec.strategy).unwrap();
        under(&strategy, &aborted(), &history)
    }

    #[test]
    fn the_summary_reads_well_on_the_page_of_a_job() {
        let (rollout, runs) = (rolled_back(), [run()]);
        let report = Report { rollout: &rollout, runs: &runs, exit: Exit::Aborted, now: now() };
        assert_eq!(
            report.markdown(),
            "\
### ❌ shop/checkout: rolled back

aborted: too many errors; stable takes all traffic

| revision | images | took | ended by | reason |
|---|---|---|---|---|
| 3 | shop/checkout:v3 | 3m | sluice | analysis errors: Failed |

| metric | verdict | measured | last value | why |
|---|---|---|---|---|
| errors | Failed | 3 | 0.07 | 0.07 > 0.01 \\| 3 times |
| cpu | Failed (dry run) | 1 |  |  |
| latency | Successful | 3 |  |  |

Next: `retry` starts again at the first step, `promote --full` skips the steps; or apply a fixed version

"
        );
    }

    #[test]
    fn junit_has_a_case_for_the_release_and_one_for_each_metric() {
        let (rollout, runs) = (rolled_back(), [run()]);
        let report = Report { rollout: &rollout, runs: &runs, exit: Exit::Aborted, now: now() };
        assert_eq!(
            report.junit(),
            r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="shop/checkout" tests="4" failures="2" skipped="1">
    <testcase name="release of revision 3" classname="shop/checkout" time="180">
      <failure type="rolled back" message="aborted: too many errors; stable takes all traffic"/>
    </testcase>
    <testcase name="errors" classname="checkout-7f9c-1" time="0">
      <failure type="Failed" message="0.07 &gt; 0.01 | 3 times"/>
    </testcase>
    <testcase name="cpu" classname="checkout-7f9c-1" time="0">
      <skipped message="Failed"/>
    </testcase>
    <testcase name="latency" classname="checkout-7f9c-1" time="0"/>
  </testsuite>
</testsuites>
"#
        );
    }
}
