use serde_json::json;

use super::super::{Settings, tests::Story};
use super::*;

fn started(image: &str, spec: &Value) -> Story {
    let mut story = Story::new(Settings::default());
    let mut job = json!({
        "metadata": {"name": "smoke"},
        "spec": {"template": {"spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": image}],
        }}},
    });
    for (field, value) in spec.as_object().unwrap() {
        job["spec"][field] = value.clone();
    }
    if let Some(policy) = spec.get("restartPolicy") {
        job["spec"]["template"]["spec"]["restartPolicy"] = policy.clone();
    }
    story.create(&JOB, job);
    story
}

fn status(story: &Story) -> Value {
    story.get(&JOB, "smoke").unwrap()["status"].clone()
}

/// Types of the conditions that hold, with their reasons.
fn conditions(story: &Story) -> Vec<(String, String)> {
    let status = status(story);
    let all = status["conditions"].as_array().cloned().unwrap_or_default();
    let text = |condition: &Value, field: &str| condition[field].as_str().unwrap().to_owned();
    all.iter()
        .filter(|condition| condition["status"] == "True")
        .map(|condition| (text(condition, "type"), text(condition, "reason")))
        .collect()
}

fn both(first: &str, last: &str, reason: &str) -> Vec<(String, String)> {
    [first, last].map(|kind| (kind.to_owned(), reason.to_owned())).to_vec()
}

/// How long it took to finish, in milliseconds.
fn finish(story: &mut Story) -> i64 {
    let start = story.store.time().now();
    while story.get(&JOB, "smoke").is_some_and(|job| status::finished_at(&job).is_none()) {
        let due = story.actors.next_due().expect("it finishes");
        story.store.time().set(due);
        story.settle();
    }
    let millis = story.store.time().now().as_millisecond() - start.as_millisecond();
    story.finish();
    millis
}

#[test]
fn a_job_starts_at_once_and_completes() {
    let mut story = started("smoke:1", &json!({}));
    let first = status(&story);
    assert_eq!(
        (&first["active"], &first["startTime"]),
        (&json!(1), &json!("1970-01-12T13:46:40Z"))
    );
    let pod = &story.all(&POD)[0];
    for label in ["job-name", "batch.kubernetes.io/job-name"] {
        assert_eq!(object::labels(pod)[label], "smoke");
    }
    assert!(object::has_finalizer(pod, TRACKING));
    // Runs after 0.3 s, ends after 0.6 s; the controller looks at its pods once a second.
    assert_eq!(finish(&mut story), 1000);
    let complete = both("SuccessCriteriaMet", "Complete", "CompletionsReached");
    assert_eq!(conditions(&story), complete);
    let last = status(&story);
    assert_eq!((&last["succeeded"], &last["active"]), (&json!(1), &Value::Null));
    assert_eq!(last["completionTime"], "1970-01-12T13:46:41Z");
    let pod = &story.all(&POD)[0];
    assert_eq!(pod["status"]["phase"], "Succeeded");
    assert!(!object::has_finalizer(pod, TRACKING));
    assert_eq!(story.actors.next_due(), None);
}

#[test]
fn a_failed_pod_is_replaced_after_a_back_off_up_to_the_limit() {
    // Failures after about 1 s; then 10 s and 20 s from the end of the one before.
    for (limit, pods, least, most) in
        [(0, 1, 0, 2000), (1, 2, 10_000, 13_000), (2, 3, 30_000, 35_000)]
    {
        let mut story = started("smoke:exit1", &json!({"backoffLimit": limit}));
        let millis = finish(&mut story);
        assert!((least..=most).contains(&millis), "{limit}: {millis} ms");
        assert_eq!(conditions(&story), both("FailureTarget", "Failed", "BackoffLimitExceeded"));
        assert_eq!(status(&story)["failed"], pods);
        assert_eq!(story.all(&POD).len(), pods);
        let message = "Job has reached the specified backoff limit";
        assert_eq!(status(&story)["conditions"][1]["message"], message);
    }
}

