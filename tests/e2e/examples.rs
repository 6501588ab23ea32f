//! The examples' files on the real control plane: a Deployment that serves is adopted, released and
//! aborted, and all that is not ours stays as its team wrote it.

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::{Value, json};
use sluice::{
    cli::manifests,
    sim::{api::http::selector, scenario::expect::Objects as _},
};

use crate::{
    scenario::{Scenario, scenario},
    support::package,
    support::recorder::Seen,
};

/// Kinds that this control plane does not serve.
const NOT_SERVED: [&str; 1] = ["VerticalPodAutoscaler"];

/// An example's Rollout.
struct Example {
    folder: &'static str,
    /// The namespace that its files name.
    namespace: &'static str,
    rollout: &'static str,
    deployment: &'static str,
    /// The fewest pods that serve at any time.
    fewest: usize,
}

type Objects = BTreeMap<(String, String), Value>;

fn key(object: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&object["kind"]), text(&object["metadata"]["name"]))
}

/// The objects as `sluice simulate` reads them.
fn read(folder: &str) -> Objects {
    let sources = manifests::sources(&[PathBuf::from(folder)]).expect("the example can be read");
    let texts: Vec<String> = sources.into_iter().map(|source| source.text).collect();
    let all: Vec<Value> = serde_yaml::from_multiple(&texts.join("\n---\n")).expect("YAML");
    all.into_iter().map(|object| (key(&object), object)).collect()
}

/// The objects as kubectl builds them.
async fn built(scenario: &Scenario, folder: &str) -> Objects {
    let folder = package().join(folder);
    let line = format!("kustomize {}", folder.display());
    let text = scenario.user.kubectl(&line, "").await.expect("kubectl kustomize");
    let all: Vec<Value> = serde_yaml::from_multiple(&text).expect("YAML");
    all.into_iter().map(|object| (key(&object), object)).collect()
}

/// The same Rollout without analysis, and with short delays: whoever promotes here is the test.
fn hastened(rollout: &Value) -> Value {
    let mut rollout = rollout.clone();
    let strategy = rollout["spec"]["strategy"].as_object_mut().expect("a strategy");
    for (kind, fields) in strategy {
        let fields = fields.as_object_mut().expect("its fields");
        for analysis in ["analysis", "prePromotionAnalysis", "postPromotionAnalysis"] {
            fields.remove(analysis);
        }
        if kind != "rolling" {
            fields.insert("scaleDownDelay".to_owned(), json!("1s"));
            fields.insert("abortScaleDownDelay".to_owned(), json!("1s"));
        }
        if kind == "blueGreen" {
            fields.insert("autoPromotionEnabled".to_owned(), json!(false));
        }
        if let Some(istio) = fields.get_mut("traffic").and_then(|traffic| traffic.get_mut("istio"))
        {
            istio["propagationDelay"] = json!("200ms");
        }
        for step in fields.get_mut("steps").and_then(Value::as_array_mut).into_iter().flatten() {
            if !step["pause"].is_null() {
                *step = json!({"pause": {}});
            }
        }
    }
    rollout
}

/// An object without what the API server and its controllers write, and without what Sluice may.
fn theirs(object: &Value) -> Value {
    let mut object = object.clone();
    let fields = object.as_object_mut().expect("an object");
    fields.remove("status");
    let metadata = fields["metadata"].as_object_mut().expect("metadata");
    metadata.retain(|field, _| matches!(field.as_str(), "name" | "namespace" | "labels"));
    let kind = object["kind"].as_str().unwrap_or_default().to_owned();
    match kind.as_str() {
        "Service" => {
            if let Some(selector) = object["spec"]["selector"].as_object_mut() {
                selector.remove("sluice.dev/revision");
            }
        }
        "VirtualService" => {
            for route in object["spec"]["http"].as_array_mut().into_iter().flatten() {
                let ends = route["route"].as_array_mut().into_iter().flatten();
                let ends: Vec<_> = ends.collect();
                if ends.len() > 1 {
                    for end in ends {
                        end.as_object_mut().expect("an end").remove("weight");
                    }
                }
            }
        }
        "DestinationRule" => {
            for subset in object["spec"]["subsets"].as_array_mut().into_iter().flatten() {
                subset["labels"].as_object_mut().expect("labels").clear();
            }
        }
        _ => {}
    }
    object
}

