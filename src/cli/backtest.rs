//! `kubectl sluice backtest`: the judges on the past of a Prometheus.
//!
//! Quiet times show false alarms: releases are pretended in them, with some of the pods as the canary.
//! Bad releases that people name show when they would have been caught. The samples are read and cut
//! into intervals as in a release; the rules that people use elsewhere stand beside ours.

mod bad;
mod flags;
mod plot;
mod quiet;
mod release;
mod report;
mod source;

use std::{collections::BTreeMap, fs, io::Write, path::Path};

use jiff::Timestamp;

use super::{
    args::Format,
    exit::{Exit, Failure},
    manifests::{self, Choice, Comparison, Documents, Unknown, comparisons},
    session::Terminal,
};
use crate::{
    analysis::{
        compare::rules,
        judge::{
            Params, Totals,
            counts::{self, Interval},
            outlook::Traffic,
            others::Minute,
            words::{Subject, blind_spot, report as words},
        },
        provider::prometheus::HttpClients,
    },
    api::{Compare, Duration, PrometheusProvider},
};
use bad::Wanted;
pub use flags::{Flags, HELP};
use quiet::{LeftOut, Split};
use release::{Times, seconds};
use report::{Alarms, Bad, Caught, Moment, Quiet, Report};
use source::{Progress, Source, Window};

/// How long stable is watched before a release, in milliseconds, as in a release.
const HISTORY: i64 = 30 * 60 * 1000;

/// How much is read at once, in milliseconds.
const PIECE: i64 = 30 * 60 * 1000;

/// The label by which Istio's metrics tell revisions apart.
const LABEL: &str = "destination_canonical_revision";

/// Reads, judges and reports.
///
/// # Errors
/// A flag or a manifest is wrong, Prometheus does not answer, or there is nothing to judge.
pub async fn run(
    flags: &Flags,
    namespace: Option<&str>,
    terminal: Terminal,
    now: Timestamp,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let told = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let mut bar = std::io::stderr();
    let bar: Option<&mut dyn Write> =
        if told && terminal.interactive { Some(&mut bar) } else { None };
    let report = report_of(flags, namespace, HttpClients::new(), now, bar).await?;
    let text = match flags.output {
        None => report.text(terminal.style),
        Some(Format::Json) => {
            let json = serde_json::to_string_pretty(&report);
            json.map_err(|error| Failure::plain(error.to_string()))? + "\n"
        }
    };
    if let Some(path) = &flags.report {
        write(path, &report)?;
    }
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(Exit::Done)
}

/// Writes the page or the plot.
fn write(path: &Path, report: &Report) -> Result<(), Failure> {
    let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
    let text = match kind {
        "svg" => plot::svg(report),
        _ => plot::html(report),
    };
    fs::write(path, text).map_err(|error| {
        Failure::plain(format!("--report: cannot write {}: {error}", path.display()))
    })
}

/// Reads and judges; `bar` is where progress is shown.
async fn report_of(
    flags: &Flags,
    namespace: Option<&str>,
    http: HttpClients,
    now: Timestamp,
    bar: Option<&mut dyn Write>,
) -> Result<Report, Failure> {
    if let Some(path) = &flags.report
        && !path.extension().is_some_and(|kind| kind == "svg" || kind == "html")
    {
        let found = path.display();
        return Err(Failure::usage(format!(
            "--report: found {found}, allowed is a file *.html or *.svg"
        )));
    }
    if !(0.001..=0.5).contains(&flags.weight.0) {
        let found = flags.weight;
        return Err(Failure::usage(format!(
            "--weight: found {found}, allowed is a share from 0.1% to 50%"
        )));
    }
    let asked = asked(flags, namespace)?;
    let params = rules(&asked.compare, 1).map_err(|wrong| Failure::usage(wrong.join("\nerror: ")))?.params;
    let source = Source {
        provider: asked.provider,
        args: asked.args,
        url: flags.prometheus_url.clone(),
        http,
        requests: asked.requests,
        errors: asked.errors,
        step: flags.step,
    };
    let spans = Spans::of(flags, &source, &params, now)?;
    let label = flags.label.clone().or(asked.compare.label).unwrap_or_else(|| LABEL.to_owned());
    let wanted =
        Wanted { label, canary: flags.canary.clone(), stable: flags.stable.clone() };
    let replay = Replay {
        metric: asked.metric,
        weight: flags.weight.0,
        max_points: flags.max_points,
        source,
        params,
        spans,
        wanted,
    };
    let limit = flags.timeout;
    let replayed = tokio::time::timeout(limit.0, Box::pin(replay.all(bar))).await;
    replayed.unwrap_or_else(|_| {
        Err(Failure::plain(format!(
            "not all was read within {limit}; ask for less time, for a --step, or give a longer --timeout"
        )))
    })
}

/// What is replayed.
struct Asked {
    metric: String,
    compare: Compare,
    provider: PrometheusProvider,
    args: Vec<crate::api::AnalysisArgument>,
    requests: String,
    errors: Option<String>,
}

