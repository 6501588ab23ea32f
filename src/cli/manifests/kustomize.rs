//! Folders with a `kustomization.yaml`: the part of Kustomize that most overlays are made of.
//!
//! In: a folder. Out: its manifests as `kubectl kustomize` would print them, each with the file that it
//! comes from. What is not understood is refused, never passed over: `kubectl kustomize FOLDER |
//! sluice simulate -` takes everything.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Value, json};

use super::Source;
use crate::sim::api::{patch, resource};

/// The names that Kustomize looks for.
const FILES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Folders below each other: more are a circle.
const DEEPEST: usize = 20;

/// Kinds in no namespace, beside those that the simulated API server serves.
const CLUSTER_WIDE: [&str; 6] = [
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "PersistentVolume",
    "PriorityClass",
    "StorageClass",
];

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Kustomization {
    api_version: String,
    kind: String,
    metadata: Value,
    namespace: Option<String>,
    resources: Vec<String>,
    patches: Vec<Patch>,
    images: Vec<Image>,
    replicas: Vec<Replicas>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Patch {
    path: Option<String>,
    #[serde(rename = "patch")]
    inline: Option<String>,
    target: Option<Target>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Target {
    kind: Option<String>,
    name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Image {
    name: String,
    new_name: Option<String>,
    new_tag: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Replicas {
    name: String,
    count: u32,
}

/// The objects of one file.
struct File {
    name: String,
    objects: Vec<Value>,
}

/// The kustomization of a folder, if it has one.
pub(super) fn file_of(folder: &Path) -> Option<PathBuf> {
    FILES.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

/// The manifests of the folder of a kustomization.
///
/// # Errors
/// What cannot be read or is not understood, in a sentence.
pub(super) fn build(kustomization: &Path) -> Result<Vec<Source>, String> {
    let files = files(kustomization, 0)?;
    let source = |file: File| {
        let texts: Vec<String> = file.objects.iter().map(Value::to_string).collect();
        Source { name: file.name, text: texts.join("\n---\n") }
    };
    Ok(files.into_iter().map(source).collect())
}

fn files(path: &Path, depth: usize) -> Result<Vec<File>, String> {
    let place = path.display();
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let read: Kustomization = serde_yaml::from_str(&text(path)?).map_err(|error| {
        format!(
            "{place}: {error}; for all of Kustomize: kubectl kustomize {} | sluice simulate -",
            folder.display()
        )
    })?;
    if depth > DEEPEST {
        return Err(format!("{place}: more than {DEEPEST} folders lead here; they form a circle"));
    }
    let mut found = Vec::new();
    for (index, name) in read.resources.iter().enumerate() {
        let path = plain(&folder.join(name));
        if path.is_dir() {
            let below = file_of(&path).ok_or_else(|| {
                format!(
                    "{place}: resources[{index}]: found folder {name} without a kustomization.yaml"
                )
            })?;
            found.extend(files(&below, depth + 1)?);
        } else {
            let objects = documents(&path)?;
            found.push(File { name: path.display().to_string(), objects });
        }
    }
    for (index, patch) in read.patches.iter().enumerate() {
        apply(patch, folder, &mut found).map_err(|e| format!("{place}: patches[{index}]: {e}"))?;
    }
    if let Some(namespace) = &read.namespace {
        for object in found.iter_mut().flat_map(|file| &mut file.objects) {
            set_namespace(object, namespace);
        }
    }
    for (index, replicas) in read.replicas.iter().enumerate() {
        scale(replicas, &mut found).map_err(|e| format!("{place}: replicas[{index}]: {e}"))?;
    }
    for image in &read.images {
        for object in found.iter_mut().flat_map(|file| &mut file.objects) {
            set_images(object, image);
        }
    }
    Ok(found)
}

/// The path without folders that it leaves again.
fn plain(path: &Path) -> PathBuf {
    let mut found = PathBuf::new();
    for part in path.components() {
        let leaves = matches!(found.components().next_back(), Some(Component::Normal(_)));
        if part == Component::ParentDir && leaves {
            found.pop();
        } else {
            found.push(part);
        }
    }
    found
}

fn text(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn documents(path: &Path) -> Result<Vec<Value>, String> {
    let parsed: Vec<Value> = serde_yaml::from_multiple(&text(path)?)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(parsed.into_iter().filter(|object| !object.is_null()).collect())
}

fn apply(patch: &Patch, folder: &Path, files: &mut [File]) -> Result<(), String> {
    let text = match (&patch.path, &patch.inline) {
        (Some(file), None) => text(&folder.join(file))?,
        (None, Some(text)) => text.clone(),
        _ => return Err("found both or neither of path and patch, allowed is one".to_owned()),
    };
    let what: Value = serde_yaml::from_str(&text).map_err(|error| error.to_string())?;
    let named = |field: &str, value: &Value| value[field].as_str().map(str::to_owned);
    let own = Target { kind: named("kind", &what), name: named("name", &what["metadata"]) };
    let target = patch.target.as_ref().unwrap_or(&own);
    let is = |object: &Value| {
        let same = |wanted: &Option<String>, found: &Value| {
            wanted.as_ref().is_none_or(|wanted| *found == **wanted)
        };
        same(&target.kind, &object["kind"]) && same(&target.name, &object["metadata"]["name"])
    };
    let deletes = what["$patch"] == "delete";
    let mut count = 0;
    for file in files {
        let found = file.objects.iter_mut().filter(|object| is(object));
        for object in found {
            *object = patched(object, &what)?;
            count += 1;
        }
        if deletes {
            file.objects.retain(|object| !is(object));
        }
    }
    if count == 0 {
        let word = |word: &Option<String>| word.clone().unwrap_or_else(|| "any".to_owned());
        return Err(format!(
            "found no object of kind {} and name {} to change",
            word(&target.kind),
            word(&target.name)
        ));
    }
    Ok(())
}

/// The object after a patch: operations on paths if it is a list, else laid over it.
fn patched(object: &Value, what: &Value) -> Result<Value, String> {
    if what["$patch"] == "delete" {
        return Ok(object.clone());
    }
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let builtin = resource::of_kind(text("apiVersion"), text("kind")).filter(|kind| !kind.custom);
    let form = match (what.is_array(), builtin) {
        (true, _) => patch::Form::Json,
        (false, Some(_)) => patch::Form::Strategic,
        (false, None) => patch::Form::Merge,
    };
    let kind = builtin.unwrap_or(&resource::ROLLOUT);
    patch::patched(form, kind, object, what).map_err(|refusal| refusal.message)
}

fn set_namespace(object: &mut Value, namespace: &str) {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    if text("kind") == "Namespace" {
        object["metadata"]["name"] = json!(namespace);
        return;
    }
    let served = resource::of_kind(text("apiVersion"), text("kind"));
    if served.map_or_else(|| !CLUSTER_WIDE.contains(&text("kind")), |kind| kind.namespaced) {
        object["metadata"]["namespace"] = json!(namespace);
    }
    let subjects = object.get_mut("subjects").and_then(Value::as_array_mut);
    for subject in subjects.into_iter().flatten() {
        if subject["kind"] == "ServiceAccount" {
            subject["namespace"] = json!(namespace);
        }
    }
}

fn scale(replicas: &Replicas, files: &mut [File]) -> Result<(), String> {
    let kinds = ["Deployment", "ReplicaSet", "StatefulSet"];
    let mut found = 0;
    for object in files.iter_mut().flat_map(|file| &mut file.objects) {
        let kind = object["kind"].as_str().unwrap_or_default();
        if kinds.contains(&kind) && object["metadata"]["name"] == *replicas.name {
            object["spec"]["replicas"] = json!(replicas.count);
            found += 1;
        }
    }
    if found == 0 {
        let kinds = kinds.join(", ");
        return Err(format!("found `{}`, allowed is the name of a {kinds}", replicas.name));
    }
    Ok(())
}

/// Wherever there are containers.
fn set_images(value: &mut Value, image: &Image) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if matches!(name.as_str(), "containers" | "initContainers") {
                    for container in field.as_array_mut().into_iter().flatten() {
                        if let Some(found) = container["image"].as_str() {
                            container["image"] = json!(renamed(found, image));
                        }
                    }
                } else {
                    set_images(field, image);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| set_images(item, image)),
        _ => {}
    }
}

fn renamed(found: &str, image: &Image) -> String {
    let bare = found.split('@').next().unwrap_or_default();
    let (name, tag) = match bare.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (bare, None),
    };
    if name != image.name {
        return found.to_owned();
    }
    let name = image.new_name.as_deref().unwrap_or(name);
    match image.new_tag.as_deref().or(tag) {
        Some(tag) => format!("{name}:{tag}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes files into a folder of their own.
    fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("sluice-{name}-{}", std::process::id()));
        for (name, text) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn built(name: &str, files: &[(&str, &str)]) -> Result<Vec<Value>, String> {
        let folder = folder(name, files);
        let built = build(&folder.join("top/kustomization.yaml"));
        fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
        let text = built?.into_iter().map(|source| source.text).collect::<Vec<_>>().join("\n---\n");
        serde_yaml::from_multiple(&text).map_err(|error| error.to_string())
    }

    const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 1\n  template:\n    spec:\n      containers:\n      - {name: side, image: side:1}\n      - {name: web, image: 'host:5000/web:1'}\n---\napiVersion: sluice.dev/v1alpha1\nkind: Rollout\nmetadata: {name: web}\nspec: {replicas: 1, minReadySeconds: 5}\n";
    const BASE: &str = "resources: [web.yaml]\n";

    #[test]
    fn an_overlay_changes_its_base() {
        let top = "namespace: shop\nresources: [../base]\nreplicas: [{name: web, count: 3}]\nimages: [{name: 'host:5000/web', newTag: '2'}]\npatches:\n- path: limits.yaml\n- target: {kind: Rollout}\n  patch: |-\n    - {op: replace, path: /spec/replicas, value: 4}\n- patch: '{kind: Rollout, metadata: {name: web}, spec: {minReadySeconds: null}}'\n";
        let limits = "kind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: web, workingDir: /a}]}}}\n";
        let found = built(
            "overlay",
            &[
                ("base/web.yaml", DEPLOYMENT),
                ("base/kustomization.yaml", BASE),
                ("top/kustomization.yaml", top),
                ("top/limits.yaml", limits),
            ],
        )
        .unwrap();
        let containers = &found[0]["spec"]["template"]["spec"]["containers"];
        assert_eq!(found[0]["spec"]["replicas"], 3);
        let find = |name: &str| {
            containers.as_array().unwrap().iter().find(|c| c["name"] == name).cloned().unwrap()
        };
        assert_eq!(find("side")["image"], "side:1");
        assert_eq!(
            find("web"),
            json!({"name": "web", "image": "host:5000/web:2", "workingDir": "/a"})
        );
        assert_eq!(found[1]["spec"], json!({"replicas": 4}));
        assert_eq!(found[1]["metadata"]["namespace"], "shop");
    }

    #[test]
    fn what_is_not_understood_is_refused_with_a_way_out() {
        let of = |name: &str, top: &str| {
            let files = [("top/web.yaml", DEPLOYMENT), ("top/kustomization.yaml", top)];
            built(name, &files).unwrap_err()
        };
        let found = of("unknown", "resources: [web.yaml]\nnamePrefix: a-\n");
        assert!(found.contains("namePrefix") && found.contains("kubectl kustomize"), "{found}");
        let found =
            of("patch", "resources: [web.yaml]\npatches: [{target: {kind: Job}, patch: 'a: 1'}]\n");
        assert!(
            found.ends_with("patches[0]: found no object of kind Job and name any to change"),
            "{found}"
        );
        let found = of("replicas", "resources: [web.yaml]\nreplicas: [{name: web2, count: 1}]\n");
        assert!(found.contains("replicas[0]: found `web2`, allowed is the name of"), "{found}");
        let found = of("circle", "resources: [../top]\n");
        assert!(found.contains("form a circle"), "{found}");
        let found = of("missing", "resources: [nothing.yaml]\n");
        assert!(found.contains("nothing.yaml: "), "{found}");
    }
}
