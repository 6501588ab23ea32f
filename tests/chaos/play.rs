//! Plays a case on the simulated cluster, and judges it.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sluice::sim::{
    actors,
    api::{resource, store::Deletion, store::writer},
    mesh,
    scenario::expect::Objects,
    simulation::Simulation,
};

use super::{
    acts,
    case::{Act, Case, Trouble, Wait, What},
    cluster, end,
    faults::{self, Active},
};

/// Time without a change after which a Rollout is at rest.
const CALM: SignedDuration = SignedDuration::from_secs(50);

/// The same where an analysis may still say no.
const CALM_WHILE_JUDGED: SignedDuration = SignedDuration::from_secs(200);

/// The longest time until rest.
const PATIENCE: SignedDuration = SignedDuration::from_mins(45);

/// How long a drain waits before it asks again.
const DRAIN_AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// Looks between an act and rest after which the controller goes round in circles.
const MOST_PASSES: usize = 4_000;

/// A case that was played.
pub struct Played {
    /// What stood at each rest after an act.
    pub rests: Vec<Value>,
    pub failure: Option<String>,
    pub story: String,
}

pub struct Player<'a> {
    pub case: &'a Case,
    pub simulation: Simulation,
    pub objects: Vec<Value>,
    pub commands: u32,
    restart_at: Option<Timestamp>,
    /// Pods of a node that is being drained.
    pub drains: Vec<String>,
    /// When they are tried again.
    drain_at: Option<Timestamp>,
    istiod: bool,
    active: Vec<Active>,
}

/// Plays a case to its end, or to what is wrong.
pub fn play(case: &Case) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(played(case))
}

async fn played(case: &Case) -> Played {
    let scenario = cluster::scenario(case);
    let actors = actors::Settings::of(&scenario);
    let mut users = mesh::Settings::of(&scenario, case.seed);
    users.mesh_delay = std::time::Duration::from_millis(case.mesh_delay_ms);
    let mut player = Player {
        case,
        simulation: Simulation::new(actors, users),
        objects: cluster::objects(&scenario),
        commands: 0,
        restart_at: None,
        drains: Vec::new(),
        drain_at: None,
        istiod: true,
        active: Vec::new(),
    };
    let mut rests = Vec::new();
    let failure = player.life(&mut rests).await.err();
    let story = player.simulation.story().to_string();
    Played { rests, failure, story }
}

