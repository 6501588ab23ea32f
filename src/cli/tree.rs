//! The live view of one Rollout: the header, then revisions with what belongs to each. Pure.
//!
//! In: a [`Snapshot`] and the time. Out: text. What is wrong comes first among its like, and long
//! lists are cut, because the reader is on call.

use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::ReplicaSet, batch::v1::Job, core::v1::Pod};
use kube::ResourceExt;

use crate::{
    api::{
        AnalysisRun, MetricResult, REVISION_LABEL, REVISION_NUMBER_ANNOTATION, RUN_LABEL, Rollout,
    },
    world::{Program, StrategyKind},
};

use super::{
    age, header, pods,
    snapshot::Snapshot,
    state, strategy,
    style::{self, Paint, Style},
    table::{self, Cell, cut},
};

/// Pods shown of one `ReplicaSet`.
const PODS: usize = 12;

/// Width of an explanation.
const INFO_WIDTH: usize = 120;

/// A line of the tree and what hangs below it.
struct Node {
    name: Cell,
    state: Cell,
    ready: String,
    age: String,
    info: String,
    below: Vec<Self>,
}

impl Node {
    fn new(name: impl Into<String>, state: Cell) -> Self {
        Self {
            name: name.into().into(),
            state,
            ready: String::new(),
            age: String::new(),
            info: String::new(),
            below: Vec::new(),
        }
    }
}

/// The whole view.
pub fn tree(snapshot: &Snapshot, now: Timestamp, style: Style) -> String {
    let mut text = header::render(snapshot, now, style);
    let heads = ["NAME", "STATE", "READY", "AGE", "INFO"];
    let mut rows = vec![heads.map(|head| Cell::new(Paint::Dim, head)).to_vec()];
    for node in revisions(snapshot, now) {
        add(&mut rows, node, "", "");
    }
    if rows.len() > 1 {
        text.push('\n');
        text.push_str(&table::render(&rows, style));
    }
    for note in &snapshot.notes {
        text.push_str(&style.paint(Paint::Wait, &format!("Note: {note}")));
        text.push('\n');
    }
    text
}

/// Adds the rows of `node`; `guide` leads its own line, `below` leads those of its children.
fn add(rows: &mut Vec<Vec<Cell>>, node: Node, guide: &str, below: &str) {
    let name = Cell::new(node.name.paint, format!("{guide}{}", node.name.text));
    let info = cut(&node.info, INFO_WIDTH);
    rows.push(vec![name, node.state, node.ready.into(), node.age.into(), info.into()]);
    let count = node.below.len();
    for (index, child) in node.below.into_iter().enumerate() {
        let (corner, line) =
            if index + 1 == count { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        add(rows, child, &format!("{below}{corner}"), &format!("{below}{line}"));
    }
}

/// A revision: its `ReplicaSets`, and what is known of it without one.
struct Revision<'a> {
    hash: String,
    number: Option<i64>,
    images: Vec<String>,
    sets: Vec<&'a ReplicaSet>,
}

fn revisions(snapshot: &Snapshot, now: Timestamp) -> Vec<Node> {
    let status = snapshot.rollout.status.as_ref();
    let current = status.and_then(|status| status.current_revision.as_deref());
    let known = known_revisions(snapshot);

    let mut nodes: Vec<Node> = Vec::new();
    for revision in &known {
        let number = revision.number.map_or_else(|| "?".to_owned(), |number| number.to_string());
        let role = role(&snapshot.rollout, &revision.hash);
        let mut node = Node::new(format!("revision {number} {}", revision.hash), role);
        node.name.paint = Paint::Bold;
        node.info = revision.images.join(", ");
        if let Some(leaves) = leaves(&snapshot.rollout, &revision.hash) {
            node.info = format!("{}; {leaves}", node.info);
        }
        let sets = revision.sets.iter().map(|set| replica_set(set, &snapshot.pods, now));
        node.below.extend(sets);
        let runs = snapshot.runs.iter().filter(|run| belongs(*run, revision, &known, current));
        node.below.extend(newest_first(runs).map(|run| analysis_run(run, &snapshot.jobs, now)));
        let jobs = snapshot.jobs.iter().filter(|job| !has_run(job, &snapshot.runs));
        let jobs = jobs.filter(|job| belongs(*job, revision, &known, current));
        node.below.extend(newest_first(jobs).map(|job| job_node(job, now)));
        nodes.push(node);
    }
    nodes
}

