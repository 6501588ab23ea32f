use serde_json::json;

use super::*;
use crate::sim::api::resource;

fn strategic(object: &Value, patch: &Value) -> Value {
    patched(Form::Strategic, &resource::DEPLOYMENT, object, patch).unwrap()
}

#[test]
fn a_failed_test_is_refused_without_a_reason() {
    let patch = json!([{"op": "test", "path": "/a", "value": 2}]);
    let refusal = patched(Form::Json, &resource::POD, &json!({"a": 1}), &patch).unwrap_err();
    assert_eq!((refusal.code, refusal.reason), (422, "Invalid"));
}

#[test]
fn a_merge_patch_removes_by_null() {
    let mut object = json!({"a": {"b": 1, "c": 2}});
    merge(&mut object, &json!({"a": {"b": null, "d": [1]}}));
    assert_eq!(object, json!({"a": {"c": 2, "d": [1]}}));
}

#[test]
fn containers_are_merged_by_name_and_new_ones_come_first() {
    let object = json!({"spec": {"containers": [{"name": "a", "image": "1", "args": ["x"]}]}});
    let patch = json!({"spec": {"containers": [{"name": "a", "image": "2"}, {"name": "b"}]}});
    assert_eq!(
        strategic(&object, &patch)["spec"]["containers"],
        json!([{"name": "a", "image": "2", "args": ["x"]}, {"name": "b"}])
    );
    let patch = json!({"spec": {"containers": [{"name": "b"}]}});
    assert_eq!(strategic(&object, &patch)["spec"]["containers"][0]["name"], "b");
    let patch = json!({"spec": {"containers": [{"name": "a", "$patch": "delete"}]}});
    assert_eq!(strategic(&object, &patch)["spec"]["containers"], json!([]));
}

#[test]
fn lists_of_plain_values_are_sets_where_kubernetes_says_so() {
    let object = json!({"metadata": {"finalizers": ["a", "b"]}, "spec": {"tolerations": [1]}});
    let patch = json!({
        "metadata": {"finalizers": ["c"], "$deleteFromPrimitiveList/finalizers": ["a"]},
        "spec": {"tolerations": [2]},
    });
    let result = strategic(&object, &patch);
    assert_eq!(result["metadata"]["finalizers"], json!(["c", "b"]));
    assert_eq!(result["spec"]["tolerations"], json!([2]));
}

#[test]
fn an_applied_field_that_is_left_out_goes() {
    let by = apply::Apply { manager: "m", force: false, subresource: None, time: "t" };
    let first = json!({"apiVersion": "v1", "data": {"a": "1", "b": "1"}});
    let live =
        apply::applied(&resource::CONFIG_MAP, &json!({"metadata": {}}), &first, &by).unwrap();
    let second = json!({"apiVersion": "v1", "data": {"a": "1"}});
    let live = apply::applied(&resource::CONFIG_MAP, &live, &second, &by).unwrap();
    assert_eq!(live["data"], json!({"a": "1"}));
    let other = apply::Apply { manager: "o", ..by };
    let third = json!({"apiVersion": "v1", "data": {"a": "2"}});
    let refusal = apply::applied(&resource::CONFIG_MAP, &live, &third, &other).unwrap_err();
    assert_eq!(refusal.message, "Apply failed with 1 conflict: conflict with \"m\": .data.a");
    let forced = apply::Apply { force: true, ..other };
    let live = apply::applied(&resource::CONFIG_MAP, &live, &third, &forced).unwrap();
    assert_eq!(live["data"]["a"], "2");
}
