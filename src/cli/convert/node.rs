//! A document that is read field by field, and forgets none.
//!
//! Whoever reads a field takes it out. What nobody has taken when a [`Node`] is dropped is noted with
//! its path: so each field of the input is in the output, or in the list.

use std::{cell::RefCell, rc::Rc};

use serde_json::{Map, Value};

use crate::api::Duration;

/// What became of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It means something else now, or is written in another way.
    Changed,
    /// Sluice has nothing like it; it is not in the output.
    Lost,
}

impl Fate {
    /// The word in the list.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Lost => "no equal",
        }
    }
}

/// One entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What became of the field.
    pub fate: Fate,
    /// The field: `spec.strategy.canary.steps[2].experiment`; empty for the whole object.
    pub path: String,
    /// A sentence for people.
    pub text: String,
    /// Whether it speaks for all that is below the field as well.
    pub whole: bool,
}

/// The list of one document.
#[derive(Clone, Debug, Default)]
pub struct Notes(Rc<RefCell<Vec<Note>>>);

impl Notes {
    /// Adds an entry.
    pub fn add(&self, fate: Fate, path: &str, text: impl Into<String>) {
        let whole = fate == Fate::Lost;
        self.push(Note { fate, path: path.to_owned(), text: text.into(), whole });
    }

    /// Adds an entry, once.
    pub fn push(&self, note: Note) {
        let mut notes = self.0.borrow_mut();
        if !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// Adds entries, each once.
    pub fn extend(&self, notes: Vec<Note>) {
        for note in notes {
            self.push(note);
        }
    }

    /// All entries so far; none are left.
    pub fn take(&self) -> Vec<Note> {
        std::mem::take(&mut *self.0.borrow_mut())
    }
}

/// A part of a document.
#[derive(Debug)]
pub struct Node {
    path: String,
    value: Value,
    notes: Notes,
}

impl Node {
    /// A whole document.
    pub fn root(value: Value, notes: &Notes) -> Self {
        Self { path: String::new(), value, notes: notes.clone() }
    }

    /// Where it stands.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is left of it.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The list that it notes in.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Takes a field out; none where it is missing or null.
    pub fn take(&mut self, name: &str) -> Option<Self> {
        let value = self.value.as_object_mut()?.remove(name)?;
        if value.is_null() {
            return None;
        }
        let path = below(&self.path, name);
        Some(Self { path, value, notes: self.notes.clone() })
    }

    /// The items of a list.
    pub fn items(mut self) -> Vec<Self> {
        let Value::Array(items) = &mut self.value else { return Vec::new() };
        let items = std::mem::take(items);
        let item = |(index, value)| Self {
            path: format!("{}[{index}]", self.path),
            value,
            notes: self.notes.clone(),
        };
        items.into_iter().enumerate().map(item).collect()
    }

    /// The fields of a map.
    pub fn entries(mut self) -> Vec<(String, Self)> {
        let Value::Object(fields) = &mut self.value else { return Vec::new() };
        let fields = std::mem::take(fields);
        let entry = |(name, value): (String, Value)| {
            let path = below(&self.path, &name);
            (name, Self { path, value, notes: self.notes.clone() })
        };
        fields.into_iter().map(entry).collect()
    }

    /// The whole of it, which goes into the output as it is.
    pub fn keep(mut self) -> Value {
        std::mem::take(&mut self.value)
    }

    /// Its text; a number counts as one. Anything else is noted.
    pub fn text(mut self) -> Option<String> {
        match &self.value {
            Value::String(_) | Value::Number(_) => match self.take_value() {
                Value::String(text) => Some(text),
                other => Some(other.to_string()),
            },
            _ => None,
        }
    }

    /// Its number, also where it is written as a text. Anything else is noted.
    pub fn integer(mut self) -> Option<i64> {
        let number = match &self.value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        if number.is_some() {
            self.take_value();
        }
        number
    }

    /// Its fraction. Anything else is noted.
    pub fn number(mut self) -> Option<f64> {
        let number = self.value.as_f64();
        if number.is_some() {
            self.take_value();
        }
        number
    }

    /// True or false. Anything else is noted.
    pub fn boolean(mut self) -> Option<bool> {
        let found = self.value.as_bool();
        if found.is_some() {
            self.take_value();
        }
        found
    }

    /// Seconds, written as a duration. Anything else is noted.
    pub fn seconds(self) -> Option<Value> {
        let path = self.path.clone();
        let notes = self.notes.clone();
        let number = self.integer()?;
        let Ok(number) = u64::try_from(number) else {
            notes.add(
                Fate::Lost,
                &path,
                format!("found {number}, allowed is a number of seconds from 0"),
            );
            return None;
        };
        Some(Value::String(Duration::from_secs(number).to_string()))
    }

    /// A duration as people write it, or seconds. Anything else is noted.
    pub fn duration(mut self) -> Option<Value> {
        let text = match &self.value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        match text.parse::<Duration>() {
            Ok(duration) => {
                self.take_value();
                Some(Value::String(duration.to_string()))
            }
            Err(error) => {
                self.lost(error);
                None
            }
        }
    }

    /// It means something else now.
    pub fn changed(&self, text: impl Into<String>) {
        self.notes.add(Fate::Changed, &self.path, text);
    }

    /// It is done with, though it is not in the output: the sentence says why.
    pub fn replaced(mut self, text: impl Into<String>) {
        let (path, text) = (self.path.clone(), text.into());
        self.notes.push(Note { fate: Fate::Changed, path, text, whole: true });
        self.take_value();
    }

    /// Sluice has nothing like it.
    pub fn lost(mut self, text: impl Into<String>) {
        self.notes.add(Fate::Lost, &self.path, text);
        self.take_value();
    }

    fn take_value(&mut self) -> Value {
        std::mem::take(&mut self.value)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for path in leftovers(&self.path, &self.value) {
            self.notes.add(Fate::Lost, &path, "left out: the converter knows no such field here");
        }
    }
}

/// The fields of which nothing was taken.
fn leftovers(path: &str, value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::Object(fields) => {
            let left = fields.iter().filter(|(_, value)| !value.is_null());
            left.map(|(name, _)| below(path, name)).collect()
        }
        Value::Array(items) if items.is_empty() => Vec::new(),
        _ => vec![path.to_owned()],
    }
}

/// The path of a field; a name that is no plain word stands in brackets.
pub fn below(path: &str, name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    match (path.is_empty(), plain) {
        (true, _) => name.to_owned(),
        (false, true) => format!("{path}.{name}"),
        (false, false) => format!("{path}[{name}]"),
    }
}

/// Moves a field into the output under a name, as it is.
pub fn carry(from: &mut Node, name: &str, to: &mut Map<String, Value>, as_name: &str) {
    if let Some(node) = from.take(name) {
        to.insert(as_name.to_owned(), node.keep());
    }
}

/// Moves fields whose names and meanings are the same.
pub fn carry_all(from: &mut Node, names: &[&str], to: &mut Map<String, Value>) {
    for name in names {
        carry(from, name, to, name);
    }
}

/// Puts a field into the output, if there is one.
pub fn put(to: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        to.insert(name.to_owned(), value);
    }
}
