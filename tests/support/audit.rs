//! The API server's audit log: who asked for what, when, and how it was answered.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::Deserialize;

/// One answered request.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    stage: String,
    /// What was asked: `get`, `patch`, `watch` and so on.
    pub verb: String,
    user: CallUser,
    #[serde(default)]
    object_ref: Option<ObjectRef>,
    #[serde(default)]
    response_status: Option<ResponseStatus>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    /// When the request came in.
    #[serde(rename = "requestReceivedTimestamp")]
    pub received: Timestamp,
    /// When it was answered.
    #[serde(rename = "stageTimestamp")]
    pub answered: Timestamp,
}

#[derive(Clone, Debug, Deserialize)]
struct CallUser {
    username: String,
    #[serde(default)]
    extra: BTreeMap<String, Vec<String>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    resource: String,
    namespace: String,
    name: String,
    subresource: String,
}

#[derive(Clone, Debug, Deserialize)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
}

impl Call {
    /// Who asked.
    pub fn user(&self) -> &str {
        &self.user.username
    }

    /// With which token, if it was a service account's.
    pub fn credential(&self) -> &str {
        let ids = self.user.extra.get("authentication.kubernetes.io/credential-id");
        ids.and_then(|ids| ids.first()).map_or("", |id| id)
    }

    /// Whether it asked for a change; a review is a question.
    pub fn writes(&self) -> bool {
        !["get", "list", "watch"].contains(&self.verb.as_str())
            && !self.resource().ends_with("reviews")
    }

    /// Of which resource, with the subresource: `pods`, `rollouts/status`.
    pub fn resource(&self) -> String {
        match &self.object_ref {
            Some(object) if object.subresource.is_empty() => object.resource.clone(),
            Some(object) => format!("{}/{}", object.resource, object.subresource),
            None => String::new(),
        }
    }

    /// Namespace and name of the object; the name is empty where the server chooses it.
    pub fn object(&self) -> (&str, &str) {
        self.object_ref.as_ref().map_or(("", ""), |object| (&object.namespace, &object.name))
    }

    /// Whether it was answered with success.
    pub fn succeeded(&self) -> bool {
        self.code() < 300
    }

    /// Whether the user has no right to it. (403 is also the answer of quotas and of admission.)
    pub fn is_forbidden(&self) -> bool {
        self.annotations.get("authorization.k8s.io/decision").is_some_and(|said| said == "forbid")
    }

    /// The HTTP status of the answer.
    pub fn code(&self) -> u16 {
        self.response_status.as_ref().map_or(0, |status| status.code)
    }
}

/// Where the log ends now, to read on from there later.
pub fn end(log: &Path) -> u64 {
    std::fs::metadata(log).map_or(0, |meta| meta.len())
}

/// The requests answered since `from`, in the order of their answers. A watch is there once it ends.
pub fn calls_since(log: &Path, from: u64) -> Vec<Call> {
    Tail { log: log.to_owned(), at: from }.read_on()
}

/// All requests since the beginning, watches that go on among them; some are there more than once.
pub fn requests(log: &Path) -> Vec<Call> {
    Tail { log: log.to_owned(), at: 0 }.stages()
}

/// Reads the log as it grows.
pub struct Tail {
    /// The log.
    pub log: PathBuf,
    /// What lies before this byte has been read.
    pub at: u64,
}

impl Tail {
    /// The requests answered since the last look.
    pub fn read_on(&mut self) -> Vec<Call> {
        let mut calls = self.stages();
        calls.retain(|call| call.stage == "ResponseComplete");
        calls
    }

    fn stages(&mut self) -> Vec<Call> {
        let mut file = std::fs::File::open(&self.log).expect("the audit log is there");
        file.seek(SeekFrom::Start(self.at)).expect("the audit log only grows");
        let mut calls = Vec::new();
        let mut lines = BufReader::new(file.take(u64::MAX));
        let mut line = String::new();
        // A last line that is being written now has no end yet, and is left out.
        while lines.read_line(&mut line).is_ok_and(|read| read > 0) && line.ends_with('\n') {
            calls.push(serde_json::from_str(&line).expect("the audit log is JSON lines"));
            self.at += line.len() as u64;
            line.clear();
        }
        calls
    }
}
