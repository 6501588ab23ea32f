//! Who may do what with a Rollout, by the shipped roles and the shipped policy: people and tools are
//! service accounts with these roles and no others.

use serde_json::{Value, json};

use crate::{
    app::App,
    scenario::{Scenario, scenario},
    support::kubectl::{Answer, User},
};

const TWO_PAUSES: &str = "[{setWeight: 20}, {pause: {}}, {setWeight: 60}, {pause: {}}]";

/// What is said where the policy refuses.
const DENIED: &str = "with binding 'sluice-rollouts' denied request: ";

/// A merge patch of the Rollout.
async fn patch(user: &User, patch: &Value) -> Answer {
    let patch = patch.to_string();
    let words = ["patch", "rollout", "web", "--type=merge", "-p", &patch];
    user.run("kubectl".as_ref(), &words, "").await
}

/// The command as somebody writes it who does not use the plugin.
fn command(text: &str) -> Value {
    json!({"metadata": {"annotations": {"sluice.dev/command": text}}})
}

/// What the policy says to a patch that it refuses.
async fn refused(user: &User, change: &Value) -> String {
    let answer = patch(user, change).await;
    assert_ne!(answer.code, 0, "accepted: {change}");
    let (_, why) = answer.stderr.split_once(DENIED).unwrap_or_else(|| panic!("{answer:?}"));
    why.trim().to_owned()
}

/// A release that waits in its first pause.
async fn paused(scenario: &Scenario) -> App {
    let app = App::new("web", TWO_PAUSES);
    scenario.deploy(&app).await;
    scenario.release(&app, "app:v2").await;
    scenario.until_paused_at("web", 2).await;
    app
}

/// The name of an account as the API server knows it.
fn account(scenario: &Scenario, name: &str) -> String {
    format!("system:serviceaccount:{}:{name}", scenario.namespace)
}

#[test]
fn operators_steer_a_release_and_edit_nothing() {
    scenario("operators", async |scenario| {
        let app = paused(scenario).await;
        let ann = scenario.account("ann", &["sluice-operate"]).await;
        // An admission plugin of the API server asks for this before an owner may be written at all.
        for line in [
            "create role deleter --verb=delete --resource=rollouts.sluice.dev".to_owned(),
            format!(
                "create rolebinding deleter --role=deleter --serviceaccount={}:ann",
                scenario.namespace
            ),
        ] {
            scenario.user.kubectl(&line, "").await.expect("a role");
        }
        for change in [
            json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "evil"}]}}}}),
            json!({"spec": {"replicas": 30}}),
            json!({"spec": {"strategy": {"canary": {"steps": []}}}}),
        ] {
            let why = refused(&ann, &change).await;
            assert!(why.contains("may not edit the spec") && why.contains("sluice-edit"), "{why}");
        }
        for change in [
            json!({"metadata": {"labels": {"sluice.dev/instance": "other"}}}),
            json!({"metadata": {"annotations": {"note": "mine"}}}),
            json!({"metadata": {"ownerReferences": [
                {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "1"}]}}),
        ] {
            let why = refused(&ann, &change).await;
            assert!(why.contains("labels, annotations and owners"), "{why}");
        }
        let why = refused(&ann, &json!({"metadata": {"finalizers": []}})).await;
        assert!(why.contains("may not edit the finalizers"), "{why}");
        let undo = ann.sluice("undo web").await;
        assert_ne!(undo.code, 0, "{undo:?}");
        assert!(undo.stderr.contains("this needs the verb update"), "{undo:?}");
        // All that was refused is without effect, and all that steers is allowed.
        ann.sluice("pause web").await.expect("pause");
        ann.sluice("resume web").await.expect("resume");
        ann.sluice("promote web").await.expect("promote");
        scenario.until_paused_at("web", 4).await;
        ann.sluice("abort web --reason errors").await.expect("abort");
        let aborted = scenario.until_rolled_back("web").await;
        assert_eq!(aborted["abort"]["by"], account(scenario, "ann"));
        ann.sluice("retry web").await.expect("retry");
        scenario.until_paused_at("web", 2).await;
        ann.sluice("promote web --skip-current-step").await.expect("skip");
        // Somebody holds it by the spec: a promotion clears that, and no more of the spec.
        let held = app.clone().image("app:v2").set("/paused", "true");
        scenario.user.apply(&held.rollout()).await;
        scenario.until_status("web", "a hold", |status| status["phase"] == "Paused").await;
        ann.sluice("promote web --full").await.expect("promote --full");
        scenario.until_released("web").await;
        ann.sluice("restart web").await.expect("restart");
    });
}

