//! The VirtualServices that users had before Sluice, unchanged, under real traffic.

use serde_json::{Value, json};

use crate::{
    load::{Entry, Outcome},
    stage::{Stage, play},
    support::package,
    tally::Tally,
};

/// The objects of one seed.
struct Seed {
    folder: &'static str,
    rollout: &'static str,
    route: &'static str,
    gateway: &'static str,
    image: &'static str,
}

impl Seed {
    fn given(&self, file: &str) -> Value {
        read(&format!("tests/seeds/{}/{file}", self.folder))
    }

    /// The Rollout with the Deployment's pods, with another image. Its pods are asked for readiness
    /// at once, so that the test need not wait, and at the port to which the Service leads.
    fn rollout(&self, stage: &Stage, version: &str) -> String {
        let mut rollout = read(&format!("tests/e2e/seeds/{}/rollout.yaml", self.folder));
        rollout["metadata"]["labels"]["sluice.dev/instance"] = json!(stage.namespace);
        let pod = &mut rollout["spec"]["template"]["spec"];
        let container = &mut pod["containers"][0];
        container["image"] = json!(format!("{}:{version}", self.image));
        if container["ports"].is_null() {
            container["ports"] = json!([{"containerPort": 8090}]);
        }
        for probe in ["readinessProbe", "livenessProbe"] {
            if !container[probe].is_null() {
                container[probe]["initialDelaySeconds"] = json!(0);
            }
        }
        rollout.to_string()
    }

    /// What the seed has, the gateway as one without certificates, and the first version.
    async fn open(&self, stage: &Stage, hosts: &[&str]) {
        let needed = package().join(format!("tests/e2e/seeds/{}/needed.yaml", self.folder));
        let apply = format!("apply -f {}", needed.display());
        stage.user.kubectl(&apply, "").await.expect("what the seed has elsewhere");
        let gateway = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "Gateway",
            "metadata": {"name": self.gateway},
            "spec": {
                "selector": {"app": "gateway"},
                "servers": [{
                    "port": {"number": 80, "name": "http", "protocol": "HTTP"},
                    "bind": "127.0.0.10",
                    "hosts": hosts,
                }],
            },
        });
        stage.user.apply(&gateway.to_string()).await;
        if package().join(format!("tests/seeds/{}/destination-rule.yaml", self.folder)).exists() {
            // It has a field that Istio does not know; kubectl of that time let it pass.
            let rule = self.given("destination-rule.yaml").to_string();
            let apply = "apply --validate=false -f -";
            stage.user.kubectl(apply, &rule).await.expect("the seed's DestinationRule");
        }
        stage.user.apply(&self.given("virtual-service.yaml").to_string()).await;
        stage.user.apply(&self.rollout(stage, "v1")).await;
        stage.until_released(self.rollout).await;
    }

    async fn release(&self, stage: &Stage, version: &str) {
        stage.user.apply(&self.rollout(stage, version)).await;
        stage.until_released(self.rollout).await;
        stage.until_alone(self.rollout).await;
        stage.until_answered(300).await;
    }

    /// All but the weights is as the team wrote it.
    fn check_routes(&self, stage: &Stage) {
        let strip = |mut service: Value| {
            for route in service["spec"]["http"].as_array_mut().into_iter().flatten() {
                for destination in route["route"].as_array_mut().into_iter().flatten() {
                    destination.as_object_mut().map(|fields| fields.remove("weight"));
                }
            }
            service["spec"].take()
        };
        let now = stage.seen().get("VirtualService", self.route).clone();
        assert_eq!(strip(now), strip(self.given("virtual-service.yaml")));
    }
}