fn without(object: &mut Value, pointer: &str) {
    let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
    if let Some(parent) = object.pointer_mut(parent).and_then(Value::as_object_mut) {
        parent.remove(field);
    }
}

impl Example {
    async fn play(&self, scenario: &Scenario) {
        let objects = built(scenario, self.folder).await;
        assert_eq!(objects, read(self.folder), "`simulate` reads what kubectl builds");
        let (rollouts, others): (Vec<&Value>, Vec<&Value>) = objects
            .values()
            .filter(|object| NOT_SERVED.iter().all(|kind| object["kind"] != **kind))
            .filter(|object| object["kind"] != "Namespace")
            .partition(|object| object["kind"] == "Rollout");
        self.apply(scenario, &others).await;
        self.until_deployed(scenario).await;
        let before = self.present(scenario, &others).await;

        let ours: Vec<Value> = rollouts.iter().map(|rollout| hastened(rollout)).collect();
        scenario.seen().mark();
        self.apply(scenario, &ours.iter().collect::<Vec<_>>()).await;
        self.until_stable(scenario, "").await;
        let adopted: Vec<&Value> =
            rollouts.iter().map(|rollout| &rollout["spec"]["workloadRef"]["name"]).collect();
        for name in &adopted {
            until_handed_over(scenario, name.as_str().unwrap_or_default()).await;
        }
        self.check_pods(scenario, "the adoption");

        scenario.seen().mark();
        let first = self.revision(scenario);
        self.set_image(scenario, "example/app:v2").await;
        self.until_stable(scenario, &first).await;
        self.check_pods(scenario, "the release");

        scenario.seen().mark();
        let second = self.revision(scenario);
        self.set_image(scenario, "example/app:v3-never-ready").await;
        self.until_under_way(scenario, &second).await;
        let line = format!("abort {} --reason tried", self.rollout);
        scenario.user.sluice(&line).await.expect("abort");
        let aborted = scenario
            .until_status(self.rollout, "the rollback", |status| {
                status["phase"] == "Degraded"
                    && !status["abort"].is_null()
                    && status["updatedReplicas"] == 0
            })
            .await;
        assert_eq!(aborted["stableRevision"], *second);
        self.check_pods(scenario, "the abort");

        let after = self.present(scenario, &others).await;
        check_theirs(&before, &after, &adopted);

        // The team takes the bad image back, and then its Deployment.
        self.set_image(scenario, "example/app:v2").await;
        let healthy =
            |status: &Value| status["phase"] == "Healthy" && status["currentRevision"] == *second;
        scenario.until_status(self.rollout, "the way back", healthy).await;
        scenario.seen().mark();
        let line = format!("delete rollout {} --timeout=80s", self.rollout);
        scenario.user.kubectl(&line, "").await.expect("delete");
        self.check_pods(scenario, "the hand-back");
        let after = self.present(scenario, &others).await;
        let own = key(&json!({"kind": "Deployment", "metadata": {"name": self.deployment}}));
        let size = |objects: &Objects| objects[&own]["spec"]["replicas"].clone();
        assert_eq!(size(&after), size(&before), "the Deployment has its size again");
    }

    /// Pods are counted with those of the Deployment.
    fn check_pods(&self, scenario: &Scenario, when: &str) {
        let seen = scenario.seen();
        let labels = &seen.get("Deployment", self.deployment)["spec"]["selector"];
        let fewest = seen.fewest_ready(&selector::of_object(labels));
        assert!(fewest >= self.fewest, "{when}: {fewest} pods served, wanted {}", self.fewest);
    }

