//! The tables.

use std::{fmt::Write, time::Duration};

use sluice::analysis::judge::{
    Counts,
    counts::{Interval, State, step},
    latency,
};

use super::{
    judges::{JUDGES, Judge, params},
    traffic::{Cell, Noise, SECONDS, Truth, Weights},
};

const RATES: [(f64, f64); 6] =
    [(50.0, 0.001), (50.0, 0.01), (500.0, 0.001), (500.0, 0.01), (5000.0, 0.001), (5000.0, 0.01)];

/// How long stable is watched before a release, in seconds.
const HISTORY: usize = 1800;

/// The noises of a healthy release, with how far apart the arms are sampled.
const NOISES: [(&str, Noise, i32); 7] = [
    ("clean", Noise::Clean, 0),
    ("bursts of 3", Noise::Bursts(3.0), 0),
    ("bursts of 10", Noise::Bursts(10.0), 0),
    ("outages of 5 requests", Noise::Outages(5.0), 0),
    ("shared incident", Noise::Incident, 0),
    ("incident, stable seen 15 s early", Noise::Incident, 15),
    ("incident, stable seen 15 s late", Noise::Incident, -15),
];

/// The cost of a step.
pub fn steps() -> String {
    let params = params();
    let counts = |requests, errors| Counts { requests, errors };
    let interval = Interval {
        seconds: 15.0,
        canary: counts(125, 2),
        stable: counts(1125, 11),
        minute: vec![counts(450, 4); 10],
    };
    let mut state = State::default();
    let errors = cost(20_000, || state = step(&state, &interval, &params).0);
    let above = |scale: u32| [80, 60, 45, 30, 20, 9, 4, 1].map(|share| share * scale).to_vec();
    let slow = |scale: u32| latency::Slow { requests: 200 * scale, above: above(scale) };
    let interval = latency::Interval {
        seconds: 15.0,
        canary: slow(3),
        stable: slow(3),
        minute: vec![slow(2); 10],
    };
    let mut state = latency::State::new(8);
    let latency = cost(2000, || state = latency::step(&state, &interval, &params).0);
    format!(
        "One step on this machine, CPU: errors {errors:.1?}, latency with 8 bounds at 5,000 requests a minute {latency:.1?}.\n"
    )
}

fn cost(times: u32, mut body: impl FnMut()) -> Duration {
    let before = on_cpu();
    for _ in 0..times {
        body();
    }
    (on_cpu() - before) / times
}

/// What this thread has been on a CPU (proc(5), schedstat).
fn on_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has schedstat");
    let first = text.split(' ').next().and_then(|number| number.parse().ok());
    Duration::from_nanos(first.expect("a number"))
}

