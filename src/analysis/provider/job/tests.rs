use super::*;

fn run(name: &str, job: &str) -> AnalysisRun {
    let yaml = format!(
        "apiVersion: sluice.dev/v1alpha1\n\
         kind: AnalysisRun\n\
         metadata: {{name: {name}, namespace: shop, uid: u1, labels: {{sluice.dev/rollout: web}}}}\n\
         spec:\n\
         \x20 args:\n\
         \x20 - {{name: url, value: 'http://web-canary'}}\n\
         \x20 - {{name: token, valueFrom: {{secretKeyRef: {{name: s, key: k}}}}}}\n\
         \x20 metrics:\n\
         \x20 - {{name: rate, provider: {{prometheus: {{query: up}}}}}}\n\
         \x20 - {{name: smoke, provider: {{job: {job}}}}}\n"
    );
    serde_yaml::from_str(&yaml).expect(&yaml)
}

const SMOKE: &str = "{spec: {template: {spec: {containers: [{name: c, image: i, args: ['{{args.url}}', '{{.Go}}']}]}}}}";

#[test]
fn a_job_gets_its_name_owner_labels_and_safe_defaults() {
    let job = build(&run("web-abc-1", SMOKE), 1, 3).expect("a Job");
    assert_eq!(
        job,
        json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": "web-abc-1-1-3",
                "namespace": "shop",
                "labels": {"sluice.dev/analysis-run": "web-abc-1", "sluice.dev/rollout": "web"},
                "annotations": {},
                "ownerReferences": [{
                    "apiVersion": "sluice.dev/v1alpha1", "kind": "AnalysisRun", "name": "web-abc-1",
                    "uid": "u1", "controller": true, "blockOwnerDeletion": true,
                }],
            },
            "spec": {
                "activeDeadlineSeconds": 600,
                "backoffLimit": 0,
                "template": {
                    "metadata": {"labels": {"sluice.dev/analysis-run": "web-abc-1"}},
                    "spec": {
                        "restartPolicy": "Never",
                        "containers": [{"name": "c", "image": "i", "args": ["http://web-canary", "{{.Go}}"]}],
                    },
                },
            },
        })
    );
    let typed: Result<Job, _> = serde_json::from_value(job);
    assert!(typed.is_ok(), "{typed:?}");
}

#[test]
fn what_the_user_set_stays() {
    let job = "{metadata: {labels: {team: a, sluice.dev/analysis-run: x}, annotations: {n: '{{args.url}}'}, name: mine}, \
               spec: {backoffLimit: 2, activeDeadlineSeconds: 5, ttlSecondsAfterFinished: 9, template: {\
               metadata: {labels: {app: smoke}, annotations: {a: b}}, spec: {restartPolicy: OnFailure, containers: [{image: i}]}}}}";
    let job = build(&run("r", job), 1, 1).expect("a Job");
    assert_eq!(job["metadata"]["name"], "r-1-1");
    assert_eq!(job["metadata"]["labels"]["team"], "a");
    assert_eq!(job["metadata"]["labels"]["sluice.dev/analysis-run"], "r");
    assert_eq!(job["metadata"]["annotations"]["n"], "http://web-canary");
    assert_eq!(job["spec"]["backoffLimit"], 2);
    assert_eq!(job["spec"]["activeDeadlineSeconds"], 5);
    assert_eq!(job["spec"]["ttlSecondsAfterFinished"], 9);
    let template = &job["spec"]["template"];
    assert_eq!(template["spec"]["restartPolicy"], "OnFailure");
    assert_eq!(template["metadata"]["annotations"]["a"], "b");
    assert_eq!(template["metadata"]["labels"]["app"], "smoke");
}

#[test]
fn a_secret_is_never_written_into_a_job() {
    let job = "{spec: {template: {spec: {containers: [{env: [{name: T, value: 'x{{ args.token }}'}]}]}}}}";
    let error = build(&run("r", job), 1, 1).expect_err("a secret").to_string();
    assert_eq!(
        error,
        "metrics[1].provider.job: found {{args.token}}, which stands for a secret, allowed is \
         env.valueFrom.secretKeyRef in the container"
    );
    for (job, metric, words) in [
        (SMOKE, 0, "metrics[0]: found no Job"),
        (SMOKE, 7, "metrics[7]: found no Job"),
        ("{spec: {}}", 1, "spec.template: found no pod"),
        ("{spec: {template: {spec: {x: '{{args.nope}}'}}}}", 1, "found {{args.nope}}"),
    ] {
        let error = build(&run("r", job), metric, 1).expect_err(job).to_string();
        assert!(error.contains(words), "{error}");
    }
    let mut new = run("r", SMOKE);
    new.metadata.uid = None;
    assert_eq!(build(&new, 1, 1), Err(JobError::NotCreated("uid")));
}

