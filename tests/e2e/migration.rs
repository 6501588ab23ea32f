//! `kubectl sluice convert`, `adopt`, `release` and `preflight`, against the real API server.

use std::path::Path;

use serde_json::{Value, json};

use crate::{
    adoption::{endpoints, fewest_endpoints, in_use, until_empty},
    app::{App, list},
    scenario::scenario,
    support::package,
};

fn plugin() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_kubectl-sluice"))
}

#[test]
fn a_deployment_is_adopted_and_released_by_the_plugin() {
    scenario("plugin-adopts", async |scenario| {
        let user = &scenario.user;
        let app = App::new("web", "[]");
        in_use(scenario, &app).await;
        let adopt = "adopt web --strategy canary --canary-service web-canary --steps -";
        let steps = "[{setWeight: 20}, {pause: {}}]";
        let arguments: Vec<&str> = adopt.split(' ').collect();
        let run = async |more: &[&str]| {
            user.run(plugin(), &[arguments.as_slice(), more].concat(), steps).await
        };

        let dry = run(&["--dry-run=client"]).await.expect("a dry run");
        assert!(
            dry.contains("kind: Rollout") && dry.contains("stableService: web-stable"),
            "{dry}"
        );
        assert_ne!(user.kubectl("get rollout web", "").await.code, 0, "nothing was created");

        let scaler = "autoscale deployment web --min=3 --max=6";
        user.kubectl(scaler, "").await.expect("an autoscaler");
        let refused = run(&[]).await;
        assert_eq!(refused.code, 1, "{}", refused.stdout);
        assert!(
            refused.stderr.contains("HorizontalPodAutoscaler web scales"),
            "{}",
            refused.stderr
        );
        user.kubectl("delete hpa web", "").await.expect("no autoscaler");

        let adopted = run(&[]).await.expect("adopt");
        assert!(adopted.contains("web: created Rollout web"), "{adopted}");
        until_empty(scenario, "web").await;
        let again = run(&[]).await;
        assert!(
            again.stderr.contains("Rollout web has Deployment web already"),
            "{}",
            again.stderr
        );

        let set_image = "set image deployment/web app=app:v2";
        user.kubectl(set_image, "").await.expect("kubectl set image");
        scenario.until_paused_at("web", 2).await;
        let refused = user.sluice("release web").await;
        assert_eq!(refused.code, 1, "{}", refused.stdout);
        assert!(refused.stderr.contains("a release is under way"), "{}", refused.stderr);
        user.sluice("promote web --full").await.expect("promote");
        scenario.until_released("web").await;

        let released = user.sluice("release web").await.expect("release");
        assert!(released.contains("Deployment web is on its own again"), "{released}");
        // What was recorded is locked while it is read: not across what follows.
        let pods = scenario.seen().get("Deployment", "web")["status"]["availableReplicas"].clone();
        assert_eq!(pods, 3);
        let gone = user.sluice("release web").await;
        assert_eq!(gone.code, 7, "{}", gone.stderr);
    });
}

