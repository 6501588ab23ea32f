//! A Rollout as its manifest has it, and where its routes lead.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{REVISION, State, colours, ready_pods};

/// A Rollout, read from its JSON and not through the product's own types.
pub(super) struct Rollout<'a> {
    object: &'a Value,
    canary: &'a Value,
    pub(super) istio: &'a Value,
    /// What the fields of its two Services are called.
    pub(super) services: [&'static str; 2],
}

impl<'a> Rollout<'a> {
    pub(super) fn new(object: &'a Value) -> Self {
        let (canary, services) = colours::strategy(object);
        Self { object, canary, istio: &canary["traffic"]["istio"], services }
    }

    /// The name of its stable Service, or of its canary Service.
    pub(super) fn service(&self, which: usize) -> Option<&'a str> {
        self.canary[self.services[which]].as_str()
    }

    pub(super) fn name(&self) -> &'a str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    pub(super) fn object(&self) -> &'a Value {
        self.object
    }

    pub(super) fn replicas(&self) -> i64 {
        self.object["spec"]["replicas"].as_i64().unwrap_or(1)
    }

    pub(super) fn stable_revision(&self) -> Option<&'a str> {
        self.object["status"]["stableRevision"].as_str()
    }

    pub(super) fn current_revision(&self) -> Option<&'a str> {
        self.object["status"]["currentRevision"].as_str()
    }

    pub(super) fn aborted(&self) -> bool {
        !self.object["status"]["abort"].is_null()
    }

    /// Whether stable has the pods that its weight needs, and no more.
    pub(super) fn may_shrink(&self) -> bool {
        self.canary["dynamicStableScale"] == true
    }

    /// Whether the user chose the canary's size apart from the weight.
    pub(super) fn sets_scale(&self) -> bool {
        let steps = self.canary["steps"].as_array();
        steps.into_iter().flatten().any(|step| !step["setCanaryScale"].is_null())
    }

    /// What the weights of a route sum to.
    pub(super) fn total(&self) -> i64 {
        self.canary["traffic"]["maxWeight"].as_i64().unwrap_or(100)
    }

    /// Names of the routes that Sluice may add, in their order, then of those that it added before the
    /// spec forgot them.
    fn managed(&self) -> Vec<&'a str> {
        let routes = self.canary["traffic"]["managedRoutes"].as_array();
        let listed = routes.into_iter().flatten().map(|route| &route["name"]);
        let former = self.object["status"]["routes"].as_array().into_iter().flatten();
        listed.chain(former).filter_map(Value::as_str).collect()
    }

    /// Whether a route is one that Sluice may add.
    fn may_add(&self, route: &Value) -> bool {
        route["name"].as_str().is_some_and(|name| self.managed().contains(&name))
    }

    /// The routes in a VirtualService that Sluice may add.
    pub(super) fn added(&self, route: &'a Value) -> Vec<&'a Value> {
        let routes = route["spec"]["http"].as_array().into_iter().flatten();
        routes.filter(|one| self.may_add(one)).collect()
    }

    /// Names of the routes that Sluice added, in all VirtualServices.
    pub(super) fn all_added(&self, state: &State) -> Vec<String> {
        let routes =
            self.route_names().filter_map(|name| state.get(&("VirtualService", name.to_owned())));
        let http = |route: &Value| route["spec"]["http"].as_array().cloned().unwrap_or_default();
        let added = routes.flat_map(|route| http(route)).filter(|one| self.may_add(one));
        added.filter_map(|one| one["name"].as_str().map(String::from)).collect()
    }

    /// What is wrong with the routes that Sluice added: they stand before those that they are made of,
    /// in the order of `managedRoutes`, each once for each route that it may be made of, and lead to the canary.
    pub(super) fn wrong_added(&self, route: &Value) -> Vec<String> {
        let http = route["spec"]["http"].as_array().map_or(&[][..], Vec::as_slice);
        let mut wrong = Vec::new();
        let alone = |one: &Value| serde_json::json!({"spec": {"http": [one]}});
        let base = http.iter().position(|one| !self.weights(&alone(one)).is_empty());
        let behind = &http[base.unwrap_or(http.len())..];
        if behind.iter().any(|one| self.may_add(one)) {
            wrong.push("a managed route does not stand before those with the weights".to_owned());
        }
        let added: Vec<&Value> = http.iter().filter(|one| self.may_add(one)).collect();
        let managed = self.managed();
        let place = |one: &Value| managed.iter().position(|name| one["name"] == **name);
        let places: Vec<_> = added.iter().map(|one| place(one)).collect();
        if !places.is_sorted() {
            wrong.push("the managed routes are not in their order".to_owned());
        }
        let weighted = self.weights(route).len();
        for (at, name) in managed.iter().enumerate() {
            let count = places.iter().filter(|place| **place == Some(at)).count();
            if count > weighted {
                wrong.push(format!("managed route {name} stands there {count} times"));
            }
        }
        let (field, value) = self.ends()[1];
        for one in added {
            let end = |end: &Value| short(&end[field]) == short(value);
            let routed = one["route"].as_array().into_iter().flatten();
            let copied = one["mirrors"].as_array().into_iter().flatten();
            let mut ends =
                routed.chain(copied).map(|to| &to["destination"]).chain([&one["mirror"]]);
            if !ends.any(end) {
                wrong.push(format!("managed route {} does not lead to the canary", one["name"]));
            }
        }
        wrong
    }

    pub(super) fn names_route(&self, name: &str) -> bool {
        self.route_names().any(|route| route == name)
    }

    pub(super) fn names_rule(&self, name: &str) -> bool {
        self.istio["destinationRule"]["name"] == *name
    }

    pub(super) fn names_service(&self, name: &str) -> bool {
        self.service(0) == Some(name) || self.service(1) == Some(name)
    }

    fn route_names(&self) -> impl Iterator<Item = &'a str> {
        let references = self.istio["virtualServices"].as_array();
        references.into_iter().flatten().filter_map(|reference| reference["name"].as_str())
    }

    /// What a destination must say to be the stable one, and the canary one.
    fn ends(&self) -> [(&'static str, &'a Value); 2] {
        let rule = &self.istio["destinationRule"];
        if rule.is_null() {
            self.services.map(|field| ("host", &self.canary[field]))
        } else {
            [("subset", &rule["stableSubset"]), ("subset", &rule["canarySubset"])]
        }
    }

    /// Weights (stable, canary) of the routes that lead to both, but for those that Sluice added.
    pub(super) fn weights(&self, route: &Value) -> Vec<(i64, i64)> {
        let mut found = Vec::new();
        for one in every(route).filter(|one| !self.may_add(one)) {
            let weight = |(field, value): (&str, &Value)| {
                let ends = one["route"].as_array().into_iter().flatten();
                let mut ends = ends.filter(|end| short(&end["destination"][field]) == short(value));
                ends.next().map(|end| end["weight"].as_i64().unwrap_or(0))
            };
            let [stable, canary] = self.ends();
            if let (Some(stable), Some(canary)) = (weight(stable), weight(canary)) {
                found.push((stable, canary));
            }
        }
        found
    }

    /// Weights in all its VirtualServices.
    pub(super) fn all_weights(&self, state: &State) -> Vec<(i64, i64)> {
        let routes =
            self.route_names().filter_map(|name| state.get(&("VirtualService", name.to_owned())));
        routes.flat_map(|route| self.weights(route)).collect()
    }

    /// A VirtualService without the weights and the routes that are Sluice's, and without what the API
    /// server changes with each write.
    pub(super) fn without_weights(&self, route: &Value) -> Value {
        let mut bare = bare(route);
        if let Some(http) = bare.pointer_mut("/spec/http").and_then(Value::as_array_mut) {
            http.retain(|one| !self.may_add(one));
        }
        let [stable, canary] = self.ends();
        for kind in ["/spec/http", "/spec/tls", "/spec/tcp"] {
            let routes = bare.pointer_mut(kind).and_then(Value::as_array_mut);
            for one in routes.into_iter().flatten() {
                let is = |end: &Value, (field, value): (&str, &Value)| {
                    short(&end["destination"][field]) == short(value)
                };
                let Some(ends) = one.get_mut("route").and_then(Value::as_array_mut) else {
                    continue;
                };
                if !ends.iter().any(|end| is(end, stable))
                    || !ends.iter().any(|end| is(end, canary))
                {
                    continue;
                }
                for end in ends.iter_mut().filter(|end| is(end, stable) || is(end, canary)) {
                    end.as_object_mut().map(|end| end.remove("weight"));
                }
            }
        }
        bare
    }

    /// A DestinationRule without the labels of the two subsets.
    pub(super) fn without_labels(&self, rule: &Value) -> Value {
        let mut bare = bare(rule);
        let [(_, stable), (_, canary)] = self.ends();
        let subsets = bare.pointer_mut("/spec/subsets").and_then(Value::as_array_mut);
        for subset in subsets.into_iter().flatten() {
            if subset["name"] == *stable || subset["name"] == *canary {
                subset.as_object_mut().map(|subset| subset.remove("labels"));
            }
        }
        bare
    }

    pub(super) fn stable(&self, state: &State) -> Destination {
        self.destination("the stable destination", self.service(0), self.ends()[0], state)
    }

    pub(super) fn canary(&self, state: &State) -> Destination {
        self.destination("the canary destination", self.service(1), self.ends()[1], state)
    }

    fn destination(
        &self,
        name: &'static str,
        service: Option<&str>,
        (field, value): (&str, &Value),
        state: &State,
    ) -> Destination {
        if field == "host" {
            let services = service.map(String::from).into_iter().collect();
            return Destination { name, services, labels: BTreeMap::new() };
        }
        let rule = self.istio["destinationRule"]["name"].as_str().unwrap_or_default();
        let rule =
            state.get(&("DestinationRule", rule.to_owned())).map_or(&Value::Null, |rule| &**rule);
        let host = short(&rule["spec"]["host"]).to_owned();
        let subsets = rule["spec"]["subsets"].as_array();
        let subset = subsets.into_iter().flatten().find(|subset| subset["name"] == *value);
        let labels = subset.map(|subset| texts(&subset["labels"])).unwrap_or_default();
        Destination {
            name,
            services: service.map(String::from).into_iter().chain([host]).collect(),
            labels,
        }
    }
}

