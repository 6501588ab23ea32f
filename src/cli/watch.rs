//! Following one Rollout: its states as they come, over breaks of the connection.

use std::future::ready;

use futures::{StreamExt, stream::BoxStream};
use kube::{
    Api,
    runtime::{WatchStreamExt, watcher},
};

use crate::api::Rollout;

use super::exit::Failure;

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
