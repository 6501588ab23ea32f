//! The server behind a `kube::Client`, or behind a socket.

use std::{
    convert::Infallible,
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, ready},
    time::Duration,
};

use axum::body::Body;
use http::{HeaderMap, HeaderValue, header};
use kube::Client;
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch::Receiver};

use super::{Answer, Query, Refusal, Request, Resource, Store, Watch, handle, path, query::decode};

/// What a [`Hook`] sees of a request.
#[derive(Clone, Debug)]
pub struct RequestSummary {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: &'static str,
    /// The kind; none for discovery and its like.
    pub resource: Option<&'static Resource>,
    /// Namespace; empty for all, or for what is in none.
    pub namespace: String,
    /// Name; empty for a collection, and for what is created.
    pub name: String,
    /// `status`, `scale` and their like.
    pub subresource: Option<String>,
    /// Whether the answer may be of any time: of an old cache, of an API server that lags behind.
    pub any_version: bool,
    /// Who asks.
    pub user: String,
    /// The field manager.
    pub manager: String,
}

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It is answered so, and not carried out.
    Refuse(Refusal),
    /// It does not arrive, and the client sees a broken connection.
    Lose,
    /// It is carried out, but the client sees a broken connection.
    LoseAnswer,
}

/// Looks at each request before it is carried out, and may let it fail.
pub type Hook = Arc<dyn Fn(&RequestSummary) -> Option<Fault> + Send + Sync>;

/// The API server. Cheap to clone.
#[derive(Clone)]
pub struct Server {
    store: Arc<Mutex<Store>>,
    hook: Option<Hook>,
    user: String,
    user_agent: String,
}

impl Server {
    /// A server of these objects.
    pub fn new(store: Arc<Mutex<Store>>) -> Self {
        Self { store, hook: None, user: "user".to_owned(), user_agent: String::new() }
    }

    /// The same server, but with `hook` before every request.
    #[must_use]
    pub fn with_hook(self, hook: Hook) -> Self {
        Self { hook: Some(hook), ..self }
    }

    /// The same server for another user, whose client has this name (for requests without a
    /// `User-Agent`).
    #[must_use]
    pub fn with_user(self, user: &str, client: &str) -> Self {
        Self { user: user.to_owned(), user_agent: client.to_owned(), ..self }
    }

    /// A client of it. It needs no network; it does need a tokio runtime.
    pub fn client(&self) -> Client {
        Client::new(self.clone(), "default")
    }

    /// Serves it as plain HTTP, for a real kubectl.
    ///
    /// # Errors
    /// The listener fails.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let router = axum::Router::new().fallback(move |request: axum::extract::Request| {
            let server = self.clone();
            async move { server.answer_http(request).await }
        });
        axum::serve(listener, router).await
    }

    async fn answer_http(&self, request: axum::extract::Request) -> http::Response<Body> {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
        match self.answer(&parts, body.to_vec()) {
            Ok(answer) => answer,
            Err(_) => respond(Refusal::new(503, "ServiceUnavailable", "lost").into(), &self.store),
        }
    }

    /// Answers a request whose body has arrived.
    ///
    /// # Errors
    /// A fault breaks the connection.
    fn answer(
        &self,
        parts: &http::request::Parts,
        body: Vec<u8>,
    ) -> Result<http::Response<Body>, io::Error> {
        let request = self.request(parts, body);
        let fault = self.hook.as_ref().and_then(|hook| hook(&summary(&request)));
        let broken = || io::Error::new(io::ErrorKind::ConnectionReset, "the connection was reset");
        match fault {
            Some(Fault::Refuse(refusal)) => return Ok(respond(refusal.into(), &self.store)),
            Some(Fault::Lose) => return Err(broken()),
            _ => {}
        }
        let answer = handle(&mut lock(&self.store), &request);
        if matches!(fault, Some(Fault::LoseAnswer)) {
            return Err(broken());
        }
        Ok(respond(answer, &self.store))
    }

    fn request(&self, parts: &http::request::Parts, body: Vec<u8>) -> Request {
        let header = |name: &str| text(&parts.headers, name);
        let or = |text: String, other: &String| if text.is_empty() { other.clone() } else { text };
        Request {
            method: parts.method.as_str().to_owned(),
            path: decode(parts.uri.path(), false),
            query: Query::parse(parts.uri.query().unwrap_or_default()),
            content_type: header("content-type"),
            accept: header("accept"),
            user: or(header("x-remote-user"), &self.user),
            user_agent: or(header("user-agent"), &self.user_agent),
            body,
        }
    }
}