fn asked(flags: &Flags, namespace: Option<&str>) -> Result<Asked, Failure> {
    let mut asked = match &flags.requests {
        Some(requests) => Asked {
            metric: "errors".to_owned(),
            compare: Compare { min_requests: 100, ..Compare::default() },
            provider: PrometheusProvider::default(),
            args: Vec::new(),
            requests: requests.clone(),
            errors: flags.errors.clone(),
        },
        None => written(flags, namespace)?,
    };
    for (flag, text) in [("--requests", Some(&asked.requests)), ("--errors", asked.errors.as_ref())] {
        let Some(text) = text else { continue };
        let allowed = "a selector of a counter, such as http_requests_total{app=\"shop\"}";
        let wrong = |found: &str| Failure::usage(format!("{flag}: found {found}, allowed is {allowed}"));
        crate::analysis::compare::query::check(text).map_err(wrong)?;
        promql_parser::parser::parse(text).map_err(|why| {
            Failure::usage(format!("{flag}: found `{text}`, which is not PromQL: {why}"))
        })?;
    }
    let compare = &mut asked.compare;
    if let Some(ratio) = flags.tolerate_ratio {
        compare.tolerate.ratio = ratio;
    }
    if let Some(share) = flags.tolerate_absolute {
        compare.tolerate.absolute = share.0;
    }
    if let Some(share) = flags.false_alarms {
        compare.false_alarms = Some(share.to_string());
    }
    compare.release = flags.release.or(compare.release);
    if flags.prometheus_url.is_some() {
        asked.provider.address = None;
    } else if asked.provider.address.is_none() {
        return Err(Failure::usage(
            "no address of Prometheus: allowed is --prometheus-url, such as http://localhost:9090 behind `kubectl port-forward`",
        ));
    }
    asked.provider.headers.extend(flags.header.iter().cloned());
    Ok(asked)
}

/// The comparison in the manifests.
fn written(flags: &Flags, namespace: Option<&str>) -> Result<Asked, Failure> {
    let sources = manifests::sources(&flags.files).map_err(Failure::plain)?;
    let choice = Choice { rollout: None, namespace: namespace.map(str::to_owned) };
    let found = Documents::read(&sources, &choice, Unknown::Skip);
    if !found.errors.is_empty() {
        return Err(Failure::plain(found.errors.join("\nerror: ")));
    }
    let args: Vec<_> = flags.arg.iter().map(|arg| arg.0.clone()).collect();
    let default = namespace.unwrap_or("default");
    let (all, errors) = comparisons(&found.objects(), default, &args);
    let is = |comparison: &&Comparison| {
        flags.metric.as_ref().is_none_or(|name| comparison.metric.name == *name)
    };
    let wanted: Vec<&Comparison> = all.iter().filter(is).collect();
    let names = || {
        let names: Vec<&str> = all.iter().map(|one| one.place.as_str()).collect();
        if names.is_empty() { "none".to_owned() } else { names.join("; ") }
    };
    let [one] = wanted.as_slice() else {
        if !errors.is_empty() {
            return Err(Failure::plain(errors.join("\nerror: ")));
        }
        let wanted = flags.metric.as_ref().map_or_else(String::new, |name| format!(" `{name}`"));
        return Err(Failure::usage(format!(
            "found the comparisons {}, allowed is one{wanted}: say --metric NAME, or --requests SELECTOR without a file",
            names()
        )));
    };
    let (requests, errors) = one.counters().map_err(Failure::plain)?;
    Ok(Asked {
        metric: one.place.clone(),
        compare: one.compare(),
        provider: one.provider(),
        args: one.args.clone(),
        requests,
        errors,
    })
}

/// From when to when, in milliseconds since 1970.
struct Spans {
    quiet: Vec<(i64, i64)>,
    bad: Vec<(i64, i64)>,
    /// How long a pretended release is.
    release: i64,
}

impl Spans {
    fn of(flags: &Flags, source: &Source, params: &Params, now: Timestamp) -> Result<Self, Failure> {
        let times = |flag: &str, span: flags::Span| {
            let (from, to) = span.at(now).map_err(|why| Failure::usage(format!("{flag}: {why}")))?;
            Ok::<_, Failure>((
                source.aligned(from.as_millisecond()),
                source.aligned(to.as_millisecond()),
            ))
        };
        let spans = flags.quiet.iter().filter_map(|quiet| match quiet {
            flags::Quiet::None => None,
            flags::Quiet::Span(span) => Some(times("--quiet", *span)),
        });
        #[expect(clippy::cast_possible_truncation, reason = "checked: at most seven days")]
        let release = (params.release_seconds * 1000.0) as i64;
        let quiet = spans.collect::<Result<Vec<_>, _>>()?;
        if let Some((from, to)) = quiet.iter().find(|(from, to)| to - from < release) {
            let length = Duration(std::time::Duration::from_millis(u64::try_from(to - from).unwrap_or(0)));
            return Err(Failure::usage(format!(
                "--quiet: found {length}, allowed is at least one release ({})",
                crate::analysis::judge::words::time(params.release_seconds)
            )));
        }
        let bad = flags.bad.iter().map(|span| times("--bad", *span)).collect::<Result<_, _>>()?;
        Ok(Self { quiet, bad, release: source.aligned(release).max(60_000) })
    }

    /// How much is read, in milliseconds.
    fn length(&self) -> i64 {
        self.quiet.iter().chain(&self.bad).map(|(from, to)| to - from + HISTORY).sum()
    }
}

/// All that a replay needs.
struct Replay {
    metric: String,
    weight: f64,
    max_points: u64,
    source: Source,
    params: Params,
    spans: Spans,
    wanted: Wanted,
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
    async fn all(self, bar: Option<&mut dyn Write>) -> Result<Report, Failure> {
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
        let quiet = (!self.spans.quiet.is_empty()).then(|| self.quiet_of(sum));
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
            format!("rolled back after {}: {found}", crate::analysis::judge::words::time(after))
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

    fn quiet_of(&self, sum: Sum) -> Quiet {
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
            split: split(&sum),
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
        message: ours.map_or_else(String::new, |finding| {
            words(&finding, params, &Subject::Errors).found
        }),
    }
}
