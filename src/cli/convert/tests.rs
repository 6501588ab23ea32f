use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::cli::manifests::{Choice, Manifests};

/// The examples, and what of them a release is played with.
const EXAMPLES: [(&str, &str); 6] = [
    ("argo-canary", include_str!("../../../tests/migration/argo-canary.yaml")),
    ("argo-subsets", include_str!("../../../tests/migration/argo-subsets.yaml")),
    ("argo-blue-green", include_str!("../../../tests/migration/argo-blue-green.yaml")),
    ("flagger-canary", include_str!("../../../tests/migration/flagger-canary.yaml")),
    ("flagger-ab", include_str!("../../../tests/migration/flagger-ab.yaml")),
    ("deployment", include_str!("../../../tests/migration/deployment.yaml")),
];

fn source(text: &str) -> Source {
    Source { name: "input.yaml".into(), text: text.into() }
}

fn of(text: &str) -> Vec<Converted> {
    convert(&[source(text)]).unwrap()
}

fn documents(text: &str) -> Vec<Value> {
    serde_yaml::from_multiple(text).unwrap()
}

fn of_documents(documents: &[Value]) -> Vec<Converted> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": documents});
    of(&list.to_string())
}

fn find<'a>(all: &'a [Converted], kind: &str, name: &str) -> &'a Value {
    let mut objects = all.iter().flat_map(|converted| &converted.objects);
    objects
        .find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
        .unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

fn notes<'a>(all: &'a [Converted], subject: &str) -> BTreeMap<&'a str, &'a str> {
    let mut of = all.iter().filter(|converted| converted.subject == subject);
    let notes = &of.next().expect("the subject").notes;
    notes.iter().map(|note| (note.path.as_str(), note.text.as_str())).collect()
}

fn example(name: &str) -> &'static str {
    EXAMPLES.iter().find(|(found, _)| *found == name).expect("an example").1
}

#[test]
fn the_result_passes_our_own_checks() {
    for (name, text) in EXAMPLES {
        let all = of(text);
        assert_eq!(faults(&all), [""; 0], "{name}");
        let output = output::text(&all, Output::Yaml).unwrap();
        let read = Manifests::read(&[source(&output)], &Choice::default());
        let manifests = read.unwrap_or_else(|errors| panic!("{name}: {errors:#?}\n{output}"));
        assert!(manifests.rollout.metadata.name.is_some(), "{name}");
    }
}

#[test]
fn what_comes_out_is_left_alone_when_it_is_converted_again() {
    for (name, text) in EXAMPLES.iter().filter(|(name, _)| *name != "deployment") {
        let once = of(text);
        let output = output::text(&once, Output::Yaml).unwrap();
        if output.contains("kind: Deployment") {
            continue;
        }
        let twice = output::text(&of(&output), Output::Yaml).unwrap();
        let plain = |text: &str| documents(text);
        assert_eq!(plain(&output), plain(&twice), "{name}");
    }
}

/// All places below a value at which a field can be added.
fn maps(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.push(at.to_owned());
            for (name, value) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                maps(value, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                maps(item, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// All leaves below a value.
fn leaves(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                leaves(value, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, &format!("{at}/{index}"), found);
            }
        }
        _ => found.push(at.to_owned()),
    }
}

const STRANGER: &str = "fieldThatNobodyKnows";

/// Where the field of a pointer stands, as the list writes it.
fn path(pointer: &str) -> String {
    pointer.split('/').skip(1).fold(String::new(), |above, part| {
        let part = part.replace("~1", "/").replace("~0", "~");
        match part.parse::<usize>() {
            Ok(index) => format!("{above}[{index}]"),
            Err(_) => node::below(&above, &part),
        }
    })
}

/// Whether the list names the field, or something that holds it.
fn named(converted: &Converted, field: &str) -> bool {
    converted.notes.iter().any(|note| {
        note.path.is_empty() && converted.objects.is_empty()
            || note.path == field
            || note.whole
                && ['.', '['].iter().any(|next| field.starts_with(&format!("{}{next}", note.path)))
    })
}

#[test]
fn an_unknown_field_is_in_the_output_or_in_the_list() {
    let mut tried = 0;
    for (name, text) in EXAMPLES {
        let all = documents(text);
        for (index, document) in all.iter().enumerate() {
            let mut places = Vec::new();
            maps(document, "", &mut places);
            for place in places {
                let mut changed = all.clone();
                changed[index].pointer_mut(&place).unwrap()[STRANGER] = json!("here");
                let converted = of_documents(&changed);
                let printed =
                    json!(converted.iter().map(|converted| &converted.objects).collect::<Vec<_>>());
                let field = path(&format!("{place}/{STRANGER}"));
                let own = &converted[index];
                assert!(
                    printed.to_string().contains(STRANGER) || named(own, &field),
                    "{name}, {}: {field} is lost: {:#?}",
                    own.subject,
                    own.notes
                );
                tried += 1;
            }
        }
    }
    assert!(tried > 300, "{tried}");
}