fn read(path: &str) -> Value {
    let text =
        std::fs::read_to_string(package().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    serde_yaml::from_str(&text).expect("YAML")
}

#[test]
fn the_header_route_of_brownbear_leads_to_the_canary_and_nothing_is_lost() {
    play("brownbear-production", async |stage| {
        let seed = Seed {
            folder: "brownbear-web",
            rollout: "brownbear-web",
            route: "brownbear-web",
            gateway: "brownbear-gateway",
            image: "brownbear/web",
        };
        let host = "brownbear.example.com";
        seed.open(stage, &[host]).await;
        let testers = Entry { name: "testers", ..Entry::gateway(host, 40) };
        let entries = [
            Entry::gateway(host, 100),
            Entry::gateway(host, 40).anew(),
            testers.header("canary", "true"),
        ];
        stage.come_by(&entries).await;
        seed.release(stage, "v2").await;
        seed.check_routes(stage);
        let closed =
            stage.close("seed 001: brownbear-web, its header route beside the split").await;
        // With the first canary pod the testers' requests move, all at once.
        let met: Vec<&str> = closed
            .samples
            .iter()
            .filter(|sample| sample.entry == "testers")
            .filter_map(|sample| match &sample.outcome {
                Outcome::Served(version) => Some(version.as_str()),
                _ => None,
            })
            .collect();
        let first = met.iter().position(|version| *version == "v2").expect("testers met v2");
        let later = met.iter().skip(first + 40).filter(|version| **version == "v1").count();
        assert_eq!(later, 0, "testers met the old version again");
        closed.lost_at_most(0, "testers meet the canary before all others");
    });
}

#[test]
fn the_injected_fault_of_planner_stays_and_nothing_is_lost() {
    play("production", async |stage| {
        let seed = Seed {
            folder: "planner-mcp-server",
            rollout: "planner-mcp-server",
            route: "planner-virtual-service",
            gateway: "planner-gateway",
            image: "ghcr.io/intelligent-teams-planner/mcp-server",
        };
        let host = "planner.example.com";
        seed.open(stage, &[host]).await;
        let entries = [
            Entry::gateway(host, 160).path("api/plan"),
            Entry::gateway(host, 60).anew().path("api/plan"),
        ];
        stage.come_by(&entries).await;
        seed.release(stage, "v2").await;
        // One request of a thousand takes five seconds: enough of them to see it after, too.
        stage.until_answered(6000).await;
        seed.check_routes(stage);
        let closed =
            stage.close("seed 000: planner-mcp-server, one request of 1,000 delayed").await;
        let slow = closed.samples.iter().filter(|sample| {
            sample.ended.duration_since(sample.began) >= std::time::Duration::from_secs(5)
        });
        let slow = slow.count();
        assert!(slow > 0, "the injected delay was never met");
        closed.lost_at_most(0, &format!("{slow} were delayed by 5 s"));
    });
}

#[test]
fn an_agent_behind_an_earlier_route_of_progressive_meets_no_users() {
    play("progressive-framework-prod", async |stage| {
        let seed = Seed {
            folder: "npa-service",
            rollout: "npa-deployment",
            route: "progressive-virtualservice",
            gateway: "progressive-gateway",
            image: "progressive-agents",
        };
        // The main application, to which the routes before and after the agents' lead.
        let labels = json!({"app": "progressive"});
        let container = json!({
            "name": "main", "image": "progressive:main", "ports": [{"containerPort": 8000}],
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8000}},
        });
        let main = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "progressive"},
            "spec": {
                "replicas": 1, "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        });
        let service = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "progressive-framework-v5-service"},
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8000}]},
        });
        stage.user.apply(&crate::shop::list(&[main, service])).await;
        seed.open(stage, &["your-domain.com", "api.your-domain.com"]).await;
        let host = "api.your-domain.com";
        let entries =
            [Entry::gateway(host, 60), Entry::gateway(host, 60).path("api/v1/agents/npa/plan")];
        stage.come_by(&entries).await;
        seed.release(stage, "v2").await;
        seed.check_routes(stage);
        let closed = stage.close("seed 003: npa-service, behind the earlier route `/api/v1`").await;
        let met: Vec<String> = Tally::of(&closed.samples).versions.into_keys().collect();
        assert_eq!(met, ["main"], "the route /api/v1 before the agent's takes its requests");
        closed.lost_at_most(0, "the agent's route is never reached, as the seed has it");
    });
}
