//! One pod's life on its node: the same as in `tests/cluster/kubelet/life.go`.

use jiff::{SignedDuration, Timestamp};

use super::{
    super::object::later,
    behaviour::{Behaviour, Restart},
};

/// Where a pod is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Bound to a node, nothing runs.
    Starting,
    /// The image cannot be pulled.
    PullBackOff,
    /// The containers run.
    Running,
    /// The containers crashed and wait for their restart.
    CrashBackOff,
    /// Succeeded or Failed, for good.
    Ended,
}

/// What a crash ends with.
const CRASH_EXIT_CODE: i32 = 1;

/// The first and the longest wait for a restart: far less than the kubelet's 10 s to 5 min, as in
/// the test cluster.
const BACK_OFF_SECONDS: (i64, i64) = (1, 32);

/// One pod's past. Times in a pod's status have whole seconds only, these do not.
#[derive(Clone, Debug)]
pub struct Life {
    /// The pod.
    pub uid: String,
    /// Its address.
    pub ip: String,
    /// Where it is.
    pub stage: Stage,
    /// When it was first seen on a node.
    pub bound: Timestamp,
    /// When the stage began.
    pub since: Timestamp,
    /// When the containers last began to run.
    pub ran: Timestamp,
    /// When the pod became Ready in this run.
    pub ready_at: Option<Timestamp>,
    /// When the containers last ended.
    pub finished: Timestamp,
    /// How they ended.
    pub exit_code: i32,
    /// How often they crashed.
    pub crashes: u32,
    /// When the deletion was first seen.
    pub deleted_at: Option<Timestamp>,
}

/// What happens next.
#[derive(Clone, Copy)]
enum Step {
    Enter(Stage),
    BecomeReady,
    Exit(i32),
}

impl Life {
    /// The life of a pod that has just been bound.
    pub fn new(uid: &str, ip: String, now: Timestamp) -> Self {
        Self {
            uid: uid.to_owned(),
            ip,
            stage: Stage::Starting,
            bound: now,
            since: now,
            ran: now,
            ready_at: None,
            finished: now,
            exit_code: 0,
            crashes: 0,
            deleted_at: None,
        }
    }

    /// Moves the pod on as far as the time allows. Returns when there is more to do; none when only
    /// an edit can change the pod.
    pub fn advance(&mut self, behaviour: &Behaviour, now: Timestamp) -> Option<Timestamp> {
        loop {
            let (due, step) = self.next(behaviour, now)?;
            if due > now {
                return Some(due);
            }
            match step {
                Step::Enter(stage) => self.enter(stage, now),
                Step::BecomeReady => self.ready_at = Some(now),
                Step::Exit(code) => self.exit(code, behaviour.restart, now),
            }
        }
    }

    fn next(&self, behaviour: &Behaviour, now: Timestamp) -> Option<(Timestamp, Step)> {
        match self.stage {
            Stage::Starting => {
                let next = if behaviour.pull_error { Stage::PullBackOff } else { Stage::Running };
                Some((later(self.since, behaviour.delay), Step::Enter(next)))
            }
            Stage::PullBackOff => {
                (!behaviour.pull_error).then_some((now, Step::Enter(Stage::Starting)))
            }
            Stage::CrashBackOff => {
                let wait = SignedDuration::from_secs(back_off(self.crashes));
                Some((later(self.since, wait), Step::Enter(Stage::Running)))
            }
            Stage::Running => {
                let exit = self.next_exit(behaviour);
                let ready = self.next_ready(behaviour, now);
                match (ready, exit) {
                    (Some(ready), Some(exit)) if ready.0 >= exit.0 => Some(exit),
                    (Some(ready), _) => Some(ready),
                    (None, exit) => exit,
                }
            }
            Stage::Ended => None,
        }
    }

    fn next_exit(&self, behaviour: &Behaviour) -> Option<(Timestamp, Step)> {
        let delayed = later(self.since, behaviour.delay);
        if behaviour.crashes_at_start() {
            return Some((delayed, Step::Exit(CRASH_EXIT_CODE)));
        }
        if let Some(code) = behaviour.exit_code {
            return Some((delayed, Step::Exit(code)));
        }
        let at = later(self.ready_at?, behaviour.crash_after?);
        Some((at, Step::Exit(CRASH_EXIT_CODE)))
    }

    fn next_ready(&self, behaviour: &Behaviour, now: Timestamp) -> Option<(Timestamp, Step)> {
        if self.ready_at.is_some() || behaviour.crashes_at_start() {
            return None;
        }
        match behaviour.ready {
            Some(true) => Some((now, Step::BecomeReady)),
            None if !behaviour.never_ready => {
                Some((later(self.since, behaviour.ready_after), Step::BecomeReady))
            }
            _ => None,
        }
    }

    /// Whether the pod is Ready, given where it is in its life.
    pub fn is_ready(&self, behaviour: &Behaviour) -> bool {
        let runs = self.stage == Stage::Running && self.ready_at.is_some();
        runs && !behaviour.crashes_at_start() && behaviour.ready.unwrap_or(!behaviour.never_ready)
    }

    fn enter(&mut self, stage: Stage, now: Timestamp) {
        self.stage = stage;
        self.since = now;
        if stage == Stage::Running {
            self.ran = now;
            self.ready_at = None;
        }
    }

    /// Ends the containers; the restart policy decides whether the pod ends too.
    pub fn exit(&mut self, code: i32, restart: Restart, now: Timestamp) {
        self.exit_code = code;
        self.finished = now;
        let restarts = match restart {
            Restart::Always => true,
            Restart::OnFailure => code != 0,
            Restart::Never => false,
        };
        if !restarts {
            self.enter(Stage::Ended, now);
            return;
        }
        self.crashes += 1;
        self.enter(Stage::CrashBackOff, now);
    }
}

/// Seconds that the n-th crash keeps the containers down.
pub fn back_off(crashes: u32) -> i64 {
    let (first, longest) = BACK_OFF_SECONDS;
    (first << crashes.saturating_sub(1).min(16)).min(longest)
}
