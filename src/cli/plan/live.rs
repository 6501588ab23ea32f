//! The objects of a Rollout in the cluster, as manifests: what Sluice added to them is taken off again.

use std::collections::BTreeSet;

use kube::api::{DynamicObject, ListParams};
use serde_json::{Map, Value, json};

use crate::{
    api::{COMMAND_ANNOTATION, GROUP, REVISION_LABEL, Rollout},
    cli::{
        exit::Failure,
        session::{Session, typed},
    },
    sim::api::{Resource, resource},
    traffic::istio::host::service_of,
    world::{Program, WorkloadKind},
};

/// What was found.
pub struct Found {
    /// All objects that make a difference, as manifests.
    pub objects: Vec<Value>,
    /// What people should know of the difference to the cluster.
    pub notes: Vec<String>,
}

/// Reads the Rollout and all that it names.
pub async fn read(session: &Session<'_>, name: &str) -> Result<Found, Failure> {
    let object = session.fetch_raw(name).await?;
    let rollout = typed(object.clone())?;
    let mut reader =
        Reader { session, objects: Vec::new(), seen: BTreeSet::new(), notes: Vec::new() };
    reader.add(&resource::ROLLOUT, object)?;
    if rollout.spec.paused {
        reader.notes.push("spec.paused is true: nothing of this happens until it is false".into());
    }
    reader.named(&rollout).await?;
    reader.around().await?;
    let Reader { mut objects, notes, .. } = reader;
    let stand_ins = secrets(&objects, &session.namespace);
    objects.extend(stand_ins);
    Ok(Found { objects, notes })
}

struct Reader<'a, 'b> {
    session: &'a Session<'b>,
    objects: Vec<Value>,
    seen: BTreeSet<(&'static str, String, String)>,
    notes: Vec<String>,
}

impl Reader<'_, '_> {
    /// What the spec names.
    async fn named(&mut self, rollout: &Rollout) -> Result<(), Failure> {
        let namespace = self.session.namespace.clone();
        let program = Program::new(&rollout.spec);
        for service in program.stable_service.iter().chain(&program.canary_service) {
            self.get(&resource::SERVICE, &namespace, service).await?;
        }
        if let Some(reference) = &rollout.spec.workload_ref
            && WorkloadKind::named(&reference.kind).is_some()
            && let Some(resource) = resource::of_kind(&reference.api_version, &reference.kind)
        {
            self.get(resource, &namespace, &reference.name).await?;
        }
        let Some(istio) = program.istio() else { return Ok(()) };
        for route in &istio.virtual_services {
            let owner = route.namespace.as_deref().unwrap_or(&namespace);
            self.get(&resource::VIRTUAL_SERVICE, owner, &route.name).await?;
        }
        if let Some(rule) = &istio.destination_rule {
            self.get(&resource::DESTINATION_RULE, &namespace, &rule.name).await?;
            let host = self.objects.iter().filter(|object| object["kind"] == "DestinationRule");
            let mut host = host.filter_map(|rule| rule["spec"]["host"].as_str());
            let service = host.find_map(|host| service_of(host, &namespace));
            if let Some((owner, name)) = service.map(|(a, b)| (a.to_owned(), b.to_owned())) {
                self.get(&resource::SERVICE, &owner, &name).await?;
            }
        }
        Ok(())
    }

    /// What else makes a difference: templates, quotas, limits.
    async fn around(&mut self) -> Result<(), Failure> {
        let namespace = self.session.namespace.clone();
        for kind in [
            &resource::ANALYSIS_TEMPLATE,
            &resource::RESOURCE_QUOTA,
            &resource::LIMIT_RANGE,
            &resource::CLUSTER_ANALYSIS_TEMPLATE,
            &resource::PRIORITY_CLASS,
        ] {
            match self.session.objects(kind, &namespace).list(&ListParams::default()).await {
                Ok(list) => {
                    for object in list.items {
                        self.add(kind, object)?;
                    }
                }
                Err(error) => {
                    let doing = format!("read the {}", kind.plural);
                    self.notes.push(Failure::api(&error, &doing).text);
                }
            }
        }
        let accounts: BTreeSet<String> = self.objects.iter().filter_map(account).collect();
        let present = accounts.into_iter().map(|name| {
            json!({"apiVersion": "v1", "kind": "ServiceAccount",
                   "metadata": {"name": name, "namespace": namespace}})
        });
        self.objects.extend(present);
        Ok(())
    }

