mod jobs;
mod property;
mod status;

use super::*;
use crate::analysis::verdict::Reading;

/// A run from YAML; a metric is written without its provider.
fn run(yaml: &str) -> AnalysisRunSpec {
    let mut spec: serde_json::Value = serde_yaml::from_str(yaml).expect(yaml);
    for metric in spec["metrics"].as_array_mut().expect(yaml) {
        if metric.get("provider").is_none() {
            metric["provider"] = serde_json::json!({"prometheus": {"query": "up"}});
        }
    }
    serde_json::from_value(spec).expect(yaml)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + seconds).expect("in range")
}

fn took(metric: usize, reading: Reading) -> Taken {
    let started_at = at(0);
    Taken { metric, started_at, reading }
}

/// Plays a run: whenever metric 0 is due, the next of its readings is taken, and so on for the
/// others. Ends when nothing is left to read or the run is final.
struct Play {
    spec: AnalysisRunSpec,
    status: AnalysisRunStatus,
    now: i64,
    stopped_jobs: Vec<String>,
    next: Option<i64>,
}

impl Play {
    fn new(yaml: &str) -> Self {
        let spec = run(yaml);
        Self {
            spec,
            status: AnalysisRunStatus::default(),
            now: 0,
            stopped_jobs: vec![],
            next: None,
        }
    }

    fn step(&mut self, taken: &[Taken]) -> Vec<Due> {
        let advance = advance(&self.spec, &self.status, at(self.now), taken);
        self.status = advance.status;
        self.stopped_jobs.extend(advance.stop_jobs);
        self.next = advance.next_check.map(|next| next.as_second() - 1_000_000);
        advance.due
    }

    fn read(&mut self, metric: usize, reading: Reading) -> Vec<Due> {
        self.step(&[took(metric, reading)])
    }

    /// Feeds metric 0, each reading when it is due.
    fn feed(mut self, readings: &[Reading]) -> Self {
        for reading in readings {
            while self.step(&[]).is_empty() {
                if self.status.phase.is_final() {
                    return self;
                }
                self.now = self.next.expect("something to wait for");
            }
            self.read(0, reading.clone());
        }
        self
    }

    fn metric(&self, index: usize) -> &MetricResult {
        &self.status.metric_results[index]
    }

    fn says(&self) -> (Verdict, &str) {
        (self.status.phase, &self.status.message)
    }
}

fn good() -> Reading {
    Reading::scalar(0.99)
}

fn bad() -> Reading {
    Reading::scalar(0.91)
}

fn error() -> Reading {
    Reading::Error("cannot reach prometheus at p:9090: connection refused".to_owned())
}

fn empty() -> Reading {
    Reading::vector([])
}

const MIN: &str = "threshold: {min: 0.95}";

fn one(more: &str) -> String {
    format!("metrics: [{{name: success-rate, {MIN}{more}}}]")
}

#[test]
fn one_measurement_without_an_interval_decides() {
    assert_eq!(
        Play::new(&one("")).feed(&[good()]).says(),
        (Verdict::Successful, "1 metric successful")
    );
    assert_eq!(
        Play::new(&one("")).feed(&[bad()]).says(),
        (
            Verdict::Failed,
            "metric \"success-rate\": 0.91 is not within min 0.95 (1 failed, 0 tolerated)"
        )
    );
}

#[test]
fn limits_tolerate_and_the_next_one_ends_the_metric() {
    let yaml = one(", interval: 1m, count: 5, failureLimit: 1");
    let play = Play::new(&yaml).feed(&[bad(), good(), bad(), good()]);
    assert_eq!(
        play.says(),
        (
            Verdict::Failed,
            "metric \"success-rate\": 0.91 is not within min 0.95 (2 failed, 1 tolerated)"
        )
    );
    assert_eq!(play.metric(0).count, 3, "nothing is counted after the verdict");
    let play = Play::new(&yaml).feed(&[bad(), good(), good(), good(), good()]);
    assert_eq!(play.status.phase, Verdict::Successful);
    assert_eq!(play.metric(0).message, "4 of 5 measurements successful");

    let yaml = "metrics: [{name: m, interval: 1m, inconclusiveLimit: 1, successCondition: result > 0.95, \
                failureCondition: result < 0.9}]";
    let play = Play::new(yaml).feed(&[bad(), bad()]);
    assert_eq!(play.status.phase, Verdict::Inconclusive);
    assert!(play.status.message.ends_with("(2 inconclusive, 1 tolerated)"), "{:?}", play.says());
}

