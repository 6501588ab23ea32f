//! What canary and stable counted, or the values that a query has for them.
//!
//! In: a comparison, and what was found so far. Out: a [`Reading`] to judge.

use std::time::Duration;

use jiff::Timestamp;

use super::{HttpClients, Series, answer, request};
use crate::analysis::arguments::{Secrets, substitute, values_for};
use crate::analysis::compare::{
    intervals::{Asked, intervals},
    known, query,
    rules::{Judge, rules},
    samples::{Arms, Counter, Holds, counters},
    series::pairs,
};
use crate::analysis::verdict::Reading;
use crate::api::{self, AnalysisArgument, Compare, Comparison, PrometheusProvider, QueryRange};

/// Values of a query that are compared at most: the last ones.
const MOST_VALUES: f64 = 2000.0;

/// What a comparison is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Comparing<'c> {
    /// The comparison as written, its defaults put in.
    pub compare: &'c Compare,
    /// Time between two looks.
    pub interval: api::Duration,
    /// What was found so far.
    pub before: Option<&'c Comparison>,
    /// When it began.
    pub began: Timestamp,
}

/// Asks Prometheus for what canary and stable counted since the last look, or for all values of a
/// query since the beginning. As [`measure`](super::measure) otherwise.
pub async fn compare(
    provider: &PrometheusProvider,
    comparing: Comparing<'_>,
    args: &[AnalysisArgument],
    secrets: &Secrets,
    http: &HttpClients,
    default_url: Option<&str>,
    now: Timestamp,
) -> Reading {
    let rules = match rules(comparing.compare, 1) {
        Ok(rules) => rules,
        Err(wrong) => return Reading::Error(wrong.join("; ")),
    };
    let asked = Ask { provider, args, secrets, http, default_url, now };
    if let Judge::MannWhitney(_) = rules.judge {
        return asked.values(comparing).await;
    }
    let known = known(comparing.before);
    let milliseconds = now.as_millisecond();
    let (recent, bounds) = (rules.recent(), rules.bounds());
    let range = query::range(&known, milliseconds, recent.0);
    let mut found = asked.counters(comparing.compare, range).await;
    if found.is_err() && known.read_until.is_none() {
        // Half an hour may be more than it likes to answer.
        found = asked.counters(comparing.compare, query::FIRST_SHORT).await;
    }
    match found {
        Ok((counters, range)) => {
            let range = i64::try_from(range.as_millis()).unwrap_or(i64::MAX);
            let asked = Asked {
                from: milliseconds.saturating_sub(range),
                began: comparing.began.as_millisecond(),
                now: milliseconds,
                recent,
                bounds,
            };
            Reading::Counted(Box::new(intervals(&counters, &known, asked)))
        }
        Err(why) => Reading::Error(why),
    }
}

/// Whom to ask, and when.
struct Ask<'a> {
    provider: &'a PrometheusProvider,
    args: &'a [AnalysisArgument],
    secrets: &'a Secrets,
    http: &'a HttpClients,
    default_url: Option<&'a str>,
    now: Timestamp,
}

impl Ask<'_> {
    /// The counters of both revisions, over so much time.
    async fn counters(
        &self,
        compare: &Compare,
        range: Duration,
    ) -> Result<(Vec<Counter>, Duration), String> {
        let arms = self.arms(compare)?;
        let mut all = Vec::new();
        for (query, holds) in query::queries(compare, range) {
            let provider = PrometheusProvider { query, compare: None, ..self.provider.clone() };
            let found = counters(&self.series(&provider).await?, &arms, &holds);
            missing(&found, &holds, compare)?;
            all.extend(found);
        }
        Ok((all, range))
    }

    /// The values that the query has for both revisions, one an interval, since the beginning.
    async fn values(&self, Comparing { compare, interval, began, .. }: Comparing<'_>) -> Reading {
        let step = interval.as_secs_f64().max(1.0);
        let since = (self.now.duration_since(began).as_secs_f64() / step).floor();
        if since < 1.0 {
            return Reading::NoData("the comparison has just begun".to_owned());
        }
        let range = QueryRange {
            lookback: api::Duration(Duration::from_secs_f64(since.min(MOST_VALUES) * step)),
            step: api::Duration(Duration::from_secs_f64(step)),
        };
        let provider =
            PrometheusProvider { compare: None, range: Some(range), ..self.provider.clone() };
        let found = match self.arms(compare) {
            Ok(arms) => self.series(&provider).await.map(|series| pairs(&series, &arms)),
            Err(why) => Err(why),
        };
        found.map_or_else(Reading::Error, Reading::Pairs)
    }

    fn arms(&self, compare: &Compare) -> Result<Arms, String> {
        let texts = query::texts(compare);
        let values = values_for(texts, self.args, self.secrets).map_err(|e| e.to_string())?;
        let filled = |text: &Option<String>| {
            let text = text.as_deref().unwrap_or_default();
            substitute(text, &values).map_err(|error| error.to_string())
        };
        Ok(Arms {
            label: compare.label.clone().unwrap_or_default(),
            canary: filled(&compare.canary)?,
            stable: filled(&compare.stable)?,
        })
    }

    async fn series(&self, provider: &PrometheusProvider) -> Result<Vec<Series>, String> {
        let made = request(provider, self.args, self.secrets, self.default_url, self.now);
        let mut request = made.map_err(|error| error.to_string())?;
        let (status, body) = answer(&mut request, self.http).await?;
        request.read_samples(status, &body)
    }
}

/// A bound that is none of the histogram's would look as if all requests were above it.
fn missing(found: &[Counter], holds: &Holds, compare: &Compare) -> Result<(), String> {
    let (Holds::Buckets(bounds), Some(latency)) = (holds, &compare.latency) else {
        return Ok(());
    };
    if found.is_empty() {
        return Ok(());
    }
    let has = |index: usize| found.iter().any(|counter| counter.within == Some(index));
    let all = bounds.iter().zip(query::bounds(latency)).enumerate();
    match all.into_iter().find(|(index, _)| !has(*index)) {
        None => Ok(()),
        Some((_, (le, bound))) => Err(format!(
            "latency.bounds: found {bound}, allowed are bounds of the histogram's buckets; there is \
             none with le=\"{le}\""
        )),
    }
}
