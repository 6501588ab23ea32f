//! A Slack workspace: the methods that the notifier uses, as Slack's reference describes them, with
//! their errors, limits and lost answers. And whoever else is told: webhooks and Alertmanager.
//!
//! In: requests. Out: answers, and what people would see in the channel.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::notify::http::{Answer, Failure, Request};

/// The token that it takes.
pub const TOKEN: &str = "xoxb-simulated";

/// The one channel.
pub const CHANNEL: &str = "C0RELEASES";

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its name, and its time.
    pub ts: String,
    /// The message whose thread it is in.
    pub thread: Option<String>,
    /// Its text.
    pub text: String,
    /// Its blocks.
    pub blocks: Value,
    /// Its metadata.
    pub metadata: Value,
    /// How often it was edited.
    pub edits: usize,
}

/// What a request meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not arrive, and the caller knows: no connection.
    Refuse,
    /// It does not arrive, and the caller does not know.
    Lose,
    /// It is carried out, and its answer is lost.
    LoseAnswer,
    /// 429, to be tried again after so many seconds.
    TooMany(u64),
    /// Another status code, and no JSON. Carried out or not.
    Status(u16, bool),
    /// `ok: false` with this code.
    Error(&'static str),
    /// The end of the caller: before the request arrives, or when it was carried out.
    Crash(bool),
}

/// A request to something that is not Slack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Where to, with its host.
    pub url: String,
    /// Its headers.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: String,
}

/// Decides what each call meets, by method and number; none for a call that goes well.
pub type Faults = Box<dyn FnMut(&str, usize) -> Option<Fault> + Send>;

/// A Slack workspace. Cheap to clone: all clones are one.
#[derive(Clone, Default)]
pub struct Slack(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    messages: Vec<Message>,
    whispers: Vec<Value>,
    told: Vec<Told>,
    calls: Vec<String>,
    faults: Option<Faults>,
    crash: bool,
    /// Requests with this text in them are lost.
    deaf: Option<String>,
    last: i64,
}

impl Slack {
    /// Lets `faults` decide what each call meets from now on.
    pub fn set_faults(&self, faults: Option<Faults>) {
        self.inner().faults = faults;
    }

    /// Requests with this text in them are lost from now on.
    pub fn set_deaf(&self, to: Option<String>) {
        self.inner().deaf = to;
    }

    /// The messages, in the order in which they came.
    pub fn messages(&self) -> Vec<Message> {
        self.inner().messages.clone()
    }

    /// What was said to one user alone.
    pub fn whispers(&self) -> Vec<Value> {
        self.inner().whispers.clone()
    }

    /// What was told to others.
    pub fn told(&self) -> Vec<Told> {
        self.inner().told.clone()
    }

    /// The methods that were called.
    pub fn calls(&self) -> Vec<String> {
        self.inner().calls.clone()
    }

    /// Somebody deletes a message.
    pub fn delete(&self, ts: &str) {
        self.inner().messages.retain(|message| message.ts != ts);
    }

    /// The channel as people see it: messages, their buttons, and their threads.
    pub fn shown(&self) -> String {
        let messages = self.messages();
        let mut text = String::new();
        for message in messages.iter().filter(|message| message.thread.is_none()) {
            let _ = writeln!(text, "{}", message.text);
            let buttons = message.buttons();
            if !buttons.is_empty() {
                let labels: Vec<&str> =
                    buttons.iter().filter_map(|one| one["text"]["text"].as_str()).collect();
                let _ = writeln!(text, "[{}]", labels.join("] ["));
            }
            let thread = messages.iter().filter(|one| one.thread.as_ref() == Some(&message.ts));
            for reply in thread {
                let _ = writeln!(text, "  | {}", reply.text.replace('\n', "\n  |   "));
            }
        }
        text
    }

    /// Whether the caller has come to its end since the last question.
    pub fn take_crash(&self) -> bool {
        std::mem::take(&mut self.inner().crash)
    }

