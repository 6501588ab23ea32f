//! Scenarios: objects, then what people do and what happens to pods, then what must be true.
//!
//! In: one YAML file. Out: a [`Scenario`], or an error that says what is wrong and where; nothing is
//! guessed. [`play`] plays one on the simulated cluster; the end-to-end tests play the same files on a
//! real one.

pub mod expect;
mod objects;
mod run;

#[cfg(test)]
mod tests;

pub use objects::Bases;
pub use run::{Failure, Played, play};

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::api::Duration;
use expect::Expectation;

/// A story with an end that is known.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scenario {
    /// What it shows, in a sentence.
    pub claim: String,
    /// Whether it also runs on a real control plane: it then waits for states, not for times.
    #[serde(default)]
    pub also_real: bool,
    /// Names of files with objects that are there at the beginning.
    #[serde(default)]
    pub given: Vec<String>,
    /// Whether the Rollouts come only when the Deployments beside them serve: they are adopted.
    #[serde(default)]
    pub adopted: bool,
    /// Further objects, or changes of those given: merged over one of the same kind and name.
    #[serde(default)]
    pub objects: Vec<Value>,
    /// Merged over the Rollout; where there are several, over the first.
    #[serde(default)]
    pub rollout: Value,
    /// How the versions of the app behave, by image or by its tag.
    #[serde(default)]
    pub versions: BTreeMap<String, Version>,
    /// What users do.
    #[serde(default)]
    pub traffic: Option<Users>,
    /// What the pods use, for autoscalers.
    #[serde(default)]
    pub load: Load,
    /// What happens, in order.
    pub steps: Vec<Action>,
}

/// How the pods of a version behave. What is not said is healthy.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Version {
    /// Share of requests that it answers with an error, such as `5%`.
    #[serde(default)]
    pub errors: Option<Percent>,
    /// Factor on the latency, such as `2`.
    #[serde(default)]
    pub latency: Option<f64>,
    /// Its errors begin that long after a pod became ready.
    #[serde(default)]
    pub errors_after: Option<Duration>,
    /// Time from the start of a pod until it is ready.
    #[serde(default)]
    pub startup: Option<Duration>,
    /// A pod crashes that long after it became ready.
    #[serde(default)]
    pub crash_after: Option<Duration>,
    /// It never becomes ready.
    #[serde(default)]
    pub never_ready: bool,
}

/// What the pods use. What is not said stays as it is; at first nothing is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Load {
    /// Millicores in all, which the pods that an autoscaler counts and that are ready share.
    #[serde(default)]
    pub cpu: Option<i64>,
    /// Mebibytes that each running pod uses.
    #[serde(default)]
    pub memory: Option<i64>,
}

/// The requests of users.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Users {
    /// Requests a minute for each VirtualService.
    #[serde(default)]
    pub requests_per_minute: Option<f64>,
    /// Share of requests that fail at any time, such as `0.1%`.
    #[serde(default)]
    pub errors: Option<Percent>,
    /// Times at which all versions fail.
    #[serde(default)]
    pub incidents: Vec<Incident>,
    /// Names of Services that users reach without a VirtualService.
    #[serde(default)]
    pub services: Vec<String>,
    /// Metrics of requests that the applications have themselves, such as `http_requests_total`.
    #[serde(default)]
    pub metrics: Vec<String>,
    /// Headers, such as `x-canary: "true"`, that a share of the requests has; the others have none.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// That share, such as `5%`; all by default.
    #[serde(default)]
    pub share: Option<Percent>,
}

/// A time at which all versions fail alike.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Incident {
    /// Its beginning, counted from that of the scenario.
    pub from: Duration,
    /// Its end.
    pub to: Duration,
    /// Share of requests that fail.
    pub errors: Percent,
    /// The latency of all versions, as a multiple of theirs.
    #[serde(default)]
    pub latency: Option<f64>,
}

/// A share, written `5%`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percent(pub f64);

/// Something that happens.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Action {
    /// Time passes until this is true.
    Until(Box<Expectation>),
    /// This is true now.
    Expect(Box<Expectation>),
    /// Somebody sets the image of the first container.
    Image(String),
    /// Somebody sets the number of replicas.
    Scale(u32),
    /// Somebody sends a command.
    Command(Order),
    /// Somebody applies an object: it is created, or merged over the present one.
    Apply(Value),
    /// Somebody merges a patch over an object.
    Patch(Patch),
    /// Somebody deletes an object.
    Delete(Reference),
    /// The API server refuses something.
    Refused(Box<Refused>),
    /// Something happens to pods.
    Pods(Pods),
    /// From now on the pods use as much.
    Load(Load),
    /// Time passes.
    Wait(Duration),
    /// Time passes in which the controller writes nothing.
    Quiet(Duration),
    /// Something happens to the controller.
    Controller(Fate),
    /// Something happens to Prometheus.
    Prometheus(Reach),
    /// Something happens to istiod: while it is down, proxies keep the routes and endpoints that they
    /// had last.
    Istiod(Reach),
}

