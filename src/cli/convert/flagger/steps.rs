//! `spec.analysis`: weights and iterations into steps, checks into an AnalysisTemplate.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    Mesh, Release,
    metrics::{self, Source},
    webhooks::{self, Hooks},
};
use crate::{
    api::Duration,
    cli::convert::node::{Fate, Node},
};

/// The strategy without any analysis: all at once, as soon as the pods are there.
pub fn plain(release: &Release, mesh: Mesh) -> Value {
    strategy_of(release, mesh, Body::default())
}

/// What a strategy has beside its Services.
#[derive(Default)]
struct Body {
    steps: Vec<Value>,
    managed: Vec<Value>,
    threshold: Option<Value>,
    measured: bool,
    looks: i64,
    by_hand: bool,
}

/// Our strategy, and the template that it names.
pub fn strategy(
    release: &Release,
    mut from: Node,
    mesh: Mesh,
    skipped: bool,
    sources: &BTreeMap<(String, String), Source>,
) -> (Value, Option<Value>) {
    let hooks = from.take("webhooks").map(|hooks| webhooks::hooks(release, hooks));
    let hooks = hooks.unwrap_or_default();
    let mut list: Vec<Value> = from
        .take("metrics")
        .map(Node::items)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|node| metrics::metric(release, node, sources))
        .collect();
    list.extend(hooks.beside.iter().cloned());
    let mut body = Body { measured: !list.is_empty() && !skipped, ..Body::default() };
    ready(&mut from, &mut body);
    let moves = moves(release, &mut from, &mut body);
    around(&hooks, moves, &mut body);
    left(from);
    if skipped {
        release.notes.add(
            Fate::Changed,
            "spec.skipAnalysis",
            "the Rollout has no steps and no analysis: a new version is promoted as soon as its pods are available",
        );
        body = Body::default();
    }
    let looks = if mesh == Mesh::None { Some(body.looks.max(1)) } else { None };
    let template = body.measured.then(|| metrics::template(release, list, looks));
    (strategy_of(release, mesh, body), template)
}

fn ready(from: &mut Node, body: &mut Body) {
    if let Some(threshold) = from.take("canaryReadyThreshold").and_then(Node::integer) {
        body.threshold = Some(json!({"type": "Percent", "value": threshold}));
    }
    if let Some(threshold) = from.take("primaryReadyThreshold") {
        threshold.lost("weight goes only to pods that are ready, of either revision");
    }
}

/// The steps that move traffic.
fn moves(release: &Release, from: &mut Node, body: &mut Body) -> Vec<Value> {
    let number = |node: Option<Node>| node.and_then(Node::integer);
    let iterations = number(from.take("iterations")).unwrap_or(0);
    let (step, most) = (number(from.take("stepWeight")), number(from.take("maxWeight")));
    let weights = from.take("stepWeights").map(Node::items).unwrap_or_default();
    let weights: Vec<i64> = weights.into_iter().filter_map(Node::integer).collect();
    if let Some(promotion) = from.take("stepWeightPromotion") {
        promotion.replaced("left out: the pods that were tested become the stable ones, so that the promotion moves the rest at once; write further steps for less");
    }
    let matches = from.take("match");
    let mirrored = from.take("mirror").and_then(Node::boolean).unwrap_or(false);
    let share = number(from.take("mirrorWeight"));
    let most = most.filter(|most| *most > 0).unwrap_or(100);
    body.looks = iterations;
    let mut steps = Vec::new();
    if iterations > 0 {
        let time = times(&release.interval, iterations);
        if let Some(matches) = matches {
            steps.extend(headers(matches, body));
        } else if mirrored {
            steps.extend(mirror(share, body));
        } else {
            steps.push(json!({"setCanaryScale": {"weight": 100}}));
        }
        steps.push(json!({"pause": {"duration": time}}));
        return steps;
    }
    if mirrored {
        let first = mirror(share, body);
        steps.extend(first);
        steps.push(json!({"pause": {"duration": release.interval}}));
        steps.push(json!({"setMirrorRoute": {"name": "mirror", "match": []}}));
        steps.push(json!({"setCanaryScale": {"matchTrafficWeight": true}}));
    }
    if let Some(matches) = matches {
        matches.lost("counts only beside iterations");
    }
    let weighted = |weight: i64| {
        [json!({"setWeight": weight}), json!({"pause": {"duration": release.interval}})]
    };
    match step.filter(|step| *step > 0) {
        Some(step) if step < most => {
            // The last weight is a multiple of the step, as Flagger counts.
            let to = most / step * step;
            if to > step {
                steps.push(json!({"ramp": {"from": step, "to": to, "by": step, "every": release.interval}}));
            } else {
                steps.extend(weighted(step));
            }
        }
        Some(_) => steps.extend(weighted(most)),
        None => steps.extend(weights.iter().flat_map(|weight| weighted((*weight).min(most)))),
    }
    steps
}