#[test]
fn nobody_writes_a_command_in_anothers_name() {
    scenario("forged", async |scenario| {
        paused(scenario).await;
        let ann = scenario.account("ann", &["sluice-operate"]).await;
        let me = account(scenario, "ann");
        for by in [
            r#","by":"bob""#.to_owned(),
            String::new(),
            // The last word is not the first: what counts is the field.
            format!(r#","by":"bob","reason":"\"by\":\"{me}\"""#),
            format!(r#","reason":"x\",\"by\":\"{me}","by":"bob""#),
        ] {
            let text = format!(r#"{{"verb":"promote","revision":"x","id":"1"{by}}}"#);
            let why = refused(&ann, &command(&text)).await;
            assert!(why.contains("the command says that it is by"), "{by}: {why}");
        }
        for text in [
            "promote please".to_owned(),
            format!(r#"{{"verb":"promote","\u0062y":"bob","by":"{me}","revision":"x","id":"1"}}"#),
            format!(r#"{{"\u0076erb":"promote","by":"{me}","revision":"x","id":"1"}}"#),
            format!(r#"{{"verb":"\u0070romote","by":"{me}","revision":"x","id":"1"}}"#),
            format!(r#"[{{"verb":"promote","by":"{me}"}}]"#),
        ] {
            let why = refused(&ann, &command(&text)).await;
            assert!(why.contains("is no command"), "{text}: {why}");
        }
        // A key that stands there twice is the controller's to refuse.
        let twice =
            format!(r#"{{"verb":"promote","revision":"x","id":"1","by":"{me}","by":"bob"}}"#);
        patch(&ann, &command(&twice)).await.expect("a form that may be written");
        let text = scenario.until_event("web", "CommandRefused").await;
        assert!(text.contains("duplicate"), "{text}");
        let status = scenario.seen().get("Rollout", "web")["status"].clone();
        assert!(status["lastCommand"].is_null(), "{status}");
    });
}

/// A role of this namespace for Rollouts alone.
async fn role(scenario: &Scenario, name: &str, verbs: &str) -> User {
    let rules = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name},
        "rules": [{
            "apiGroups": ["sluice.dev"], "resources": ["rollouts"],
            "verbs": verbs.split(' ').collect::<Vec<_>>(),
        }],
    });
    scenario.user.apply(&rules.to_string()).await;
    let user = scenario.account(name, &[]).await;
    let account = format!("{}:{name}", scenario.namespace);
    let line = format!("create rolebinding {name} --role={name} --serviceaccount={account}");
    scenario.user.kubectl(&line, "").await.expect("a new binding");
    user
}

#[test]
fn each_verb_is_a_right_of_its_own() {
    scenario("verbs", async |scenario| {
        paused(scenario).await;
        let on_call = role(scenario, "on-call", "get list watch patch abort").await;
        for verb in ["promote", "promote --full", "pause", "restart", "promote --skip-current-step"]
        {
            let answer = on_call.sluice(&format!("{verb} web")).await;
            assert_eq!(answer.code, 1, "{verb}: {answer:?}");
            let me = account(scenario, "on-call");
            assert!(answer.stderr.contains(&format!("{me} may not")), "{verb}: {answer:?}");
            assert!(answer.stderr.contains("this needs the verb"), "{verb}: {answer:?}");
            assert!(!answer.stderr.contains("ValidatingAdmissionPolicy"), "{verb}: {answer:?}");
        }
        let why = refused(&on_call, &json!({"spec": {"paused": true}})).await;
        assert!(why.contains("may not change spec.paused"), "{why}");
        on_call.sluice("abort web").await.expect("abort");
        scenario.until_rolled_back("web").await;
    });
}

/// No controller serves this Rollout, so that a command waits.
#[test]
fn a_command_that_waits_is_withdrawn_only_by_those_who_could_give_it() {
    scenario("withdrawn", async |scenario| {
        let app = App::new("web", TWO_PAUSES).instance("nobody");
        scenario.user.apply(&app.manifests()).await;
        let on_call = role(scenario, "on-call", "get list watch patch abort").await;
        let promoter = role(scenario, "promoter", "get list watch patch promote").await;
        let order = |verb: &str, by: &str| {
            let by = account(scenario, by);
            command(&format!(r#"{{"verb":"{verb}","revision":"x","by":"{by}","id":"{verb}-1"}}"#))
        };
        let none = json!({"metadata": {"annotations": {"sluice.dev/command": null}}});
        patch(&promoter, &order("promote", "promoter")).await.expect("promote");
        let why = refused(&on_call, &none).await;
        assert!(why.contains("the command promote still waits"), "{why}");
        patch(&promoter, &none).await.expect("whoever wrote it withdraws it");
        patch(&promoter, &order("promote", "promoter")).await.expect("promote");
        patch(&on_call, &order("abort", "on-call")).await.expect("an abort replaces any command");
        let why = refused(&promoter, &none).await;
        assert!(why.contains("the command abort still waits"), "{why}");
        let why = refused(&promoter, &order("promote", "promoter")).await;
        assert!(why.contains("the command abort still waits"), "{why}");
    });
}

#[test]
fn editors_work_as_they_always_did() {
    scenario("editors", async |scenario| {
        let eve = scenario.account("eve", &["sluice-view", "sluice-edit", "edit"]).await;
        let app = App::new("web", TWO_PAUSES);
        // Istio's kinds are not in Kubernetes' `edit`.
        scenario.user.apply(&app.manifests()).await;
        scenario.until_released("web").await;
        eve.apply(&app.clone().image("app:v2").rollout()).await;
        scenario.until_paused_at("web", 2).await;
        eve.sluice("promote web").await.expect("promote");
        scenario.until_paused_at("web", 4).await;
        eve.sluice("abort web").await.expect("abort");
        scenario.until_rolled_back("web").await;
        eve.sluice("undo web").await.expect("undo");
        scenario.until_status("web", "stable", |status| status["phase"] == "Healthy").await;
        eve.kubectl("label rollout web team=shop", "").await.expect("label");
        eve.kubectl("annotate rollout web note=mine", "").await.expect("annotate");
        eve.kubectl("scale rollout web --replicas=2", "").await.expect("scale");
        let manifest = app.clone().image("app:v3").set("/replicas", "2").rollout();
        let line = "apply --server-side --force-conflicts -f -";
        eve.kubectl(line, &manifest).await.expect("server-side apply");
        scenario.until_paused_at("web", 2).await;
        eve.sluice("promote web --full").await.expect("promote --full");
        scenario.until_released("web").await;
        eve.kubectl("delete rollout web", "").await.expect("delete");
    });
}

#[test]
fn what_applies_manifests_or_scales_needs_no_verbs_and_gets_none() {
    scenario("tools", async |scenario| {
        let app = paused(scenario).await;
        let gitops = role(scenario, "gitops", "get list watch create update patch delete").await;
        let answer = gitops.sluice("promote web").await;
        assert!(answer.stderr.contains("may not promote Rollout"), "{answer:?}");
        gitops.apply(&app.clone().image("app:v3").rollout()).await;
        scenario
            .until_status("web", "the third version", |status| {
                status["history"][0]["images"][0] == "app:v3"
            })
            .await;
        // An autoscaler has the scale subresource, and nothing of the Rollout.
        let rules = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": "autoscaler"},
            "rules": [{
                "apiGroups": ["sluice.dev"], "resources": ["rollouts/scale"],
                "verbs": ["get", "update", "patch"],
            }],
        });
        scenario.user.apply(&rules.to_string()).await;
        let autoscaler = scenario.account("autoscaler", &[]).await;
        let line = format!(
            "create rolebinding autoscaler --role=autoscaler --serviceaccount={}:autoscaler",
            scenario.namespace
        );
        scenario.user.kubectl(&line, "").await.expect("a new binding");
        let line =
            "patch rollout web --subresource=scale --type=merge -p {\"spec\":{\"replicas\":4}}";
        autoscaler.kubectl(line, "").await.expect("scale");
        let edit = "patch rollout web --type=merge -p {\"spec\":{\"replicas\":5}}";
        assert_ne!(autoscaler.kubectl(edit, "").await.code, 0);
    });
}

/// As Slack would write it: the pod that got the click vouches for who clicked.
#[test]
fn a_trusted_account_writes_in_the_name_of_others() {
    scenario("trusted", async |scenario| {
        paused(scenario).await;
        let slack = role(scenario, "slack", "get list watch patch promote impersonate-by").await;
        let revision = scenario.seen().get("Rollout", "web")["status"]["currentRevision"].clone();
        let order = |verb: &str| {
            let text =
                json!({"verb": verb, "revision": revision, "by": "alice (Slack)", "id": verb});
            command(&text.to_string())
        };
        let why = refused(&slack, &order("abort")).await;
        assert!(why.contains("may not abort"), "{why}");
        patch(&slack, &order("promote")).await.expect("promote");
        let status = scenario.until_paused_at("web", 4).await;
        assert_eq!(status["lastCommand"]["by"], "alice (Slack)");
    });
}

/// The controller takes commands off and writes finalizers; an intruder with its account edits no
/// Rollout.
#[test]
fn the_controllers_own_account_edits_no_spec() {
    scenario("intruder", async |scenario| {
        paused(scenario).await;
        let kubeconfig = scenario.cluster().controller_kubeconfig.clone();
        let intruder = User { kubeconfig, namespace: scenario.namespace.clone() };
        // kubectl's patch would need `get`.
        let manifest = json!({
            "apiVersion": "sluice.dev/v1alpha1", "kind": "Rollout", "metadata": {"name": "web"},
            "spec": {"replicas": 30},
        });
        let line = "apply --server-side --force-conflicts --validate=false -f -";
        let answer = intruder.kubectl(line, &manifest.to_string()).await;
        assert_ne!(answer.code, 0, "{answer:?}");
        assert!(answer.stderr.contains("may not edit the spec"), "{answer:?}");
    });
}
