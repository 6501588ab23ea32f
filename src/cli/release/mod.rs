//! `release`: an adopted Deployment gets its pods back, guarded.
//!
//! The Rollout is deleted in the background; its finalizer gives back what it took, in the order
//! that loses nobody. Not in mid-release: the Deployment would come up with the template that is on
//! trial.

use clap::Args;
use kube::api::{DeleteParams, Preconditions, PropagationPolicy};

use super::{
    adopt::DryRun,
    args::rollout_name,
    exit::{Exit, Failure},
    session::Session,
    state::{self, Release},
    watch::{self, Wait},
};
use crate::api::{Duration, Rollout, ScaleDown};

/// Flags of `release`.
#[derive(Args, Clone, Debug)]
pub struct Flags {
    /// The Rollout
    #[arg(value_parser = rollout_name)]
    pub name: String,
    /// Also in mid-release: the Deployment then comes up with the template that is on trial
    #[arg(long)]
    pub force: bool,
    /// client: says what would happen, and deletes nothing
    #[arg(long, value_enum, value_name = "WHERE", default_value = "none")]
    pub dry_run: DryRun,
    /// How long to wait until all is given back
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    pub wait_timeout: Duration,
    /// Does not wait
    #[arg(long, conflicts_with = "wait_timeout")]
    pub no_wait: bool,
}

/// Looks, refuses, or deletes and waits.
pub async fn run(session: &mut Session<'_>, flags: &Flags) -> Result<Exit, Failure> {
    let name = &flags.name;
    let rollout = session.fetch(name).await?;
    let deployment =
        may_go(&rollout, flags.force).map_err(|text| Failure::plain(format!("{name}: {text}")))?;
    session.say(&format!(
        "{name}: {deployment} gets its pods back, then Services and routes lead to them, and the Rollout goes"
    ))?;
    if flags.dry_run == DryRun::Client {
        session.say(&format!("{name}: nothing was deleted (--dry-run=client)"))?;
        return Ok(Exit::Done);
    }
    // Whoever deletes in the foreground takes the pods away before those of the Deployment are there.
    let parameters = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Background),
        preconditions: Some(Preconditions {
            uid: rollout.metadata.uid.clone(),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    match session.rollouts().delete(name, &parameters).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        Err(error) => return Err(Failure::api(&error, "delete the Rollout")),
    }
    if flags.no_wait {
        return Ok(Exit::Done);
    }
    wait(session, flags, rollout.metadata.uid.as_deref(), &deployment).await
}

/// The workload that gets its pods back, if the Rollout may go now.
fn may_go(rollout: &Rollout, force: bool) -> Result<String, String> {
    let Some(reference) = &rollout.spec.workload_ref else {
        return Err("its pods are its own (spec.template), so there is no Deployment to give them to; `kubectl delete rollout --cascade=orphan` leaves ReplicaSet, Services and routes as they are".into());
    };
    if reference.kind != "Deployment" {
        return Err(format!(
            "its workload is a {}, which has no releases of its own; point spec.workloadRef at a Deployment, or use `kubectl delete rollout`",
            reference.kind
        ));
    }
    let workload = format!("Deployment {}", reference.name);
    if force || rollout.metadata.deletion_timestamp.is_some() {
        return Ok(workload);
    }
    let back = format!("{workload} would come up with the template that is on trial");
    match state::release(rollout) {
        Release::Running => Err(format!(
            "a release is under way, and {back}: wait for its end, `abort` and `undo` it, or say --force"
        )),
        Release::Aborted => Err(format!(
            "the newest revision was rolled back, and {back}: `undo` first, or say --force"
        )),
        Release::Unseen | Release::Complete => {
            if !state::observed(rollout) && reference.scale_down != ScaleDown::Never {
                return Err(format!(
                    "the controller has not looked at its newest spec yet, and must be there to give back; try again, or see that it runs (kubectl -n sluice-system get pods): {workload}"
                ));
            }
            Ok(workload)
        }
    }
}

/// Shows how it goes, until the Rollout is gone.
async fn wait(
    session: &mut Session<'_>,
    flags: &Flags,
    uid: Option<&str>,
    deployment: &str,
) -> Result<Exit, Failure> {
    // One that was made anew under this name is not the one that went.
    let same = |rollout: &Rollout| rollout.metadata.uid.as_deref() == uid;
    let wait = Wait {
        limit: flags.wait_timeout,
        late: "not all is given back",
        shown: &|rollout| same(rollout) && rollout.metadata.deletion_timestamp.is_some(),
        end: &|rollout, _| (!rollout.is_some_and(same)).then_some(Ok(Exit::Done)),
    };
    let exit = watch::until(session, &flags.name, &wait).await?;
    session.say(&format!("{}: {deployment} is on its own again", flags.name))?;
    Ok(exit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::WorkloadRef,
        cli::fixtures::{aborted, healthy, paused},
    };

    fn adopted(mut rollout: Rollout) -> Rollout {
        rollout.spec.template = None;
        rollout.spec.workload_ref = Some(WorkloadRef {
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            name: "checkout".into(),
            scale_down: ScaleDown::OnSuccess,
        });
        rollout
    }

    #[test]
    fn it_goes_between_releases_and_not_within_one() {
        assert_eq!(may_go(&adopted(healthy()), false).unwrap(), "Deployment checkout");
        for (rollout, sentence) in [
            (adopted(paused()), "a release is under way"),
            (adopted(aborted()), "`undo` first"),
            (healthy(), "--cascade=orphan"),
        ] {
            let refused = may_go(&rollout, false).unwrap_err();
            assert!(refused.contains(sentence), "{refused}");
        }
        assert!(may_go(&adopted(paused()), true).is_ok());
        assert!(may_go(&healthy(), true).is_err(), "there is nothing to give the pods to");
    }
}
