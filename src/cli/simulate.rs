//! `sluice simulate`: a user's own Rollout on the simulated cluster, before it meets a real one.

mod flags;
mod report;

use std::io::Write;

use super::{
    exit::{Exit, Failure},
    manifests::{self, Choice, Comparison, Manifests, comparisons},
    outlook::{Service, parts},
    session::Terminal,
    state,
    trial::{Change, Outcome, Trial, World},
};
use crate::analysis::{compare::rules, judge::words};
use crate::sim::scenario::Users;
use flags::Output;
pub use flags::Patience;
pub use flags::{Flags, HELP};
pub use report::Report;

/// What follows the tag of the new version's image.
const NEW: &str = "new";

/// Deploys, releases, and reports.
///
/// # Errors
/// The manifests are wrong, or the output is gone.
pub async fn run(flags: &Flags, terminal: Terminal, out: &mut dyn Write) -> Result<Exit, Failure> {
    let sources = manifests::sources(&flags.files).map_err(Failure::plain)?;
    let choice = Choice { rollout: flags.rollout.clone(), namespace: flags.namespace.clone() };
    let manifests = Manifests::read(&sources, &choice)
        .map_err(|errors| Failure::plain(errors.join("\nerror: ")))?;
    let from = manifests.image.clone();
    let to = flags.image.clone().unwrap_or_else(|| next(&from));
    if to == from {
        return Err(Failure::usage(format!(
            "--image: found `{to}`, which the Rollout has already; allowed is another image"
        )));
    }
    let change = Change::Image(to.clone());
    let (report, broken) = Box::pin(play(Play { flags, manifests, change, to })).await?;
    let text = match flags.output {
        None => report.text(terminal.style),
        Some(Output::Json) => report.json().map_err(|error| Failure::plain(error.to_string()))?,
    };
    out.write_all(text.as_bytes())?;
    out.flush()?;
    sound(&broken)?;
    Ok(report.outcome.exit())
}

/// What is played.
pub struct Play<'a> {
    /// How the cluster, its users and the new version behave.
    pub flags: &'a Flags,
    /// The objects before the change.
    pub manifests: Manifests,
    /// The change.
    pub change: Change,
    /// The image after it.
    pub to: String,
}

/// Plays the release. Returns its report, and what was broken of what always holds.
///
/// # Errors
/// The change is refused.
pub async fn play(play: Play<'_>) -> Result<(Report, Vec<String>), Failure> {
    let Play { flags, manifests, change, to } = play;
    let from = manifests.image.clone();
    let name = manifests.rollout.metadata.name.clone().unwrap_or_default();
    let outlook = outlook(flags, &manifests);
    let own = manifests.measured.iter().flat_map(manifests::Measured::application_metrics);
    let users = Users { metrics: own.collect(), ..flags.users() };
    let versions = (to != from).then(|| (to.clone(), flags.version()));
    let world = World {
        objects: manifests.objects,
        namespace: manifests.namespace,
        rollout: name,
        versions: versions.into_iter().collect(),
        users,
        seed: flags.seed,
    };
    let mut trial = Trial::new(&world);
    let mut warnings = Vec::new();
    let outcome = if let Err(message) = trial.deploy(&world.objects).await {
        Outcome::Stuck { message }
    } else {
        let mesh = trial.simulation().mesh();
        warnings = mesh.with_samples(|samples| {
            let all = manifests.measured.iter();
            all.flat_map(|measured| measured.warnings(samples)).collect()
        });
        let incidents: Vec<_> = flags.incident.iter().map(|one| one.0).collect();
        trial.begin(&change, &incidents).await.map_err(Failure::plain)?;
        until_end(&mut trial, flags).await?
    };
    let took = trial.elapsed();
    trial.finish().await;
    let report = Report {
        rollout: format!("{}/{}", world.namespace, world.rollout),
        from,
        to,
        outcome,
        took,
        requests: trial.requests(),
        warnings,
        notes: manifests.notes,
        outlook,
        lines: trial.lines(),
    };
    Ok((report, trial.simulation().broken().to_vec()))
}

/// What must always hold did not.
///
/// # Errors
/// Something is broken.
pub fn sound(broken: &[String]) -> Result<(), Failure> {
    if broken.is_empty() {
        return Ok(());
    }
    let broken = broken.join("; ");
    let text = format!("what must always hold did not; this is a bug in Sluice: {broken}");
    Err(Failure::plain(text))
}

/// What each comparison can find within the steps.
fn outlook(flags: &Flags, manifests: &Manifests) -> Vec<String> {
    let (all, _) = comparisons(&manifests.objects, &manifests.namespace, &[]);
    let sharing = u32::try_from(all.len()).unwrap_or(u32::MAX);
    let service = Service {
        requests: flags.requests.0 / 60.0,
        rate: flags.errors.0.max(1e-6),
        dispersion: 1.0,
    };
    let says = |comparison: &Comparison| {
        let params = rules(&comparison.compare(), sharing).ok()?.params;
        let parts = parts(Some(&manifests.rollout), service, params.release_seconds);
        Some(format!("metric {}: {}", comparison.metric.name, words::outlook(&parts, &params)))
    };
    all.iter().filter_map(says).collect()
}

/// Lets the release go on until it has ended, or until `--limit`.
async fn until_end(trial: &mut Trial, flags: &Flags) -> Result<Outcome, Failure> {
    let limit = flags.limit.after(trial.began());
    loop {
        let attention = match flags.promote_after {
            Patience::Never => None,
            Patience::After(patience) => trial.attend(patience).await.map_err(Failure::plain)?,
        };
        let attended = flags.promote_after != Patience::Never;
        if let Some(outcome) = trial.outcome(attended) {
            return Ok(outcome);
        }
        if trial.now() >= limit {
            let message = trial.rollout().map(|rollout| state::message(&rollout));
            return Ok(Outcome::Limit { message: message.unwrap_or_default() });
        }
        trial.step(attention.unwrap_or(limit).min(limit)).await;
    }
}

/// The same image with another tag.
pub fn next(image: &str) -> String {
    let image = image.split('@').next().unwrap_or_default();
    let (path, last) = image.rsplit_once('/').map_or(("", image), |(path, last)| (path, last));
    let last = match last.split_once(':') {
        Some((name, tag)) => format!("{name}:{tag}-{NEW}"),
        None => format!("{last}:{NEW}"),
    };
    if path.is_empty() { last } else { format!("{path}/{last}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_version_has_another_tag() {
        for (image, expected) in [
            ("nginx:1.27.0", "nginx:1.27.0-new"),
            ("nginx", "nginx:new"),
            ("registry:5000/a/b", "registry:5000/a/b:new"),
            ("registry:5000/a/b:1@sha256:abc", "registry:5000/a/b:1-new"),
        ] {
            assert_eq!(next(image), expected);
        }
    }
}
