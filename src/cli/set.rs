//! `set image`: another image in the pod template, where that stands, as `kubectl set image` does it.

use kube::{
    ResourceExt,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{
    args::{Change, SetImage},
    exit::{Exit, Failure},
    send::{ATTEMPTS, MANAGER, about},
    session::Session,
    workload::Holder,
};

/// The lists of a pod spec that have containers with images.
const LISTS: [&str; 2] = ["containers", "initContainers"];

/// Writes the images, and says what follows.
pub async fn run(session: &mut Session<'_>, args: &SetImage) -> Result<Exit, Failure> {
    let name = &args.name;
    for _ in 0..ATTEMPTS {
        let rollout = session.fetch(name).await?;
        let holder = Holder::of(&rollout).ok_or_else(|| {
            let kind = rollout.spec.workload_ref.as_ref().map_or("", |found| found.kind.as_str());
            let text = format!(
                "spec.workloadRef.kind: found {kind}, allowed are Deployment, ReplicaSet, PodTemplate"
            );
            about(name, &Failure::plain(text))
        })?;
        let read = holder.api(&session.client, &session.namespace).get_opt(&holder.name).await;
        let object = read
            .map_err(|error| Failure::api(&error, &format!("read {}", holder.text())))
            .and_then(|found| {
                let text = format!("{} does not exist; create it first", holder.text());
                found.ok_or_else(|| Failure::plain(text))
            })
            .map_err(|failure| about(name, &failure))?;
        let containers = object.data.pointer(&format!("{}/spec", holder.template));
        let edits = edits(containers.unwrap_or(&Value::Null), &args.changes)
            .map_err(|text| about(name, &Failure::plain(format!("{}: {text}", holder.text()))))?;
        if edits.is_empty() {
            session.say(&format!("{name}: nothing to do: {} has this already", holder.text()))?;
            return Ok(Exit::Done);
        }
        if write(session, &holder, &object, &edits).await.map_err(|error| about(name, &error))? {
            for edit in &edits {
                session.say(&format!("{name}: {}", edit.text()))?;
            }
            let next = format!(
                "Next: `kubectl sluice status {name} -n {} --watch` waits for the end of the release",
                session.namespace
            );
            session.say(&next)?;
            return Ok(Exit::Done);
        }
    }
    let text = format!(
        "others wrote the object with the pod template at the same time, {ATTEMPTS} times in a row, and nothing was written; try again"
    );
    Err(about(name, &Failure::plain(text)))
}

/// One container's new image.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Edit {
    list: &'static str,
    index: usize,
    container: String,
    from: String,
    to: String,
}

impl Edit {
    fn text(&self) -> String {
        format!("container {}: {} -> {}", self.container, self.from, self.to)
    }
}

/// What is to be changed in a pod spec; nothing where it is so already.
fn edits(spec: &Value, changes: &[Change]) -> Result<Vec<Edit>, String> {
    let mut edits = Vec::new();
    let mut names = Vec::new();
    for change in changes {
        let mut found = false;
        for list in LISTS {
            let containers = spec[list].as_array().map_or(&[][..], Vec::as_slice);
            for (index, container) in containers.iter().enumerate() {
                let container_name = container["name"].as_str().unwrap_or_default();
                names.push(container_name.to_owned());
                // As in kubectl, `*` is every container, not the init containers.
                let all = change.container == "*" && list == "containers";
                if !all && change.container != container_name {
                    continue;
                }
                found = true;
                let from = container["image"].as_str().unwrap_or_default();
                if from != change.image {
                    edits.push(Edit {
                        list,
                        index,
                        container: container_name.to_owned(),
                        from: from.to_owned(),
                        to: change.image.clone(),
                    });
                }
            }
        }
        if !found {
            names.sort();
            names.dedup();
            return Err(format!(
                "container: found {}, allowed are {} and *",
                change.container,
                names.join(", ")
            ));
        }
    }
    Ok(edits)
}

/// Writes the images; false if somebody else wrote first.
async fn write(
    session: &Session<'_>,
    holder: &Holder,
    object: &DynamicObject,
    edits: &[Edit],
) -> Result<bool, Failure> {
    // Writing a resource version makes the API server answer 409 unless it is the present one.
    let version = object.resource_version();
    let mut changes =
        vec![json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version})];
    changes.extend(edits.iter().map(|edit| {
        let path = format!("{}/spec/{}/{}/image", holder.template, edit.list, edit.index);
        json!({"op": "add", "path": path, "value": edit.to})
    }));
    let patch = serde_json::from_value(Value::Array(changes))
        .map_err(|error| Failure::plain(format!("cannot encode the images: {error}")))?;
    let patch: Patch<()> = Patch::Json(patch);
    let parameters =
        PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    let api = holder.api(&session.client, &session.namespace);
    match api.patch(&holder.name, &parameters, &patch).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(Failure::api(&error, &format!("write the image to {}", holder.text()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(container: &str, image: &str) -> Change {
        Change { container: container.into(), image: image.into() }
    }

    fn texts(changes: &[Change]) -> Result<Vec<String>, String> {
        let spec = json!({
            "initContainers": [{"name": "migrate", "image": "shop/migrate:v1"}],
            "containers": [
                {"name": "app", "image": "shop/checkout:v1"},
                {"name": "proxy", "image": "shop/proxy:v7"},
            ],
        });
        Ok(edits(&spec, changes)?.iter().map(Edit::text).collect())
    }

    #[test]
    fn containers_are_found_by_name() {
        let both = [change("app", "shop/checkout:v2"), change("migrate", "shop/migrate:v2")];
        assert_eq!(
            texts(&both).unwrap(),
            [
                "container app: shop/checkout:v1 -> shop/checkout:v2",
                "container migrate: shop/migrate:v1 -> shop/migrate:v2"
            ]
        );
        assert_eq!(texts(&[change("*", "x:1")]).unwrap().len(), 2, "not the init containers");
        assert_eq!(texts(&[change("proxy", "shop/proxy:v7")]).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn an_unknown_container_is_named_with_those_that_are_there() {
        let wrong = texts(&[change("web", "x:1")]).unwrap_err();
        assert_eq!(wrong, "container: found web, allowed are app, migrate, proxy and *");
    }
}
