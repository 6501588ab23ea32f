//! What is sent to Prometheus.
//!
//! In: a provider with the values of its arguments and Secrets. Out: a request, and what must not
//! be shown of it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Url;

use super::{Series, TIMEOUT, answer, redact};
use crate::analysis::arguments::{
    ArgumentError, Secrets, placeholders, prometheus_texts, secret_arguments, substitute,
    values_for,
};
use crate::analysis::verdict::Reading;
use crate::api::{AnalysisArgument, Header, PrometheusProvider, SecretKeyRef};

/// A request to Prometheus.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// Where to, without user and password.
    pub url: Url,
    /// Host and port, as messages may show them.
    pub host: String,
    /// The fields of the form.
    pub form: Vec<(&'static str, String)>,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// User name and password.
    pub basic: Option<(String, String)>,
    /// Time that the answer may take.
    pub timeout: Duration,
    /// True accepts any certificate.
    pub insecure_skip_verify: bool,
    /// Certificates (PEM) of further authorities.
    pub ca: Option<String>,
    /// What no message may show.
    hidden: Vec<String>,
    /// What a secret is part of, the query or the address: errors quote pieces of these, in other
    /// spellings too, so that none is shown.
    withheld: Option<&'static str>,
}

/// Why nothing can be sent. No text holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// An argument is missing.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// A Secret or its key is missing.
    #[error("{field}: there is no key \"{key}\" in a Secret \"{secret}\"")]
    NoSecret {
        /// The field that refers to it.
        field: &'static str,
        /// The Secret.
        secret: String,
        /// The key in it.
        key: String,
    },
    /// No address anywhere.
    #[error(
        "address: found none, allowed is one in the metric or --prometheus-url of the controller"
    )]
    NoAddress,
    /// The address is not one.
    #[error("address: found {0}, allowed is an address such as http://prometheus.monitoring:9090")]
    Address(&'static str),
}

/// Makes the request: form-encoded to `/api/v1/query`, or with a range to `/api/v1/query_range`,
/// below the path of the address.
///
/// # Errors
///
/// An argument, Secret or address is missing or wrong.
pub fn request(
    provider: &PrometheusProvider,
    args: &[AnalysisArgument],
    secrets: &Secrets,
    default_url: Option<&str>,
    now: Timestamp,
) -> Result<Request, RequestError> {
    let values = values_for(prometheus_texts(provider), args, secrets)?;
    let address = match &provider.address {
        Some(address) => substitute(address, &values)?,
        None => default_url.ok_or(RequestError::NoAddress)?.to_owned(),
    };
    let mut hidden: Vec<String> = secrets.values().cloned().collect();
    // A trailing line break is common in Secrets made from files, and is not part of the value.
    hidden.extend(secrets.values().map(|value| value.trim().to_owned()));
    hidden.extend(secrets.values().flat_map(|value| spellings(value.trim())));
    let (url, in_address) = endpoint(&address, provider.range.is_some())?;
    if let Some((user, password)) = &in_address {
        hidden.extend([user.clone(), password.clone()]);
    }
    let (headers, basic) = log_in(provider, &values, secrets)?;
    let query = substitute(&provider.query, &values)?;
    let from_secrets = secret_arguments(args);
    let holds_secret = |text: &str| -> Result<bool, RequestError> {
        Ok(placeholders(text)?.iter().any(|name| from_secrets.contains_key(name)))
    };
    let withheld = if holds_secret(provider.address.as_deref().unwrap_or_default())? {
        Some("address")
    } else {
        holds_secret(&provider.query)?.then_some("query")
    };
    let tls = provider.tls.clone().unwrap_or_default();
    let ca = tls.ca.as_ref().map(|ca| secret("tls.ca", ca, secrets)).transpose()?;
    Ok(Request {
        host: match withheld {
            Some("address") => "an address from a Secret".to_owned(),
            _ => host(&url),
        },
        form: form(provider, query, now),
        url,
        headers,
        basic: basic.or(in_address),
        timeout: provider.timeout.map_or(TIMEOUT, |timeout| timeout.0),
        insecure_skip_verify: tls.insecure_skip_verify,
        ca,
        hidden,
        withheld,
    })
}

impl Request {
    /// What somebody else says, without secrets.
    pub(super) fn redact(&self, text: &str) -> String {
        match self.withheld {
            Some(what) if !text.is_empty() => {
                format!("(withheld, because the {what} holds a secret)")
            }
            _ => redact(text, &self.hidden),
        }
    }

