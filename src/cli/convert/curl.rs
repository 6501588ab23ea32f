//! An HTTP request as a Job.

use serde_json::{Value, json};

/// The image that has curl.
pub const IMAGE: &str = "curlimages/curl:8.11.1";

/// A request that must be answered with 2xx.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The address.
    pub url: String,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub body: Option<String>,
    /// The time that an answer may take.
    pub seconds: i64,
    /// Whether any certificate is good.
    pub insecure: bool,
}

/// The Job, as a provider or a step has it.
pub fn job(request: &Request) -> Value {
    let mut command = vec![
        "curl".to_owned(),
        "--silent".to_owned(),
        "--show-error".to_owned(),
        "--fail".to_owned(),
        format!("--max-time={}", request.seconds),
        format!("--request={}", request.method),
    ];
    command.extend(request.headers.iter().map(|(name, value)| format!("--header={name}: {value}")));
    command.extend(request.body.iter().map(|body| format!("--data-raw={body}")));
    if request.insecure {
        command.push("--insecure".to_owned());
    }
    command.push(request.url.clone());
    json!({"spec": {
        "backoffLimit": 0,
        "activeDeadlineSeconds": request.seconds + 60,
        "template": {
            "metadata": {"labels": {"sidecar.istio.io/inject": "false"}},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": false,
                "containers": [{"name": "request", "image": IMAGE, "command": command}],
            },
        },
    }})
}
