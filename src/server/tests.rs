//! What anybody on the network may ask, and how little it is.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{listener::LIFETIME, *};

async fn served() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let metrics = Arc::new(Metrics::default());
    metrics.observe(
        &("shop".to_owned(), "web".to_owned()),
        &crate::api::RolloutStatus {
            message: "a message".to_owned(),
            ..crate::api::RolloutStatus::default()
        },
    );
    tokio::spawn(axum::serve(Short::new(listener), router(Arc::default(), metrics)).into_future());
    address
}

/// Sends text and reads until the other side closes.
async fn said(address: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn asked(address: SocketAddr, line: &str) -> String {
    said(address, &format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await
}

#[tokio::test]
async fn there_are_three_pages_and_they_are_only_read() {
    let address = served().await;
    for page in ["/healthz", "/metrics"] {
        assert!(asked(address, &format!("GET {page}")).await.starts_with("HTTP/1.1 200"), "{page}");
    }
    assert!(asked(address, "GET /readyz").await.starts_with("HTTP/1.1 503"));
    for page in
        ["/", "/debug/pprof", "/healthz/", "/metrics/../secrets", "/config", "/api", "//metrics"]
    {
        let answer = asked(address, &format!("GET {page}")).await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{page}: {answer}");
        assert!(answer.ends_with("\r\n\r\n"), "nothing is said: {answer}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS"] {
        let answer = asked(address, &format!("{method} /metrics")).await;
        assert!(answer.starts_with("HTTP/1.1 405"), "{method}: {answer}");
    }
}

#[tokio::test]
async fn metrics_tell_of_objects_their_names_and_phases_alone() {
    let answer = asked(served().await, "GET /metrics").await;
    assert!(answer.contains(r#"namespace="shop",name="web""#), "{answer}");
    assert!(!answer.contains("a message"), "{answer}");
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let address = served().await;
    let header = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(1 << 20));
    let mut stream = TcpStream::connect(address).await.unwrap();
    // It may close before it has taken all of it.
    let _ = stream.write_all(header.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(!answer.contains("200 OK"), "{answer}");
    assert!(asked(address, "GET /healthz").await.starts_with("HTTP/1.1 200"), "others are served");
}

#[tokio::test(start_paused = true)]
async fn who_never_ends_a_request_is_cut_off_and_keeps_nobody_out() {
    let address = served().await;
    let mut slow = Vec::new();
    for _ in 0..listener::CONNECTIONS + 20 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /healthz HT").await.unwrap();
        slow.push(stream);
    }
    let began = tokio::time::Instant::now();
    assert!(asked(address, "GET /healthz").await.starts_with("HTTP/1.1 200"));
    assert!(began.elapsed() <= LIFETIME * 3, "{:?}", began.elapsed());
    let mut first = slow.swap_remove(0);
    let mut rest = Vec::new();
    let _ = first.read_to_end(&mut rest).await;
    assert!(!String::from_utf8_lossy(&rest).contains("200"), "it was cut off");
}

/// Where Slack tells of clicks, without a configuration.
async fn clickable() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (desk, _) = crate::notify::clicks::desk(Arc::default());
    let actions = actions::Actions { desk, now: Arc::new(|| jiff::Timestamp::UNIX_EPOCH) };
    tokio::spawn(axum::serve(Short::new(listener), actions::router(actions)).into_future());
    address
}

#[tokio::test]
async fn clicks_are_posted_and_nothing_is_said_to_who_is_not_slack() {
    let address = clickable().await;
    let answer = asked(address, "GET /slack/actions").await;
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    let post = |length: usize| {
        format!(
            "POST /slack/actions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             content-length: {length}\r\n\r\n{}",
            "y".repeat(length)
        )
    };
    let answer = said(address, &post(10)).await;
    assert!(answer.starts_with("HTTP/1.1 404") && answer.ends_with("\r\n\r\n"), "{answer}");
    let mut stream = TcpStream::connect(address).await.unwrap();
    // It may close before it has taken all of it.
    let _ = stream.write_all(post(1 << 20).as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");
}
