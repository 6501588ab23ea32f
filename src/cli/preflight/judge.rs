//! From a snapshot to checks. Pure.

use serde_json::Value;

use super::{
    Check, Level, room,
    snapshot::{Answer, Refusal, Snapshot},
};
use crate::world::StrategyKind;

/// All checks, in the order in which a release meets them.
pub fn judge(seen: &Snapshot) -> Vec<Check> {
    let mut checks = Vec::new();
    controller(seen, &mut checks);
    named(seen, &mut checks);
    autoscalers(seen, &mut checks);
    budgets(seen, &mut checks);
    checks.extend(room::room(seen));
    queries(seen, &mut checks);
    jobs(seen, &mut checks);
    rights(seen, &mut checks);
    for text in &seen.unread {
        checks.push(Check::new(Level::NotChecked, "cluster", text));
    }
    checks
}

fn controller(seen: &Snapshot, checks: &mut Vec<Check>) {
    if seen.is_there && !seen.observed {
        checks.push(
            Check::new(Level::Warn, "controller", "no controller has looked at the newest spec yet")
                .next("see that one runs: kubectl -n sluice-system get pods; and the label sluice.dev/instance"),
        );
    }
}

/// What a problem is about, by the words of its sentence.
fn about(problem: &str) -> &'static str {
    let field = problem.split(": ").next().unwrap_or_default();
    if problem.contains("VirtualService") || field.contains(".traffic.") {
        "routes"
    } else if field.ends_with("Service") || problem.contains("Service ") {
        "services"
    } else if field.contains("workloadRef") {
        "workload"
    } else if field.contains("analysis") {
        "analysis"
    } else {
        "spec"
    }
}

/// The spec, and what it names.
fn named(seen: &Snapshot, checks: &mut Vec<Check>) {
    let program = &seen.program;
    let good = [
        ("spec", Some(format!("the controller would accept it ({})", program.strategy.field()))),
        (
            "workload",
            seen.workload.as_ref().map(|(kind, name, _)| format!("{kind} {name} has the pods")),
        ),
        ("services", services(seen)),
        ("routes", routes(seen)),
        ("analysis", has_analysis(seen).then(|| "its templates resolve".to_owned())),
    ];
    for (part, text) in good {
        let bad: Vec<&String> =
            seen.problems.iter().filter(|problem| about(problem) == part).collect();
        for problem in &bad {
            checks.push(
                Check::new(Level::Fail, part, problem.as_str())
                    .next("correct what it names; a release waits for it as InvalidSpec"),
            );
        }
        if let Some(text) = text.filter(|_| bad.is_empty()) {
            checks.push(Check::new(Level::Ok, part, text));
        }
    }
}

fn services(seen: &Snapshot) -> Option<String> {
    let program = &seen.program;
    let names: Vec<&str> = [&program.stable_service, &program.canary_service]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    match names.as_slice() {
        [] => None,
        [one] => Some(format!("Service {one} selects the pods")),
        several => Some(format!("Services {} select the pods", several.join(" and "))),
    }
}

fn routes(seen: &Snapshot) -> Option<String> {
    let istio = seen.program.istio()?;
    let names: Vec<&str> = istio.virtual_services.iter().map(|route| route.name.as_str()).collect();
    let subsets = istio.destination_rule.as_ref().map(|rule| {
        format!(
            ", and subsets {} and {} in DestinationRule {}",
            rule.stable_subset, rule.canary_subset, rule.name
        )
    });
    Some(format!(
        "a route to split was found in VirtualService {}{}",
        names.join(", "),
        subsets.unwrap_or_default()
    ))
}

fn has_analysis(seen: &Snapshot) -> bool {
    seen.program.analysis.is_some()
        || seen.program.steps.iter().any(|step| step.step.analysis.is_some())
}

fn text<'v>(object: &'v Value, pointer: &str) -> &'v str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn autoscalers(seen: &Snapshot, checks: &mut Vec<Check>) {
    for scaler in &seen.autoscalers {
        let (kind, name) = (text(scaler, "/kind"), text(scaler, "/metadata/name"));
        let field = if kind == "VerticalPodAutoscaler" { "targetRef" } else { "scaleTargetRef" };
        let target = &scaler["spec"][field];
        let aims = |kind: &str, name: &str| target["kind"] == kind && target["name"] == name;
        if aims("Rollout", &seen.name) {
            let ours = text(target, "/apiVersion").starts_with("sluice.dev/");
            checks.push(if ours {
                Check::new(Level::Ok, "autoscaler", format!("{kind} {name} aims at the Rollout"))
            } else {
                Check::new(
                    Level::Fail,
                    "autoscaler",
                    format!("{kind} {name} aims at a Rollout of {}", text(target, "/apiVersion")),
                )
                .next(format!("write {field}.apiVersion: sluice.dev/v1alpha1"))
            });
            continue;
        }
        let Some((of, workload, keeps)) = &seen.workload else { continue };
        if aims(of, workload) && !keeps {
            let patch = format!(
                r#"{{"spec":{{"{field}":{{"apiVersion":"sluice.dev/v1alpha1","kind":"Rollout","name":"{}"}}}}}}"#,
                seen.name
            );
            let plural = kind.to_lowercase();
            checks.push(
                Check::new(
                    Level::Fail,
                    "autoscaler",
                    format!("{kind} {name} aims at {of} {workload}, which keeps no pods under the Rollout"),
                )
                .next(format!("kubectl patch {plural} {name} --type merge -p '{patch}'")),
            );
        }
    }
}

