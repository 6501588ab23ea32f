//! A release of one Rollout on the simulated cluster, from its first deployment to its end.
//!
//! In: objects, how versions and users behave, and a new image. Out: the cluster as it comes along,
//! what became of the release, and what users had of it. `demo` and `simulate` show it.

mod entry;
mod requests;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    api::{
        COMMAND_ANNOTATION, Command, ConditionType, Duration, OnTimeout, PauseReason, Phase,
        Rollout, Verb,
    },
    sim::{
        actors,
        api::{Resource, resource},
        mesh,
        scenario::{Scenario, Users, Version},
        simulation::Simulation,
        traffic,
        transcript::Line,
    },
};

use super::{exit::Exit, snapshot::Snapshot, state};
use entry::Entry;
pub use requests::Requests;

/// Time that users have before a release begins, so that Prometheus knows the stable version.
const WARM_UP: SignedDuration = SignedDuration::from_mins(5);

/// Time that the first deployment may take, at most.
const DEPLOYMENT: SignedDuration = SignedDuration::from_hours(1);

/// Time after the end of a release in which old pods leave and the last scrape is taken.
const AFTER: SignedDuration = SignedDuration::from_secs(60);

/// Where kinds have their pod spec: a `PodTemplate`'s is at its top.
const TEMPLATES: [&str; 2] = ["/spec/template/spec", "/template/spec"];

/// What the cluster is like.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// The objects, the Rollout among them; each with a namespace where it needs one.
    pub objects: Vec<Value>,
    /// Namespace of the Rollout.
    pub namespace: String,
    /// Name of the Rollout.
    pub rollout: String,
    /// How versions behave, by image or tag; others are healthy.
    pub versions: BTreeMap<String, Version>,
    /// What users do.
    pub users: Users,
    /// What chance is made of.
    pub seed: u64,
}

/// How a release ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The new version is stable.
    Promoted,
    /// The old version has all the traffic again.
    RolledBack {
        /// Why.
        reason: String,
        /// Who decided it.
        by: String,
    },
    /// It goes on when a person says so.
    Waiting {
        /// For what.
        message: String,
    },
    /// It does not go on.
    Stuck {
        /// Why.
        message: String,
    },
    /// It has not ended in the time that it was given.
    Limit {
        /// What it waited for.
        message: String,
    },
}

/// What somebody changes to begin a release.
#[derive(Clone, Debug)]
pub enum Change {
    /// The image of the pods' first container.
    Image(String),
    /// Whole objects, each with its namespace, and the image that its pods have then.
    Objects(Vec<Value>, String),
}

/// A release under way.
pub struct Trial {
    simulation: Simulation,
    namespace: String,
    rollout: String,
    entry: Entry,
    base_errors: f64,
    began: Timestamp,
    told: usize,
    image: String,
    before: traffic::Totals,
    commands: u32,
    waits_since: Option<Timestamp>,
}

impl World {
    /// How the cluster and its users behave.
    pub fn settings(&self) -> (actors::Settings, mesh::Settings) {
        let entry = Entry::find(&self.objects, &self.namespace, &self.rollout);
        let users = Users { services: entry.services, ..self.users.clone() };
        let scenario = Scenario {
            claim: String::new(),
            also_real: false,
            given: Vec::new(),
            adopted: false,
            objects: Vec::new(),
            rollout: Value::Null,
            versions: self.versions.clone(),
            traffic: Some(users),
            load: crate::sim::scenario::Load::default(),
            steps: Vec::new(),
        };
        (actors::Settings::of(&scenario), mesh::Settings::of(&scenario, self.seed))
    }
}

impl Trial {
    /// An empty cluster that is about to get these objects. To be called in a tokio runtime.
    pub fn new(world: &World) -> Self {
        let (actors, users) = world.settings();
        let base_errors = users.base_errors;
        let simulation = Simulation::new(actors, users);
        Self {
            began: simulation.now(),
            simulation,
            namespace: world.namespace.clone(),
            rollout: world.rollout.clone(),
            entry: Entry::find(&world.objects, &world.namespace, &world.rollout),
            base_errors,
            told: 0,
            image: String::new(),
            before: traffic::Totals::default(),
            commands: 0,
            waits_since: None,
        }
    }

