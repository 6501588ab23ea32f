//! The controller's rights: each one that is shipped is used, none is missing, and where one is taken
//! away the controller says which.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    app::App,
    scenario::{Scenario, scenario},
    stories,
    support::{
        audit,
        cluster::Cluster,
        controller::{Controller, Options},
        package,
        recorder::Seen,
        wait::until,
    },
};

/// A verb, and what it is for: the resource with its subresource.
type Right = (String, String);

/// Not asked for as a request: the admission policy asks for the first (see `access`), the admission
/// plugin OwnerReferencesPermissionEnforcement for the others (see `MISSING`).
const NOT_IN_THE_LOG: [(&str, &str); 3] = [
    ("control", "rollouts"),
    ("update", "rollouts/finalizers"),
    ("update", "analysisruns/finalizers"),
];

/// Stories of `tests/scenarios` that need rights which few releases do.
const STORIES: [&str; 6] = [
    "analysis/a-new-template-stops-the-analysis-of-the-last.yaml",
    "metadata/blue-green-pods-carry-the-labels-of-their-colour.yaml",
    "routes/a-header-route-of-a-subset-split-leads-to-the-canary-subset.yaml",
    "restart/a-budget-of-all-pods-is-kept-by-one-more.yaml",
    "workload/a-pod-template-can-be-the-workload.yaml",
    "workload/a-larger-deployment-is-adopted-at-the-size-of-the-rollout.yaml",
];

/// The documents of a manifest that is shipped.
fn documents(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(package().join("config").join(file)).expect(file);
    text.split("\n---\n").map(|one| serde_yaml::from_str(one).expect(file)).collect()
}

/// Every verb on every resource that the roles of a file allow.
fn rights(file: &str) -> BTreeSet<Right> {
    let list = |value: &Value| -> Vec<String> { serde_json::from_value(value.clone()).unwrap() };
    let documents = documents(file);
    let rules = documents.iter().filter_map(|role| role["rules"].as_array()).flatten();
    let pairs = rules.flat_map(|rule| {
        let (resources, verbs) = (list(&rule["resources"]), list(&rule["verbs"]));
        verbs.into_iter().flat_map(move |verb| {
            let of = |resource: &String| (verb.clone(), resource.clone());
            resources.iter().map(of).collect::<Vec<_>>()
        })
    });
    pairs.collect()
}

fn shipped() -> BTreeSet<Right> {
    let files = ["rbac/controller.yaml", "rbac/secrets.yaml", "rbac/lease.yaml"];
    files.into_iter().flat_map(rights).collect()
}

/// What the controller asked for since the control plane began, and what of it was forbidden.
fn asked(cluster: &Cluster) -> (BTreeSet<Right>, BTreeSet<Right>) {
    let user = Cluster::controller_user();
    let calls = audit::requests(&cluster.audit_log);
    let ours: Vec<_> = calls.iter().filter(|call| call.user() == user).collect();
    let right = |call: &&&audit::Call| (call.verb.clone(), call.resource());
    let forbidden = ours.iter().filter(|call| call.is_forbidden()).map(|call| right(&call));
    // Discovery is of no resource.
    let asked = ours.iter().map(|call| right(&call)).filter(|(_, resource)| !resource.is_empty());
    (asked.collect(), forbidden.collect())
}

/// Releases by which old revisions and old runs go, and which meet names that are taken.
async fn left_overs(scenario: &Scenario) {
    let analysis = "[{setWeight: 20}, {analysis: {templates: [{templateName: answers}]}}]";
    let template = json!({
        "apiVersion": "sluice.dev/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": {"name": "answers"},
        "spec": {
            "args": [{"name": "token", "valueFrom": {"secretKeyRef": {"name": "token", "key": "token"}}}],
            "metrics": [{
                "name": "up", "consecutiveErrorLimit": 0, "interval": "1s", "successCondition": "true",
                "provider": {"prometheus": {
                    "address": "http://127.0.0.1:1", "query": "up",
                    "headers": [{"name": "x-token", "value": "{{args.token}}"}],
                }},
            }],
        },
    });
    scenario.user.apply(&template.to_string()).await;
    let secret = "create secret generic token --from-literal=token=hush";
    scenario.user.kubectl(secret, "").await.expect("a Secret");
    let app = App::new("web", analysis)
        .set("/revisionHistoryLimit", "0")
        .set("/analysis", "{successfulRunHistoryLimit: 0, unsuccessfulRunHistoryLimit: 0}");
    scenario.deploy(&app).await;
    for image in ["app:v2", "app:v3"] {
        scenario.release(&app, image).await;
        scenario.until_rolled_back("web").await;
    }
    let plain = app.set("/strategy/canary/steps", "[{setWeight: 50}]");
    for image in ["app:v4", "app:v5"] {
        scenario.release(&plain, image).await;
        scenario.until_released("web").await;
    }
}

