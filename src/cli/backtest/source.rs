//! Reads the past of a Prometheus, piece by piece.
//!
//! In: two counters and a time. Out: samples, in a [`Window`] that moves over the past, so that weeks
//! need no more memory than an hour.

use std::{collections::BTreeMap, io::Write, time::Duration};

use jiff::Timestamp;

use super::release::seconds;
use crate::{
    analysis::{
        compare::samples::Holds,
        provider::prometheus::{HttpClients, Series, series},
    },
    api::{self, AnalysisArgument, PrometheusProvider, QueryRange},
};

/// What is not read in smaller pieces any more, in milliseconds.
const SHORTEST: i64 = 60_000;

/// Width of the progress bar.
const WIDTH: u64 = 30;

/// Where samples come from.
pub struct Source {
    /// How to ask.
    pub provider: PrometheusProvider,
    /// Values of arguments.
    pub args: Vec<AnalysisArgument>,
    /// Address where the provider names none.
    pub url: Option<String>,
    /// The clients.
    pub http: HttpClients,
    /// Counter of requests, as a selector.
    pub requests: String,
    /// Counter of failed ones, if there is one of its own.
    pub errors: Option<String>,
    /// Distance of the values; nothing for all samples.
    pub step: Option<api::Duration>,
}

impl Source {
    /// The counters, with what they hold.
    fn counters(&self) -> Vec<(&str, Holds)> {
        match &self.errors {
            None => vec![(&self.requests, Holds::Both)],
            Some(errors) => vec![(&self.requests, Holds::Requests), (errors, Holds::Errors)],
        }
    }

    /// Adds the samples after `from`, up to `to` (milliseconds since 1970). A piece that Prometheus
    /// refuses, or that takes too long, is read in halves.
    ///
    /// # Errors
    /// What went wrong with the smallest piece, in words.
    pub async fn read(&self, from: i64, to: i64, into: &mut Window) -> Result<(), String> {
        for (index, (counter, _)) in self.counters().into_iter().enumerate() {
            let mut left = vec![(from, to)];
            while let Some((from, to)) = left.pop() {
                match self.piece(counter, from, to).await {
                    Ok(found) => into.add(index, found, from),
                    Err(why) => {
                        let half = self.aligned(from + (to - from) / 2);
                        if to - from <= SHORTEST || half <= from {
                            return Err(why);
                        }
                        left.extend([(half, to), (from, half)]);
                    }
                }
            }
        }
        Ok(())
    }

    async fn piece(&self, counter: &str, from: i64, to: i64) -> Result<Vec<Series>, String> {
        let length = Duration::from_millis(u64::try_from(to - from).unwrap_or(0));
        let (query, range) = match self.step {
            None => (format!("{counter}[{}ms]", length.as_millis()), None),
            // The first step is that after `from`.
            Some(step) => {
                let lookback = api::Duration(length.saturating_sub(step.0));
                (counter.to_owned(), Some(QueryRange { lookback, step }))
            }
        };
        let provider = PrometheusProvider { query, range, compare: None, ..self.provider.clone() };
        let now = Timestamp::from_millisecond(to).map_err(|error| error.to_string())?;
        series(&provider, &self.args, &self.http, self.url.as_deref(), now).await
    }

    /// A time on the grid of the steps, at or before `at`.
    pub fn aligned(&self, at: i64) -> i64 {
        let step = self.step.and_then(|step| i64::try_from(step.0.as_millis()).ok());
        step.filter(|step| *step > 0).map_or(at, |step| at - at.rem_euclid(step))
    }

    /// All that the window holds, with what it counts.
    pub fn holds(&self, window: &Window) -> Vec<(Holds, Series)> {
        let counters = self.counters();
        let series = window.series.iter().filter_map(|((counter, labels), samples)| {
            let (_, holds) = counters.get(*counter)?;
            Some((*holds, Series { labels: labels.clone(), samples: samples.clone() }))
        });
        series.collect()
    }
}

/// A counter by its index, and the labels of a series.
type Key = (usize, BTreeMap<String, String>);

/// Samples of some time.
#[derive(Debug, Default)]
pub struct Window {
    series: BTreeMap<Key, Vec<(f64, f64)>>,
    /// Samples that were read in all.
    pub points: u64,
}

impl Window {
    /// Adds what was found after `from`: Prometheus 2 has the left end of a range in it, 3 has not.
    fn add(&mut self, counter: usize, found: Vec<Series>, from: i64) {
        let from = seconds(from);
        for Series { labels, samples } in found {
            let known = self.series.entry((counter, labels)).or_default();
            let last = known.last().map_or(from, |(at, _)| at.max(from));
            let before = known.len();
            known.extend(samples.into_iter().filter(|(at, _)| *at > last));
            self.points += (known.len() - before) as u64;
        }
    }

    /// Forgets what was before `at`, in milliseconds since 1970.
    pub fn forget(&mut self, at: i64) {
        let seconds = seconds(at);
        self.series.retain(|_, samples| {
            let first = samples.partition_point(|(at, _)| *at <= seconds);
            samples.drain(..first);
            !samples.is_empty()
        });
    }
}

/// How far reading has come, on a terminal.
pub struct Progress<'a> {
    /// Where it is shown; nothing without a terminal.
    out: Option<&'a mut dyn Write>,
    all: i64,
    done: i64,
}

impl<'a> Progress<'a> {
    /// Nothing is read yet of so many milliseconds.
    pub fn new(out: Option<&'a mut dyn Write>, all: i64) -> Self {
        Self { out, all: all.max(1), done: 0 }
    }

    /// So many milliseconds more are read.
    pub fn add(&mut self, milliseconds: i64, points: u64) {
        self.done = (self.done + milliseconds).min(self.all);
        let share = |of: u64| {
            let done = u64::try_from(self.done).unwrap_or(0);
            done.saturating_mul(of) / u64::try_from(self.all).unwrap_or(1)
        };
        let bar: String = (0..WIDTH).map(|at| if at < share(WIDTH) { '#' } else { '.' }).collect();
        let percent = share(100);
        if let Some(out) = &mut self.out {
            // Nobody is told where there is no terminal any more; the report still comes.
            let _ = write!(out, "\r[{bar}] {percent} %, {points} samples\u{1b}[K");
            let _ = out.flush();
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let Some(out) = &mut self.out {
            let _ = write!(out, "\r\u{1b}[K");
            let _ = out.flush();
        }
    }
}
