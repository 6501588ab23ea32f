//! Slack's Web API: requests, and what its answers mean.
//!
//! In: what to post. Out: requests; and of an answer, whether it was carried out, was not, or nobody
//! knows.

use serde_json::{Value, json};

use super::super::{
    config::Slack,
    http::{Answer, Failure, Request},
};

/// `event_type` of the metadata of our messages.
const EVENT_TYPE: &str = "sluice_release";

/// Messages that one page of a search has.
const PAGE: &str = "100";

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was carried out; this is the answer.
    Done(Value),
    /// It was not, and may be tried again after so many seconds: there were too many.
    Later(u64),
    /// It was not, for this reason; another try may succeed.
    Failed(String),
    /// It was not: a person must change something first.
    Refused(String),
    /// The message that it is about is not there.
    Gone,
    /// Nobody knows.
    Unknown(String),
}

/// Codes that say that the same call may succeed later, and was not carried out.
const TRANSIENT: [&str; 4] =
    ["service_unavailable", "team_added_to_org", "accesslimited", "org_login_required"];

/// Codes after which the call may have been carried out, as Slack's reference says.
const UNCERTAIN: [&str; 3] = ["fatal_error", "internal_error", "request_timeout"];

/// Codes that say that a message cannot be reached any more.
const GONE: [&str; 4] =
    ["message_not_found", "thread_not_found", "cannot_reply_to_message", "thread_locked"];

/// What an answer means.
pub fn read(answer: Result<Answer, Failure>) -> Outcome {
    let answer = match answer {
        Ok(answer) => answer,
        Err(Failure::NotSent(why)) => return Outcome::Failed(why),
        Err(Failure::Unknown(why)) => return Outcome::Unknown(why),
    };
    if answer.status == 429 {
        return Outcome::Later(answer.retry_after.unwrap_or(1));
    }
    let status = answer.status;
    if status >= 500 {
        return Outcome::Unknown(format!("Slack answered {status}"));
    }
    let Ok(body) = serde_json::from_str::<Value>(&answer.body) else {
        return Outcome::Unknown(format!("Slack answered {status} and no JSON"));
    };
    if body["ok"] == true {
        return Outcome::Done(body);
    }
    let code = body["error"].as_str().unwrap_or("no error code");
    match code {
        "ratelimited" | "rate_limited" | "message_limit_exceeded" => {
            Outcome::Later(answer.retry_after.unwrap_or(30))
        }
        code if TRANSIENT.contains(&code) => Outcome::Failed(code.to_owned()),
        code if UNCERTAIN.contains(&code) => Outcome::Unknown(code.to_owned()),
        code if GONE.contains(&code) => Outcome::Gone,
        code => Outcome::Refused(explained(code, body["needed"].as_str())),
    }
}

/// An error code with what to do about it.
fn explained(code: &str, needed: Option<&str>) -> String {
    let advice = match code {
        "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired" => {
            "check `slack-token` in the Secret".to_owned()
        }
        "channel_not_found" => "check the channel's id, and invite the app to it".to_owned(),
        "not_in_channel" => "invite the app to the channel".to_owned(),
        "is_archived" => "the channel is archived".to_owned(),
        "missing_scope" => format!("the app needs the scope {}", needed.unwrap_or("chat:write")),
        _ => return code.to_owned(),
    };
    format!("{code}: {advice}")
}

/// What tells our messages apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The release: uid of the Rollout, revision, start and attempt.
    pub release: String,
    /// 0 for the message, and the number of a fact in its thread.
    pub number: u32,
}

impl Mark {
    fn metadata(&self) -> Value {
        let payload = json!({"release": self.release, "number": self.number});
        json!({"event_type": EVENT_TYPE, "event_payload": payload})
    }

    fn is_on(&self, message: &Value) -> bool {
        message["metadata"] == self.metadata()
    }
}

/// Where a message stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Id of the channel.
    pub channel: String,
    /// The message's time, which is its name.
    pub ts: String,
}

