//! Golden transcripts: a file beside the story, that `make golden` writes anew.

use std::{fmt::Write, fs, path::Path};

/// Set to write the transcripts instead of comparing them.
const UPDATE: &str = "SLUICE_GOLDEN";

/// Compares a transcript with the file `story` with the extension `txt`, or writes that.
///
/// # Errors
/// It is another; where, with the lines around it.
pub fn compare(story: &Path, transcript: &str) -> datatest_stable::Result<()> {
    let golden = story.with_extension("txt");
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&golden, transcript)?;
        return Ok(());
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    if expected != transcript {
        let text = difference(&expected, transcript);
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