    /// Answers a request.
    ///
    /// # Errors
    /// As its faults say.
    pub fn answer(&self, request: &Request, now: Timestamp) -> Result<Answer, Failure> {
        let mut inner = self.inner();
        let host = request.url.host_str().unwrap_or_default().to_owned();
        let path = request.url.path().to_owned();
        let method = path.rsplit('/').next().unwrap_or_default().to_owned();
        let called = if host.contains("slack") { method.clone() } else { host.clone() };
        inner.calls.push(called.clone());
        let number = inner.calls.len();
        let fault = inner.faults.as_mut().and_then(|faults| faults(&called, number));
        let body = request.body.as_deref().unwrap_or_default();
        let deaf = inner.deaf.as_ref().is_some_and(|text| body.contains(text.as_str()));
        let fault = if deaf { Some(Fault::Lose) } else { fault };
        inner.crash |= matches!(fault, Some(Fault::Crash(_)));
        let gone = |text: &str| Err(Failure::Unknown(text.to_owned()));
        match fault {
            Some(Fault::Refuse) => return Err(Failure::NotSent("connection refused".to_owned())),
            Some(Fault::Lose | Fault::Status(_, false) | Fault::Crash(false)) => {}
            Some(Fault::TooMany(seconds)) => {
                return Ok(Answer {
                    status: 429,
                    retry_after: Some(seconds),
                    body: r#"{"ok":false,"error":"ratelimited"}"#.to_owned(),
                });
            }
            Some(Fault::Error(code)) => return Ok(no(code)),
            None | Some(Fault::LoseAnswer | Fault::Status(_, true) | Fault::Crash(true)) => {
                let answer = if host.contains("slack") {
                    inner.call(&method, request, now)
                } else {
                    inner.tell(request)
                };
                if fault.is_none() {
                    return Ok(answer);
                }
            }
        }
        match fault {
            Some(Fault::Status(status, _)) => {
                Ok(Answer { status, retry_after: None, body: "<html>upstream</html>".to_owned() })
            }
            _ => gone("no answer within 4 s"),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Message {
    /// Its buttons.
    pub fn buttons(&self) -> Vec<Value> {
        let blocks = self.blocks.as_array().into_iter().flatten();
        let elements = blocks.filter_map(|block| block["elements"].as_array()).flatten();
        elements.filter(|element| element["type"] == "button").cloned().collect()
    }

    /// What a click on its button with this label sends, by this user.
    pub fn click(&self, label: &str, user: &str) -> Option<Value> {
        let button = self.buttons().into_iter().find(|one| one["text"]["text"] == label)?;
        Some(json!({
            "type": "block_actions",
            "user": {"id": user, "username": user, "team_id": "T1"},
            "team": {"id": "T1", "domain": "shop"},
            "api_app_id": "A1", "token": "deprecated", "trigger_id": "1.2.3",
            "container": {"type": "message", "message_ts": self.ts, "channel_id": CHANNEL},
            "channel": {"id": CHANNEL, "name": "releases"},
            "message": {"ts": self.ts, "text": self.text, "blocks": self.blocks},
            "response_url": "https://hooks.slack.com/actions/T1/1/x",
            "actions": [{
                "type": "button", "block_id": "sluice", "action_id": button["action_id"],
                "text": button["text"], "value": button["value"], "action_ts": "1.1",
            }],
        }))
    }
}

fn no(code: &str) -> Answer {
    let body = json!({"ok": false, "error": code}).to_string();
    Answer { status: 200, retry_after: None, body }
}

fn yes(mut body: Value) -> Answer {
    body["ok"] = json!(true);
    Answer { status: 200, retry_after: None, body: body.to_string() }
}

fn header<'r>(request: &'r Request, name: &str) -> &'r str {
    let mut headers = request.headers.iter();
    headers.find(|(other, _)| *other == name).map_or("", |(_, value)| value.as_str())
}

impl Inner {
    fn tell(&mut self, request: &Request) -> Answer {
        let headers = request.headers.iter();
        self.told.push(Told {
            url: request.url.to_string(),
            headers: headers.map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            body: request.body.clone().unwrap_or_default(),
        });
        Answer { status: 200, retry_after: None, body: String::new() }
    }

    fn call(&mut self, method: &str, request: &Request, now: Timestamp) -> Answer {
        if header(request, "authorization") != format!("Bearer {TOKEN}") {
            return no("invalid_auth");
        }
        if let Some(body) = &request.body {
            if !header(request, "content-type").starts_with("application/json") {
                return no("invalid_post_type");
            }
            let Ok(body) = serde_json::from_str::<Value>(body) else { return no("invalid_json") };
            if body["channel"] != CHANNEL {
                return no("channel_not_found");
            }
            return match method {
                "chat.postMessage" => self.post(&body, now),
                "chat.update" => self.update(&body),
                "chat.postEphemeral" => {
                    self.whispers.push(body);
                    yes(json!({"message_ts": "1.1"}))
                }
                _ => no("unknown_method"),
            };
        }
        let query: BTreeMap<String, String> = request.url.query_pairs().into_owned().collect();
        if query.get("channel").is_none_or(|channel| channel != CHANNEL) {
            return no("channel_not_found");
        }
        match method {
            "conversations.history" => {
                let oldest: f64 =
                    query.get("oldest").and_then(|text| text.parse().ok()).unwrap_or(0.0);
                let since = |one: &&Message| one.ts.parse().is_ok_and(|ts: f64| ts > oldest);
                let found = self.messages.iter().filter(|one| one.thread.is_none()).filter(since);
                // The newest come first.
                page(&found.rev().collect::<Vec<_>>(), &query)
            }
            "conversations.replies" => {
                let of = query.get("ts").cloned().unwrap_or_default();
                let found: Vec<&Message> = self
                    .messages
                    .iter()
                    .filter(|one| one.ts == of || one.thread.as_ref() == Some(&of))
                    .collect();
                if found.is_empty() { no("thread_not_found") } else { page(&found, &query) }
            }
            _ => no("unknown_method"),
        }
    }

