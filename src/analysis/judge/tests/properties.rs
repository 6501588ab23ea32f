//! What must hold for any counts: fair bets, more errors never help the canary, equal arms are equal.

use proptest::prelude::*;

use super::{counts, interval, params};
use crate::analysis::judge::{
    Counts, Mixture, Verdict,
    counts::{State, prior, ratios, step},
    kernel::{Exposed, Tolerated, frequent, rare},
    latency, slo,
};

/// The chances of 0 to `n` bad requests of `n`.
fn binomial(n: u32, p: f64) -> Vec<f64> {
    let mut chances = vec![0.0; n as usize + 1];
    chances[0] = 1.0;
    for _ in 0..n {
        for k in (0..chances.len()).rev() {
            let below = if k > 0 { chances[k - 1] } else { 0.0 };
            chances[k] = chances[k] * (1.0 - p) + below * p;
        }
    }
    chances
}

/// The mean of an e-value over all outcomes, weighted by their exact chances, from its logarithm: an
/// outcome of 1e-300 may well be worth 1e310.
fn mean(canary: &[f64], stable: &[f64], mut ln_e: impl FnMut(u32, u32) -> f64) -> f64 {
    let mut sum = 0.0;
    for (x, one) in (0..).zip(canary) {
        for (y, two) in (0..).zip(stable) {
            if one * two > 0.0 {
                sum += ((one * two).ln() + ln_e(x, y)).exp();
            }
        }
    }
    sum
}

