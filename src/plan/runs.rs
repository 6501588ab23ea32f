//! AnalysisRuns of a release: which should exist, what their verdicts mean, which may go.

use std::collections::BTreeMap;

use super::{Draft, WaitKind, Write, messages, outcome, step};
use crate::{
    analysis::{
        compare::rules::sharing,
        template::{Library, Request, Subject, resolve},
    },
    api::{
        AbortCause, AnalysisRunSpec, AnalysisStatus, JobProvider, Metric, PauseReason, PauseStatus,
        Provider, REVISION_LABEL, ROLLOUT_LABEL, RunStatus, StepAnalysis, Verdict,
    },
    world::{Run, World},
};

/// Name of the metric that a `job` step becomes.
const JOB_METRIC: &str = "job";

/// The request of an `analysis` step.
pub(super) fn request_of(analysis: &StepAnalysis) -> Request<'_> {
    Request { templates: &analysis.templates, metrics: &analysis.metrics, args: &analysis.args }
}

/// The metric that a `job` step becomes.
pub(super) fn job_metric(job: &JobProvider) -> Metric {
    Metric {
        name: JOB_METRIC.to_owned(),
        consecutive_error_limit: 4,
        provider: Provider { job: Some(job.clone()), ..Provider::default() },
        ..Metric::default()
    }
}

/// The request of a `job` step.
pub(super) fn request_of_job(metrics: &[Metric]) -> Request<'_> {
    Request { templates: &[], metrics, args: &[] }
}

/// Name of the run of this attempt's step `at`. The attempt, the revision and the step are the key,
/// so that no measurement is taken twice and no old verdict is read (lessons 26 and 50).
fn step_run_name(world: &World, draft: &Draft, at: usize) -> String {
    let (rollout, target) = (&world.rollout.name, &draft.target);
    let step = world.program.steps.get(at).map_or_else(|| format!("step-{at}"), |s| s.name.clone());
    format!("{rollout}-{target}-{}-{step}", draft.status.attempt)
}

fn background_run_name(world: &World, draft: &Draft) -> String {
    format!("{}-{}-{}-background", world.rollout.name, draft.target, draft.status.attempt)
}

/// The number of the attempt with which a release of `target` begins. One that was released before
/// has runs of its own, whose verdicts must not be read again.
pub(super) fn next_attempt(world: &World, target: &str) -> i64 {
    let prefix = format!("{}-{target}-", world.rollout.name);
    let attempts = world.runs.keys().filter_map(|name| {
        let (attempt, _) = name.strip_prefix(&prefix)?.split_once('-')?;
        attempt.parse::<i64>().ok()
    });
    attempts.max().unwrap_or(0).saturating_add(1)
}

/// Whether the analysis of step `at` has passed; starts it, aborts or pauses as its verdict says.
pub(super) fn step_is_done(world: &World, draft: &mut Draft, request: &Request, at: usize) -> bool {
    let name = step_run_name(world, draft, at);
    let Some(run) = world.runs.get(&name) else {
        create(world, draft, &name, request);
        record(draft, |analysis| &mut analysis.step, &name, None);
        draft.wait(WaitKind::Other, messages::analysis_starts(&name));
        return false;
    };
    record(draft, |analysis| &mut analysis.step, &name, Some(run));
    match run.phase() {
        Verdict::Successful => return true,
        Verdict::Failed | Verdict::Error => {
            let reason = messages::analysis_failed(&name, run);
            outcome::abort(world, draft, AbortCause::Analysis, "sluice", &reason);
        }
        Verdict::Inconclusive | Verdict::Stopped => ask(world, draft, &name, run),
        Verdict::Pending | Verdict::Running => {
            draft.wait(WaitKind::Other, messages::analysis_runs(&name, run));
        }
    }
    false
}