fn text(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

fn lock(store: &Mutex<Store>) -> MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

fn summary(request: &Request) -> RequestSummary {
    let target = path::parse(&request.path);
    let of = |part: fn(&path::Target) -> String| target.as_ref().map(part).unwrap_or_default();
    let manager = request.query.get("fieldManager").filter(|name| !name.is_empty());
    RequestSummary {
        verb: request.verb(),
        resource: target.as_ref().and_then(|target| target.resource),
        namespace: of(|target| target.namespace.to_owned()),
        name: of(|target| target.name.to_owned()),
        subresource: target.as_ref().and_then(|target| target.subresource).map(str::to_owned),
        any_version: request.query.get("resourceVersion") == Some("0"),
        user: request.user.clone(),
        manager: manager.unwrap_or_else(|| request.client()).to_owned(),
    }
}

impl tower::Service<http::Request<kube::client::Body>> for Server {
    type Response = http::Response<Body>;
    type Error = tower::BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<kube::client::Body>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect_bytes().await?;
            Ok(server.answer(&parts, body.to_vec())?)
        })
    }
}

fn respond(answer: Answer, store: &Arc<Mutex<Store>>) -> http::Response<Body> {
    let (status, kind, body, warnings) = match answer {
        Answer::Json { status, body, warnings } => {
            (status, "application/json", Body::from(body.to_string()), warnings)
        }
        Answer::Text { status, text } => {
            (status, "text/plain; charset=utf-8", Body::from(text), Vec::new())
        }
        Answer::Watch(watch) => {
            let stream = Stream::new(*watch, store.clone());
            (200, "application/json", Body::from_stream(stream), Vec::new())
        }
    };
    let mut response = http::Response::new(body);
    *response.status_mut() =
        http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    for warning in warnings {
        let text = format!("299 - {warning:?}");
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.append(header::WARNING, value);
        }
    }
    response
}

/// The events of a watch, one JSON value a line.
struct Stream {
    watch: Watch,
    store: Arc<Mutex<Store>>,
    next: Pin<Box<dyn Future<Output = Receiver<u64>> + Send>>,
    end: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Stream {
    fn new(watch: Watch, store: Arc<Mutex<Store>>) -> Self {
        let mut changed = lock(&store).changed();
        changed.mark_changed();
        let end = watch
            .seconds()
            .map(|seconds| Box::pin(tokio::time::sleep(Duration::from_secs(seconds))));
        Self { watch, store, next: next(changed), end }
    }
}

/// Waits for a change. The store lives as long as the stream, so there is always a next one.
fn next(mut changed: Receiver<u64>) -> Pin<Box<dyn Future<Output = Receiver<u64>> + Send>> {
    Box::pin(async move {
        if changed.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        changed
    })
}

fn lines(events: &[Value]) -> String {
    events.iter().flat_map(|event| [event.to_string(), "\n".to_owned()]).collect()
}

impl futures::Stream for Stream {
    type Item = Result<String, Infallible>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> Poll<Option<Self::Item>> {
        if self.watch.is_over() {
            return Poll::Ready(None);
        }
        if let Some(end) = &mut self.end
            && end.as_mut().poll(context).is_ready()
        {
            let last = self.watch.last();
            return Poll::Ready(last.map(|event| Ok(lines(&[event]))));
        }
        loop {
            let changed = ready!(self.next.as_mut().poll(context));
            self.next = next(changed);
            let this = &mut *self;
            let events = this.watch.events(&lock(&this.store));
            if !events.is_empty() {
                return Poll::Ready(Some(Ok(lines(&events))));
            }
        }
    }
}
