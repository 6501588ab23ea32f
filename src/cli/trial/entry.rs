//! How users reach a Rollout: by which routes, or without a mesh by which Services.
//!
//! In: the objects. Out: names. A rolling release names no Service, and no route: then these are the
//! Services that select its pods, and the VirtualServices that lead there.

use serde_json::{Map, Value};

use crate::{api::Rollout, traffic::istio::host::service_of, world::Program};

/// How users reach a Rollout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Namespaces and names of the VirtualServices by which they come.
    pub routes: Vec<(String, String)>,
    /// Services that they reach without one.
    pub services: Vec<String>,
}

impl Entry {
    /// How users reach the Rollout of this name.
    pub fn find(objects: &[Value], namespace: &str, name: &str) -> Self {
        let rollout = objects.iter().find(|object| is(object, "Rollout", namespace, name));
        let typed = rollout.and_then(|found| serde_json::from_value::<Rollout>(found.clone()).ok());
        let Some(rollout) = typed else { return Self::default() };
        let program = Program::new(&rollout.spec);
        if let Some(istio) = program.istio() {
            let named = |route: &crate::api::VirtualServiceRef| {
                let namespace = route.namespace.clone().unwrap_or_else(|| namespace.to_owned());
                (namespace, route.name.clone())
            };
            let routes = istio.virtual_services.iter().map(named).collect();
            return Self { routes, services: Vec::new() };
        }
        let services = match &program.stable_service {
            Some(service) => vec![service.clone()],
            None => selecting(objects, namespace, &labels(objects, namespace, &rollout)),
        };
        let preview = program.canary_service.as_ref();
        let mut entry = Self::default();
        for service in services.into_iter().filter(|name| preview != Some(name)) {
            let routes = routes_to(objects, namespace, &service);
            if routes.is_empty() {
                entry.services.push(service);
            }
            entry.routes.extend(routes);
        }
        entry
    }
}

fn is(object: &Value, kind: &str, namespace: &str, name: &str) -> bool {
    let own = object["metadata"]["namespace"].as_str().unwrap_or("default");
    object["kind"] == *kind && own == namespace && object["metadata"]["name"] == *name
}

/// The labels of the pods.
fn labels(objects: &[Value], namespace: &str, rollout: &Rollout) -> Map<String, Value> {
    let of = |metadata: &Map<String, Value>| metadata.get("labels")?.as_object().cloned();
    if let Some(template) = &rollout.spec.template {
        return of(&template.metadata).unwrap_or_default();
    }
    let found = rollout.spec.workload_ref.as_ref().and_then(|workload| {
        let mut all = objects.iter();
        let found = all.find(|object| is(object, &workload.kind, namespace, &workload.name))?;
        of(found.pointer("/spec/template/metadata")?.as_object()?)
    });
    found.unwrap_or_default()
}

/// The Services that select pods with these labels.
fn selecting(objects: &[Value], namespace: &str, labels: &Map<String, Value>) -> Vec<String> {
    let services = objects.iter().filter(|object| {
        let own = object["metadata"]["namespace"].as_str().unwrap_or("default");
        object["kind"] == "Service" && own == namespace
    });
    let selects = |service: &&Value| {
        let selector = service["spec"]["selector"].as_object();
        selector.is_some_and(|selector| {
            !selector.is_empty()
                && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
        })
    };
    let names = services.filter(selects).filter_map(|found| found["metadata"]["name"].as_str());
    names.map(str::to_owned).collect()
}

/// The VirtualServices with a destination in this Service.
fn routes_to(objects: &[Value], namespace: &str, service: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for object in objects.iter().filter(|object| object["kind"] == "VirtualService") {
        let own = object["metadata"]["namespace"].as_str().unwrap_or("default");
        let routes = ["http", "tls", "tcp"].into_iter();
        let routes = routes.filter_map(|kind| object["spec"][kind].as_array()).flatten();
        let mut ends = routes.filter_map(|route| route["route"].as_array()).flatten();
        let leads = ends.any(|end| {
            let host = end["destination"]["host"].as_str().unwrap_or_default();
            service_of(host, own) == Some((namespace, service))
        });
        if leads {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            found.push((own.to_owned(), name.to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rollout(strategy: &Value) -> Value {
        json!({
            "kind": "Rollout", "apiVersion": "sluice.dev/v1alpha1",
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {
                "workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "strategy": strategy,
            },
        })
    }

    fn objects(strategy: &Value) -> Vec<Value> {
        let service = |name: &str, app: &str| {
            json!({
                "kind": "Service", "metadata": {"name": name, "namespace": "shop"},
                "spec": {"selector": {"app": app}},
            })
        };
        let template = json!({"metadata": {"labels": {"app": "web", "tier": "a"}}});
        vec![
            rollout(strategy),
            json!({
                "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"},
                "spec": {"template": template},
            }),
            service("web", "web"),
            service("web-preview", "web"),
            service("other", "other"),
        ]
    }

    fn found(objects: &[Value]) -> (Vec<String>, Vec<String>) {
        let entry = Entry::find(objects, "shop", "web");
        (entry.routes.into_iter().map(|(_, name)| name).collect(), entry.services)
    }

    #[test]
    fn without_a_mesh_users_come_to_the_services_that_select_the_pods() {
        let rolling = objects(&json!({"rolling": {}}));
        assert_eq!(found(&rolling).1, ["web", "web-preview"]);
        let colours =
            json!({"blueGreen": {"activeService": "web", "previewService": "web-preview"}});
        assert_eq!(found(&objects(&colours)), (vec![], vec!["web".to_owned()]));
    }

    #[test]
    fn where_a_route_leads_users_come_by_it() {
        let mut rolling = objects(&json!({"rolling": {}}));
        rolling.remove(3);
        rolling.push(json!({
            "kind": "VirtualService", "metadata": {"name": "all", "namespace": "edge"},
            "spec": {"http": [{"route": [{"destination": {"host": "web.shop.svc.cluster.local"}}]}]},
        }));
        assert_eq!(found(&rolling), (vec!["all".to_owned()], vec![]));
        let canary = json!({"canary": {
            "stableService": "web", "canaryService": "web-preview",
            "traffic": {"istio": {"virtualServices": [{"name": "own"}]}},
        }});
        assert_eq!(found(&objects(&canary)), (vec!["own".to_owned()], vec![]));
    }
}