/// Names that the controller would give are taken by others: it looks whose they are.
async fn taken_names(scenario: &Scenario) {
    let job =
        "[{setWeight: 20}, {job: {spec: {template: {spec: {containers: [{name: t, image: t}]}}}}}]";
    for kind in ["ReplicaSet", "Job"] {
        let name = format!("taken-{}", kind.to_lowercase());
        let app = App::new(&name, job);
        scenario.deploy(&app).await;
        scenario.release(&app, "app:v2").await;
        let revision = scenario.until_released(&name).await["stableRevision"].clone();
        let prefix = format!("{name}-{}", revision.as_str().unwrap());
        let found = |seen: &Seen| {
            let mut names = seen.all(kind).map(|object| object["metadata"]["name"].clone());
            names.find(|name| name.as_str().is_some_and(|name| name.starts_with(&prefix)))
        };
        let taken = scenario.until("the name", found).await;
        scenario.user.kubectl(&format!("delete rollout {name}"), "").await.expect("delete");
        let none = |seen: &Seen| {
            let left = found(seen).is_none()
                && seen
                    .all("ReplicaSet")
                    .all(|set| set["spec"]["selector"]["matchLabels"]["app"] != *name);
            left.then_some(())
        };
        scenario.until("the Rollout and all of its objects to be gone", none).await;
        let template = json!({
            "metadata": {"labels": {"app": "foreign"}},
            "spec": {"restartPolicy": if kind == "Job" { "Never" } else { "Always" },
                "containers": [{"name": "app", "image": "foreign"}]},
        });
        let foreign = if kind == "Job" {
            json!({"apiVersion": "batch/v1", "kind": kind, "metadata": {"name": taken},
                "spec": {"suspend": true, "template": template}})
        } else {
            json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": taken},
                "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "foreign"}},
                    "template": template}})
        };
        scenario.user.apply(&foreign.to_string()).await;
        scenario.user.apply(&app.manifests()).await;
        scenario.until_released(&name).await;
        scenario.release(&app, "app:v2").await;
        let over = |status: &Value| status["phase"] != "Progressing";
        scenario.until_status(&name, "the end of the release", over).await;
    }
}

#[test]
fn every_right_that_is_shipped_is_used_and_none_is_missing() {
    scenario("rights", async |scenario| {
        // The Lease is taken, waited for, given away and taken over.
        let first = scenario.controller("first", "rights", &[]).await;
        let second = scenario.controller("second", "rights", &[]).await;
        assert_eq!(first.terminate().await, Some(0));
        let told = STORIES.map(|story| stories::tell(story, "rights"));
        let (told, (), ()) =
            tokio::join!(join_all(told), left_overs(scenario), taken_names(scenario));
        let failed: Vec<String> = told.into_iter().flatten().collect();
        assert!(failed.is_empty(), "these failed, see above: {failed:?}");
        let log_has_it = |right: &Right| {
            !NOT_IN_THE_LOG.iter().any(|(verb, of)| (*verb, *of) == (&right.0, &right.1))
        };
        let shipped = shipped();
        let unused = || -> Vec<Right> {
            let (asked, _) = asked(scenario.cluster());
            shipped.difference(&asked).filter(|right| log_has_it(right)).cloned().collect()
        };
        let all = until("all rights to be used", scenario.patience, async || {
            unused().is_empty().then_some(())
        });
        assert!(all.await.is_ok(), "never used: take these rights away: {:?}", unused());
        let (asked, forbidden) = asked(scenario.cluster());
        assert!(forbidden.is_empty(), "asked for without a right: {forbidden:?}");
        let beyond: Vec<&Right> = asked.difference(&shipped).collect();
        assert!(beyond.is_empty(), "allowed by another role: {beyond:?}");
        drop(second);
    });
}

