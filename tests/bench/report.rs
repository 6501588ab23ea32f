//! The table on the terminal and `target/bench/release.json`.

use std::time::Duration;

use serde_json::{Value, json};

use super::{figures::Figures, support::package};

/// Tells that one size is done.
pub fn line(figures: &Figures) {
    eprintln!(
        "bench: {} Rollouts: promoted in {:.1} s, {:.1} calls each",
        figures.releases,
        figures.promoted_in.as_secs_f64(),
        figures.calls_per_release()
    );
}

/// Prints the table and writes the file.
pub fn finish(all: &[Figures]) {
    let rows: Vec<[String; 11]> = all.iter().map(row).collect();
    let head = [
        "releases",
        "calls each",
        "ready→weight p50/p99 ms",
        "PATCH p50/p99 ms",
        "all promoted s",
        "controller CPU s",
        "control plane CPU s each",
        "resident MiB",
        "abort ms",
        "handover ms",
        "idle calls",
    ];
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let print = |cells: &[String]| {
        let padded = cells.iter().enumerate().map(|(at, cell)| {
            let missing = width(at).saturating_sub(cell.chars().count());
            format!("{}{cell}", " ".repeat(missing))
        });
        println!("| {} |", padded.collect::<Vec<_>>().join(" | "));
    };
    print(&head.map(str::to_owned));
    for row in &rows {
        print(row);
    }
    for figures in all {
        println!("calls of one release, of {} at once:", figures.releases);
        for (kind, count) in &figures.calls {
            println!("  {:6.2} {kind}", *count as f64 / figures.releases as f64);
        }
    }
    let folder = package().join("target/bench");
    let file = folder.join("release.json");
    let text = serde_json::to_string_pretty(&all.iter().map(object).collect::<Value>()).unwrap();
    std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, text)).unwrap();
    println!("written: target/bench/release.json");
}

fn row(figures: &Figures) -> [String; 11] {
    let millis = |time: Option<Duration>| {
        time.map_or_else(|| "-".to_owned(), |time| format!("{:.0}", time.as_secs_f64() * 1000.0))
    };
    let pair = |latency: super::Latency| format!("{:.1} / {:.1}", latency.p50_ms, latency.p99_ms);
    let (before, after) = figures.resident_kib;
    [
        figures.releases.to_string(),
        format!("{:.1}", figures.calls_per_release()),
        pair(figures.ready_to_weight),
        pair(figures.patch),
        format!("{:.1}", figures.promoted_in.as_secs_f64()),
        format!("{:.2}", figures.controller_cpu.as_secs_f64()),
        format!("{:.3}", figures.control_plane_cpu.as_secs_f64() / figures.releases as f64),
        format!("{:.0} / {:.0}", before as f64 / 1024.0, after as f64 / 1024.0),
        millis(figures.abort),
        millis(figures.handover),
        figures.idle_calls.to_string(),
    ]
}

fn object(figures: &Figures) -> Value {
    json!({
        "releases": figures.releases,
        "callsPerRelease": figures.calls_per_release(),
        "calls": figures.calls,
        "readyToWeight": figures.ready_to_weight,
        "apiServerPatch": figures.patch,
        "promotedSeconds": figures.promoted_in.as_secs_f64(),
        "controllerCpuSeconds": figures.controller_cpu.as_secs_f64(),
        "controlPlaneCpuSeconds": figures.control_plane_cpu.as_secs_f64(),
        "residentKibBefore": figures.resident_kib.0,
        "residentKibAfter": figures.resident_kib.1,
        "abortMillis": figures.abort.map(|time| time.as_secs_f64() * 1000.0),
        "handoverMillis": figures.handover.map(|time| time.as_secs_f64() * 1000.0),
        "idleCalls": figures.idle_calls,
    })
}