/// The routes of all protocols.
fn every(route: &Value) -> impl Iterator<Item = &Value> {
    let kinds = ["http", "tls", "tcp"].into_iter();
    kinds.flat_map(|kind| route["spec"][kind].as_array().into_iter().flatten())
}

/// Where traffic goes: the pods that all of its Services and its subset select.
pub(super) struct Destination {
    pub(super) name: &'static str,
    services: BTreeSet<String>,
    labels: BTreeMap<String, String>,
}

impl Destination {
    /// Whether this Service is part of it.
    pub(super) fn is_of(&self, service: &str) -> bool {
        self.services.contains(service)
    }

    /// The labels that a pod must have.
    fn selector(&self, state: &State) -> BTreeMap<String, String> {
        let mut labels = self.labels.clone();
        for service in &self.services {
            let service =
                state.get(&("Service", service.clone())).map_or(&Value::Null, |service| &**service);
            labels.extend(texts(&service["spec"]["selector"]));
        }
        labels
    }

    /// The revision that it leads to, if to one only.
    pub(super) fn revision(&self, state: &State) -> Option<String> {
        self.selector(state).remove(REVISION)
    }

    /// Ready pods that it selects.
    pub(super) fn ready(&self, state: &State) -> BTreeSet<String> {
        ready_pods(state, &self.selector(state))
    }