    async fn apply(&self, scenario: &Scenario, objects: &[&Value]) {
        let line = "apply --validate=false -f -";
        let list = self.list(scenario, objects);
        scenario.user.kubectl(line, &list).await.expect("the objects are accepted");
    }

    /// One List of objects, in the namespace of this test.
    fn list(&self, scenario: &Scenario, objects: &[&Value]) -> String {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
        let named = |namespace: &str| format!("\"namespace\":\"{namespace}\"");
        list.replace(&named(self.namespace), &named(&scenario.namespace))
    }

    async fn until_deployed(&self, scenario: &Scenario) {
        let serves = |seen: &Seen| {
            let found = seen.get("Deployment", self.deployment);
            let (wanted, have) =
                (&found["spec"]["replicas"], &found["status"]["availableReplicas"]);
            (!found.is_null() && wanted == have).then_some(())
        };
        scenario.until("the Deployment to serve", serves).await;
    }

    fn revision(&self, scenario: &Scenario) -> String {
        let seen = scenario.seen();
        let revision = &seen.get("Rollout", self.rollout)["status"]["stableRevision"];
        revision.as_str().unwrap_or_default().to_owned()
    }

    async fn set_image(&self, scenario: &Scenario, image: &str) {
        let container = format!("set image deployment/{} *={image}", self.deployment);
        scenario.user.kubectl(&container, "").await.expect("set image");
    }

    /// Promotes each pause until another revision than `before` is stable.
    async fn until_stable(&self, scenario: &Scenario, before: &str) {
        loop {
            let status = scenario
                .until_status(self.rollout, "the next pause, or the end", |status| {
                    let at_end = status["phase"] == "Healthy"
                        && status["stableRevision"] == status["currentRevision"]
                        && status["stableRevision"] != *before;
                    at_end || (status["phase"] == "Paused" && !status["pauses"].is_null())
                })
                .await;
            if status["phase"] == "Healthy" {
                assert_eq!(status["history"][0]["outcome"], "Promoted");
                return;
            }
            let step = status["step"]["index"].clone();
            let promoted = scenario.user.sluice(&format!("promote {}", self.rollout)).await;
            promoted.expect("promote");
            let went_on = |now: &Value| now["phase"] != "Paused" || now["step"]["index"] != step;
            scenario.until_status(self.rollout, "the next step", went_on).await;
        }
    }

    async fn until_under_way(&self, scenario: &Scenario, stable: &str) {
        let is = |status: &Value| {
            status["currentRevision"] != *stable
                && status["stableRevision"] == *stable
                && status["phase"] == "Progressing"
        };
        scenario.until_status(self.rollout, "the bad release", is).await;
    }

    /// The objects as they are in the cluster.
    async fn present(&self, scenario: &Scenario, objects: &[&Value]) -> Objects {
        let list = self.list(scenario, objects);
        let found = scenario.user.kubectl("get -o json -f -", &list).await;
        let found: Value = serde_json::from_str(&found.expect("get")).expect("JSON");
        let items = found["items"].as_array().expect("a list").iter();
        items.map(|object| (key(object), object.clone())).collect()
    }
}

/// The Deployment has no pods any more.
async fn until_handed_over(scenario: &Scenario, deployment: &str) {
    let look = |seen: &Seen| {
        let found = seen.get("Deployment", deployment);
        (found["spec"]["replicas"] == 0 && found["status"]["replicas"].as_i64().unwrap_or(0) == 0)
            .then_some(())
    };
    scenario.until("the Deployment to make way", look).await;
}

