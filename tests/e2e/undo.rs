//! Back to an earlier revision, pods anew, and a step left out, with `kubectl sluice`.

use serde_json::{Value, json};

use crate::{
    app::{App, list},
    scenario::{Scenario, scenario},
};

const ONE_PAUSE: &str = "[{setWeight: 20}, {pause: {}}]";

/// Waits until everybody is back on `revision`.
async fn until_stable(scenario: &Scenario, revision: &Value) -> Value {
    let is = |status: &Value| {
        status["phase"] == "Healthy"
            && status["stableRevision"] == *revision
            && status["currentRevision"] == *revision
    };
    scenario.until_status("web", "its old revision", is).await
}

async fn promoted(scenario: &Scenario) -> Value {
    scenario.until_paused_at("web", 2).await;
    scenario.user.sluice("promote web").await.expect("promote");
    scenario.until_released("web").await
}

#[test]
fn undo_is_a_release_of_the_revision_before() {
    scenario("undo", async |scenario| {
        let app = App::new("web", ONE_PAUSE)
            .set("/strategy/canary/stableMetadata", "{labels: {role: stable}}")
            .set("/strategy/canary/canaryMetadata", "{labels: {role: canary}}")
            .set(
                "/strategy/canary/antiAffinity",
                "{preferredDuringSchedulingIgnoredDuringExecution: {weight: 1}}",
            );
        let first = scenario.deploy(&app).await;
        let none = scenario.user.sluice("undo web").await;
        assert_eq!(none.code, 1, "{none:?}");
        assert!(none.stderr.contains("no revision was stable before"), "{none:?}");

        scenario.release(&app, "app:v2").await;
        let second = promoted(scenario).await;
        let said = scenario.user.sluice("undo web").await.expect("undo");
        assert!(said.contains("Rollout web has the pod template of revision 1 (app:v1)"), "{said}");
        let back = scenario.until_paused_at("web", 2).await;
        assert_eq!(back["currentRevision"], first["currentRevision"], "no new revision");
        let template = scenario.seen().get("Rollout", "web")["spec"]["template"].clone();
        assert_eq!(template["metadata"], json!({"labels": {"app": "web"}}));
        assert!(template["spec"]["affinity"].is_null(), "{template}");
        let twice = scenario.user.sluice("undo web --to-revision 1").await.expect("nothing");
        assert!(twice.contains("nothing to do"), "{twice}");

        // In mid-release the stable revision is what is gone back to, without steps.
        let said = scenario.user.sluice("undo web").await.expect("undo in mid-release");
        assert!(said.contains("revision 2 (app:v2)"), "{said}");
        until_stable(scenario, &second["stableRevision"]).await;
        let unknown = scenario.user.sluice("undo web --to-revision 9").await;
        assert_eq!(unknown.code, 1);
        assert!(
            unknown.stderr.contains("there is no revision 9; those that are kept"),
            "{unknown:?}"
        );
    });
}

#[test]
fn undo_writes_the_template_of_the_deployment_that_is_named() {
    scenario("undo-workload", async |scenario| {
        let deployment = |image: &str| {
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "legacy"},
                "spec": {
                    "selector": {"matchLabels": {"app": "legacy"}},
                    "template": {
                        "metadata": {"labels": {"app": "legacy"}},
                        "spec": {
                            "containers": [{"name": "app", "image": image}],
                            "terminationGracePeriodSeconds": 1,
                        },
                    },
                },
            })
            .to_string()
        };
        let rollout = json!({
            "apiVersion": "sluice.dev/v1alpha1", "kind": "Rollout", "metadata": {"name": "web"},
            "spec": {
                "replicas": 2,
                "workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "legacy"},
                "strategy": {"rolling": {}},
            },
        })
        .to_string();
        scenario.user.apply(&list(&[deployment("app:v1"), rollout])).await;
        let first = scenario.until_released("web").await;
        scenario.user.apply(&deployment("app:v2")).await;
        let is_second = |status: &Value| {
            status["phase"] == "Healthy" && status["stableRevision"] != first["stableRevision"]
        };
        scenario.until_status("web", "the second revision", is_second).await;
        let shown = scenario.user.sluice("get rollout web").await.expect("get");
        assert!(shown.contains("Deployment legacy; no pods of its own"), "{shown}");

        let said = scenario.user.sluice("undo web").await.expect("undo");
        assert!(said.contains("Deployment legacy has the pod template of revision 1"), "{said}");
        until_stable(scenario, &first["stableRevision"]).await;
        let line = "get deployment legacy -o jsonpath={.spec.replicas}/{.spec.template.metadata.labels}/{.spec.template.spec.containers[0].image}";
        let written = scenario.user.kubectl(line, "").await.expect("the Deployment");
        assert_eq!(written, r#"0/{"app":"legacy"}/app:v1"#);
    });
}

