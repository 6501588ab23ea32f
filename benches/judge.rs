//! False alarms, and how soon a bad canary is found: the judges against the rules that people
//! use, on simulated releases of half an hour. Prints a table; `JUDGE_SEED` changes the noise,
//! `JUDGE_RUNS` how many healthy releases a cell has (default 2000), and `JUDGE_PART` is one of
//! `healthy`, `bad`, `latency` for that part alone.

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
    let part = std::env::var("JUDGE_PART").unwrap_or_default();
    let wanted = |name: &str| part.is_empty() || part == name;
    let bad = runs.div_ceil(4);
    println!("Seed {seed}, {runs} healthy and {bad} bad releases a cell.\n");
    let mut bars = Vec::new();
    let worst = |what: &str, found: f64| {
        let name = format!("false alarms of {what} in the worst cell within the model, %");
        report::Bar { name, most: 1.0, found }
    };
    let (text, bar) = report::steps();
    println!("{text}");
    bars.push(bar);
    if wanted("healthy") {
        let (text, found) = report::false_alarms(seed, runs);
        println!("{text}");
        bars.push(worst("errors", found));
    }
    if wanted("bad") {
        let (text, more) = report::effects(seed, bad);
        println!("{text}");
        bars.extend(more);
    }
    if wanted("latency") {
        let (text, found) = report::latency(seed, runs, bad);
        println!("{text}");
        bars.push(worst("latency", found));
    }
    println!("### Bars\n\n| | at most | found |\n|---|---|---|");
    for bar in &bars {
        println!("| {} | {:.3} | {:.3} |", bar.name, bar.most, bar.found);
    }
    if bars.iter().any(|bar| bar.found > bar.most) {
        println!("\nA bar is not met.");
        std::process::exit(1);
    }
}
