//! Is the controller alive, and are its caches complete?

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// The work loop gives a sign of life at least this often.
pub const BEAT: Duration = Duration::from_secs(10);

/// Without a sign of life for this long, the controller counts as dead.
const DEAD_AFTER: Duration = Duration::from_mins(1);

/// Signs of life.
#[derive(Debug, Default)]
pub struct Health {
    ready: AtomicBool,
    last_beat: Mutex<Option<Instant>>,
}

impl Health {
    /// Says whether the caches are complete.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// Whether the caches are complete. A candidate that waits for the lease is ready too: it can
    /// take over at any moment.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// A sign of life of the work loop.
    pub fn beat(&self) {
        *self.last_beat.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether the work loop moves; one that has not begun yet counts as alive.
    pub fn is_alive(&self) -> bool {
        let last = *self.last_beat.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_none_or(|last| last.elapsed() < DEAD_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_work_loop_that_stands_still_is_dead() {
        let health = Health::default();
        assert!(health.is_alive(), "it has not begun");
        health.beat();
        tokio::time::advance(DEAD_AFTER.checked_sub(Duration::from_secs(1)).unwrap()).await;
        assert!(health.is_alive());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(!health.is_alive());
        health.beat();
        assert!(health.is_alive());
    }
}