    fn post(&mut self, body: &Value, now: Timestamp) -> Answer {
        if let Some(code) = malformed(body) {
            return no(code);
        }
        let thread = body["thread_ts"].as_str().map(str::to_owned);
        let stands = |ts: &String| self.messages.iter().any(|one| one.ts == *ts);
        if thread.as_ref().is_some_and(|thread| !stands(thread)) {
            return no("thread_not_found");
        }
        // No two messages of a channel have one time.
        self.last = now.as_microsecond().max(self.last + 1);
        let ts = format!("{}.{:06}", self.last / 1_000_000, self.last % 1_000_000);
        self.messages.push(Message {
            ts: ts.clone(),
            thread,
            text: body["text"].as_str().unwrap_or_default().to_owned(),
            blocks: body["blocks"].clone(),
            metadata: body["metadata"].clone(),
            edits: 0,
        });
        yes(json!({"channel": CHANNEL, "ts": ts, "message": {"text": body["text"]}}))
    }

    fn update(&mut self, body: &Value) -> Answer {
        if let Some(code) = malformed(body) {
            return no(code);
        }
        let mut messages = self.messages.iter_mut();
        let Some(message) = messages.find(|one| body["ts"] == *one.ts) else {
            return no("message_not_found");
        };
        body["text"].as_str().unwrap_or_default().clone_into(&mut message.text);
        message.blocks.clone_from(&body["blocks"]);
        message.edits += 1;
        yes(json!({"channel": CHANNEL, "ts": message.ts, "text": message.text}))
    }
}

/// What Slack would not take.
fn malformed(body: &Value) -> Option<&'static str> {
    let text = body["text"].as_str().unwrap_or_default();
    if text.is_empty() && body["blocks"].is_null() {
        return Some("no_text");
    }
    if text.chars().count() > 40_000 {
        return Some("msg_too_long");
    }
    for block in body["blocks"].as_array().into_iter().flatten() {
        let section = block["text"]["text"].as_str().unwrap_or_default();
        let elements = block["elements"].as_array().cloned().unwrap_or_default();
        let mut ids: Vec<&str> =
            elements.iter().filter_map(|one| one["action_id"].as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        let long = |one: &Value| {
            let length = |text: &Value| text.as_str().unwrap_or_default().chars().count();
            length(&one["text"]["text"]) > 75 || length(&one["value"]) > 2000
        };
        let empty = block["type"] == "section" && section.is_empty();
        if empty
            || section.chars().count() > 3000
            || ids.len() != elements.len()
            || elements.len() > 25
            || elements.iter().any(long)
        {
            return Some("invalid_blocks");
        }
    }
    if !body["metadata"].is_null() && !body["metadata"]["event_type"].is_string() {
        return Some("invalid_metadata_format");
    }
    None
}

/// A page of `messages`; the cursor is the number of those before it.
fn page(messages: &[&Message], query: &BTreeMap<String, String>) -> Answer {
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok());
    let (from, limit) = (number("cursor").unwrap_or(0), number("limit").unwrap_or(100).min(2));
    let metadata = query.get("include_all_metadata").is_some_and(|text| text == "true");
    let shown = |message: &&Message| {
        let mut shown = json!({"type": "message", "ts": message.ts, "text": message.text});
        if metadata {
            shown["metadata"] = message.metadata.clone();
        }
        shown
    };
    let all = messages.len();
    let found: Vec<Value> = messages.iter().skip(from).take(limit).map(shown).collect();
    let next = if from + limit < all { (from + limit).to_string() } else { String::new() };
    yes(json!({
        "messages": found, "has_more": !next.is_empty(),
        "response_metadata": {"next_cursor": next},
    }))
}