#[test]
fn no_field_is_without_effect() {
    for (name, text) in EXAMPLES {
        let all = documents(text);
        for (index, document) in all.iter().enumerate() {
            let mut places = Vec::new();
            leaves(document, "", &mut places);
            let before = shown(&of_documents(&all));
            for place in places {
                let fields = ["/apiVersion", "/kind", "/spec/targetRef/apiVersion"];
                if fields.contains(&place.as_str()) || !changeable(document.pointer(&place)) {
                    continue;
                }
                let mut changed = all.clone();
                *changed[index].pointer_mut(&place).unwrap() = json!("another");
                let converted = of_documents(&changed);
                assert!(
                    shown(&converted) != before || named(&converted[index], &path(&place)),
                    "{name}, {}: {place} has no effect and is not listed",
                    converted[index].subject
                );
            }
        }
    }
}

fn changeable(value: Option<&Value>) -> bool {
    value.is_some_and(|value| !value.is_null())
}

/// Output and list as one text.
fn shown(all: &[Converted]) -> String {
    format!("{}\n{}", output::text(all, Output::Json).unwrap(), output::list(all).join("\n"))
}

#[test]
fn a_rollout_of_argo_keeps_its_meaning() {
    let instance = "labels: {team: shop, argo-rollouts.argoproj.io/controller-instance-id: one}";
    let all = of(&example("argo-canary").replace("labels: {team: shop}", instance));
    let rollout = find(&all, "Rollout", "checkout");
    let canary = &rollout["spec"]["strategy"]["canary"];
    assert_eq!(rollout["spec"]["progressDeadlineAbort"], false, "Argo's default is written out");
    assert_eq!(rollout["spec"]["progressDeadline"], "5m");
    assert_eq!(rollout["metadata"]["labels"]["sluice.dev/instance"], "one");
    assert_eq!(rollout["metadata"]["annotations"], json!({"owner": "ann"}));
    assert_eq!(canary["scaleDownDelay"], "1m");
    assert_eq!(canary["abortScaleDownDelay"], "0s");
    let route = json!([{"name": "checkout", "routes": ["primary"]}]);
    assert_eq!(canary["traffic"]["istio"]["virtualServices"], route);
    assert_eq!(canary["steps"][2], json!({"pause": {}}), "a person stands in for the experiment");
    assert_eq!(canary["analysis"]["startingStep"], 5);
    let listed = notes(&all, "Rollout checkout");
    for path in [
        "spec.strategy.canary.maxSurge",
        "spec.strategy.canary.steps[2].experiment",
        "spec.strategy.canary.trafficRouting.nginx",
        "spec.strategy.canary.scaleDownDelayRevisionLimit",
        "spec.strategy.canary.analysis.dryRun",
        "metadata.annotations[rollout.argoproj.io/revision]",
    ] {
        assert!(listed.contains_key(path), "{path}: {listed:#?}");
    }
    let service = find(&all, "Service", "checkout-stable");
    assert_eq!(service["spec"]["selector"], json!({"app": "checkout"}));
    let scaler = find(&all, "HorizontalPodAutoscaler", "checkout");
    assert_eq!(scaler["spec"]["scaleTargetRef"]["apiVersion"], "sluice.dev/v1alpha1");
}

#[test]
fn templates_of_argo_keep_what_prometheus_and_jobs_can_say() {
    let all = of(example("argo-canary"));
    let spec = &find(&all, "AnalysisTemplate", "success-rate")["spec"];
    let metric = &spec["metrics"][0];
    assert_eq!(metric["successCondition"], "result[0] >= 0.95");
    assert_eq!(metric["onNoData"], "pass");
    assert_eq!(metric["interval"], "1m");
    assert_eq!(metric["provider"]["prometheus"]["timeout"], "20s");
    let query = metric["provider"]["prometheus"]["query"].as_str().unwrap();
    assert!(query.contains("sluice_dev_revision=") && !query.contains("rollouts_pod"), "{query}");
    assert_eq!(spec["metrics"].as_array().unwrap().len(), 1, "the JSON metric has no equal");
    assert!(notes(&all, "AnalysisTemplate success-rate").contains_key("spec.metrics[1]"));
    let smoke = &find(&all, "ClusterAnalysisTemplate", "smoke")["spec"]["metrics"];
    let command =
        &smoke[0]["provider"]["job"]["spec"]["template"]["spec"]["containers"][0]["command"];
    assert_eq!(command[0], "curl");
    assert_eq!(smoke[1]["provider"]["job"]["spec"]["backoffLimit"], 1);
}

