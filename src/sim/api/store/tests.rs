use super::*;

const WRITER: Writer<'static> = Writer { manager: "test", operation: "Update", subresource: None };

fn store() -> Store {
    Store::new(Time::new(Timestamp::from_second(1_000_000).unwrap()))
}

fn key(name: &str) -> Key {
    ("default".to_owned(), name.to_owned())
}

fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

#[test]
fn a_write_with_an_old_version_is_refused() {
    let mut store = store();
    let first = store
        .create(
            &WRITER,
            &resource::CONFIG_MAP,
            "default",
            json!({"metadata": {"name": "a"}, "data": {"x": "1"}}),
        )
        .unwrap();
    let mut edit = (*first).clone();
    edit["data"]["x"] = json!("2");
    let second = store.replace(&WRITER, &resource::CONFIG_MAP, &key("a"), edit.clone()).unwrap();
    assert!(version(&second) > version(&first));
    let refusal = store.replace(&WRITER, &resource::CONFIG_MAP, &key("a"), edit).unwrap_err();
    assert_eq!((refusal.code, refusal.reason), (409, "Conflict"));
}

#[test]
fn a_write_that_changes_nothing_makes_no_version() {
    let mut store = store();
    let first = store
        .create(&WRITER, &resource::CONFIG_MAP, "default", json!({"metadata": {"name": "a"}}))
        .unwrap();
    let again = store.replace(&WRITER, &resource::CONFIG_MAP, &key("a"), (*first).clone()).unwrap();
    assert_eq!(first, again);
    assert_eq!(store.version(), version(&first));
}

#[test]
fn the_log_has_every_change_from_a_version_on() {
    let mut store = store();
    let before = store.version();
    store
        .create(&WRITER, &resource::CONFIG_MAP, "default", json!({"metadata": {"name": "a"}}))
        .unwrap();
    store.delete(&WRITER, &resource::CONFIG_MAP, &key("a"), &Deletion::default()).unwrap();
    let changes: Vec<bool> =
        store.changes_since(before).unwrap().map(|change| change.after.is_some()).collect();
    assert_eq!(changes, [true, false]);
    assert_eq!(store.changes_since(store.version()).unwrap().count(), 0);
}

#[test]
fn a_pod_on_a_node_gets_its_grace() {
    let mut store = store();
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "c"}], "nodeName": "n", "containers": [{"name": "c", "image": "c"}]}});
    store.create(&WRITER, &resource::POD, "default", pod).unwrap();
    let how = Deletion::default();
    let (marked, gone) = store.delete(&WRITER, &resource::POD, &key("p"), &how).unwrap();
    assert!(!gone);
    assert!(!marked["metadata"]["deletionTimestamp"].is_null());
    let how = Deletion { grace_period_seconds: Some(0), ..Deletion::default() };
    let (_, gone) = store.delete(&WRITER, &resource::POD, &key("p"), &how).unwrap();
    assert!(gone);
}

#[test]
fn an_object_with_a_finalizer_goes_when_the_finalizer_does() {
    let mut store = store();
    let object = json!({"metadata": {"name": "a", "finalizers": ["x.y/z"]}});
    store.create(&WRITER, &resource::CONFIG_MAP, "default", object).unwrap();
    let (marked, gone) =
        store.delete(&WRITER, &resource::CONFIG_MAP, &key("a"), &Deletion::default()).unwrap();
    assert!(!gone);
    let mut without = (*marked).clone();
    without["metadata"].as_object_mut().unwrap().remove("finalizers");
    store.replace(&WRITER, &resource::CONFIG_MAP, &key("a"), without).unwrap();
    assert!(store.get(&resource::CONFIG_MAP, "default", "a").is_none());
}

#[test]
fn names_that_are_made_up_differ() {
    let names: std::collections::BTreeSet<String> = (0..5000).map(suffix).collect();
    assert_eq!(names.len(), 5000);
}

#[test]
fn a_second_deletion_may_shorten_the_grace() {
    let mut store = store();
    let pod = json!({
        "metadata": {"name": "a", "finalizers": ["test/hold"]},
        "spec": {"nodeName": "node-1", "containers": [{"name": "main", "image": "a"}]},
    });
    store.create(&WRITER, &resource::POD, "default", pod).unwrap();
    store.delete(&WRITER, &resource::POD, &key("a"), &Deletion::default()).unwrap();
    for (seconds, left) in [(60, 30), (0, 0)] {
        let how = Deletion { grace_period_seconds: Some(seconds), ..Deletion::default() };
        let (pod, gone) = store.delete(&WRITER, &resource::POD, &key("a"), &how).unwrap();
        assert_eq!((&pod["metadata"]["deletionGracePeriodSeconds"], gone), (&json!(left), false));
    }
    let mut pod = (**store.get(&resource::POD, "default", "a").unwrap()).clone();
    pod["metadata"]["finalizers"] = json!([]);
    store.replace(&WRITER, &resource::POD, &key("a"), pod).unwrap();
    assert!(store.get(&resource::POD, "default", "a").is_none());
}

#[test]
fn a_namespace_waits_until_its_own_finalizer_goes() {
    let mut store = store();
    let default = (String::new(), "default".to_owned());
    let (namespace, gone) =
        store.delete(&WRITER, &resource::NAMESPACE, &default, &Deletion::default()).unwrap();
    assert!(!gone && namespace["status"]["phase"] == "Terminating");
    let finalize = Writer { subresource: Some("finalize"), ..WRITER };
    store.delete(&finalize, &resource::NAMESPACE, &default, &Deletion::default()).unwrap();
    assert!(store.get(&resource::NAMESPACE, "", "default").is_none());
}
