//! `sluice demo`: a good and a bad release on the simulated cluster, shown as they go.
//!
//! The cluster, its users and its time are simulated, the controller is the real one. Only this edge
//! sleeps, so that a person can follow.

mod realtime;
mod screen;
mod view;

use std::{collections::BTreeMap, io::Write, net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::sim::scenario::{Percent, Users, Version};

use super::{
    exit::{Exit, Failure},
    session::Terminal,
    style::{Paint, Style},
    timeline,
    trial::{Change, Outcome, Requests, Trial, World},
};
use screen::Screen;
use view::Scene;

/// The objects: those of `examples/demo`.
const OBJECTS: [(&str, &str); 3] = [
    ("network.yaml", include_str!("../../../examples/demo/network.yaml")),
    ("analysis-template.yaml", include_str!("../../../examples/demo/analysis-template.yaml")),
    ("rollout.yaml", include_str!("../../../examples/demo/rollout.yaml")),
];

const NAMESPACE: &str = "brownbear-production";
const ROLLOUT: &str = "brownbear-web";

/// The version that is good.
const GOOD: &str = "brownbear/web:v2.1.0";

/// The version that has [`BAD_ERRORS`] of its answers wrong from [`BAD_AFTER`] on.
const BAD: &str = "brownbear/web:v2.2.0";
const BAD_ERRORS: f64 = 0.06;
const BAD_AFTER: Duration = Duration::from_secs(80);

/// Virtual seconds in a second.
const SPEED: i64 = 40;

/// Time between two drawings.
const FRAME: Duration = Duration::from_millis(100);

/// The longest that a release may take, in virtual time: a demo that does not end is broken.
const LIMIT: SignedDuration = SignedDuration::from_mins(30);

/// Virtual time that is shown after the end.
const AFTER: SignedDuration = SignedDuration::from_secs(45);

/// Flags of `sluice demo`.
#[derive(Args, Debug)]
pub struct Flags {
    /// Do not sleep: all of it in a second, line by line
    #[arg(long, conflicts_with = "realtime")]
    fast: bool,
    /// Serve the simulated cluster for a real kubectl, until Ctrl-C
    #[arg(long)]
    realtime: bool,
    /// With --realtime: address of the API server
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// With --realtime: where to write the kubeconfig; default: a temporary file
    #[arg(long, requires = "realtime", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

/// One of the two releases.
struct Release {
    image: &'static str,
    title: &'static str,
    promoted: bool,
}

const RELEASES: [Release; 2] = [
    Release { image: GOOD, title: "Release 1 of 2: v2.1.0, a good version", promoted: true },
    Release {
        image: BAD,
        title: "Release 2 of 2: v2.2.0, which soon answers 6 % of requests with an error",
        promoted: false,
    },
];

/// How a release went.
struct Went {
    outcome: Option<Outcome>,
    took: SignedDuration,
    requests: Requests,
}

/// Shows the two releases.
///
/// # Errors
/// The output is gone, or somebody interrupts.
pub async fn run(flags: &Flags, terminal: Terminal, out: &mut dyn Write) -> Result<Exit, Failure> {
    let (style, world) = (terminal.style, world()?);
    if flags.realtime {
        return realtime::run(flags.listen, flags.kubeconfig.as_deref(), &world, style, out).await;
    }
    let intro = "A simulated cluster with users and the real controller in it, forty times as fast as time.";
    writeln!(out, "{}\n", style.paint(Paint::Dim, intro))?;
    out.flush()?;
    let mut trial = Trial::new(&world);
    trial.deploy(&world.objects).await.map_err(Failure::plain)?;
    let mut stop = signal(SignalKind::interrupt())?;
    let mut went = Vec::new();
    for release in &RELEASES {
        trial.begin(&Change::Image(release.image.to_owned()), &[]).await.map_err(Failure::plain)?;
        let show = Show { release, style, fast: flags.fast };
        went.push(if terminal.interactive && !flags.fast {
            show.drawn(&mut trial, &mut stop, out).await?
        } else {
            show.told(&mut trial, &mut stop, out).await?
        });
        writeln!(out)?;
    }
    let [good, bad] = went.as_slice() else { return Ok(Exit::Failed) };
    let as_it_should =
        ended_well(&RELEASES[0], good) && ended_well(&RELEASES[1], bad) && trial.is_sound();
    for line in closing(good, bad) {
        writeln!(out, "{line}")?;
    }
    Ok(if as_it_should { Exit::Done } else { Exit::Failed })
}

fn world() -> Result<World, Failure> {
    let mut objects = Vec::new();
    for (name, text) in OBJECTS {
        let documents: Vec<Value> = serde_yaml::from_multiple(text)
            .map_err(|error| Failure::plain(format!("examples/demo/{name}: {error}")))?;
        objects.extend(documents);
    }
    let bad = Version {
        errors: Some(Percent(BAD_ERRORS)),
        errors_after: Some(crate::api::Duration(BAD_AFTER)),
        ..Version::default()
    };
    Ok(World {
        objects,
        namespace: NAMESPACE.to_owned(),
        rollout: ROLLOUT.to_owned(),
        versions: BTreeMap::from([(BAD.to_owned(), bad)]),
        users: Users { requests_per_minute: Some(1200.0), ..Users::default() },
        seed: 1,
    })
}

fn ended_well(release: &Release, went: &Went) -> bool {
    match &went.outcome {
        Some(Outcome::Promoted) => release.promoted,
        Some(Outcome::RolledBack { by, .. }) => !release.promoted && by == "sluice",
        _ => false,
    }
}

/// A release as it is shown.
struct Show<'a> {
    release: &'a Release,
    style: Style,
    fast: bool,
}

impl Show<'_> {
    /// On a terminal: drawn in place.
    async fn drawn(
        &self,
        trial: &mut Trial,
        stop: &mut Signal,
        out: &mut dyn Write,
    ) -> Result<Went, Failure> {
        let mut screen = Screen::new(out);
        let mut size = screen::size();
        let mut pace = Pace::new(trial.now(), self.fast);
        for frame in 0_u32.. {
            let until = pace.next();
            let over = pace.advance(trial, until).await;
            if frame % 10 == 9 {
                size = screen::size();
            }
            if let Some(snapshot) = trial.snapshot() {
                let lines = trial.lines();
                let scene = Scene {
                    title: self.release.title,
                    snapshot: &snapshot,
                    requests: trial.requests(),
                    millis: i64::try_from(trial.elapsed().as_millis()).unwrap_or_default(),
                    lines: &lines,
                };
                screen.draw(&view::draw(&scene, self.style, size))?;
            }
            if over {
                break;
            }
            pace.sleep(stop).await?;
        }
        screen.keep()?;
        Ok(pace.went(trial))
    }

    /// Else: a line for each thing that happens.
    async fn told(
        &self,
        trial: &mut Trial,
        stop: &mut Signal,
        out: &mut dyn Write,
    ) -> Result<Went, Failure> {
        writeln!(out, "{}", self.style.paint(Paint::Bold, self.release.title))?;
        let mut pace = Pace::new(trial.now(), self.fast);
        let mut told = 0;
        loop {
            let until = pace.next();
            let over = pace.advance(trial, until).await;
            let lines = trial.lines();
            for line in lines.iter().skip(told) {
                writeln!(out, "{}", timeline::line(line, self.style, None))?;
            }
            told = lines.len();
            out.flush()?;
            if over {
                return Ok(pace.went(trial));
            }
            pace.sleep(stop).await?;
        }
    }
}

