//! The plot of a backtest, as SVG, and the page around it. Pure, and without anything from elsewhere:
//! the files show the same wherever they lie.

use std::fmt::Write;

use super::report::{Bad, Quiet, Report, clock, percent};
use crate::analysis::judge::words::time;

const WIDTH: f64 = 960.0;
/// Where the plots begin and end; left of it stand names.
const LEFT: f64 = 270.0;
const RIGHT: f64 = 940.0;
/// Height of a curve, and of a row of marks.
const CURVE: f64 = 130.0;
const ROW: f64 = 22.0;
const LINE: f64 = 20.0;

/// One colour a judge, ours first; they differ for those who see no red and green, too.
const COLOURS: [&str; 5] = ["#0072b2", "#d55e00", "#cc79a7", "#009e73", "#8c6d1f"];
const CANARY: &str = "#d55e00";
const STABLE: &str = "#0072b2";
const GREY: &str = "#888888";

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#222}.h{font-weight:600;font-size:15px}.s{font-size:11px;fill:#666}";

/// A drawing that grows downwards.
struct Drawing {
    body: String,
    y: f64,
}

impl Drawing {
    fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        let text = escaped(text);
        let _ =
            writeln!(self.body, "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{text}</text>");
    }

    /// A line of text, and on to the next.
    fn line(&mut self, class: &str, text: &str) {
        self.y += LINE;
        self.text(12.0, self.y, class, text);
    }

    fn stroke(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, width: f64) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ = writeln!(
            self.body,
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{colour}\" stroke-width=\"{width}\"/>"
        );
    }

    fn curve(&mut self, points: &[(f64, f64)], colour: &str) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let points = points.join(" ");
        let _ = writeln!(
            self.body,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>"
        );
    }

    /// The frame of a curve, with its highest value.
    fn frame(&mut self, highest: f64) {
        let (top, bottom) = (self.y + 10.0, self.y + 10.0 + CURVE);
        self.stroke((LEFT, bottom), (RIGHT, bottom), GREY, 1.0);
        self.stroke((LEFT, top), (LEFT, bottom), GREY, 1.0);
        self.text(12.0, top + 10.0, "", "share of failed requests");
        self.text(LEFT - 60.0, top + 10.0, "s", &percent(highest));
        self.text(LEFT - 60.0, bottom, "s", "0 %");
    }
}

/// Where a value between 0 and `highest` is on a curve whose top is `top`.
fn height(value: f64, highest: f64, top: f64) -> f64 {
    top + CURVE * (1.0 - (value / highest).clamp(0.0, 1.0))
}

/// Where the `index`th of `of` is.
fn across(index: usize, of: usize) -> f64 {
    let real = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    LEFT + (RIGHT - LEFT) * (real(index) + 0.5) / real(of.max(1))
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;")
}

fn highest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.001, f64::max)
}

/// The plot.
pub fn svg(report: &Report) -> String {
    let mut drawing = Drawing { body: String::new(), y: 8.0 };
    drawing.line("h", &report.metric);
    drawing.line("s", &report.read());
    if let Some(quiet) = report.quiet.as_ref().filter(|quiet| quiet.releases > 0) {
        draw_quiet(quiet, &mut drawing);
    }
    for bad in &report.bad {
        draw_bad(bad, &mut drawing);
    }
    let height = drawing.y + 20.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" height=\"{height:.0}\" role=\"img\">\n<title>{}</title>\n<style>{STYLE}</style>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{}</svg>\n",
        escaped(&format!("Backtest of {}", report.metric)),
        drawing.body
    )
}

/// The error share over time, and below it a row of marks for each judge: its false alarms.
fn draw_quiet(quiet: &Quiet, drawing: &mut Drawing) {
    drawing.y += 14.0;
    drawing.line("h", &format!("Quiet: {}", quiet.title()));
    drawing.line("s", &quiet.about());
    let all = quiet.timeline.len();
    let most = highest(quiet.timeline.iter().map(|moment| moment.error_share));
    drawing.frame(most);
    let top = drawing.y + 10.0;
    let point = |(index, moment): (usize, &super::report::Moment)| {
        (across(index, all), height(moment.error_share, most, top))
    };
    let points: Vec<(f64, f64)> = quiet.timeline.iter().enumerate().map(point).collect();
    drawing.curve(&points, STABLE);
    drawing.y = top + CURVE + 6.0;
    for (judge, alarms) in quiet.judges.iter().enumerate() {
        let middle = drawing.y + ROW / 2.0;
        drawing.text(12.0, middle + 4.0, "", &alarms.judge);
        drawing.stroke((LEFT, middle), (RIGHT, middle), "#dddddd", 1.0);
        let colour = COLOURS[judge % COLOURS.len()];
        for (index, _) in
            quiet.timeline.iter().enumerate().filter(|(_, moment)| moment.alarms.contains(&judge))
        {
            let x = across(index, all);
            drawing.stroke((x, middle - 7.0), (x, middle + 7.0), colour, 2.0);
        }
        drawing.y += ROW;
    }
    let ends = (quiet.timeline.first(), quiet.timeline.last());
    if let (Some(first), Some(last)) = ends {
        drawing.y += 12.0;
        drawing.text(LEFT, drawing.y, "s", &clock(first.at));
        drawing.text(RIGHT - 110.0, drawing.y, "s", &clock(last.at));
    }
    drawing.line(
        "s",
        "A mark is a release that would have been rolled back, though nothing was released.",
    );
}