    /// Deploys the objects, the Rollout's template as the stable version, and lets users come.
    ///
    /// # Errors
    /// The API server refuses an object, or the first deployment does not get healthy.
    pub async fn deploy(&mut self, objects: &[Value]) -> Result<(), String> {
        let (rollouts, others): (Vec<&Value>, Vec<&Value>) =
            objects.iter().partition(|object| object["kind"] == "Rollout");
        for object in others {
            self.apply(object)?;
        }
        self.simulation.start_controller().await;
        self.simulation.settle().await;
        let limit = after(self.simulation.now(), DEPLOYMENT);
        // A workload that is adopted serves already.
        while !self.simulation.are_deployed() && self.simulation.step(limit).await {}
        for object in rollouts {
            self.apply(object)?;
        }
        self.simulation.settle().await;
        while self.rollout().as_ref().map(state::exit_code) != Some(Exit::Done) {
            let more = self.simulation.step(limit).await;
            let message = self.rollout().map(|rollout| state::message(&rollout));
            if self.stuck().is_some() || !more {
                let message = message.unwrap_or_default();
                return Err(format!("the first deployment does not get healthy: {message}"));
            }
        }
        let warm = after(self.simulation.now(), WARM_UP);
        self.simulation.run_until(warm).await;
        Ok(())
    }

    fn apply(&mut self, object: &Value) -> Result<(), String> {
        let text = |field: &str| object[field].as_str().unwrap_or_default();
        let (version, kind) = (text("apiVersion"), text("kind"));
        let resource = resource::of_kind(version, kind)
            .ok_or_else(|| format!("there is no kind {kind} in {version}"))?;
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default").to_owned();
        self.simulation.store().ensure_namespace(&namespace);
        let applied = self.simulation.apply("kubectl", resource, &namespace, object);
        applied.map_err(|refusal| refusal.message)
    }

    /// Somebody makes the change; from here on time, story and requests are counted.
    ///
    /// # Errors
    /// The API server refuses the edit.
    pub async fn begin(
        &mut self,
        change: &Change,
        incidents: &[traffic::Incident],
    ) -> Result<(), String> {
        self.began = self.simulation.now();
        self.told = self.simulation.story().lines().len();
        self.before = self.simulation.mesh().totals();
        self.waits_since = None;
        for incident in incidents {
            self.simulation.mesh().add_incident(*incident);
        }
        match change {
            Change::Image(image) => self.set_image(image)?,
            Change::Objects(objects, image) => {
                image.clone_into(&mut self.image);
                objects.iter().try_for_each(|object| self.replace(object))?;
            }
        }
        self.simulation.settle().await;
        Ok(())
    }

    /// Writes the spec of an object that may be there already.
    fn replace(&mut self, object: &Value) -> Result<(), String> {
        let text = |field: &str| object[field].as_str().unwrap_or_default();
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default").to_owned();
        let resource = resource::of_kind(text("apiVersion"), text("kind"));
        let there = resource.filter(|resource| {
            let namespace = if resource.namespaced { namespace.as_str() } else { "" };
            self.simulation.store().get(resource, namespace, name).is_some()
        });
        let Some(resource) = there else { return self.apply(object) };
        let edited = self.simulation.edit("kubectl", resource, &namespace, name, |present| {
            for (field, value) in object.as_object().into_iter().flatten() {
                if !["metadata", "status"].contains(&field.as_str()) {
                    present[field] = value.clone();
                }
            }
        });
        edited.map_err(|refusal| refusal.message)
    }

