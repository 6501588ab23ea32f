//! The tables of what was measured: below `target/tmp/survival`, and with `SLUICE_RECORD=1` into
//! `docs/survival.md`.

use std::{collections::BTreeMap, fmt::Write, fs, time::Duration};

use crate::{
    faults::{ALL, Dealt, Fault},
    pipelines::Release,
    support::package,
    verdict::History,
};

/// Writes both tables.
pub fn write(history: &History, dealt: &[Dealt], quiet: &[Release], disturbed: &[Release]) {
    table("totals", &totals(history, dealt, quiet, disturbed));
    table("faults", &faults(dealt));
}

fn totals(history: &History, dealt: &[Dealt], quiet: &[Release], disturbed: &[Release]) -> String {
    let count = |kinds: &[Fault]| dealt.iter().filter(|one| kinds.contains(&one.fault)).count();
    let one = count(&[Fault::KillLeader, Fault::KillOther, Fault::LeaderAndApiServer]);
    let kills = one + 2 * count(&[Fault::KillBoth]);
    let api = count(&[
        Fault::ApiServer,
        Fault::ControlPlane,
        Fault::LeaderAndApiServer,
        Fault::LongOutage,
    ]);
    let etcd = count(&[Fault::Etcd, Fault::ControlPlane]);
    let alone: BTreeMap<&str, Duration> =
        quiet.iter().map(|release| (release.namespace.as_str(), release.took)).collect();
    let delays = disturbed.iter().map(|release| {
        let quiet = alone.get(release.namespace.as_str()).copied().unwrap_or_default();
        release.took.saturating_sub(quiet)
    });
    let delays: Vec<Duration> = delays.collect();
    let took = |releases: &[Release]| releases.iter().map(|one| one.took).collect::<Vec<_>>();
    let rows = [
        ("releases under faults", disturbed.len().to_string()),
        ("controllers killed by SIGKILL", kills.to_string()),
        ("API server killed", api.to_string()),
        ("etcd killed", etcd.to_string()),
        ("leadership moved to the other replica", history.moves().to_string()),
        ("Jobs, each created once", history.jobs().to_string()),
        ("requests of controllers", history.calls.len().to_string()),
        ("changes of objects checked", history.changes().to_string()),
        ("a release without faults, median", seconds(median(&took(quiet)))),
        ("a release under faults, median", seconds(median(&took(disturbed)))),
        ("longest delay of a release", seconds(delays.into_iter().max().unwrap_or_default())),
    ];
    let mut text = "| | |\n|---|---|\n".to_owned();
    for (name, value) in rows {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text
}

fn faults(dealt: &[Dealt]) -> String {
    let mut text = "| fault | times | median | longest |\n|---|---|---|---|\n".to_owned();
    for (fault, name) in ALL {
        let of_kind = dealt.iter().filter(|one| one.fault == fault);
        let recoveries: Vec<Duration> = of_kind.map(|one| one.recovery).collect();
        let longest = recoveries.iter().max().copied().unwrap_or_default();
        let (times, median) = (recoveries.len(), seconds(median(&recoveries)));
        let _ = writeln!(text, "| {name} | {times} | {median} | {} |", seconds(longest));
    }
    text
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn table(name: &str, text: &str) {
    eprintln!("{text}");
    let file = package().join(format!("target/tmp/survival/{name}.md"));
    fs::write(file, text).expect("the target folder can be written");
    if std::env::var_os("SLUICE_RECORD").is_none() {
        return;
    }
    let document = package().join("docs/survival.md");
    let whole = fs::read_to_string(&document).expect("docs/survival.md is there");
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->\n"));
    let (head, rest) = whole.split_once(&begin).expect("the document has a place for the table");
    let (_, tail) = rest.split_once(&end).expect("the table has an end");
    fs::write(&document, format!("{head}{begin}{text}{end}{tail}")).expect("it can be written");
}
