use super::*;

const NETWORK: &str = include_str!("../../../examples/canary/network.yaml");
const TEMPLATE: &str = include_str!("../../../examples/canary/analysis-template.yaml");
const ROLLOUT: &str = include_str!("../../../examples/canary/rollout.yaml");

fn read(texts: &[&str]) -> Result<Manifests, String> {
    read_chosen(texts, &Choice::default())
}

fn read_chosen(texts: &[&str], choice: &Choice) -> Result<Manifests, String> {
    let source = |(index, text): (usize, &&str)| Source {
        name: format!("{index}.yaml"),
        text: (*text).to_owned(),
    };
    let sources: Vec<Source> = texts.iter().enumerate().map(source).collect();
    Manifests::read(&sources, choice).map_err(|errors| errors.join("\n"))
}

fn error(texts: &[&str]) -> String {
    read(texts).unwrap_err()
}

#[test]
fn the_example_is_complete() {
    let manifests = read(&[NETWORK, TEMPLATE, ROLLOUT]).unwrap();
    assert_eq!(manifests.namespace, "default");
    assert_eq!(manifests.objects.len(), 5);
    assert_eq!(manifests.measured.len(), 1);
    assert!(manifests.notes.is_empty(), "{:?}", manifests.notes);
}

#[test]
fn an_unknown_field_is_named_with_file_and_document() {
    let rollout = ROLLOUT.replace("setWeight: 25", "setWieght: 25");
    assert_eq!(
        error(&[NETWORK, TEMPLATE, &rollout]),
        "2.yaml, document 1: Rollout: spec.strategy.canary.steps[5].setWieght: there is no such field; did you mean `setWeight`?"
    );
}

#[test]
fn an_unknown_kind_is_named_with_those_that_are_allowed() {
    let cron = "{apiVersion: batch/v1, kind: CronJob, metadata: {name: a}}";
    let found = error(&[NETWORK, TEMPLATE, ROLLOUT, cron]);
    let start = "3.yaml, document 1: found apiVersion `batch/v1` and kind `CronJob`, allowed are sluice.dev/v1alpha1 Rollout,";
    assert!(found.starts_with(start), "{found}");
    let argo = ROLLOUT.replace("sluice.dev/v1alpha1", "argoproj.io/v1alpha1");
    assert!(error(&[&argo]).contains("`argoproj.io/v1alpha1` and kind `Rollout`"));
}

#[test]
fn what_makes_no_difference_is_left_out_with_a_note() {
    let ingress = "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: a}}";
    let autoscaler =
        "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: b}}";
    let manifests = read(&[NETWORK, TEMPLATE, ROLLOUT, ingress, autoscaler]).unwrap();
    assert_eq!(
        manifests.notes,
        ["left out, for they make no difference here: Ingress a, HorizontalPodAutoscaler b"]
    );
}

#[test]
fn the_api_servers_rules_hold() {
    let rollout = ROLLOUT.replace("setWeight: 25", "setWeight: 250");
    let found = error(&[NETWORK, TEMPLATE, &rollout]);
    assert!(found.starts_with("2.yaml, document 1: Rollout.sluice.dev \"checkout\""), "{found}");
    assert!(found.contains("setWeight is above traffic.maxWeight"), "{found}");
    let twice = error(&[NETWORK, NETWORK, TEMPLATE, ROLLOUT]);
    assert!(twice.contains("1.yaml, document 1: services \"checkout-stable\" already exists"));
}

#[test]
fn what_the_rollout_names_must_be_there() {
    let start = "Rollout checkout: spec.strategy.canary";
    let found = error(&[TEMPLATE, ROLLOUT]);
    for (part, kind) in [
        (".stableService", "Service checkout-stable"),
        (".canaryService", "Service checkout-canary"),
        (".traffic.istio.virtualServices[0]", "VirtualService checkout"),
    ] {
        let sentence =
            format!("{start}{part}: there is no {kind} in namespace default; there is none");
        assert!(found.contains(&sentence), "{found}");
    }
    assert_eq!(
        error(&[NETWORK, ROLLOUT]),
        format!(
            "{start}.analysis.templates[0]: there is no AnalysisTemplate \"success-rate\" (templates: there is none)"
        )
    );
}

