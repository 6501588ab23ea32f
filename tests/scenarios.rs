//! One file below `tests/scenarios` is one test: a story on the simulated cluster, its expectations,
//! what always holds after every write, and its golden transcript beside it.
//!
//! `make golden` writes the transcripts anew; a changed one is there to be read.

#[allow(dead_code, reason = "the end-to-end tests list the files")]
#[path = "support/stories.rs"]
mod stories;

use std::{fmt::Write, fs, path::Path};

use sluice::sim::scenario::play;

/// Set to write the transcripts instead of comparing them.
const UPDATE: &str = "SLUICE_GOLDEN";

fn scenario(path: &Path) -> datatest_stable::Result<()> {
    let (scenario, objects) = stories::read(path)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let played = runtime.block_on(play(&scenario, &objects, 1));
    let transcript = format!("# {}\n\n{}", scenario.claim, played.story());
    if let Some(failure) = played.failure {
        return Err(format!("{failure}\n\n{transcript}").into());
    }
    let golden = path.with_extension("txt");
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&golden, transcript)?;
        return Ok(());
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    if expected != transcript {
        let text = difference(&expected, &transcript);
        let golden = golden.display();
        return Err(
            format!("{golden} is otherwise now (`make golden` rewrites it):\n{text}").into()
        );
    }
    Ok(())
}

/// The first line that differs, with the lines around it.
fn difference(expected: &str, found: &str) -> String {
    let (expected, found): (Vec<&str>, Vec<&str>) =
        (expected.lines().collect(), found.lines().collect());
    let at = expected.iter().zip(&found).take_while(|(a, b)| a == b).count();
    let mut text = format!("line {}:\n", at + 1);
    for (mark, lines) in [("-", &expected), ("+", &found)] {
        for line in lines.iter().skip(at.saturating_sub(2)).take(6) {
            let _ = writeln!(text, "{mark} {line}");
        }
    }
    text
}

datatest_stable::harness! {
    { test = scenario, root = stories::FOLDER, pattern = r"^(?!bases/).*\.yaml$" },
}
