//! The table of the requests, written anew after every test: `target/tmp/mesh/requests.md`, and with
//! `SLUICE_RECORD=1` into `docs/traffic.md`.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    sync::{Mutex, PoisonError},
};

use crate::{
    support::package,
    tally::{Share, Tally},
};

/// Where the table stands in the document.
const BEGIN: &str = "<!-- requests: made by `SLUICE_RECORD=1 make e2e-mesh` -->\n";
const END: &str = "<!-- end of requests -->\n";

/// The tests so far, by their claims.
static ROWS: Mutex<BTreeMap<&'static str, Row>> = Mutex::new(BTreeMap::new());

/// One test's requests.
#[derive(Clone, Debug)]
pub struct Row {
    claim: &'static str,
    text: String,
}

impl Row {
    /// What became of the requests, and the shares at the weights.
    pub fn new(claim: &'static str, tally: &Tally, shares: &[Share], note: &str) -> Self {
        let shares: Vec<String> = shares
            .iter()
            .filter(|share| !matches!(share.percent, 0 | 100))
            .map(|share| {
                let part = share.new as f64 * 100.0 / share.requests as f64;
                format!("{}→{part:.1}", share.percent)
            })
            .collect();
        let text = format!(
            "| {claim} | {} | {} | {} | {} | {note} |",
            tally.sent,
            tally.failed(),
            tally.app_errors,
            shares.join(" "),
        );
        Self { claim, text }
    }
}

/// Adds a row and writes the table.
pub fn add(row: Row) {
    let mut rows = ROWS.lock().unwrap_or_else(PoisonError::into_inner);
    rows.insert(row.claim, row);
    let mut table = String::from(
        "| | sent | lost | errors of the application | weight→share of the new version, % | |\n\
         |---|---|---|---|---|---|\n",
    );
    for row in rows.values() {
        let _ = writeln!(table, "{}", row.text);
    }
    write(&table);
}

fn write(table: &str) {
    let folder = package().join("target/tmp/mesh");
    fs::write(folder.join("requests.md"), table).expect("the target folder can be written");
    if std::env::var_os("SLUICE_RECORD").is_none() {
        return;
    }
    let document = package().join("docs/traffic.md");
    let text = fs::read_to_string(&document).expect("docs/traffic.md is there");
    let (head, rest) = text.split_once(BEGIN).expect("the document has a place for the table");
    let (_, tail) = rest.split_once(END).expect("the table has an end");
    fs::write(&document, format!("{head}{BEGIN}{table}{END}{tail}")).expect("it can be written");
}
