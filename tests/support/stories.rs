//! The scenarios of `tests/scenarios` and the objects that they begin with.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use sluice::{
    cli::manifests,
    sim::scenario::{Bases, Scenario},
};

/// Where they are.
pub const FOLDER: &str = "tests/scenarios";

/// Where the templates are that are shipped.
const SHIPPED: &str = "analysis-templates";

/// The folder of the examples: `given: [examples/…]` are the objects of a folder with a kustomization.
const EXAMPLES: &str = "examples/";

/// Reads a scenario with its objects.
///
/// # Errors
/// It cannot be read: why, with its path.
pub fn read(path: &Path) -> Result<(Scenario, Vec<Value>), String> {
    let of = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = fs::read_to_string(path).map_err(|error| of(&error))?;
    with_objects(Scenario::read(&text).map_err(|error| of(&error))?, path)
}

/// A scenario of the file `path`, with its objects.
///
/// # Errors
/// One of them cannot be read: why, with the path.
pub fn with_objects(scenario: Scenario, path: &Path) -> Result<(Scenario, Vec<Value>), String> {
    let of = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let mut bases = bases()?;
    for name in scenario.given.iter().filter(|name| name.starts_with(EXAMPLES)) {
        let sources = manifests::sources(&[PathBuf::from(name)]).map_err(|error| of(&error))?;
        let texts: Vec<String> = sources.into_iter().map(|source| source.text).collect();
        bases.add(name, &texts.join("\n---\n")).map_err(|error| of(&error))?;
    }
    let objects = scenario.objects(&bases).map_err(|error| of(&error))?;
    Ok((scenario, objects))
}

/// The files of all scenarios, sorted.
pub fn all() -> Vec<PathBuf> {
    let folders = fs::read_dir(FOLDER).into_iter().flatten().flatten();
    let folders = folders.map(|folder| folder.path()).filter(|folder| !folder.ends_with("bases"));
    let mut files: Vec<PathBuf> = folders.flat_map(|folder| yaml_files(&folder)).collect();
    files.sort();
    files
}

/// The files with objects that scenarios begin with: those of `bases` by their names, and the
/// templates that are shipped as `analysis-templates/NAME`.
fn bases() -> Result<Bases, String> {
    let mut bases = Bases::default();
    for (folder, prefix) in [("tests/scenarios/bases", ""), (SHIPPED, "analysis-templates/")] {
        for path in yaml_files(Path::new(folder)) {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
            bases.add(&format!("{prefix}{name}"), &text).map_err(|error| error.to_string())?;
        }
    }
    Ok(bases)
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|kind| kind == "yaml")).collect()
}
