//! Bounded waiting for a condition, where no watch shows it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Time between two looks.
const EVERY: Duration = Duration::from_millis(50);

/// Looks until `look` yields a value, at most `limit`.
///
/// # Errors
/// With a sentence that names `what` was waited for.
pub async fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> Result<T, String> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look().await {
            return Ok(found);
        }
        if Instant::now() > deadline {
            return Err(format!("waited {limit:?} in vain for {what}"));
        }
        sleep(EVERY).await;
    }
}
