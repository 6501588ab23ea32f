//! A part of the terminal that is drawn again and again in place.

use std::{
    fs::File,
    io::{self, Write},
    process::{Command, Stdio},
};

/// Hides the cursor, and lets the terminal cut lines that are too long.
const BEGIN: &str = "\u{1b}[?25l\u{1b}[?7l";

/// Undoes [`BEGIN`].
const END: &str = "\u{1b}[?7h\u{1b}[?25h";

/// Around a drawing: terminals that know it show nothing in between.
const TOGETHER: [&str; 2] = ["\u{1b}[?2026h", "\u{1b}[?2026l"];

/// Clears the rest of the line and ends it: drawing over the old text does not flicker.
const END_OF_LINE: &str = "\u{1b}[K\r\n";

/// Clears what is below.
const CLEAR_BELOW: &str = "\u{1b}[J";

/// Columns and lines of a terminal that does not say.
const SIZE: (usize, usize) = (80, 24);

/// The part of the terminal. The cursor comes back when it is dropped.
pub struct Screen<'a> {
    out: &'a mut dyn Write,
    drawn: usize,
    begun: bool,
}

impl<'a> Screen<'a> {
    /// Nothing is drawn yet.
    pub fn new(out: &'a mut dyn Write) -> Self {
        Self { out, drawn: 0, begun: false }
    }

    /// Draws these lines in the place of those drawn before.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        let mut text = String::new();
        if !self.begun {
            text.push_str(BEGIN);
            self.begun = true;
        }
        text.push_str(TOGETHER[0]);
        if self.drawn > 0 {
            let up = self.drawn.to_string();
            text.extend(["\u{1b}[", &up, "A\r"]);
        }
        for line in lines {
            text.push_str(line);
            text.push_str(END_OF_LINE);
        }
        text.push_str(CLEAR_BELOW);
        text.push_str(TOGETHER[1]);
        self.drawn = lines.len();
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Leaves what is drawn where it is; what comes next is drawn below.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn keep(&mut self) -> io::Result<()> {
        self.drawn = 0;
        if std::mem::take(&mut self.begun) {
            self.out.write_all(END.as_bytes())?;
        }
        self.out.flush()
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        // The terminal may be gone; then nothing is to be given back.
        let _ = self.keep();
    }
}

/// Columns and lines of the terminal.
pub fn size() -> (usize, usize) {
    asked().unwrap_or(SIZE)
}

/// What `stty` says: asking the terminal itself would need unsafe code or one more dependency.
fn asked() -> Option<(usize, usize)> {
    let terminal = File::open("/dev/tty").ok()?;
    let mut command = Command::new("stty");
    let command = command.arg("size").stdin(terminal).stderr(Stdio::null());
    parsed(&String::from_utf8(command.output().ok()?.stdout).ok()?)
}

fn parsed(text: &str) -> Option<(usize, usize)> {
    let mut numbers = text.split_whitespace().map(str::parse::<usize>);
    let (lines, columns) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    (lines > 0 && columns > 0).then_some((columns, lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_over_what_was_drawn_and_gives_the_cursor_back() {
        let mut out = Vec::new();
        {
            let mut screen = Screen::new(&mut out);
            screen.draw(&["a".to_owned(), "b".to_owned()]).unwrap();
            screen.draw(&["c".to_owned()]).unwrap();
        }
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with(BEGIN) && text.ends_with(END), "{text:?}");
        assert_eq!(text.matches("\u{1b}[2A").count(), 1, "{text:?}");
        assert_eq!(text.matches("\u{1b}[J").count(), 2, "{text:?}");
    }

    #[test]
    fn the_size_is_as_stty_says_it() {
        assert_eq!(parsed("50 132\n"), Some((132, 50)));
        assert_eq!(parsed("0 0\n"), None);
        assert_eq!(parsed(""), None);
    }
}