#[test]
fn a_job_that_takes_too_long_fails_once_its_pod_is_gone() {
    let mut story = started("smoke:hang", &json!({"activeDeadlineSeconds": 5}));
    story.pass(5000);
    assert_eq!(conditions(&story), [("FailureTarget".to_owned(), "DeadlineExceeded".to_owned())]);
    let near = status(&story);
    assert_eq!((&near["failed"], &near["terminating"]), (&json!(1), &json!(1)));
    story.finish();
    assert_eq!(conditions(&story), both("FailureTarget", "Failed", "DeadlineExceeded"));
    let last = status(&story);
    assert_eq!((&last["failed"], &last["terminating"]), (&json!(1), &json!(0)));
    assert_eq!(last["conditions"][1]["message"], "Job was active longer than specified deadline");
    assert_eq!(story.all(&POD).len(), 0);
}

#[test]
fn a_deleted_pod_counts_as_failed_and_is_replaced() {
    let mut story = started("smoke:hang", &json!({"backoffLimit": 3}));
    story.pass(1000);
    let name = object::name(&story.all(&POD)[0]).to_owned();
    story.delete(&POD, &name, "Background");
    story.pass(1000);
    assert_eq!(status(&story)["failed"], 1);
    story.pass(15_000);
    assert_eq!((story.all(&POD).len(), story.get(&POD, &name)), (1, None));
    assert_eq!(status(&story)["active"], 1);
}

#[test]
fn with_on_failure_the_pod_is_restarted_and_its_restarts_count() {
    let spec = json!({"restartPolicy": "OnFailure", "backoffLimit": 2});
    let mut story = started("smoke:exit1", &spec);
    let millis = finish(&mut story);
    assert!((2000..10_000).contains(&millis), "{millis} ms");
    assert_eq!(conditions(&story), both("FailureTarget", "Failed", "BackoffLimitExceeded"));
}

#[test]
fn several_pods_run_at_a_time_until_enough_succeeded() {
    let mut story = started("smoke:1", &json!({"parallelism": 2, "completions": 3}));
    assert_eq!(story.all(&POD).len(), 2);
    finish(&mut story);
    assert_eq!((status(&story)["succeeded"].as_i64(), story.all(&POD).len()), (Some(3), 3));
}

#[test]
fn pods_that_are_too_many_go_and_count_as_nothing() {
    let mut story = started("smoke:hang", &json!({"parallelism": 3, "completions": 9}));
    story.pass(1000);
    story.edit(&JOB, "smoke", |job| job["spec"]["parallelism"] = json!(1));
    story.finish();
    assert_eq!(story.all(&POD).len(), 1);
    assert_eq!((&status(&story)["active"], &status(&story)["failed"]), (&json!(1), &Value::Null));
}

#[test]
fn a_suspended_job_has_no_pods_and_fails_nothing() {
    let mut story = started("smoke:hang", &json!({}));
    story.pass(1000);
    story.edit(&JOB, "smoke", |job| job["spec"]["suspend"] = json!(true));
    assert_eq!(conditions(&story), [("Suspended".to_owned(), "JobSuspended".to_owned())]);
    story.finish();
    assert_eq!(story.all(&POD).len(), 0);
    assert_eq!(
        (&status(&story)["failed"], &status(&story)["startTime"]),
        (&Value::Null, &Value::Null)
    );
    story.edit(&JOB, "smoke", |job| job["spec"]["suspend"] = json!(false));
    assert_eq!((story.all(&POD).len(), conditions(&story)), (1, Vec::new()));
    assert!(!status(&story)["startTime"].is_null());
}

#[test]
fn a_finished_job_goes_when_its_time_is_over() {
    let mut story = started("smoke:1", &json!({"ttlSecondsAfterFinished": 30}));
    story.pass(30_900);
    assert_eq!((story.all(&JOB).len(), story.all(&POD).len()), (1, 1));
    story.pass(200);
    assert_eq!((story.all(&JOB).len(), story.all(&POD).len()), (0, 0));
}

#[test]
fn a_deleted_job_leaves_no_pod_that_cannot_go() {
    for propagation in ["Background", "Foreground"] {
        let mut story = started("smoke:hang", &json!({}));
        story.pass(1000);
        story.delete(&JOB, "smoke", propagation);
        story.finish();
        assert_eq!((story.all(&JOB).len(), story.all(&POD).len()), (0, 0), "{propagation}");
    }
    let mut story = started("smoke:hang", &json!({}));
    story.pass(1000);
    story.delete(&JOB, "smoke", "Orphan");
    story.finish();
    assert_eq!(story.all(&JOB).len(), 0);
    let pod = &story.all(&POD)[0];
    assert!(object::owners(pod).is_empty() && !object::has_finalizer(pod, TRACKING));
}
