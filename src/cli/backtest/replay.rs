//! The replay: reads times piece by piece, and shows each release to all judges.

use std::{collections::BTreeMap, io::Write};

use jiff::Timestamp;

use super::{
    asked::Spans,
    bad::{self, Wanted},
    quiet::{self, LeftOut, Split},
    release::{self, Times, seconds},
    report::{Alarms, Bad, Caught, Moment, Quiet, Report},
    source::{Progress, Source, Window},
};
use crate::{
    analysis::judge::{
        Params, Totals,
        counts::{self, Interval},
        others::Minute,
        outlook::Traffic,
        words::{Subject, blind_spot, report as words, time},
    },
    cli::exit::Failure,
};

/// How long stable is watched before a release, in milliseconds, as in a release.
pub(super) const HISTORY: i64 = 30 * 60 * 1000;

/// How much is read at once, in milliseconds.
const PIECE: i64 = 30 * 60 * 1000;

/// All that a replay needs.
pub(super) struct Replay {
    pub(super) metric: String,
    pub(super) weight: f64,
    pub(super) max_points: u64,
    pub(super) source: Source,
    pub(super) params: Params,
    pub(super) spans: Spans,
    pub(super) wanted: Wanted,
}

/// What quiet times add up to.
#[derive(Default)]
struct Sum {
    timeline: Vec<Moment>,
    left_out: BTreeMap<LeftOut, usize>,
    splits: BTreeMap<Split, usize>,
    pods: (usize, usize),
    all: Totals,
    canary: Totals,
    dispersion: counts::State,
    scrape: i64,
}

impl Replay {
    /// Reads and judges all of it.
    ///
    /// # Errors
    /// Prometheus does not answer, or there is nothing to judge.
    pub(super) async fn all(self, bar: Option<&mut dyn Write>) -> Result<Report, Failure> {
        let mut progress = Progress::new(bar, self.spans.length());
        let (mut sum, mut points, mut bad) = (Sum::default(), 0, Vec::new());
        for (from, to) in &self.spans.quiet {
            points += self.quiet(*from, *to, &mut sum, points, &mut progress).await?;
        }
        for (from, to) in &self.spans.bad {
            let mut window = Window::default();
            self.read(*from - HISTORY, *to, &mut window, points, &mut progress).await?;
            points += window.points;
            let times = Times { from: *from - HISTORY, began: *from, to: *to };
            let found = bad::find(&self.source.holds(&window), times, &self.wanted);
            let found = found.map_err(|why| {
                Failure::plain(format!("--bad {}..{}: {why}", stamp(*from), stamp(*to)))
            })?;
            sum.scrape = found.release.scrape;
            bad.push(bad_of(times, found, &self.params));
        }
        drop(progress);
        if points == 0 {
            return Err(Failure::plain(format!(
                "no samples of {} in that time; see whether the counter, the time and the Prometheus are the right ones",
                self.source.requests
            )));
        }
        let scrape = sum.scrape;
        let quiet = (!self.spans.quiet.is_empty()).then(|| self.quiet_of(&sum));
        let mut notes = Vec::new();
        if quiet.as_ref().is_some_and(|quiet| quiet.releases == 0) {
            notes.push("no release could be pretended: name another --quiet time".to_owned());
        }
        Ok(Report {
            metric: self.metric,
            requests: self.source.requests,
            errors: self.source.errors,
            scrape_seconds: seconds(scrape),
            samples: points,
            false_alarms: self.params.alpha,
            quiet,
            bad,
            notes,
        })
    }

    /// Reads piece by piece, as far as that is allowed.
    async fn read(
        &self,
        from: i64,
        to: i64,
        window: &mut Window,
        points: u64,
        progress: &mut Progress<'_>,
    ) -> Result<(), Failure> {
        let mut at = from;
        while at < to {
            let end = (at + self.source.aligned(PIECE).max(60_000)).min(to);
            self.source.read(at, end, window).await.map_err(Failure::plain)?;
            progress.add(end - at, points + window.points);
            if points + window.points > self.max_points {
                let most = self.max_points;
                return Err(Failure::plain(format!(
                    "found more than {most} samples, which is as many as may be read; ask for less time, for a --step, or give a higher --max-points"
                )));
            }
            at = end;
        }
        Ok(())
    }

    /// Pretends releases one after the other. Returns how many samples were read.
    async fn quiet(
        &self,
        from: i64,
        to: i64,
        sum: &mut Sum,
        points: u64,
        progress: &mut Progress<'_>,
    ) -> Result<u64, Failure> {
        let mut window = Window::default();
        self.read(from - HISTORY, from, &mut window, points, progress).await?;
        let mut began = from;
        while began + self.spans.release <= to {
            let end = began + self.spans.release;
            self.read(began, end, &mut window, points, progress).await?;
            window.forget(began - HISTORY);
            let times = Times { from: began - HISTORY, began, to: end };
            let overlaps = |(bad, ends): &(i64, i64)| *bad < end && times.from < *ends;
            if self.spans.bad.iter().any(overlaps) {
                *sum.left_out.entry(LeftOut::Bad).or_default() += 1;
            } else {
                self.pretend(&window, times, sum);
            }
            began = end;
        }
        Ok(window.points)
    }

