//! Every rule in the CRDs, by the sentence with which the API server refuses.

use crate::{
    app::App,
    scenario::{Scenario, scenario},
};

const STEP: &str = "a step has exactly one of setWeight, pause, setCanaryScale, setHeaderRoute, setMirrorRoute, analysis, job, ramp, hold";
const SCALE: &str = "setCanaryScale has exactly one of replicas, weight, matchTrafficWeight";
const ANALYSIS: &str = "analysis needs templates or metrics";

/// Applies what must be refused, and looks for the sentence.
async fn refuses(scenario: &Scenario, manifest: &str, sentence: &str) {
    let said = scenario.user.apply_refused(manifest).await;
    // kubectl quotes quotes.
    assert!(said.replace('\\', "").contains(sentence), "wanted: {sentence}\nsaid: {said}");
}

#[test]
fn a_rollout_that_cannot_work_is_refused_with_a_sentence() {
    scenario("refused-rollouts", async |scenario| {
        let good = App::new("web", "[{setWeight: 20}]");
        let spec = |at: &str, yaml: &str| good.clone().set(at, yaml).rollout();
        let steps = |yaml: &str| spec("/strategy/canary/steps", yaml);
        let canary = |field: &str, yaml: &str| spec(&format!("/strategy/canary/{field}"), yaml);
        let istio = |field: &str, yaml: &str| canary(&format!("traffic/istio/{field}"), yaml);
        let cases = [
            (App::new(&"w".repeat(53), "[]").rollout(), "allowed are 52 characters at most"),
            (
                spec("/selector/matchLabels", "{}"),
                "spec.selector.matchLabels is empty: allowed is at least one label",
            ),
            (
                canary("canaryService", "web-stable"),
                "stableService and canaryService must be two different Services",
            ),
            (canary("canaryService", "null"), "needs stableService and canaryService (host split)"),
            (
                istio("destinationRule", "{name: web, stableSubset: a, canarySubset: a}"),
                "stableSubset and canarySubset must be two different subsets",
            ),
            (
                istio("virtualServices", "[{name: web, tlsRoutes: [{}]}]"),
                "a tls route is named by port, by sniHosts or by both",
            ),
            (steps("[{}]"), STEP),
            (steps("[{setWeight: 20, pause: {}}]"), STEP),
            (steps("[{setWeight: 101}]"), "setWeight is above traffic.maxWeight (default 100)"),
            (
                steps("[{pause: {duration: 1m, timeout: 1m, onTimeout: abort}}]"),
                "pause has either duration, or timeout with onTimeout",
            ),
            (steps("[{pause: {timeout: 1m}}]"), "pause: timeout and onTimeout belong together"),
            (steps("[{pause: {duration: soon}}]"), "duration"),
            (steps("[{setCanaryScale: {}}]"), SCALE),
            (steps("[{setCanaryScale: {replicas: 1, weight: 20}}]"), SCALE),
            (
                steps("[{setCanaryScale: {matchTrafficWeight: false}}]"),
                "matchTrafficWeight can only be true",
            ),
            (steps("[{analysis: {}}]"), ANALYSIS),
            (canary("analysis", "{startingStep: 1}"), ANALYSIS),
            (istio("virtualServices", "[]"), "virtualServices"),
        ];
        for (manifest, sentence) in cases {
            refuses(scenario, &manifest, sentence).await;
        }
        scenario.user.apply(&good.rollout()).await;
        let moved = good
            .clone()
            .set("/selector/matchLabels", "{app: other}")
            .set("/template/metadata/labels", "{app: other}");
        refuses(scenario, &moved.rollout(), "spec.selector cannot be changed").await;
    });
}

#[test]
fn an_analysis_that_cannot_work_is_refused_with_a_sentence() {
    scenario("refused-analyses", async |scenario| {
        let object = |kind: &str, spec: &str| {
            format!(
                "apiVersion: sluice.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: bad}}\nspec: {spec}"
            )
        };
        let metric = |fields: &str| {
            let query = "provider: {prometheus: {query: up}}";
            object("AnalysisTemplate", &format!("{{metrics: [{{name: m, {query}, {fields}}}]}}"))
        };
        let provider = |yaml: &str| {
            object("AnalysisTemplate", &format!("{{metrics: [{{name: m, provider: {yaml}}}]}}"))
        };
        let prometheus = |field: &str| provider(&format!("{{prometheus: {{query: up, {field}}}}}"));
        let argument = |yaml: &str| {
            let metrics = "metrics: [{name: m, provider: {prometheus: {query: up}}}]";
            object("AnalysisTemplate", &format!("{{args: [{{name: a, {yaml}}}], {metrics}}}"))
        };
        let secret = "{name: s, key: k}";
        let cases = [
            (object("AnalysisTemplate", "{}"), "a template needs metrics or templates"),
            (object("ClusterAnalysisTemplate", "{}"), "a template needs metrics or templates"),
            (
                argument("value: x, valueFrom: {fieldRef: {fieldPath: metadata.name}}"),
                "an argument has value or valueFrom, not both",
            ),
            (
                argument("valueFrom: {}"),
                "valueFrom has exactly one of secretKeyRef, fieldRef, podTemplateHashValue",
            ),
            (metric("count: 2"), "a metric with count above 1 needs an interval"),
            (metric("count: '{{args.n}}'"), "a metric with count above 1 needs an interval"),
            (metric("interval: 1m, count: five"), "spec.metrics[0].count in body should match"),
            (metric("interval: 1m, count: 0"), "should be greater than or equal to 1"),
            (
                metric("threshold: {min: 1}, successCondition: 'true'"),
                "a metric has a threshold or conditions, not both",
            ),
            (metric("threshold: {}"), "threshold needs min, max or both"),
            (metric("threshold: {min: 2, max: 1}"), "threshold: min is greater than max"),
            (provider("{}"), "a provider is exactly one of prometheus, job"),
            (prometheus("headers: [{name: h}]"), "a header has exactly one of value, secretKeyRef"),
            (
                prometheus(&format!(
                    "authentication: {{bearer: {secret}, basic: {{username: {secret}, password: {secret}}}}}"
                )),
                "authentication is exactly one of bearer, basic",
            ),
        ];
        for (manifest, sentence) in cases {
            refuses(scenario, &manifest, sentence).await;
        }
        let run = |query: &str| {
            let metrics = format!("[{{name: m, provider: {{prometheus: {{query: '{query}'}}}}}}]");
            object("AnalysisRun", &format!("{{metrics: {metrics}}}"))
        };
        scenario.user.apply(&run("up")).await;
        let sentence = "spec.metrics of an AnalysisRun cannot be changed; create a new run";
        refuses(scenario, &run("down"), sentence).await;
    });
}
