//! The house's rules that no compiler knows: which module may use what, and that nothing is left
//! lying about. A rule that must be broken is changed here, with its reason.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};

use sluice::cli::crds;

/// What each top-level module may use of ours. Data flows one way: observe → world → plan → apply.
const MAY_USE: [(&str, &[&str]); 11] = [
    ("api", &[]),
    ("world", &["api"]),
    ("traffic", &["api"]),
    ("analysis", &["api"]),
    ("plan", &["api", "world", "traffic", "analysis"]),
    ("observe", &["api", "world", "traffic", "analysis"]),
    ("apply", &["api", "world", "plan", "observe"]),
    // Buttons in Slack ask the API server, and their refusals name missing rights.
    ("notify", &["api", "world", "observe", "apply"]),
    ("server", &["api", "observe", "notify"]),
    (
        "controller",
        &["api", "world", "traffic", "analysis", "plan", "observe", "apply", "notify", "server"],
    ),
    (
        "sim",
        &[
            "api",
            "world",
            "traffic",
            "analysis",
            "plan",
            "observe",
            "apply",
            "notify",
            "server",
            "controller",
        ],
    ),
];

/// The modules that decide. They are functions of their input, so that tests can be tables.
const PURE: [&str; 4] = ["src/plan/", "src/traffic/", "src/world/", "src/analysis/"];

/// The part of `analysis` that talks to others.
const PROVIDER: &str = "src/analysis/provider";

/// What pure modules do without.
const IMPURE: [(&str, &str); 10] = [
    ("kube::", "a client; only the types of k8s_openapi are plain data"),
    ("tokio", "a runtime"),
    ("tracing", "a log; what is to be said belongs into the result"),
    ("reqwest", "a client"),
    ("Instant", "a clock; the time is `world.now`, or an argument"),
    ("SystemTime", "a clock; the time is `world.now`, or an argument"),
    ("Timestamp::now", "a clock; the time is `world.now`, or an argument"),
    ("rand", "a source of chance"),
    ("HashMap", "an order by chance; use BTreeMap"),
    ("HashSet", "an order by chance; use BTreeSet"),
];

/// Where the time is read: the controller's clock, and the edge of the plugin.
const CLOCKS: [&str; 2] = ["src/controller/clock.rs", "src/bin/kubectl-sluice.rs"];

/// Lines that a file may have.
const LONGEST_FILE: usize = 500;

/// Files that may have more, each with its reason.
const LONGER: [(&str, &str); 0] = [];

/// Bytes that a definition may have as JSON: `kubectl apply` copies it so into an annotation.
const LARGEST_DEFINITION: usize = 100 * 1024;

#[test]
fn what_decides_is_pure() {
    let mut breaches = Vec::new();
    for (path, text) in sources("src") {
        let pure = PURE.iter().any(|folder| path.starts_with(folder));
        if !pure || path.starts_with(PROVIDER) {
            continue;
        }
        for (number, line) in code(&text) {
            for (word, what) in IMPURE.iter().filter(|(word, _)| has_word(line, word)) {
                breaches.push(format!("{path}:{number} uses `{word}`: {what}"));
            }
        }
    }
    none(&breaches, "pure modules stay pure; I/O belongs into observe, apply or the controller");
}

#[test]
fn modules_depend_in_one_direction() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_USE.into();
    let mut breaches = Vec::new();
    for (path, text) in sources("src") {
        let mut parts = path.trim_start_matches("src/").split(['/', '.']);
        let Some(module) = parts.next().filter(|name| !["lib", "bin", "cli"].contains(name)) else {
            continue;
        };
        let Some(allowed) = allowed.get(module) else {
            breaches.push(format!("{path}: module `{module}` is not in MAY_USE"));
            continue;
        };
        for used in ours(&text) {
            if used != module && !allowed.contains(&used.as_str()) {
                breaches.push(format!(
                    "{path}: `{module}` uses `{used}`, but may use {}",
                    list(allowed)
                ));
            }
        }
    }
    none(&breaches, "see the table MAY_USE");
}