/// What a revision is to its Rollout.
fn role(rollout: &Rollout, hash: &str) -> Cell {
    let Some(status) = rollout.status.as_ref() else {
        return Cell::new(Paint::Dim, "old");
    };
    let is = |revision: &Option<String>| revision.as_deref() == Some(hash);
    let strategy = Program::new(&rollout.spec).strategy;
    let switched = strategy::is_switched(rollout);
    match (is(&status.stable_revision), is(&status.current_revision)) {
        (true, false) if switched => Cell::new(Paint::Good, "standby"),
        (true, _) => Cell::new(Paint::Good, "stable"),
        (false, true) if status.abort.is_some() => Cell::new(Paint::Bad, "aborted"),
        (false, true) if switched => Cell::new(Paint::Busy, "active"),
        (false, true) => Cell::new(
            Paint::Busy,
            match strategy {
                StrategyKind::Rolling => "new",
                StrategyKind::BlueGreen => "preview",
                StrategyKind::Canary => "canary",
            },
        ),
        (false, false) => Cell::new(Paint::Dim, "old"),
    }
}

/// When the pods of a revision that lost its traffic go.
fn leaves(rollout: &Rollout, hash: &str) -> Option<String> {
    let retiring = &rollout.status.as_ref()?.retiring;
    let retiring = retiring.iter().find(|retiring| retiring.revision == hash)?;
    Some(match retiring.scale_down_at {
        Some(at) => format!("its pods go at {}", at.strftime("%H:%M:%SZ")),
        None => "its pods stay until the next release".to_owned(),
    })
}

/// The revisions that have a `ReplicaSet`, and the newest one in any case; newest first.
fn known_revisions(snapshot: &Snapshot) -> Vec<Revision<'_>> {
    let mut known: Vec<Revision<'_>> = Vec::new();
    for set in &snapshot.replica_sets {
        let hash = set.labels().get(REVISION_LABEL).cloned().unwrap_or_else(|| set.name_any());
        if let Some(revision) = known.iter_mut().find(|revision| revision.hash == hash) {
            revision.sets.push(set);
            continue;
        }
        let number = set.annotations().get(REVISION_NUMBER_ANNOTATION);
        known.push(Revision {
            hash,
            number: number.and_then(|number| number.parse().ok()),
            images: images(set),
            sets: vec![set],
        });
    }
    if let Some(status) = &snapshot.rollout.status
        && let Some(current) = &status.current_revision
        && !known.iter().any(|revision| revision.hash == *current)
    {
        known.push(Revision {
            hash: current.clone(),
            number: Some(status.revision),
            images: state::images(&snapshot.rollout),
            sets: Vec::new(),
        });
    }
    known.sort_by(|a, b| b.number.cmp(&a.number).then_with(|| a.hash.cmp(&b.hash)));
    known
}

fn images(set: &ReplicaSet) -> Vec<String> {
    let pod = set.spec.template.as_ref().and_then(|template| template.spec.as_ref());
    let containers = pod.map_or(&[][..], |pod| &pod.containers);
    containers.iter().filter_map(|container| container.image.clone()).collect()
}

/// Whether a run or Job is of this revision: by its label, else by the hash in its name, else it
/// counts to the newest revision, so that nothing is hidden.
fn belongs<K: ResourceExt>(
    object: &K,
    revision: &Revision<'_>,
    known: &[Revision<'_>],
    current: Option<&str>,
) -> bool {
    if let Some(hash) = object.labels().get(REVISION_LABEL) {
        let is_known = known.iter().any(|known| known.hash == *hash);
        return *hash == revision.hash || (!is_known && Some(revision.hash.as_str()) == current);
    }
    let name = object.name_any();
    let named = known.iter().find(|known| name.split('-').any(|part| part == known.hash));
    match named {
        Some(named) => named.hash == revision.hash,
        None => Some(revision.hash.as_str()) == current,
    }
}

fn newest_first<'a, K: ResourceExt + 'a>(
    objects: impl Iterator<Item = &'a K>,
) -> impl Iterator<Item = &'a K> {
    let mut sorted: Vec<&K> = objects.collect();
    let created = |object: &K| object.creation_timestamp().map(|time| time.0);
    sorted
        .sort_by(|a, b| created(b).cmp(&created(a)).then_with(|| a.name_any().cmp(&b.name_any())));
    sorted.into_iter()
}

