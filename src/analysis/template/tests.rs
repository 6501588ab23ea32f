use serde_json::json;

use super::*;
use crate::api::{Count, RevisionChoice};

fn spec(yaml: &str) -> AnalysisTemplateSpec {
    serde_yaml::from_str(yaml).expect(yaml)
}

fn shelf(templates: &[(&str, &str)]) -> BTreeMap<String, Arc<AnalysisTemplateSpec>> {
    templates.iter().map(|(name, yaml)| ((*name).to_owned(), Arc::new(spec(yaml)))).collect()
}

/// Resolves what `request` (a template's spec, whose arguments are those given) asks for.
fn run(request: &str, templates: &[(&str, &str)]) -> Result<AnalysisRunSpec, ResolveError> {
    run_in(request, templates, &[])
}

fn run_in(
    request: &str,
    templates: &[(&str, &str)],
    cluster: &[(&str, &str)],
) -> Result<AnalysisRunSpec, ResolveError> {
    let request = spec(request);
    let rollout = json!({"metadata": {"name": "web", "labels": {"team": "a"}}});
    resolve(
        &Request { templates: &request.templates, metrics: &request.metrics, args: &request.args },
        &Library { templates: &shelf(templates), cluster_templates: &shelf(cluster) },
        &Subject { rollout: &rollout, stable: Some("aaa"), latest: "bbb" },
    )
}

fn refusal(request: &str, templates: &[(&str, &str)]) -> String {
    run(request, templates).expect_err(request).to_string()
}

fn metric(name: &str) -> String {
    format!("metrics: [{{name: {name}, provider: {{prometheus: {{query: up}}}}}}]")
}

fn values(spec: &AnalysisRunSpec) -> Vec<(&str, &str)> {
    spec.args
        .iter()
        .map(|a| (a.name.as_str(), a.value.as_deref().unwrap_or("(reference)")))
        .collect()
}

#[test]
fn several_templates_make_one_run_with_all_metrics() {
    let run = run_in(
        "templates: [{templateName: a}, {templateName: b, clusterScope: true}]\n\
         metrics: [{name: inline, provider: {prometheus: {query: up}}}]",
        &[("a", &(metric("a") + "\nttl: 2h\ntemplates: [{templateName: c}]")), ("c", &metric("c"))],
        &[("b", &(metric("b") + "\nttl: 30m"))],
    )
    .expect("a run");
    let names: Vec<_> = run.metrics.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["a", "c", "b", "inline"]);
    assert_eq!(run.ttl, Some(crate::api::Duration::from_secs(1800)));
    assert!(!run.terminate);
    validate::validate(&run).expect("what is resolved is valid");
}

#[test]
fn a_template_that_two_others_compose_is_taken_once() {
    let run = run(
        "templates: [{templateName: a}, {templateName: b}, {templateName: a}]",
        &[
            ("a", "templates: [{templateName: c}]"),
            ("b", "templates: [{templateName: c}]"),
            ("c", &metric("c")),
        ],
    )
    .expect("a run");
    assert_eq!(run.metrics.len(), 1);
}

