//! A model of a cluster around one Rollout: it carries out plans, lets pods become ready, and checks
//! the invariants of the design after every single write.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    api::{
        AnalysisRunStatus, Command, FINALIZER, Phase, REVISION_LABEL, Rollout as RolloutKind,
        RolloutStatus, Verb, Verdict,
    },
    plan::{Plan, RouteKind, Write, plan},
    traffic::istio::{destination_rule, virtual_service::validate_istio},
    world::{
        DestinationRule, Endpoints, Pod, Program, ReplicaSet, Rollout, Route, Run, Service, World,
        fingerprint,
    },
};

mod invariants;
mod objects;

pub(super) use objects::{canary, rollout, selector, steps, subset_rollout};
use objects::{destination_rule_object, template, virtual_service};

/// How the pods of a revision behave, by image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// Ready after this many seconds.
    ReadyAfter(i64),
    /// Never ready.
    NeverReady,
}

pub(super) struct Model {
    pub(super) world: World,
    /// Behaviour of pods by revision; others are ready after a second.
    pub(super) behaviour: BTreeMap<String, Behaviour>,
    created: BTreeMap<String, Timestamp>,
    serial: u32,
    command_serial: u32,
    /// Every write, in words, with the second at which it was made.
    pub(super) story: Vec<String>,
    /// Canary weights in the order in which they were written.
    pub(super) weights: Vec<i64>,
    pub(super) notes: Vec<crate::api::Note>,
    start: Timestamp,
    /// The most replicas that were ever wanted: pods above a lowered number take a while to go.
    peak: u32,
    /// Off while a test plays somebody who breaks the rules from outside.
    pub(super) check: bool,
}

impl Model {
    /// A cluster with the objects that `rollout` names, before the first look.
    pub(super) fn new(rollout: Value) -> Self {
        let start = Timestamp::from_second(1_000_000).expect("start");
        let parsed: RolloutKind = serde_json::from_value(rollout.clone()).expect("rollout");
        let subsets = Program::new(&parsed.spec)
            .istio()
            .is_some_and(|istio| istio.destination_rule.is_some());
        let names: &[&str] = if subsets { &["web"] } else { &["web-stable", "web-canary"] };
        let service = |name: &&str| {
            let selector = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
            ((*name).to_owned(), Service { name: (*name).to_owned(), selector, since: start })
        };
        let rollout = Rollout {
            namespace: "shop".into(),
            name: "web".into(),
            uid: "uid".into(),
            resource_version: "1".into(),
            generation: 1,
            deleting: false,
            finalizers: vec![FINALIZER.into()],
            spec: Arc::new(parsed.spec),
            status: Arc::default(),
            since: start,
            command: None,
            object: Arc::new(rollout),
        };
        let world = World {
            services: names.iter().map(service).collect(),
            endpoints: names.iter().map(|n| ((*n).to_owned(), Endpoints::default())).collect(),
            routes: vec![Some(Route {
                namespace: "shop".into(),
                name: "web".into(),
                resource_version: "1".into(),
                object: Arc::new(virtual_service(subsets)),
                since: start,
                last_writer: "kubectl".into(),
            })],
            destination_rule: subsets.then(|| DestinationRule {
                name: "web".into(),
                resource_version: "1".into(),
                object: Arc::new(destination_rule_object()),
                since: start,
            }),
            istio_served: true,
            ..World::of(rollout, start)
        };
        Self {
            world,
            behaviour: BTreeMap::new(),
            created: BTreeMap::new(),
            serial: 0,
            command_serial: 0,
            story: Vec::new(),
            weights: Vec::new(),
            notes: Vec::new(),
            start,
            peak: 4,
            check: true,
        }
    }

    /// A cluster in which the first deployment is complete.
    pub(super) fn healthy(rollout: Value) -> Self {
        let mut model = Self::new(rollout);
        model.run_until(Phase::Healthy);
        model.story.clear();
        model.weights.clear();
        model.notes.clear();
        model
    }

    /// A cluster in which the second version has this weight and waits for a person.
    pub(super) fn paused_at(weight: i32) -> Self {
        let yaml = format!("[{{setWeight: {weight}}}, {{pause: {{}}}}]");
        let mut model = Self::healthy(rollout(&steps(&yaml)));
        model.set_image("web:2");
        model.run_until(Phase::Paused);
        model.run_for(2);
        model.story.clear();
        model.weights.clear();
        model.notes.clear();
        model
    }

    pub(super) fn status(&self) -> &RolloutStatus {
        &self.world.rollout.status
    }

    pub(super) fn phase(&self) -> Option<Phase> {
        self.status().phase
    }

