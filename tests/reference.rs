//! `docs/reference`: written from the kinds' schemas and from the command line's own help, by
//! `make golden`; a page that is not what they say fails.
#![allow(clippy::panic, reason = "a test that cannot go on has failed, and says where")]

use std::{fmt::Write, fs, path::Path};

use clap::{Command, CommandFactory};
use serde_json::Value;
use sluice::cli::args::Cli;

/// Set to write the pages instead of comparing them.
const UPDATE: &str = "SLUICE_GOLDEN";

fn compare(file: &str, page: &str) {
    let path = Path::new("docs/reference").join(file);
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, page).expect("the page can be written");
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let line = found.lines().zip(page.lines()).position(|(a, b)| a != b);
    assert!(found == page, "{} is old from line {line:?} on: run make golden", path.display());
}

#[test]
fn the_page_on_the_command_line_is_its_help() {
    let mut page = String::from(
        "# kubectl sluice\n\nThe help of each verb. `kubectl sluice VERB --help` shows the same.\n",
    );
    let mut root = Cli::command().term_width(100);
    root.build();
    verb(&root, 2, &mut page);
    compare("kubectl-sluice.md", &page);
}

fn verb(command: &Command, depth: usize, page: &mut String) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    let help = command.clone().render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    let _ = write!(
        page,
        "\n{} {name}\n\n```text\n{}\n```\n",
        "#".repeat(depth),
        lines.join("\n").trim()
    );
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        verb(below, 3, page);
    }
}

#[test]
fn the_pages_on_the_kinds_are_their_schemas() {
    let mut files: Vec<_> =
        fs::read_dir("crds").expect("crds").flatten().map(|f| f.path()).collect();
    files.retain(|path| path.extension().is_some_and(|kind| kind == "yaml"));
    files.sort();
    for path in files.iter().filter(|path| !path.ends_with("Kustomization")) {
        let text = fs::read_to_string(path).expect("a definition");
        let crd: Value = serde_yaml::from_str(&text).expect("YAML");
        if crd["kind"] != "CustomResourceDefinition" {
            continue;
        }
        let kind = crd["spec"]["names"]["kind"].as_str().expect("a kind");
        let version = &crd["spec"]["versions"][0];
        let schema = &version["schema"]["openAPIV3Schema"];
        let version_name = version["name"].as_str().unwrap_or_default();
        let mut page = format!(
            "# {kind}\n\n`apiVersion: sluice.dev/{version_name}`, `kind: {kind}`. `kubectl explain {}` shows the same.\n",
            kind.to_lowercase()
        );
        for part in ["spec", "status"] {
            let below = &schema["properties"][part];
            if below["properties"].is_object() {
                let _ = write!(page, "\n## {part}\n");
                table(part, below, &mut page);
            }
        }
        compare(&format!("{}.md", kind.to_lowercase()), &page);
    }
}

/// The fields of an object, then those below them, each in a table of its own.
fn table(path: &str, schema: &Value, page: &mut String) {
    let Some(fields) = schema["properties"].as_object() else { return };
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    page.push_str("\n| field | type | what it is |\n|---|---|---|\n");
    for (name, field) in fields {
        let star = if required.contains(&name.as_str()) { " (required)" } else { "" };
        let default = match &field["default"] {
            Value::Null => String::new(),
            value => format!(" Default: `{value}`."),
        };
        let _ = writeln!(
            page,
            "| `{name}`{star} | {} | {}{default} |",
            kind_of(field),
            words(field["description"].as_str().unwrap_or_default()),
        );
    }
    for (name, field) in fields {
        let (path, below) = match field["type"].as_str() {
            Some("array") => (format!("{path}.{name}[]"), &field["items"]),
            _ => (format!("{path}.{name}"), field),
        };
        if below["properties"].as_object().is_some_and(|fields| !fields.is_empty()) {
            let _ = write!(page, "\n### {path}\n");
            table(&path, below, page);
        }
    }
}

fn kind_of(field: &Value) -> String {
    if field["x-kubernetes-int-or-string"] == true {
        return "number or text".to_owned();
    }
    if let Some(values) = field["enum"].as_array() {
        let values: Vec<String> =
            values.iter().filter(|v| !v.is_null()).map(|value| format!("`{value}`")).collect();
        return values.join(", ");
    }
    match field["type"].as_str() {
        Some("array") => format!("list of {}", kind_of(&field["items"])),
        Some("object") if field["additionalProperties"].is_object() => {
            format!("map to {}", kind_of(&field["additionalProperties"]))
        }
        Some(kind) => kind.to_owned(),
        None => "any".to_owned(),
    }
}

/// One line for a cell of a table.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
