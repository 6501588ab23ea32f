//! Requests to whoever is told, and what is known of those that got no answer.

use std::{error::Error as _, fmt, sync::Arc, time::Duration};

use reqwest::{Client, Url, redirect};

/// Time that an answer may take. Within it an old leader's post has arrived, or never will
/// (`next::SETTLE`).
pub const TIMEOUT: Duration = Duration::from_secs(4);

/// Largest answer that is read, in bytes.
const LARGEST: usize = 4 * 1024 * 1024;

/// A request: with a body it is a POST, without one a GET.
#[derive(Clone)]
pub struct Request {
    /// Where to.
    pub url: Url,
    /// Its headers, some of which are secret.
    pub headers: Vec<(&'static str, String)>,
    /// Its body.
    pub body: Option<String>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers and addresses may hold secrets.
        f.debug_struct("Request").field("body", &self.body).finish_non_exhaustive()
    }
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Its status code.
    pub status: u16,
    /// Seconds after which to try again, if it says so.
    pub retry_after: Option<u64>,
    /// Its body.
    pub body: String,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The request has not arrived.
    #[error("{0}")]
    NotSent(String),
    /// It may have been carried out.
    #[error("{0}")]
    Unknown(String),
}

/// Somebody in this process who answers in the place of those on the network.
pub trait InProcess: Send + Sync {
    /// The answer to a request.
    ///
    /// # Errors
    /// As of a network.
    fn answer(&self, request: &Request) -> Result<Answer, Failure>;
}

/// The way to whoever is told.
#[derive(Clone)]
pub enum Http {
    /// By the network; none if the TLS library cannot be set up.
    Network(Option<Client>),
    /// Within this process.
    InProcess(Arc<dyn InProcess>),
}

impl Default for Http {
    fn default() -> Self {
        let client = Client::builder().timeout(TIMEOUT).redirect(redirect::Policy::none()).build();
        Self::Network(client.ok())
    }
}

impl Http {
    /// Sends a request.
    ///
    /// # Errors
    /// In words, without the address: it may hold a secret.
    pub async fn send(&self, request: Request) -> Result<Answer, Failure> {
        match self {
            Self::InProcess(other) => other.answer(&request),
            Self::Network(None) => Err(Failure::NotSent("TLS cannot be set up".to_owned())),
            Self::Network(Some(client)) => over_the_network(client, request).await,
        }
    }
}

async fn over_the_network(client: &Client, request: Request) -> Result<Answer, Failure> {
    let mut builder = match request.body {
        Some(body) => client.post(request.url).body(body),
        None => client.get(request.url),
    };
    for (name, value) in request.headers {
        builder = builder.header(name, value);
    }
    let mut response = builder.send().await.map_err(failure)?;
    let header = response.headers().get(reqwest::header::RETRY_AFTER);
    let retry_after = header.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failure)? {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST {
            return Err(Failure::Unknown("the answer is larger than 4 MiB".to_owned()));
        }
    }
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(Answer { status, retry_after, body })
}

/// What is known of a request without an answer: only one that could not connect has not arrived.
fn failure(error: reqwest::Error) -> Failure {
    if error.is_timeout() && !error.is_connect() {
        return Failure::Unknown(format!("no answer within {} s", TIMEOUT.as_secs()));
    }
    let error = error.without_url();
    let mut reason = error.to_string();
    let mut cause = error.source();
    while let Some(each) = cause {
        reason = each.to_string();
        cause = each.source();
    }
    if error.is_connect() || error.is_builder() {
        Failure::NotSent(format!("cannot connect: {reason}"))
    } else {
        Failure::Unknown(format!("no answer: {reason}"))
    }
}
