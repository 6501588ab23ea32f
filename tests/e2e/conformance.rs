//! The real API server gives the recorded answers of `tests/conformance`, so that the simulated one
//! is held to what is true. With `SLUICE_RECORD=1` the files are written anew.

use std::path::PathBuf;

use serde_json::Value;

use crate::{
    scenario::apart,
    support::{package, transcript},
};

#[test]
fn the_recorded_answers_are_the_real_ones() {
    apart("conformance", async |cluster, _user| {
        let record = std::env::var("SLUICE_RECORD").is_ok_and(|value| value == "1");
        let folder = std::fs::read_dir(package().join("tests/conformance")).unwrap();
        let mut files: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let mut wrong = Vec::new();
        for path in files {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let mut transcript = transcript::read(&path);
            let answers = transcript::hold(&cluster.client, &name, &transcript).await;
            for (exchange, answer) in transcript.requests.iter_mut().zip(answers) {
                if exchange.answer.as_ref().unwrap_or(&Value::Null) != &answer {
                    wrong.push(format!("{name}: {}: {answer}", exchange.request));
                }
                exchange.answer = Some(answer);
            }
            if record {
                transcript::write(&path, &transcript);
            }
        }
        assert!(record || wrong.is_empty(), "not as recorded:\n  {}", wrong.join("\n  "));
    });
}