/// Releases of a cell, spread over the processors: for each judge when it alarmed, and how many
/// requests had failed by then.
fn play(cell: &Cell, seed: u64, runs: u64, judges: &[Judge]) -> Vec<Vec<(Option<usize>, u32)>> {
    let workers = std::thread::available_parallelism().map_or(1, |all| all.get() as u64);
    let all = std::thread::scope(|scope| {
        let hands: Vec<_> = (0..workers)
            .map(|worker| {
                scope.spawn(move || {
                    let mine = (worker..runs).step_by(usize::try_from(workers).unwrap_or(1));
                    mine.map(|run| one(cell, seed.wrapping_mul(1_000_003) + run, judges))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        hands.into_iter().flat_map(|hand| hand.join().expect("no panic")).collect::<Vec<_>>()
    });
    (0..judges.len()).map(|judge| all.iter().map(|run| run[judge]).collect()).collect()
}

fn one(cell: &Cell, seed: u64, judges: &[Judge]) -> Vec<(Option<usize>, u32)> {
    let release = cell.play(seed);
    let judged = judges.iter().map(|judge| {
        let alarm = judge.alarm(&release, cell.skew).filter(|second| *second <= SECONDS);
        (alarm, release.canary(0, alarm.unwrap_or(SECONDS)).errors)
    });
    judged.collect()
}

fn percent(part: usize, of: usize) -> f64 {
    let real = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    100.0 * real(part) / real(of.max(1))
}

fn head(first: &str, judges: &[Judge]) -> String {
    let names: Vec<String> = judges.iter().map(|judge| judge.name()).collect();
    format!("| {first} | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(judges.len()))
}

/// Releases that are rolled back although the canary is as good as stable.
pub fn false_alarms(seed: u64, runs: u64) -> String {
    let mut text = format!(
        "False alarms, % of {runs} healthy releases a cell (30 min; seed {seed}):\n\n{}",
        head("requests a minute, errors, weights, noise", &JUDGES)
    );
    let mut worst = 0.0_f64;
    for (per_minute, base) in RATES {
        for weights in [Weights::Stepped, Weights::Tenth] {
            for (name, noise, skew) in NOISES {
                let truth = Truth::Healthy;
                let cell = Cell { per_minute, base, noise, truth, weights, skew, history: HISTORY };
                let results = play(&cell, seed, runs, &JUDGES);
                let shares: Vec<f64> = results
                    .iter()
                    .map(|all| percent(all.iter().filter(|run| run.0.is_some()).count(), all.len()))
                    .collect();
                worst = worst.max(shares[0]);
                let columns: Vec<String> = shares.iter().map(|s| format!("{s:.1}")).collect();
                let weights = if weights == Weights::Tenth { "10 %" } else { "5 to 50 %" };
                let base = base * 100.0;
                let columns = columns.join(" | ");
                let _ = writeln!(text, "| {per_minute}, {base} %, {weights}, {name} | {columns} |");
            }
        }
    }
    let _ = writeln!(text, "\nWorst cell of Sluice: {worst:.2} %.");
    text
}

/// How soon a bad canary is found.
pub fn effects(seed: u64, runs: u64) -> String {
    let mut text = format!(
        "Bad canaries at 10 % weight from the first second, {runs} releases a cell: found, % / median seconds / requests that failed on the canary until then, mean\n\n{}",
        head("requests a minute, errors, noise, canary", &JUDGES)
    );
    let truths = [
        ("twice the errors", Truth::Times(2.0)),
        ("five times the errors", Truth::Times(5.0)),
        ("5 points more", Truth::Plus(0.05)),
        ("all fail", Truth::Plus(1.0)),
    ];
    let noises = [
        ("clean", Noise::Clean),
        ("bursts of 3", Noise::Bursts(3.0)),
        ("bursts of 10", Noise::Bursts(10.0)),
    ];
    for (per_minute, base) in RATES {
        for (noise_name, noise) in noises {
            for (truth_name, truth) in truths {
                let weights = Weights::Tenth;
                let cell =
                    Cell { per_minute, base, noise, truth, weights, skew: 0, history: HISTORY };
                let results = play(&cell, seed.wrapping_add(77), runs, &JUDGES);
                let columns: Vec<String> = results.iter().map(|all| effect(all)).collect();
                let base = base * 100.0;
                let columns = columns.join(" | ");
                let _ = writeln!(
                    text,
                    "| {per_minute}, {base} %, {noise_name}, {truth_name} | {columns} |"
                );
            }
        }
    }
    text
}

fn effect(all: &[(Option<usize>, u32)]) -> String {
    let mut found: Vec<usize> = all.iter().filter_map(|run| run.0).collect();
    found.sort_unstable();
    let median = found.get(found.len() / 2).map_or("-".to_owned(), usize::to_string);
    let failed: f64 = all.iter().map(|run| f64::from(run.1)).sum();
    let runs = f64::from(u32::try_from(all.len()).unwrap_or(u32::MAX)).max(1.0);
    format!("{:.0} / {median} / {:.1}", percent(found.len(), all.len()), failed / runs)
}