#[test]
fn a_preflight_finds_what_is_in_the_way() {
    scenario("plugin-preflight", async |scenario| {
        let user = &scenario.user;
        let steps = r#"[{setWeight: 20}, {job: {spec: {template: {spec: {containers: [
            {name: smoke, image: "smoke:v1"}]}}}}}]"#;
        let metric =
            "{metrics: [{name: one, interval: 30s, provider: {prometheus: {query: vector(1)}}}]}";
        let app = App::new("web", steps).set("/strategy/canary/analysis", metric);
        let rollout = app.rollout();

        let before = user.run(plugin(), &["preflight", "-f", "-"], &rollout).await;
        assert_eq!(before.code, 1, "{}{}", before.stdout, before.stderr);
        for sentence in ["Service plugin-preflight/web-stable does not exist", "VirtualService"] {
            assert!(before.stdout.contains(sentence), "{sentence}: {}", before.stdout);
        }

        scenario.deploy(&app).await;
        let prometheus = scenario.prometheus().await;
        let line = format!("preflight web --prometheus-url {}", prometheus.url);
        let told = user.sluice(&line).await.expect("a preflight");
        for sentence in [
            "web: nothing is in the way of a release",
            "metric one: has data now: [1]",
            "metric job: can be created (dry run)",
            "sluice-system/sluice may do all that a release needs",
            "you may promote, promotefull, abort",
        ] {
            assert!(told.contains(sentence), "{sentence}: {told}");
        }

        let quota = "create quota few --hard=pods=4";
        user.kubectl(quota, "").await.expect("a quota");
        user.kubectl("delete virtualservice web", "").await.expect("no route");
        let told = user.sluice("preflight web -o json").await;
        assert_eq!(told.code, 1, "{}", told.stdout);
        let shown: Value = serde_json::from_str(&told.stdout).expect("JSON");
        let failed = |about: &str| {
            let checks = shown["checks"].as_array().expect("checks");
            checks.iter().any(|check| check["about"] == about && check["level"] == "fail")
        };
        assert!(failed("quota") && failed("routes"), "{shown:#}");

        let account = "preflight web --controller-service-account default/nobody";
        let told = user.sluice(account).await;
        assert!(told.stdout.contains("default/nobody may not list rollouts"), "{}", told.stdout);
    });
}

#[test]
fn what_was_converted_is_accepted_and_becomes_healthy() {
    scenario("plugin-converts", async |scenario| {
        let user = &scenario.user;
        let file = package().join("tests/migration/argo-blue-green.yaml");
        let arguments = ["convert", &file.display().to_string()];
        let converted = user.run(plugin(), &arguments, "").await;
        assert!(converted.stderr.contains("no equal: Rollout web"), "{}", converted.stderr);
        let manifests = converted.expect("convert");
        user.apply(&manifests).await;
        scenario.until_released("web").await;
    });
}

/// As docs/migrate-from-argo.md has it, with pods as Argo Rollouts labels them.
#[test]
fn the_change_over_from_argo_rollouts_loses_no_endpoint() {
    scenario("plugin-from-argo", async |scenario| {
        let user = &scenario.user;
        let app = App::new("web", "[{setWeight: 20}]");
        let rollout: Value = serde_json::from_str(&app.rollout()).expect("JSON");
        let mut template = rollout["spec"]["template"].clone();
        template["metadata"]["labels"]["rollouts-pod-template-hash"] = json!("6bf7b9");
        let labels = template["metadata"]["labels"].clone();
        let set = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web-6bf7b9"},
            "spec": {"replicas": 3, "selector": {"matchLabels": labels}, "template": template},
        });
        let service = |role: &str| {
            let mut service: Value = serde_json::from_str(&app.service(role)).expect("JSON");
            service["spec"]["selector"] = labels.clone();
            service.to_string()
        };
        let parts = [service("stable"), service("canary"), app.virtual_service(), set.to_string()];
        user.apply(&list(&parts)).await;
        scenario
            .until("Argo's pods to serve", |seen| {
                let ready = endpoints(seen.all("EndpointSlice"), "web-stable").len();
                (ready == 3).then_some(())
            })
            .await;

        let patch = r#"[{"op":"remove","path":"/spec/selector/rollouts-pod-template-hash"}]"#;
        for service in ["web-stable", "web-canary"] {
            let line = format!("patch service {service} --type json -p {patch}");
            user.kubectl(&line, "").await.expect("kubectl patch");
        }
        let rollout = app.rollout();
        user.run(plugin(), &["preflight", "-f", "-"], &rollout).await.expect("a preflight");
        user.apply(&rollout).await;
        scenario.until_released("web").await;
        user.kubectl("delete replicaset web-6bf7b9", "").await.expect("kubectl delete");
        let fewest = fewest_endpoints(&scenario.seen(), "web-stable", 3);
        assert!(fewest >= 3, "the stable Service once had {fewest} of 3 endpoints");
    });
}