/// Keeps the background analysis running, and aborts or pauses as its verdict says. Returns whether
/// it asks a person, or holds for an incident of both revisions, so that no step ends meanwhile.
pub(super) fn background(world: &World, draft: &mut Draft) -> bool {
    let Some(analysis) = &world.program.analysis else { return false };
    let starting_step = usize::try_from(analysis.starting_step).unwrap_or(0);
    if draft.status.promote_full || step::index(world, draft) < starting_step {
        return false;
    }
    let name = background_run_name(world, draft);
    let Some(run) = world.runs.get(&name) else {
        let request = Request {
            templates: &analysis.templates,
            metrics: &analysis.metrics,
            args: &analysis.args,
        };
        create(world, draft, &name, &request);
        record(draft, |analysis| &mut analysis.background, &name, None);
        return false;
    };
    let accepted = is_accepted(draft, &name);
    if !accepted {
        record(draft, |analysis| &mut analysis.background, &name, Some(run));
    }
    match run.phase() {
        Verdict::Failed | Verdict::Error => {
            let reason = messages::analysis_failed(&name, run);
            outcome::abort(world, draft, AbortCause::Analysis, "sluice", &reason);
        }
        Verdict::Inconclusive | Verdict::Stopped if !accepted => {
            ask(world, draft, &name, run);
            return true;
        }
        Verdict::Running if run.shares_incident() => {
            draft.wait(WaitKind::Other, messages::analysis_runs(&name, run));
            return true;
        }
        _ => {}
    }
    false
}

/// The background analysis of this attempt, once it is there.
pub(super) fn background_run<'w>(world: &'w World, draft: &Draft) -> Option<&'w Run> {
    world.runs.get(&background_run_name(world, draft))
}

/// Whether the background analysis allows the promotion: it passed, or goes on without end and each
/// of its metrics has passed at least once. Nothing measured is not a pass (lesson 67).
pub(super) fn background_agrees(world: &World, draft: &mut Draft) -> bool {
    if world.program.analysis.is_none() || draft.status.promote_full {
        return true;
    }
    let name = background_run_name(world, draft);
    if is_accepted(draft, &name) {
        return true;
    }
    let Some(run) = world.runs.get(&name) else {
        // Starts beyond the last step: it was never asked for.
        let started = draft.status.analysis.as_ref().is_some_and(|a| a.background.is_some());
        return !started;
    };
    match run.phase() {
        Verdict::Successful => true,
        Verdict::Running => {
            let results = run.status.metric_results.iter().filter(|metric| !metric.dry_run);
            let mut lacking = results.filter(|metric| metric.successful == 0);
            let passes = lacking.next().is_none() && !run.shares_incident();
            if run.endless && !results_are_empty(run) && passes {
                return true;
            }
            draft.wait(WaitKind::Other, messages::analysis_runs(&name, run));
            false
        }
        _ => {
            draft.wait(WaitKind::Other, messages::analysis_runs(&name, run));
            false
        }
    }
}

fn results_are_empty(run: &Run) -> bool {
    run.status.metric_results.is_empty()
}

/// A person accepted an inconclusive background analysis: it is not asked about again.
pub(super) fn accept_background(draft: &mut Draft) {
    draft.status.pauses.retain(|pause| pause.reason != PauseReason::Inconclusive);
    if let Some(run) = draft.status.analysis.as_mut().and_then(|a| a.background.as_mut())
        && matches!(run.phase, Verdict::Inconclusive | Verdict::Stopped)
    {
        run.accepted = true;
    }
}

fn is_accepted(draft: &Draft, name: &str) -> bool {
    let background = draft.status.analysis.as_ref().and_then(|a| a.background.as_ref());
    background.is_some_and(|run| run.name == name && run.accepted)
}

/// An inconclusive or stopped run is no pass: a person decides.
fn ask(world: &World, draft: &mut Draft, name: &str, run: &Run) {
    let asked = draft.status.pauses.iter().any(|pause| pause.reason == PauseReason::Inconclusive);
    if !asked {
        draft.status.pauses.push(PauseStatus {
            reason: PauseReason::Inconclusive,
            started_at: world.now,
            by: String::new(),
            canary_requests: BTreeMap::new(),
        });
        draft.note(messages::inconclusive(name, run));
    }
    draft.wait(WaitKind::Pause, messages::waiting_for_person(name, run));
}

