use serde_json::json;

use super::super::{
    Settings,
    tests::{Story, replica_set},
};
use super::*;

fn started(strategy: &Value, replicas: i64) -> Story {
    let mut story = Story::new(Settings::default());
    let mut deployment = replica_set("web", replicas, "web:1");
    deployment["spec"]["strategy"] = strategy.clone();
    story.create(&DEPLOYMENT, deployment);
    story
}

fn release(story: &mut Story, image: &str) {
    story.edit(&DEPLOYMENT, "web", |deployment| {
        deployment["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
    });
}

/// Image, size and revision of each ReplicaSet, by revision.
fn sets(story: &Story) -> Vec<(String, i64, i64)> {
    let image =
        |set: &Value| object::text(set, "/spec/template/spec/containers/0/image").to_owned();
    let mut sets: Vec<_> = story
        .all(&REPLICA_SET)
        .iter()
        .map(|set| (image(set), replicas(set), revision(set)))
        .collect();
    sets.sort_by_key(|(_, _, revision)| *revision);
    sets
}

fn is(image: &str, replicas: i64, revision: i64) -> (String, i64, i64) {
    (image.to_owned(), replicas, revision)
}

fn condition(story: &Story, kind: &str) -> (bool, String) {
    let deployment = story.get(&DEPLOYMENT, "web").unwrap();
    let found = object::condition(&deployment, kind).unwrap();
    (found["status"] == "True", found["reason"].as_str().unwrap().to_owned())
}

#[test]
fn it_makes_a_replica_set_of_its_template() {
    let mut story = started(&Value::Null, 3);
    story.finish();
    let set = &story.all(&REPLICA_SET)[0];
    let hash = object::labels(set)[HASH].as_str().unwrap();
    assert_eq!(object::name(set), format!("web-{hash}"));
    assert_eq!(set["spec"]["selector"]["matchLabels"][HASH], hash);
    assert!(story.all(&POD).iter().all(|pod| object::labels(pod)[HASH] == hash));
    let deployment = story.get(&DEPLOYMENT, "web").unwrap();
    assert_eq!(deployment["metadata"]["annotations"][REVISION], "1");
    let status = &deployment["status"];
    for field in ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"] {
        assert_eq!(status[field], 3, "{field}");
    }
    assert_eq!(status["unavailableReplicas"], Value::Null);
    assert_eq!(condition(&story, "Available"), (true, "MinimumReplicasAvailable".to_owned()));
    assert_eq!(condition(&story, "Progressing"), (true, "NewReplicaSetAvailable".to_owned()));
    assert_eq!(story.actors.next_due(), None);
}

#[test]
fn a_release_stays_within_its_margins() {
    let rolling = |surge: Value, unavailable: Value| {
        json!({"type": "RollingUpdate", "rollingUpdate": {
            "maxSurge": surge, "maxUnavailable": unavailable,
        }})
    };
    let table = [
        (Value::Null, 5, 3),
        (rolling(json!(1), json!(0)), 5, 4),
        (rolling(json!(0), json!(1)), 4, 3),
        (rolling(json!("50%"), json!("50%")), 6, 2),
        (rolling(json!(0), json!(0)), 4, 3),
    ];
    for (strategy, most, least) in table {
        let mut story = started(&strategy, 4);
        story.finish();
        release(&mut story, "web:2");
        for _ in 0..100 {
            let active = story.all(&POD).iter().filter(|pod| object::is_active(pod)).count();
            assert!(active <= most, "{strategy}: {active} pods");
            let serving = story
                .all(&POD)
                .iter()
                .filter(|p| object::is_active(p) && object::ready_since(p).is_some())
                .count();
            assert!(serving >= least, "{strategy}: {serving} ready");
            story.pass(100);
        }
        assert_eq!(sets(&story), [is("web:1", 0, 1), is("web:2", 4, 2)], "{strategy}");
    }
}

#[test]
fn a_release_that_cannot_start_leaves_the_old_one_and_misses_its_deadline() {
    let mut story = started(&Value::Null, 4);
    story.finish();
    release(&mut story, "web:never-ready");
    story.pass(10_000);
    assert_eq!(sets(&story), [is("web:1", 3, 1), is("web:never-ready", 2, 2)]);
    assert_eq!(condition(&story, "Progressing"), (true, "ReplicaSetUpdated".to_owned()));
    story.finish();
    assert_eq!(condition(&story, "Progressing"), (false, "ProgressDeadlineExceeded".to_owned()));
    assert_eq!(condition(&story, "Available"), (true, "MinimumReplicasAvailable".to_owned()));
    // Back: the old ReplicaSet becomes the newest revision.
    release(&mut story, "web:1");
    story.finish();
    assert_eq!(sets(&story), [is("web:never-ready", 0, 2), is("web:1", 4, 3)]);
}

#[test]
fn recreate_ends_the_old_pods_before_it_starts_the_new() {
    let mut story = started(&json!({"type": "Recreate"}), 2);
    story.finish();
    release(&mut story, "web:2");
    story.pass(2999);
    assert_eq!(sets(&story), [is("web:1", 0, 1)]);
    story.finish();
    assert_eq!(sets(&story), [is("web:1", 0, 1), is("web:2", 2, 2)]);
    assert_eq!(story.ready().len(), 2);
}

#[test]
fn a_paused_deployment_scales_and_releases_nothing() {
    let mut story = started(&Value::Null, 2);
    story.finish();
    story.edit(&DEPLOYMENT, "web", |deployment| deployment["spec"]["paused"] = json!(true));
    release(&mut story, "web:2");
    story.edit(&DEPLOYMENT, "web", |deployment| deployment["spec"]["replicas"] = json!(5));
    story.finish();
    assert_eq!(sets(&story), [is("web:1", 5, 1)]);
    assert_eq!(story.ready().len(), 5);
}

#[test]
fn old_replica_sets_go_beyond_the_limit() {
    let mut story = started(&Value::Null, 1);
    story.edit(&DEPLOYMENT, "web", |d| d["spec"]["revisionHistoryLimit"] = json!(1));
    for image in ["web:2", "web:3", "web:4"] {
        story.finish();
        release(&mut story, image);
    }
    story.finish();
    assert_eq!(sets(&story), [is("web:3", 0, 3), is("web:4", 1, 4)]);
}

#[test]
fn scaled_to_nothing_it_ends_its_pods() {
    let mut story = started(&Value::Null, 3);
    story.finish();
    story.edit(&DEPLOYMENT, "web", |deployment| deployment["spec"]["replicas"] = json!(0));
    story.finish();
    assert_eq!(story.all(&POD).len(), 0);
    assert_eq!(story.get(&DEPLOYMENT, "web").unwrap()["status"]["replicas"], Value::Null);
}