#[test]
fn long_names_are_cut_and_stay_different() {
    let long = "a".repeat(52) + "-";
    let one = name(&format!("{long}{}", "b".repeat(40)), 0, 1);
    let other = name(&format!("{long}{}", "c".repeat(40)), 0, 1);
    assert!(one.len() <= 63 && other.len() <= 63, "{one}");
    assert_ne!(one, other);
    assert!(one.ends_with("-0-1"), "{one}");
    assert_ne!(name(&"x".repeat(253), 1, 11), name(&"x".repeat(253), 11, 1));
    assert_eq!(label("short"), "short");
    assert!(label(&"x".repeat(253)).len() <= 63);
    assert!(name("", usize::MAX, u32::MAX).len() <= 63);
    assert!(name(&"\u{1F600}".repeat(60), 1, 1).len() <= 63);
}

fn job(status: &Value) -> Job {
    let job = json!({"metadata": {"name": "j"}, "status": status});
    serde_json::from_value(job).expect("a Job")
}

fn pod(phase: &str, waiting: &[&str]) -> Pod {
    let containers: Vec<_> = waiting
        .iter()
        .map(|reason| {
            json!({
                "name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                "state": if reason.is_empty() { json!({"running": {}}) } else {
                    json!({"waiting": {"reason": reason, "message": "Back-off pulling image"}})
                },
            })
        })
        .collect();
    let pod = json!({"metadata": {"name": "p"}, "status": {"phase": phase, "containerStatuses": containers}});
    serde_json::from_value(pod).expect("a pod")
}

#[test]
fn the_state_of_a_job_becomes_a_reading() {
    let name = || "j".to_owned();
    let condition = |kind: &str, reason: &str| {
        json!({"conditions": [
            {"type": "Suspended", "status": "False"},
            {"type": kind, "status": "True", "reason": reason, "message": "was active longer than specified deadline"}
        ]})
    };
    let failed = |message: &str| Reading::JobFailed { name: name(), message: message.to_owned() };
    let stuck = Reading::JobUnstartable {
        name: name(),
        message: "container \"c\": ImagePullBackOff: Back-off pulling image".to_owned(),
    };
    let running = || Reading::JobRunning { name: name() };
    for (status, pods, expected) in [
        (json!({}), vec![], running()),
        (json!({"active": 1}), vec![pod("Pending", &["ContainerCreating"])], running()),
        (json!({"active": 1}), vec![pod("Running", &[""])], running()),
        (json!({"active": 1}), vec![pod("Pending", &["ImagePullBackOff"])], stuck.clone()),
        (json!({"active": 1}), vec![pod("Pending", &["", "ImagePullBackOff"])], stuck.clone()),
        (
            json!({"active": 1}),
            vec![pod("Failed", &[""]), pod("Pending", &["ImagePullBackOff"])],
            stuck.clone(),
        ),
        (
            json!({"active": 2}),
            vec![pod("Running", &[""]), pod("Pending", &["ImagePullBackOff"])],
            running(),
        ),
        (json!({"active": 1}), vec![pod("Failed", &["ImagePullBackOff"])], running()),
        (json!({"active": 1}), vec![pod("Pending", &["CrashLoopBackOff"])], running()),
        (condition("FailureTarget", "x"), vec![], running()),
        (
            condition("Complete", ""),
            vec![pod("Pending", &["ImagePullBackOff"])],
            Reading::JobSucceeded { name: name(), message: String::new() },
        ),
        (
            condition("Failed", "DeadlineExceeded"),
            vec![pod("Pending", &["ImagePullBackOff"])],
            failed("DeadlineExceeded: was active longer than specified deadline"),
        ),
        (condition("Failed", ""), vec![], failed("was active longer than specified deadline")),
        (
            json!({"conditions": [{"type": "Failed", "status": "True"}]}),
            vec![],
            failed("no reason given"),
        ),
    ] {
        assert_eq!(state(&job(&status), &pods), expected, "{status}");
    }
    for reason in UNSTARTABLE {
        let reading = state(&job(&json!({})), &[pod("Pending", &[reason])]);
        assert!(matches!(reading, Reading::JobUnstartable { .. }), "{reason}");
    }
}