    pub(super) fn current(&self) -> String {
        self.status().current_revision.clone().expect("a current revision")
    }

    pub(super) fn stable(&self) -> String {
        self.status().stable_revision.clone().expect("a stable revision")
    }

    pub(super) fn edit_spec(&mut self, edit: impl FnOnce(&mut crate::api::RolloutSpec)) {
        let mut spec = (*self.world.rollout.spec).clone();
        edit(&mut spec);
        let rollout = Rollout { spec: Arc::new(spec), ..self.world.rollout.clone() };
        let World { rollout, program, template, selector, fingerprint, .. } =
            World::of(rollout, self.world.now);
        self.world =
            World { rollout, program, template, selector, fingerprint, ..self.world.clone() };
        self.world.rollout.generation += 1;
        self.peak = self.peak.max(self.world.desired());
    }

    pub(super) fn set_image(&mut self, image: &str) {
        let template = serde_json::from_value(template(image)).expect("template");
        self.edit_spec(|spec| spec.template = Some(template));
    }

    /// The revision that `image` has, or will have.
    pub(super) fn revision_of(image: &str) -> String {
        let template = serde_json::from_value(template(image)).expect("template");
        fingerprint::revision_hash(&fingerprint::fingerprint(&template), 0)
    }

    pub(super) fn behave(&mut self, image: &str, behaviour: Behaviour) {
        self.behaviour.insert(Self::revision_of(image), behaviour);
    }

    pub(super) fn command(&mut self, verb: Verb) {
        let revision = self.current();
        self.command_for(verb, &revision);
    }

    pub(super) fn command_for(&mut self, verb: Verb, revision: &str) {
        self.command_serial += 1;
        self.world.rollout.command = Some(Ok(Command {
            verb,
            revision: revision.to_owned(),
            by: "ann".into(),
            id: self.command_serial.to_string(),
            reason: String::new(),
        }));
    }

    /// Somebody else writes the canary weight.
    pub(super) fn edit_weight(&mut self, canary: i32) {
        let now = self.world.now;
        let route = self.world.routes[0].as_mut().expect("route");
        let mut object = (*route.object).clone();
        let last = object["spec"]["http"].as_array().map_or(0, |http| http.len() - 1);
        let total = self.world.program.total();
        let destinations = &mut object["spec"]["http"][last]["route"];
        destinations[0]["weight"] = json!(total - canary);
        destinations[1]["weight"] = json!(canary);
        route.object = Arc::new(object);
        route.since = now;
        route.last_writer = "argocd".into();
    }

    /// Sets the verdict of every run whose name ends so.
    pub(super) fn judge(&mut self, suffix: &str, phase: Verdict, message: &str) {
        let mut found = false;
        for run in self.world.runs.values_mut().filter(|run| run.name.ends_with(suffix)) {
            found = true;
            run.status = Arc::new(AnalysisRunStatus {
                phase,
                message: message.to_owned(),
                ..(*run.status).clone()
            });
        }
        assert!(found, "no run {suffix} among {:?}", self.world.runs.keys());
    }

    pub(super) fn canary_weight(&self) -> i64 {
        let route = self.world.routes[0].as_ref().expect("route");
        let http = route.object["spec"]["http"].as_array().expect("routes");
        http[http.len() - 1]["route"][1]["weight"].as_i64().unwrap_or(0)
    }

    /// Names of the routes that were added before the one with the weights.
    pub(super) fn added_routes(&self) -> Vec<&str> {
        let route = self.world.routes[0].as_ref().expect("route");
        let http = route.object["spec"]["http"].as_array().expect("routes");
        http.iter().filter_map(|route| route["name"].as_str()).collect()
    }

    pub(super) fn pods(&self, revision: &str) -> u32 {
        self.world.revision(revision).map_or(0, |set| set.replicas)
    }

    /// Looks once and carries the plan out. Returns it.
    pub(super) fn look(&mut self) -> Plan {
        let plan = plan(&self.world);
        self.carry_out(&plan, usize::MAX);
        plan
    }

    /// Carries out the first `limit` writes of a plan: a crash after the n-th call.
    pub(super) fn carry_out(&mut self, plan: &Plan, limit: usize) {
        for action in plan.actions.iter().take(limit) {
            self.write(&action.write);
            let second = self.world.now.duration_since(self.start).as_secs();
            self.story.push(format!("{second:>4}s {:?}: {}", kind(&action.write), action.why));
            if self.check {
                self.check_invariants();
            }
        }
        self.notes.extend(plan.notes.iter().cloned());
    }