// === one namespace

/// A controller for the scenario's namespace alone, by `config/namespaced`, without `without`.
async fn confined(scenario: &Scenario, without: &[(&str, &str)]) -> Controller {
    let cluster = scenario.cluster();
    let account = cluster.account(&scenario.namespace, "sluice").await;
    let mut manifests = documents("namespaced/role.yaml");
    manifests.extend(documents("namespaced/cluster-templates.yaml"));
    manifests.retain(|object| object["kind"] != "ServiceAccount");
    for object in &mut manifests {
        if object["kind"].as_str().is_some_and(|kind| kind.starts_with("Cluster")) {
            // As `nameSuffix` does it for a second namespace.
            object["metadata"]["name"] = json!(format!("sluice-{}", scenario.namespace));
        }
        if object["roleRef"]["kind"] == "ClusterRole" {
            object["roleRef"]["name"] = object["metadata"]["name"].clone();
        }
        if let Some(subject) = object.pointer_mut("/subjects/0/namespace") {
            *subject = json!(scenario.namespace);
        }
        for rule in object["rules"].as_array_mut().into_iter().flatten() {
            for (verb, resource) in without {
                let has = rule["resources"].as_array().unwrap().contains(&json!(resource));
                if let (true, Some(verbs)) = (has, rule["verbs"].as_array_mut()) {
                    verbs.retain(|one| one != verb);
                }
            }
        }
        let verbs = |rule: &Value| rule["verbs"].as_array().is_some_and(|verbs| !verbs.is_empty());
        if let Some(rules) = object.get_mut("rules").and_then(Value::as_array_mut) {
            rules.retain(verbs);
        }
    }
    let manifests: Vec<String> = manifests.iter().map(Value::to_string).collect();
    scenario.user.apply(&manifests.join("\n")).await;
    let flags = ["--namespace", &scenario.namespace];
    let options = Options {
        name: format!("{}-confined", scenario.namespace),
        instance: scenario.namespace.clone(),
        flags: flags.map(str::to_owned).to_vec(),
        account: Some(account),
    };
    Controller::spawn(cluster, &options).await
}

#[test]
fn a_controller_of_one_namespace_touches_no_other() {
    scenario("confined", async |scenario| {
        let controller = confined(scenario, &[]).await;
        let app = App::new("web", "[{setWeight: 20}, {pause: {}}]").instance("confined");
        scenario.deploy(&app).await;
        scenario.release(&app, "app:v2").await;
        scenario.until_paused_at("web", 2).await;
        scenario.user.sluice("promote web").await.expect("promote");
        scenario.until_released("web").await;

        let elsewhere = "[{name: web, namespace: gateways}]";
        let field = "/strategy/canary/traffic/istio/virtualServices";
        let app = App::new("far", "[{setWeight: 20}]").instance("confined").set(field, elsewhere);
        scenario.user.apply(&app.manifests()).await;
        let refused =
            scenario.until_status("far", "a refusal", |status| status["phase"] == "Degraded");
        let refused = refused.await;
        let message = refused["message"].as_str().unwrap();
        assert!(message.contains("this controller serves namespace confined alone"), "{message}");

        let user = "system:serviceaccount:confined:sluice";
        let calls = audit::requests(&scenario.cluster().audit_log);
        let ours: Vec<_> = calls.iter().filter(|call| call.user() == user).collect();
        assert!(ours.len() > 20, "its calls are in the log");
        for call in ours {
            let (namespace, _) = call.object();
            let resource = call.resource();
            let here = namespace == "confined"
                || resource == "clusteranalysistemplates"
                || resource.is_empty();
            assert!(here && !call.is_forbidden(), "{call:?}");
        }
        drop(controller);
    });
}