fn times(interval: &str, count: i64) -> String {
    let one = interval.parse::<Duration>().unwrap_or(Duration::from_secs(60));
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    Duration(one.0.saturating_mul(count)).to_string()
}

/// A/B tests: a header route for each match, since any of them is enough.
fn headers(from: Node, body: &mut Body) -> Vec<Value> {
    let mut steps = vec![json!({"setCanaryScale": {"weight": 100}})];
    for (index, mut item) in from.items().into_iter().enumerate() {
        let name = format!("ab-{}", index + 1);
        let headers = item.take("headers").map(Node::entries).unwrap_or_default();
        let mut ours = Vec::new();
        for (header, mut value) in headers {
            let kinds = ["exact", "prefix", "regex"];
            let found = kinds.iter().find_map(|kind| Some((*kind, value.take(kind)?.keep())));
            if let Some((kind, text)) = found {
                ours.push(json!({"headerName": header, "headerValue": {kind: text}}));
            } else if let Some(suffix) = value.take("suffix") {
                let text = suffix.value().as_str().unwrap_or_default().to_owned();
                let pattern = format!(".*{}", regex::escape(&text));
                suffix.replaced(format!("is the regular expression {pattern}"));
                ours.push(json!({"headerName": header, "headerValue": {"regex": pattern}}));
            }
        }
        for (_, node) in item.entries() {
            node.lost("a header route goes by headers alone");
        }
        if ours.is_empty() {
            continue;
        }
        body.managed.push(json!({"name": name}));
        steps.push(json!({"setHeaderRoute": {"name": name, "match": ours}}));
    }
    steps
}

fn mirror(share: Option<i64>, body: &mut Body) -> Vec<Value> {
    body.managed.push(json!({"name": "mirror"}));
    vec![
        json!({"setCanaryScale": {"weight": 100}}),
        json!({"setMirrorRoute": {
            "name": "mirror",
            "match": [{"path": {"prefix": "/"}}],
            "percentage": share.unwrap_or(100),
        }}),
    ]
}

/// The gates before and after the steps that move traffic.
fn around(hooks: &Hooks, moves: Vec<Value>, body: &mut Body) {
    if hooks.confirm_start {
        body.steps.push(json!({"pause": {}}));
    }
    if !hooks.before.is_empty() {
        body.steps.push(json!({"setCanaryScale": {"replicas": 1}}));
        body.steps.extend(hooks.before.iter().map(|job| json!({"job": job})));
        body.steps.push(json!({"setCanaryScale": {"matchTrafficWeight": true}}));
    }
    body.steps.extend(moves);
    if hooks.confirm_end {
        body.steps.push(json!({"pause": {}}));
    }
    body.by_hand = hooks.confirm_end || hooks.confirm_start;
}

/// What of the analysis has no equal.
fn left(mut from: Node) {
    if let Some(alerts) = from.take("alerts") {
        alerts.lost("no alerts are sent from here; alert on the controller's metrics or on Events");
    }
    if let Some(affinity) = from.take("sessionAffinity") {
        affinity.lost("Sluice sets no cookies: a user may meet either version during a release");
    }
}

fn strategy_of(release: &Release, mesh: Mesh, body: Body) -> Value {
    let analysis = body.measured.then(|| json!({"templates": [{"templateName": release.name}]}));
    let mut to = Map::new();
    if mesh == Mesh::None {
        to.insert("activeService".into(), json!(release.apex));
        to.insert("previewService".into(), json!(release.canary()));
        if let Some(analysis) = analysis {
            to.insert("prePromotionAnalysis".into(), analysis);
        }
        if body.by_hand {
            to.insert("autoPromotionEnabled".into(), json!(false));
        }
        if !body.steps.is_empty() {
            release.notes.add(
                Fate::Changed,
                "spec.analysis",
                "weights and Jobs before them have no equal without Istio: the analysis runs before the switch, which is one step",
            );
        }
        return json!({"blueGreen": to});
    }
    to.insert("stableService".into(), json!(release.primary()));
    to.insert("canaryService".into(), json!(release.canary()));
    let route = json!({"name": release.apex, "routes": ["primary"]});
    let mut traffic = json!({"istio": {"virtualServices": [route]}});
    if !body.managed.is_empty() {
        traffic["managedRoutes"] = Value::Array(body.managed);
    }
    to.insert("traffic".into(), traffic);
    if let Some(analysis) = analysis {
        to.insert("analysis".into(), analysis);
    }
    if let Some(threshold) = body.threshold {
        to.insert("replicaProgressThreshold".into(), threshold);
    }
    if !body.steps.is_empty() {
        to.insert("steps".into(), Value::Array(body.steps));
    }
    json!({"canary": to})
}
