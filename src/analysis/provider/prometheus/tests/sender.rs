//! The sender against a server in this process.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse;

use super::*;

/// Serves one fixed answer, and remembers what it was asked.
struct Server {
    address: String,
    asked: Arc<Mutex<Vec<(String, HeaderMap, String)>>>,
}

const ONE: &str = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"0.97"]}}"#;

async fn serve(
    answer: impl Fn(&Uri, &HeaderMap) -> axum::response::Response + Clone + Send + Sync + 'static,
) -> Server {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let router = Router::new().fallback(move |uri: Uri, headers: HeaderMap, body: Bytes| {
        let response = answer(&uri, &headers);
        let text = String::from_utf8_lossy(&body).into_owned();
        log.lock().expect("no panic").push((uri.to_string(), headers, text));
        async move { response }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Server { address, asked }
}

async fn ask(address: &str, yaml: &str, args_yaml: &str, of: &Secrets) -> Reading {
    let http = HttpClients::without_proxy();
    measure(&provider(yaml), &args(args_yaml), of, &http, Some(address), now()).await
}

fn why(reading: Reading) -> String {
    match reading {
        Reading::Error(why) => why,
        other => unreachable!("{other:?}"),
    }
}

#[tokio::test]
async fn a_query_is_posted_as_a_form_with_its_headers() {
    let server = serve(|_, _| ONE.into_response()).await;
    let of = secrets(&[("s", "token", "t0ken\n"), ("s", "user", "bob"), ("s", "password", "p")]);
    let yaml = "{query: 'up{a=\"b c\"}', headers: [{name: X-Scope-OrgID, value: shop}], \
                authentication: {bearer: {name: s, key: token}}}";
    assert_eq!(ask(&server.address, yaml, "[]", &of).await, Reading::scalar(0.97));
    let yaml = "{query: up, authentication: {basic: {username: {name: s, key: user}, password: {name: s, key: password}}}}";
    assert_eq!(ask(&server.address, yaml, "[]", &of).await, Reading::scalar(0.97));
    let asked = server.asked.lock().expect("no panic");
    let (uri, headers, body) = &asked[0];
    assert_eq!(uri, "/api/v1/query");
    assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(headers["x-scope-orgid"], "shop");
    assert_eq!(headers["authorization"], "Bearer t0ken");
    assert_eq!(body, "query=up%7Ba%3D%22b+c%22%7D&time=1795226400.250");
    assert_eq!(asked[1].1["authorization"], "Basic Ym9iOnA=");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let reading = ask(&format!("http://u:pw@{address}"), "query: up", "[]", &Secrets::new()).await;
    assert_eq!(why(reading), format!("cannot reach prometheus at {address}: connection refused"));
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let reading =
        ask(&format!("http://{address}"), "{query: up, timeout: 50ms}", "[]", &Secrets::new())
            .await;
    assert_eq!(why(reading), format!("no answer from prometheus at {address} within 50ms"));
}

#[tokio::test]
async fn no_secret_shows_whatever_the_server_says() {
    // A server that quotes all it was sent.
    let server = serve(|uri, headers| {
        let all = format!("{uri} {headers:?}");
        let error = serde_json::json!({"status": "error", "errorType": "bad_data", "error": all});
        (StatusCode::BAD_REQUEST, error.to_string()).into_response()
    })
    .await;
    let of =
        secrets(&[("s", "token", "t0ken"), ("s", "user", "bobby"), ("s", "password", "hunter2")]);
    let secret = "[{name: a, valueFrom: {secretKeyRef: {name: s, key: token}}}]";
    for yaml in [
        "{query: up, authentication: {bearer: {name: s, key: token}}}",
        "{query: up, authentication: {basic: {username: {name: s, key: user}, password: {name: s, key: password}}}}",
        "{query: up, headers: [{name: x, secretKeyRef: {name: s, key: token}}]}",
        "{query: up, headers: [{name: x, value: 'a{{args.a}}b'}]}",
        "{query: 'up{a=\"{{args.a}}\"}'}",
    ] {
        let why = why(ask(&server.address, yaml, secret, &of).await);
        for hidden in ["t0ken", "bobby", "hunter2", "Ym9iYnk6aHVudGVyMg=="] {
            assert!(!why.contains(hidden), "{yaml}: {why}");
        }
        assert!(why.contains("prometheus at 127.0.0.1:"), "{why}");
    }
    // Its own address does not show either when it holds a password.
    let with_password = server.address.replace("http://", "http://admin:s3cret@");
    let why = why(ask(&with_password, "query: up", "[]", &Secrets::new()).await);
    assert!(!why.contains("s3cret") && !why.contains("YWRtaW46czNjcmV0"), "{why}");
}

#[tokio::test]
async fn a_secret_does_not_show_in_another_spelling() {
    let server = serve(|_, headers| {
        let token = headers["x"].to_str().expect("text").replace('&', "&amp;").replace('<', "&lt;");
        (StatusCode::FORBIDDEN, format!("<h1>no such token: {token}</h1>")).into_response()
    })
    .await;
    let of = secrets(&[("s", "token", "a&b<c")]);
    let yaml = "{query: up, headers: [{name: x, secretKeyRef: {name: s, key: token}}]}";
    let why = why(ask(&server.address, yaml, "[]", &of).await);
    assert!(why.ends_with("answered 403: <h1>no such token: ***</h1>"), "{why}");
}

#[tokio::test]
async fn an_address_from_a_secret_is_not_shown() {
    // Hosts are written in small letters, and resolvers and TLS quote them.
    let of = secrets(&[("s", "host", "T0ken.invalid")]);
    let host = "[{name: host, valueFrom: {secretKeyRef: {name: s, key: host}}}]";
    for scheme in ["http", "https"] {
        let yaml = format!("{{query: up, address: '{scheme}://{{{{args.host}}}}/x'}}");
        let why = why(ask("http://127.0.0.1:1", &yaml, host, &of).await);
        assert!(!why.to_lowercase().contains("t0ken"), "{why}");
        assert!(why.contains("prometheus at an address from a Secret"), "{why}");
        assert!(why.contains("withheld, because the address holds a secret"), "{why}");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read_to_its_end() {
    let server = serve(|_, _| vec![b' '; ANSWER_BYTES + 1].into_response()).await;
    let why = why(ask(&server.address, "query: up", "[]", &Secrets::new()).await);
    assert!(why.contains("larger than 4 MiB; aggregate in the query"), "{why}");
}

#[tokio::test]
async fn redirects_are_followed_on_the_same_host_only_and_not_for_ever() {
    let server = serve(|uri, _| {
        if uri.path().starts_with("/new") {
            ONE.into_response()
        } else if uri.path().starts_with("/loop") {
            (StatusCode::TEMPORARY_REDIRECT, [("location", "/loop")]).into_response()
        } else if uri.path().starts_with("/away") {
            (StatusCode::TEMPORARY_REDIRECT, [("location", "http://localhost:1/")]).into_response()
        } else {
            (StatusCode::PERMANENT_REDIRECT, [("location", "/new/api/v1/query")]).into_response()
        }
    })
    .await;
    let none = Secrets::new();
    assert_eq!(ask(&server.address, "query: up", "[]", &none).await, Reading::scalar(0.97));
    assert!(
        server.asked.lock().expect("no panic")[1].2.starts_with("query=up"),
        "the form goes along"
    );
    for path in ["/loop", "/away"] {
        let address = format!("{}{path}", server.address);
        let why = why(ask(&address, "query: up", "[]", &none).await);
        assert!(why.contains("answered with a redirect (307)"), "{path}: {why}");
    }
}

#[tokio::test]
async fn certificates_that_are_none_are_named() {
    let of = secrets(&[("s", "ca", "not a certificate")]);
    let yaml = "{query: up, tls: {ca: {name: s, key: ca}}}";
    let why = why(ask("https://127.0.0.1:1", yaml, "[]", &of).await);
    assert!(why.contains("allowed are certificates in PEM"), "{why}");
    let yaml = "{query: up, tls: {insecureSkipVerify: true}}";
    let why = self::why(ask("https://127.0.0.1:1", yaml, "[]", &of).await);
    assert!(why.contains("connection refused"), "{why}");
}