    /// Adds the header with which the request logs in to what no message may show.
    pub(super) fn hide(&mut self, header: Option<&str>) {
        let value = header.map(|header| header.rsplit(' ').next().unwrap_or(header));
        self.hidden.extend(value.map(str::to_owned));
    }

    /// Reads an answer. What the server says is shown without secrets, and not at all where the
    /// query holds one.
    pub(super) fn read(&self, status: u16, body: &[u8]) -> Reading {
        answer::parse(&self.host, status, body, &|text| self.redact(text))
    }

    /// The same for raw samples.
    pub(super) fn read_samples(&self, status: u16, body: &[u8]) -> Result<Vec<Series>, String> {
        answer::samples(&self.host, status, body, &|text| self.redact(text))
    }
}

/// The address of the API and, taken out of it, user and password.
fn endpoint(address: &str, range: bool) -> Result<(Url, Option<(String, String)>), RequestError> {
    let mut url = Url::parse(address.trim())
        .map_err(|_| RequestError::Address("something that is not an address"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(RequestError::Address("an address without http:// or https://"));
    }
    let last = if range { "query_range" } else { "query" };
    url.path_segments_mut()
        .map_err(|()| RequestError::Address("an address without a host"))?
        .pop_if_empty()
        .extend(["api", "v1", last]);
    let log_in = (!url.username().is_empty() || url.password().is_some()).then(|| {
        let password = url.password().unwrap_or_default();
        (decoded(url.username()), decoded(password))
    });
    let cleared = url.set_username("").is_ok() && url.set_password(None).is_ok();
    if !cleared {
        return Err(RequestError::Address("an address without a host"));
    }
    url.set_fragment(None);
    Ok((url, log_in))
}

/// How pages and addresses write a text.
fn spellings(text: &str) -> [String; 3] {
    let in_page = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let quoted = in_page.replace('"', "&quot;").replace('\'', "&#39;");
    let in_address = form_urlencoded(text);
    [in_page, quoted, in_address]
}

fn form_urlencoded(text: &str) -> String {
    let mut url = Url::parse("http://x").ok();
    if let Some(url) = &mut url {
        url.query_pairs_mut().append_key_only(text);
    }
    url.and_then(|url| url.query().map(str::to_owned)).unwrap_or_default()
}

/// `%40` as `@`: user names and passwords are percent-encoded in addresses.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = code.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn form(
    provider: &PrometheusProvider,
    query: String,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let at = |time: Timestamp| {
        let millis = time.as_millisecond();
        format!("{}.{:03}", millis.div_euclid(1000), millis.rem_euclid(1000))
    };
    let Some(range) = &provider.range else {
        return vec![("query", query), ("time", at(now))];
    };
    let lookback = jiff::SignedDuration::try_from(range.lookback.0);
    let start = lookback.ok().and_then(|lookback| now.checked_sub(lookback).ok());
    vec![
        ("query", query),
        ("start", at(start.unwrap_or(Timestamp::UNIX_EPOCH))),
        ("end", at(now)),
        ("step", range.step.as_secs_f64().to_string()),
    ]
}

type Headers = Vec<(String, String)>;

fn log_in(
    provider: &PrometheusProvider,
    values: &BTreeMap<String, String>,
    secrets: &Secrets,
) -> Result<(Headers, Option<(String, String)>), RequestError> {
    let mut headers = Vec::new();
    for Header { name, value, secret_key_ref } in &provider.headers {
        let value = match (value, secret_key_ref) {
            (_, Some(source)) => secret("headers", source, secrets)?,
            (value, None) => substitute(value.as_deref().unwrap_or_default(), values)?,
        };
        headers.push((name.clone(), value.trim().to_owned()));
    }
    let Some(how) = &provider.authentication else {
        return Ok((headers, None));
    };
    if let Some(bearer) = &how.bearer {
        let token = secret("authentication.bearer", bearer, secrets)?;
        headers.push(("authorization".to_owned(), format!("Bearer {token}")));
    }
    let basic = how.basic.as_ref().map(|basic| {
        Ok::<_, RequestError>((
            secret("authentication.basic.username", &basic.username, secrets)?,
            secret("authentication.basic.password", &basic.password, secrets)?,
        ))
    });
    Ok((headers, basic.transpose()?))
}

/// The value of a Secret, without the line break at its end.
fn secret(
    field: &'static str,
    source: &SecretKeyRef,
    secrets: &Secrets,
) -> Result<String, RequestError> {
    secrets
        .get(&(source.name.clone(), source.key.clone()))
        .map(|value| value.trim().to_owned())
        .ok_or_else(|| RequestError::NoSecret {
            field,
            secret: source.name.clone(),
            key: source.key.clone(),
        })
}
