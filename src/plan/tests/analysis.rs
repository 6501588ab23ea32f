//! What verdicts do to a release.

use serde_json::json;

use super::model::{Model, rollout, steps};
use crate::{
    api::{AbortCause, MetricResult, Phase, Verb, Verdict},
    plan::Write,
};

const METRICS: &str =
    "[{name: errors, successCondition: 'result < 0.05', provider: {prometheus: {query: up}}}]";

fn with_step() -> Model {
    let yaml =
        format!("[{{setWeight: 20}}, {{analysis: {{metrics: {METRICS}}}}}, {{pause: {{}}}}]");
    let mut model = Model::healthy(rollout(&steps(&yaml)));
    model.set_image("web:2");
    model.run_for(10);
    model
}

fn with_background(starting_step: i32) -> Model {
    let mut body = rollout(&steps("[{setWeight: 20}, {pause: {duration: 60}}, {setWeight: 60}]"));
    let metrics: serde_json::Value = serde_yaml::from_str(
        "[{name: errors, interval: 10s, successCondition: 'result < 0.05', provider: {prometheus: {query: up}}}]",
    )
    .unwrap();
    body["spec"]["strategy"]["canary"]["analysis"] =
        json!({"metrics": metrics, "startingStep": starting_step});
    let mut model = Model::healthy(body);
    model.set_image("web:2");
    model.run_for(10);
    model
}

#[test]
fn a_step_waits_for_its_analysis_and_goes_on_when_it_passes() {
    let mut model = with_step();
    assert_eq!(model.phase(), Some(Phase::Progressing));
    assert_eq!(model.canary_weight(), 20);
    model.judge("step-1", Verdict::Successful, "");
    model.run_until(Phase::Paused);
}

#[test]
fn a_failed_analysis_rolls_back_by_itself() {
    for verdict in [Verdict::Failed, Verdict::Error] {
        let mut model = with_step();
        model.judge("step-1", verdict, "errors 0.3 is not below 0.05");
        model.settle();
        let plan = model.look();
        assert!(matches!(plan.actions[0].write, Write::EditRoute { .. }), "the weight goes first");
        assert_eq!(model.canary_weight(), 0);
        let abort = model.status().abort.clone().expect("aborted");
        assert_eq!(abort.cause, AbortCause::Analysis);
        assert!(abort.reason.contains("errors 0.3"), "{}", abort.reason);
    }
}

#[test]
fn an_inconclusive_or_stopped_analysis_asks_a_person() {
    for verdict in [Verdict::Inconclusive, Verdict::Stopped] {
        let mut model = with_step();
        model.judge("step-1", verdict, "not enough data");
        model.run_until(Phase::Paused);
        assert!(model.status().message.contains("not enough data"), "{}", model.status().message);
        model.run_for(3600);
        assert_eq!(model.canary_weight(), 20);
        model.command(Verb::Promote);
        model.run_for(5);
        assert_eq!(model.status().step.as_ref().map(|s| s.index), Some(2));
    }
}

#[test]
fn promote_during_an_analysis_step_goes_on_and_ends_the_run() {
    let mut model = with_step();
    model.command(Verb::Promote);
    model.run_for(5);
    assert_eq!(model.status().step.as_ref().map(|step| step.index), Some(2));
    assert!(model.world.runs.values().all(|run| run.terminating));
}

#[test]
fn an_abort_ends_running_analysis_and_starts_none() {
    let mut model = with_background(0);
    model.command(Verb::Abort);
    model.run_for(600);
    assert_eq!(model.world.runs.len(), 1);
    assert!(model.world.runs.values().all(|run| run.phase() == Verdict::Stopped));
}

#[test]
fn a_retry_judges_anew() {
    let mut model = with_step();
    model.judge("step-1", Verdict::Failed, "bad");
    model.run_for(120);
    model.command(Verb::Retry);
    model.run_for(60);
    let names: Vec<_> = model.world.runs.keys().cloned().collect();
    assert_eq!(names.len(), 2, "the old verdict is not read again: {names:?}");
    assert_eq!(model.phase(), Some(Phase::Progressing));
}

#[test]
fn the_background_analysis_starts_at_its_step() {
    let mut model = with_background(2);
    assert!(model.world.runs.is_empty());
    model.run_for(70);
    assert_eq!(model.world.runs.len(), 1);
}

