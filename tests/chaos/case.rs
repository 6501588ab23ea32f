//! A case: a Rollout, what people do with it, and what goes wrong meanwhile. Plain data, so that it can
//! be shrunk and shown.

use sluice::{api::Verb, sim::mesh::Answers};

/// How users reach the pods, and how one revision replaces the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    Hosts,
    Subsets,
    BlueGreen,
    BlueGreenHosts,
    Rolling,
    ByPods,
    AdoptHosts,
    AdoptRolling,
}

/// A Rollout and its life.
#[allow(clippy::struct_excessive_bools, reason = "each is a field of the Rollout, there or not")]
#[derive(Clone, Debug)]
pub struct Case {
    pub seed: u64,
    pub layout: Layout,
    pub replicas: u64,
    /// Which of the layout's stories its steps tell.
    pub steps: usize,
    /// Whether a background analysis judges it by the requests of users.
    pub judged: bool,
    pub dynamic: bool,
    pub autoscaled: bool,
    pub users: bool,
    pub mesh_delay_ms: u64,
    /// Whether all that happens waits for what is observed, so that faults must not change the end.
    pub strict: bool,
    pub acts: Vec<Act>,
}

/// Something that people or pods do, and what goes wrong from then on.
#[derive(Clone, Debug)]
pub struct Act {
    pub what: What,
    pub wait: Wait,
    pub faults: Vec<Fault>,
}

/// What is waited for after an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Nobody does anything any more.
    Rest,
    /// This many milliseconds.
    Millis(u64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Nothing,
    /// Tag of the new image; what it does is in `VERSIONS`.
    Image(&'static str),
    Command(Verb),
    Steps(usize),
    Scale(u64),
    Paused(bool),
    /// Somebody writes weights into the route.
    Weight(u64),
    /// GitOps applies the routes, Services and rules again as they were at first.
    GitOps,
    /// Somebody sizes the newest ReplicaSet by hand.
    SizeByHand(u64),
    DeletePods(usize),
    Evict(usize),
    /// A node is drained: every other pod is evicted, again and again until it is gone.
    Drain,
    /// At most so many pods may be missing when somebody evicts.
    Budget(u64),
    NoBudget,
    /// Somebody deletes a ReplicaSet: the newest one, or the stable one.
    DeleteSet {
        stable: bool,
    },
    DeleteRollout,
    /// The namespace may have this many pods only.
    Quota(u64),
    NoQuota,
    Load(i64),
}

/// A fault, counted from its act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub after_ms: u64,
    pub for_ms: u64,
    pub what: Trouble,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A share of the calls, or of the writes of one kind.
    Calls {
        percent: u64,
        of: Option<&'static str>,
        how: How,
    },
    /// One call, counted from the beginning of the fault; or one write of a kind.
    OneCall {
        call: u64,
        of: Option<&'static str>,
        how: How,
    },
    Crash {
        call: u64,
        of: Option<&'static str>,
        carried_out: bool,
        down_ms: u64,
    },
    Deposed {
        call: u64,
    },
    /// Changes of some kinds come late.
    Late {
        kinds: Vec<&'static str>,
        ms: u64,
    },
    /// The watches of some kinds are lost, and listed again at the end.
    Deaf {
        kinds: Vec<&'static str>,
    },
    Twice,
    /// Seconds by which the controller's clock is wrong.
    Clock(i64),
    Prometheus(Answers),
    Counters,
    Istiod,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Conflict,
    TooMany,
    Internal,
    Unavailable,
    /// An admission webhook denies what is written.
    Denied,
    Forbidden,
    Timeout,
    Lost,
    AnswerLost,
    /// Somebody else writes to the same object just before.
    Rival,
    /// Any of them, as the number of the call has it.
    Any,
}

/// The kinds whose news may be late or lost.
pub const KINDS: [&str; 11] = [
    "Rollout",
    "ReplicaSet",
    "Pod",
    "Service",
    "EndpointSlice",
    "Job",
    "AnalysisRun",
    "VirtualService",
    "DestinationRule",
    "Deployment",
    "HorizontalPodAutoscaler",
];

impl Layout {
    /// The file in `tests/scenarios/bases`.
    pub fn base(self) -> &'static str {
        match self {
            Self::Hosts => "host-split",
            Self::Subsets => "subset-split",
            Self::BlueGreen => "blue-green",
            Self::BlueGreenHosts => "blue-green-hosts",
            Self::Rolling => "rolling",
            Self::ByPods => "by-pods",
            Self::AdoptHosts => "adopt-host-split",
            Self::AdoptRolling => "adopt-rolling",
        }
    }

    /// Whether weights in a route tell the canary's share.
    pub fn is_routed(self) -> bool {
        matches!(self, Self::Hosts | Self::Subsets | Self::AdoptHosts)
    }

    pub fn has_route(self) -> bool {
        self.is_routed() || self == Self::BlueGreenHosts
    }

    pub fn is_adopted(self) -> bool {
        matches!(self, Self::AdoptHosts | Self::AdoptRolling)
    }
}

impl Case {
    /// The case without its faults.
    pub fn undisturbed(&self) -> Self {
        let mut case = self.clone();
        for act in &mut case.acts {
            act.faults.clear();
        }
        case
    }

    fn has(&self, is: impl Fn(&What) -> bool) -> bool {
        self.acts.iter().any(|act| is(&act.what))
    }

    /// The kinds that the controller writes in its life, as far as its settings tell.
    pub fn written(&self) -> Vec<&'static str> {
        let mut kinds = vec!["Rollout", "ReplicaSet"];
        let mut add = |is: bool, more: &[&'static str]| {
            if is {
                kinds.extend(more);
            }
        };
        let (canary, colours) = (self.layout.is_routed(), matches!(self.layout, Layout::BlueGreen));
        let colours = colours || self.layout == Layout::BlueGreenHosts;
        add(self.layout.has_route(), &["VirtualService"]);
        add(canary && self.layout != Layout::Subsets || colours, &["Service"]);
        add(self.layout == Layout::Subsets, &["DestinationRule"]);
        add(self.layout.is_adopted(), &["Deployment"]);
        let smoke = if colours { [3, 4] } else { [2, 6] }.contains(&self.steps);
        add(smoke && (canary || colours || self.layout == Layout::ByPods), &["Job", "AnalysisRun"]);
        add(self.judged, &["AnalysisRun"]);
        add(self.has(|what| *what == What::Command(Verb::Restart)), &["Pod"]);
        kinds
    }

    /// Whether a request that reaches no pod would be our fault.
    pub fn loses_nothing(&self) -> bool {
        // The one pod goes before the next one comes, as the user asked.
        let rolling = matches!(self.layout, Layout::Rolling | Layout::AdoptRolling);
        if rolling && self.steps == 2 {
            return false;
        }
        let bad = |what: &What| {
            matches!(
                what,
                What::Image("crash") | What::DeletePods(_) | What::Evict(_) | What::Drain
            ) || matches!(what, What::Image("never" | "bad") | What::Scale(0))
        };
        let clock = self.acts.iter().flat_map(|act| &act.faults);
        let clock = clock.filter(|fault| matches!(fault.what, Trouble::Clock(_))).count() > 0;
        self.strict && self.users && !self.has(bad) && !clock
    }
}
