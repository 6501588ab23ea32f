//! Text to rows of cells: CSV with a head, a list of JSON objects, or a JSON object a line.

use serde_json::{Map, Value};

/// One row, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Where it stands: `line 3`, or `element 2` of a list.
    pub(super) place: String,
    /// Columns and cells; an empty cell is left out.
    pub(super) cells: Vec<(String, String)>,
}

impl Record {
    pub(super) fn cell(&self, column: &str) -> Option<&str> {
        self.cells.iter().find(|(name, _)| name == column).map(|(_, cell)| cell.as_str())
    }
}

/// Reads `text`. An error is a sentence that begins with the place.
pub(super) fn read(text: &str) -> Result<Vec<Record>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match text.trim_start().chars().next() {
        Some('[') => list(text),
        Some('{') => objects(text),
        _ => csv(text),
    }
}

fn list(text: &str) -> Result<Vec<Record>, String> {
    let rows: Vec<Value> = serde_json::from_str(text)
        .map_err(|error| format!("line {}: no list of JSON objects: {error}", error.line()))?;
    let rows = (1..).zip(rows).map(|(number, row)| record(format!("element {number}"), row));
    rows.collect()
}

fn objects(text: &str) -> Result<Vec<Record>, String> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            let row = serde_json::from_str(line)
                .map_err(|error| format!("line {number}: no JSON object on one line: {error}"))?;
            record(format!("line {number}"), row)
        })
        .collect()
}

fn record(place: String, row: Value) -> Result<Record, String> {
    let Value::Object(row) = row else {
        return Err(format!(
            "{place}: found `{row}`; allowed is an object such as {{\"time\": 15, \"arm\": \"canary\", \"requests\": 50, \"errors\": 1}}"
        ));
    };
    let cells = cells(&place, row)?;
    Ok(Record { place, cells })
}

fn cells(place: &str, row: Map<String, Value>) -> Result<Vec<(String, String)>, String> {
    let mut cells = Vec::new();
    for (column, value) in row {
        match value {
            Value::Null => {}
            Value::String(text) => cells.push((column, text.trim().to_owned())),
            Value::Number(number) => cells.push((column, number.to_string())),
            other => {
                let allowed = "a text or a number";
                return Err(format!(
                    "{place}, column {column}: found `{other}`; allowed is {allowed}"
                ));
            }
        }
    }
    cells.retain(|(_, cell)| !cell.is_empty());
    Ok(cells)
}

fn csv(text: &str) -> Result<Vec<Record>, String> {
    let lines = (1..).zip(text.lines());
    let mut lines = lines.filter(|(_, line): &(u32, &str)| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#')
    });
    let Some((number, head)) = lines.next() else {
        return Err("line 1: found nothing; allowed is a CSV with the columns time, arm, requests, errors, or JSON".to_owned());
    };
    let columns = fields(head).map_err(|error| format!("line {number}: {error}"))?;
    if columns.len() == 1 && (head.contains(';') || head.contains('\t')) {
        return Err(format!(
            "line {number}: found `{}`; allowed is a comma between columns",
            head.trim()
        ));
    }
    lines
        .map(|(number, line)| {
            let place = format!("line {number}");
            let fields = fields(line).map_err(|error| format!("{place}: {error}"))?;
            if fields.len() != columns.len() {
                let (found, expected) = (fields.len(), columns.len());
                return Err(format!("{place}: found {found} columns; the head has {expected}"));
            }
            let cells = columns.iter().cloned().zip(fields);
            Ok(Record { place, cells: cells.filter(|(_, cell)| !cell.is_empty()).collect() })
        })
        .collect()
}

/// The fields of a line. A field in quotes may hold commas, and quotes as `""`.
fn fields(line: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = line.trim_end_matches('\r');
    loop {
        let trimmed = rest.trim_start();
        if let Some(quoted) = trimmed.strip_prefix('"') {
            let (field, after) = unquote(quoted)?;
            fields.push(field);
            match after.trim_start().strip_prefix(',') {
                Some(next) => rest = next,
                None if after.trim().is_empty() => return Ok(fields),
                None => return Err(format!("found `{after}` after a quote; allowed is a comma")),
            }
        } else if let Some((field, next)) = rest.split_once(',') {
            fields.push(field.trim().to_owned());
            rest = next;
        } else {
            fields.push(rest.trim().to_owned());
            return Ok(fields);
        }
    }
}

/// The text up to the closing quote, and what follows it.
fn unquote(quoted: &str) -> Result<(String, &str), String> {
    let mut field = String::new();
    let mut rest = quoted;
    loop {
        let Some((part, after)) = rest.split_once('"') else {
            return Err("found a quote that does not end on its line".to_owned());
        };
        field.push_str(part);
        match after.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None => return Ok((field, after)),
        }
    }
}
