//! A shop whose users come through the mesh: its Services, routes and Rollout, as a team writes them.

use serde_json::{Value, json};

/// What tells the two versions apart on the way to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// A canary by two Services, between which the VirtualService splits.
    Hosts,
    /// A canary by two subsets of one Service.
    Subsets,
    /// Blue-green: the active Service's selector is switched.
    Service,
    /// Blue-green: the VirtualService is switched.
    VirtualService,
    /// One Service; pods are replaced a few at a time.
    Rolling,
}

/// A shop in a namespace.
#[derive(Clone, Debug)]
pub struct Shop {
    /// How its versions are told apart.
    pub layout: Layout,
    namespace: String,
    spec: Value,
    route: Value,
}

impl Shop {
    /// A shop of three pods of version `v1`. Its pods stop at SIGTERM as soon as what they are
    /// asked is answered, and nothing tries again what fails: no request may need that.
    pub fn new(namespace: &str, layout: Layout, strategy: &str) -> Self {
        let strategy: Value = serde_yaml::from_str(strategy).expect("the strategy is YAML");
        let spec = json!({
            "replicas": 3,
            "selector": {"matchLabels": {"app": "shop"}},
            "template": {
                "metadata": {"labels": {"app": "shop"}},
                "spec": {
                    "containers": [{
                        "name": "shop", "image": "shop:v1",
                        "ports": [{"name": "http", "containerPort": 8080}],
                        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1},
                    }],
                    "terminationGracePeriodSeconds": 10,
                },
            },
            "strategy": {},
        });
        let route = json!({"retries": {"attempts": 0}});
        let mut shop = Self { layout, namespace: namespace.to_owned(), spec, route };
        shop.spec["strategy"] = shop.strategy(strategy);
        shop
    }

    /// The same with a field of the Rollout's spec set, in YAML; `at` is its JSON pointer.
    pub fn set(mut self, at: &str, yaml: &str) -> Self {
        let value: Value = serde_yaml::from_str(yaml).expect("the value is YAML");
        let (parent, field) = at.rsplit_once('/').expect("a JSON pointer");
        let parent = self.spec.pointer_mut(parent).expect("the parent is there");
        parent[field] = value;
        self
    }

    /// The same with another image.
    pub fn image(self, image: &str) -> Self {
        self.set("/template/spec/containers/0/image", &format!("{image:?}"))
    }

    /// The same with what pods need that leave a live Service: they serve on until the proxies know
    /// that they go.
    pub fn lingering(self) -> Self {
        self.set("/template/spec/containers/0/lifecycle", "{preStop: {sleep: {seconds: 2}}}")
    }

    /// The same with Istio's own retries: two more attempts where nothing was answered.
    pub fn retried(mut self) -> Self {
        self.route = json!({});
        self
    }

    /// The host that users ask for from outside.
    pub fn public(&self) -> String {
        format!("shop.{}.example.com", self.namespace)
    }

    /// The host that clients within the mesh ask for.
    pub fn inner(&self) -> String {
        format!("shop.{}.svc.cluster.local", self.namespace)
    }

    /// Everything, as one list.
    pub fn manifests(&self) -> String {
        let mut parts = self.around();
        parts.push(self.rollout());
        list(&parts)
    }

    /// All but what makes the pods, as one list.
    pub fn network(&self) -> String {
        list(&self.around())
    }

    /// The Rollout, for the controller that serves this namespace.
    pub fn rollout(&self) -> Value {
        json!({
            "apiVersion": "sluice.dev/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "shop", "labels": {"sluice.dev/instance": self.namespace}},
            "spec": self.spec,
        })
    }

    /// The weight of the new version in percent, as the routes show it.
    pub fn weight(route: &Value) -> Option<u8> {
        let http = route["spec"]["http"].as_array()?;
        let new = http.iter().find_map(|route| route["route"].as_array()?.get(1))?;
        u8::try_from(new["weight"].as_u64()?).ok()
    }

    /// The user's strategy with the names of this layout.
    fn strategy(&self, mut strategy: Value) -> Value {
        let routes = json!([{"name": "shop", "routes": ["primary"]}]);
        let (field, names) = match self.layout {
            Layout::Hosts => (
                "canary",
                json!({
                    "stableService": "shop-stable", "canaryService": "shop-canary",
                    "traffic": {"istio": {"virtualServices": routes}},
                }),
            ),
            Layout::Subsets => {
                let rule =
                    json!({"name": "shop", "stableSubset": "stable", "canarySubset": "canary"});
                let istio = json!({"virtualServices": routes, "destinationRule": rule});
                ("canary", json!({"traffic": {"istio": istio}}))
            }
            Layout::Service => {
                ("blueGreen", json!({"activeService": "shop", "previewService": "shop-preview"}))
            }
            Layout::VirtualService => (
                "blueGreen",
                json!({
                    "activeService": "shop-stable", "previewService": "shop-canary",
                    "traffic": {"istio": {"virtualServices": routes}},
                }),
            ),
            Layout::Rolling => ("rolling", json!({})),
        };
        for (name, value) in names.as_object().into_iter().flatten() {
            strategy[name] = value.clone();
        }
        json!({field: strategy})
    }

    fn around(&self) -> Vec<Value> {
        let services: &[&str] = match self.layout {
            Layout::Hosts | Layout::VirtualService => &["shop", "shop-stable", "shop-canary"],
            Layout::Subsets | Layout::Rolling => &["shop"],
            Layout::Service => &["shop", "shop-preview"],
        };
        let mut parts: Vec<Value> = services.iter().map(|name| service(name)).collect();
        if self.layout == Layout::Subsets {
            parts.push(json!({
                "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
                "metadata": {"name": "shop"},
                "spec": {"host": "shop", "subsets": [
                    {"name": "stable", "labels": {"app": "shop"}},
                    {"name": "canary", "labels": {"app": "shop"}},
                ]},
            }));
        }
        parts.push(self.virtual_service());
        parts
    }

    /// The VirtualService for both ways in, as the team applies it.
    pub fn virtual_service(&self) -> Value {
        let to = |host: &str, subset: Option<&str>, weight: u8| {
            let mut destination = json!({"host": host, "port": {"number": 80}});
            if let Some(subset) = subset {
                destination["subset"] = json!(subset);
            }
            json!({"destination": destination, "weight": weight})
        };
        let mut primary = self.route.clone();
        primary["name"] = json!("primary");
        primary["route"] = match self.layout {
            Layout::Hosts | Layout::VirtualService => {
                json!([to("shop-stable", None, 100), to("shop-canary", None, 0)])
            }
            Layout::Subsets => {
                json!([to("shop", Some("stable"), 100), to("shop", Some("canary"), 0)])
            }
            Layout::Service | Layout::Rolling => json!([to("shop", None, 100)]),
        };
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
            "metadata": {"name": "shop"},
            "spec": {
                "hosts": [self.public(), self.inner()],
                "gateways": ["istio-system/gateway", "mesh"],
                "http": [primary],
            },
        })
    }
}

fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": {"app": "shop"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    })
}

/// One List of manifests in JSON.
pub fn list(items: &[Value]) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}
