//! Answers of Prometheus that are nearly sound.

use proptest::prelude::*;
use serde_json::{Value, json};
use sluice::analysis::{provider::prometheus::answer, verdict::Reading};

use crate::mutation::{mutated, mutations};

fn sound() -> impl Strategy<Value = Value> {
    let vector = json!({"status": "success", "data": {"resultType": "vector", "result": [
        {"metric": {"pod": "a"}, "value": [1_795_226_400.25, "0.5"]},
        {"metric": {"pod": "b"}, "value": [1_795_226_400.25, "NaN"]},
    ]}});
    let scalar =
        json!({"status": "success", "data": {"resultType": "scalar", "result": [1.0, "1"]}});
    let matrix = json!({"status": "success", "data": {"resultType": "matrix", "result": [
        {"metric": {"pod": "a"}, "values": [[1.0, "1"], [2.0, "+Inf"]]},
    ]}});
    let error = json!({"status": "error", "errorType": "bad_data", "error": "parse error"});
    prop::sample::select(vec![vector, scalar, matrix, error])
}

proptest! {
    #[test]
    fn an_answer_is_numbers_or_a_sentence(
        body in sound(),
        mutations in mutations(),
        status in prop::sample::select(vec![200_u16, 204, 302, 400, 401, 422, 500, 503]),
    ) {
        let body = serde_json::to_vec(&mutated(body, &mutations)).unwrap();
        match answer::parse("prometheus", status, &body, &str::to_owned) {
            Reading::Error(why) => prop_assert!(why.contains("prometheus"), "{}", why),
            reading => prop_assert!((200..300).contains(&status), "{:?}", reading),
        }
        if let Err(why) = answer::samples("prometheus", status, &body, &str::to_owned) {
            prop_assert!(!why.is_empty());
        }
    }
}
