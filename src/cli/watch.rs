//! Following one Rollout: its states as they come, over breaks of the connection.

use std::future::ready;

use futures::{StreamExt, stream::BoxStream};
use kube::{
    Api,
    runtime::{WatchStreamExt, watcher},
};
use tokio::time::{Instant, timeout_at};

use crate::api::{Duration, Rollout};

use super::{
    exit::{Exit, Failure},
    session::Session,
    state,
};

/// Errors in a row after which the API server counts as out of reach.
const ERRORS_IN_A_ROW: u32 = 8;

/// The states of the Rollout from now on; `None` while it does not exist. A break is mended
/// quietly; an error that stays, or that no second try can mend, comes out as a failure.
pub fn follow(
    rollouts: Api<Rollout>,
    name: &str,
) -> BoxStream<'static, Result<Option<Rollout>, Failure>> {
    watcher::watch_object(rollouts, name)
        .default_backoff()
        .scan(0_u32, |errors, item| {
            *errors = if item.is_ok() { 0 } else { *errors + 1 };
            ready(Some((*errors, item)))
        })
        .filter_map(|(errors, item)| {
            ready(match item {
                Ok(state) => Some(Ok(state)),
                Err(error) if errors >= ERRORS_IN_A_ROW || is_lasting(&error) => {
                    Some(Err(failure(&error, "follow the Rollout")))
                }
                Err(_) => None,
            })
        })
        .boxed()
}

/// How a wait ends; nothing while it goes on.
pub type End = Option<Result<Exit, Failure>>;

/// What is waited for, and for how long.
pub struct Wait<'a> {
    /// The longest time.
    pub limit: Duration,
    /// What has not happened then, as the beginning of a sentence.
    pub late: &'a str,
    /// Whether a state is shown.
    pub shown: &'a dyn Fn(&Rollout) -> bool,
    /// Whether a state is the end: the Rollout (nothing: it does not exist) and its line.
    pub end: &'a dyn Fn(Option<&Rollout>, &str) -> End,
}

/// Shows how it goes with a Rollout, a line for each new state, until it ends.
///
/// # Errors
/// What `end` says, or that it took too long.
pub async fn until(
    session: &mut Session<'_>,
    name: &str,
    wait: &Wait<'_>,
) -> Result<Exit, Failure> {
    let deadline = Instant::now() + wait.limit.0;
    let mut states = follow(session.rollouts(), name);
    let (mut last, mut shown) = (String::new(), String::new());
    loop {
        let Ok(next) = timeout_at(deadline, states.next()).await else {
            let Wait { limit, late, .. } = wait;
            let text = format!("{name}: {late} within {limit}; it goes on by itself: {last}");
            return Err(Failure::new(Exit::TimedOut, text));
        };
        let rollout = next.transpose()?.flatten();
        last = rollout.as_ref().map(state::line).unwrap_or_default();
        if last != shown && rollout.as_ref().is_some_and(wait.shown) {
            session.say(&last)?;
            shown.clone_from(&last);
        }
        if let Some(end) = (wait.end)(rollout.as_ref(), &last) {
            return end;
        }
    }
}

/// Whether another try would end the same way.
pub fn is_lasting(error: &watcher::Error) -> bool {
    match cause(error) {
        Some(kube::Error::Api(status)) => matches!(status.code, 400 | 401 | 403 | 404),
        Some(kube::Error::SerdeError(_)) => true,
        _ => false,
    }
}

/// The error as a sentence.
pub fn failure(error: &watcher::Error, doing: &str) -> Failure {
    cause(error).map_or_else(
        || Failure::plain(format!("cannot {doing}: {error}; try again")),
        |error| Failure::api(error, doing),
    )
}

fn cause(error: &watcher::Error) -> Option<&kube::Error> {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => Some(error),
        _ => None,
    }
}
