//! Metrics whose measurements are Jobs.

use super::*;

#[test]
fn a_job_is_started_once_and_followed_to_its_end() {
    let mut play = Play::new(
        "metrics: [{name: smoke, provider: {job: {spec: {template: {spec: {containers: [{image: i}]}}}}}}]",
    );
    let job = |name: &str| Reading::JobRunning { name: name.to_owned() };
    let first = Due { metric: 0, number: 1, running_job: None };
    assert_eq!(play.step(&[]), std::slice::from_ref(&first));
    assert_eq!(play.step(&[]), [first], "after a crash the same Job is asked for");
    let running = Due { metric: 0, number: 1, running_job: Some("j1".to_owned()) };
    assert_eq!(play.read(0, job("j1")), std::slice::from_ref(&running));
    play.now = 60;
    let before = play.status.clone();
    assert_eq!(play.read(0, job("j1")), std::slice::from_ref(&running));
    assert_eq!(play.status, before, "a Job that still runs is no news");
    let other = Reading::JobFailed { name: "j0".to_owned(), message: "old".to_owned() };
    assert_eq!(play.read(0, other), [running], "news of another Job changes nothing");
    play.read(0, Reading::JobSucceeded { name: "j1".to_owned(), message: String::new() });
    assert_eq!(play.status.phase, Verdict::Successful);
    assert!(play.stopped_jobs.is_empty());
    let measurement = &play.metric(0).measurements[0];
    assert_eq!(measurement.metadata[JOB_NAME], "j1");
    assert_eq!((measurement.started_at, measurement.finished_at), (Some(at(0)), Some(at(60))));
}

#[test]
fn jobs_whose_outcome_does_not_matter_are_stopped() {
    let yaml = "metrics:\n\
        - {name: smoke, provider: {job: {spec: {template: {spec: {containers: [{image: i}]}}}}}}\n\
        - {name: rate, threshold: {min: 0.95}}\n";
    let running = Reading::JobRunning { name: "j1".to_owned() };
    let mut play = Play::new(yaml);
    play.read(0, running.clone());
    play.read(1, bad());
    assert_eq!(play.stopped_jobs, ["j1"]);
    assert_eq!(play.metric(0).measurements[0].phase, Verdict::Stopped);

    let mut play = Play::new(yaml);
    play.step(&[took(1, bad()), took(0, running.clone())]);
    assert_eq!(play.stopped_jobs, ["j1"], "started in the pass in which its sibling failed");

    let mut play = Play::new(yaml);
    play.read(0, running.clone());
    play.read(
        0,
        Reading::JobUnstartable { name: "j1".to_owned(), message: "ErrImagePull".to_owned() },
    );
    assert_eq!(play.stopped_jobs, ["j1"]);
    assert_eq!(
        play.says(),
        (
            Verdict::Inconclusive,
            "metric \"smoke\": Job j1 cannot start: ErrImagePull (1 inconclusive, 0 tolerated)"
        )
    );

    let mut play = Play::new(yaml);
    play.read(0, running);
    play.read(
        0,
        Reading::JobFailed { name: "j1".to_owned(), message: "DeadlineExceeded".to_owned() },
    );
    assert_eq!(play.status.phase, Verdict::Failed);
    assert!(play.stopped_jobs.is_empty(), "it has ended by itself");
}
