//! The canonical form of a pod template, version 1. **No rule here may ever change.**
//!
//! Removed is what Kubernetes treats as unset and what its API server would fill in. Where that is
//! not sure, a field stays: then an edit that changes nothing starts a release, which is better
//! than an edit that does and is not seen. So an empty map stays unless its field is listed, and
//! fields that this list does not know count as written.
//!
//! The defaults are those of `pkg/apis/core/v1/defaults.go` of Kubernetes.

use serde_json::{Map, Value};

use crate::{
    api::{PodTemplate, REVISION_LABEL},
    world::quantity,
};

type Object = Map<String, Value>;

/// The canonical form of `template`.
pub(super) fn form(template: &PodTemplate) -> Value {
    let mut metadata = Object::new();
    // Of the metadata, a ReplicaSet hands only these on to its pods.
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template.metadata.get(field) {
            metadata.insert(field.into(), value.clone());
        }
    }
    if let Some(labels) = child(&mut metadata, "labels") {
        labels.remove(REVISION_LABEL);
    }
    let mut spec = template.spec.clone();
    whole_numbers(&mut spec);
    remove_unset(&mut metadata);
    // Twice: unset fields hide defaults (`emptyDir: null`), and removed defaults leave empty maps.
    remove_unset(&mut spec);
    pod(&mut spec);
    remove_unset(&mut spec);
    Value::Array(vec![metadata.into(), spec.into()])
}

// === Unset fields ===

/// Maps with keys of the user's choice: their values are kept, empty ones too.
const FREE_MAPS: [&str; 9] = [
    "annotations",
    "labels",
    "limits",
    "matchLabels",
    "nodeSelector",
    "options",
    "overhead",
    "requests",
    "volumeAttributes",
];

/// Fields that mean the same as unset when they are an empty map. Not so `emptyDir` (a source),
/// nor a selector such as `labelSelector` (empty selects all, unset selects none).
const UNSET_WHEN_EMPTY: [&str; 18] = [
    "affinity",
    "annotations",
    "capabilities",
    "dnsConfig",
    "labels",
    "lifecycle",
    "limits",
    "matchLabels",
    "metadata",
    "nodeAffinity",
    "nodeSelector",
    "options",
    "overhead",
    "podAffinity",
    "podAntiAffinity",
    "requests",
    "resources",
    "securityContext",
];

/// Fields in which an empty text is a choice: no storage class, instead of the default one.
const TEXT_WHEN_EMPTY: [&str; 2] = ["storageClassName", "volumeAttributesClassName"];

/// Switches that the API server does not store when they are false.
const UNSET_WHEN_FALSE: [&str; 7] =
    ["hostIPC", "hostNetwork", "hostPID", "readOnly", "stdin", "stdinOnce", "tty"];

/// Numbers that the API server does not store when they are 0.
const UNSET_WHEN_ZERO: [&str; 3] = ["hostPort", "initialDelaySeconds", "partition"];

/// Removes the fields that Kubernetes treats as unset. Items of lists always stay: an empty
/// argument is an argument.
fn remove_unset(object: &mut Object) {
    object.retain(|key, value| {
        match value {
            Value::Object(map) if FREE_MAPS.contains(&key.as_str()) => {
                map.retain(|_, value| !value.is_null());
            }
            Value::Object(map) => remove_unset(map),
            Value::Array(list) => {
                let items = list.iter_mut().filter_map(Value::as_object_mut);
                items.for_each(remove_unset);
            }
            _ => {}
        }
        !is_unset(key, value)
    });
}

fn is_unset(key: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty() && UNSET_WHEN_EMPTY.contains(&key),
        Value::String(text) => text.is_empty() && !TEXT_WHEN_EMPTY.contains(&key),
        Value::Bool(switch) => !switch && UNSET_WHEN_FALSE.contains(&key),
        Value::Number(number) => number.as_i64() == Some(0) && UNSET_WHEN_ZERO.contains(&key),
    }
}

/// `30.0` is `30` to the API server.
fn whole_numbers(object: &mut Object) {
    object.values_mut().for_each(whole_number);
}

fn whole_number(value: &mut Value) {
    match value {
        Value::Object(map) => whole_numbers(map),
        Value::Array(list) => list.iter_mut().for_each(whole_number),
        Value::Number(number) => {
            let text = number.to_string();
            let whole = text.strip_suffix(".0").and_then(|text| text.parse::<i64>().ok());
            if let Some(whole) = whole {
                *value = whole.into();
            }
        }
        _ => {}
    }
}

// === The API server's defaults ===

fn pod(spec: &mut Object) {
    remove_default(spec, "restartPolicy", "Always");
    remove_default(spec, "terminationGracePeriodSeconds", 30);
    remove_default(spec, "dnsPolicy", "ClusterFirst");
    remove_default(spec, "schedulerName", "default-scheduler");
    remove_default(spec, "enableServiceLinks", true);
    remove_default(spec, "preemptionPolicy", "PreemptLowerPriority");
    // The old name of the field; the API server fills each from the other, the new one wins.
    if let Some(account) = spec.remove("serviceAccount") {
        spec.entry("serviceAccountName").or_insert(account);
    }
    let host_network = spec.get("hostNetwork") == Some(&true.into());
    for list in ["initContainers", "containers"] {
        for one in children(spec, list) {
            container(one, host_network);
        }
    }
    children(spec, "volumes").for_each(volume);
    quantities(child(spec, "overhead"));
    resources(spec);
}