    fn set_image(&mut self, image: &str) -> Result<(), String> {
        image.clone_into(&mut self.image);
        let workload = self.rollout().and_then(|rollout| rollout.spec.workload_ref);
        let (resource, name) = match &workload {
            None => (&resource::ROLLOUT, self.rollout.clone()),
            Some(workload) => {
                let resource = resource::of_kind(&workload.api_version, &workload.kind);
                let none = || format!("there is no kind {}", workload.kind);
                (resource.ok_or_else(none)?, workload.name.clone())
            }
        };
        let namespace = self.namespace.clone();
        let edited = self.simulation.edit("kubectl", resource, &namespace, &name, |object| {
            for path in TEMPLATES {
                if let Some(place) = object.pointer_mut(&format!("{path}/containers/0/image")) {
                    *place = json!(image);
                }
            }
        });
        edited.map_err(|refusal| refusal.message)
    }

    fn edit(&mut self, edit: impl FnOnce(&mut Value)) -> Result<(), String> {
        let (namespace, name) = (self.namespace.clone(), self.rollout.clone());
        let edited = self.simulation.edit("kubectl", &resource::ROLLOUT, &namespace, &name, edit);
        edited.map_err(|refusal| refusal.message)
    }

    /// Moves on to what happens next, at most to `limit`. Returns false when that is reached.
    pub async fn step(&mut self, limit: Timestamp) -> bool {
        self.simulation.step(limit).await
    }

    /// Lets a person promote a pause that has waited for one for `patience`. Returns when the pause
    /// that waits now will be promoted.
    ///
    /// # Errors
    /// The command cannot be written.
    pub async fn attend(&mut self, patience: Duration) -> Result<Option<Timestamp>, String> {
        let Some(rollout) = self.rollout().filter(waits_in_a_pause) else {
            self.waits_since = None;
            return Ok(None);
        };
        let now = self.simulation.now();
        let due = patience.after(*self.waits_since.get_or_insert(now));
        if due > now {
            return Ok(Some(due));
        }
        self.waits_since = None;
        self.commands += 1;
        let revision = rollout.status.as_ref().map_or("", state::revision);
        let command = Command {
            verb: Verb::Promote,
            revision: revision.to_owned(),
            by: "a person".to_owned(),
            id: self.commands.to_string(),
            reason: String::new(),
        };
        let text = serde_json::to_string(&command).map_err(|error| error.to_string())?;
        self.edit(|rollout| rollout["metadata"]["annotations"][COMMAND_ANNOTATION] = json!(text))?;
        self.simulation.settle().await;
        Ok(None)
    }

    /// Lets old pods leave after the end.
    pub async fn finish(&mut self) {
        let at = after(self.simulation.now(), AFTER);
        self.simulation.run_until(at).await;
    }

    // === what is seen

    /// The present.
    pub fn now(&self) -> Timestamp {
        self.simulation.now()
    }

    /// Time since the release began.
    pub fn elapsed(&self) -> SignedDuration {
        self.now().duration_since(self.began)
    }

    /// When the release began.
    pub fn began(&self) -> Timestamp {
        self.began
    }

    /// The cluster.
    pub fn simulation(&self) -> &Simulation {
        &self.simulation
    }

    /// The story since the release began; times count from there.
    pub fn lines(&self) -> Vec<Line> {
        let all = self.simulation.story().lines();
        let start: Timestamp = crate::sim::simulation::START.parse().unwrap_or_default();
        let offset = self.began.duration_since(start).as_millis();
        let offset = i64::try_from(offset).unwrap_or_default();
        let new = all.iter().skip(self.told).cloned();
        new.map(|line| Line { millis: line.millis - offset, ..line }).collect()
    }

    /// The Rollout; none if it is not there.
    pub fn rollout(&self) -> Option<Rollout> {
        let store = self.simulation.store();
        let object = store.get(&resource::ROLLOUT, &self.namespace, &self.rollout)?;
        serde_json::from_value((**object).clone()).ok()
    }

