//! The tables.

use std::{fmt::Write, time::Duration};

use sluice::analysis::judge::{
    Counts,
    counts::{Interval, State, step},
    latency,
};

use super::{
    judges::{JUDGES, Judge, params},
    slow,
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

/// The cost of a step, and the bar for it.
pub fn steps() -> (String, Bar) {
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
        pods: latency::Pods { canary: 1, stable: 10 },
    };
    let mut state = latency::State::new(8);
    let latency = cost(2000, || state = latency::step(&state, &interval, &params).0);
    let text = format!(
        "One step on this machine, CPU: errors {errors:.1?}, latency with 8 bounds at 5,000 requests a minute {latency:.1?}.\n"
    );
    let found = errors.max(latency).as_secs_f64() * 1e6;
    (text, Bar { name: "a step, microseconds of CPU".to_owned(), most: 50.0, found })
}

fn cost(times: u32, mut body: impl FnMut()) -> Duration {
    let before = on_cpu();
    for _ in 0..times {
        body();
    }
    on_cpu().saturating_sub(before) / times
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
    let all = spread(runs, |run| one(cell, seed.wrapping_mul(1_000_003) + run, judges));
    (0..judges.len()).map(|judge| all.iter().map(|run| run[judge]).collect()).collect()
}

/// Runs, spread over the processors.
fn spread<T: Send>(runs: u64, body: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let workers = std::thread::available_parallelism().map_or(1, |all| all.get() as u64);
    let body = &body;
    std::thread::scope(|scope| {
        let hands: Vec<_> = (0..workers)
            .map(|worker| {
                scope.spawn(move || {
                    let mine = (worker..runs).step_by(usize::try_from(workers).unwrap_or(1));
                    mine.map(body).collect::<Vec<_>>()
                })
            })
            .collect();
        hands.into_iter().flat_map(|hand| hand.join().expect("no panic")).collect()
    })
}

fn one(cell: &Cell, seed: u64, judges: &[Judge]) -> Vec<(Option<usize>, u32)> {
    let release = cell.play(seed);
    let alarms = judges.iter().map(|judge| {
        let alarm = judge.alarm(&release, cell.skew).filter(|second| *second <= SECONDS);
        (alarm, release.canary(0, alarm.unwrap_or(SECONDS)).errors)
    });
    alarms.collect()
}

fn percent(part: usize, of: usize) -> f64 {
    let real = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    100.0 * real(part) / real(of.max(1))
}

