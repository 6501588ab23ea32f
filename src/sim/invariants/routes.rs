//! A Rollout as its manifest has it, and where its routes lead.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{REVISION, State, ready_pods};

/// A Rollout, read from its JSON and not through the product's own types.
pub(super) struct Rollout<'a> {
    object: &'a Value,
    canary: &'a Value,
    istio: &'a Value,
}

impl<'a> Rollout<'a> {
    pub(super) fn new(object: &'a Value) -> Self {
        let canary = &object["spec"]["strategy"]["canary"];
        Self { object, canary, istio: &canary["traffic"]["istio"] }
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

    /// Whether the user chose the canary's size apart from the weight.
    pub(super) fn sets_scale(&self) -> bool {
        let steps = self.canary["steps"].as_array();
        steps.into_iter().flatten().any(|step| !step["setCanaryScale"].is_null())
    }

    pub(super) fn names_route(&self, name: &str) -> bool {
        self.route_names().any(|route| route == name)
    }

    pub(super) fn names_rule(&self, name: &str) -> bool {
        self.istio["destinationRule"]["name"] == *name
    }

    pub(super) fn names_service(&self, name: &str) -> bool {
        self.canary["stableService"] == *name || self.canary["canaryService"] == *name
    }

    fn route_names(&self) -> impl Iterator<Item = &'a str> {
        let references = self.istio["virtualServices"].as_array();
        references.into_iter().flatten().filter_map(|reference| reference["name"].as_str())
    }

    /// What a destination must say to be the stable one, and the canary one.
    fn ends(&self) -> [(&'static str, &'a Value); 2] {
        let rule = &self.istio["destinationRule"];
        if rule.is_null() {
            [("host", &self.canary["stableService"]), ("host", &self.canary["canaryService"])]
        } else {
            [("subset", &rule["stableSubset"]), ("subset", &rule["canarySubset"])]
        }
    }

    /// Weights (stable, canary) of the routes that lead to both.
    pub(super) fn weights(&self, route: &Value) -> Vec<(i64, i64)> {
        let mut found = Vec::new();
        for one in every(route) {
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

    /// A VirtualService without the weights of its managed routes, and without what the API server
    /// changes with each write.
    pub(super) fn without_weights(&self, route: &Value) -> Value {
        let mut bare = bare(route);
        let [stable, canary] = self.ends();
        for kind in ["http", "tls", "tcp"] {
            for one in bare["spec"][kind].as_array_mut().into_iter().flatten() {
                let is = |end: &Value, (field, value): (&str, &Value)| {
                    short(&end["destination"][field]) == short(value)
                };
                let Some(ends) = one["route"].as_array_mut() else { continue };
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
        for subset in bare["spec"]["subsets"].as_array_mut().into_iter().flatten() {
            if subset["name"] == *stable || subset["name"] == *canary {
                subset.as_object_mut().map(|subset| subset.remove("labels"));
            }
        }
        bare
    }

    pub(super) fn stable(&self, state: &State) -> Destination {
        let service = self.canary["stableService"].as_str();
        self.destination("the stable destination", service, self.ends()[0], state)
    }

    pub(super) fn canary(&self, state: &State) -> Destination {
        let service = self.canary["canaryService"].as_str();
        self.destination("the canary destination", service, self.ends()[1], state)
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
