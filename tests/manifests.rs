//! The manifests that are shipped: examples hold only fields that exist, and their analysis
//! resolves; the two variants of the controller's rights do not drift apart.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{ConfigMap, LimitRange, Namespace, ResourceQuota, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
    rbac::v1::{Role, RoleBinding},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sluice::{
    analysis::template::{Library, Request, Subject, resolve},
    api::{AnalysisTemplate, AnalysisTemplateSpec, Rollout, Verb},
};

#[test]
fn examples_hold_only_fields_that_exist() {
    for (place, document) in examples() {
        let kind = document["kind"].as_str().expect("a kind");
        let read_back = match kind {
            "Rollout" => read_back::<Rollout>(&document),
            "AnalysisTemplate" => read_back::<AnalysisTemplate>(&document),
            "Deployment" => read_back::<Deployment>(&document),
            "Service" => read_back::<Service>(&document),
            "ConfigMap" => read_back::<ConfigMap>(&document),
            "ServiceAccount" => read_back::<ServiceAccount>(&document),
            "ResourceQuota" => read_back::<ResourceQuota>(&document),
            "LimitRange" => read_back::<LimitRange>(&document),
            "HorizontalPodAutoscaler" => read_back::<HorizontalPodAutoscaler>(&document),
            "PodDisruptionBudget" => read_back::<PodDisruptionBudget>(&document),
            "NetworkPolicy" => read_back::<NetworkPolicy>(&document),
            "Role" => read_back::<Role>(&document),
            "RoleBinding" => read_back::<RoleBinding>(&document),
            "Namespace" => read_back::<Namespace>(&document),
            // Their schemas are Istio's and others'.
            "Gateway"
            | "VirtualService"
            | "DestinationRule"
            | "PeerAuthentication"
            | "AuthorizationPolicy"
            | "RequestAuthentication"
            | "VerticalPodAutoscaler" => continue,
            other => panic!("{place}: a {other} is not checked"),
        };
        let lost = lost(&document, &read_back, "");
        assert!(lost.is_empty(), "{place}: no such fields in a {kind}: {lost:?}");
    }
}

#[test]
fn the_analysis_of_examples_resolves() {
    let documents = examples();
    let mut resolved = 0;
    for (place, document) in documents.iter().filter(|(_, object)| object["kind"] == "Rollout") {
        let rollout: Rollout = serde_json::from_value(document.clone()).unwrap();
        let program = sluice::world::Program::new(&rollout.spec);
        let beside = program.analysis.iter().map(|analysis| Request {
            templates: &analysis.templates,
            metrics: &analysis.metrics,
            args: &analysis.args,
        });
        let steps = program.steps.iter().filter_map(|step| step.step.analysis.as_ref());
        let steps = steps.map(|analysis| Request {
            templates: &analysis.templates,
            metrics: &analysis.metrics,
            args: &analysis.args,
        });
        let templates = templates(&documents, example_of(place));
        let library = Library { templates: &templates, cluster_templates: &BTreeMap::new() };
        let mut object = document.clone();
        object["metadata"]["namespace"] = json!("shop");
        let subject = Subject { rollout: &object, stable: Some("aaaa"), latest: "bbbb" };
        for request in beside.chain(steps) {
            let run = resolve(&request, &library, &subject);
            assert!(run.is_ok(), "{place}: {:?}", run.err().map(|error| error.to_string()));
            resolved += 1;
        }
    }
    assert!(resolved > 0, "an example shows an analysis");
}

/// The teams' manifests are in `tests/seeds` too, for tests of single objects.
#[test]
fn the_platforms_are_as_their_teams_wrote_them() {
    for (seed, example) in [
        ("brownbear-web/deployment.yaml", "brownbear-web/platform/deployment.yaml"),
        ("brownbear-web/virtual-service.yaml", "brownbear-web/mesh/istio.yaml"),
        ("brownbear-web/destination-rule.yaml", "brownbear-web/mesh/istio.yaml"),
        ("npa-service/deployment.yaml", "progressive-framework/platform/npa.yaml"),
        ("npa-service/virtual-service.yaml", "progressive-framework/platform/istio.yaml"),
        ("planner-mcp-server/deployment.yaml", "planner-mcp-server/platform/deployment.yaml"),
        ("planner-mcp-server/virtual-service.yaml", "planner-mcp-server/platform/istio.yaml"),
    ] {
        let wrote = documents(&root().join("tests/seeds").join(seed));
        let shown = documents(&root().join("examples").join(example));
        assert!(wrote.iter().all(|object| shown.contains(object)), "{example} differs from {seed}");
    }
}

/// Every example says in a few lines what it is and why Sluice adds what it adds.
#[test]
fn every_platform_has_a_readme() {
    for example in [
        "planner-mcp-server",
        "brownbear-web",
        "pake-backend",
        "progressive-framework",
        "vivesphere",
    ] {
        let path = root().join("examples").join(example).join("README.md");
        let text = fs::read_to_string(&path).expect("a README");
        assert!(text.lines().count() < 40, "{example}: a few lines are enough");
        let readme = fs::read_to_string(root().join("README.md")).expect("the README");
        assert!(
            readme.contains(&format!("examples/{example}")),
            "README.md does not name {example}"
        );
    }
}