/// What is said when one right is missing, and where.
struct Missing {
    right: (&'static str, &'static str),
    steps: &'static str,
    said: &'static str,
    place: Place,
}

enum Place {
    /// In the message of the Rollout.
    Message,
    /// In the log: the message cannot be written, or a release goes on without.
    Log,
}

const PLAIN: &str = "[{setWeight: 20}, {pause: {duration: 1s}}]";
const JOB: &str = "[{job: {spec: {template: {spec: {containers: [{name: t, image: t}]}}}}}]";
const SECRET: &str = "[{analysis: {metrics: [{name: up, consecutiveErrorLimit: 0, successCondition: 'true', \
    provider: {prometheus: {address: 'http://127.0.0.1:1', query: up, \
    authentication: {bearer: {name: token, key: token}}}}}]}}]";

const MISSING: [Missing; 11] = [
    Missing {
        right: ("update", "rollouts/finalizers"),
        steps: PLAIN,
        said: "may not update rollouts/finalizers",
        place: Place::Message,
    },
    Missing {
        right: ("update", "analysisruns/finalizers"),
        steps: JOB,
        said: "may not update rollouts/finalizers",
        place: Place::Message,
    },
    Missing {
        right: ("create", "replicasets"),
        steps: PLAIN,
        said: "may not create replicasets of apps in namespace",
        place: Place::Message,
    },
    Missing {
        right: ("patch", "services"),
        steps: PLAIN,
        said: "may not patch services in namespace",
        place: Place::Message,
    },
    Missing {
        right: ("patch", "virtualservices"),
        steps: PLAIN,
        said: "may not patch virtualservices of networking.istio.io in namespace",
        place: Place::Message,
    },
    Missing {
        right: ("create", "analysisruns"),
        steps: JOB,
        said: "may not create analysisruns of sluice.dev in namespace",
        place: Place::Message,
    },
    Missing {
        right: ("create", "jobs"),
        steps: JOB,
        said: "may not create jobs of batch in namespace",
        place: Place::Message,
    },
    Missing {
        right: ("get", "secrets"),
        steps: SECRET,
        said: "may not get secrets in namespace",
        place: Place::Message,
    },
    Missing {
        right: ("patch", "rollouts/status"),
        steps: PLAIN,
        said: "may not patch rollouts/status of sluice.dev in namespace",
        place: Place::Log,
    },
    Missing {
        right: ("create", "events"),
        steps: PLAIN,
        said: "may not create events of events.k8s.io in namespace",
        place: Place::Log,
    },
    Missing {
        right: ("list", "pods"),
        steps: PLAIN,
        said: "may not list pods in namespace",
        place: Place::Log,
    },
];

async fn without(missing: &Missing) {
    let (verb, resource) = missing.right;
    let name = format!("no-{verb}-{}", resource.replace('/', "-"));
    let scenario = Scenario::open(&name).await;
    let told = scenario.told(&name, async |scenario| {
        let controller = confined(scenario, &[missing.right]).await;
        let app = App::new("web", missing.steps).instance(&name);
        scenario.user.apply(&app.manifests()).await;
        if matches!(missing.place, Place::Log) {
            scenario
                .poll(missing.said, async || {
                    controller.logged().contains(missing.said).then_some(())
                })
                .await;
            return;
        }
        // The first deployment needs no steps; what it lacks a release lacks too.
        let first = scenario.until_status("web", "an end or a refusal", |status| {
            status["phase"] == "Healthy" || status["message"].to_string().contains("may not")
        });
        if first.await["phase"] == "Healthy" {
            scenario.user.apply(&app.clone().image("app:v2").rollout()).await;
        }
        let told = scenario.until_status("web", missing.said, |status| {
            status["message"].to_string().contains(missing.said)
        });
        let message = told.await["message"].to_string();
        assert!(message.contains("grant it this verb, as config/rbac/"), "{message}");
    });
    if let Err(panic) = told.await {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn a_right_that_is_missing_is_named_with_the_place_to_grant_it() {
    crate::scenario::on_runtime(async {
        join_all(MISSING.iter().map(without)).await;
    });
}