#[test]
fn a_gate_without_equal_becomes_a_person() {
    let text = example("argo-blue-green").replace("smoke}]", "only-datadog}]");
    let all = of(&text);
    let strategy = &find(&all, "Rollout", "web")["spec"]["strategy"]["blueGreen"];
    assert_eq!(strategy["autoPromotionEnabled"], false);
    assert!(strategy["prePromotionAnalysis"].is_null());
    let listed = output::list(&all).join("\n");
    assert!(listed.contains("a person decides before the switch"), "{listed}");
}

#[test]
fn a_canary_of_flagger_becomes_services_routes_and_steps() {
    let all = of(example("flagger-canary"));
    let rollout = find(&all, "Rollout", "podinfo");
    assert_eq!(rollout["spec"]["replicas"], 2);
    assert_eq!(rollout["spec"]["workloadRef"]["name"], "podinfo");
    let canary = &rollout["spec"]["strategy"]["canary"];
    assert_eq!(canary["stableService"], "podinfo-primary");
    let ramp = json!({"ramp": {"from": 10, "to": 50, "by": 10, "every": "1m"}});
    assert!(canary["steps"].as_array().unwrap().contains(&ramp), "{canary:#}");
    assert!(!canary["steps"][1]["job"].is_null(), "the acceptance test comes before traffic");
    assert_eq!(canary["steps"].as_array().unwrap().last().unwrap(), &json!({"pause": {}}));
    let route = find(&all, "VirtualService", "podinfo");
    assert_eq!(route["spec"]["hosts"], json!(["app.example.com", "podinfo"]));
    assert_eq!(route["spec"]["http"][0]["timeout"], "15s");
    let metrics = find(&all, "AnalysisTemplate", "podinfo")["spec"]["metrics"].clone();
    let names: Vec<&str> =
        metrics.as_array().unwrap().iter().filter_map(|metric| metric["name"].as_str()).collect();
    assert_eq!(names, ["request-success-rate", "request-duration", "latency", "load-test"]);
    assert_eq!(metrics[0]["failureLimit"], 4, "the fifth failed check rolls back");
    let query = metrics[2]["provider"]["prometheus"]["query"].as_str().unwrap();
    assert!(query.contains(r#"destination_canonical_revision="{{args.revision}}""#), "{query}");
    assert!(query.contains("histogram_quantile(0.9,"), "{query}");
    let listed = notes(&all, "Canary podinfo");
    for path in
        ["spec.analysis.alerts", "spec.analysis.sessionAffinity", "spec.analysis.metrics[3]"]
    {
        assert!(listed.contains_key(path), "{path}: {listed:#?}");
    }
}

#[test]
fn an_ab_test_becomes_header_routes() {
    let all = of(example("flagger-ab"));
    let canary = &find(&all, "Rollout", "web")["spec"]["strategy"]["canary"];
    assert_eq!(
        canary["steps"],
        json!([
            {"setCanaryScale": {"weight": 100}},
            {"setHeaderRoute": {"name": "ab-1", "match": [
                {"headerName": "x-canary", "headerValue": {"exact": "insider"}}]}},
            {"setHeaderRoute": {"name": "ab-2", "match": [
                {"headerName": "cookie", "headerValue": {"regex": "^(.*?;)?(canary=always)(;.*)?$"}},
                {"headerName": "user-agent", "headerValue": {"regex": ".*beta"}}]}},
            {"pause": {"duration": "10m"}},
        ])
    );
    assert!(notes(&all, "Canary web").contains_key("spec.analysis.match[2].sourceLabels"));
}

#[test]
fn a_deployment_gets_a_rollout_a_canary_service_and_a_second_destination() {
    let all = of(example("deployment"));
    let rollout = find(&all, "Rollout", "shop");
    assert_eq!(rollout["spec"]["strategy"]["canary"]["stableService"], "shop");
    assert_eq!(find(&all, "Service", "shop-canary")["spec"]["selector"], json!({"app": "shop"}));
    assert_eq!(
        find(&all, "VirtualService", "shop")["spec"]["http"][0]["route"],
        json!([
            {"destination": {"host": "shop", "port": {"number": 80}}, "weight": 100},
            {"destination": {"host": "shop-canary", "port": {"number": 80}}, "weight": 0},
        ])
    );
    let target = &find(&all, "HorizontalPodAutoscaler", "shop")["spec"]["scaleTargetRef"];
    assert_eq!(target["kind"], "Rollout");
    assert_eq!(find(&all, "Deployment", "shop")["spec"]["replicas"], 3);
}
