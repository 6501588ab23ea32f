//! Users: a steady, bounded load through the gateway and through a client's sidecar, over
//! connections that are kept and over new ones. Every answer is kept.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::StreamExt;
use reqwest::{
    Client,
    header::{HOST, HeaderMap, HeaderName, HeaderValue},
};
use tokio::{sync::watch, task::JoinSet, time::MissedTickBehavior};

use crate::house::{GATEWAY, SIDECAR};

/// The longest time that a request may take; more counts as lost.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The longest time that users come by themselves, should a test forget to end them.
const LONGEST: Duration = Duration::from_mins(6);

/// One way in.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it is called: `gateway`, `sidecar`.
    pub name: &'static str,
    /// Where to connect, such as `http://127.0.0.10/`.
    pub url: String,
    /// The host that is asked for.
    pub host: String,
    /// Further headers.
    pub headers: Vec<(&'static str, &'static str)>,
    /// Whether connections are kept, or each request makes its own.
    pub keep_alive: bool,
    /// Requests a second.
    pub rate: u32,
}

impl Entry {
    /// From outside, through the gateway, over kept connections.
    pub fn gateway(host: &str, rate: u32) -> Self {
        Self {
            name: "gateway",
            url: format!("http://{}/", GATEWAY.ip),
            host: host.to_owned(),
            headers: Vec::new(),
            keep_alive: true,
            rate,
        }
    }

    /// From a client within the mesh, to a Service's port 80.
    pub fn sidecar(host: &str, rate: u32) -> Self {
        Self {
            name: "sidecar",
            url: format!("http://{}/", SIDECAR.ip),
            ..Self::gateway(host, rate)
        }
    }

    /// The same, with a new connection for each request.
    pub fn anew(self) -> Self {
        Self { keep_alive: false, ..self }
    }

    /// The same, with a header.
    pub fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same, with another path.
    pub fn path(mut self, path: &str) -> Self {
        self.url.push_str(path.trim_start_matches('/'));
        self
    }

    /// Whether a version answers now.
    pub async fn is_served(&self) -> bool {
        matches!(self.once().await, Outcome::Served(_))
    }

    /// What becomes of so many requests, ten at a time, and how long each takes.
    pub async fn several(&self, requests: usize) -> Vec<(Outcome, Duration)> {
        let client = self.client();
        let timed = (0..requests).map(|_| async {
            let began = Instant::now();
            let (outcome, _) = ask(&client, &self.url).await;
            (outcome, began.elapsed())
        });
        futures::stream::iter(timed).buffer_unordered(10).collect().await
    }

    /// What becomes of one request.
    pub async fn once(&self) -> Outcome {
        ask(&self.client(), &self.url).await.0
    }

    fn client(&self) -> Client {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(&self.host).expect("a host"));
        for (name, value) in &self.headers {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let idle = if self.keep_alive { usize::MAX } else { 0 };
        let client = Client::builder()
            .default_headers(headers)
            .pool_max_idle_per_host(idle)
            .no_proxy()
            // What users see is counted, not what a second try would give them.
            .retry(reqwest::retry::never())
            .timeout(TIMEOUT);
        client.build().expect("a client")
    }
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// This version answered.
    Served(String),
    /// This version answered with an error of its own.
    AppError(String),
    /// Nobody answered, or not the application: what was seen instead.
    Lost(String),
}

/// One request.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When it was sent.
    pub began: Instant,
    /// When it was answered.
    pub ended: Instant,
    /// The way in.
    pub entry: &'static str,
    /// The pod that answered; empty if none did.
    pub pod: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// Users that come until they are told to stop.
pub struct Load {
    samples: Arc<Mutex<Vec<Sample>>>,
    stop: watch::Sender<bool>,
    entries: JoinSet<()>,
}

impl Load {
    /// Lets them come.
    pub fn start(entries: &[Entry]) -> Self {
        let samples: Arc<Mutex<Vec<Sample>>> = Arc::default();
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for entry in entries {
            tasks.spawn(come(entry.clone(), samples.clone(), stopped.clone()));
        }
        Self { samples, stop, entries: tasks }
    }

    /// How many requests were answered, or lost, so far.
    pub fn answered(&self) -> usize {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Lets no more come, and waits for the last answers. Returns all, in the order of their answers.
    pub async fn finish(mut self) -> Vec<Sample> {
        let _ = self.stop.send(true);
        while self.entries.join_next().await.is_some() {}
        std::mem::take(&mut *self.samples.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Sends requests at an even rate, whether the ones before are answered or not.
async fn come(entry: Entry, samples: Arc<Mutex<Vec<Sample>>>, mut stopped: watch::Receiver<bool>) {
    let client = entry.client();
    let mut tick = tokio::time::interval(Duration::from_secs(1) / entry.rate);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = tokio::time::sleep(LONGEST);
    tokio::pin!(end);
    let mut requests = JoinSet::new();
    loop {
        tokio::select! {
            _ = tick.tick() => {
                let (client, url, name) = (client.clone(), entry.url.clone(), entry.name);
                let samples = samples.clone();
                requests.spawn(async move {
                    let began = Instant::now();
                    let (outcome, pod) = ask(&client, &url).await;
                    let sample = Sample { began, ended: Instant::now(), entry: name, pod, outcome };
                    samples.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
                });
                while requests.try_join_next().is_some() {}
            }
            _ = stopped.changed() => break,
            () = &mut end => break,
        }
    }
    while requests.join_next().await.is_some() {}
}

/// Sends one request and reads its answer to the end. Returns also which pod answered.
async fn ask(client: &Client, url: &str) -> (Outcome, String) {
    let answer = match client.get(url).send().await {
        Ok(answer) => answer,
        Err(error) => return (Outcome::Lost(chain(&error)), String::new()),
    };
    let status = answer.status();
    let header = |name: &str| {
        let value = answer.headers().get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    let (version, ours) = (header("x-version"), header("x-app-error").is_some());
    let pod = header("x-pod").unwrap_or_default();
    let outcome = match (answer.text().await, version) {
        (Err(error), _) => Outcome::Lost(format!("the answer broke off: {}", chain(&error))),
        (Ok(_), Some(version)) if status.is_success() => Outcome::Served(version),
        (Ok(_), Some(version)) if ours => Outcome::AppError(version),
        (Ok(text), _) => Outcome::Lost(format!("{status}: {}", text.trim())),
    };
    (outcome, pod)
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
