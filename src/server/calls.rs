//! Counts the calls to the API server by verb and resource.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Method, Request, Response};
use tower::{Layer, Service};

use super::metrics::Metrics;

/// A layer that counts calls.
#[derive(Clone)]
pub struct CountCalls(pub Arc<Metrics>);

impl<S> Layer<S> for CountCalls {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, metrics: self.0.clone() }
    }
}

/// A service whose calls are counted.
#[derive(Clone)]
pub struct Counted<S> {
    inner: S,
    metrics: Arc<Metrics>,
}

impl<S, B, R> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (verb, resource) = name(request.method(), request.uri());
        let metrics = self.metrics.clone();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            let code = answer.as_ref().map_or(0, |answer| answer.status().as_u16());
            metrics.called(verb, &resource, code);
            answer
        })
    }
}

/// Verb and resource of a call, as the API server's audit log has them: never a name of an object.
fn name(method: &Method, uri: &http::Uri) -> (&'static str, String) {
    let mut parts = uri.path().split('/').filter(|part| !part.is_empty());
    // /api/v1/… or /apis/GROUP/VERSION/…
    let skip = if parts.next() == Some("api") { 1 } else { 2 };
    let mut rest = parts.skip(skip).peekable();
    let mut resource = rest.next().unwrap_or("discovery");
    if resource == "namespaces" && rest.peek().is_some() {
        rest.next();
        resource = rest.next().unwrap_or("namespaces");
    }
    let named = rest.next().is_some();
    let subresource = rest.next();
    let watch = uri.query().is_some_and(|query| query.contains("watch=true"));
    let verb = match *method {
        Method::GET if watch => "watch",
        Method::GET if named => "get",
        Method::GET => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "other",
    };
    let resource =
        subresource.map_or_else(|| resource.to_owned(), |sub| format!("{resource}/{sub}"));
    (verb, resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_named_as_in_the_audit_log() {
        for (method, uri, verb, resource) in [
            (Method::GET, "/api/v1/namespaces/shop/pods?watch=true&x=y", "watch", "pods"),
            (Method::GET, "/api/v1/pods?limit=500", "list", "pods"),
            (
                Method::PATCH,
                "/apis/sluice.dev/v1alpha1/namespaces/a/rollouts/b/status",
                "patch",
                "rollouts/status",
            ),
            (Method::POST, "/apis/apps/v1/namespaces/a/replicasets", "create", "replicasets"),
            (Method::GET, "/apis/networking.istio.io/v1", "list", "discovery"),
            (
                Method::PATCH,
                "/api/v1/namespaces/a/services/b?fieldManager=sluice",
                "patch",
                "services",
            ),
        ] {
            let uri: http::Uri = uri.parse().unwrap();
            assert_eq!(name(&method, &uri), (verb, resource.to_owned()), "{uri}");
        }
    }
}
