//! The result as text, in files, and the list.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Value, json};

use super::{Converted, Fate, Output};
use crate::cli::exit::Failure;

/// Everything as one text.
pub fn text(all: &[Converted], format: Output) -> Result<String, Failure> {
    if format == Output::Json {
        let items: Vec<&Value> = all.iter().flat_map(|converted| &converted.objects).collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        return Ok(format!("{list:#}\n"));
    }
    let mut documents = Vec::new();
    for converted in all {
        let comments = comments(converted);
        if converted.objects.is_empty() && !comments.is_empty() {
            documents.push(comments.clone());
        }
        for (index, object) in converted.objects.iter().enumerate() {
            let above = if index == 0 { comments.as_str() } else { "" };
            documents.push(format!("{above}{}", yaml(object)?));
        }
    }
    Ok(documents.join("---\n"))
}

fn yaml(object: &Value) -> Result<String, Failure> {
    let text = serde_yaml::to_string(object)
        .map_err(|error| Failure::plain(format!("cannot encode an object: {error}")))?;
    Ok(if text.ends_with('\n') { text } else { format!("{text}\n") })
}

/// The list of one document, as comments.
fn comments(converted: &Converted) -> String {
    let lines = converted.notes.iter().map(|note| {
        let colon = if note.path.is_empty() { "" } else { ": " };
        let text = note.text.replace('\n', " ");
        format!("# {}: {}{colon}{text}\n", note.fate.as_str(), note.path)
    });
    let lines: String = lines.collect();
    if lines.is_empty() {
        return lines;
    }
    format!("# From {} ({}):\n{lines}", converted.subject, converted.place)
}

/// The whole list, for people: what has no equal last, since it asks for something to be done.
pub fn list(all: &[Converted]) -> Vec<String> {
    let mut lines = Vec::new();
    for fate in [Fate::Changed, Fate::Lost] {
        for converted in all {
            for note in converted.notes.iter().filter(|note| note.fate == fate) {
                let at =
                    if note.path.is_empty() { String::new() } else { format!("{}: ", note.path) };
                lines.push(format!("{}: {}: {at}{}", fate.as_str(), converted.subject, note.text));
            }
        }
    }
    lines
}

/// Writes a file for each object, and says which.
pub fn write(
    all: &[Converted],
    folder: &Path,
    format: Output,
    out: &mut dyn std::io::Write,
) -> Result<(), Failure> {
    let failed = |path: &Path, error: &std::io::Error| {
        Failure::plain(format!("--output-dir: cannot write {}: {error}", path.display()))
    };
    fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    let mut names = BTreeSet::new();
    for converted in all {
        for (index, object) in converted.objects.iter().enumerate() {
            let text = match format {
                Output::Json => format!("{object:#}\n"),
                Output::Yaml if index == 0 => format!("{}{}", comments(converted), yaml(object)?),
                Output::Yaml => yaml(object)?,
            };
            let path = folder.join(file_name(object, format, &mut names));
            fs::write(&path, text).map_err(|error| failed(&path, &error))?;
            writeln!(out, "{}", path.display())?;
        }
    }
    Ok(())
}

/// `rollout-checkout.yaml`; a second one of that name has a number.
fn file_name(object: &Value, format: Output, names: &mut BTreeSet<String>) -> String {
    let text = |at: &str| object.pointer(at).and_then(Value::as_str).unwrap_or("object");
    let base = format!("{}-{}", text("/kind").to_lowercase(), text("/metadata/name"));
    let base: String = base
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-.".contains(c) { c } else { '-' })
        .collect();
    let ending = if format == Output::Json { "json" } else { "yaml" };
    let mut name = format!("{base}.{ending}");
    let mut number = 2;
    while !names.insert(name.clone()) {
        name = format!("{base}-{number}.{ending}");
        number += 1;
    }
    name
}
