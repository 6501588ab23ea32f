//! Plays a scenario on the simulated cluster.
//!
//! In: a scenario and the objects that it begins with. Out: the story, and what was not as expected.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    Action, Fate, Order, Patch, Pods, Reach, Refused, Scenario,
    expect::{self, Expectation, Objects, differences},
    objects::kind,
};
use crate::{
    api::{COMMAND_ANNOTATION, Command, REVISION_LABEL},
    sim::{
        actors,
        api::{Refusal, eviction, resource, store::Deletion, store::writer},
        mesh,
        simulation::Simulation,
        transcript::Story,
    },
};

/// The longest time that a story waits for one thing.
const PATIENCE: SignedDuration = SignedDuration::from_hours(6);

/// Time that Deployments serve before Rollouts adopt them.
const SERVING: SignedDuration = SignedDuration::from_mins(1);

/// A scenario that was played to its end, or to its first failure.
pub struct Played {
    /// The cluster as it was left.
    pub simulation: Simulation,
    /// What was not as expected.
    pub failure: Option<Failure>,
}

/// What was not as expected.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{place}: {what}")]
pub struct Failure {
    /// Where in the scenario.
    pub place: String,
    /// What.
    pub what: String,
}

impl Played {
    /// The story.
    pub fn story(&self) -> &Story {
        self.simulation.story()
    }
}

/// Plays `scenario` from `objects`. What it does not name is in the namespace `default`.
pub async fn play(scenario: &Scenario, objects: &[Value], seed: u64) -> Played {
    let (actors, users) = (actors::Settings::of(scenario), mesh::Settings::of(scenario, seed));
    let mut player = Player {
        load: actors.load,
        simulation: Simulation::new(actors, users),
        namespace: namespace(objects),
        rollout: name_of_rollout(objects),
        commands: 0,
    };
    let failure = player.play(scenario, objects).await.err();
    Played { simulation: player.simulation, failure }
}

fn namespace(objects: &[Value]) -> String {
    let rollout = objects.iter().find(|object| object["kind"] == "Rollout");
    let namespace = rollout.and_then(|rollout| rollout["metadata"]["namespace"].as_str());
    namespace.unwrap_or("default").to_owned()
}

fn name_of_rollout(objects: &[Value]) -> String {
    let rollout = objects.iter().find(|object| object["kind"] == "Rollout");
    let name = rollout.and_then(|rollout| rollout["metadata"]["name"].as_str());
    name.unwrap_or_default().to_owned()
}

struct Player {
    simulation: Simulation,
    namespace: String,
    rollout: String,
    commands: u32,
    load: actors::Load,
}

impl Player {
    async fn play(&mut self, scenario: &Scenario, objects: &[Value]) -> Result<(), Failure> {
        let mut started = false;
        for (index, object) in objects.iter().enumerate() {
            if scenario.adopted && !started && object["kind"] == "Rollout" {
                self.simulation.start_controller().await;
                started = true;
                self.serve().await.map_err(|why| failure("adopted", why))?;
            }
            self.apply("kubectl", object)
                .map_err(|why| failure(format!("object {}", index + 1), why.message))?;
        }
        if !started {
            self.simulation.start_controller().await;
        }
        for (index, action) in scenario.steps.iter().enumerate() {
            let place = format!("steps[{index}]");
            self.act(action).await.map_err(|why| failure(place.clone(), why))?;
            self.check().map_err(|why| failure(place, why))?;
        }
        if scenario.traffic.is_some() {
            self.count();
        }
        if !self.simulation.is_calm().await {
            return Err(failure("the end", "a look at an unchanged world wrote something"));
        }
        self.check().map_err(|why| failure("the end", why))
    }

    /// Lets time pass until all Deployments have their pods, and users use them for a while.
    async fn serve(&mut self) -> Result<(), String> {
        let limit = self.simulation.now().checked_add(PATIENCE).unwrap_or(Timestamp::MAX);
        self.simulation.settle().await;
        while !self.simulation.are_deployed() {
            if !self.simulation.step(limit).await {
                return Err("the Deployments do not get the pods that they want".to_owned());
            }
        }
        let at = self.simulation.now().checked_add(SERVING).unwrap_or(Timestamp::MAX);
        self.simulation.run_until(at).await;
        self.simulation.mark();
        Ok(())
    }

    /// Tells what became of the requests.
    fn count(&mut self) {
        let totals = self.simulation.mesh().totals();
        let mut images: Vec<&str> = totals.iter().map(|(whose, _)| whose.image.as_str()).collect();
        images.sort_unstable();
        images.dedup();
        for image in images.into_iter().filter(|image| !image.is_empty()) {
            let count = totals.sum(|whose| whose.image == *image);
            let text = format!("{} answered, {} of them with an error", count.sent, count.errors);
            self.simulation.say("users", image, &text);
            if count.copies > 0 {
                let text = format!("{} copies of requests came", count.copies);
                self.simulation.say("users", image, &text);
            }
        }
        let text = format!("{} requests reached no pod", totals.all().lost);
        self.simulation.say("users", "lost", &text);
    }

