//! What users had of a release, in numbers.

use serde::Serialize;

use crate::sim::traffic::Count;

/// Requests of the old version that say little of its rate of errors.
const FEW: u64 = 1000;

/// Users' requests during a release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Requests {
    /// Sent.
    pub sent: u64,
    /// Answered with an error, or lost.
    pub failed: u64,
    /// Those of them that no pod answered.
    pub lost: u64,
    /// Sent to the new version.
    pub canary_sent: u64,
    /// Those of them that failed.
    pub canary_failed: u64,
    /// Those of them that would not have failed at the old version's rate; 0 if chance explains
    /// them.
    pub because_of_canary: u64,
}

impl Requests {
    /// From the counts of all and of the new version. Where the old version had too few requests to
    /// tell its rate, that is `base_errors`.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts of a simulation, rounded"
    )]
    pub fn of(all: Count, canary: Count, base_errors: f64) -> Self {
        let (sent, failed) = (all.sent - canary.sent, all.errors - canary.errors);
        let rate = if sent < FEW { base_errors } else { failed as f64 / sent as f64 };
        let anyway = canary.sent as f64 * rate;
        let more = canary.failed() as f64 - anyway;
        // Failures are rare and come by chance: their number strays by its square root.
        let is_chance = more <= 2.0 * anyway.max(1.0).sqrt();
        Self {
            sent: all.sent,
            failed: all.failed(),
            lost: all.lost,
            canary_sent: canary.sent,
            canary_failed: canary.failed(),
            because_of_canary: if is_chance { 0 } else { more.round() as u64 },
        }
    }
}

/// What was counted between two looks.
pub(super) fn minus(now: Count, before: Count) -> Count {
    Count {
        sent: now.sent.saturating_sub(before.sent),
        errors: now.errors.saturating_sub(before.errors),
        lost: now.lost.saturating_sub(before.lost),
        copies: now.copies.saturating_sub(before.copies),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_have_failed_anyway_is_not_the_canarys_fault() {
        let all = Count { sent: 3000, errors: 70, lost: 2, copies: 0 };
        let canary = Count { sent: 1000, errors: 50, lost: 0, copies: 0 };
        let requests = Requests::of(all, canary, 0.0);
        // The old version: 20 of 2000, 1 %; 10 of the canary's 1000 would have failed as well.
        assert_eq!(requests.because_of_canary, 40);
        assert_eq!((requests.failed, requests.lost, requests.canary_failed), (72, 2, 50));
    }

    #[test]
    fn what_chance_explains_is_nobodys_fault() {
        let all = Count { sent: 865_727, errors: 862, lost: 0, copies: 0 };
        let canary = Count { sent: 430_236, errors: 443, lost: 0, copies: 0 };
        assert_eq!(Requests::of(all, canary, 0.001).because_of_canary, 0);
    }

    #[test]
    fn without_requests_to_the_old_version_its_rate_is_the_base() {
        let all = Count { sent: 1000, errors: 10, lost: 0, copies: 0 };
        assert_eq!(Requests::of(all, all, 0.001).because_of_canary, 9);
    }
}