fn head(first: &str, judges: &[Judge]) -> String {
    let names: Vec<String> = judges.iter().map(|judge| judge.name()).collect();
    format!("| {first} | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(judges.len()))
}

/// Shares of false alarms of one cell, a column for each judge.
struct Healthy {
    noise: usize,
    shares: Vec<f64>,
}

/// Healthy releases that are rolled back. Returns the tables and the worst cell within the model.
pub fn false_alarms(seed: u64, runs: u64) -> (String, f64) {
    let names: Vec<&str> = NOISES.iter().map(|noise| noise.0).collect();
    let mut text = format!(
        "### False alarms\n\nSluice at scrapes of 15 s: % of {runs} healthy releases that are rolled back.\n\n| requests a minute, errors, weights | {} |\n|---|{}\n",
        names.join(" | "),
        "---|".repeat(names.len())
    );
    let mut cells = Vec::new();
    for (per_minute, base) in RATES {
        for weights in [Weights::Stepped, Weights::Tenth] {
            let row: Vec<Healthy> = NOISES
                .iter()
                .enumerate()
                .map(|(index, (_, noise, skew))| {
                    let (noise, skew, truth) = (*noise, *skew, Truth::Healthy);
                    let cell =
                        Cell { per_minute, base, noise, truth, weights, skew, history: HISTORY };
                    let results = play(&cell, seed, runs, &JUDGES);
                    let alarms = |all: &Vec<(Option<usize>, u32)>| {
                        percent(all.iter().filter(|run| run.0.is_some()).count(), all.len())
                    };
                    Healthy { noise: index, shares: results.iter().map(alarms).collect() }
                })
                .collect();
            let columns: Vec<String> =
                row.iter().map(|cell| format!("{:.2}", cell.shares[0])).collect();
            let weights = if weights == Weights::Tenth { "10 %" } else { "5 to 50 %" };
            let (base, columns) = (base * 100.0, columns.join(" | "));
            let _ = writeln!(text, "| {per_minute}, {base} %, {weights} | {columns} |");
            cells.extend(row);
        }
    }
    text.push_str(
        "\nThe rules of others on the same releases: lowest to highest of these cells, %.\n\n",
    );
    text.push_str(&head("noise", &JUDGES));
    for (index, name) in names.iter().enumerate() {
        let range = |judge: usize| {
            let of = cells.iter().filter(|cell| cell.noise == index).map(|cell| cell.shares[judge]);
            let (low, high) = of
                .fold((100.0_f64, 0.0_f64), |(low, high), share| (low.min(share), high.max(share)));
            format!("{low:.1} to {high:.1}")
        };
        let columns: Vec<String> = (0..JUDGES.len()).map(range).collect();
        let _ = writeln!(text, "| {name} | {} |", columns.join(" | "));
    }
    let model = cells.iter().filter(|cell| !matches!(NOISES[cell.noise].1, Noise::Outages(_)));
    (text, model.map(|cell| cell.shares[0]).fold(0.0, f64::max))
}

/// How one judge does in one cell of bad canaries.
struct Effect {
    found: f64,
    median: Option<usize>,
    failed: f64,
}

impl Effect {
    fn of(all: &[(Option<usize>, u32)]) -> Self {
        // A release without an alarm counts as one that takes for ever.
        let mut times: Vec<usize> = all.iter().map(|run| run.0.unwrap_or(usize::MAX)).collect();
        times.sort_unstable();
        let median = times.get(times.len() / 2).copied().filter(|time| *time <= SECONDS);
        let failed: f64 = all.iter().map(|run| f64::from(run.1)).sum();
        let runs = f64::from(u32::try_from(all.len()).unwrap_or(u32::MAX)).max(1.0);
        let found = percent(all.iter().filter(|run| run.0.is_some()).count(), all.len());
        Self { found, median, failed: failed / runs }
    }

    fn cell(&self) -> String {
        let median = self.median.map_or_else(|| "-".to_owned(), |median| median.to_string());
        format!("{:.0} / {median} / {:.1}", self.found, self.failed)
    }
}

/// How soon a bad canary is found. Returns the table and what the bars are about.
pub fn effects(seed: u64, runs: u64) -> (String, Vec<Bar>) {
    let mut text = format!(
        "### Bad canaries\n\n10 % weight, bad from the first second; {runs} releases a cell. Found, % / median seconds over all releases / requests that failed on the canary until then, mean. Beside it belongs what a rule alarms on above.\n\n{}",
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
    let mut bars = Vec::new();
    for (per_minute, base) in RATES {
        for (noise_name, noise) in noises {
            for (truth_name, truth) in truths {
                let weights = Weights::Tenth;
                let cell =
                    Cell { per_minute, base, noise, truth, weights, skew: 0, history: HISTORY };
                let results = play(&cell, seed.wrapping_add(77), runs, &JUDGES);
                let effects: Vec<Effect> = results.iter().map(|all| Effect::of(all)).collect();
                let columns: Vec<String> = effects.iter().map(Effect::cell).collect();
                let (base, columns) = (base * 100.0, columns.join(" | "));
                let name = format!("{per_minute}, {base} %, {noise_name}, {truth_name}");
                let _ = writeln!(text, "| {name} | {columns} |");
                if per_minute.total_cmp(&500.0).is_eq() && noise == Noise::Clean {
                    bars.extend(bars_of(&name, truth, base, &effects));
                }
            }
        }
    }
    (text, bars)
}

/// What is promised, and what was measured.
pub struct Bar {
    pub name: String,
    pub most: f64,
    pub found: f64,
}

fn bars_of(name: &str, truth: Truth, base: f64, effects: &[Effect]) -> Vec<Bar> {
    let bar =
        |what: &str, most: f64, found: f64| Bar { name: format!("{name}: {what}"), most, found };
    let seconds = |effect: &Effect| {
        effect.median.map_or(f64::INFINITY, |s| f64::from(u32::try_from(s).unwrap_or(u32::MAX)))
    };
    let [ours, argo, _, flagger, _] = effects else { return Vec::new() };
    match truth {
        Truth::Plus(1.0) => vec![
            bar("median seconds", 45.0, seconds(ours)),
            bar("failed requests, of Argo's", 1.0 / 5.0, ours.failed / argo.failed),
            bar("failed requests, of Flagger's", 1.0 / 7.0, ours.failed / flagger.failed),
        ],
        Truth::Times(5.0) if base > 0.5 => vec![bar("median seconds", 330.0, seconds(ours))],
        _ => Vec::new(),
    }
}

/// Latency: false alarms, and how soon a slower canary is found. Returns the table and the worst of
/// the healthy cells.
pub fn latency(seed: u64, healthy: u64, bad: u64) -> (String, f64) {
    let cell = |pauses, incident, late, factor| slow::Cell {
        per_minute: 0.0,
        pauses,
        incident,
        factor,
        late,
    };
    let columns = [
        ("healthy, clean", cell(false, false, 0, 1.0)),
        ("healthy, pods pause", cell(true, false, 0, 1.0)),
        ("shared incident", cell(false, true, 0, 1.0)),
        ("incident, pods pause", cell(true, true, 0, 1.0)),
        ("incident, canary seen 15 s late", cell(false, true, 15, 1.0)),
        ("1.2 times slower", cell(false, false, 0, 1.2)),
        ("1.5 times slower", cell(false, false, 0, 1.5)),
        ("1.5 times slower, pods pause", cell(true, false, 0, 1.5)),
    ];
    let names: Vec<&str> = columns.iter().map(|column| column.0).collect();
    let mut text = format!(
        "### Latency\n\nBuckets of 50, 100, 250, 500, 1000 ms; weights of 5 to 50 %; {healthy} healthy and {bad} slow releases a cell: alarms, % / median seconds over all releases.\n\n| requests a minute | {} |\n|---|{}\n",
        names.join(" | "),
        "---|".repeat(names.len())
    );
    let mut worst = 0.0_f64;
    for per_minute in [50.0, 500.0, 5000.0] {
        let mut row = Vec::new();
        for (_, cell) in columns {
            let cell = slow::Cell { per_minute, ..cell };
            let runs = if cell.factor <= 1.0 { healthy } else { bad };
            let alarms = spread(runs, |run| cell.alarm(seed.wrapping_mul(999_983) + run));
            let all: Vec<_> = alarms.into_iter().map(|alarm| (alarm, 0)).collect();
            let effect = Effect::of(&all);
            if cell.factor <= 1.0 {
                worst = worst.max(effect.found);
                row.push(format!("{:.2}", effect.found));
            } else {
                let median = effect.median.map_or_else(|| "-".to_owned(), |m| m.to_string());
                row.push(format!("{:.0} / {median}", effect.found));
            }
        }
        let _ = writeln!(text, "| {per_minute} | {} |", row.join(" | "));
    }
    (text, worst)
}
