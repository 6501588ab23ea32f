//! The objects that users had before Sluice, released through it.

use serde_json::{Value, json};

use crate::{
    scenario::{Scenario, scenario_in},
    support::package,
};

/// The objects of one seed.
struct Seed {
    folder: &'static str,
    rollout: &'static str,
    route: &'static str,
}

impl Seed {
    /// A file that the seed came with.
    fn given(&self, file: &str) -> String {
        read(&format!("tests/seeds/{}/{file}", self.folder))
    }

    /// A file that Sluice needs besides.
    fn added(&self, file: &str) -> String {
        read(&format!("tests/e2e/seeds/{}/{file}", self.folder))
    }

    fn rollout(&self) -> Value {
        serde_yaml::from_str(&self.added("rollout.yaml")).unwrap()
    }

    /// The template is the Deployment's, field by field.
    fn check_template(&self) {
        let deployment: Value = serde_yaml::from_str(&self.given("deployment.yaml")).unwrap();
        let rollout = self.rollout();
        for field in ["template", "selector", "replicas"] {
            assert_eq!(rollout["spec"][field], deployment["spec"][field], "{field}");
        }
    }

    /// Releases v1 as the seed has it, then v2, and v3 as soon as v2 is stable.
    async fn release(&self, scenario: &Scenario) {
        self.check_template();
        scenario.user.apply(&self.added("needed.yaml")).await;
        scenario.user.apply(&self.given("virtual-service.yaml")).await;
        scenario.user.apply(&self.added("rollout.yaml")).await;
        scenario.until_released(self.rollout).await;
        let mut revisions = Vec::new();
        for version in ["v2", "v3"] {
            let mut rollout = self.rollout();
            let template = &mut rollout["spec"]["template"];
            let image = &mut template["spec"]["containers"][0]["image"];
            *image = json!(format!("example/app:{version}"));
            let labels = &mut template["metadata"]["labels"];
            if labels["version"].is_string() {
                labels["version"] = json!(version);
            }
            scenario.user.apply(&rollout.to_string()).await;
            let status = scenario.until_released(self.rollout).await;
            revisions.push(status["stableRevision"].clone());
        }
        assert_ne!(revisions[0], revisions[1]);
        self.check_route(scenario);
    }

    /// The VirtualService differs from what the user wrote in weights only.
    fn check_route(&self, scenario: &Scenario) {
        let given: Value = serde_yaml::from_str(&self.given("virtual-service.yaml")).unwrap();
        let now = scenario.seen().get("VirtualService", self.route).clone();
        assert_eq!(without_split(&now["spec"]), without_split(&given["spec"]));
        assert_eq!(splits(&now), [json!([100, 0])], "all traffic is on stable");
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(package().join(path)).unwrap()
}

/// A VirtualService's spec without the weights of routes that split.
fn without_split(spec: &Value) -> Value {
    let mut spec = spec.clone();
    for route in spec["http"].as_array_mut().into_iter().flatten() {
        let ends = route["route"].as_array_mut().unwrap();
        if ends.len() > 1 {
            for end in ends {
                end.as_object_mut().unwrap().remove("weight");
            }
        }
    }
    spec
}

/// The weights of routes that split.
fn splits(route: &Value) -> Vec<Value> {
    let routes = route["spec"]["http"].as_array().unwrap().iter();
    let weights = routes.map(|route| {
        let ends = route["route"].as_array().unwrap().iter();
        ends.map(|end| end["weight"].clone()).collect::<Vec<_>>()
    });
    weights.filter(|weights| weights.len() > 1).map(Value::from).collect()
}

#[test]
fn planner_mcp_server_is_released_by_two_services() {
    let seed = Seed {
        folder: "planner-mcp-server",
        rollout: "planner-mcp-server",
        route: "planner-virtual-service",
    };
    scenario_in("planner", "production", async |scenario| seed.release(scenario).await);
}

#[test]
fn npa_service_is_released_by_the_one_route_that_splits() {
    let seed = Seed {
        folder: "npa-service",
        rollout: "npa-deployment",
        route: "progressive-virtualservice",
    };
    let namespace = "progressive-framework-prod";
    scenario_in("npa", namespace, async |scenario| seed.release(scenario).await);
}

#[test]
fn brownbear_web_is_released_by_the_subsets_of_its_destination_rule() {
    let seed = Seed { folder: "brownbear-web", rollout: "brownbear-web", route: "brownbear-web" };
    scenario_in("brownbear", "brownbear-production", async |scenario| {
        // Istio's schema knows no circuitBreaker; a real cluster has lost it as well.
        let rule = seed.given("destination-rule.yaml");
        let applied = scenario.user.kubectl("apply --validate=false -f -", &rule).await;
        applied.expect("the DestinationRule");
        seed.release(scenario).await;

        let mut given: Value = serde_yaml::from_str(&rule).unwrap();
        given["spec"]["trafficPolicy"].as_object_mut().unwrap().remove("circuitBreaker");
        let now = scenario.seen().get("DestinationRule", "brownbear-web").clone();
        let stable =
            scenario.seen().get("Rollout", "brownbear-web")["status"]["stableRevision"].clone();
        for subset in given["spec"]["subsets"].as_array_mut().unwrap() {
            // The user's label follows the revision; ours is added.
            subset["labels"] = json!({"version": "v3", "sluice.dev/revision": stable});
        }
        assert_eq!(now["spec"], given["spec"]);
    });
}