/// Budgets that let no pod go. A release scales ReplicaSets, so that only a restart and drained nodes
/// meet them.
fn budgets(seen: &Snapshot, checks: &mut Vec<Check>) {
    let labels = &seen.template["metadata"]["labels"];
    for budget in &seen.budgets {
        let wanted = budget["spec"]["selector"]["matchLabels"].as_object();
        let ours = wanted.is_some_and(|wanted| {
            !wanted.is_empty() && wanted.iter().all(|(key, value)| labels[key] == *value)
        });
        if !ours {
            continue;
        }
        let name = text(budget, "/metadata/name");
        let share = |field: &str| {
            let value = &budget["spec"][field];
            let percent = value.as_str().and_then(|text| text.strip_suffix('%')?.parse().ok());
            let desired = u64::from(seen.desired);
            value.as_u64().or_else(|| percent.map(|p: u64| (p * desired).div_ceil(100)))
        };
        let blocks = share("minAvailable").is_some_and(|least| least >= u64::from(seen.desired))
            || share("maxUnavailable") == Some(0);
        checks.push(if blocks {
            Check::new(
                Level::Warn,
                "budget",
                format!("PodDisruptionBudget {name} lets none of {} pods go: a release is not held, but `restart` and drained nodes are", seen.desired),
            )
            .next("allow one: maxUnavailable: 1, or more replicas")
        } else {
            Check::new(Level::Ok, "budget", format!("PodDisruptionBudget {name} lets pods go"))
        });
    }
}

fn queries(seen: &Snapshot, checks: &mut Vec<Check>) {
    for query in &seen.queries {
        let place = &query.place;
        checks.push(match &query.answer {
            Answer::Data(value) => {
                Check::new(Level::Ok, "query", format!("{place}: has data now: {value}"))
            }
            Answer::NoData(why) => {
                let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
                Check::new(Level::Warn, "query", format!("{place}: has no data for the stable revision now{why}"))
                    .next("see whether its labels are there in Prometheus; without data a release waits, as onNoData says")
            }
            Answer::Error(why) => Check::new(Level::Fail, "query", format!("{place}: {why}"))
                .next("correct the query; after consecutiveErrorLimit errors a release is rolled back"),
            Answer::NotAsked(why) => {
                Check::new(Level::NotChecked, "query", format!("{place}: {why}"))
                    .next("give --prometheus-url with an address that answers here, such as that of a kubectl port-forward")
            }
        });
    }
}

fn jobs(seen: &Snapshot, checks: &mut Vec<Check>) {
    for job in &seen.jobs {
        let place = &job.place;
        checks.push(match &job.refusal {
            None => Check::new(Level::Ok, "job", format!("{place}: can be created (dry run)")),
            Some(Refusal::Job(why)) => Check::new(Level::Fail, "job", format!("{place}: {why}"))
                .next("correct the Job; a release would be rolled back"),
            Some(Refusal::NotTried(why)) => {
                Check::new(Level::NotChecked, "job", format!("{place}: {why}"))
            }
        });
    }
}

fn rights(seen: &Snapshot, checks: &mut Vec<Check>) {
    let account = &seen.account;
    match &seen.controller {
        Ok(missing) if missing.is_empty() => checks.push(Check::new(
            Level::Ok,
            "controller rights",
            format!("{account} may do all that a release needs"),
        )),
        Ok(missing) => checks.push(
            Check::new(
                Level::Fail,
                "controller rights",
                format!("{account} may not {}", missing.join(", ")),
            )
            .next(
                "compare its role with config/rbac, or name it with --controller-service-account",
            ),
        ),
        Err(why) => checks.push(Check::new(Level::NotChecked, "controller rights", why)),
    }
    match &seen.caller {
        Ok(verbs) => {
            let of = |may: bool| -> Vec<&str> {
                let these = verbs.iter().filter(|(_, allowed)| *allowed == may);
                these.map(|(verb, _)| verb.as_str()).collect()
            };
            if of(false).is_empty() {
                let text = format!("you may {}", of(true).join(", "));
                checks.push(Check::new(Level::Ok, "your rights", text));
            } else {
                let needed = manual(seen);
                let level = if needed { Level::Warn } else { Level::Ok };
                let may =
                    if of(true).is_empty() { "nothing".to_owned() } else { of(true).join(", ") };
                let text = format!("you may not {} (you may {may})", of(false).join(", "));
                let check = Check::new(level, "your rights", text);
                checks.push(if needed {
                    check.next("this release asks for a person: bind sluice-operate, or have somebody at hand who may")
                } else {
                    check
                });
            }
        }
        Err(why) => checks.push(Check::new(Level::NotChecked, "your rights", why)),
    }
}

/// Whether the release stops for a person.
fn manual(seen: &Snapshot) -> bool {
    let endless = |pause: &crate::api::Pause| pause.duration.is_none();
    let paused =
        seen.program.steps.iter().any(|step| step.step.pause.as_ref().is_some_and(endless));
    paused && seen.program.strategy != StrategyKind::Rolling
}
