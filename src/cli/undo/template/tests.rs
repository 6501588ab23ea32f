use serde_json::json;

use super::*;

fn pods(template: &Value) -> PodTemplate {
    serde_json::from_value(template.clone()).unwrap()
}

/// What a user wrote, as its ReplicaSet of revision `abc` has it.
fn set(own: &Value, change: impl FnOnce(&mut Value)) -> Value {
    let mut template = own.clone();
    template["metadata"]["creationTimestamp"] = Value::Null;
    template["metadata"]["labels"][REVISION_LABEL] = json!("abc");
    template["spec"]["restartPolicy"] = json!("Always");
    change(&mut template);
    json!({
        "metadata": {"annotations": {FINGERPRINT_ANNOTATION: fingerprint(&pods(own))}},
        "spec": {"template": template},
    })
}

fn own() -> Value {
    json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "web:1", "fieldOfTheFuture": 1}]},
    })
}

fn note(role: &Value) -> Value {
    json!(role.to_string())
}

#[test]
fn what_was_added_goes_and_all_else_stays() {
    let set = set(&own(), |template| {
        template["metadata"]["labels"][CANONICAL_REVISION_LABEL] = json!("abc");
        template["metadata"]["labels"]["role"] = json!("stable");
        template["metadata"]["annotations"] =
            json!({ROLE_METADATA_ANNOTATION: note(&json!({"labels": {"role": "stable"}}))});
        template["spec"]["affinity"] = json!({"podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"labelSelector": {"matchLabels": {REVISION_LABEL: "old"}}, "topologyKey": HOST},
            ],
        }});
    });
    let found = written(&set, &PodTemplate::default()).unwrap();
    assert_eq!(Value::from(found.metadata), json!({"labels": {"app": "web"}}));
    assert_eq!(found.spec["containers"], own()["spec"]["containers"]);
    assert_eq!(found.spec.get("affinity"), None);
}

#[test]
fn what_the_user_wrote_stays_though_it_looks_like_ours() {
    let mut own = own();
    own["metadata"]["labels"][CANONICAL_REVISION_LABEL] = json!("abc");
    own["spec"]["affinity"] = json!({"podAntiAffinity": {
        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 5, "podAffinityTerm":
            {"labelSelector": {"matchLabels": {REVISION_LABEL: "x"}}, "topologyKey": HOST}}],
    }});
    let found = written(&set(&own, |_| {}), &PodTemplate::default()).unwrap();
    assert_eq!(fingerprint(&found), fingerprint(&pods(&own)));
    assert_eq!(found.label(CANONICAL_REVISION_LABEL), Some("abc"));
}

#[test]
fn terms_of_the_user_stay_beside_the_one_that_goes() {
    let mut own = own();
    let terms = "/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution";
    own["spec"]["affinity"] = json!({"podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone"}],
    }});
    let set = set(&own, |template| {
        let term =
            json!({"labelSelector": {"matchLabels": {REVISION_LABEL: "old"}}, "topologyKey": HOST});
        template.pointer_mut(terms).unwrap().as_array_mut().unwrap().push(term);
    });
    let found = written(&set, &PodTemplate::default()).unwrap();
    assert_eq!(found.spec["affinity"], own["spec"]["affinity"]);
}

#[test]
fn a_label_that_a_role_overwrote_comes_from_the_present_template() {
    let mut own = own();
    own["metadata"]["labels"]["tier"] = json!("back");
    let set = set(&own, |template| {
        template["metadata"]["labels"]["tier"] = json!("canary");
        template["metadata"]["annotations"] =
            json!({ROLE_METADATA_ANNOTATION: note(&json!({"labels": {"tier": "canary"}}))});
    });
    let found = written(&set, &pods(&own)).unwrap();
    assert_eq!(found.label("tier"), Some("back"));
    assert_eq!(written(&set, &PodTemplate::default()), None, "nobody knows what it was");
}

#[test]
fn an_edited_replica_set_or_one_without_a_fingerprint_is_not_trusted() {
    let edited = set(&own(), |template| template["spec"]["hostNetwork"] = json!(true));
    assert_eq!(written(&edited, &PodTemplate::default()), None);
    let mut bare = set(&own(), |_| {});
    bare["metadata"]["annotations"] = json!({});
    assert_eq!(written(&bare, &PodTemplate::default()), None);
}