impl Place {
    /// Reads what the outbox has.
    pub fn read(text: &str) -> Option<Self> {
        let (channel, ts) = text.split_once('/')?;
        Some(Self { channel: channel.to_owned(), ts: ts.to_owned() })
    }

    /// Where the answer to a post says that the message stands.
    pub fn of(answer: &Value) -> Option<Self> {
        let text = |field: &str| answer[field].as_str().map(str::to_owned);
        Some(Self { channel: text("channel")?, ts: text("ts")? })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.channel, self.ts)
    }
}

/// Posts a message into a channel.
pub fn post(slack: &Slack, channel: &str, text: &str, blocks: &Value, mark: &Mark) -> Request {
    let body = json!({
        "channel": channel, "text": text, "blocks": blocks, "metadata": mark.metadata(),
        "unfurl_links": false, "unfurl_media": false,
    });
    write(slack, "chat.postMessage", &body)
}

/// Posts into the thread of a message.
pub fn reply(slack: &Slack, to: &Place, text: &str, mark: &Mark) -> Request {
    let body = json!({
        "channel": to.channel, "thread_ts": to.ts, "text": text, "metadata": mark.metadata(),
        "unfurl_links": false, "unfurl_media": false,
    });
    write(slack, "chat.postMessage", &body)
}

/// Edits a message.
pub fn update(slack: &Slack, at: &Place, text: &str, blocks: &Value, mark: &Mark) -> Request {
    let body = json!({
        "channel": at.channel, "ts": at.ts, "text": text, "blocks": blocks,
        "metadata": mark.metadata(),
    });
    write(slack, "chat.update", &body)
}

/// Says something that one user alone sees.
pub fn whisper(slack: &Slack, channel: &str, user: &str, text: &str) -> Request {
    let body = json!({"channel": channel, "user": user, "text": text});
    write(slack, "chat.postEphemeral", &body)
}

/// A page of the messages of a channel since `oldest`, in seconds.
pub fn history(slack: &Slack, channel: &str, oldest: i64, cursor: &str) -> Request {
    let oldest = oldest.to_string();
    list(slack, "conversations.history", &[("channel", channel), ("oldest", &oldest)], cursor)
}

/// A page of the thread of a message.
pub fn replies(slack: &Slack, of: &Place, cursor: &str) -> Request {
    let arguments = [("channel", of.channel.as_str()), ("ts", of.ts.as_str())];
    list(slack, "conversations.replies", &arguments, cursor)
}

/// Where the marked message stands on a page, or the cursor of the next one.
pub fn find(page: &Value, mark: &Mark) -> Result<String, Option<String>> {
    let mut messages = page["messages"].as_array().into_iter().flatten();
    if let Some(ts) = messages.find(|one| mark.is_on(one)).and_then(|one| one["ts"].as_str()) {
        return Ok(ts.to_owned());
    }
    let next = page["response_metadata"]["next_cursor"].as_str();
    Err(next.filter(|next| !next.is_empty()).map(str::to_owned))
}

fn list(slack: &Slack, method: &str, arguments: &[(&str, &str)], cursor: &str) -> Request {
    let mut request = call(slack, method);
    let mut query = request.url.query_pairs_mut();
    query.extend_pairs(arguments);
    query.extend_pairs([("include_all_metadata", "true"), ("limit", PAGE)]);
    if !cursor.is_empty() {
        query.append_pair("cursor", cursor);
    }
    drop(query);
    request
}

fn write(slack: &Slack, method: &str, body: &Value) -> Request {
    let mut request = call(slack, method);
    request.headers.push(("content-type", "application/json; charset=utf-8".to_owned()));
    request.body = Some(body.to_string());
    request
}

fn call(slack: &Slack, method: &str) -> Request {
    let mut url = slack.url.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push(method);
    }
    let headers = vec![("authorization", format!("Bearer {}", slack.token.0))];
    Request { url, headers, body: None }
}