    #[expect(clippy::too_many_lines, reason = "one arm a write")]
    fn write(&mut self, write: &Write) {
        let now = self.world.now;
        match write {
            Write::Status(status) => {
                self.world.rollout.status = Arc::new((**status).clone());
                self.world.rollout.since = now;
            }
            Write::CreateReplicaSet(new) => {
                let mut labels = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
                labels.insert(REVISION_LABEL.to_owned(), new.revision.clone());
                assert!(self.world.revision(&new.revision).is_none(), "created twice");
                self.world.revisions.insert(
                    0,
                    ReplicaSet {
                        name: new.name.clone(),
                        uid: new.name.clone(),
                        owner: Some("uid".into()),
                        revision: new.revision.clone(),
                        fingerprint: new.fingerprint.clone(),
                        number: new.number,
                        pod_labels: labels,
                        images: Vec::new(),
                        replicas: new.replicas,
                        created: now,
                        deleting: false,
                        failure: None,
                        role: new.role.clone(),
                        pods: Vec::new(),
                    },
                );
                self.world.revisions.sort_by_key(|set| std::cmp::Reverse(set.number));
            }
            Write::Scale { name, from, to, .. } => {
                let set = self.world.revisions.iter_mut().find(|set| set.name == *name);
                let set = set.expect("scaled set");
                assert_eq!(set.replicas, *from);
                set.replicas = *to;
            }
            Write::DeleteReplicaSet { name, .. } => {
                self.world.revisions.retain(|set| set.name != *name);
            }
            Write::SelectRevision { service, to, .. } => {
                let service = self.world.services.get_mut(service).expect("service");
                match to {
                    Some(to) => drop(service.selector.insert(REVISION_LABEL.into(), to.clone())),
                    None => drop(service.selector.remove(REVISION_LABEL)),
                }
                service.since = now;
            }
            Write::EditRoute { kind: RouteKind::VirtualService, to, .. } => {
                validate_istio(to).expect("Istio's webhook would refuse this");
                let route = self.world.routes[0].as_mut().expect("route");
                route.object = Arc::new((**to).clone());
                route.since = now;
                route.last_writer = "sluice".into();
                self.weights.push(self.canary_weight());
            }
            Write::EditRoute { kind: RouteKind::DestinationRule, to, .. } => {
                let rule = self.world.destination_rule.as_mut().expect("rule");
                rule.object = Arc::new((**to).clone());
                rule.since = now;
            }
            Write::CreateRun { name, spec, .. } => {
                let endless =
                    spec.metrics.iter().any(|m| m.interval.is_some() && m.count.is_none());
                let before = self.world.runs.insert(
                    name.clone(),
                    Run {
                        name: name.clone(),
                        created: now,
                        terminating: false,
                        endless,
                        status: Arc::new(AnalysisRunStatus {
                            phase: Verdict::Running,
                            ..AnalysisRunStatus::default()
                        }),
                    },
                );
                assert!(before.is_none(), "run {name} was created twice");
            }
            Write::EndRun { name } => {
                let run = self.world.runs.get_mut(name).expect("run");
                run.terminating = true;
                run.status = Arc::new(AnalysisRunStatus {
                    phase: Verdict::Stopped,
                    ..(*run.status).clone()
                });
            }
            Write::DeleteRun { name } => drop(self.world.runs.remove(name)),
            Write::ClearCommand => self.world.rollout.command = None,
            Write::Evict { name, .. } => {
                for set in &mut self.world.revisions {
                    set.pods.retain(|pod| pod.name != *name);
                }
            }
            Write::RoleOfSet { name, to, .. } => {
                let set = self.world.revisions.iter_mut().find(|set| set.name == *name);
                set.expect("set").role = Some(to.clone());
            }
            Write::RoleOfPod { name, to, .. } => {
                let mut pods = self.world.revisions.iter_mut().flat_map(|set| &mut set.pods);
                pods.find(|pod| pod.name == *name).expect("pod").role = Some(to.clone());
            }
            Write::CountPod { name, surplus, .. } => {
                let mut pods = self.world.revisions.iter_mut().flat_map(|set| &mut set.pods);
                pods.find(|pod| pod.name == *name).expect("pod").surplus = *surplus;
            }
            Write::ScaleWorkload { .. } | Write::Finalizer { .. } => {
                unreachable!("this Rollout has its own template and its finalizer")
            }
            Write::AdoptReplicaSet { name, .. } => {
                let at = self.world.orphans.iter().position(|set| set.name == *name);
                let set = self.world.orphans.remove(at.expect("orphan"));
                self.world.revisions.push(ReplicaSet { owner: Some("uid".into()), ..set });
            }
        }
    }

