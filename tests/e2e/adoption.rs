//! A Deployment in use is adopted and given back, as its users and the API server see it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    app::{App, list},
    scenario::{Scenario, apart, scenario},
    support::recorder::Seen,
    support::{
        audit,
        cluster::Cluster,
        controller::{Controller, Options},
        wait::until,
    },
};

const PODS: usize = 3;

/// The Deployment of an app, with its pods and image.
fn deployment(app: &App) -> String {
    let rollout: Value = serde_json::from_str(&app.rollout()).expect("JSON");
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": app.name},
        "spec": {
            "replicas": PODS,
            "selector": rollout["spec"]["selector"],
            "template": rollout["spec"]["template"],
        },
    })
    .to_string()
}

/// The Rollout of an app, with its Deployment in place of the pods.
fn rollout(app: &App) -> String {
    let mut rollout: Value = serde_json::from_str(&app.rollout()).expect("JSON");
    let spec = rollout["spec"].as_object_mut().expect("a spec");
    spec.remove("selector");
    spec.remove("template");
    let reference = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": app.name});
    spec.insert("workloadRef".into(), reference);
    rollout.to_string()
}

/// Names of the pods that a Service's slices show as ready.
pub fn endpoints<'a>(slices: impl Iterator<Item = &'a Value>, service: &str) -> BTreeSet<String> {
    let of = |slice: &&Value| slice["metadata"]["labels"]["kubernetes.io/service-name"] == *service;
    let ready =
        slices.filter(of).flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten());
    let ready = ready.filter(|endpoint| endpoint["conditions"]["ready"] == true);
    ready.filter_map(|endpoint| endpoint["targetRef"]["name"].as_str().map(String::from)).collect()
}

/// The fewest ready endpoints that a Service had at any moment after it first had `from`.
pub fn fewest_endpoints(seen: &Seen, service: &str, from: usize) -> usize {
    let mut slices: BTreeMap<String, Value> = BTreeMap::new();
    let mut counts = Vec::new();
    for change in seen.in_order().iter().filter(|change| change.key.0 == "EndpointSlice") {
        match &change.object {
            Some(object) => slices.insert(change.key.1.clone(), (**object).clone()),
            None => slices.remove(&change.key.1),
        };
        counts.push(endpoints(slices.values(), service).len());
    }
    counts.into_iter().skip_while(|count| *count < from).min().unwrap_or(0)
}

/// An app as a Deployment behind its Services, in use.
pub async fn in_use(scenario: &Scenario, app: &App) {
    let parts =
        [app.service("stable"), app.service("canary"), app.virtual_service(), deployment(app)];
    scenario.user.apply(&list(&parts)).await;
    let service = format!("{}-stable", app.name);
    scenario
        .until("the Deployment to be in use", |seen| {
            (endpoints(seen.all("EndpointSlice"), &service).len() == PODS).then_some(())
        })
        .await;
}

/// Waits until the Deployment has no pods.
pub async fn until_empty(scenario: &Scenario, name: &str) {
    scenario
        .until("the Deployment to be without pods", |seen| {
            let deployment = seen.get("Deployment", name);
            let empty = deployment["spec"]["replicas"] == 0;
            (empty && deployment["status"]["replicas"].is_null()).then_some(())
        })
        .await;
}

#[test]
fn a_deployment_in_use_keeps_its_endpoints_from_adoption_to_hand_back() {
    scenario("adoption", async |scenario| {
        let app = App::new("web", "[{setWeight: 20}, {pause: {}}]");
        in_use(scenario, &app).await;
        scenario.user.apply(&rollout(&app)).await;
        scenario.until_released("web").await;
        until_empty(scenario, "web").await;

        let set_image = "set image deployment/web app=app:v2";
        scenario.user.kubectl(set_image, "").await.expect("kubectl set image");
        scenario.until_paused_at("web", 2).await;
        scenario.user.sluice("promote web --full").await.expect("promote");
        scenario.until_released("web").await;

        // kubectl waits until the object is gone.
        scenario.user.kubectl("delete rollout web", "").await.expect("kubectl delete");
        {
            let seen = scenario.seen();
            let deployment = seen.get("Deployment", "web");
            assert_eq!(deployment["status"]["availableReplicas"], PODS, "{deployment}");
            for role in ["stable", "canary"] {
                let service = seen.get("Service", &format!("web-{role}"));
                assert_eq!(service["spec"]["selector"], json!({"app": "web"}));
            }
        }
        scenario
            .until("the pods of the Rollout to be gone", |seen| {
                let revision =
                    |pod: &&Value| !pod["metadata"]["labels"]["sluice.dev/revision"].is_null();
                (seen.all("Pod").filter(revision).count() == 0).then_some(())
            })
            .await;
        let fewest = fewest_endpoints(&scenario.seen(), "web-stable", PODS);
        assert!(fewest >= PODS, "the stable Service once had {fewest} of {PODS} endpoints");
    });
}