/// A command, as `kubectl sluice` sends it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Order {
    /// What to do.
    pub verb: crate::api::Verb,
    /// Who sends it.
    #[serde(default = "ann")]
    pub by: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Image of the revision that the person saw; the newest one by default.
    #[serde(default)]
    pub seen: Option<String>,
}

fn ann() -> String {
    "ann".to_owned()
}

/// An object by kind and name.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reference {
    /// Its kind, such as `Service`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What becomes of the objects that it owns; without it what its kind does by default.
    #[serde(default)]
    pub cascade: Option<Cascade>,
}

/// What becomes of the objects that a deleted one owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Cascade {
    /// They go after it.
    Background,
    /// They go before it.
    Foreground,
    /// They stay.
    Orphan,
}

/// A merge patch.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Patch {
    /// Kind of the object.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What is merged over it; a list replaces a list, null removes.
    #[serde(default)]
    pub merge: Value,
    /// Values to set, by JSON pointer, where a list must not be replaced whole.
    #[serde(default)]
    pub set: BTreeMap<String, Value>,
    /// Who writes, as `managedFields` show it.
    #[serde(default = "kubectl")]
    pub by: String,
}

fn kubectl() -> String {
    "kubectl".to_owned()
}

/// A request that the API server must refuse.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Refused {
    /// What somebody tries: `apply`, `patch` or `pods`.
    pub action: Action,
    /// What the answer says, in part.
    pub because: String,
}

/// Pods, and what happens to them.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pods {
    /// Image of the revision.
    pub of: String,
    /// How many of them, the first by name; all by default.
    #[serde(default)]
    pub count: Option<usize>,
    /// Annotations that tell the kubelet what to do, such as `testcluster/ready: "false"`; null
    /// removes one.
    #[serde(default)]
    pub annotate: BTreeMap<String, Option<String>>,
    /// Somebody deletes them.
    #[serde(default)]
    pub delete: bool,
    /// Somebody evicts them, as a drain of their nodes would: disruption budgets may forbid it.
    #[serde(default)]
    pub evict: bool,
}

/// What happens to the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fate {
    /// It is gone.
    Stop,
    /// It comes, and knows nothing of what was before.
    Start,
    /// Both, at once.
    Restart,
}

/// Whether a server is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reach {
    /// It is not; Prometheus answers every request with 503.
    Down,
    /// It is.
    Up,
}

/// Why a file is no scenario.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text does not have the form.
    #[error("{0}")]
    Form(String),
    /// A file that `given` names does not exist.
    #[error("given: found {name}, allowed are {allowed}")]
    Base {
        /// The name.
        name: String,
        /// The names that exist.
        allowed: String,
    },
    /// An object cannot be what it says.
    #[error("{place}: {why}")]
    Object {
        /// Where in the file.
        place: String,
        /// What is wrong, what was found and what is allowed.
        why: String,
    },
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// A field is unknown, missing or of another form: what, and in which line.
    pub fn read(text: &str) -> Result<Self, Error> {
        let scenario: Self =
            serde_yaml::from_str(text).map_err(|error| Error::Form(error.to_string()))?;
        scenario.check()?;
        Ok(scenario)
    }

    fn check(&self) -> Result<(), Error> {
        let wrong = |place: &str, why: &str| {
            Err(Error::Object { place: place.to_owned(), why: why.to_owned() })
        };
        if self.steps.is_empty() {
            return wrong("steps", "found none, allowed is at least one");
        }
        for (index, step) in self.steps.iter().enumerate() {
            let place = format!("steps[{index}]");
            if self.also_real && step.needs_virtual_time() {
                return wrong(
                    &place,
                    "found what needs virtual time, allowed with alsoReal are actions and `until`",
                );
            }
            if let Action::Refused(refused) = step
                && !matches!(refused.action, Action::Apply(_) | Action::Patch(_) | Action::Pods(_))
            {
                let place = format!("{place}.refused.action");
                return wrong(&place, "allowed are apply, patch and pods");
            }
        }
        if self.also_real && self.adopted {
            return wrong("alsoReal", "allowed only without `adopted`");
        }
        let simulated = self.traffic.is_some() || self.load != Load::default();
        if self.also_real && (simulated || !self.versions.is_empty()) {
            return wrong("alsoReal", "allowed only without `traffic`, `load` and `versions`");
        }
        Ok(())
    }
}

impl Action {
    /// Whether it only looks on, so that what is watched since the last action goes on.
    pub fn looks_on(&self) -> bool {
        matches!(self, Self::Until(_) | Self::Expect(_) | Self::Wait(_) | Self::Quiet(_))
    }

    /// Whether it cannot be played on a real cluster.
    fn needs_virtual_time(&self) -> bool {
        matches!(
            self,
            Self::Expect(_)
                | Self::Wait(_)
                | Self::Quiet(_)
                | Self::Load(_)
                | Self::Controller(_)
                | Self::Prometheus(_)
                | Self::Istiod(_)
        )
    }
}

// === impl Percent

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl std::str::FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
        match number.filter(|number| (0.0..=100.0).contains(number)) {
            Some(number) => Ok(Self(number / 100.0)),
            None => Err(format!("found `{text}`, allowed is a share from 0% to 100%, such as 5%")),
        }
    }
}
