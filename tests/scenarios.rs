//! One file below `tests/scenarios` is one test: a story on the simulated cluster, its expectations,
//! what always holds after every write, and its golden transcript beside it.
//!
//! `make golden` writes the transcripts anew; a changed one is there to be read.

#[allow(dead_code, reason = "the end-to-end tests list the files")]
#[path = "support/stories.rs"]
mod stories;

#[path = "support/golden.rs"]
mod golden;

use std::path::Path;

use sluice::sim::scenario::play;

fn scenario(path: &Path) -> datatest_stable::Result<()> {
    let (scenario, objects) = stories::read(path)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let played = runtime.block_on(play(&scenario, &objects, 1));
    let transcript = format!("# {}\n\n{}", scenario.claim, played.story());
    if let Some(failure) = played.failure {
        return Err(format!("{failure}\n\n{transcript}").into());
    }
    golden::compare(path, &transcript)
}

datatest_stable::harness! {
    { test = scenario, root = stories::FOLDER, pattern = r"^(?!bases/).*\.yaml$" },
}