    /// What always holds.
    fn check(&self) -> Result<(), String> {
        let broken = self.simulation.broken();
        if broken.is_empty() { Ok(()) } else { Err(format!("broken: {}", broken.join("; "))) }
    }

    async fn act(&mut self, action: &Action) -> Result<(), String> {
        if !action.looks_on() {
            self.simulation.mark();
        }
        match action {
            Action::Until(expected) => return self.until(expected).await,
            Action::Expect(expected) => return self.expect(expected),
            Action::Image(image) => self.image(image)?,
            Action::Scale(replicas) => {
                self.edit_rollout(|rollout| rollout["spec"]["replicas"] = json!(replicas))?;
            }
            Action::Command(order) => self.command(order)?,
            Action::Apply(object) => self.apply("kubectl", object).map_err(in_words)?,
            Action::Patch(patch) => self.patch(patch).map_err(in_words)?,
            Action::Delete(reference) => {
                let resource = resource::named(&reference.kind)
                    .ok_or_else(|| format!("kind {}: there is none", reference.kind))?;
                let namespace =
                    if resource.namespaced { self.namespace.clone() } else { String::new() };
                let key = (namespace, reference.name.clone());
                let by = writer("kubectl");
                let propagation = reference.cascade.map(|how| format!("{how:?}"));
                let how = Deletion { propagation, ..Deletion::default() };
                self.simulation.store().delete(&by, resource, &key, &how).map_err(in_words)?;
            }
            Action::Refused(refused) => self.refused(refused)?,
            Action::Pods(pods) => self.pods(pods).map_err(in_words)?,
            Action::Load(load) => {
                self.load.cpu = load.cpu.or(self.load.cpu);
                self.load.memory = load.memory.or(self.load.memory);
                let shown = [(self.load.cpu, "millicores in all"), (self.load.memory, "MiB a pod")];
                let shown = shown.iter().filter_map(|(n, unit)| Some(format!("{} {unit}", (*n)?)));
                let text = shown.collect::<Vec<_>>().join(", ");
                self.simulation.say("users", "load", &text);
                self.simulation.set_load(self.load);
            }
            Action::Wait(time) => {
                let at = time.after(self.simulation.now());
                self.simulation.run_until(at).await;
            }
            Action::Quiet(time) => {
                self.simulation.settle().await;
                let before = self.simulation.writes();
                let at = time.after(self.simulation.now());
                self.simulation.run_until(at).await;
                let writes = self.simulation.writes() - before;
                if writes > 0 {
                    return Err(format!(
                        "the controller wrote {writes} times, expected was silence"
                    ));
                }
            }
            Action::Controller(fate) => self.controller(*fate).await,
            Action::Prometheus(reach) => {
                let up = *reach == Reach::Up;
                self.simulation.say("world", "Prometheus", if up { "answers" } else { "is down" });
                self.simulation.mesh().set_prometheus_up(up);
            }
            Action::Istiod(reach) => {
                let up = *reach == Reach::Up;
                let text = if up { "pushes" } else { "is down" };
                self.simulation.say("world", "istiod", text);
                self.simulation.set_istiod_up(up);
            }
        }
        self.simulation.settle().await;
        Ok(())
    }

    async fn controller(&mut self, fate: Fate) {
        let text = match fate {
            Fate::Stop => "stopped",
            Fate::Start => "started",
            Fate::Restart => "restarted",
        };
        self.simulation.say("world", "controller", text);
        if fate != Fate::Start {
            self.simulation.stop_controller();
        }
        if fate != Fate::Stop {
            self.simulation.start_controller().await;
        }
    }

    fn differences(&self, expected: &Expectation) -> Vec<String> {
        differences(expected, &self.rollout, &self.simulation.view(&self.namespace))
    }

    fn expect(&self, expected: &Expectation) -> Result<(), String> {
        let found = self.differences(expected);
        if found.is_empty() { Ok(()) } else { Err(found.join("; ")) }
    }

    async fn until(&mut self, expected: &Expectation) -> Result<(), String> {
        let limit = self.simulation.now().checked_add(PATIENCE).unwrap_or(Timestamp::MAX);
        self.simulation.settle().await;
        loop {
            let found = self.differences(expected);
            if found.is_empty() {
                return Ok(());
            }
            self.check()?;
            if !self.simulation.step(limit).await && !self.differences(expected).is_empty() {
                return Err(format!("in vain: {}", found.join("; ")));
            }
        }
    }

    fn apply(&mut self, by: &str, object: &Value) -> Result<(), Refusal> {
        let resource = kind(object, "object").map_err(|e| Refusal::bad_request(e.to_string()))?;
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default").to_owned();
        self.simulation.store().ensure_namespace(&namespace);
        self.simulation.apply(by, resource, &namespace, object)
    }