#[test]
fn restart_replaces_every_pod_without_a_release() {
    scenario("restart", async |scenario| {
        let app = App::new("web", ONE_PAUSE);
        let before = scenario.deploy(&app).await;
        let pods = |scenario: &Scenario| -> Vec<String> {
            let seen = scenario.seen();
            let pods = seen.all("Pod").filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
            pods.map(|pod| pod["metadata"]["name"].to_string()).collect()
        };
        let old = pods(scenario);
        let said = scenario.user.sluice("restart web").await.expect("restart");
        assert!(said.contains("all pods are replaced, one after the other"), "{said}");
        let is_over = |status: &Value| {
            status["phase"] == "Healthy"
                && !status["restartedAt"].is_null()
                && status["restartedAt"] == status["restartAt"]
        };
        let after = scenario.until_status("web", "the end of the restart", is_over).await;
        assert_eq!(after["stableRevision"], before["stableRevision"]);
        assert_eq!(after["history"], before["history"], "no release");
        let new = pods(scenario);
        assert!(new.iter().all(|name| !old.contains(name)), "{old:?}, then {new:?}");
    });
}

#[test]
fn a_step_can_be_left_out() {
    scenario("skip", async |scenario| {
        let steps = "[{setWeight: 20}, {pause: {}}, {setWeight: 60}, {pause: {}}]";
        let app = App::new("web", steps);
        scenario.deploy(&app).await;
        scenario.release(&app, "app:v2").await;
        scenario.until_paused_at("web", 2).await;
        let both = scenario.user.sluice("promote web --full --skip-current-step").await;
        assert_eq!(both.code, 2, "{both:?}");
        let said = scenario.user.sluice("promote web --skip-current-step").await.expect("skip");
        assert!(said.contains("step 2 of 4 is skipped"), "{said}");
        scenario.until_paused_at("web", 4).await;
        scenario.user.sluice("promote web --skip-current-step").await.expect("skip the last");
        scenario.until_released("web").await;
    });
}

#[test]
fn only_editors_may_undo_what_a_workload_holds() {
    scenario("user-roles", async |scenario| {
        for (role, user) in
            [("sluice-edit", "eve"), ("sluice-operate", "otto"), ("sluice-view", "vera")]
        {
            let line = format!("create rolebinding {user} --clusterrole={role} --user={user}");
            scenario.user.kubectl(&line, "").await.expect("a binding");
        }
        let may = async |user: &str, what: &str| {
            let line = format!("auth can-i {what} --as={user}");
            scenario.user.kubectl(&line, "").await.stdout.trim() == "yes"
        };
        for (what, eve, otto, vera) in [
            ("patch rollouts.sluice.dev", true, true, false),
            ("patch deployments.apps", true, false, false),
            ("patch podtemplates", true, false, false),
            ("list replicasets.apps", true, true, false),
            ("get deployments.apps", true, true, false),
            ("patch rollouts.sluice.dev --subresource=status", false, false, false),
        ] {
            assert_eq!(may("eve", what).await, eve, "sluice-edit: {what}");
            assert_eq!(may("otto", what).await, otto, "sluice-operate: {what}");
            assert_eq!(may("vera", what).await, vera, "sluice-view: {what}");
        }
    });
}
