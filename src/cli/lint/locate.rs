//! The line of a field. Pure.
//!
//! In: a text with YAML documents, the number of one, and a path such as `spec.steps[1].setWeight`. Out:
//! the line of the field, or of the nearest one above it that is written in blocks. Braces are not
//! looked into, and neither are anchors: a line near by is better than none.

/// A line that holds something.
#[derive(Clone, Debug)]
struct Line<'t> {
    number: usize,
    indent: usize,
    text: &'t str,
}

/// A part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Key(String),
    Index(usize),
}

/// The line of `path` in the document of that number, from 1.
pub(super) fn line(text: &str, document: usize, path: &str) -> Option<usize> {
    let lines = lines(text, document);
    let first = lines.first()?.number;
    let wanted = parts(path);
    Some(find(&lines, &wanted).unwrap_or(first))
}

/// The line that a parser names: `line 7 column 3`.
pub(super) fn said(message: &str) -> Option<usize> {
    let rest = message.split_once("line ")?.1;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The lines of a document, without comments and blank lines.
fn lines(text: &str, document: usize) -> Vec<Line<'_>> {
    let (mut number, mut begun) = (1, false);
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let bare = line.trim_start();
        if line.starts_with("---") {
            // A first one, or one behind comments, begins the document that is counted already.
            number += usize::from(begun);
            begun = true;
            continue;
        }
        if bare.is_empty() || bare.starts_with('#') {
            continue;
        }
        begun = true;
        if number == document {
            found.push(Line { number: index + 1, indent: line.len() - bare.len(), text: bare });
        }
    }
    found
}

/// `a.b[2].c` in parts. Keys with dots, in brackets, are keys as well: `labels[app.kubernetes.io/name]`.
fn parts(path: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let (inside, after) = after.split_once(']').unwrap_or((after, ""));
            let bare = inside.trim_matches(['\'', '"']);
            parts.push(inside.parse().map_or_else(|_| Part::Key(bare.to_owned()), Part::Index));
            rest = after.trim_start_matches('.');
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (key, after) = rest.split_at(end);
            parts.push(Part::Key(key.to_owned()));
            rest = after.strip_prefix('.').unwrap_or(after);
        }
    }
    parts
}

/// The line of the path within a block; nothing when even its first part is not there.
fn find(block: &[Line<'_>], path: &[Part]) -> Option<usize> {
    let (first, rest) = path.split_first()?;
    let level = block.first()?.indent;
    let (at, inner) = match first {
        Part::Key(key) => {
            let at =
                block.iter().position(|line| line.indent == level && is_key(line.text, key))?;
            let below = block.get(at + 1..).unwrap_or_default();
            // A list may stand as far left as its key.
            let inside = |line: &&Line<'_>| {
                line.indent > level || (line.indent == level && is_item(line.text))
            };
            let length = below.iter().take_while(inside).count();
            (block.get(at)?.number, below.get(..length).unwrap_or_default().to_vec())
        }
        Part::Index(index) => {
            let mut items = block.iter().enumerate();
            let mut items =
                items.by_ref().filter(|(_, line)| line.indent == level && is_item(line.text));
            let (at, line) = items.nth(*index)?;
            let bare = line.text.get(1..).unwrap_or_default();
            let content = bare.trim_start();
            let indent = line.indent + 1 + bare.len() - content.len();
            let below = block.get(at + 1..).unwrap_or_default();
            let length = below.iter().take_while(|line| line.indent > level).count();
            let mut inner = Vec::new();
            if !content.is_empty() {
                inner.push(Line { number: line.number, indent, text: content });
            }
            inner.extend(below.get(..length).unwrap_or_default().iter().cloned());
            (line.number, inner)
        }
    };
    Some(find(&inner, rest).unwrap_or(at))
}

fn is_item(text: &str) -> bool {
    text == "-" || text.starts_with("- ")
}

fn is_key(text: &str, key: &str) -> bool {
    let quoted = text.strip_prefix(['"', '\'']).unwrap_or(text);
    let Some(rest) = quoted.strip_prefix(key) else { return false };
    let rest = rest.strip_prefix(['"', '\'']).unwrap_or(rest).trim_start();
    rest == ":" || rest.starts_with(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# A comment.
---
kind: A
spec:
  steps:
  - setWeight: 5
  - pause:
      duration: 5m
    # A comment.
  -
    setWeight: {a: 1}
  labels:
    app.kubernetes.io/name: x
---
kind: B
\"spec\":
    list:
        - - a
        - name: c
          value: d
";

    #[test]
    fn fields_are_found_in_their_document() {
        for (document, path, expected) in [
            (1, "kind", 3),
            (1, "spec.steps[0].setWeight", 6),
            (1, "spec.steps[1].pause.duration", 8),
            (1, "spec.steps[2].setWeight.a", 11),
            (1, "spec.labels[app.kubernetes.io/name]", 13),
            (1, "spec.labels", 12),
            (2, "kind", 15),
            (2, "spec.list[1].value", 20),
            // The nearest one above.
            (1, "spec.steps[1].pause.lost", 7),
            (1, "spec.steps[9]", 5),
            (2, "status", 15),
            (2, "", 15),
        ] {
            assert_eq!(line(TEXT, document, path), Some(expected), "{document} {path}");
        }
        assert_eq!(line(TEXT, 3, "kind"), None);
    }

    #[test]
    fn a_parsers_line_is_understood() {
        assert_eq!(said("error: line 7 column 3: no"), Some(7));
        assert_eq!(said("no"), None);
    }
}
