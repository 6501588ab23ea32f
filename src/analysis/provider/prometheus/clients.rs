//! HTTP clients, one for each way to check certificates, so that connections are kept.
//!
//! In: what a request asks of TLS. Out: a client.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::{Certificate, Client, StatusCode, redirect};

use super::Request;

/// Clients that are kept. A new CA makes a new one: old ones are dropped then and again.
const KEPT: usize = 32;

/// Most redirects that are followed.
const REDIRECTS: usize = 3;

/// A Prometheus in this process, which answers in the place of those on the network.
pub trait InProcess: Send + Sync + std::fmt::Debug {
    /// Status code and body of the answer.
    fn answer(&self, request: &Request) -> (u16, Vec<u8>);
}

/// The clients of the controller. Cheap to share behind an `Arc`.
#[derive(Debug, Default)]
pub struct HttpClients {
    clients: Mutex<BTreeMap<(bool, Option<String>), Client>>,
    direct: bool,
    in_process: Option<Arc<dyn InProcess>>,
}

impl HttpClients {
    /// Clients that use the proxy of the environment (`HTTPS_PROXY`, `NO_PROXY`), if there is one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Clients that use no proxy.
    pub fn without_proxy() -> Self {
        let direct = true;
        Self { direct, ..Self::default() }
    }

    /// No clients: all requests go to `prometheus`, whatever their address.
    pub fn in_process(prometheus: Arc<dyn InProcess>) -> Self {
        Self { in_process: Some(prometheus), ..Self::default() }
    }

    /// The answer to a request, if it needs no network.
    pub(super) fn answered_here(&self, request: &Request) -> Option<(u16, Vec<u8>)> {
        Some(self.in_process.as_ref()?.answer(request))
    }

    /// The client for a request.
    ///
    /// # Errors
    ///
    /// The CA is not PEM, or the TLS library cannot be set up. In words.
    pub(super) fn client(&self, request: &Request) -> Result<Client, String> {
        let key = (request.insecure_skip_verify, request.ca.clone());
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = self.build(key.0, key.1.as_deref())?;
        if clients.len() >= KEPT {
            clients.clear();
        }
        clients.insert(key, client.clone());
        Ok(client)
    }

    fn build(&self, insecure: bool, ca: Option<&str>) -> Result<Client, String> {
        let mut builder = Client::builder()
            .redirect(redirect::Policy::custom(follow))
            .tls_danger_accept_invalid_certs(insecure);
        if self.direct {
            builder = builder.no_proxy();
        }
        if let Some(ca) = ca {
            let certificates = Certificate::from_pem_bundle(ca.as_bytes()).ok();
            let certificates = certificates.filter(|certificates| !certificates.is_empty());
            builder = builder.tls_certs_merge(
                certificates
                    .ok_or("tls.ca: found no certificate, allowed are certificates in PEM")?,
            );
        }
        builder
            .build()
            .map_err(|error| format!("the TLS client cannot be set up: {}", error.without_url()))
    }
}

/// Follows what keeps method and body, to the same host only: headers may hold secrets.
fn follow(attempt: redirect::Attempt) -> redirect::Action {
    let keeps_body =
        matches!(attempt.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
    let previous = attempt.previous();
    let from = previous.last();
    let same_host = from.is_some_and(|from| {
        from.host_str() == attempt.url().host_str()
            && from.port() == attempt.url().port()
            && !(from.scheme() == "https" && attempt.url().scheme() == "http")
    });
    if keeps_body && same_host && previous.len() <= REDIRECTS {
        attempt.follow()
    } else {
        attempt.stop()
    }
}