#[test]
fn errors_do_not_count_and_the_fifth_in_a_row_ends_the_metric() {
    let yaml = one(", interval: 1m, count: 2");
    let mut readings = vec![error(); 4];
    readings.push(good());
    readings.extend(vec![error(); 4]);
    readings.push(good());
    let play = Play::new(&yaml).feed(&readings);
    assert_eq!(play.status.phase, Verdict::Successful);
    let metric = play.metric(0);
    assert_eq!((metric.count, metric.successful, metric.error), (2, 2, 8));

    let play = Play::new(&yaml).feed(&vec![error(); 5]);
    assert_eq!(play.status.phase, Verdict::Error);
    assert!(play.status.message.ends_with("(5 errors in a row, 4 tolerated)"), "{:?}", play.says());
}

#[test]
fn tolerated_failures_alone_make_no_success() {
    for (more, readings, expected) in [
        (", failureLimit: 3", vec![bad()], Verdict::Failed),
        (", interval: 1m, count: 2, failureLimit: 3", vec![bad(), bad()], Verdict::Failed),
        (", inconclusiveLimit: 3, onNoData: pause", vec![empty()], Verdict::Inconclusive),
        (", interval: 1m, count: 2, failureLimit: 3", vec![bad(), good()], Verdict::Successful),
    ] {
        let play = Play::new(&one(more)).feed(&readings);
        assert_eq!(play.status.phase, expected, "{more}: {:?}", play.says());
    }
}

#[test]
fn successes_in_a_row_end_a_metric() {
    let yaml = one(", interval: 1m, consecutiveSuccessLimit: 2, failureLimit: 5");
    let play = Play::new(&yaml).feed(&[good(), bad(), good(), good()]);
    assert_eq!(play.status.phase, Verdict::Successful);
    let yaml = one(", interval: 1m, consecutiveSuccessLimit: 2, failureLimit: 5, count: 3");
    let play = Play::new(&yaml).feed(&[good(), bad(), good()]);
    assert_eq!(play.status.phase, Verdict::Inconclusive, "neither limit was reached");
    assert!(play.status.message.contains("but not 2 in a row"), "{:?}", play.says());
}