    /// The cluster's own controllers: pods follow ReplicaSets, endpoints follow pods and selectors.
    pub(super) fn settle(&mut self) {
        let now = self.world.now;
        for set in &mut self.world.revisions {
            let behaviour = self.behaviour.get(&set.revision).copied();
            let behaviour = behaviour.unwrap_or(Behaviour::ReadyAfter(1));
            while set.pods.len() > set.replicas as usize {
                set.pods.pop();
            }
            while set.pods.len() < set.replicas as usize {
                self.serial += 1;
                let name = format!("{}-{}", set.name, self.serial);
                self.created.insert(name.clone(), now);
                set.pods.push(Pod {
                    uid: name.clone(),
                    name,
                    created: now,
                    role: set.role.clone(),
                    surplus: false,
                    ready_since: None,
                    deleting: false,
                    problem: None,
                });
            }
            for pod in &mut set.pods {
                let ready_at = match behaviour {
                    Behaviour::ReadyAfter(seconds) => {
                        let created = self.created[&pod.name];
                        Some(created + SignedDuration::from_secs(seconds))
                    }
                    Behaviour::NeverReady => None,
                };
                pod.ready_since = ready_at.filter(|at| *at <= now);
                pod.problem = (behaviour == Behaviour::NeverReady)
                    .then(|| "ImagePullBackOff: no such image".to_owned());
            }
        }
        for (name, service) in &self.world.services {
            let revision = service.selector.get(REVISION_LABEL);
            let sets = self.world.revisions.iter();
            let selected = sets.filter(|set| revision.is_none_or(|r| *r == set.revision));
            let pods = selected.flat_map(|set| &set.pods).filter(|pod| pod.ready_since.is_some());
            let ready_pods = pods.map(|pod| pod.name.clone()).collect();
            self.world.endpoints.insert(name.clone(), Endpoints { ready_pods });
        }
    }

    /// Goes on to the next moment at which something happens, at most `limit` ahead.
    fn advance(&mut self, next_check: Option<Timestamp>, limit: Duration) {
        let now = self.world.now;
        let sets = self.world.revisions.iter();
        let pods = sets.flat_map(|set| set.pods.iter().map(move |pod| (set, pod)));
        let ready = pods.filter_map(|(set, pod)| {
            let behaviour = self.behaviour.get(&set.revision).copied();
            match behaviour.unwrap_or(Behaviour::ReadyAfter(1)) {
                Behaviour::ReadyAfter(seconds) => {
                    Some(self.created[&pod.name] + SignedDuration::from_secs(seconds))
                }
                Behaviour::NeverReady => None,
            }
        });
        let next = ready.chain(next_check).filter(|at| *at > now).min();
        let latest = now + SignedDuration::try_from(limit).expect("limit");
        self.world.now = next.unwrap_or(latest).min(latest);
    }

    /// Runs until nothing more happens within `seconds`, or that time is over.
    pub(super) fn run_for(&mut self, seconds: u64) {
        let end = self.world.now + SignedDuration::from_secs(i64::try_from(seconds).expect("time"));
        for _ in 0..10_000 {
            self.settle();
            let plan = self.look();
            if !plan.actions.is_empty() {
                continue;
            }
            if self.world.now >= end {
                return;
            }
            let left = end.duration_since(self.world.now).unsigned_abs();
            self.advance(plan.next_check, left);
        }
        panic!("no rest:\n{}", self.story.join("\n"));
    }

    /// Runs until the phase is reached and nothing more is to be done at that moment.
    pub(super) fn run_until(&mut self, phase: Phase) {
        for _ in 0..2_000 {
            self.settle();
            let plan = self.look();
            if !plan.actions.is_empty() {
                continue;
            }
            if self.phase() == Some(phase) {
                return;
            }
            self.advance(plan.next_check, Duration::from_hours(1));
        }
        panic!("never {phase}: {}\n{}", self.status().message, self.story.join("\n"));
    }

    /// Which revision a destination reaches; none where it selects any pod.
    pub(super) fn pointer(&self, role: &str) -> Option<String> {
        if let Some(rule) = &self.world.destination_rule {
            let labels = destination_rule::subset_labels(&rule.object, role).expect("subset");
            return labels.get(REVISION_LABEL).cloned();
        }
        let service = &self.world.services[&format!("web-{role}")];
        service.selector.get(REVISION_LABEL).cloned()
    }
}

fn kind(write: &Write) -> String {
    let text = format!("{write:?}");
    text.chars().take_while(char::is_ascii_alphanumeric).collect()
}
