//! The steps of a release as the controller follows them: a ramp is expanded, and a blue-green
//! release has steps, too. Pure.

use crate::{
    api::{Hold, OnTimeout, Pause, RequestMatch, Rollout, Step, StringMatch},
    world::{Program, ProgramStep},
};

use super::{
    state::{self, Release},
    strategy,
};

/// Steps that are listed before the present one, and after it.
const BEFORE: usize = 2;
const AFTER: usize = 4;

/// A step in a few words.
pub fn describe(step: &Step) -> String {
    if let Some(weight) = step.set_weight {
        return format!("setWeight {weight}");
    }
    if let Some(pause) = &step.pause {
        return describe_pause(pause);
    }
    if let Some(hold) = &step.hold {
        return describe_hold(hold);
    }
    if step.set_canary_scale.is_some() {
        return format!("setCanaryScale to {}", scale(step));
    }
    if let Some(route) = &step.set_header_route {
        return match header(step) {
            Some(what) => format!("setHeaderRoute {}: {what}", route.name),
            None => format!("setHeaderRoute {}: none any more", route.name),
        };
    }
    if let Some(route) = &step.set_mirror_route {
        return match mirror(step) {
            Some(what) => format!("setMirrorRoute {}: {what}", route.name),
            None => format!("setMirrorRoute {}: none any more", route.name),
        };
    }
    if step.analysis.is_some() {
        return format!("analysis {}", analysis(step));
    }
    if step.job.is_some() {
        return "job".to_owned();
    }
    "a step that this version of the plugin does not know".to_owned()
}

fn describe_pause(pause: &Pause) -> String {
    match (pause.duration, pause.timeout, pause.on_timeout) {
        (Some(duration), _, _) => format!("pause for {duration}"),
        (_, Some(timeout), Some(OnTimeout::Abort)) => {
            format!("pause until promoted; aborts after {timeout}")
        }
        (_, Some(timeout), Some(OnTimeout::Promote)) => {
            format!("pause until promoted, for {timeout} at most")
        }
        _ => "pause until promoted".to_owned(),
    }
}

fn describe_hold(hold: &Hold) -> String {
    let least = hold.at_least.map(|least| format!(", {least} at least")).unwrap_or_default();
    let most = match (hold.at_most, hold.on_timeout) {
        (Some(most), Some(OnTimeout::Abort)) => format!("; aborts after {most}"),
        (Some(most), Some(OnTimeout::Promote)) => format!(", {most} at most"),
        (Some(most), _) => format!("; asks a person after {most}"),
        (None, _) => String::new(),
    };
    format!("hold until the comparison is conclusive{least}{most}")
}

fn scale(step: &Step) -> String {
    let Some(scale) = &step.set_canary_scale else { return String::new() };
    match (scale.replicas, scale.weight) {
        (Some(1), _) => "1 pod".to_owned(),
        (Some(replicas), _) => format!("{replicas} pods"),
        (_, Some(weight)) => format!("{weight}% of the pods"),
        _ => "match the weight".to_owned(),
    }
}

fn analysis(step: &Step) -> String {
    let Some(analysis) = &step.analysis else { return String::new() };
    let templates = analysis.templates.iter().map(|template| template.template_name.as_str());
    let metrics = analysis.metrics.iter().map(|metric| metric.name.as_str());
    templates.chain(metrics).collect::<Vec<_>>().join(", ")
}

/// The step of a program in a few words.
pub fn named(program: &Program, step: &ProgramStep) -> String {
    let what = &step.step;
    if step.text.is_empty() {
        return match what.set_weight {
            Some(weight) if program.total() != 100 => {
                format!("setWeight {}", strategy::share(program, weight))
            }
            _ => describe(what),
        };
    }
    let detail = if let Some(pause) = &what.pause {
        describe_pause(pause)
    } else if what.analysis.is_some() {
        analysis(what)
    } else {
        scale(what)
    };
    if detail.is_empty() { step.text.to_owned() } else { format!("{}: {detail}", step.text) }
}

