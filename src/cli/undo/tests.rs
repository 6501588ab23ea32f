//! `undo` against the simulated cluster: what it writes is what the controller then releases.

use clap::Parser;
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::{
    cli::{args::Cli, fixtures::now, plugin, session::Terminal},
    sim::{actors, api::resource, mesh, simulation::Simulation},
};

/// A workload without a mesh, whose pods carry the metadata of their role and keep apart.
fn rollout() -> Value {
    json!({
        "apiVersion": "sluice.dev/v1alpha1", "kind": "Rollout", "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template("web:1"),
            "strategy": {"canary": {
                "stableMetadata": {"labels": {"role": "stable"}},
                "canaryMetadata": {"annotations": {"role": "canary"}},
                "antiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": {"weight": 1}},
                "steps": [{"setWeight": 50}, {"pause": {}}],
            }},
        },
    })
}

fn template(image: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": "web"}, "annotations": {"team": "shop"}},
        "spec": {"containers": [{"name": "web", "image": image}]},
    })
}

struct Cluster(Simulation);

impl Cluster {
    async fn with(objects: &[Value]) -> Self {
        let mut simulation =
            Simulation::new(actors::Settings::default(), mesh::Settings::default());
        for object in objects {
            let kind = resource::named(object["kind"].as_str().unwrap()).unwrap();
            simulation.apply("kubectl", kind, "default", object).unwrap();
        }
        simulation.start_controller().await;
        let mut cluster = Self(simulation);
        cluster.wait().await;
        cluster
    }

    async fn wait(&mut self) {
        let later = self.0.now() + SignedDuration::from_secs(60);
        self.0.run_until(later).await;
    }

    fn get(&self, kind: &str, name: &str) -> Value {
        let kind = resource::named(kind).unwrap();
        (**self.0.store().get(kind, "default", name).unwrap()).clone()
    }

    fn status(&self) -> Value {
        self.get("Rollout", "web")["status"].clone()
    }

    /// Somebody sets the image, and promotes what comes of it.
    async fn release(&mut self, kind: &str, image: &str) {
        let object = resource::named(kind).unwrap();
        let set = |object: &mut Value| {
            object["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
        };
        self.0.edit("kubectl", object, "default", "web", set).unwrap();
        self.wait().await;
        self.run("promote web --no-wait").await.0.unwrap();
        self.wait().await;
    }

    async fn run(&mut self, line: &str) -> (Result<Exit, Failure>, String) {
        let clock: fn() -> Timestamp = now;
        let mut out = Vec::new();
        let mut session = Session {
            client: self.0.client(),
            namespace: "default".into(),
            user: "ann".into(),
            clock,
            terminal: Terminal::default(),
            out: &mut out,
        };
        let cli = Cli::try_parse_from(format!("x {line}").split(' ')).unwrap();
        let result = plugin::dispatch(&mut session, &cli.verb).await;
        self.wait().await;
        (result, String::from_utf8(out).unwrap())
    }
}

#[tokio::test]
async fn the_old_template_comes_back_as_it_was_written() {
    let mut cluster = Cluster::with(&[rollout()]).await;
    let first = cluster.status()["stableRevision"].clone();
    cluster.release("Rollout", "web:2").await;
    let second = cluster.status()["stableRevision"].clone();
    assert_ne!(first, second, "{}", cluster.status());

    let (result, said) = cluster.run("undo web --no-wait").await;
    assert_eq!(result, Ok(Exit::Done));
    assert_eq!(said, "web: undo: Rollout web has the pod template of revision 1 (web:1) again\n");
    let spec = &cluster.get("Rollout", "web")["spec"]["template"];
    assert_eq!(spec["metadata"], template("web:1")["metadata"]);
    assert_eq!(spec["spec"].get("affinity"), None);
    let status = cluster.status();
    assert_eq!((&status["currentRevision"], &status["stableRevision"]), (&first, &second));
    assert_eq!(status["phase"], "Paused", "a release with its steps: {status}");

    let (result, said) = cluster.run("undo web --to-revision 1 --no-wait").await;
    assert_eq!(result, Ok(Exit::Done));
    assert!(
        said.contains("nothing to do: Rollout web has the pod template of revision 1"),
        "{said}"
    );

    // The stable one was made beside another revision, from which its pods keep apart.
    let (result, said) = cluster.run("undo web --no-wait").await;
    assert_eq!(result, Ok(Exit::Done));
    assert!(said.contains("revision 2 (web:2)"), "{said}");
    let status = cluster.status();
    assert_eq!((&status["currentRevision"], &status["phase"]), (&second, &json!("Healthy")));
}

#[tokio::test]
async fn with_a_workload_its_template_is_written() {
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template("web:1"),
        },
    });
    let mut owner = rollout();
    let spec = owner["spec"].as_object_mut().unwrap();
    spec.remove("template");
    spec.remove("selector");
    spec.insert(
        "workloadRef".into(),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}),
    );
    let mut cluster = Cluster::with(&[deployment, owner]).await;
    let first = cluster.status()["stableRevision"].clone();
    cluster.release("Deployment", "web:2").await;
    assert_ne!(cluster.status()["stableRevision"], first, "{}", cluster.status());

    let (result, said) = cluster.run("undo web --no-wait").await;
    assert_eq!(result, Ok(Exit::Done));
    assert!(said.starts_with("web: undo: Deployment web has the pod template of"), "{said}");
    let spec = &cluster.get("Deployment", "web")["spec"];
    assert_eq!(spec["template"]["metadata"], template("web:1")["metadata"]);
    assert_eq!(spec["replicas"], 0, "its own pods do not come back");
    assert!(cluster.get("Rollout", "web")["spec"].get("template").is_none());
    assert_eq!(cluster.status()["currentRevision"], first);
}

#[tokio::test]
async fn a_refusal_writes_nothing() {
    let mut cluster = Cluster::with(&[rollout()]).await;
    for (line, part) in [
        ("undo web --no-wait", "no revision was stable before the present one"),
        (
            "undo web --to-revision 7 --no-wait",
            "there is no revision 7; those that are kept: 1 (web:1, stable)",
        ),
    ] {
        let failure = cluster.run(line).await.0.unwrap_err();
        assert_eq!(failure.exit, Exit::Failed);
        assert!(failure.text.starts_with("web: ") && failure.text.contains(part), "{failure}");
    }
    cluster.release("Rollout", "web:2").await;
    let set = resource::named("ReplicaSet").unwrap();
    let first = cluster.get("Rollout", "web")["status"]["history"][1]["revision"].clone();
    let name = format!("web-{}", first.as_str().unwrap());
    let edit =
        |set: &mut Value| set["metadata"]["annotations"][FINGERPRINT_ANNOTATION] = json!("v1:x");
    cluster.0.edit("kubectl", set, "default", &name, edit).unwrap();
    let failure = cluster.run("undo web --no-wait").await.0.unwrap_err();
    assert!(failure.text.contains("cannot be told from what was added"), "{failure}");
    let template = &cluster.get("Rollout", "web")["spec"]["template"];
    assert_eq!(template["spec"]["containers"][0]["image"], "web:2");
}