fn container(container: &mut Object, host_network: bool) {
    remove_default(container, "terminationMessagePath", "/dev/termination-log");
    remove_default(container, "terminationMessagePolicy", "File");
    remove_default_pull_policy(container, "image", "imagePullPolicy");
    for port in children(container, "ports") {
        remove_default(port, "protocol", "TCP");
        // In the host's network the two are one port.
        if host_network && port.get("hostPort") == port.get("containerPort") {
            port.remove("hostPort");
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = child(container, name) {
            for (field, default) in [
                ("timeoutSeconds", 1),
                ("periodSeconds", 10),
                ("successThreshold", 1),
                ("failureThreshold", 3),
            ] {
                remove_default(probe, field, 0);
                remove_default(probe, field, default);
            }
            http_get(probe);
        }
    }
    if let Some(lifecycle) = child(container, "lifecycle") {
        for hook in ["postStart", "preStop"] {
            if let Some(hook) = child(lifecycle, hook) {
                http_get(hook);
            }
        }
    }
    for variable in children(container, "env") {
        if let Some(source) = child(variable, "valueFrom") {
            field_refs(source);
            if let Some(file) = child(source, "fileKeyRef") {
                remove_default(file, "optional", false);
            }
        }
    }
    if let Some(context) = child(container, "securityContext") {
        remove_default(context, "procMount", "Default");
    }
    resources(container);
}

fn http_get(handler: &mut Object) {
    if let Some(http_get) = child(handler, "httpGet") {
        remove_default(http_get, "path", "/");
        remove_default(http_get, "scheme", "HTTP");
    }
}

/// The pod's own fields, as an environment variable or an item of a volume names them.
fn field_refs(object: &mut Object) {
    if let Some(field) = child(object, "fieldRef") {
        remove_default(field, "apiVersion", "v1");
    }
    if let Some(field) = child(object, "resourceFieldRef") {
        if let Some(divisor) = field.get_mut("divisor") {
            *divisor = quantity::canonical(divisor);
        }
        // The API server writes "0" where none was given, and it counts as 1.
        for unset in ["0", "1"] {
            remove_default(field, "divisor", quantity::canonical(&unset.into()));
        }
    }
}

/// Kubernetes pulls `:latest` always and other tags once.
fn remove_default_pull_policy(object: &mut Object, image: &str, policy: &str) {
    let image = object.get(image).and_then(Value::as_str).unwrap_or_default();
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    // The port of a registry (`registry:5000/web`) is no tag.
    let last = name.rsplit('/').next().unwrap_or_default();
    let always = match last.split_once(':') {
        Some((_, tag)) => tag == "latest",
        None => digest.is_none() && !image.is_empty(),
    };
    remove_default(object, policy, if always { "Always" } else { "IfNotPresent" });
}

/// Defaults of volume sources: source, field, default.
const VOLUME_TEXTS: [(&str, &str, &str); 9] = [
    ("azureDisk", "cachingMode", "ReadWrite"),
    ("azureDisk", "fsType", "ext4"),
    ("azureDisk", "kind", "Shared"),
    ("iscsi", "iscsiInterface", "default"),
    ("rbd", "keyring", "/etc/ceph/keyring"),
    ("rbd", "pool", "rbd"),
    ("rbd", "user", "admin"),
    ("scaleIO", "fsType", "xfs"),
    ("scaleIO", "storageMode", "ThinProvisioned"),
];

fn volume(volume: &mut Object) {
    if volume.keys().all(|key| key == "name") {
        volume.insert("emptyDir".into(), Object::new().into());
    }
    for source in ["configMap", "downwardAPI", "projected", "secret"] {
        if let Some(source) = child(volume, source) {
            remove_default(source, "defaultMode", 0o644);
        }
    }
    for (source, field, default) in VOLUME_TEXTS {
        if let Some(source) = child(volume, source) {
            remove_default(source, field, default);
        }
    }
    if let Some(empty_dir) = child(volume, "emptyDir")
        && let Some(limit) = empty_dir.get_mut("sizeLimit")
    {
        *limit = quantity::canonical(limit);
    }
    if let Some(image) = child(volume, "image") {
        remove_default_pull_policy(image, "reference", "pullPolicy");
    }
    downward_items(volume);
    if let Some(projected) = child(volume, "projected") {
        for source in children(projected, "sources") {
            downward_items(source);
            if let Some(token) = child(source, "serviceAccountToken") {
                remove_default(token, "expirationSeconds", 3600);
            }
        }
    }
    let template = child(volume, "ephemeral").and_then(|e| child(e, "volumeClaimTemplate"));
    if let Some(claim) = template.and_then(|template| child(template, "spec")) {
        remove_default(claim, "volumeMode", "Filesystem");
        resources(claim);
    }
}

fn downward_items(source: &mut Object) {
    if let Some(downward) = child(source, "downwardAPI") {
        children(downward, "items").for_each(field_refs);
    }
}

fn resources(object: &mut Object) {
    if let Some(resources) = child(object, "resources") {
        quantities(child(resources, "requests"));
        quantities(child(resources, "limits"));
    }
}

fn quantities(map: Option<&mut Object>) {
    for value in map.into_iter().flat_map(Map::values_mut) {
        *value = quantity::canonical(value);
    }
}

// === Ways into the object ===

fn remove_default(object: &mut Object, field: &str, default: impl Into<Value>) {
    if object.get(field) == Some(&default.into()) {
        object.remove(field);
    }
}

fn child<'a>(object: &'a mut Object, field: &str) -> Option<&'a mut Object> {
    object.get_mut(field)?.as_object_mut()
}

fn children<'a>(object: &'a mut Object, field: &str) -> impl Iterator<Item = &'a mut Object> {
    let list = object.get_mut(field).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}