    /// Ready pods that it selects and that are published as endpoints.
    pub(super) fn serving(&self, state: &State) -> BTreeSet<String> {
        let mut pods = self.ready(state);
        for service in &self.services {
            let published = published(state, service);
            pods.retain(|pod| published.contains(pod));
        }
        pods
    }
}

/// Pods in the EndpointSlices of a Service.
fn published(state: &State, service: &str) -> BTreeSet<String> {
    let slices = state.iter().filter(|(key, slice)| {
        key.0 == "EndpointSlice"
            && slice["metadata"]["labels"]["kubernetes.io/service-name"] == *service
    });
    let ends = slices.flat_map(|(_, slice)| slice["endpoints"].as_array().into_iter().flatten());
    let ready = ends.filter(|end| end["conditions"]["ready"] != false);
    ready.filter_map(|end| end["targetRef"]["name"].as_str().map(String::from)).collect()
}

/// The first label of a host, or the name of a subset.
fn short(value: &Value) -> &str {
    let text = value.as_str().unwrap_or_default();
    text.split('.').next().unwrap_or(text)
}

fn texts(labels: &Value) -> BTreeMap<String, String> {
    let labels = labels.as_object().into_iter().flatten();
    labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn bare(object: &Value) -> Value {
    let mut bare = object.clone();
    if let Some(meta) = bare["metadata"].as_object_mut() {
        for field in ["managedFields", "resourceVersion", "generation"] {
            meta.remove(field);
        }
    }
    bare
}
