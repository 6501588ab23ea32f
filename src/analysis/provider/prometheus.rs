//! One `PromQL` query to the Prometheus HTTP API.
//!
//! In: a provider, the values of arguments and Secrets, an HTTP client. Out: a [`Reading`], whose
//! texts hold no value of a Secret and no user or password of an address. `request` and
//! [`answer::parse`] are pure; [`measure`], [`compare`] and [`samples`] send.

pub mod answer;
mod clients;
mod request;

pub use answer::Series;
pub use clients::{HttpClients, InProcess};
pub use request::{Request, RequestError, request};

use std::error::Error as _;
use std::io;
use std::time::Duration;

use jiff::Timestamp;

use crate::analysis::arguments::{Secrets, substitute, values_for};
use crate::analysis::compare::{
    intervals::{Asked, intervals},
    known, query,
    samples::{Arms, Counter, counters},
};
use crate::analysis::verdict::Reading;
use crate::api::{AnalysisArgument, Compare, Comparison, PrometheusProvider};

/// Largest answer that is read, in bytes.
pub const ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Time that an answer may take when the metric does not say.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// Asks Prometheus once. `secrets` holds what
/// [`needed_secrets`](crate::analysis::arguments::needed_secrets) names, as far as it is there;
/// `default_url` is the controller's `--prometheus-url`; `now` is the time of the query.
///
/// It does not fail: what goes wrong is a [`Reading::Error`] in words.
pub async fn measure(
    provider: &PrometheusProvider,
    args: &[AnalysisArgument],
    secrets: &Secrets,
    http: &HttpClients,
    default_url: Option<&str>,
    now: Timestamp,
) -> Reading {
    let mut request = match request(provider, args, secrets, default_url, now) {
        Ok(request) => request,
        Err(error) => return Reading::Error(error.to_string()),
    };
    match answer(&mut request, http).await {
        Ok((status, body)) => request.read(status, &body),
        Err(why) => Reading::Error(why),
    }
}

/// What a comparison is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Comparing<'c> {
    /// The comparison as written, its defaults put in.
    pub compare: &'c Compare,
    /// What was found so far.
    pub before: Option<&'c Comparison>,
    /// When it began.
    pub began: Timestamp,
}

/// Asks Prometheus for what canary and stable counted since the last look. As [`measure`] otherwise.
pub async fn compare(
    provider: &PrometheusProvider,
    comparing: Comparing<'_>,
    args: &[AnalysisArgument],
    secrets: &Secrets,
    http: &HttpClients,
    default_url: Option<&str>,
    now: Timestamp,
) -> Reading {
    let known = known(comparing.before);
    let asked = Ask { provider, args, secrets, http, default_url, now };
    let milliseconds = now.as_millisecond();
    let range = query::range(&known, milliseconds);
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
        let texts = query::texts(compare);
        let values = values_for(texts, self.args, self.secrets).map_err(|e| e.to_string())?;
        let filled = |text: &Option<String>| {
            let text = text.as_deref().unwrap_or_default();
            substitute(text, &values).map_err(|error| error.to_string())
        };
        let arms = Arms {
            label: compare.label.clone().unwrap_or_default(),
            canary: filled(&compare.canary)?,
            stable: filled(&compare.stable)?,
        };
        let mut all = Vec::new();
        for (query, holds) in query::queries(compare, range) {
            let provider = PrometheusProvider { query, compare: None, ..self.provider.clone() };
            let made = request(&provider, self.args, self.secrets, self.default_url, self.now);
            let mut request = made.map_err(|error| error.to_string())?;
            let (status, body) = answer(&mut request, self.http).await?;
            all.extend(counters(&request.read_samples(status, &body)?, &arms, holds));
        }
        Ok((all, range))
    }
}

/// Asks the Prometheus at `url` for raw samples: `query` is a selector with a range.
///
/// # Errors
///
/// What went wrong, in words.
pub async fn samples(
    query: &str,
    url: &str,
    http: &HttpClients,
    timeout: Duration,
    now: Timestamp,
) -> Result<Vec<Series>, String> {
    let provider = PrometheusProvider {
        query: query.to_owned(),
        timeout: Some(crate::api::Duration(timeout)),
        ..PrometheusProvider::default()
    };
    series(&provider, &[], http, Some(url), now).await
}

/// Asks for series: with `range` in the provider the values at its steps up to `now`, else the raw
/// samples of a selector with a range.
///
/// # Errors
///
/// What went wrong, in words.
pub async fn series(
    provider: &PrometheusProvider,
    args: &[AnalysisArgument],
    http: &HttpClients,
    default_url: Option<&str>,
    now: Timestamp,
) -> Result<Vec<Series>, String> {
    let request = request(provider, args, &Secrets::new(), default_url, now);
    let mut request = request.map_err(|error| error.to_string())?;
    let (status, body) = answer(&mut request, http).await?;
    request.read_samples(status, &body)
}

/// Status and body of the answer to a request, which afterwards knows what must not be shown.
async fn answer(request: &mut Request, http: &HttpClients) -> Result<(u16, Vec<u8>), String> {
    if let Some(answer) = http.answered_here(request) {
        return Ok(answer);
    }
    let client = http.client(request)?;
    let built = built(&client, request)?;
    // A proxy that quotes the header quotes user and password, in base64.
    let header = built.headers().get(reqwest::header::AUTHORIZATION);
    request.hide(header.and_then(|value| value.to_str().ok()));
    send(&client, built, request).await
}

fn built(client: &reqwest::Client, request: &Request) -> Result<reqwest::Request, String> {
    let mut builder = client.post(request.url.clone()).timeout(request.timeout).form(&request.form);
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    if let Some((user, password)) = &request.basic {
        builder = builder.basic_auth(user, Some(password));
    }
    builder.build().map_err(|error| why(error, request))
}

/// Status and body of the answer.
async fn send(
    client: &reqwest::Client,
    built: reqwest::Request,
    request: &Request,
) -> Result<(u16, Vec<u8>), String> {
    let in_words = |error: reqwest::Error| why(error, request);
    let mut response = client.execute(built).await.map_err(in_words)?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(in_words)? {
        if body.len() + chunk.len() > ANSWER_BYTES {
            return Err(format!(
                "the answer of prometheus at {} is larger than {} MiB; aggregate in the query",
                request.host,
                ANSWER_BYTES / (1024 * 1024)
            ));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((status, body))
}

/// What went wrong on the wire, in words and without the address.
fn why(error: reqwest::Error, request: &Request) -> String {
    let host = &request.host;
    if error.is_timeout() {
        let timeout = crate::api::Duration(request.timeout);
        return format!("no answer from prometheus at {host} within {timeout}");
    }
    let error = error.without_url();
    let mut reason = request.redact(&error.to_string());
    let mut cause = error.source();
    while let Some(each) = cause {
        let io = each.downcast_ref::<io::Error>();
        if io.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            "connection refused".clone_into(&mut reason);
            break;
        }
        reason = request.redact(&each.to_string());
        cause = each.source();
    }
    if error.is_builder() {
        return format!("the request to prometheus at {host} cannot be made: {reason}");
    }
    if error.is_connect() {
        return format!("cannot reach prometheus at {host}: {reason}");
    }
    format!("prometheus at {host} did not answer in full: {reason}")
}

/// `text` without any of these secrets.
pub(super) fn redact(text: &str, secrets: &[String]) -> String {
    let mut longest_first: Vec<&String> = secrets.iter().filter(|each| !each.is_empty()).collect();
    longest_first.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    longest_first
        .into_iter()
        .fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
}

#[cfg(test)]
mod tests;