fn replica_set(set: &ReplicaSet, pods: &[Pod], now: Timestamp) -> Node {
    let wanted = set.spec.replicas.unwrap_or(1);
    let ready = set.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
    let exists = set.status.as_ref().map_or(0, |status| status.replicas);
    let state = match (wanted, exists) {
        (0, 0) => Cell::new(Paint::Dim, "ScaledDown"),
        _ if wanted < exists => Cell::new(Paint::Busy, "ScalingDown"),
        _ if ready < wanted => Cell::new(Paint::Wait, "NotReady"),
        _ => Cell::new(Paint::Good, "Ready"),
    };
    let mut node = Node::new(format!("ReplicaSet {}", set.name_any()), state);
    node.ready = format!("{ready}/{wanted}");
    node.age = age::of(set.metadata.creation_timestamp.as_ref(), now);
    let mut lines: Vec<(pods::PodLine, &Pod)> = pods
        .iter()
        .filter(|pod| {
            pod.owner_references().iter().any(|owner| Some(&owner.uid) == set.metadata.uid.as_ref())
        })
        .map(|pod| (pods::describe(pod), pod))
        .collect();
    lines.sort_by_key(|(line, pod)| (line.is_ready, pod.name_any()));
    let hidden = lines.len().saturating_sub(PODS);
    let hidden_ready = lines.iter().skip(PODS).filter(|(line, _)| line.is_ready).count();
    for (line, pod) in lines.into_iter().take(PODS) {
        let mut below = Node::new(format!("Pod {}", pod.name_any()), line.state);
        below.ready = line.ready;
        below.age = age::of(pod.metadata.creation_timestamp.as_ref(), now);
        below.info = line.info;
        node.below.push(below);
    }
    if hidden > 0 {
        let text = format!("… {hidden} more pods, {hidden_ready} of them ready");
        node.below.push(Node::new(text, Cell::default()));
    }
    node
}

fn analysis_run(run: &AnalysisRun, jobs: &[Job], now: Timestamp) -> Node {
    let status = run.status.clone().unwrap_or_default();
    let state = Cell::new(style::verdict(status.phase), status.phase.to_string());
    let mut node = Node::new(format!("AnalysisRun {}", run.name_any()), state);
    node.age = age::of(run.metadata.creation_timestamp.as_ref(), now);
    node.info.clone_from(&status.message);
    node.below.extend(status.metric_results.iter().map(metric));
    let own = jobs.iter().filter(|job| job.labels().get(RUN_LABEL) == Some(&run.name_any()));
    node.below.extend(newest_first(own).map(|job| job_node(job, now)));
    node
}

fn metric(result: &MetricResult) -> Node {
    let state = Cell::new(style::verdict(result.phase), result.phase.to_string());
    let mut node = Node::new(format!("metric {}", result.name), state);
    let last = result.measurements.last();
    let mut info = Vec::new();
    if let Some(value) = last.map(|last| last.value.as_str()).filter(|value| !value.is_empty()) {
        info.push(format!("last {value}"));
    }
    let counts: Vec<String> = [
        (result.successful, "passed"),
        (result.failed, "failed"),
        (result.inconclusive, "inconclusive"),
        (result.error, "in error"),
        (result.no_data, "without data"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect();
    if !counts.is_empty() {
        info.push(counts.join(", "));
    }
    if result.dry_run {
        info.push("dry run".to_owned());
    }
    let why = Some(result.message.as_str()).filter(|message| !message.is_empty());
    let why = why.or_else(|| last.map(|last| last.message.as_str()));
    info.extend(why.filter(|why| !why.is_empty()).map(String::from));
    node.info = info.join("; ");
    node
}

fn has_run(job: &Job, runs: &[AnalysisRun]) -> bool {
    let run = job.labels().get(RUN_LABEL);
    run.is_some_and(|name| runs.iter().any(|run| run.name_any() == *name))
}

fn job_node(job: &Job, now: Timestamp) -> Node {
    let status = job.status.clone().unwrap_or_default();
    let conditions = status.conditions.unwrap_or_default();
    let ended = |wanted: &str| {
        conditions.iter().find(|condition| condition.type_ == wanted && condition.status == "True")
    };
    let (state, info) = match (ended("Failed"), ended("Complete")) {
        (Some(failed), _) => {
            let why =
                [&failed.reason, &failed.message].map(|text| text.clone().unwrap_or_default());
            let text = format!("{}: {}; kubectl logs job/{}", why[0], why[1], job.name_any());
            (Cell::new(Paint::Bad, "Failed"), text)
        }
        (None, Some(_)) => (Cell::new(Paint::Good, "Complete"), String::new()),
        (None, None) => {
            let failed = status.failed.unwrap_or(0);
            let info = if failed > 0 { format!("{failed} pods failed") } else { String::new() };
            (Cell::new(Paint::Busy, "Running"), info)
        }
    };
    let mut node = Node::new(format!("Job {}", job.name_any()), state);
    node.age = age::of(job.metadata.creation_timestamp.as_ref(), now);
    node.info = info;
    node
}

#[cfg(test)]
mod tests;