#[test]
fn every_file_is_declared() {
    let manifest = read("Cargo.toml");
    let mut roots: Vec<String> = manifest
        .lines()
        .filter_map(|line| Some(line.strip_prefix("path = \"")?.trim_end_matches('"').to_owned()))
        .collect();
    roots.push("src/lib.rs".to_owned());
    let all: BTreeSet<String> =
        sources("src").into_keys().chain(sources("tests").into_keys()).collect();
    // Cargo finds these by itself.
    roots.extend(all.iter().filter(|path| is_test_target(path)).cloned());
    let mut declared = BTreeSet::new();
    while let Some(path) = roots.pop() {
        if declared.insert(path.clone()) {
            roots.extend(modules(&path));
        }
    }
    let lost: Vec<String> = all.difference(&declared).cloned().collect();
    none(&lost, "no module declares these files, so they are not compiled and their tests not run");
}

#[test]
fn the_definitions_are_those_of_the_code() {
    let mut expected = BTreeSet::from(["Kustomization".to_owned()]);
    for definition in crds::definitions().unwrap() {
        let (name, text) = crds::file(&definition).unwrap();
        let found = fs::read_to_string(root().join("crds").join(&name)).unwrap_or_default();
        assert!(found == text, "crds/{name} is not what src/api generates: run `make crds`");
        let size = serde_json::to_vec(&definition).unwrap().len();
        assert!(
            size < LARGEST_DEFINITION,
            "crds/{name} has {size} bytes as JSON; allowed are {LARGEST_DEFINITION}"
        );
        let listed = read("crds/Kustomization");
        assert!(listed.contains(&format!("- {name}\n")), "crds/Kustomization lacks {name}");
        expected.insert(name);
    }
    let found: BTreeSet<String> = files("crds").into_iter().map(|path| path[5..].into()).collect();
    assert_eq!(found, expected, "crds/ has one file for each kind, and Kustomization");
}

#[test]
fn the_files_that_documents_name_are_there() {
    let mut lost = Vec::new();
    for page in files("docs") {
        let text = read(&page);
        let folder = root().join(&page).parent().map(Path::to_path_buf).unwrap_or_default();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        let files = links.filter(|link| !link.is_empty() && !link.contains(':'));
        let gone = files.filter(|link| !folder.join(link).exists());
        lost.extend(gone.map(|link| format!("{page} names {link}, which does not exist")));
    }
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

#[test]
fn the_mutants_still_fit_the_sources() {
    let mut rotten = Vec::new();
    for path in files("tests/mutants") {
        let patch = read(&path);
        if !patch.starts_with("lesson ") && !patch.starts_with("DESIGN ") {
            rotten.push(format!("{path}: the first line does not say whose bug it is"));
        }
        let mut source = String::new();
        for part in patch.split("\n--- a/").skip(1) {
            let (file, hunks) = part.split_once('\n').unwrap_or_default();
            source = read(file);
            for hunk in hunks.split("\n@@ ").skip(1) {
                let lines = hunk.lines().skip(1).filter(|line| line.starts_with([' ', '-']));
                let old: Vec<&str> = lines.map(|line| &line[1..]).collect();
                if !source.contains(&old.join("\n")) {
                    rotten.push(format!("{path}: {file} has changed: {}", old[0].trim()));
                }
            }
        }
        if source.is_empty() {
            rotten.push(format!("{path}: no source is changed"));
        }
    }
    none(&rotten, "plant the bug anew");
}

#[test]
fn files_are_short() {
    let mut breaches = Vec::new();
    let exceptions: BTreeMap<&str, &str> = LONGER.into();
    for (path, text) in sources("src").into_iter().chain(sources("tests")) {
        let lines = text.lines().count();
        if lines > LONGEST_FILE && !exceptions.contains_key(path.as_str()) {
            breaches.push(format!("{path} has {lines} lines"));
        }
    }
    none(&breaches, "a file has at most 500 lines: split it by what it is about");
}

#[test]
fn the_time_is_read_in_one_place() {
    let mut breaches = Vec::new();
    for (path, text) in sources("src") {
        for (number, line) in code(&text) {
            let reads = has_word(line, "Timestamp::now") || has_word(line, "SystemTime::now");
            if reads && !CLOCKS.contains(&path.as_str()) {
                breaches.push(format!("{path}:{number}"));
            }
        }
    }
    none(&breaches, "these read the clock; take a `Clock`, or the time as an argument");
}

#[test]
fn the_scanner_sees_what_it_should() {
    let text = "use crate::{\n    api::{Note, Phase},\n    plan,\n};\n// crate::cli\nlet x = crate::world::World;\n";
    let found: Vec<String> = ours(text).into_iter().collect();
    assert_eq!(found, ["api", "plan", "world"]);
    assert!(has_word("use kube::Api;", "kube::"));
    assert!(!has_word("use mykube::Api;", "kube::"));
    assert!(!has_word("operand", "rand"));
}

// === sources

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}