#[test]
fn a_destination_rule_and_its_host_must_be_there() {
    let rollout = include_str!("../../../examples/demo/rollout.yaml");
    let template = include_str!("../../../examples/demo/analysis-template.yaml");
    let network = include_str!("../../../examples/demo/network.yaml");
    let without = |kind: &str| {
        let documents: Vec<&str> = network.split("\n---\n").collect();
        let is = |document: &&&str| !document.contains(&format!("kind: {kind}\n"));
        documents.iter().filter(is).copied().collect::<Vec<_>>().join("\n---\n")
    };
    let found = error(&[rollout, template, &without("DestinationRule")]);
    assert!(
        found.contains("destinationRule: there is no DestinationRule brownbear-web"),
        "{found}"
    );
    let found = error(&[rollout, template, &without("Service")]);
    assert!(found.contains("spec.host: there is no Service brownbear-web"), "{found}");
}

#[test]
fn a_secret_and_its_key_must_be_there() {
    let header = "address: http://prometheus.monitoring:9090\n          headers: [{name: X-Scope-OrgID, secretKeyRef: {name: prom, key: tenant}}]";
    let template = TEMPLATE.replace("address: http://prometheus.monitoring:9090", header);
    assert_eq!(
        error(&[NETWORK, &template, ROLLOUT]),
        "AnalysisTemplate success-rate, metric success-rate: there is no Secret prom in namespace default; there is none"
    );
    let secret = "{apiVersion: v1, kind: Secret, metadata: {name: prom}, stringData: {other: a}}";
    assert_eq!(
        error(&[NETWORK, &template, ROLLOUT, secret]),
        "AnalysisTemplate success-rate, metric success-rate: Secret prom has no key tenant"
    );
}

#[test]
fn a_query_must_be_understood() {
    for (from, to, part) in [
        ("sum(rate(", "summ(rate(", "parse error"),
        ("sum(rate(", "sum(deriv(", "the simulation does not have the function deriv()"),
    ] {
        let found = error(&[NETWORK, &TEMPLATE.replacen(from, to, 1), ROLLOUT]);
        let start = "AnalysisTemplate success-rate, metric success-rate: query: ";
        assert!(found.starts_with(start) && found.contains(part), "{found}");
    }
}

#[test]
fn a_metric_without_samples_is_warned_of() {
    let template = TEMPLATE.replace("istio_requests_total", "orders_total");
    let manifests = read(&[NETWORK, &template, ROLLOUT]).unwrap();
    let warnings = manifests.measured[0].warnings(&crate::sim::prometheus::Database::new());
    assert!(warnings[0].contains("no samples of orders_total"), "{warnings:?}");
}

#[test]
fn the_image_is_that_of_the_workload_that_has_the_template() {
    let deployment = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: 'web:1'}]}}}}";
    let rollout = "{apiVersion: sluice.dev/v1alpha1, kind: Rollout, metadata: {name: web}, spec: {workloadRef: {apiVersion: apps/v1, kind: Deployment, name: web}, strategy: {rolling: {}}}}";
    assert_eq!(read(&[deployment, rollout]).unwrap().image, "web:1");
    assert_eq!(
        error(&[rollout]),
        "Rollout web: spec.workloadRef: there is no Deployment web in namespace default; there is none"
    );
    let misspelt = deployment.replace("selector:", "selecter:");
    let found = error(&[&misspelt, rollout]);
    assert!(found.contains("Deployment: spec.selecter: there is no such field"), "{found}");
}

#[test]
fn one_rollout_is_meant() {
    assert!(error(&[NETWORK]).starts_with("found no Rollout"));
    let other = ROLLOUT.replacen("name: checkout", "name: other", 1);
    assert_eq!(
        error(&[NETWORK, TEMPLATE, ROLLOUT, &other]),
        "found the Rollouts checkout, other, allowed is one: say --rollout NAME"
    );
    let choice = |name: &str| Choice { rollout: Some(name.to_owned()), ..Choice::default() };
    let texts = [NETWORK, TEMPLATE, ROLLOUT, &other];
    let manifests = read_chosen(&texts, &choice("other")).unwrap();
    assert_eq!(manifests.notes, ["Rollout checkout is left out: --rollout other"]);
    let found = read_chosen(&texts, &choice("nope")).unwrap_err();
    assert_eq!(found, "--rollout: found `nope`, allowed are checkout, other");
}

#[test]
fn objects_without_a_namespace_are_in_the_chosen_one() {
    let choice = Choice { namespace: Some("shop".to_owned()), ..Choice::default() };
    let manifests = read_chosen(&[NETWORK, TEMPLATE, ROLLOUT], &choice).unwrap();
    assert_eq!(manifests.namespace, "shop");
}

#[test]
fn what_is_no_yaml_is_named_with_its_file() {
    assert!(error(&["a: [b"]).starts_with("0.yaml: "));
}
