//! The simulated API server gives the answers that the real one gave: `tests/conformance/*.yaml`,
//! recorded by `SLUICE_RECORD=1 make e2e`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a test that cannot go on has failed"
)]

#[allow(dead_code, reason = "the recorder uses the rest")]
#[path = "support/transcript.rs"]
mod transcript;

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::Value;
use sluice::sim::{
    actors::{Actors, Settings},
    api::{Store, http::Server, store::Time},
};

fn answers_as_the_real_server(path: &Path) -> datatest_stable::Result<()> {
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let transcript = transcript::read(path);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answers = runtime.block_on(async {
        let time = Time::new(Timestamp::from_second(1_800_000_000)?);
        let store = Arc::new(Mutex::new(Store::new(time)));
        let server = Server::new(store.clone());
        let client = server.client();
        let hold = transcript::hold(&client, &name, &transcript);
        // Only where the cluster's own controllers are waited for have they a part in the story.
        if transcript.requests.iter().all(|exchange| exchange.until.is_none()) {
            return Ok::<_, jiff::Error>(hold.await);
        }
        tokio::select! {
            answers = hold => Ok(answers),
            () = control(&store) => Ok(Vec::new()),
        }
    })?;
    let mut differences = Vec::new();
    for (index, (exchange, answer)) in transcript.requests.iter().zip(&answers).enumerate() {
        let recorded = exchange.answer.as_ref().unwrap_or(&Value::Null);
        if recorded != answer {
            let found = different("", recorded, answer).join("\n    ");
            differences.push(format!("{}. {}\n    {found}", index + 1, exchange.request));
        }
    }
    if differences.is_empty() {
        return Ok(());
    }
    // The harness shows an error as one line.
    eprintln!("{name}: not as recorded:\n  {}", differences.join("\n  "));
    Err(format!("{} answers are not as recorded", differences.len()).into())
}

/// Lets the cluster's own controllers work, for ever.
async fn control(store: &Mutex<Store>) {
    let mut actors = Actors::new(Settings::default());
    loop {
        {
            let mut store = store.lock().unwrap();
            actors.settle(&mut store);
            // What would come later comes now: pods get ready while a request waits for them.
            if let Some(due) = actors.next_due() {
                store.time().set(due);
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Where two values differ.
fn different(path: &str, real: &Value, found: &Value) -> Vec<String> {
    match (real, found) {
        (Value::Object(a), Value::Object(b)) => {
            let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            let pairs = names.into_iter().map(|name| {
                different(&format!("{path}/{name}"), &real[name.as_str()], &found[name.as_str()])
            });
            pairs.flatten().collect()
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let pairs = a.iter().zip(b).enumerate();
            pairs.flat_map(|(i, (a, b))| different(&format!("{path}/{i}"), a, b)).collect()
        }
        _ if real == found => Vec::new(),
        _ => vec![format!("{path}: real {real}, simulated {found}")],
    }
}

datatest_stable::harness! {
    { test = answers_as_the_real_server, root = "tests/conformance", pattern = r"^.*\.yaml$" },
}