/// Every file below `folder`, as a path from the root.
fn files(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(root().join(&folder)).expect("a folder of the repository");
        for entry in entries {
            let entry = entry.expect("an entry of a folder");
            let path = folder.join(entry.file_name());
            if entry.file_type().expect("a file type").is_dir() {
                folders.push(path);
            } else {
                found.push(path.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

/// Every Rust file below `folder` with its text.
fn sources(folder: &str) -> BTreeMap<String, String> {
    let rust = files(folder)
        .into_iter()
        .filter(|path| Path::new(path).extension().is_some_and(|kind| kind == "rs"));
    rust.map(|path| (path.clone(), read(&path))).collect()
}

/// The lines that are not comments, counted from 1.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn has_word(line: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let after = &line[at + word.len()..];
        !line[..at].ends_with(inside) && (word.ends_with(':') || !after.starts_with(inside))
    })
}

/// The top-level modules of ours that a file names by `crate::`.
fn ours(text: &str) -> BTreeSet<String> {
    let text: String = code(text).flat_map(|(_, line)| [line, "\n"]).collect();
    let mut found = BTreeSet::new();
    for (at, start) in text.match_indices("crate::") {
        let rest = &text[at + start.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            found.extend(first_segments(group));
        } else {
            found.insert(name_at(rest));
        }
    }
    found.retain(|name| name.starts_with(|c: char| c.is_ascii_lowercase()));
    found
}

/// The first segment of each path in `a::b, c::{d, e}, f}`.
fn first_segments(group: &str) -> Vec<String> {
    let mut found = vec![name_at(group)];
    let mut depth = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => found.push(name_at(&group[at + 1..])),
            _ => {}
        }
    }
    found
}

fn name_at(text: &str) -> String {
    let text = text.trim_start();
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn is_test_target(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    matches!(parts[..], ["tests", _] | ["tests", _, "main.rs"])
}

/// The files that the modules declared in `path` may be in.
fn modules(path: &str) -> Vec<String> {
    let path = Path::new(path);
    let folder = path.parent().expect("a file is in a folder");
    let stem = path.file_stem().expect("a file has a name").to_string_lossy();
    let is_root = ["lib", "main", "mod"].contains(&&*stem)
        || folder == Path::new("src/bin")
        || folder == Path::new("tests");
    let below = if is_root { folder.to_owned() } else { folder.join(&*stem) };
    let text = fs::read_to_string(root().join(path)).unwrap_or_default();
    let mut found = Vec::new();
    let mut elsewhere = None;
    for (_, line) in code(&text) {
        let line = line.trim();
        if let Some(place) = line.strip_prefix("#[path = \"") {
            elsewhere = Some(normal(&folder.join(place.trim_end_matches("\"]"))));
            continue;
        }
        let words: Vec<&str> = line.trim_end_matches(';').split(' ').collect();
        let at = words.iter().position(|word| *word == "mod");
        let Some(name) = at.and_then(|at| words.get(at + 1)).filter(|_| line.ends_with(';')) else {
            continue;
        };
        if let Some(place) = elsewhere.take() {
            found.push(place);
        } else {
            found.push(below.join(format!("{name}.rs")));
            found.push(below.join(name).join("mod.rs"));
        }
    }
    let found = found.into_iter().filter(|path| root().join(path).is_file());
    found.map(|path| path.to_string_lossy().into_owned()).collect()
}

/// A path without `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir {
            normal.pop();
        } else {
            normal.push(part);
        }
    }
    normal
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "nothing of ours".to_owned() } else { names.join(", ") }
}

/// Fails with every breach on a line of its own.
fn none(breaches: &[String], rule: &str) {
    assert!(breaches.is_empty(), "{rule}:\n  {}", breaches.join("\n  "));
}
