//! The story of a release, line by line. Pure.

use crate::{
    plan::FIELD_MANAGER,
    sim::transcript::{Line, clock},
};

use super::{
    style::{Paint, Style},
    table::cut,
};

/// Width of the names of objects.
const NAMES: usize = 30;

/// The fewest columns for what happened.
const TEXT: usize = 30;

/// A line: when, what, and why; cut to `width` columns, if there is one.
pub fn line(line: &Line, style: Style, width: Option<usize>) -> String {
    let when = format!("{:>8}", clock(line.millis));
    let what = format!("{:<NAMES$}", cut(&line.what, NAMES));
    let by = if is_person(line) { format!("{}: ", line.who) } else { String::new() };
    let mut text = format!("{by}{}", line.text);
    if let Some(why) = &line.why {
        text = format!("{text}  | {why}");
    }
    if let Some(width) = width {
        text = cut(&text, width.saturating_sub(NAMES + 11).max(TEXT));
    }
    format!("{}  {what} {}", style.paint(Paint::Dim, &when), style.paint(paint(line), &text))
}

/// Whether a person did it, not the controller and not the cluster.
fn is_person(line: &Line) -> bool {
    ![FIELD_MANAGER, "cluster"].contains(&line.who.as_str())
}

fn paint(line: &Line) -> Paint {
    let has = |words: &[&str]| words.iter().any(|word| line.text.contains(word));
    if is_person(line) {
        return Paint::Bold;
    }
    if has(&[": Failed", "Degraded", "aborted", ": Error", "InvalidSpec"]) {
        return Paint::Bad;
    }
    match line.what.split(' ').next() {
        Some("Rollout") if has(&["Healthy"]) => Paint::Good,
        Some("Rollout") if has(&["Paused"]) => Paint::Wait,
        Some("VirtualService") => Paint::Busy,
        _ if has(&[": Successful"]) => Paint::Good,
        _ => Paint::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight() -> Line {
        Line {
            millis: 63_100,
            who: FIELD_MANAGER.to_owned(),
            what: "VirtualService web".to_owned(),
            text: "http[0]: canary 10 -> 25".to_owned(),
            why: Some("step 3/5".to_owned()),
        }
    }

    #[test]
    fn says_when_what_and_why() {
        let text = line(&weight(), Style::PLAIN, None);
        let what = format!("{:<NAMES$}", "VirtualService web");
        assert_eq!(text, format!("  1:03.1  {what} http[0]: canary 10 -> 25  | step 3/5"));
    }

    #[test]
    fn is_cut_to_the_width() {
        let text = line(&weight(), Style::PLAIN, Some(72));
        assert!(text.chars().count() <= 72 && text.ends_with('…'), "{text}");
    }

    #[test]
    fn a_person_is_named() {
        let line_of_ann = Line { who: "kubectl".to_owned(), ..weight() };
        assert!(line(&line_of_ann, Style::PLAIN, None).contains("kubectl: http[0]"));
    }
}
