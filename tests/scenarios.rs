//! One file below `tests/scenarios` is one test: a story on the simulated cluster, its expectations,
//! what always holds after every write, and its golden transcript beside it.
//!
//! `make golden` writes the transcripts anew; a changed one is there to be read.

use std::{fs, path::Path};

use sluice::sim::scenario::{Bases, Scenario, play};

/// Set to write the transcripts instead of comparing them.
const UPDATE: &str = "SLUICE_GOLDEN";

/// Where files of objects are that scenarios begin with.
const BASES: &str = "tests/scenarios/bases";

fn scenario(path: &Path) -> datatest_stable::Result<()> {
    let scenario = Scenario::read(&fs::read_to_string(path)?)?;
    let objects = scenario.objects(&bases()?)?;
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
        return Err(format!(
            "{} is otherwise now (`make golden` rewrites it):\n{text}",
            golden.display()
        )
        .into());
    }
    Ok(())
}

fn bases() -> datatest_stable::Result<Bases> {
    let mut bases = Bases::default();
    for entry in fs::read_dir(BASES)? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        bases.add(&name, &fs::read_to_string(&path)?)?;
    }
    Ok(bases)
}

/// The first line that differs, with the lines around it.
fn difference(expected: &str, found: &str) -> String {
    let (expected, found): (Vec<&str>, Vec<&str>) =
        (expected.lines().collect(), found.lines().collect());
    let at = expected.iter().zip(&found).take_while(|(a, b)| a == b).count();
    let around = |lines: &[&str], mark: &str| -> String {
        let part = lines.iter().skip(at.saturating_sub(2)).take(6);
        part.map(|line| format!("{mark} {line}\n")).collect()
    };
    format!("line {}:\n{}{}", at + 1, around(&expected, "-"), around(&found, "+"))
}

datatest_stable::harness! {
    { test = scenario, root = "tests/scenarios", pattern = r"^(?!bases/).*\.yaml$" },
}
