//! An upgrade never starts a release.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::{corpus, template_of};
use crate::{
    api::PodTemplate,
    world::fingerprint::{fingerprint, revision_hash, write},
};

/// If this fails, every Rollout would start a release when its controller is upgraded. Do not touch
/// the golden file: put the old rules back, and new rules into a `v2`.
#[test]
fn an_upgrade_never_starts_a_release() {
    for entry in corpus() {
        let fingerprint = fingerprint(&template_of(&entry));
        assert_eq!(entry["fingerprint"], fingerprint, "{}", entry["name"]);
        let revision = revision_hash(&fingerprint, 0);
        assert_eq!(entry["revision"], revision, "{}", entry["name"]);
        let collided = revision_hash(&fingerprint, 1);
        assert_eq!(entry["revisionAfterCollision"], collided, "{}", entry["name"]);
    }
}

#[test]
fn the_corpus_differs_in_every_template() {
    let corpus = corpus();
    assert!(corpus.len() >= 8);
    let fingerprints = corpus.iter().map(|entry| fingerprint(&template_of(entry)));
    assert_eq!(fingerprints.collect::<BTreeSet<_>>().len(), corpus.len());
}

#[test]
fn a_revision_hash_is_safe_in_names_and_labels() {
    for collisions in [0, 1, 2, i64::MAX, -1] {
        let hash = revision_hash("v1:abc", collisions);
        assert_eq!(hash.len(), 10);
        assert!(hash.chars().all(|c| "bcdfghjklmnpqrstvwxz2456789".contains(c)));
    }
    assert_ne!(revision_hash("v1:abc", 0), revision_hash("v1:abc", 1));
    assert_ne!(revision_hash("v1:abc", 0), revision_hash("v1:abd", 0));
}

#[test]
fn what_is_hashed_is_plain_json_with_sorted_keys() {
    let value = serde_json::json!({"b": [1, "é\"\n", null, {}], "a": {"d": true, "c": -2}});
    let mut text = String::new();
    write(&value, &mut text);
    assert_eq!(text, r#"{"a":{"c":-2,"d":true},"b":[1,"é\"\n",null,{}]}"#);
}

/// Maps whose keys are the user's choice. Their values are texts, so nothing is unset inside them.
const FREE_MAPS: [&str; 3] = ["labels", "limits", "overhead"];

/// The same JSON as text, with the keys of every map in another order (the `seed` says which) and,
/// if `nulls`, a null strewn into each. Text, because a parsed map may sort its keys.
fn shuffled(value: &Value, seed: u64, nulls: bool) -> String {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.bytes().fold(seed, mix));
            let unset = nulls.then(|| "\"unsetField\":null".to_owned());
            let mut fields: Vec<String> = unset.into_iter().collect();
            for (key, value) in entries {
                let below = nulls && !FREE_MAPS.contains(&key.as_str());
                let text = shuffled(value, seed, below);
                fields.push(format!("{}:{text}", Value::from(key.as_str())));
            }
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(list) => {
            let items: Vec<_> = list.iter().map(|item| shuffled(item, seed, nulls)).collect();
            format!("[{}]", items.join(","))
        }
        scalar => scalar.to_string(),
    }
}

fn mix(seed: u64, byte: u8) -> u64 {
    let mixed = seed ^ u64::from(byte);
    mixed.wrapping_mul(0x0100_0000_01b3).rotate_left(17)
}

fn shuffled_map(value: &Value, seed: u64) -> Map<String, Value> {
    serde_json::from_str(&shuffled(value, seed, true)).expect("JSON")
}

/// Any pod spec: maps whose keys are often those that the canonical form looks at.
fn junk() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Eighths, which survive the way through text to the last bit.
        any::<i16>().prop_map(|n| Value::from(f64::from(n) / 8.0)),
        "[a-z0-9]{0,4}".prop_map(Value::from),
    ];
    let known = vec![
        "containers",
        "initContainers",
        "volumes",
        "resources",
        "limits",
        "ports",
        "env",
        "valueFrom",
        "resourceFieldRef",
        "divisor",
        "livenessProbe",
        "httpGet",
        "image",
        "emptyDir",
        "sizeLimit",
        "projected",
        "sources",
        "labels",
        "lifecycle",
        "preStop",
        "securityContext",
        "serviceAccount",
        "overhead",
        "ephemeral",
        "downwardAPI",
        "items",
    ];
    let known = prop::sample::select(known).prop_map(String::from);
    let field = prop_oneof!["[a-z]{1,4}", known];
    leaf.prop_recursive(6, 64, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(field.clone(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn key_order_and_nulls_never_change_it(seed in any::<u64>()) {
        for entry in corpus() {
            let other = shuffled(&entry["template"], seed, true);
            let other: PodTemplate = serde_json::from_str(&other).expect("a template");
            prop_assert_eq!(&entry["fingerprint"], &Value::from(fingerprint(&other)));
        }
    }

    #[test]
    fn any_template_has_one(metadata in junk(), spec in junk(), seed in any::<u64>()) {
        let map = |value: &Value| value.as_object().cloned().unwrap_or_default();
        let template = PodTemplate { metadata: map(&metadata), spec: map(&spec) };
        let other = PodTemplate {
            metadata: shuffled_map(&map(&metadata).into(), seed),
            spec: shuffled_map(&map(&spec).into(), seed),
        };
        prop_assert_eq!(fingerprint(&template), fingerprint(&other));
    }
}
