//! Manifests of an app under Sluice: two Services, a VirtualService and a Rollout.

use serde_json::{Value, json};

/// An app with a host split. Delays are short, so that tests need not wait.
#[derive(Clone, Debug)]
pub struct App {
    /// Name of the Rollout and, with a suffix, of all that belongs to it.
    pub name: String,
    image: String,
    instance: String,
    rollout: Value,
}

impl App {
    /// An app of three pods with these steps, in YAML.
    pub fn new(name: &str, steps: &str) -> Self {
        let steps: Value = serde_yaml::from_str(steps).expect("the steps are YAML");
        let rollout = json!({
            "replicas": 3,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "app"}], "terminationGracePeriodSeconds": 1},
            },
            "strategy": {"canary": {
                "stableService": format!("{name}-stable"),
                "canaryService": format!("{name}-canary"),
                "traffic": {"istio": {
                    "virtualServices": [{"name": name}],
                    "propagationDelay": "200ms",
                }},
                "steps": steps,
                "scaleDownDelay": "1s",
                "abortScaleDownDelay": "1s",
            }},
        });
        let (image, instance) = ("app:v1".into(), String::new());
        Self { name: name.to_owned(), image, instance, rollout }
    }

    /// The same with another image.
    pub fn image(mut self, image: &str) -> Self {
        image.clone_into(&mut self.image);
        self
    }

    /// The same, for the controller of this instance.
    pub fn instance(mut self, instance: &str) -> Self {
        instance.clone_into(&mut self.instance);
        self
    }

    /// The same with a field of the Rollout's spec set, in YAML; `at` is its JSON pointer.
    pub fn set(mut self, at: &str, yaml: &str) -> Self {
        let value: Value = serde_yaml::from_str(yaml).expect("the value is YAML");
        let (parent, field) = at.rsplit_once('/').expect("a JSON pointer");
        let parent = self.rollout.pointer_mut(parent).expect("the parent is there");
        parent[field] = value;
        self
    }

    /// The Rollout alone.
    pub fn rollout(&self) -> String {
        let mut spec = self.rollout.clone();
        spec["template"]["spec"]["containers"][0]["image"] = json!(self.image);
        let mut metadata = json!({"name": self.name});
        if !self.instance.is_empty() {
            metadata["labels"] = json!({"sluice.dev/instance": self.instance});
        }
        json!({
            "apiVersion": "sluice.dev/v1alpha1", "kind": "Rollout",
            "metadata": metadata, "spec": spec,
        })
        .to_string()
    }

    /// The Service of a role, `stable` or `canary`.
    pub fn service(&self, role: &str) -> String {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": format!("{}-{role}", self.name)},
            "spec": {"selector": {"app": self.name}, "ports": [{"port": 80}]},
        })
        .to_string()
    }

    /// The VirtualService, with more in it than weights.
    pub fn virtual_service(&self) -> String {
        let host =
            |role: &str| json!({"host": format!("{}-{role}", self.name), "port": {"number": 80}});
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
            "metadata": {"name": self.name},
            "spec": {
                "hosts": [format!("{}.example.com", self.name)],
                "http": [
                    {
                        "match": [{"headers": {"x-canary": {"exact": "true"}}}],
                        "route": [{"destination": host("canary")}],
                    },
                    {
                        "timeout": "5s",
                        "retries": {"attempts": 2},
                        "route": [
                            {"destination": host("stable"), "weight": 100},
                            {"destination": host("canary"), "weight": 0,
                             "headers": {"response": {"set": {"x-revision": "canary"}}}},
                        ],
                    },
                ],
            },
        })
        .to_string()
    }

    /// Everything, as one list.
    pub fn manifests(&self) -> String {
        let parts = [
            self.service("stable"),
            self.service("canary"),
            self.virtual_service(),
            self.rollout(),
        ];
        list(&parts)
    }
}

/// One List of manifests in JSON.
pub fn list(manifests: &[String]) -> String {
    let items = manifests.join(",");
    format!(r#"{{"apiVersion": "v1", "kind": "List", "items": [{items}]}}"#)
}
