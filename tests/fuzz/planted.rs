//! Objects in etcd that no schema of today would let in, in the middle of a release, beside a
//! Rollout that is none of theirs.

use std::fs;

use proptest::prelude::*;
use serde_json::{Value, json};
use sluice::sim::{
    actors,
    api::{Resource, resource},
    mesh,
    simulation::Simulation,
};

use crate::mutation::{Mutation, mutated, mutations};

/// Where the objects are that are changed, and where those are that must not notice.
const STRANGE: &str = "strange";
const SOUND: &str = "sound";

/// Moments at which something happens within minutes, beyond which somebody is kept busy for nothing.
const MOST_MOMENTS: usize = 5_000;

/// Workloads, with a judged canary where there are routes.
const BASES: [&str; 6] =
    ["host-split", "subset-split", "blue-green", "blue-green-hosts", "rolling", "adopt-host-split"];

fn objects(base: &str) -> Vec<Value> {
    let text = fs::read_to_string(format!("tests/scenarios/bases/{base}.yaml")).unwrap();
    let template = fs::read_to_string("tests/scenarios/bases/success-rate.yaml").unwrap();
    let texts = [text, template];
    let documents = texts.iter().flat_map(|text| text.split("\n---\n"));
    let mut objects: Vec<Value> =
        documents.map(|document| serde_yaml::from_str(document).unwrap()).collect();
    for object in &mut objects {
        let canary = object.pointer_mut("/spec/strategy/canary");
        if let Some(canary) = canary {
            canary["analysis"] = json!({"templates": [{"templateName": "success-rate"}]});
        }
    }
    objects
}

fn resource_of(object: &Value) -> &'static Resource {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    resource::of_kind(text("apiVersion"), text("kind")).unwrap()
}

fn apply(simulation: &mut Simulation, namespace: &str, object: &Value) {
    let applied = simulation.apply("kubectl", resource_of(object), namespace, object);
    applied.unwrap_or_else(|refusal| panic!("{}: {object}", refusal.message));
}

fn release(simulation: &mut Simulation, namespace: &str, image: &str) {
    let deployments = simulation.store().list(&resource::DEPLOYMENT, Some(namespace)).count() > 0;
    let resource = if deployments { &resource::DEPLOYMENT } else { &resource::ROLLOUT };
    let set = |object: &mut Value| {
        object["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
    };
    simulation.edit("kubectl", resource, namespace, "web", set).unwrap();
}

async fn pass(simulation: &mut Simulation, seconds: i64) {
    let at = simulation.now() + jiff::SignedDuration::from_secs(seconds);
    simulation.settle().await;
    let mut moments = 0;
    while simulation.step(at).await {
        moments += 1;
        assert!(moments < MOST_MOMENTS, "no rest at {}", simulation.now());
    }
}

fn rollout(simulation: &Simulation, namespace: &str) -> Value {
    let key = "web";
    let store = simulation.store();
    store.get(&resource::ROLLOUT, namespace, key).map_or(Value::Null, |object| (**object).clone())
}

/// A custom object that the controller reads: a Rollout twice as often as the others.
fn is_custom(key: &(&'static Resource, String)) -> bool {
    let kinds = ["Rollout", "VirtualService", "DestinationRule", "AnalysisTemplate", "AnalysisRun"];
    kinds.contains(&key.0.kind)
}

/// Changes one of the strange namespace's custom objects, whichever there are now.
fn plant(simulation: &mut Simulation, which: prop::sample::Index, mutations: &[Mutation]) -> Value {
    let mut custom: Vec<(&'static Resource, String)> = Vec::new();
    for resource in [
        &resource::ROLLOUT,
        &resource::ROLLOUT,
        &resource::VIRTUAL_SERVICE,
        &resource::DESTINATION_RULE,
        &resource::ANALYSIS_TEMPLATE,
        &resource::ANALYSIS_RUN,
    ] {
        let store = simulation.store();
        let names = store.list(resource, Some(STRANGE)).map(|(key, _)| (resource, key.1.clone()));
        custom.extend(names.filter(is_custom));
    }
    let (resource, name) = which.get(&custom).clone();
    let before = simulation.store().get(resource, STRANGE, &name).cloned().unwrap();
    let mut after = mutated((*before).clone(), mutations);
    // No API server lets metadata in that it cannot decode, but annotations may say anything.
    after["metadata"] = before["metadata"].clone();
    after["metadata"]["annotations"]["sluice.dev/command"] = json!(after["spec"].to_string());
    simulation.plant(resource, STRANGE, &name, after.clone());
    after
}

fn play(base: &str, moment: i64, which: prop::sample::Index, mutations: &[Mutation]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut simulation =
            Simulation::new(actors::Settings::default(), mesh::Settings::default());
        for namespace in [STRANGE, SOUND] {
            simulation.store().ensure_namespace(namespace);
        }
        for object in objects(base) {
            apply(&mut simulation, STRANGE, &object);
        }
        for object in objects("host-split") {
            apply(&mut simulation, SOUND, &object);
        }
        simulation.start_controller().await;
        pass(&mut simulation, 60).await;
        release(&mut simulation, STRANGE, "web:2");
        pass(&mut simulation, moment).await;
        let planted = plant(&mut simulation, which, mutations);
        pass(&mut simulation, 120).await;

        // Whoever is next door is released as ever.
        release(&mut simulation, SOUND, "web:2");
        let promote = json!({"verb": "promoteFull", "by": "ann", "id": "1"}).to_string();
        pass(&mut simulation, 5).await;
        let command = |object: &mut Value| {
            let mut command: Value = serde_json::from_str(&promote).unwrap();
            command["revision"] = object["status"]["currentRevision"].clone();
            object["metadata"]["annotations"]["sluice.dev/command"] = json!(command.to_string());
        };
        simulation.edit("kubectl", &resource::ROLLOUT, SOUND, "web", command).unwrap();
        pass(&mut simulation, 600).await;
        let sound = rollout(&simulation, SOUND);
        assert_eq!(sound["status"]["phase"], "Healthy", "{sound:#}\nbeside {planted:#}");
        let last = &sound["status"]["history"][0];
        assert_eq!(last["outcome"], "Promoted", "{sound:#}\nbeside {planted:#}");

        // And the strange one says how it is.
        let strange = rollout(&simulation, STRANGE);
        if !strange.is_null() {
            let message = strange["status"]["message"].as_str().unwrap_or_default();
            assert!(!message.is_empty(), "{strange:#}");
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn what_is_malformed_in_etcd_disturbs_nobody(
        base in prop::sample::select(BASES.to_vec()),
        moment in 0_i64..40,
        which in any::<prop::sample::Index>(),
        mutations in mutations(),
    ) {
        play(base, moment, which, &mutations);
    }
}