    fn patch(&mut self, patch: &Patch) -> Result<(), Refusal> {
        let resource = resource::named(&patch.kind)
            .ok_or_else(|| Refusal::bad_request(format!("kind {}: there is none", patch.kind)))?;
        let namespace = self.namespace.clone();
        self.simulation.edit(&patch.by, resource, &namespace, &patch.name, |object| {
            if !patch.merge.is_null() {
                json_patch::merge(object, &patch.merge);
            }
            for (pointer, value) in &patch.set {
                if let Some(place) = object.pointer_mut(pointer) {
                    place.clone_from(value);
                }
            }
        })
    }

    fn refused(&mut self, refused: &Refused) -> Result<(), String> {
        let answer = match &refused.action {
            Action::Apply(object) => self.apply("kubectl", object),
            Action::Patch(patch) => self.patch(patch),
            Action::Pods(pods) => self.pods(pods),
            _ => return Err("only apply, patch and pods can be refused".to_owned()),
        };
        match answer {
            Ok(()) => Err("the API server did not refuse it".to_owned()),
            Err(refusal) if refusal.message.contains(&refused.because) => {
                self.simulation.say("apiserver", "request", &refusal.message);
                Ok(())
            }
            Err(refusal) => Err(format!("refused for another reason: {}", refusal.message)),
        }
    }

    fn edit_rollout(&mut self, edit: impl FnOnce(&mut Value)) -> Result<(), String> {
        let (namespace, name) = (self.namespace.clone(), self.rollout.clone());
        let rollout = &resource::ROLLOUT;
        self.simulation.edit("kubectl", rollout, &namespace, &name, edit).map_err(in_words)
    }

    fn image(&mut self, image: &str) -> Result<(), String> {
        self.edit_rollout(|rollout| {
            if let Some(place) = rollout.pointer_mut("/spec/template/spec/containers/0/image") {
                *place = json!(image);
            }
        })
    }

    fn command(&mut self, order: &Order) -> Result<(), String> {
        self.commands += 1;
        let revision = {
            let view = self.simulation.view(&self.namespace);
            match &order.seen {
                None => view.get("Rollout", &self.rollout)["status"]["currentRevision"].clone(),
                Some(image) => {
                    let sets = view.all("ReplicaSet");
                    let set = sets.into_iter().find(|set| expect::image(set) == *image);
                    let set = set.ok_or_else(|| format!("no revision has image {image}"))?;
                    set["metadata"]["labels"][REVISION_LABEL].clone()
                }
            }
        };
        let command = Command {
            verb: order.verb,
            revision: revision.as_str().unwrap_or_default().to_owned(),
            by: order.by.clone(),
            id: self.commands.to_string(),
            reason: order.reason.clone(),
        };
        let text = serde_json::to_string(&command).map_err(|error| error.to_string())?;
        self.edit_rollout(|rollout| {
            rollout["metadata"]["annotations"][COMMAND_ANNOTATION] = json!(text);
        })
    }

    fn pods(&mut self, pods: &Pods) -> Result<(), Refusal> {
        let names: Vec<String> = {
            let view = self.simulation.view(&self.namespace);
            let of = |pod: &&Value| pod["spec"]["containers"][0]["image"] == *pods.of;
            let alive = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
            let names = view.all("Pod").into_iter().filter(of).filter(alive);
            let names = names.filter_map(|pod| pod["metadata"]["name"].as_str().map(str::to_owned));
            names.take(pods.count.unwrap_or(usize::MAX)).collect()
        };
        if names.is_empty() {
            return Err(Refusal::bad_request(format!("no pod has image {}", pods.of)));
        }
        let namespace = self.namespace.clone();
        for name in names {
            let key = (namespace.clone(), name);
            let (by, how) = (writer("kubectl"), Deletion::default());
            if pods.evict {
                eviction::evict(&mut self.simulation.store(), &by, &key, how)?;
                continue;
            }
            if pods.delete {
                self.simulation.store().delete(&by, &resource::POD, &key, &how)?;
                continue;
            }
            let annotations = json!({"metadata": {"annotations": pods.annotate}});
            let edit = |pod: &mut Value| json_patch::merge(pod, &annotations);
            let pod = &resource::POD;
            self.simulation.edit("kubectl", pod, &namespace, &key.1, edit)?;
        }
        Ok(())
    }
}

fn failure(place: impl Into<String>, what: impl Into<String>) -> Failure {
    Failure { place: place.into(), what: what.into() }
}

fn in_words(refusal: Refusal) -> String {
    refusal.message
}

impl actors::Settings {
    /// How the pods of a scenario's versions behave.
    pub fn of(scenario: &Scenario) -> Self {
        let span =
            |time: crate::api::Duration| SignedDuration::try_from(time.0).unwrap_or_default();
        let versions = scenario.versions.iter().map(|(image, version)| {
            let behaviour = actors::Version {
                startup: version.startup.map(span).unwrap_or_default(),
                never_ready: version.never_ready,
                crash_after: version.crash_after.map(span),
                ..actors::Version::default()
            };
            (image.clone(), behaviour)
        });
        let load = actors::Load { cpu: scenario.load.cpu, memory: scenario.load.memory };
        Self { versions: versions.collect(), load, ..Self::default() }
    }
}
