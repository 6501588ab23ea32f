use std::sync::Arc;

use super::{
    judge::judge,
    snapshot::{Answer, Answered, Refusal, Snapshot, Tried},
    *,
};
use crate::{api::RolloutSpec, cli::fixtures::healthy, world::Program};

/// A Rollout of four pods with all that it needs.
fn seen() -> Snapshot {
    Snapshot {
        name: "checkout".into(),
        is_there: true,
        observed: true,
        program: Arc::new(Program::new(&healthy().spec)),
        desired: 4,
        workload: None,
        template: json!({
            "metadata": {"labels": {"app": "checkout"}},
            "spec": {"containers": [{"resources": {"requests": {"cpu": "500m"},
                                                   "limits": {"memory": "1Gi"}}}]},
        }),
        problems: Vec::new(),
        autoscalers: Vec::new(),
        budgets: Vec::new(),
        quotas: Vec::new(),
        queries: Vec::new(),
        jobs: Vec::new(),
        controller: Ok(Vec::new()),
        account: "sluice-system/sluice".into(),
        caller: Ok(vec![("promote".into(), true), ("abort".into(), true)]),
        unread: Vec::new(),
    }
}

fn adopted() -> Snapshot {
    Snapshot { workload: Some(("Deployment".into(), "checkout".into(), false)), ..seen() }
}

/// The checks about one thing, as a person reads them.
fn about(seen: &Snapshot, what: &str) -> String {
    let checks = judge(seen);
    let of = checks.iter().filter(|check| check.about == what);
    let lines: Vec<String> =
        of.map(|check| format!("{}: {}", check.level.as_str(), check.text)).collect();
    lines.join("\n")
}

#[test]
fn a_sound_rollout_has_nothing_in_its_way() {
    let checks = judge(&seen());
    assert_eq!(
        text("checkout", &checks, Style::PLAIN),
        "\
ok           spec               the controller would accept it (canary)
ok           services           Services checkout and checkout-canary select the pods
ok           routes             a route to split was found in VirtualService checkout
ok           analysis           its templates resolve
ok           controller rights  sluice-system/sluice may do all that a release needs
ok           your rights        you may promote, abort
checkout: nothing is in the way of a release
"
    );
}

#[test]
fn what_the_controller_would_refuse_fails_where_it_belongs() {
    for (problem, part) in [
        (
            "spec.strategy.canary.stableService: Service shop/checkout does not exist; create it",
            "services",
        ),
        (
            "spec.strategy.canary.traffic.istio.virtualServices[0]: VirtualService shop/checkout does not exist",
            "routes",
        ),
        (
            "spec.strategy.canary.traffic.istio.destinationRule.stableSubset: there is no subset",
            "routes",
        ),
        ("spec.workloadRef: Deployment shop/checkout does not exist; create it", "workload"),
        (
            "spec.strategy.canary.steps[3].analysis.templates[0]: there is no AnalysisTemplate",
            "analysis",
        ),
        ("spec.progressDeadline: found 5s, allowed is more than spec.minReadySeconds", "spec"),
    ] {
        let seen = Snapshot { problems: vec![problem.into()], ..adopted() };
        assert_eq!(about(&seen, part), format!("fail: {problem}"), "{part}");
        assert_eq!(judge(&seen).iter().filter(|check| check.level == Level::Fail).count(), 1);
    }
}

#[test]
fn an_autoscaler_must_aim_at_the_rollout() {
    let scaler = |kind: &str, field: &str, target: Value| json!({"kind": kind, "metadata": {"name": "a"}, "spec": {field: target}});
    let deployment = || json!({"kind": "Deployment", "name": "checkout"});
    let rollout = |group: &str| json!({"kind": "Rollout", "name": "checkout", "apiVersion": group});
    for (scaler, expected) in [
        (
            scaler("HorizontalPodAutoscaler", "scaleTargetRef", deployment()),
            "fail: HorizontalPodAutoscaler a aims at Deployment checkout, which keeps no pods under the Rollout",
        ),
        (
            scaler("VerticalPodAutoscaler", "targetRef", deployment()),
            "fail: VerticalPodAutoscaler a aims at Deployment checkout, which keeps no pods under the Rollout",
        ),
        (
            scaler("HorizontalPodAutoscaler", "scaleTargetRef", rollout("sluice.dev/v1alpha1")),
            "ok: HorizontalPodAutoscaler a aims at the Rollout",
        ),
        (
            scaler("HorizontalPodAutoscaler", "scaleTargetRef", rollout("argoproj.io/v1alpha1")),
            "fail: HorizontalPodAutoscaler a aims at a Rollout of argoproj.io/v1alpha1",
        ),
        (
            scaler(
                "HorizontalPodAutoscaler",
                "scaleTargetRef",
                json!({"kind": "Deployment", "name": "b"}),
            ),
            "",
        ),
    ] {
        let seen = Snapshot { autoscalers: vec![scaler], ..adopted() };
        assert_eq!(about(&seen, "autoscaler"), expected);
    }
    let patch = judge(&Snapshot {
        autoscalers: vec![scaler("HorizontalPodAutoscaler", "scaleTargetRef", deployment())],
        ..adopted()
    });
    let next = &patch.iter().find(|check| check.about == "autoscaler").unwrap().next;
    assert!(next.starts_with("kubectl patch horizontalpodautoscaler a --type merge"), "{next}");
}

