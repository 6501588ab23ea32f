//! False alarms, and how soon a bad canary is found: the judges against the rules that people
//! use, on simulated releases of half an hour. Prints a table; `JUDGE_SEED` changes the noise,
//! `JUDGE_RUNS` how many healthy releases a cell has (default 2000).

#[path = "judge/judges.rs"]
mod judges;
#[path = "judge/random.rs"]
mod random;
#[path = "judge/report.rs"]
mod report;
#[path = "judge/slow.rs"]
mod slow;
#[path = "judge/traffic.rs"]
mod traffic;

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn main() {
    let setting = |name: &str, otherwise: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let (seed, runs) = (setting("JUDGE_SEED", 1), setting("JUDGE_RUNS", 2000));
    println!("Seed {seed}, {runs} healthy and {} bad releases a cell.\n", runs.div_ceil(4));
    println!("{}", report::steps());
    let (healthy, worst) = report::false_alarms(seed, runs);
    println!("{healthy}");
    let (bad, mut bars) = report::effects(seed, runs.div_ceil(4));
    println!("{bad}");
    println!("{}", report::latency(seed, runs.div_ceil(4)));
    let name = "false alarms in the worst cell within the model, %".to_owned();
    bars.insert(0, report::Bar { name, most: 1.0, found: worst });
    println!("### Bars\n\n| | at most | found |\n|---|---|---|");
    for bar in &bars {
        println!("| {} | {:.3} | {:.3} |", bar.name, bar.most, bar.found);
    }
    if bars.iter().any(|bar| bar.found > bar.most) {
        println!("\nA bar is not met.");
        std::process::exit(1);
    }
}