    /// Adds an object if it exists: what is missing is told when all are checked.
    async fn get(
        &mut self,
        kind: &'static Resource,
        namespace: &str,
        name: &str,
    ) -> Result<(), Failure> {
        if !self.seen.insert((kind.kind, namespace.to_owned(), name.to_owned())) {
            return Ok(());
        }
        let found = self.session.objects(kind, namespace).get_opt(name).await;
        let doing = format!("read {} {namespace}/{name}", kind.kind);
        match found.map_err(|error| Failure::api(&error, &doing))? {
            Some(object) => self.add(kind, object),
            None => Ok(()),
        }
    }

    fn add(&mut self, kind: &Resource, object: DynamicObject) -> Result<(), Failure> {
        let mut object = serde_json::to_value(object)
            .map_err(|error| Failure::plain(format!("cannot encode an object: {error}")))?;
        // Items of lists come without these two.
        object["apiVersion"] = json!(kind.api_version());
        object["kind"] = json!(kind.kind);
        self.objects.push(manifest(object));
        Ok(())
    }
}

/// The service account of an object's pods.
fn account(object: &Value) -> Option<String> {
    let named = object.pointer("/spec/template/spec/serviceAccountName")?.as_str()?;
    (named != "default").then(|| named.to_owned())
}

/// An object as its author would write it.
fn manifest(mut object: Value) -> Value {
    let metadata = &object["metadata"];
    let mut kept = Map::new();
    for field in ["name", "namespace", "labels", "annotations"] {
        if !metadata[field].is_null() {
            kept.insert(field.to_owned(), metadata[field].clone());
        }
    }
    if let Some(annotations) = kept.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.retain(|key, _| {
            key != COMMAND_ANNOTATION
                && key != "kubectl.kubernetes.io/last-applied-configuration"
                && !(key.starts_with(GROUP) && object["kind"] == "Deployment")
        });
    }
    object["metadata"] = Value::Object(kept);
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    match object["kind"].as_str() {
        Some("Rollout") => {
            if let Some(spec) = object["spec"].as_object_mut() {
                spec.remove("paused");
                spec.remove("restartAt");
            }
        }
        Some("Service") => drop(unmarked(object.pointer_mut("/spec/selector"))),
        Some("DestinationRule") => {
            let subsets = object.pointer_mut("/spec/subsets").and_then(Value::as_array_mut);
            for subset in subsets.into_iter().flatten() {
                unmarked(subset.get_mut("labels"));
            }
        }
        _ => {}
    }
    object
}

/// Labels without the revision.
fn unmarked(labels: Option<&mut Value>) -> Option<Value> {
    labels?.as_object_mut()?.remove(REVISION_LABEL)
}

/// A Secret for each that a template names: nobody's secrets need to be read to plan a release.
fn secrets(objects: &[Value], namespace: &str) -> Vec<Value> {
    let mut wanted: BTreeSet<(String, String)> = BTreeSet::new();
    for object in objects {
        references(&object["spec"], &mut wanted);
    }
    let names: BTreeSet<&String> = wanted.iter().map(|(name, _)| name).collect();
    let secret = |name: &String| {
        let keys = wanted.iter().filter(|(of, _)| of == name);
        let data: Map<String, Value> =
            keys.map(|(_, key)| (key.clone(), json!("c3RhbmQtaW4="))).collect();
        json!({"apiVersion": "v1", "kind": "Secret", "data": data,
               "metadata": {"name": name, "namespace": namespace}})
    };
    names.into_iter().map(secret).collect()
}

/// All `{name, key}` below: references to keys of Secrets.
fn references(value: &Value, wanted: &mut BTreeSet<(String, String)>) {
    match value {
        Value::Object(fields) => {
            if let (Some(Value::String(name)), Some(Value::String(key))) =
                (fields.get("name"), fields.get("key"))
            {
                wanted.insert((name.clone(), key.clone()));
            }
            fields.values().for_each(|below| references(below, wanted));
        }
        Value::Array(items) => items.iter().for_each(|below| references(below, wanted)),
        _ => {}
    }
}
