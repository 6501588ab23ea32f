//! What the controller does with the API server's answers.

use std::sync::Arc;

use serde_json::json;

use super::{actors, mesh, simulation::Simulation};
use crate::{
    api::Rollout,
    apply::{Applier, Error, Fence},
    observe::Caches,
    plan::{Action, Write},
    sim::api::resource,
    world::{self, World},
};

struct Open;

impl Fence for Open {
    fn is_open(&self) -> bool {
        true
    }
}

fn world() -> World {
    let rollout: Rollout = serde_json::from_value(json!({
        "apiVersion": "sluice.dev/v1alpha1", "kind": "Rollout", "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}},
            "strategy": {"canary": {"traffic": {"istio": {"virtualServices": [{"name": "web"}]}}}},
        },
    }))
    .unwrap();
    let rollout = world::Rollout {
        namespace: "default".into(),
        name: "web".into(),
        uid: "uid".into(),
        resource_version: "1".into(),
        generation: 1,
        deleting: false,
        finalizers: Vec::new(),
        spec: Arc::new(rollout.spec),
        status: Arc::default(),
        since: jiff::Timestamp::UNIX_EPOCH,
        command: None,
        object: Arc::default(),
    };
    World::of(rollout, jiff::Timestamp::UNIX_EPOCH)
}

/// The API server's words for it are recorded in `tests/conformance`: they must not be taken for an
/// object that a person has to mend.
#[tokio::test]
async fn a_write_planned_from_an_old_state_is_a_conflict_and_no_refusal() {
    let mut simulation = Simulation::new(actors::Settings::default(), mesh::Settings::default());
    let template = json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "web:1"}]},
    });
    let set = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web-a"},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": template},
    });
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web", "sluice.dev/revision": "b"}, "ports": [{"port": 80}]},
    });
    simulation.apply("kubectl", &resource::REPLICA_SET, "default", &set).unwrap();
    simulation.apply("kubectl", &resource::SERVICE, "default", &service).unwrap();
    let uid = {
        let store = simulation.store();
        let set = store.get(&resource::REPLICA_SET, "default", "web-a").unwrap();
        set["metadata"]["uid"].as_str().unwrap().to_owned()
    };
    let stale = [
        Write::Scale { name: "web-a".into(), uid: uid.clone(), from: 2, to: 5 },
        Write::Scale { name: "web-a".into(), uid: "another".into(), from: 3, to: 5 },
        Write::AdoptReplicaSet { name: "web-a".into(), uid: "another".into() },
        Write::SelectRevision {
            service: "web".into(),
            from: Some("a".into()),
            to: Some("c".into()),
        },
    ];
    let (client, caches) = (simulation.client(), Caches::default());
    let applier = Applier {
        client: &client,
        caches: &caches,
        fence: &Open,
        istio_version: "v1",
        now: &|| jiff::Timestamp::UNIX_EPOCH,
        journal: None,
    };
    for write in stale {
        let action = Action { write: write.clone(), why: "test".into() };
        let (_, error) = applier.run(&world(), &[action]).await.unwrap_err();
        assert!(matches!(error, Error::Conflict { .. }), "{write:?}: {error}");
    }
}