#[test]
fn a_quota_needs_room_for_the_surge() {
    let quota = |hard: Value, used: Value| json!({"metadata": {"name": "q"}, "status": {"hard": hard, "used": used}});
    for (quota, expected) in [
        (
            quota(json!({"pods": "8"}), json!({"pods": "4"})),
            "ok: ResourceQuota q has room for 4 more pods",
        ),
        (
            quota(json!({"pods": "7"}), json!({"pods": "4"})),
            "fail: ResourceQuota q has no room for the 4 more pods of a release: pods: 4 of 7 used",
        ),
        (
            quota(json!({"requests.cpu": "3"}), json!({"requests.cpu": "2"})),
            "fail: ResourceQuota q has no room for the 4 more pods of a release: requests.cpu: 2 of 3 used",
        ),
        (
            quota(json!({"requests.memory": "7Gi"}), json!({"requests.memory": "4Gi"})),
            "fail: ResourceQuota q has no room for the 4 more pods of a release: requests.memory: 4Gi of 7Gi used",
        ),
        (
            quota(json!({"cpu": "4", "secrets": "1"}), json!({"cpu": "2"})),
            "ok: ResourceQuota q has room for 4 more pods",
        ),
    ] {
        let seen = Snapshot { quotas: vec![quota], ..seen() };
        assert_eq!(about(&seen, "quota"), expected);
    }
    let rolling = json!({"strategy": {"rolling": {"maxSurge": 0, "maxUnavailable": 1}}, "template": {"spec": {}}});
    let spec: RolloutSpec = serde_json::from_value(rolling).unwrap();
    let full = quota(json!({"pods": "4"}), json!({"pods": "4"}));
    let seen = Snapshot { quotas: vec![full], program: Arc::new(Program::new(&spec)), ..seen() };
    assert_eq!(about(&seen, "quota"), "ok: ResourceQuota q has room for 0 more pods");
}

#[test]
fn a_budget_that_lets_no_pod_go_is_told() {
    let budget = |spec: Value| {
        let mut budget = json!({"metadata": {"name": "b"}, "spec": spec});
        budget["spec"]["selector"] = json!({"matchLabels": {"app": "checkout"}});
        budget
    };
    for (spec, level) in [
        (json!({"minAvailable": 4}), "warn"),
        (json!({"minAvailable": "100%"}), "warn"),
        (json!({"maxUnavailable": 0}), "warn"),
        (json!({"minAvailable": 3}), "ok"),
        (json!({"maxUnavailable": "25%"}), "ok"),
    ] {
        let seen = Snapshot { budgets: vec![budget(spec.clone())], ..seen() };
        assert!(about(&seen, "budget").starts_with(level), "{spec}: {}", about(&seen, "budget"));
    }
}

#[test]
fn queries_and_jobs_are_told_as_they_went() {
    let query = |answer| Answered { place: "spec.analysis, metric a".into(), answer };
    for (answer, expected) in [
        (Answer::Data("0.99".into()), "ok: spec.analysis, metric a: has data now: 0.99"),
        (
            Answer::NoData(String::new()),
            "warn: spec.analysis, metric a: has no data for the stable revision now",
        ),
        (Answer::Error("parse error".into()), "fail: spec.analysis, metric a: parse error"),
        (
            Answer::NotAsked("cannot reach it".into()),
            "not checked: spec.analysis, metric a: cannot reach it",
        ),
    ] {
        assert_eq!(about(&Snapshot { queries: vec![query(answer)], ..seen() }, "query"), expected);
    }
    let job = |refusal| Tried { place: "spec.steps[1].job, metric job".into(), refusal };
    for (refusal, level) in [
        (None, "ok"),
        (Some(Refusal::Job("forbidden: exceeded quota".into())), "fail"),
        (Some(Refusal::NotTried("you may not".into())), "not checked"),
    ] {
        let told = about(&Snapshot { jobs: vec![job(refusal)], ..seen() }, "job");
        assert!(told.starts_with(level), "{told}");
    }
}

#[test]
fn rights_are_told_and_needed_only_where_a_person_acts() {
    let lacking = Snapshot { controller: Ok(vec!["patch services".into()]), ..seen() };
    assert_eq!(
        about(&lacking, "controller rights"),
        "fail: sluice-system/sluice may not patch services"
    );
    let caller = Ok(vec![("promote".to_owned(), false), ("abort".to_owned(), true)]);
    let told = about(&Snapshot { caller, ..seen() }, "your rights");
    assert_eq!(told, "warn: you may not promote (you may abort)");
    let unasked = Snapshot { controller: Err("ask for a role".into()), ..seen() };
    assert_eq!(about(&unasked, "controller rights"), "not checked: ask for a role");
}

#[test]
fn the_rights_of_the_shipped_role_are_read() {
    let all = rights::needed(true, true, true);
    assert!(all.len() > 30, "{}", all.len());
    let has = |rights: &[rights::Right], resource: &str| {
        rights.iter().any(|right| right.resource == resource)
    };
    let few = rights::needed(false, false, false);
    for resource in ["virtualservices", "deployments", "jobs"] {
        assert!(has(&all, resource) && !has(&few, resource), "{resource}");
    }
    assert!(has(&few, "replicasets") && has(&few, "pods/eviction"));
}

#[test]
fn json_says_whether_it_passed() {
    let seen = Snapshot { problems: vec!["spec.paused: no".into()], ..seen() };
    let shown = document("checkout", &judge(&seen));
    assert_eq!(shown["passed"], false);
    assert_eq!(shown["checks"][0]["level"], "fail");
    assert_eq!(shown["checks"][0]["about"], "spec");
}
