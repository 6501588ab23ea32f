//! What the controller and the caller may do, as the API server says it.

use futures::future::try_join_all;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use kube::{Api, api::PostParams};
use serde_json::Value;

use crate::cli::{exit::Failure, session::Session};

/// The role that the controller is installed with: the one list of what it needs.
const ROLE: &str = include_str!("../../../config/rbac/controller.yaml");

/// One right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Right {
    /// API group.
    pub group: String,
    /// Resource, with its subresource.
    pub resource: String,
    /// Verb.
    pub verb: String,
}

impl Right {
    fn text(&self) -> String {
        let group = if self.group.is_empty() { String::new() } else { format!(".{}", self.group) };
        format!("{} {}{group}", self.verb, self.resource)
    }
}

/// What a Rollout needs the controller to be able to.
pub fn needed(with_istio: bool, with_workload: bool, with_jobs: bool) -> Vec<Right> {
    let documents: Vec<Value> = serde_yaml::from_multiple(ROLE).unwrap_or_default();
    let rules = documents.iter().filter_map(|document| document["rules"].as_array()).flatten();
    let mut found = Vec::new();
    for rule in rules {
        let list = |field: &str| -> Vec<String> {
            let items = rule[field].as_array().into_iter().flatten();
            items.filter_map(|item| item.as_str().map(String::from)).collect()
        };
        for group in list("apiGroups") {
            for resource in list("resources") {
                let wanted = match (group.as_str(), resource.as_str()) {
                    ("networking.istio.io", _) => with_istio,
                    (_, "deployments" | "podtemplates") => with_workload,
                    ("batch", _) => with_jobs,
                    // Only asked for under an admission plugin, and verbs of our own policy.
                    (_, "rollouts/finalizers" | "analysisruns/finalizers") => false,
                    _ => true,
                };
                if wanted {
                    found.extend(list("verbs").into_iter().filter(|verb| verb != "control").map(
                        |verb| Right { group: group.clone(), resource: resource.clone(), verb },
                    ));
                }
            }
        }
    }
    found
}

fn attributes(namespace: &str, right: &Right, name: Option<&str>) -> ResourceAttributes {
    let (resource, subresource) = match right.resource.split_once('/') {
        Some((resource, below)) => (resource.to_owned(), Some(below.to_owned())),
        None => (right.resource.clone(), None),
    };
    let everywhere = resource == "clusteranalysistemplates";
    ResourceAttributes {
        namespace: (!everywhere).then(|| namespace.to_owned()),
        group: Some(right.group.clone()),
        verb: Some(right.verb.clone()),
        name: name.map(String::from),
        resource: Some(resource),
        subresource,
        ..ResourceAttributes::default()
    }
}

/// Which of the rights the controller's account does not have.
pub async fn controller(
    session: &Session<'_>,
    account: &(String, String),
    rights: &[Right],
) -> Result<Vec<String>, String> {
    let api: Api<SubjectAccessReview> = Api::all(session.client.clone());
    let (namespace, name) = account;
    let user = format!("system:serviceaccount:{namespace}:{name}");
    let groups = vec![
        "system:serviceaccounts".to_owned(),
        format!("system:serviceaccounts:{namespace}"),
        "system:authenticated".to_owned(),
    ];
    let reviews = rights.iter().map(|right| {
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(user.clone()),
                groups: Some(groups.clone()),
                resource_attributes: Some(attributes(&session.namespace, right, None)),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let api = api.clone();
        async move { api.create(&PostParams::default(), &review).await }
    });
    let answers = try_join_all(reviews).await.map_err(|error| {
        Failure::api(&error, "ask what the controller may do (SubjectAccessReview)").text
    })?;
    let missing = rights
        .iter()
        .zip(answers)
        .filter(|(_, answer)| !answer.status.as_ref().is_some_and(|status| status.allowed));
    Ok(missing.map(|(right, _)| right.text()).collect())
}

/// The commands that a person gives in a release, and whether the caller may give them.
pub async fn caller(session: &Session<'_>, name: &str) -> Result<Vec<(String, bool)>, String> {
    let api: Api<SelfSubjectAccessReview> = Api::all(session.client.clone());
    let verbs = ["promote", "promotefull", "abort"];
    let ask = |verb: &str| {
        let right = Right {
            group: "sluice.dev".into(),
            resource: "rollouts".into(),
            verb: verb.to_owned(),
        };
        let attributes = attributes(&session.namespace, &right, Some(name));
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(attributes),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let api = api.clone();
        async move { api.create(&PostParams::default(), &review).await }
    };
    let all = std::iter::once("patch").chain(verbs);
    let answers = try_join_all(all.map(ask)).await.map_err(|error| {
        Failure::api(&error, "ask what you may do (SelfSubjectAccessReview)").text
    })?;
    let allowed: Vec<bool> = answers
        .iter()
        .map(|answer| answer.status.as_ref().is_some_and(|status| status.allowed))
        .collect();
    // A command is an annotation: without `patch` none can be given.
    let patch = allowed.first().copied().unwrap_or(false);
    let given = verbs.iter().zip(allowed.into_iter().skip(1));
    Ok(given.map(|(verb, may)| ((*verb).to_owned(), may && patch)).collect())
}
