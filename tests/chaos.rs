//! Chaos: random lives of a Rollout on the simulated cluster, with the whole controller and with faults
//! at every place. After every write all that always holds is checked; at the end a good version must
//! get out, and where nothing depends on time, faults must not change what comes of each act.
//!
//! `SLUICE_CHAOS_SEED=17 cargo test --test chaos lives` replays one seed; `make chaos SEEDS=1..5000` runs
//! many. `docs/chaos.md` says more.
#![allow(clippy::print_stdout, reason = "a list of seeds, and a story that was asked for")]
#![allow(clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "chaos/acts.rs"]
mod acts;
#[path = "chaos/case.rs"]
mod case;
#[path = "chaos/chance.rs"]
mod chance;
#[path = "chaos/cluster.rs"]
mod cluster;
#[path = "chaos/crashes.rs"]
mod crashes;
#[path = "chaos/end.rs"]
mod end;
#[path = "chaos/faults.rs"]
mod faults;
#[path = "chaos/generate.rs"]
mod generate;
#[path = "chaos/judge.rs"]
mod judge;
#[path = "chaos/play.rs"]
mod play;
#[path = "chaos/watches.rs"]
mod watches;

use std::{
    ops::RangeInclusive,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// One seed, to be replayed.
const SEED: &str = "SLUICE_CHAOS_SEED";

/// A range of seeds: `FROM..TO`.
const SEEDS: &str = "SLUICE_CHAOS_SEEDS";

/// Set to list all seeds that fail, or the `first`, and what is wrong, and to shrink nothing.
const LIST: &str = "SLUICE_CHAOS_LIST";

/// The seeds that run with all other tests.
const USUAL: RangeInclusive<u64> = 1..=140;

#[test]
fn random_lives_end_well() {
    let seeds = seeds();
    let one = seeds.start() == seeds.end();
    let (next, failed) = (AtomicU64::new(*seeds.start()), Mutex::new(None::<u64>));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > *seeds.end() || failed.lock().expect("no panic").is_some() {
                        return;
                    }
                    let found = judge::failure(&generate::case(seed));
                    if let Some((what, _)) = &found
                        && std::env::var_os(LIST).is_some_and(|how| how != "first")
                    {
                        println!("seed {seed}: {}", what.lines().next().unwrap_or_default());
                    } else if found.is_some() {
                        let mut failed = failed.lock().expect("no panic");
                        *failed = Some(failed.map_or(seed, |other| other.min(seed)));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no panic");
    if let Some(seed) = failed {
        if std::env::var_os(LIST).is_some() {
            let what = judge::failure(&generate::case(seed)).unwrap_or_default().0;
            println!("seed {seed}: {}", what.lines().next().unwrap_or_default());
            return;
        }
        panic!("{}", report(seed));
    }
    if one {
        println!("{}", play::play(&generate::case(*seeds.start())).story);
    }
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [3, 4, 5] {
        let case = generate::case(seed);
        assert!(play::play(&case).story == play::play(&case).story, "seed {seed}");
    }
}

fn seeds() -> RangeInclusive<u64> {
    if let Some(seed) = std::env::var(SEED).ok().and_then(|text| text.parse().ok()) {
        return seed..=seed;
    }
    let Ok(text) = std::env::var(SEEDS) else { return USUAL };
    let range =
        text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    let (from, to) = range.expect("SEEDS: found no range, allowed is FROM..TO such as 1..5000");
    from..=to
}

/// What is wrong with a seed, as small as it can be made.
fn report(seed: u64) -> String {
    let case = generate::case(seed);
    let Some(failed) = judge::failure(&case) else {
        return format!(
            "seed {seed} failed once and not again: the simulation has forgotten its seed"
        );
    };
    let first = failed.0.clone();
    let (small, (what, story)) = judge::shrunk(&case, failed);
    format!(
        "seed {seed}: {first}\n\nshrunk to {small:#?}\n\n{what}\n\n{story}\n\n\
         replay: {SEED}={seed} cargo test --test chaos lives\n"
    )
}
