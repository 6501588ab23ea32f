//! Which ReplicaSet is which revision.

use super::model::{Model, rollout, steps};
use crate::{
    api::Phase,
    plan::{Write, replica_set_name},
};

fn pausing() -> serde_json::Value {
    rollout(&steps("[{setWeight: 20}, {pause: {}}]"))
}

#[test]
fn a_revision_left_by_an_earlier_rollout_is_adopted_and_not_doubled() {
    let mut before = Model::healthy(pausing());
    let mut orphan = before.world.revisions.remove(0);
    orphan.owner = None;
    orphan.pods.clear();
    let mut model = Model::new(pausing());
    model.world.orphans.push(orphan);
    let plan = model.look();
    assert!(
        plan.actions.iter().any(|action| matches!(action.write, Write::AdoptReplicaSet { .. })),
        "{:?}",
        plan.actions
    );
    model.run_until(Phase::Healthy);
    assert_eq!(model.world.revisions.len(), 1, "no second ReplicaSet of the same template");
}

#[test]
fn a_name_that_belongs_to_somebody_else_is_left_alone() {
    let mut model = Model::new(pausing());
    let taken = replica_set_name("web", &Model::revision_of("web:1"));
    model.world.taken_names.push(taken.clone());
    model.run_until(Phase::Healthy);
    assert_eq!(model.status().collision_count, 1);
    assert_ne!(model.world.revisions[0].name, taken);
    model.run_for(60);
    assert_eq!(model.world.revisions.len(), 1, "the new name is found again at every look");
}

#[test]
fn old_revisions_are_kept_up_to_the_limit() {
    let mut model = Model::healthy(rollout(&steps("[]")));
    model.edit_spec(|spec| spec.revision_history_limit = 2);
    for version in 2..7 {
        model.set_image(&format!("web:{version}"));
        model.run_for(120);
        assert_eq!(model.phase(), Some(Phase::Healthy));
    }
    assert_eq!(model.world.revisions.len(), 3, "the stable one and two old ones");
    assert_eq!(model.status().history.len(), 6);
}

#[test]
fn an_old_revision_is_used_again_when_its_template_returns() {
    let mut model = Model::healthy(rollout(&steps("[{setWeight: 50}]")));
    model.set_image("web:2");
    model.run_for(120);
    model.set_image("web:1");
    model.run_for(120);
    assert_eq!(model.stable(), Model::revision_of("web:1"));
    assert_eq!(model.world.revisions.len(), 2, "no third ReplicaSet");
    assert_eq!(model.status().revision, 3, "a release has a number of its own");
}
