//! Whatever stands around the weights survives, for any weight.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{hosts, reference, target};
use crate::api::Weights;
use crate::traffic::istio::virtual_service::{validate_istio, weights, with_canary_weight};

/// Any JSON of a few levels.
fn junk() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e6..1e6_f64).prop_map(Value::from),
        "[a-z*./ -]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Unknown fields, whose names begin with `x` so that they never collide with Istio's.
fn junk_fields() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map("x[a-z]{1,4}", junk(), 0..4)
        .prop_map(|map| map.into_iter().collect())
}

fn with_fields(mut object: Value, fields: Map<String, Value>) -> Value {
    if let Some(object) = object.as_object_mut() {
        object.extend(fields);
    }
    object
}

fn destination(host: &'static str) -> impl Strategy<Value = Value> {
    let weight = prop_oneof![Just(None), (0..=100_i32).prop_map(Some)];
    (junk_fields(), junk_fields(), weight).prop_map(move |(outer, inner, weight)| {
        let mut object = json!({"destination": with_fields(json!({"host": host}), inner)});
        if let Some(weight) = weight {
            object["weight"] = weight.into();
        }
        with_fields(object, outer)
    })
}

/// A `VirtualService`, and the place of the split in `spec.http`.
pub(super) fn virtual_service() -> impl Strategy<Value = (Value, usize)> {
    let both = (destination("web"), destination("web-canary"), any::<bool>());
    let others = prop::collection::vec((destination("other"), junk_fields()), 0..4);
    (both, others, junk_fields(), junk_fields(), 0..5_usize).prop_map(
        |((stable, canary, swapped), others, of_route, of_spec, at)| {
            let list = if swapped { [canary, stable] } else { [stable, canary] };
            let mut http: Vec<_> = others
                .into_iter()
                .map(|(destination, fields)| with_fields(json!({"route": [destination]}), fields))
                .collect();
            let at = at.min(http.len());
            http.insert(at, with_fields(json!({"route": list}), of_route));
            let spec = with_fields(json!({"http": http}), of_spec);
            let object = json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": spec});
            (object, at)
        },
    )
}

/// `object` without the weights of the split.
fn bare(object: &Value, at: usize) -> Value {
    let mut object = object.clone();
    let list = object["spec"]["http"][at]["route"].as_array_mut();
    for destination in list.into_iter().flatten() {
        if let Some(destination) = destination.as_object_mut() {
            destination.remove("weight");
        }
    }
    object
}

proptest! {
    #[test]
    fn only_the_two_weights_change(((object, at), canary) in (virtual_service(), 0..=100_i32)) {
        let reference = reference("name: web");
        let split = hosts("web", "web-canary");
        let target = target(&reference, &split);

        let edited = with_canary_weight(&object, target, canary, &[]).expect("an edit");
        prop_assert_eq!(bare(&edited, at), bare(&object, at));

        let found = weights(&edited, target).expect("weights");
        prop_assert_eq!(found.len(), 1);
        prop_assert_eq!(found[0].weights, Weights::of(100, canary));
        prop_assert_eq!(found[0].weights.stable + found[0].weights.canary, 100);
        validate_istio(&edited).expect("what Istio takes");

        let again = with_canary_weight(&edited, target, canary, &[]).expect("an edit");
        prop_assert_eq!(&again, &edited);
        let through_another = with_canary_weight(&object, target, 100 - canary, &[])
            .and_then(|other| with_canary_weight(&other, target, canary, &[]))
            .expect("an edit");
        prop_assert_eq!(weights(&through_another, target), weights(&edited, target));
    }

    #[test]
    fn nothing_panics_on_any_object(spec in junk(), route in junk(), canary in any::<i32>()) {
        let reference = reference("name: web");
        let split = hosts("web", "web-canary");
        let objects = [
            spec.clone(),
            json!({"spec": spec.clone()}),
            json!({"spec": {"http": [spec, {"route": [route.clone(), route]}]}}),
        ];
        for object in objects {
            let _ = weights(&object, target(&reference, &split));
            let _ = with_canary_weight(&object, target(&reference, &split), canary, &[]);
            let _ = validate_istio(&object);
        }
    }
}