fn exposed(x: f64, y: f64, n: u32, m: u32, phi: f64) -> Exposed {
    Exposed {
        canary_errors: x / phi,
        stable_errors: y / phi,
        canary: f64::from(n) / phi,
        stable: f64::from(m) / phi,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_bet_on_rare_events_is_fair(
        n in 1_u32..60, m in 1_u32..120, rate in 0.0001_f64..0.5, ratio in 1.0_f64..3.0,
        absolute in prop_oneof![Just(0.0), 0.0_f64..0.1], claim in 1.01_f64..200.0,
    ) {
        let tolerated = Tolerated { ratio, absolute };
        // The worst canary that is tolerated.
        let canary = (ratio * rate + absolute).min(1.0);
        let found = mean(&binomial(n, canary), &binomial(m, rate), |x, y| {
            rare(exposed(x.into(), y.into(), n, m, 1.0), ratio * claim, tolerated)
        });
        prop_assert!(found <= 1.0 + 1e-9, "{found}");
    }

    #[test]
    fn a_tempered_bet_is_fair_when_errors_come_in_bursts(
        n in 1_u32..20, m in 1_u32..20, rate in 0.001_f64..0.2, claim in 1.1_f64..100.0,
        burst in 1_u32..8, slack in 0.0_f64..3.0,
    ) {
        // Bursts are independent; each is of `burst` errors in one arm.
        let (size, phi) = (f64::from(burst), f64::from(burst) + slack);
        let tolerated = Tolerated { ratio: 1.0, absolute: 0.0 };
        let found = mean(&binomial(n, rate), &binomial(m, rate), |x, y| {
            let (x, y) = (f64::from(x) * size, f64::from(y) * size);
            rare(exposed(x, y, n * burst, m * burst, phi), claim, tolerated)
        });
        prop_assert!(found <= 1.0 + 1e-9, "{found}");
    }

    #[test]
    fn a_bet_on_frequent_events_is_fair_and_exact(
        n in 1_u32..40, m in 1_u32..40, rate in 0.01_f64..0.99, ratio in 1.0_f64..2.0,
        claim in 1.01_f64..20.0,
    ) {
        // A canary whose odds are `ratio` times those of stable.
        let odds = ratio * rate / (1.0 - rate);
        let found = mean(&binomial(n, odds / (1.0 + odds)), &binomial(m, rate), |x, y| {
            frequent(counts(n, x), counts(m, y), &[ratio * claim], ratio)[0]
        });
        prop_assert!((found - 1.0).abs() < 1e-9, "{found}");
    }

    #[test]
    fn a_mixture_of_fair_bets_is_fair(
        n in 1_u32..20, m in 1_u32..30, rate in 0.001_f64..0.4, warm in 0_u32..4,
        share in 0.0_f64..0.5, cap in 0.1_f64..5.0,
    ) {
        let (prior, tolerated) = (prior(), Tolerated { ratio: 1.1, absolute: 0.0 });
        let mut mixture = Mixture::new(prior);
        let play = |mixture: &mut Mixture<9>, x: u32, y: u32| {
            let mut ln_e = [0.0; 9];
            for (ln, psi) in ln_e[1..].iter_mut().zip(ratios(1.1)) {
                *ln = rare(exposed(x.into(), y.into(), n, m, 1.0), psi, tolerated);
            }
            mixture.step(&prior, &ln_e, share, cap);
        };
        for _ in 0..warm {
            play(&mut mixture, 1, 1);
        }
        let found = mean(&binomial(n, (1.1 * rate).min(1.0)), &binomial(m, rate), |x, y| {
            let mut next = mixture.clone();
            play(&mut next, x, y);
            next.ln_wealth - mixture.ln_wealth
        });
        prop_assert!(found <= 1.0 + 1e-9, "{found}");
    }

    #[test]
    fn the_burn_is_a_fair_bet(n in 1_u32..200, limit in 0.001_f64..0.5, below in 0.1_f64..1.0) {
        let chances = binomial(n, limit * below);
        let found = mean(&chances, &[1.0], |x, _| {
            slo::ln_evidence(x.into(), n.into(), limit, (0.5, 0.5))
        });
        prop_assert!(found <= 1.0 + 1e-9, "{found}");
    }

    #[test]
    fn more_errors_of_the_canary_never_speak_for_it(
        canary in 1_u32..500, stable in 1_u32..2000, share in 0.0_f64..1.0, claim in 1.01_f64..100.0,
        y in 0_u32..50,
    ) {
        let x = (f64::from(canary) * share).floor();
        let tolerated = Tolerated { ratio: 1.1, absolute: 0.0 };
        let at = |x: f64| {
            rare(exposed(x, y.into(), canary, stable, 1.0), 1.1 * claim, tolerated)
        };
        prop_assert!(at(x + 1.0) >= at(x));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let x = x as u32;
        if x < canary {
            let stable = counts(stable, y.min(stable));
            let at = |x| frequent(counts(canary, x), stable, &[1.2 * claim], 1.2)[0];
            prop_assert!(at(x + 1) >= at(x) - 1e-9);
        }
    }

    /// No counts, however odd, give evidence that is not a number.
    #[test]
    fn any_counts_are_taken(
        rows in prop::collection::vec((any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>()), 1..6),
        seconds in 0.0_f64..1e6,
    ) {
        let (mut state, mut slow) = (State::default(), latency::State::new(1));
        for (n, x, m, y) in rows {
            let mut one = interval(counts(n, x), counts(m, y));
            one.seconds = seconds;
            one.minute = vec![counts(m, y), counts(n, x)];
            state = step(&state, &one, &params()).0;
            prop_assert!(state.ln_evidence().is_finite(), "{state:?}");
            let of = |n: u32, x: u32| latency::Slow { requests: n % 5000, above: vec![x % 5000] };
            let one = latency::Interval {
                seconds, canary: of(n, x), stable: of(m, y), minute: vec![of(m, y), of(n, x)],
                pods: latency::Pods { canary: n % 7, stable: m % 7 },
            };
            slow = latency::step(&slow, &one, &params()).0;
            prop_assert!(slow.ln_evidence().is_finite(), "{slow:?}");
        }
    }
}

#[test]
fn arms_that_are_equal_give_no_evidence() {
    let mut state = State::default();
    for _ in 0..500 {
        let (next, finding) = step(&state, &interval(counts(100, 3), counts(100, 3)), &params());
        assert!(finding.ln_evidence <= 0.0, "{finding:?}");
        state = next;
    }
    assert_eq!(
        step(&state, &interval(counts(0, 0), counts(0, 0)), &params()).1.verdict,
        Verdict::NotWorse
    );
}

/// Swapping the arms turns a bet on a ratio into one on its inverse, when nothing is tolerated.
#[test]
fn the_kernels_know_no_left_and_right() {
    let tolerated = Tolerated { ratio: 1.0, absolute: 0.0 };
    for (x, y, n, m) in [(3, 2, 50, 450), (0, 7, 30, 30), (9, 1, 200, 20)] {
        for psi in [0.2, 0.5, 2.0, 7.0] {
            let one = rare(exposed(x.into(), y.into(), n, m, 1.0), psi, tolerated);
            let two = rare(exposed(y.into(), x.into(), m, n, 1.0), 1.0 / psi, tolerated);
            assert!((one - two).abs() < 1e-9, "{one} {two}");
            let (canary, stable) = (counts(n, x), counts(m, y));
            let one = frequent(canary, stable, &[psi], 1.0)[0];
            let two = frequent(stable, canary, &[1.0 / psi], 1.0)[0];
            assert!((one - two).abs() < 1e-9, "{one} {two}");
        }
    }
}

#[test]
fn without_one_arm_there_is_no_evidence() {
    for (canary, stable) in [(counts(0, 0), counts(500, 9)), (counts(500, 9), counts(0, 0))] {
        let (state, finding) = step(&State::default(), &interval(canary, stable), &params());
        assert!(state.ln_evidence().abs() < 1e-12);
        assert_eq!(finding.verdict, Verdict::NotEnoughData);
    }
}

/// The sum over outcomes of the Fisher kernel at the size of a busy service: no overflow, no loss.
#[test]
fn a_busy_service_does_not_overflow() {
    let (canary, stable) = (counts(60_000, 31_000), counts(540_000, 250_000));
    let found = frequent(canary, stable, &[1.5, 20.0], 1.2);
    assert!(found.iter().all(|ln| ln.is_finite()), "{found:?}");
    let all_fail: Counts = counts(60_000, 60_000);
    assert!(frequent(all_fail, stable, &[20.0], 1.2)[0] > 1000.0);
}