#[test]
fn the_next_check_is_the_earliest_thing_due() {
    let mut play = Play::new(
        "metrics:\n\
         - {name: a, interval: 1m, initialDelay: 30s, threshold: {min: 0.95}}\n\
         - {name: b, interval: 5m, threshold: {min: 0.95}, failureLimit: 9}\n\
         - {name: c, interval: 4s, threshold: {min: 0.95}}\n",
    );
    let due = play.step(&[]);
    assert_eq!(due.iter().map(|due| due.metric).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(play.next, Some(30));
    // A measurement that takes 20 s: the interval counts from its end.
    play.now = 20;
    play.step(&[took(1, bad()), took(2, error())]);
    assert_eq!(
        play.next,
        Some(24),
        "an error is tried again after the interval if that is shorter"
    );
    play.now = 24;
    play.read(2, good());
    assert_eq!(play.next, Some(28));
    play.now = 30;
    play.step(&[took(0, error()), took(2, good())]);
    assert_eq!(play.next, Some(34));
    play.now = 34;
    play.read(2, good());
    let due = play.step(&[]);
    assert!(due.is_empty());
    play.now = 40;
    let due = play.step(&[]);
    assert_eq!(
        due.iter().map(|due| (due.metric, due.number)).collect::<Vec<_>>(),
        [(0, 2), (2, 5)]
    );
    assert_eq!(play.next, Some(320), "20 + 5m");
}

#[test]
fn a_failed_metric_stops_its_siblings_and_they_are_not_successful() {
    let mut play = Play::new(
        "metrics:\n\
         - {name: a, interval: 1m, threshold: {min: 0.95}}\n\
         - {name: b, interval: 1m, threshold: {min: 0.95}}\n\
         - {name: done, threshold: {min: 0.95}}\n\
         - {name: late, initialDelay: 1h, threshold: {min: 0.95}}\n",
    );
    play.step(&[took(0, good()), took(2, good())]);
    play.read(1, bad());
    assert_eq!(play.status.phase, Verdict::Failed);
    let phases: Vec<_> = play.status.metric_results.iter().map(|result| result.phase).collect();
    assert_eq!(phases, [Verdict::Stopped, Verdict::Failed, Verdict::Successful, Verdict::Stopped]);
    assert_eq!(
        play.metric(0).message,
        "stopped after 1 measurement, 1 successful because metric \"b\" is Failed"
    );
    assert!(play.metric(3).message.starts_with("stopped with 0 observations"));
    let summary = play.status.run_summary;
    assert_eq!((summary.count, summary.failed, summary.stopped, summary.successful), (4, 1, 2, 1));
    assert_eq!(play.status.completed_at, Some(at(0)));
}

#[test]
fn what_is_ended_before_its_verdict_is_stopped_and_not_passed() {
    let yaml = one(", interval: 1m");
    let mut play = Play::new(&yaml);
    play.spec.terminate = true;
    assert!(play.step(&[]).is_empty());
    assert_eq!(
        play.says(),
        (Verdict::Stopped, "metric \"success-rate\": stopped with 0 observations")
    );

    let mut play = Play::new(&yaml).feed(&[good(), good(), empty(), error()]);
    play.spec.terminate = true;
    play.step(&[]);
    assert_eq!(
        play.says(),
        (
            Verdict::Stopped,
            "metric \"success-rate\": stopped after 2 measurements, 2 successful, 1 without data, \
             1 with an error"
        )
    );
    // A verdict that falls with the last measurement is not lost.
    let mut play = Play::new(&yaml);
    play.spec.terminate = true;
    play.read(0, bad());
    assert_eq!(play.status.phase, Verdict::Failed);
    let mut play = Play::new(&one(""));
    play.spec.terminate = true;
    play.read(0, good());
    assert_eq!(play.status.phase, Verdict::Successful);
}

#[test]
fn a_dry_run_shows_its_outcome_and_does_not_count() {
    let yaml = "dryRun: [{metricName: 'new-.*'}]\n\
                metrics:\n\
                - {name: new-latency, threshold: {min: 0.95}}\n\
                - {name: renew-it, threshold: {min: 0.95}}\n\
                - {name: new-endless, interval: 1m, threshold: {min: 0.95}}\n";
    let mut play = Play::new(yaml);
    play.read(0, bad());
    assert_eq!(play.status.phase, Verdict::Running);
    assert_eq!(play.metric(0).phase, Verdict::Failed);
    play.read(1, good());
    assert_eq!(play.says(), (Verdict::Successful, "1 metric successful"));
    assert_eq!(play.metric(2).phase, Verdict::Stopped, "a dry run holds nothing up");
    let dry = play.status.dry_run_summary.expect("a summary of its own");
    assert_eq!((dry.count, dry.failed, dry.stopped), (2, 1, 1));
    assert_eq!(play.status.run_summary.count, 1);

    let yaml = format!("dryRun: [{{metricName: '.*'}}]\n{}", one(""));
    let play = Play::new(&yaml).feed(&[bad()]);
    assert_eq!(play.says(), (Verdict::Successful, "all metrics are dry runs: nothing counts"));
}

#[test]
fn missing_data_is_waited_for_and_said() {
    let mut play = Play::new(&one("")).feed(&[empty(), empty(), Reading::scalar(f64::NAN)]);
    assert_eq!(play.status.phase, Verdict::Running);
    assert_eq!(
        play.status.message,
        "metric \"success-rate\": no data: the value is NaN, as 0/0 is; it does not count \
         (3 measurements without data)"
    );
    assert_eq!((play.metric(0).no_data, play.metric(0).count), (3, 0));
    assert_eq!(play.next, Some(play.now + 10), "asked again, although there is no interval");
    play.now += 10;
    play.read(0, good());
    assert_eq!(play.status.phase, Verdict::Successful);
}