    /// The Rollout with all that belongs to it.
    pub fn snapshot(&self) -> Option<Snapshot> {
        let mut snapshot = Snapshot::bare(self.rollout()?);
        snapshot.replica_sets = self.all(&resource::REPLICA_SET);
        snapshot.pods = self.all(&resource::POD);
        snapshot.runs = self.all(&resource::ANALYSIS_RUN);
        snapshot.jobs = self.all(&resource::JOB);
        Some(snapshot.owned())
    }

    fn all<K: DeserializeOwned>(&self, resource: &Resource) -> Vec<K> {
        let store = self.simulation.store();
        let objects = store.list(resource, Some(&self.namespace));
        objects.filter_map(|(_, object)| K::deserialize(&**object).ok()).collect()
    }

    /// Whether everything held that always must.
    pub fn is_sound(&self) -> bool {
        self.simulation.broken().is_empty()
    }

    /// Users' requests since the release began.
    pub fn requests(&self) -> Requests {
        let now = self.simulation.mesh().totals();
        let ours = |whose: &traffic::Whose| {
            let name = &whose.virtual_service;
            let routes = self.entry.routes.contains(&(whose.namespace.clone(), name.clone()));
            routes || (whose.namespace == self.namespace && self.entry.services.contains(name))
        };
        let between = |is: &dyn Fn(&traffic::Whose) -> bool| {
            let is = |whose: &traffic::Whose| ours(whose) && is(whose);
            requests::minus(now.sum(is), self.before.sum(is))
        };
        let canary = between(&|whose| whose.image == self.image);
        Requests::of(between(&|_| true), canary, self.base_errors)
    }

    /// How the release ended; none while it goes on. A pause that somebody will promote
    /// (`attended`) is no end.
    pub fn outcome(&self, attended: bool) -> Option<Outcome> {
        let rollout = self.rollout()?;
        let status = rollout.status.as_ref()?;
        let message = state::message(&rollout);
        match state::exit_code(&rollout) {
            Exit::Done => Some(Outcome::Promoted),
            Exit::Aborted => {
                let away = status.weights.is_none_or(|weights| weights.canary == 0);
                let abort = status.abort.as_ref().filter(|_| away)?;
                Some(Outcome::RolledBack { reason: abort.reason.clone(), by: abort.by.clone() })
            }
            Exit::Degraded => Some(Outcome::Stuck { message }),
            Exit::Waiting if waits_in_a_pause(&rollout) => {
                (!attended && !ends_by_itself(&rollout)).then_some(Outcome::Waiting { message })
            }
            Exit::Waiting => Some(Outcome::Waiting { message }),
            _ => None,
        }
    }

    /// Why the Rollout cannot go on at all.
    fn stuck(&self) -> Option<String> {
        let rollout = self.rollout()?;
        let status = rollout.status.as_ref().filter(|_| state::observed(&rollout))?;
        let invalid = ConditionType::InvalidSpec.as_str();
        let is =
            |kind: &str| status.conditions.iter().any(|c| c.type_ == kind && c.status == "True");
        (is(invalid) || status.phase == Some(Phase::Degraded)).then(|| status.message.clone())
    }
}

/// Whether it is in a pause step that a person may promote, and nothing else holds it.
fn waits_in_a_pause(rollout: &Rollout) -> bool {
    let pause = state::current_step(rollout).and_then(|step| step.pause);
    pause.is_some_and(|pause| pause.duration.is_none())
        && state::held(rollout, PauseReason::Step)
        && !rollout.spec.paused
        && !state::held(rollout, PauseReason::Command)
        && !state::held(rollout, PauseReason::Inconclusive)
        && state::exit_code(rollout) == Exit::Waiting
}

/// Whether the pause has an end without a person.
fn ends_by_itself(rollout: &Rollout) -> bool {
    let pause = state::current_step(rollout).and_then(|step| step.pause);
    let end = pause.and_then(|pause| pause.on_timeout);
    end.is_some_and(|end| end != OnTimeout::Hold)
}

fn after(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}