#[test]
fn a_namespace_with_an_adopted_deployment_can_be_deleted() {
    scenario("adoption-namespace", async |scenario| {
        let app = App::new("web", "[]");
        in_use(scenario, &app).await;
        scenario.user.apply(&rollout(&app)).await;
        scenario.until_released("web").await;
        until_empty(scenario, "web").await;
        // kubectl waits until the namespace is gone.
        let line = "delete namespace adoption-namespace --timeout 80s";
        scenario.user.kubectl(line, "").await.expect("the namespace goes");
    });
}

#[test]
fn without_a_controller_a_patch_lets_a_rollout_go() {
    scenario("adoption-stuck", async |scenario| {
        let controller = scenario.controller("only", "adoption-stuck", &[]).await;
        let app = App::new("web", "[]").instance("adoption-stuck");
        scenario.deploy(&app).await;
        controller.terminate().await;
        let delete = "delete rollout web --wait=false";
        scenario.user.kubectl(delete, "").await.expect("kubectl delete");
        let patch = r#"patch rollout web --type merge -p {"metadata":{"finalizers":null}}"#;
        scenario.user.kubectl(patch, "").await.expect("kubectl patch");
        scenario
            .until("the Rollout to be gone", |seen| {
                seen.get("Rollout", "web").is_null().then_some(())
            })
            .await;
    });
}

#[test]
fn a_restart_replaces_every_pod_and_keeps_to_the_budget() {
    scenario("restart-budget", async |scenario| {
        let app = App::new("web", "[]");
        scenario.deploy(&app).await;
        let budget = json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "metadata": {"name": "web"},
            "spec": {"minAvailable": PODS, "selector": {"matchLabels": {"app": "web"}}},
        });
        scenario.user.apply(&budget.to_string()).await;
        let pods = |seen: &Seen| -> BTreeSet<String> {
            let names = seen.all("Pod").map(|pod| pod["metadata"]["name"].as_str());
            names.flatten().map(String::from).collect()
        };
        let before = pods(&scenario.seen());
        scenario.user.sluice("restart web").await.expect("restart");
        scenario.until_event("web", "Restarted").await;
        scenario
            .until("only new pods", |seen| {
                let after = pods(seen);
                (after.len() == PODS && after.is_disjoint(&before)).then_some(())
            })
            .await;
        let fewest = fewest_endpoints(&scenario.seen(), "web-stable", PODS);
        assert!(fewest >= PODS, "the stable Service once had {fewest} of {PODS} endpoints");
    });
}

#[test]
fn workloads_are_read_only_once_a_rollout_names_one() {
    apart("lazy", async |cluster: &Cluster, user| {
        let options = Options { name: "controller".into(), ..Options::default() };
        let controller = Controller::start(cluster, &options).await;
        let reads = || {
            let calls = audit::calls_since(&cluster.audit_log, 0);
            let ours = calls.into_iter().filter(|call| call.user() == Cluster::controller_user());
            let lists = ours.filter(|call| call.verb == "list" && call.succeeded());
            lists.map(|call| call.resource()).collect::<BTreeSet<String>>()
        };
        let healthy = async |name: &str| {
            let line = format!(
                "wait rollout {name} --for=jsonpath={{.status.phase}}=Healthy --timeout=60s"
            );
            user.kubectl(&line, "").await.expect("the Rollout gets healthy");
        };
        let plain = App::new("plain", "[]");
        user.apply(&plain.manifests()).await;
        healthy("plain").await;
        assert!(reads().contains("replicasets"), "{:?}", reads());
        assert!(!reads().contains("deployments"), "{:?}", reads());

        let app = App::new("web", "[]");
        let parts =
            [app.service("stable"), app.service("canary"), app.virtual_service(), deployment(&app)];
        user.apply(&list(&parts)).await;
        user.apply(&rollout(&app)).await;
        healthy("web").await;
        let listed =
            until("Deployments to be listed", crate::support::namespace::PATIENCE, async || {
                reads().contains("deployments").then_some(())
            });
        listed.await.expect("Deployments are listed");
        assert!(!reads().contains("podtemplates"), "{:?}", reads());
        drop(controller);
    });
}