#[test]
fn a_failing_background_analysis_aborts_in_mid_release() {
    let mut model = with_background(0);
    model.judge("background", Verdict::Failed, "errors 0.3");
    model.run_for(5);
    assert_eq!(model.phase(), Some(Phase::Degraded));
    assert_eq!(model.canary_weight(), 0);
}

#[test]
fn nothing_measured_is_not_a_pass() {
    let mut model = with_background(0);
    model.run_for(600);
    assert_ne!(model.stable(), model.current(), "lesson 67: not promoted without a verdict");
    assert_eq!(model.canary_weight(), 60);
    let run = model.world.runs.values_mut().next().expect("run");
    let mut status = (*run.status).clone();
    status.metric_results =
        vec![MetricResult { name: "errors".into(), successful: 3, ..MetricResult::default() }];
    run.status = std::sync::Arc::new(status);
    model.run_until(Phase::Healthy);
    assert!(model.world.runs.values().all(|run| run.terminating), "it ends with the release");
}

#[test]
fn an_inconclusive_background_analysis_pauses_until_accepted() {
    let mut model = with_background(0);
    model.judge("background", Verdict::Inconclusive, "neither good nor bad");
    model.run_for(600);
    assert_eq!(model.phase(), Some(Phase::Paused));
    assert_ne!(model.stable(), model.current());
    model.command(Verb::Promote);
    model.run_for(1);
    model.run_until(Phase::Healthy);
    assert_eq!(model.stable(), model.current());
}

#[test]
fn promote_full_needs_no_verdict() {
    let mut model = with_background(0);
    model.command(Verb::PromoteFull);
    model.run_until(Phase::Healthy);
    assert!(model.world.runs.values().all(|run| run.terminating));
}

#[test]
fn a_smoke_test_job_is_a_run_of_its_own() {
    let yaml =
        "[{setWeight: 10}, {job: {spec: {template: {spec: {containers: [{name: t, image: t}]}}}}}]";
    let mut model = Model::healthy(rollout(&steps(yaml)));
    model.set_image("web:2");
    model.run_for(10);
    assert_eq!(model.world.runs.len(), 1);
    model.judge("step-1", Verdict::Failed, "job failed: exit code 1");
    model.run_for(5);
    assert_eq!(model.phase(), Some(Phase::Degraded));
}

#[test]
fn finished_runs_are_kept_up_to_their_limits() {
    let yaml = format!("[{{analysis: {{metrics: {METRICS}}}}}]");
    let mut body = rollout(&steps(&yaml));
    body["spec"]["analysis"] = json!({"successfulRunHistoryLimit": 2});
    let mut model = Model::healthy(body);
    for version in 2..8 {
        model.set_image(&format!("web:{version}"));
        model.run_for(5);
        model.judge("step-0", Verdict::Successful, "");
        model.run_until(Phase::Healthy);
        model.run_for(60);
    }
    assert_eq!(model.world.runs.len(), 2);
}

#[test]
fn the_comparisons_of_all_runs_share_the_false_alarms_of_the_release() {
    let metric = |name: &str, compare: &str| {
        format!("{{name: {name}, interval: 15s, count: 4, provider: {{prometheus: {compare}}}}}")
    };
    let errors = metric("errors", "{compare: {}}");
    let latency = metric("latency", "{compare: {latency: {}}}");
    let series = metric("series", "{query: up, compare: {mannWhitney: {}}}");
    let alone = format!("[{{analysis: {{metrics: [{errors}]}}}}]");
    let mut body = rollout(&steps(&format!("[{{analysis: {{metrics: [{errors}, {series}]}}}}]")));
    let beside: serde_json::Value =
        serde_yaml::from_str(&format!("[{errors}, {latency}]")).unwrap();
    body["spec"]["strategy"]["canary"]["analysis"] = json!({"metrics": beside});
    for (body, expected) in [(body, vec![Some(3), Some(3)]), (rollout(&steps(&alone)), vec![None])]
    {
        let mut model = Model::healthy(body);
        model.set_image("web:2");
        let mut found = Vec::new();
        for _ in 0..5 {
            for action in model.look().actions {
                if let Write::CreateRun { spec, .. } = action.write {
                    found.push(spec.comparisons);
                }
            }
        }
        assert_eq!(found, expected);
    }
}
