//! Files that users give to the tools.

use proptest::prelude::*;
use serde_json::Value;
use sluice::cli::manifests::{Choice, Manifests, Source};

use crate::mutation::{mutated, mutations};

fn read(text: String) -> Result<(), Vec<String>> {
    let source = Source { name: "web.yaml".into(), text };
    Manifests::read(&[source], &Choice::default()).map(drop)
}

proptest! {
    #[test]
    fn any_text_is_manifests_or_a_sentence_that_names_the_file(text in "\\PC{0,200}") {
        if let Err(why) = read(text) {
            prop_assert!(!why.is_empty());
        }
    }

    #[test]
    fn nearly_sound_manifests_are_read_or_refused_with_a_sentence(
        base in prop::sample::select(vec!["host-split", "blue-green", "rolling", "subset-split"]),
        document in any::<prop::sample::Index>(),
        mutations in mutations(),
    ) {
        let text = std::fs::read_to_string(format!("tests/scenarios/bases/{base}.yaml")).unwrap();
        let mut documents: Vec<Value> =
            text.split("\n---\n").map(|text| serde_yaml::from_str(text).unwrap()).collect();
        let at = document.index(documents.len());
        documents[at] = mutated(documents[at].clone(), &mutations);
        let texts: Vec<String> = documents.iter().map(Value::to_string).collect();
        if let Err(why) = read(texts.join("\n---\n")) {
            prop_assert!(why.iter().all(|why| !why.is_empty()) && !why.is_empty());
        }
    }
}