fn record(
    draft: &mut Draft,
    which: impl FnOnce(&mut AnalysisStatus) -> &mut Option<RunStatus>,
    name: &str,
    run: Option<&Run>,
) {
    let analysis = draft.status.analysis.get_or_insert_default();
    *which(analysis) = Some(RunStatus {
        name: name.to_owned(),
        phase: run.map_or(Verdict::Pending, Run::phase),
        message: run.map(|run| run.status.message.clone()).unwrap_or_default(),
        accepted: false,
    });
}

fn create(world: &World, draft: &mut Draft, name: &str, request: &Request) {
    let library =
        Library { templates: &world.templates, cluster_templates: &world.cluster_templates };
    let subject = Subject {
        rollout: &world.rollout.object,
        stable: draft.stable.as_deref(),
        latest: &draft.target,
    };
    match resolve(request, &library, &subject) {
        Ok(mut spec) => {
            spec.comparisons = of_release(world, &spec, &library, &subject);
            let labels = BTreeMap::from([
                (ROLLOUT_LABEL.to_owned(), world.rollout.name.clone()),
                (REVISION_LABEL.to_owned(), draft.target.clone()),
            ]);
            let write = Write::CreateRun { name: name.to_owned(), spec: Box::new(spec), labels };
            draft.push(write, "the release reached this analysis");
        }
        // `validate` reports the same error before any step is taken.
        Err(error) => draft.wait(WaitKind::Other, error.to_string()),
    }
}

/// How many comparisons share their false alarms in all runs of the release, where that is more than
/// the run itself has: the promise is about the release.
fn of_release(
    world: &World,
    run: &AnalysisRunSpec,
    library: &Library,
    subject: &Subject,
) -> Option<i32> {
    let beside = world.program.analysis.iter().map(|analysis| Request {
        templates: &analysis.templates,
        metrics: &analysis.metrics,
        args: &analysis.args,
    });
    let steps = world.program.steps.iter().filter_map(|step| step.step.analysis.as_ref());
    // What cannot be resolved is reported by `validate`.
    let all = beside.chain(steps.map(request_of));
    let all = all.filter_map(|request| resolve(&request, library, subject).ok());
    let all: u32 = all.map(|run| sharing(&run)).sum();
    let own = sharing(run);
    (own > 0 && all > own).then(|| i32::try_from(all).unwrap_or(i32::MAX))
}

/// Ends runs that nobody waits for any more, and deletes finished ones beyond the limits.
pub(super) fn collect_garbage(world: &World, draft: &mut Draft) {
    let active = draft.in_release() && draft.status.abort.is_none() && !draft.status.promote_full;
    let background = background_run_name(world, draft);
    let at = step::index(world, draft);
    let present = step_run_name(world, draft, at);
    let wanted = |name: &str| active && (name == background || name == present);
    let mut finished: Vec<&Run> = Vec::new();
    for run in world.runs.values() {
        if run.phase().is_final() {
            if !wanted(&run.name) {
                finished.push(run);
            }
        } else if !wanted(&run.name) && !run.terminating {
            draft.cleanup.push(super::Action {
                write: Write::EndRun { name: run.name.clone() },
                why: "the release does not wait for this analysis any more".to_owned(),
            });
        }
    }
    finished.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.name.cmp(&b.name)));
    let history = &world.rollout.spec.analysis;
    let good = |run: &&Run| matches!(run.phase(), Verdict::Successful | Verdict::Stopped);
    let (good, bad): (Vec<&Run>, Vec<&Run>) = finished.into_iter().partition(good);
    for (runs, limit) in [
        (good, history.successful_run_history_limit),
        (bad, history.unsuccessful_run_history_limit),
    ] {
        for run in runs.into_iter().skip(usize::try_from(limit).unwrap_or(0)) {
            draft.cleanup.push(super::Action {
                write: Write::DeleteRun { name: run.name.clone() },
                why: format!("{limit} finished runs of this kind are kept"),
            });
        }
    }
}