#[test]
fn the_rollouts_arguments_win_and_references_become_values() {
    let template = "\
args:
- {name: limit, value: '0.9'}
- {name: url}
- {name: team, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['team']\"}}}
- {name: stable, valueFrom: {podTemplateHashValue: Stable}}
- {name: canary, valueFrom: {podTemplateHashValue: Latest}}
- {name: token, valueFrom: {secretKeyRef: {name: s, key: k}}}
metrics:
- name: m
  successCondition: result[0] > {{args.limit}}
  provider:
    prometheus:
      address: '{{ args.url }}'
      query: up{team=\"{{args.team}}\",a=\"{{args.stable}}\",b=\"{{args.canary}}\"}
      headers: [{name: X-Token, value: '{{args.token}}'}]
";
    let run = run(
        "templates: [{templateName: t}]\n\
         args: [{name: limit, value: '0.5'}, {name: url, value: 'http://p'}, {name: unused, value: x}]",
        &[("t", template)],
    )
    .expect("a run");
    assert_eq!(
        values(&run),
        [
            ("limit", "0.5"),
            ("url", "http://p"),
            ("unused", "x"),
            ("team", "a"),
            ("stable", "aaa"),
            ("canary", "bbb"),
            ("token", "(reference)"),
        ]
    );
    let metric = run.metrics.first().expect("a metric");
    assert_eq!(
        metric.success_condition.as_deref(),
        Some("result[0] > {{args.limit}}"),
        "placeholders stay, because a secret is only known when it is measured"
    );
    assert_eq!(
        super::super::arguments::needed_secrets(metric, &run.args),
        BTreeSet::from([("s".to_owned(), "k".to_owned())])
    );
}

#[test]
fn two_defaults_for_one_argument_are_refused_unless_the_rollout_decides() {
    let a = metric("a") + "\nargs: [{name: x, value: '1'}]";
    let b = metric("b") + "\nargs: [{name: x, value: '2'}]";
    let without = metric("b") + "\nargs: [{name: x}]";
    let both = "templates: [{templateName: a}, {templateName: b}]";
    assert_eq!(
        refusal(both, &[("a", &a), ("b", &b)]),
        "templates[1].args[0]: found another default for argument \"x\" than in \
         templates[0].args[0]; allowed is one default, or a value in args"
    );
    let decided = format!("{both}\nargs: [{{name: x, value: '3'}}]");
    let run_of = |request: &str, b: &str| run(request, &[("a", &a), ("b", b)]).expect("a run");
    assert_eq!(values(&run_of(&decided, &b)), [("x", "3")]);
    assert_eq!(values(&run_of(both, &without)), [("x", "1")]);
    assert_eq!(values(&run_of(&format!("{both}\nargs: [{{name: x}}]"), &without)), [("x", "1")]);
}

#[test]
fn an_argument_may_give_the_number_of_measurements() {
    let template = "args: [{name: count, value: '0'}]\nmetrics: [{name: m, interval: 1m, \
                    count: '{{args.count}}', provider: {prometheus: {query: up}}}]";
    for (args, count) in [("", None), ("\nargs: [{name: count, value: '5'}]", Some(5))] {
        let request = format!("templates: [{{templateName: t}}]{args}");
        let run = run(&request, &[("t", template)]).expect("a run");
        assert_eq!(run.metrics[0].count, count.map(Count::Number), "{args}");
        validate::validate(&run).expect("what is resolved is valid");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place_before_anything_runs() {
    let t = |body: &str| {
        format!("metrics: [{{name: m, {body}, provider: {{prometheus: {{query: up}}}}}}]")
    };
    for (body, words) in [
        (t("successCondition: 'result[0] >'"), "templates[0].metrics[0].successCondition: found `result[0] >`, which is not a CEL expression"),
        (t("failureCondition: 'len(result) > 1'"), "failureCondition: found the function `len`"),
        (t("successCondition: 'result > {{args.nope}}'"), "found {{args.nope}}, allowed is {{args.NAME}} with the names (none)"),
        (t("count: 3"), "metrics[0].count: found 3 without an interval, allowed is 1"),
        (t("interval: 1m, count: '{{args.n}}'"), "metrics[0].count: found {{args.n}}, allowed is a number, or {{args.NAME}} with the names (none)"),
        ("args: [{name: n, value: many}]\n".to_owned() + &t("interval: 1m, count: '{{args.n}}'"), "count: found {{args.n}}, which is `many`, allowed is a whole number up to 100000; 0 is without end"),
        ("args: [{name: n, value: '3'}]\n".to_owned() + &t("interval: 1m, count: '{{args.n}}0'"), "count: found `{{args.n}}0`, allowed is a number"),
        ("args: [{name: n, value: '3'}]\n".to_owned() + &t("count: '{{args.n}}'"), "metrics[0].count: found 3 without an interval"),
        (t("interval: 0s"), "metrics[0].interval: found 0s, allowed is at least 1s"),
        (t("interval: 1m, count: 2, consecutiveSuccessLimit: 3"), "cannot be reached in 2 measurements"),
        (t("failureLimit: -1"), "failureLimit: found -1, allowed is at least 0"),
        (t("threshold: {min: 1}, successCondition: result > 1"), "threshold beside a condition"),
        (t("threshold: {}"), "threshold: found no bound"),
        (t("threshold: {min: 2, max: 1}"), "a min above max"),
        ("metrics: [{name: m, provider: {}}]".into(), "provider: found none or several"),
        ("metrics: [{name: m, provider: {prometheus: {query: '{{args.q}}'}}}]".into(), "prometheus.query: found {{args.q}}"),
        ("metrics: [{name: m, provider: {prometheus: {query: up, address: prom:9090}}}]".into(), "allowed is http://HOST or https://HOST"),
        ("metrics: [{name: m, provider: {prometheus: {query: up, headers: [{name: 'a b', value: x}]}}}]".into(), "name of an HTTP header"),
        ("metrics: [{name: m, provider: {prometheus: {query: up, headers: [{name: a}]}}}]".into(), "headers[0]: found none"),
        ("metrics: [{name: m, provider: {prometheus: {query: up, range: {lookback: 1d, step: 1s}}}}]".into(), "at most 11000 points"),
        ("metrics: [{name: m, provider: {prometheus: {query: up, authentication: {}}}}]".into(), "exactly one of bearer, basic"),
        ("metrics: [{name: m, provider: {job: {spec: {}}}}]".into(), "spec.template.spec.containers: found no containers"),
        ("metrics: [{name: m, threshold: {min: 1}, provider: {job: {spec: {template: {spec: {containers: [{image: i}]}}}}}}]".into(), "a Job passes when it succeeds"),
        ("metrics: [{name: m, provider: {job: {spec: {template: {spec: {containers: [{image: 'i:{{args.tag}}'}]}}}}}}]".into(), "job.spec.template.spec.containers[0].image: found {{args.tag}}"),
        ("args: [{name: s, valueFrom: {secretKeyRef: {name: a, key: b}}}]\nmetrics: [{name: m, provider: {job: {spec: {template: {spec: {containers: [{image: i, args: ['{{args.s}}']}]}}}}}}]".into(), "allowed is env.valueFrom.secretKeyRef"),
        ("args: [{name: s, valueFrom: {secretKeyRef: {name: a, key: b}}}]\n".to_owned() + &t("successCondition: 'result > {{args.s}}'"), "stands for a secret"),
        (metric("m") + "\nargs: [{name: x}]", "args[0]: found no value for \"x\""),
        (metric("m") + "\nargs: [{name: x, valueFrom: {fieldRef: {fieldPath: spec.nope}}}]", "fieldPath: found `spec.nope`: but the Rollout has no `spec`"),
        (metric("m") + "\ndryRun: [{metricName: '('}]", "dryRun[0].metricName: found `(`, which is not a regular expression (unclosed group)"),
        (metric("m") + "\nmeasurementRetention: [{metricName: '*', limit: 3}]", "measurementRetention[0].metricName: found `*`, which is not a regular"),
        (metric("m") + "\nmeasurementRetention: [{metricName: m, limit: 0}]", "measurementRetention[0].limit: found 0, allowed is 1 to 100"),
    ] {
        let error = refusal("templates: [{templateName: t}]", &[("t", &body)]);
        assert!(error.contains(words), "{body}\n  {error}");
        assert!(error.starts_with("templates[0]."), "{error}");
    }
}

#[test]
fn circles_missing_templates_and_doubled_metrics_name_the_way_there() {
    let a = ("a", "templates: [{templateName: b}]");
    let b = ("b", "templates: [{templateName: a}]");
    assert_eq!(
        refusal("templates: [{templateName: a}]", &[a, b]),
        "templates[0].templates[0].templates[0]: templates refer to each other in a circle: \
         \"a\" -> \"b\" -> \"a\""
    );
    assert_eq!(
        refusal("templates: [{templateName: a}]", &[a]),
        "templates[0].templates[0]: there is no AnalysisTemplate \"b\", referred to by \"a\""
    );
    assert_eq!(
        refusal("templates: [{templateName: x, clusterScope: true}]", &[("x", &metric("m"))]),
        "templates[0]: there is no ClusterAnalysisTemplate \"x\""
    );
    assert_eq!(
        refusal(
            "templates: [{templateName: x}, {templateName: y}]",
            &[("x", &metric("m")), ("y", &metric("m"))]
        ),
        "templates[1].metrics[0].name: found \"m\" a second time (first in \
         templates[0].metrics[0]), allowed is each name once in a run"
    );
    assert!(refusal("args: [{name: a, value: x}]", &[]).contains("no metrics"));
}

#[test]
fn too_much_for_one_run_is_refused() {
    let many: Vec<String> = (0..60).map(|n| format!("t{n}")).collect();
    let metrics: Vec<String> = many.iter().map(|name| metric(name)).collect();
    let templates: Vec<(&str, &str)> =
        many.iter().zip(&metrics).map(|(name, yaml)| (name.as_str(), yaml.as_str())).collect();
    let names: Vec<_> = many.iter().map(|n| format!("{{templateName: {n}}}")).collect();
    let error = refusal(&format!("templates: [{}]", names.join(", ")), &templates);
    assert!(error.contains("at most 50 in one run"), "{error}");
}

#[test]
fn a_dry_run_speaks_of_its_own_template_only() {
    let run = run(
        "templates: [{templateName: a}, {templateName: b}]",
        &[
            (
                "a",
                &(metric("a")
                    + "\ntemplates: [{templateName: c}]\ndryRun: [{metricName: '.*'}]\n\
                    measurementRetention: [{metricName: '.*', limit: 5}]"),
            ),
            ("b", &metric("b.x")),
            ("c", &(metric("c") + "\nmeasurementRetention: [{metricName: c, limit: 9}]")),
        ],
    )
    .expect("a run");
    let dry: Vec<_> = run.dry_run.iter().map(|d| d.metric_name.as_str()).collect();
    assert_eq!(dry, ["a", "c"]);
    let keep: Vec<_> =
        run.measurement_retention.iter().map(|r| (r.metric_name.as_str(), r.limit)).collect();
    assert_eq!(keep, [("a", 5), ("c", 9)], "the innermost retention stays");
    assert_eq!(exact("b.x"), "b\\.x");
}

#[test]
fn the_stable_hash_of_a_first_release_is_missing_and_not_empty() {
    assert_eq!(revision(RevisionChoice::Stable, None, "b"), None);
    assert_eq!(revision(RevisionChoice::Latest, None, "b"), Some("b"));
}

#[test]
fn a_run_made_by_hand_is_checked_too() {
    for (yaml, words) in [
        ("metrics: []", "spec.metrics: found 0 metrics, allowed is 1 to 50"),
        ("args: [{name: x}]\nmetrics: []", "spec.args[0]: found argument \"x\" without a value"),
        (
            "args: [{name: x, valueFrom: {podTemplateHashValue: Latest}}]\nmetrics: []",
            "allowed is in a run exactly one of value, valueFrom.secretKeyRef",
        ),
        (
            "args: [{name: x, value: a}, {name: x, value: a}]\nmetrics: []",
            "spec.args[1].name: found a second \"x\"",
        ),
        (
            "args: [{name: n, value: '3'}]\n\
             metrics: [{name: m, interval: 1m, count: '{{args.n}}', provider: {prometheus: {query: up}}}]",
            "spec.metrics[0].count: found {{args.n}}, allowed is in a run a number",
        ),
        (
            "metrics: [{name: m, successCondition: 'true', provider: {prometheus: {query: up}}}]\n\
             dryRun: [{metricName: '['}]",
            "spec.dryRun[0].metricName: found `[`",
        ),
    ] {
        let run: AnalysisRunSpec = serde_yaml::from_str(yaml).expect(yaml);
        let error = validate::validate(&run).expect_err(yaml).to_string();
        assert!(error.contains(words), "{yaml}: {error}");
    }
}