/// Virtual time beside real time.
struct Pace {
    fast: bool,
    limit: Timestamp,
    shown: Timestamp,
    ended: Option<(Timestamp, Option<Outcome>)>,
    timer: tokio::time::Interval,
}

impl Pace {
    fn new(now: Timestamp, fast: bool) -> Self {
        let limit = now.checked_add(LIMIT).unwrap_or(now);
        let mut timer = tokio::time::interval(FRAME);
        timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        Self { fast, limit, shown: now, ended: None, timer }
    }

    /// The virtual time of the next drawing.
    fn next(&mut self) -> Timestamp {
        let millis = i64::try_from(FRAME.as_millis()).unwrap_or_default() * SPEED;
        let step = SignedDuration::from_millis(millis);
        self.shown = self.shown.checked_add(step).unwrap_or(self.shown);
        self.shown
    }

    /// Lets the release go on until then. Returns true when all was shown.
    async fn advance(&mut self, trial: &mut Trial, until: Timestamp) -> bool {
        loop {
            let more = trial.step(until).await;
            let outcome = trial.outcome(false);
            if self.ended.is_none() && (outcome.is_some() || trial.now() >= self.limit) {
                self.ended = Some((trial.now(), outcome));
            }
            if !more {
                break;
            }
        }
        let end = self.ended.as_ref().and_then(|(at, _)| at.checked_add(AFTER).ok());
        end.is_some_and(|end| trial.now() >= end)
    }

    /// Waits for the next drawing.
    async fn sleep(&mut self, stop: &mut Signal) -> Result<(), Failure> {
        if self.fast {
            return Ok(());
        }
        tokio::select! {
            _ = self.timer.tick() => Ok(()),
            _ = stop.recv() => Err(Failure::plain("interrupted")),
        }
    }

    fn went(self, trial: &Trial) -> Went {
        let (at, outcome) = self.ended.unwrap_or_else(|| (trial.now(), None));
        Went { outcome, took: at.duration_since(trial.began()), requests: trial.requests() }
    }
}

/// What was shown, what users lost, and what to try next.
fn closing(good: &Went, bad: &Went) -> [String; 3] {
    let end = |went: &Went| match &went.outcome {
        Some(Outcome::Promoted) => "was promoted".to_owned(),
        Some(Outcome::RolledBack { .. }) => "was found and rolled back".to_owned(),
        _ => "did not end as it should".to_owned(),
    };
    let seconds = |went: &Went| {
        crate::api::Duration::from_secs(went.took.unsigned_abs().as_secs()).to_string()
    };
    let (lost, failed) = (
        good.requests.lost + bad.requests.lost,
        good.requests.because_of_canary + bad.requests.because_of_canary,
    );
    let sent = good.requests.sent + bad.requests.sent;
    [
        format!(
            "Shown:  v2.1.0 {} after {}; v2.2.0 {} after {}, by the controller alone.",
            end(good),
            seconds(good),
            end(bad),
            seconds(bad)
        ),
        format!(
            "Users:  of {sent} requests {failed} failed because of a canary, and {lost} were lost without an answer."
        ),
        "Next:   cargo run -- simulate examples/canary --canary-errors 5%; cargo run -- demo --realtime for kubectl."
            .to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_has_one_rollout_of_that_name() {
        let world = world().unwrap();
        let rollouts = world.objects.iter().filter(|object| object["kind"] == "Rollout");
        let names: Vec<&Value> = rollouts.map(|object| &object["metadata"]["name"]).collect();
        assert_eq!(names, [ROLLOUT]);
        assert!(world.objects.iter().all(|o| o["metadata"]["namespace"] == NAMESPACE));
    }
}
