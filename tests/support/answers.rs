//! A Prometheus in this process that others can reach.

use sluice::sim::prometheus::{Database, http::answer};

/// Serves the API of Prometheus over these samples. Returns the address.
pub fn serve(samples: Database) -> String {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async move {
            let samples = std::sync::Arc::new(samples);
            let reply = move |request: axum::extract::Request| {
                let samples = samples.clone();
                async move {
                    let (method, path) =
                        (request.method().clone(), request.uri().path().to_owned());
                    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await;
                    let body = String::from_utf8_lossy(&body.expect("a body")).into_owned();
                    let now = jiff::Timestamp::UNIX_EPOCH;
                    let (status, json) = answer(method.as_str(), &path, "", &body, &samples, now);
                    let status = http::StatusCode::from_u16(status).expect("a status");
                    (status, json.to_string())
                }
            };
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            tell.send(listener.local_addr().expect("an address")).expect("somebody waits");
            let router = axum::Router::new().fallback(reply);
            axum::serve(listener, router).await.expect("it serves");
        });
    });
    format!("http://{}", told.recv().expect("an address"))
}
