//! How the plugin ends: the exit codes, and failures as sentences.

use std::{error::Error as _, io};

/// The exit codes as `--help` shows them.
pub const HELP: &str = "\
Exit codes:
  0  healthy or completed; the command was carried out, or there was nothing to do
  1  an error, such as no connection, or a command that was refused
  2  wrong usage
  3  degraded: stuck, or an invalid spec
  4  aborted: the newest revision was rolled back
  5  paused and waiting for a person
  6  timed out
  7  no such Rollout
  8  in progress (status without --watch or --for)";

/// What the API server says before the sentence of the policy that ships in `config/policy`.
const OUR_POLICY: &str = "with binding 'sluice-rollouts' denied request: ";

/// How the plugin ends; the number is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Healthy, completed, carried out, or nothing to do.
    Done = 0,
    /// An error, or a command that was refused.
    Failed = 1,
    /// Wrong usage.
    Usage = 2,
    /// Degraded without an abort.
    Degraded = 3,
    /// The newest revision was aborted.
    Aborted = 4,
    /// Paused until a person acts.
    Waiting = 5,
    /// The time that the caller gave is over.
    TimedOut = 6,
    /// No such Rollout.
    NotFound = 7,
    /// A release is under way.
    InProgress = 8,
}

impl Exit {
    /// The exit code.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// Why the plugin gave up, in a sentence that says what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    /// How to end.
    pub exit: Exit,
    /// The sentence.
    pub text: String,
}

impl Failure {
    /// A failure that ends with `exit`.
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { exit, text }
    }

    /// An error without an exit code of its own.
    pub fn plain(text: impl Into<String>) -> Self {
        Self::new(Exit::Failed, text)
    }

    /// Wrong usage.
    pub fn usage(text: impl Into<String>) -> Self {
        Self::new(Exit::Usage, text)
    }

    /// The Rollout is not there.
    pub fn not_found(namespace: &str, name: &str) -> Self {
        Self::new(
            Exit::NotFound,
            format!(
                "no Rollout `{name}` in namespace `{namespace}`; `kubectl sluice get rollouts -A` lists all of them"
            ),
        )
    }

    /// What the API server, or the way to it, said while the plugin tried to do `doing`.
    pub fn api(error: &kube::Error, doing: &str) -> Self {
        let kube::Error::Api(status) = error else {
            return Self::plain(format!(
                "cannot {doing}: {}; check the network and the kubeconfig's context, then try again",
                chain(error)
            ));
        };
        let said = status.message.trim();
        if let Some((_, policy)) = said.split_once(OUR_POLICY) {
            return Self::plain(format!("cannot {doing}: {policy}"));
        }
        let next = match status.code {
            401 => "log in again: the API server does not accept these credentials",
            403 => "ask for a role that allows it, or choose another --namespace or --context",
            404 if said.contains("page not found")
                || said.contains("could not find the requested") =>
            {
                "Sluice is not installed in this cluster: apply its crds/, or choose another --context"
            }
            404 => "it may have been deleted just now; look again",
            409 => "somebody else wrote it at the same time; try again",
            422 | 400 => "correct what it names",
            _ => "try again",
        };
        Self::plain(format!("cannot {doing}: {said} ({next})"))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            // The reader (`head`, `grep -q`) has what it wanted.
            return Self::new(Exit::Done, "");
        }
        Self::plain(format!("cannot write the output: {error}"))
    }
}

/// An error with its causes, each said once.
fn chain(error: &kube::Error) -> String {
    let mut text = match error {
        kube::Error::Service(_) | kube::Error::HyperError(_) => "no connection".to_owned(),
        other => other.to_string(),
    };
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn every_code_is_in_the_help_text() {
        for exit in [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::Degraded,
            Exit::Aborted,
            Exit::Waiting,
            Exit::TimedOut,
            Exit::NotFound,
            Exit::InProgress,
        ] {
            assert!(HELP.contains(&format!("\n  {}  ", exit.code())), "{exit:?}");
        }
    }

    #[test]
    fn what_the_server_says_comes_with_the_next_step() {
        for (code, said, next) in [
            (403, "rollouts is forbidden", "ask for a role"),
            (401, "Unauthorized", "log in again"),
            (404, "404 page not found", "Sluice is not installed"),
            (404, "rollouts \"x\" not found", "look again"),
        ] {
            let status = Status { code, message: said.into(), ..Status::default() };
            let failure = Failure::api(&kube::Error::Api(status.boxed()), "read Rollouts");
            assert!(failure.text.starts_with(&format!("cannot read Rollouts: {said} (")));
            assert!(failure.text.contains(next), "{}", failure.text);
        }
    }

    #[test]
    fn our_own_policy_speaks_for_itself() {
        let message = "rollouts.sluice.dev \"web\" is forbidden: ValidatingAdmissionPolicy \
            'sluice-rollouts' with binding 'sluice-rollouts' denied request: ann may not promote";
        let status = Status { code: 403, message: message.into(), ..Status::default() };
        let failure = Failure::api(&kube::Error::Api(status.boxed()), "write it");
        assert_eq!(failure.text, "cannot write it: ann may not promote");
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(failure.exit, Exit::Done);
    }
}
