//! What is around a Deployment, read at once.

use futures::try_join;
use kube::api::{DynamicObject, ListParams};
use serde_json::{Value, json};

use crate::{
    cli::{
        exit::{Exit, Failure},
        session::Session,
    },
    sim::api::{Resource, resource},
};

/// A Deployment and what is around it.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Its namespace.
    pub namespace: String,
    /// The Deployment.
    pub deployment: Value,
    /// All Deployments of the namespace.
    pub deployments: Vec<Value>,
    /// All Services of the namespace.
    pub services: Vec<Value>,
    /// All VirtualServices of the namespace; none where Istio is missing.
    pub routes: Vec<Value>,
    /// All autoscalers of the namespace.
    pub autoscalers: Vec<Value>,
    /// All Rollouts of the namespace.
    pub rollouts: Vec<Value>,
}

impl Scene {
    /// The pods that the Deployment wants.
    pub fn replicas(&self) -> i64 {
        self.deployment["spec"]["replicas"].as_i64().unwrap_or(1)
    }

    /// The labels of its pods.
    pub fn labels(&self) -> &Value {
        &self.deployment["spec"]["template"]["metadata"]["labels"]
    }

    /// An object of a list by name.
    pub fn named<'s>(list: &'s [Value], name: &str) -> Option<&'s Value> {
        list.iter().find(|object| object["metadata"]["name"] == name)
    }
}

/// Reads it.
pub async fn read(session: &Session<'_>, name: &str) -> Result<Scene, Failure> {
    let namespace = session.namespace.clone();
    let (deployments, services, routes, autoscalers, rollouts) = try_join!(
        list(session, &resource::DEPLOYMENT, &namespace, false),
        list(session, &resource::SERVICE, &namespace, false),
        list(session, &resource::VIRTUAL_SERVICE, &namespace, true),
        list(session, &resource::AUTOSCALER, &namespace, false),
        list(session, &resource::ROLLOUT, &namespace, false),
    )?;
    let Some(deployment) = Scene::named(&deployments, name).cloned() else {
        let names: Vec<&str> = deployments
            .iter()
            .filter_map(|deployment| deployment["metadata"]["name"].as_str())
            .collect();
        let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(Failure::new(
            Exit::NotFound,
            format!("no Deployment `{name}` in namespace `{namespace}`; there is {there}"),
        ));
    };
    Ok(Scene { namespace, deployment, deployments, services, routes, autoscalers, rollouts })
}

/// All objects of a kind in a namespace; with `may_lack`, none where the kind is not served.
pub async fn list(
    session: &Session<'_>,
    kind: &Resource,
    namespace: &str,
    may_lack: bool,
) -> Result<Vec<Value>, Failure> {
    match session.objects(kind, namespace).list(&ListParams::default()).await {
        Ok(list) => list.items.into_iter().map(|object| value(kind, &object)).collect(),
        Err(kube::Error::Api(status)) if may_lack && status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(Failure::api(&error, &format!("read the {}", kind.plural))),
    }
}

/// An object as JSON, with the two fields that items of lists lack.
pub fn value(kind: &Resource, object: &DynamicObject) -> Result<Value, Failure> {
    let mut object = serde_json::to_value(object)
        .map_err(|error| Failure::plain(format!("cannot encode an object: {error}")))?;
    object["apiVersion"] = json!(kind.api_version());
    object["kind"] = json!(kind.kind);
    Ok(object)
}
