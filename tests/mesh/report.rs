//! The tables of what was measured, written anew after every test: below `target/tmp/mesh`, and with
//! `SLUICE_RECORD=1` into `docs/traffic.md`.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{
    support::package,
    tally::{Share, Tally},
};

/// A table of the document, between two comments that name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// What became of the users' requests.
    Requests,
    /// How long changes take to reach the proxies.
    Delays,
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Delays => "delays",
        }
    }

    fn head(self) -> &'static str {
        match self {
            Self::Requests => {
                "| | sent | lost | errors of the application | weight→share of the new version, % | |\n\
                 |---|---|---|---|---|---|\n"
            }
            Self::Delays => "| change | times | median ms | longest ms |\n|---|---|---|---|\n",
        }
    }
}

/// The rows so far.
static ROWS: Mutex<BTreeMap<(Table, String), String>> = Mutex::new(BTreeMap::new());

/// What became of the requests of one test, and the shares at the weights.
pub fn requests(claim: &str, tally: &Tally, shares: &[Share], note: &str) {
    let shares: Vec<String> = shares
        .iter()
        .filter(|share| !matches!(share.percent, 0 | 100))
        .map(|share| {
            let part = share.new as f64 * 100.0 / share.requests as f64;
            format!("{}→{part:.1}", share.percent)
        })
        .collect();
    let (sent, lost, errors) = (tally.sent, tally.failed(), tally.app_errors);
    let shares = shares.join(" ");
    add(
        Table::Requests,
        claim,
        format!("| {claim} | {sent} | {lost} | {errors} | {shares} | {note} |"),
    );
}

/// How long a kind of change took, each time that it was made.
pub fn delays(change: &str, mut delays: Vec<Duration>) {
    delays.sort_unstable();
    let at = |index: usize| delays.get(index).map_or(0, Duration::as_millis);
    let (times, median, longest) = (delays.len(), at(delays.len() / 2), at(delays.len() - 1));
    add(Table::Delays, change, format!("| {change} | {times} | {median} | {longest} |"));
}

/// Adds a row and writes its table.
fn add(table: Table, key: &str, row: String) {
    let mut rows = ROWS.lock().unwrap_or_else(PoisonError::into_inner);
    rows.insert((table, key.to_owned()), row);
    let mut text = table.head().to_owned();
    for (_, row) in rows.iter().filter(|((of, _), _)| *of == table) {
        let _ = writeln!(text, "{row}");
    }
    write(table, &text);
}

fn write(table: Table, text: &str) {
    let name = table.name();
    let file = package().join(format!("target/tmp/mesh/{name}.md"));
    fs::write(file, text).expect("the target folder can be written");
    if std::env::var_os("SLUICE_RECORD").is_none() {
        return;
    }
    let document = package().join("docs/traffic.md");
    let whole = fs::read_to_string(&document).expect("docs/traffic.md is there");
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->\n"));
    let (head, rest) = whole.split_once(&begin).expect("the document has a place for the table");
    let (_, tail) = rest.split_once(&end).expect("the table has an end");
    fs::write(&document, format!("{head}{begin}{text}{end}{tail}")).expect("it can be written");
}