/// Canary and stable, minute by minute, and when each judge would have rolled back.
fn draw_bad(bad: &Bad, drawing: &mut Drawing) {
    drawing.y += 14.0;
    drawing.line("h", &bad.title());
    drawing.line("s", &bad.about());
    let all = bad.minutes.len();
    let most = highest(bad.minutes.iter().flat_map(|(canary, stable)| [*canary, *stable]));
    drawing.frame(most);
    let top = drawing.y + 10.0;
    for (colour, of) in [(STABLE, 1), (CANARY, 0)] {
        let value = |minute: &(f64, f64)| if of == 0 { minute.0 } else { minute.1 };
        let points: Vec<(f64, f64)> = bad
            .minutes
            .iter()
            .enumerate()
            .map(|(index, minute)| (across(index, all), height(value(minute), most, top)))
            .collect();
        drawing.curve(&points, colour);
    }
    drawing.text(12.0, top + 34.0, "s", "orange: canary; blue: stable");
    drawing.y = top + CURVE + 6.0;
    let length = 60.0 * f64::from(u32::try_from(all.max(1)).unwrap_or(u32::MAX));
    for (judge, caught) in bad.judges.iter().enumerate() {
        let (middle, colour) = (drawing.y + ROW / 2.0, COLOURS[judge % COLOURS.len()]);
        drawing.text(12.0, middle + 4.0, "", &caught.judge);
        let share = caught.after_seconds.map_or(1.0, |after| (after / length).min(1.0));
        let end = LEFT + (RIGHT - LEFT) * share;
        drawing.stroke((LEFT, middle), (end, middle), colour, 6.0);
        let label = match caught.after_seconds {
            Some(after) => format!("{}, {} failed", time(after), caught.failed_until),
            None => format!("not found, {} failed", caught.failed_until),
        };
        let x = if end > RIGHT - 160.0 { RIGHT - 160.0 } else { end + 8.0 };
        let y = if end > RIGHT - 160.0 { middle - 5.0 } else { middle + 4.0 };
        drawing.text(x, y, "s", &label);
        drawing.y += ROW + 4.0;
    }
}

/// The page: the tables, and the plot.
pub fn html(report: &Report) -> String {
    let mut body = String::new();
    let mut paragraph = |text: &str| {
        let _ = writeln!(body, "<p>{}</p>", escaped(text));
    };
    paragraph(&report.read());
    for note in &report.notes {
        paragraph(note);
    }
    if let Some(quiet) = &report.quiet {
        let _ = writeln!(
            body,
            "<h2>Quiet: {}</h2>\n<p>{}</p>",
            escaped(&quiet.title()),
            escaped(&quiet.about())
        );
        let rows = quiet.judges.iter().map(|alarms| {
            [
                alarms.judge.clone(),
                alarms.rolled_back.to_string(),
                percent(alarms.share),
                percent(alarms.at_most),
            ]
        });
        table(&mut body, ["judge", "rolled back", "share", "at most (95 %)"], rows);
        if !quiet.outlook.is_empty() {
            let _ = writeln!(body, "<p>{}</p>", escaped(&quiet.outlook));
        }
    }
    for bad in &report.bad {
        let _ =
            writeln!(body, "<h2>{}</h2>\n<p>{}</p>", escaped(&bad.title()), escaped(&bad.about()));
        let rows = bad
            .judges
            .iter()
            .map(|caught| [caught.judge.clone(), caught.found(), caught.failed_until.to_string()]);
        table(&mut body, ["judge", "found after", "canary requests failed until then"], rows);
        if !bad.message.is_empty() {
            let _ = writeln!(body, "<p>{}</p>", escaped(&bad.message));
        }
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Backtest</title>\n<style>body{{font:15px system-ui,sans-serif;max-width:960px;margin:2em auto;color:#222}}td,th{{text-align:left;padding:.2em 1.2em .2em 0}}th{{border-bottom:1px solid #888}}</style>\n<h1>Backtest of {}</h1>\n{body}{}</html>\n",
        escaped(&report.metric),
        svg(report)
    )
}

fn table<const N: usize>(
    body: &mut String,
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) {
    let cells = |tag: &str, cells: &[String]| -> String {
        let all = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell)));
        all.collect::<Vec<_>>().concat()
    };
    let head: Vec<String> = head.map(str::to_owned).to_vec();
    let _ = writeln!(body, "<table>\n<tr>{}</tr>", cells("th", &head));
    for row in rows {
        let _ = writeln!(body, "<tr>{}</tr>", cells("td", &row));
    }
    let _ = writeln!(body, "</table>");
}
