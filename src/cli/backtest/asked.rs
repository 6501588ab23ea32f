//! What is asked for: the comparison to replay, by flags or in manifests, and the times.

use jiff::Timestamp;

use super::{
    flags::{self, Flags},
    source::Source,
};
use crate::{
    analysis::{
        compare::query::check,
        judge::{Params, words::time},
    },
    api::{AnalysisArgument, Compare, Duration, PrometheusProvider},
    cli::{
        exit::Failure,
        manifests::{self, Choice, Comparison, Documents, Unknown, comparisons},
    },
};

/// What is replayed.
pub(super) struct Asked {
    pub(super) metric: String,
    pub(super) compare: Compare,
    pub(super) provider: PrometheusProvider,
    pub(super) args: Vec<AnalysisArgument>,
    pub(super) requests: String,
    pub(super) errors: Option<String>,
}

/// What the flags ask for.
///
/// # Errors
/// A flag or a manifest is wrong.
pub(super) fn asked(flags: &Flags, namespace: Option<&str>) -> Result<Asked, Failure> {
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
    for (flag, text) in [("--requests", Some(&asked.requests)), ("--errors", asked.errors.as_ref())]
    {
        let Some(text) = text else { continue };
        let allowed = "a selector of a counter, such as http_requests_total{app=\"shop\"}";
        let wrong =
            |found: &str| Failure::usage(format!("{flag}: found {found}, allowed is {allowed}"));
        check(text).map_err(wrong)?;
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
pub(super) struct Spans {
    pub(super) quiet: Vec<(i64, i64)>,
    pub(super) bad: Vec<(i64, i64)>,
    /// How long a pretended release is.
    pub(super) release: i64,
    /// What is read before each, in milliseconds.
    history: i64,
}

impl Spans {
    /// The times of the flags, on the grid of the source's steps.
    ///
    /// # Errors
    /// A time is in the future, or too short for a release.
    pub(super) fn of(
        flags: &Flags,
        source: &Source,
        params: &Params,
        now: Timestamp,
        history: i64,
    ) -> Result<Self, Failure> {
        let times = |flag: &str, span: flags::Span| {
            let (from, to) =
                span.at(now).map_err(|why| Failure::usage(format!("{flag}: {why}")))?;
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
            let length =
                Duration(std::time::Duration::from_millis(u64::try_from(to - from).unwrap_or(0)));
            return Err(Failure::usage(format!(
                "--quiet: found {length}, allowed is at least one release ({})",
                time(params.release_seconds)
            )));
        }
        let bad = flags.bad.iter().map(|span| times("--bad", *span)).collect::<Result<_, _>>()?;
        Ok(Self { quiet, bad, release: source.aligned(release).max(60_000), history })
    }

    /// How much is read in all, in milliseconds.
    pub(super) fn length(&self) -> i64 {
        self.quiet.iter().chain(&self.bad).map(|(from, to)| to - from + self.history).sum()
    }
}