    fn pretend(&self, window: &Window, times: Times, sum: &mut Sum) {
        let number = sum.timeline.len();
        let found = quiet::pretend(&self.source.holds(window), times, self.weight, number);
        let pretended = match found {
            Ok(pretended) => pretended,
            Err(why) => {
                *sum.left_out.entry(why).or_default() += 1;
                return;
            }
        };
        let said = pretended.release.judged(&self.params);
        let alarmed = said.iter().enumerate().filter(|(_, said)| said.after.is_some());
        let ours = said.first().and_then(|said| Some((said.after?, said.finding?)));
        let message = ours.map_or_else(String::new, |(after, finding)| {
            let found = words(&finding, &self.params, &Subject::Errors).found;
            format!("rolled back after {}: {found}", time(after))
        });
        sum.timeline.push(Moment {
            at: Timestamp::from_millisecond(times.began).unwrap_or_default(),
            error_share: Totals::default().and(pretended.all).rate(),
            alarms: alarmed.map(|(index, _)| index).collect(),
            message,
        });
        *sum.splits.entry(pretended.split).or_default() += 1;
        sum.pods = sum.pods.max(pretended.pods);
        sum.all = sum.all.and(pretended.all);
        let (canary, _) = pretended.release.totals();
        sum.canary.requests += canary.requests;
        sum.scrape = pretended.release.scrape;
        for (_, interval) in &pretended.release.intervals {
            // How errors come, of all the time.
            let minute = Interval { minute: interval.minute.clone(), ..Interval::default() };
            sum.dispersion = counts::step(&sum.dispersion, &minute, &self.params).0;
        }
    }

    fn quiet_of(&self, sum: &Sum) -> Quiet {
        let releases = sum.timeline.len();
        let count = |judge: usize| {
            sum.timeline.iter().filter(|moment| moment.alarms.contains(&judge)).count()
        };
        let judges = release::judges().into_iter().enumerate();
        let length = seconds(self.spans.release);
        let whole = length * f64::from(u32::try_from(releases.max(1)).unwrap_or(u32::MAX));
        let rate = |requests: u64| u32::try_from(requests).map_or(f64::MAX, f64::from) / whole;
        let traffic = Traffic {
            canary: rate(sum.canary.requests),
            stable: rate(sum.all.requests.saturating_sub(sum.canary.requests)),
            rate: sum.all.rate().max(1e-6),
            dispersion: sum.dispersion.dispersion.phi(),
        };
        let outlook =
            if releases == 0 { String::new() } else { blind_spot(&traffic, &self.params) };
        Quiet {
            spans: self.spans.quiet.iter().map(|(from, to)| (stamp(*from), stamp(*to))).collect(),
            release_seconds: length,
            releases,
            left_out: sum.left_out.iter().map(|(why, number)| (why.why(), *number)).collect(),
            split: split(sum),
            requests_per_minute: 60.0 * rate(sum.all.requests),
            error_share: sum.all.rate(),
            judges: judges.map(|(index, name)| Alarms::of(name, count(index), releases)).collect(),
            timeline: sum.timeline.clone(),
            outlook,
        }
    }
}

/// How arms were made, in words.
fn split(sum: &Sum) -> String {
    let (pods, canaries) = sum.pods;
    let dealt = "one target counts for all, so that requests were dealt out by chance: bursts are torn apart, and false alarms look rarer than they are";
    match (sum.splits.contains_key(&Split::Pods), sum.splits.contains_key(&Split::Requests)) {
        (true, false) => format!("canary: {canaries} of {pods} pods, in turns"),
        (false, true) => dealt.to_owned(),
        (true, true) => format!("canary: {canaries} of {pods} pods, in turns; at times {dealt}"),
        (false, false) => String::new(),
    }
}

fn stamp(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}

fn bad_of(times: Times, found: bad::Found, params: &Params) -> Bad {
    let bad::Found { release, canary, stable } = found;
    let said = release.judged(params);
    let ours = said.first().and_then(|said| said.finding);
    let (of_canary, of_stable) = release.totals();
    let pair = |totals: Totals| (totals.requests, totals.errors);
    let share = |minute: &Minute| {
        let rate = |counts| Totals::default().and(counts).rate();
        (rate(minute.canary), rate(minute.stable))
    };
    Bad {
        from: stamp(times.began),
        to: stamp(times.to),
        canary,
        stable,
        first_request: stamp(release.begins().unwrap_or(times.began)),
        canary_requests: pair(of_canary),
        stable_requests: pair(of_stable),
        judges: said
            .into_iter()
            .map(|said| Caught {
                judge: said.name,
                after_seconds: said.after,
                failed_until: said.failed,
            })
            .collect(),
        minutes: release.minutes().iter().map(share).collect(),
        message: ours
            .map_or_else(String::new, |finding| words(&finding, params, &Subject::Errors).found),
    }
}