impl Player<'_> {
    async fn life(&mut self, rests: &mut Vec<Value>) -> Result<(), String> {
        for object in self.objects.clone() {
            if object["kind"] == "Rollout" && self.case.layout.is_adopted() {
                self.simulation.settle().await;
                self.simulation.run_until(self.in_future(SignedDuration::from_secs(20))).await;
            }
            acts::apply(&mut self.simulation, "kubectl", &object).map_err(|e| e.message)?;
        }
        self.simulation.start_controller().await;
        for (number, act) in self.case.acts.iter().enumerate() {
            self.act(act).await.map_err(|why| format!("act {number}, {:?}: {why}", act.what))?;
            rests.push(if act.wait == Wait::Rest {
                cluster::normal(&self.simulation)
            } else {
                json!(null)
            });
        }
        self.set_faults(&[]);
        self.wait_for(SignedDuration::from_secs(1)).await?;
        if self.case.loses_nothing() {
            let lost = self.simulation.mesh().totals().all().lost;
            if lost > 0 {
                return Err(format!("{lost} requests reached no pod"));
            }
        }
        end::reached(self).await
    }

    pub fn in_future(&self, time: SignedDuration) -> Timestamp {
        self.simulation.now().checked_add(time).unwrap_or(Timestamp::MAX)
    }

    async fn act(&mut self, act: &Act) -> Result<(), String> {
        let begun = self.simulation.now();
        let at = |ms: u64| {
            let span = SignedDuration::from_millis(i64::try_from(ms).unwrap_or(0));
            begun.checked_add(span).unwrap_or(Timestamp::MAX)
        };
        let faults: Vec<(Timestamp, Timestamp, Active)> = act
            .faults
            .iter()
            .map(|f| (at(f.after_ms), at(f.after_ms + f.for_ms), Active::new(f)))
            .collect();
        let mut instants: Vec<Timestamp> =
            faults.iter().flat_map(|(from, to, _)| [*from, *to]).collect();
        instants.sort_unstable();
        instants.dedup();
        let hold = |now: Timestamp| -> Vec<Active> {
            let holding = faults.iter().filter(|(from, to, _)| *from <= now && now < *to);
            holding.map(|(_, _, active)| active.clone()).collect()
        };
        self.set_faults(&hold(begun));
        acts::act(self, &act.what);
        let end = match act.wait {
            Wait::Millis(ms) => Some(at(ms)),
            Wait::Rest => None,
        };
        for instant in instants.into_iter().filter(|instant| *instant > begun) {
            let until = end.map_or(instant, |end| end.min(instant));
            self.until(until).await?;
            if until == instant {
                self.set_faults(&hold(instant));
            }
        }
        match end {
            Some(end) => self.until(end).await,
            None => self.rest().await,
        }
    }

    fn set_faults(&mut self, active: &[Active]) {
        let troubles = |active: &[Active]| -> Vec<Trouble> {
            active.iter().map(|active| active.fault.what.clone()).collect()
        };
        let (before, now) = (troubles(&self.active), troubles(active));
        for trouble in now.iter().filter(|trouble| !before.contains(trouble)) {
            self.simulation.say("world", "fault", &format!("{trouble:?}"));
        }
        for trouble in before.iter().filter(|trouble| !now.contains(trouble)) {
            self.simulation.say("world", "fault", &format!("over: {trouble:?}"));
        }
        self.istiod = faults::set(&mut self.simulation, active, self.istiod);
        self.active = active.to_vec();
    }

    pub async fn wait_for(&mut self, time: SignedDuration) -> Result<(), String> {
        self.until(self.in_future(time)).await
    }

    /// Lets time pass; a controller that crashed comes again after a while.
    async fn until(&mut self, at: Timestamp) -> Result<(), String> {
        self.simulation.settle().await;
        loop {
            let broken = self.simulation.broken();
            if !broken.is_empty() {
                return Err(format!("broken: {}", broken.join("; ")));
            }
            if self.simulation.has_crashed() && self.restart_at.is_none() {
                let down = self.active.iter().find_map(|active| match active.fault.what {
                    Trouble::Crash { down_ms, .. } => i64::try_from(down_ms).ok(),
                    _ => None,
                });
                let down = SignedDuration::from_millis(down.unwrap_or(0));
                self.restart_at = Some(self.in_future(down));
            }
            if let Some(due) = self.restart_at.filter(|due| *due <= self.simulation.now()) {
                let _ = due;
                self.restart_at = None;
                self.simulation.say("world", "controller", "started");
                self.simulation.start_controller().await;
                self.simulation.settle().await;
                continue;
            }
            if self.simulation.now() >= at {
                return Ok(());
            }
            self.drain().await;
            let next = [self.restart_at, self.drain_at].into_iter().flatten().min();
            self.simulation.step(next.map_or(at, |next| next.min(at))).await;
        }
    }

    /// Evicts what is left on a node that is being drained, as kubectl does: one pod after the other,
    /// and what a budget forbids a little later again.
    async fn drain(&mut self) {
        let now = self.simulation.now();
        if self.drains.is_empty() || self.drain_at.is_some_and(|at| at > now) {
            return;
        }
        let mut left = Vec::new();
        for name in std::mem::take(&mut self.drains) {
            let refused = acts::evict(&mut self.simulation, name.clone()).err();
            if refused.is_some_and(|refused| refused.code == 429) {
                left.push(name);
            }
        }
        self.drain_at = (!left.is_empty()).then(|| self.in_future(DRAIN_AGAIN));
        self.drains = left;
        self.simulation.settle().await;
    }

    /// Lets time pass until nothing changes any more.
    pub async fn rest(&mut self) -> Result<(), String> {
        let limit = self.in_future(PATIENCE);
        let begun = self.simulation.passes();
        let calm = if self.case.judged { CALM_WHILE_JUDGED } else { CALM };
        let mut before = cluster::normal(&self.simulation);
        let mut since = self.simulation.now();
        loop {
            self.wait_for(SignedDuration::from_secs(25)).await?;
            let now = cluster::normal(&self.simulation);
            if now != before {
                (before, since) = (now, self.simulation.now());
            }
            if self.simulation.now().duration_since(since) >= calm && self.is_settled() {
                return cluster::untold(&self.simulation).map_or(Ok(()), Err);
            }
            let passes = self.simulation.passes() - begun;
            if passes > MOST_PASSES {
                return Err(format!("{passes} looks, and no rest"));
            }
            if self.simulation.now() > limit {
                // Pods that crash again and again come and go for ever; others find no room.
                let restless = |what: &What| matches!(what, What::Image("crash") | What::Quota(_));
                if !self.case.strict && self.did(restless) {
                    return Ok(());
                }
                let view = self.simulation.view("default");
                let status = &view.get("Rollout", "web")["status"];
                return Err(format!("no rest: {} {}", status["phase"], status["message"]));
            }
        }
    }

    fn is_settled(&self) -> bool {
        let view = self.simulation.view("default");
        let rollout = view.get("Rollout", "web");
        if rollout.is_null() {
            return true;
        }
        // What gets its pods back, and cannot become ready, is waited for, as the status says.
        let broken = self.did(|what| matches!(what, What::Image("never" | "crash")));
        let message = rollout["status"]["message"].as_str().unwrap_or_default();
        if broken && message.starts_with("the Rollout is being deleted: waiting for web") {
            return true;
        }
        let waits = rollout["metadata"]["annotations"]["sluice.dev/command"].is_string();
        let seen = rollout["status"]["observedGeneration"] == rollout["metadata"]["generation"];
        let phase = rollout["status"]["phase"].as_str().unwrap_or_default();
        let going = rollout["metadata"]["deletionTimestamp"].is_string();
        !waits && !going && seen && phase != "Progressing"
    }

    /// Deletes an object, if it is there.
    pub fn delete(&mut self, kind: &str, name: &str) -> bool {
        let Some(resource) = resource::named(kind) else { return false };
        let key = ("default".to_owned(), name.to_owned());
        let by = writer("kubectl");
        self.simulation.store().delete(&by, resource, &key, &Deletion::default()).is_ok()
    }

    /// Whether this case ever did that.
    pub fn did(&self, is: impl Fn(&What) -> bool) -> bool {
        self.case.acts.iter().any(|act| is(&act.what))
    }
}
