//! Columns of text, as wide as their widest cell.

use super::style::{Paint, Style};

/// One cell: its text and what it means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// The text, one line.
    pub text: String,
    /// Its paint.
    pub paint: Paint,
}

impl Cell {
    /// A painted cell.
    pub fn new(paint: Paint, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { text, paint }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(Paint::Plain, text)
    }
}

/// The rows as aligned lines, three spaces between columns, none at the end of a line.
pub fn render(rows: &[Vec<Cell>], style: Style) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.text.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let filled = row.iter().rposition(|cell| !cell.text.is_empty());
        let last = filled.unwrap_or(0);
        for (index, (cell, width)) in row.iter().zip(&widths).enumerate().take(last + 1) {
            text.push_str(&style.paint(cell.paint, &cell.text));
            if index < last {
                let gap = width - cell.text.chars().count() + 3;
                text.push_str(&" ".repeat(gap));
            }
        }
        text.push('\n');
    }
    text
}

/// `text` on one line, cut to `limit` characters.
pub fn cut(text: &str, limit: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= limit {
        return line;
    }
    let kept: String = line.chars().take(limit.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_lines_end_without_spaces() {
        let rows = [
            vec!["NAME".into(), "PHASE".into(), "AGE".into()],
            vec!["a".into(), Cell::new(Paint::Bad, "Degraded"), "5m".into()],
            vec!["longer".into(), Cell::default(), Cell::default()],
        ];
        assert_eq!(
            render(&rows, Style::PLAIN),
            "NAME     PHASE      AGE\na        Degraded   5m\nlonger\n"
        );
    }

    #[test]
    fn colour_does_not_move_columns() {
        let row = vec![Cell::new(Paint::Good, "ok"), "next".into()];
        let text = render(&[row], Style { colour: true });
        assert_eq!(text, "\u{1b}[32mok\u{1b}[0m   next\n");
    }

    #[test]
    fn long_text_is_cut_on_one_line() {
        assert_eq!(cut("a\nb  c", 10), "a b c");
        assert_eq!(cut("abcdefgh", 5), "abcd…");
    }
}
