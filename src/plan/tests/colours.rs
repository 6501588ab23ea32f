//! A blue-green release dies after every single write, and ends at the same place.

use serde_json::{Value, json};

use super::{
    faults::crash_after,
    model::{Model, rollout},
};
use crate::api::{Phase, Verb};

/// The Rollout of the model as a blue-green one; with `routes` the switch is in a VirtualService.
fn colours(routes: bool, fields: &Value) -> Value {
    let mut rollout = rollout(&json!([]));
    let canary = rollout["spec"]["strategy"]["canary"].take();
    let mut strategy = json!({"activeService": "web-stable", "previewService": "web-canary"});
    if routes {
        strategy["traffic"] = canary["traffic"].clone();
    }
    json_patch::merge(&mut strategy, fields);
    rollout["spec"]["strategy"] = json!({"blueGreen": strategy});
    rollout
}

fn times(model: &Model, text: &str) -> usize {
    model.story.iter().filter(|line| line.contains(text)).count()
}

fn active(model: &Model) -> Option<&String> {
    model.world.services["web-stable"].selector.get(crate::api::REVISION_LABEL)
}

#[test]
fn a_crash_after_any_write_of_a_switch_ends_the_same() {
    for routes in [false, true] {
        let mut n = 0;
        loop {
            let fields = json!({"previewReplicaCount": 1, "autoPromotionAfter": "3s"});
            let model = Model::healthy(colours(routes, &fields));
            let (model, crashed) = crash_after(model, n, |model| model.set_image("web:2"));
            let story = || model.story.join("\n");
            assert_eq!(model.phase(), Some(Phase::Healthy), "after write {n}: {}", story());
            assert_eq!(model.stable(), Model::revision_of("web:2"), "after write {n}");
            assert_eq!(active(&model), Some(&Model::revision_of("web:2")), "after write {n}");
            assert_eq!(model.pods(&Model::revision_of("web:1")), 0, "after write {n}");
            assert_eq!(times(&model, "the switch: users"), 1, "one switch: {}", story());
            assert_eq!(times(&model, "the switch back"), 0, "{}", story());
            if !crashed {
                assert!(n > 7, "the release has writes");
                break;
            }
            n += 1;
        }
    }
}

#[test]
fn a_crash_after_any_write_of_an_abort_after_the_switch_ends_the_same() {
    let job =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    let fields = json!({"postPromotionAnalysis":
        {"metrics": [{"name": "smoke", "provider": {"job": job}}]}});
    for routes in [false, true] {
        let mut n = 0;
        loop {
            let mut model = Model::healthy(colours(routes, &fields));
            model.set_image("web:2");
            model.run_for(20);
            assert_eq!(model.world.runs.len(), 1, "{}", model.story.join("\n"));
            model.story.clear();
            let (model, crashed) = crash_after(model, n, |model| model.command(Verb::Abort));
            let story = || model.story.join("\n");
            assert!(model.story[0].contains("the switch back"), "it comes first: {}", story());
            assert_eq!(times(&model, "the switch"), 1, "after write {n}: {}", story());
            assert_eq!(model.phase(), Some(Phase::Degraded), "after write {n}");
            assert_eq!(active(&model), Some(&Model::revision_of("web:1")), "after write {n}");
            assert_eq!(model.pods(&Model::revision_of("web:2")), 0, "after write {n}");
            assert!(model.world.rollout.command.is_none(), "after write {n}");
            if !crashed {
                break;
            }
            n += 1;
        }
    }
}

#[test]
fn a_crash_after_any_write_of_a_return_to_a_colour_that_stands_by_ends_the_same() {
    for routes in [false, true] {
        let mut n = 0;
        loop {
            let fields = json!({"scaleDownDelay": "1h", "autoPromotionEnabled": false});
            let mut model = Model::healthy(colours(routes, &fields));
            model.set_image("web:2");
            model.run_until(Phase::Paused);
            model.command(Verb::Promote);
            model.run_until(Phase::Healthy);
            model.story.clear();
            let (model, crashed) = crash_after(model, n, |model| model.set_image("web:1"));
            let story = || model.story.join("\n");
            assert_eq!(model.phase(), Some(Phase::Healthy), "after write {n}: {}", story());
            assert_eq!(model.stable(), Model::revision_of("web:1"), "after write {n}");
            assert_eq!(times(&model, "the switch: users"), 1, "after write {n}: {}", story());
            assert_eq!(model.pods(&Model::revision_of("web:2")), 4, "it stands by in its turn");
            if !crashed {
                break;
            }
            n += 1;
        }
    }
}