/// The present step and those around it, each with a mark; nothing between releases.
pub fn list(rollout: &Rollout) -> Vec<String> {
    let running = matches!(state::release(rollout), Release::Running | Release::Aborted);
    let status = rollout.status.as_ref().filter(|status| running && !status.promote_full);
    let Some(step) = status.and_then(|status| status.step.as_ref()) else {
        return Vec::new();
    };
    let program = Program::new(&rollout.spec);
    let (now, of) = (usize::try_from(step.index).unwrap_or(0), program.steps.len());
    if now >= of {
        return Vec::new();
    }
    let (first, end) = (now.saturating_sub(BEFORE), (now + 1 + AFTER).min(of));
    let mut lines = Vec::new();
    if first > 0 {
        lines.push(format!("  … {first} before"));
    }
    for (index, step) in program.steps.iter().enumerate().take(end).skip(first) {
        let mark = match index.cmp(&now) {
            std::cmp::Ordering::Less => "✓",
            std::cmp::Ordering::Equal => "▶",
            std::cmp::Ordering::Greater => " ",
        };
        lines.push(format!("{mark} {} {}", index + 1, named(&program, step)));
    }
    if end < of {
        lines.push(format!("  … {} more", of - end));
    }
    lines
}

/// The routes for some requests that stand in the VirtualServices, and what each does as the steps
/// say.
pub fn routes(rollout: &Rollout) -> Vec<String> {
    let Some(status) = rollout.status.as_ref() else { return Vec::new() };
    let program = Program::new(&rollout.spec);
    let index = status.step.as_ref().map_or(0, |step| step.index);
    let reached = usize::try_from(index).unwrap_or(0) + 1;
    let what = |name: &str| {
        let mut steps = program.steps.iter().take(reached).map(|step| &step.step);
        let last = steps.rfind(|step| route_of(step) == Some(name))?;
        header(last).or_else(|| mirror(last))
    };
    let line = |name: &String| match what(name) {
        Some(what) => format!("{name}: {what}"),
        None => format!("{name}: on its way out"),
    };
    status.routes.iter().map(line).collect()
}

fn route_of(step: &Step) -> Option<&str> {
    let header = step.set_header_route.as_ref().map(|route| route.name.as_str());
    header.or_else(|| step.set_mirror_route.as_ref().map(|route| route.name.as_str()))
}

/// What a header route sends to the canary; none if the step takes it away.
fn header(step: &Step) -> Option<String> {
    let matches = &step.set_header_route.as_ref()?.r#match;
    let one = |header: &crate::api::HeaderMatch| {
        format!("{}{}", header.header_name, compared(&header.header_value))
    };
    let all: Vec<String> = matches.iter().map(one).collect();
    (!all.is_empty()).then(|| format!("requests with header {}", all.join(" and ")))
}

/// What a mirror route copies to the canary; none if the step takes it away.
fn mirror(step: &Step) -> Option<String> {
    let route = step.set_mirror_route.as_ref()?;
    let all: Vec<String> = route.r#match.iter().map(request).collect();
    let share = route.percentage;
    (!all.is_empty()).then(|| format!("a copy of {share}% of requests with {}", all.join(" or ")))
}

fn request(request: &RequestMatch) -> String {
    let part = |name: &str, text: &StringMatch| format!("{name}{}", compared(text));
    let method = request.method.iter().map(|text| part("method", text));
    let path = request.path.iter().map(|text| part("path", text));
    let headers = request.headers.iter().map(|(name, text)| part(&format!("header {name}"), text));
    method.chain(path).chain(headers).collect::<Vec<_>>().join(" and ")
}

fn compared(text: &StringMatch) -> String {
    match (&text.exact, &text.prefix, &text.regex) {
        (Some(exact), _, _) => format!("={exact}"),
        (_, Some(prefix), _) => format!("={prefix}*"),
        (_, _, Some(regex)) => format!("~{regex}"),
        (None, None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests;
