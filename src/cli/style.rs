//! Colours, used only on a terminal.

use clap::builder::styling::{AnsiColor, Effects, Style as Ansi};

use crate::api::{Phase, Verdict};

/// Whether to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// True: with escape codes.
    pub colour: bool,
}

/// What a piece of text means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paint {
    /// Nothing in particular.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Wrong.
    Bad,
    /// Waits, or wants a look.
    Wait,
    /// On its way.
    Busy,
    /// Less important.
    Dim,
    /// More important.
    Bold,
}

impl Style {
    /// No escape codes.
    pub const PLAIN: Self = Self { colour: false };

    /// `text` painted.
    pub fn paint(self, paint: Paint, text: &str) -> String {
        if !self.colour || paint == Paint::Plain || text.is_empty() {
            return text.to_owned();
        }
        let ansi = match paint {
            Paint::Plain => Ansi::new(),
            Paint::Good => AnsiColor::Green.on_default(),
            Paint::Bad => AnsiColor::Red.on_default().effects(Effects::BOLD),
            Paint::Wait => AnsiColor::Yellow.on_default(),
            Paint::Busy => AnsiColor::Cyan.on_default(),
            Paint::Dim => Ansi::new().effects(Effects::DIMMED),
            Paint::Bold => Ansi::new().effects(Effects::BOLD),
        };
        format!("{ansi}{text}{ansi:#}")
    }
}

/// The paint of a phase.
pub fn phase(phase: Option<Phase>) -> Paint {
    match phase {
        Some(Phase::Healthy) => Paint::Good,
        Some(Phase::Progressing) => Paint::Busy,
        Some(Phase::Paused) => Paint::Wait,
        Some(Phase::Degraded) => Paint::Bad,
        None => Paint::Dim,
    }
}

/// The paint of a verdict.
pub fn verdict(verdict: Verdict) -> Paint {
    match verdict {
        Verdict::Successful => Paint::Good,
        Verdict::Pending | Verdict::Running => Paint::Busy,
        Verdict::Stopped => Paint::Dim,
        Verdict::Inconclusive => Paint::Wait,
        Verdict::Error | Verdict::Failed => Paint::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_has_no_escape_codes() {
        assert_eq!(Style::PLAIN.paint(Paint::Bad, "x"), "x");
        let coloured = Style { colour: true }.paint(Paint::Good, "x");
        assert_eq!(coloured, "\u{1b}[32mx\u{1b}[0m");
        assert_eq!(Style { colour: true }.paint(Paint::Good, ""), "");
    }
}