/// What its team wrote is there as it was; an adopted Deployment has given away its pods.
fn check_theirs(before: &Objects, after: &Objects, adopted: &[&Value]) {
    assert!(!before.is_empty());
    for (key, before) in before {
        let mut pair = [theirs(before), theirs(&after[key])];
        if key.0 == "Deployment" && adopted.iter().any(|name| **name == *key.1) {
            assert_eq!(pair[1]["spec"]["replicas"], 0, "{key:?} has pods of its own");
            // The size was taken over, and the team has edited the template.
            for object in &mut pair {
                without(object, "/spec/template");
                without(object, "/spec/replicas");
            }
        }
        assert_eq!(pair[0], pair[1], "{key:?} is otherwise than its team wrote it");
    }
}

#[test]
fn the_planner_is_adopted_released_and_aborted() {
    let example = Example {
        folder: "examples/planner-mcp-server",
        namespace: "production",
        rollout: "planner-mcp-server",
        deployment: "planner-mcp-server",
        fewest: 3,
    };
    scenario("example-planner", async |scenario| example.play(scenario).await);
}

#[test]
fn brownbear_web_is_a_canary_by_subsets() {
    let example = Example {
        folder: "examples/brownbear-web/canary",
        namespace: "brownbear-production",
        rollout: "brownbear-web",
        deployment: "brownbear-web",
        fewest: 6,
    };
    scenario("example-brownbear-canary", async |scenario| example.play(scenario).await);
}

#[test]
fn brownbear_web_is_switched_by_its_routes() {
    let example = Example {
        folder: "examples/brownbear-web/blue-green",
        namespace: "brownbear-production",
        rollout: "brownbear-web",
        deployment: "brownbear-web",
        fewest: 6,
    };
    scenario("example-brownbear-colours", async |scenario| example.play(scenario).await);
}

#[test]
fn brownbear_web_rolls() {
    let example = Example {
        folder: "examples/brownbear-web/rolling",
        namespace: "brownbear-production",
        rollout: "brownbear-web",
        deployment: "brownbear-web",
        fewest: 5,
    };
    scenario("example-brownbear-rolling", async |scenario| example.play(scenario).await);
}

#[test]
fn pake_is_released_in_production() {
    let example = Example {
        folder: "examples/pake-backend/overlays/production",
        namespace: "pake-system",
        rollout: "pake-backend",
        deployment: "pake-backend",
        fewest: 5,
    };
    scenario("example-pake-production", async |scenario| example.play(scenario).await);
}

#[test]
fn pake_is_released_in_staging() {
    let example = Example {
        folder: "examples/pake-backend/overlays/staging",
        namespace: "pake-system",
        rollout: "pake-backend",
        deployment: "pake-backend",
        fewest: 2,
    };
    scenario("example-pake-staging", async |scenario| example.play(scenario).await);
}

#[test]
fn pake_is_released_in_development() {
    let example = Example {
        folder: "examples/pake-backend/overlays/development",
        namespace: "pake-system",
        rollout: "pake-backend",
        deployment: "pake-backend",
        fewest: 2,
    };
    scenario("example-pake-development", async |scenario| example.play(scenario).await);
}

#[test]
fn npa_is_released_among_other_routes() {
    let example = Example {
        folder: "examples/progressive-framework",
        namespace: "progressive-framework-prod",
        rollout: "npa",
        deployment: "npa-deployment",
        fewest: 2,
    };
    scenario("example-npa", async |scenario| example.play(scenario).await);
}

#[test]
fn the_core_application_rolls_with_its_migration() {
    let example = Example {
        folder: "examples/progressive-framework",
        namespace: "progressive-framework-prod",
        rollout: "progressive-framework-v5",
        deployment: "progressive-framework-v5",
        fewest: 2,
    };
    scenario("example-core", async |scenario| example.play(scenario).await);
}

#[test]
fn vivesphere_rolls_without_a_mesh() {
    let example = Example {
        folder: "examples/vivesphere/overlays/production",
        namespace: "vivesphere",
        rollout: "authentication",
        deployment: "authentication",
        fewest: 2,
    };
    scenario("example-vivesphere", async |scenario| example.play(scenario).await);
}