/// Whoever adds a right to one variant must add it to the other.
#[test]
fn the_rights_in_one_namespace_are_those_in_all() {
    let mut wanted = rules("config/rbac/controller.yaml");
    wanted.extend(rules("config/rbac/secrets.yaml"));
    wanted.extend(rules("config/rbac/lease.yaml"));
    for rule in &mut wanted {
        // Theirs is a ClusterRole of its own, because they are in no namespace.
        if let Some(resources) = rule["resources"].as_array_mut() {
            resources.retain(|resource| resource != "clusteranalysistemplates");
        }
    }
    assert_eq!(rules("config/namespaced/role.yaml"), wanted);
}

/// A verb of a command is a verb in roles, in small letters: the policy asks for it.
#[test]
fn every_command_is_a_right_that_operators_and_editors_have() {
    let verbs = [
        Verb::Promote,
        Verb::PromoteFull,
        Verb::Abort,
        Verb::Retry,
        Verb::Pause,
        Verb::Resume,
        Verb::SkipStep,
        Verb::Restart,
    ];
    let roles = documents(&root().join("config/rbac/user-roles.yaml"));
    let policy = fs::read_to_string(root().join("config/policy/rollouts.yaml")).unwrap();
    let (explained, _) = policy.split_once("apiVersion").unwrap();
    for name in ["sluice-operate", "sluice-edit"] {
        let role = roles.iter().find(|role| role["metadata"]["name"] == name).unwrap();
        let allowed = role["rules"].as_array().unwrap().iter();
        let ours = allowed.filter(|rule| rule["resources"] == json!(["rollouts"]));
        let has: Vec<String> = ours
            .flat_map(|rule| rule["verbs"].as_array().cloned().unwrap_or_default())
            .filter_map(|verb| Some(verb.as_str()?.to_owned()))
            .collect();
        for verb in verbs {
            let verb = serde_json::to_value(verb).unwrap();
            let verb = verb.as_str().unwrap().to_lowercase();
            assert!(has.contains(&verb), "{name} may not {verb}");
            assert!(explained.contains(&verb), "the policy does not explain {verb}");
        }
        assert!(!has.iter().any(|verb| verb == "control" || verb == "impersonate-by"), "{name}");
    }
}

/// A policy that cannot be evaluated refuses; one that is not bound, or only warns, guards nothing.
#[test]
fn the_policy_denies_and_fails_closed() {
    let documents = documents(&root().join("config/policy/rollouts.yaml"));
    let [policy, binding] = documents.as_slice() else { panic!("a policy and its binding") };
    assert_eq!(policy["spec"]["failurePolicy"], "Fail");
    assert_eq!(binding["spec"]["policyName"], policy["metadata"]["name"]);
    assert_eq!(binding["spec"]["validationActions"], json!(["Deny"]));
    assert!(binding["spec"].get("matchResources").is_none(), "it guards all namespaces");
    let shipped = fs::read_to_string(root().join("config/default/Kustomization")).unwrap();
    assert!(shipped.contains("../policy"), "an install without it guards nothing");
}

/// All rules of the roles in a file.
fn rules(path: &str) -> Vec<Value> {
    let documents = documents(&root().join(path)).into_iter();
    let rules = documents.filter_map(|document| document.get("rules")?.as_array().cloned());
    rules.flatten().collect()
}

fn templates(
    documents: &[(String, Value)],
    example: &str,
) -> BTreeMap<String, Arc<AnalysisTemplateSpec>> {
    let all = documents.iter().filter(|(place, object)| {
        object["kind"] == "AnalysisTemplate" && example_of(place) == example
    });
    let read = all.map(|(place, object)| {
        let template: AnalysisTemplate = serde_json::from_value(object.clone()).expect(place);
        (template.metadata.name.expect(place), Arc::new(template.spec))
    });
    read.collect()
}

fn read_back<T: DeserializeOwned + Serialize>(document: &Value) -> Value {
    let object: T = serde_json::from_value(document.clone()).expect("an object of its kind");
    serde_json::to_value(object).expect("JSON")
}

/// Paths in `written` that are not in `read`.
fn lost(written: &Value, read: &Value, path: &str) -> Vec<String> {
    match (written, read) {
        (Value::Object(fields), Value::Object(_)) => {
            let below = fields.iter().flat_map(|(name, value)| {
                let path = format!("{path}.{name}");
                read.get(name).map_or_else(|| vec![path.clone()], |read| lost(value, read, &path))
            });
            below.collect()
        }
        (Value::Array(items), Value::Array(others)) => {
            let pairs = items.iter().zip(others).enumerate();
            pairs
                .flat_map(|(i, (item, other))| lost(item, other, &format!("{path}[{i}]")))
                .collect()
        }
        _ => Vec::new(),
    }
}

/// Every document of every example, with its place.
fn examples() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("examples")];
    while let Some(folder) = folders.pop() {
        for file in fs::read_dir(folder).expect("a folder") {
            let path = file.expect("a file").path();
            // What pipelines read is theirs: tests/pipelines.rs.
            if path.ends_with("pipelines") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "yaml")
                && !path.ends_with("kustomization.yaml")
            {
                let place = path.strip_prefix(root()).expect("ours").display().to_string();
                // What a patch changes is no object of its own.
                if !place.ends_with("production-resources.yaml") {
                    let all = documents(&path).into_iter();
                    found.extend(all.map(|object| (place.clone(), object)));
                }
            }
        }
    }
    assert!(!found.is_empty());
    found
}

/// The folder of the example that a file belongs to.
fn example_of(place: &str) -> &str {
    place.split('/').nth(1).expect("a folder of examples")
}

fn documents(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("a readable file");
    let documents = text.split("\n---\n").map(serde_yaml::from_str);
    documents.collect::<Result<_, _>>().expect("YAML")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
