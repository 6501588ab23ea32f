//! What the documents show: sessions are those of `tests/console`, every `kubectl sluice` line is one
//! that the plugin takes, and pieces of a spec have only fields that exist.
#![allow(clippy::panic, reason = "a test that cannot go on has failed, and says where")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{CommandFactory, Parser};
use serde_json::Value;
use sluice::{api::Strategy, cli::args::Cli};

/// A fenced block: its language, its text, and the line before it.
struct Block {
    place: String,
    language: String,
    text: String,
    before: String,
}

fn documents() -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("README.md")];
    let mut folders = vec![PathBuf::from("docs"), PathBuf::from("examples")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "md") {
                found.push(path);
            }
        }
    }
    found
}

fn blocks(path: &Path) -> Vec<Block> {
    let text = fs::read_to_string(path).expect("a document");
    let (mut blocks, mut open, mut before): (Vec<Block>, Option<Block>, String) =
        Default::default();
    for (index, line) in text.lines().enumerate() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(language)) => {
                let place = format!("{}:{}", path.display(), index + 1);
                let (language, before) = (language.to_owned(), std::mem::take(&mut before));
                open = Some(Block { place, language, text: String::new(), before });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => line.clone_into(&mut before),
        }
    }
    blocks
}

fn all() -> Vec<Block> {
    documents().iter().flat_map(|path| blocks(path)).collect()
}

#[test]
fn sessions_are_those_that_were_played() {
    let mut shown = 0;
    for block in all().iter().filter(|block| block.language == "console") {
        let name =
            block.before.strip_prefix("<!-- session: ").and_then(|it| it.strip_suffix(" -->"));
        let name =
            name.unwrap_or_else(|| panic!("{}: which session of tests/console?", block.place));
        let played = fs::read_to_string(format!("tests/console/{name}.txt")).expect("a session");
        for command in block.text.trim_end().split("\n\n$ ") {
            let command = command.strip_prefix("$ ").unwrap_or(command);
            assert!(
                played.contains(&format!("\n$ {command}\n")),
                "{}: this is otherwise in tests/console/{name}.txt:\n{command}",
                block.place
            );
            shown += 1;
        }
    }
    assert!(shown > 10, "the documents show sessions");
}

#[test]
fn the_plugin_takes_every_line_that_is_shown() {
    for block in all().iter().filter(|block| ["", "sh", "shell"].contains(&block.language.as_str()))
    {
        for line in
            block.text.lines().filter_map(|line| line.trim().strip_prefix("kubectl sluice "))
        {
            let line = line.split(" #").next().unwrap_or_default().trim();
            if line.ends_with('\\') || line.contains(['|', '>', '"']) {
                continue;
            }
            // Words in capitals stand for names.
            let words = line.split_whitespace().map(|word| {
                if word.chars().all(|c| c.is_ascii_uppercase()) {
                    word.to_lowercase()
                } else {
                    word.to_owned()
                }
            });
            let words = std::iter::once("kubectl-sluice".to_owned()).chain(words);
            if let Err(error) = Cli::try_parse_from(words) {
                assert!(!error.use_stderr(), "{}: {line}: {error}", block.place);
            }
        }
    }
}

/// The files below these folders that end so.
fn texts(folders: &[&str], ends: &[&str]) -> String {
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("a folder").flatten());
    let files = files
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|kind| ends.iter().any(|end| kind == *end)));
    let texts: Vec<String> = files.map(|path| fs::read_to_string(path).expect("a text")).collect();
    texts.join("\n").replace("\\\n", " ")
}

/// What tests do with `kubectl sluice`: in transcripts, in the scripts of pipelines, and in the lines
/// that tests on a real cluster give to it.
fn played() -> Vec<String> {
    let transcripts = texts(&["tests/console", "tests/backtesting"], &["txt"]);
    let transcripts = transcripts.lines().filter_map(|line| line.strip_prefix("$ kubectl sluice "));
    let scripts = texts(&["examples/pipelines"], &["sh"]);
    let scripts = scripts.lines().filter_map(|line| line.trim().strip_prefix("kubectl sluice "));
    let tests = texts(&["tests/e2e", "tests"], &["rs"]);
    let verbs = Cli::command();
    let tests = tests.split('"').filter(|text| {
        let verb = text.split(' ').next().filter(|verb| verb.len() < text.len());
        verb.is_some_and(|verb| verbs.find_subcommand(verb).is_some()) && !text.contains('\n')
    });
    transcripts.chain(scripts).chain(tests).map(str::to_owned).collect()
}

/// The words of a line that say what is done: verbs, flags and existing files, without values.
fn done(line: &str) -> Vec<&str> {
    let words = line.split_whitespace().enumerate().filter_map(|(index, word)| {
        let word = word.split('=').next().unwrap_or_default();
        (index == 0 || word.starts_with('-') || Path::new(word).exists()).then_some(word)
    });
    words.collect()
}

#[test]
fn every_line_that_is_shown_is_played_with_its_flags() {
    let played = played();
    let (mut looked, mut missing) = (0, Vec::new());
    for path in documents().iter().filter(|path| !path.starts_with("docs/reference")) {
        let text = fs::read_to_string(path).expect("a document");
        let spans = text.split('`').skip(1).step_by(2);
        let lines = spans.chain(text.lines().map(str::trim));
        for line in lines.filter_map(|line| line.strip_prefix("kubectl sluice ")) {
            let line = line.split(" #").next().unwrap_or_default();
            let shown = done(line);
            looked += 1;
            if !played.iter().any(|line| shown.iter().all(|word| done(line).contains(word))) {
                missing.push(format!("{}: kubectl sluice {line}", path.display()));
            }
        }
    }
    assert!(looked > 30, "the documents show commands");
    assert!(missing.is_empty(), "no session of tests/console has\n{}", missing.join("\n"));
}

#[test]
fn every_verb_is_played() {
    let played = played();
    let command = Cli::command();
    for verb in command.get_subcommands().map(clap::Command::get_name) {
        assert!(
            played.iter().any(|line| done(line).first() == Some(&verb)),
            "no session has {verb}"
        );
    }
}

#[test]
fn strategies_that_are_shown_have_only_fields_that_exist() {
    let mut checked = 0;
    for block in all().iter().filter(|block| block.language == "yaml") {
        let document: Value = serde_yaml::from_str(&block.text)
            .unwrap_or_else(|error| panic!("{}: {error}", block.place));
        let strategy = &document["strategy"];
        if strategy.is_null() {
            continue;
        }
        let typed: Strategy = serde_json::from_value(strategy.clone())
            .unwrap_or_else(|error| panic!("{}: {error}", block.place));
        let known = serde_json::to_value(&typed).expect("JSON");
        let lost = lost(strategy, &known);
        assert!(lost.is_empty(), "{}: no such field: {lost:?}", block.place);
        checked += 1;
    }
    assert!(checked >= 3, "each strategy has its page");
}

/// The fields of `written` that `known` has not.
fn lost(written: &Value, known: &Value) -> Vec<String> {
    match (written, known) {
        (Value::Object(written), Value::Object(known)) => written
            .iter()
            .flat_map(|(name, value)| match known.get(name) {
                None => vec![name.clone()],
                Some(known) => lost(value, known),
            })
            .collect(),
        (Value::Array(written), Value::Array(known)) => {
            written.iter().zip(known).flat_map(|(written, known)| lost(written, known)).collect()
        }
        _ => Vec::new(),
    }
}
