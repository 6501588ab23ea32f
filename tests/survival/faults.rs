//! The faults: each kind at least once, in an order by chance, while releases go on.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    replicas::{NAMES, Replicas},
    support::{
        audit::{self, Call, Tail},
        cluster::{Breaker, CONTROLLER, Cluster},
        random::Random,
    },
};

/// The longest time in which somebody must be at work again.
const RECOVERY: Duration = Duration::from_mins(3);

/// Writes that come in so soon after a controller was killed had left it before.
const UNDER_WAY: Duration = Duration::from_millis(200);

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// SIGKILL of the leader.
    KillLeader,
    /// SIGKILL of the one that waits.
    KillOther,
    /// SIGKILL of both.
    KillBoth,
    /// SIGTERM of the leader.
    EndLeader,
    /// SIGSTOP of the leader for longer than its Lease lasts; then it wakes.
    FreezeLeader,
    /// SIGKILL of the API server.
    ApiServer,
    /// SIGKILL of etcd.
    Etcd,
    /// SIGKILL of both of them.
    ControlPlane,
    /// SIGKILL of the leader while the API server is away.
    LeaderAndApiServer,
    /// The API server is away for longer than a Lease lasts.
    LongOutage,
    /// Bytes to and from the API server wait 50 to 300 ms, each way.
    Latency,
    /// All connections are reset, some times.
    Resets,
}

/// Every kind, with what it is called in tables.
pub const ALL: [(Fault, &str); 12] = [
    (Fault::KillLeader, "the leader killed"),
    (Fault::KillOther, "the other replica killed"),
    (Fault::KillBoth, "both replicas killed"),
    (Fault::EndLeader, "the leader ended by SIGTERM"),
    (Fault::FreezeLeader, "the leader frozen (SIGSTOP) for longer than its Lease lasts"),
    (Fault::ApiServer, "the API server killed, back after 1 to 5 s"),
    (Fault::Etcd, "etcd killed, back after 1 to 5 s"),
    (Fault::ControlPlane, "API server and etcd killed, back after 1 to 5 s"),
    (Fault::LeaderAndApiServer, "the leader killed while the API server is away"),
    (Fault::LongOutage, "the API server away for 16 s, longer than a Lease lasts"),
    (Fault::Latency, "50 to 300 ms more each way, for 8 s"),
    (Fault::Resets, "all connections reset, five times"),
];

/// One fault, and when a controller's next write succeeded.
pub struct Dealt {
    /// What failed.
    pub fault: Fault,
    /// From the fault, or from the API server's return, to the next write.
    pub recovery: Duration,
}

/// Who deals them.
pub struct Faults<'a> {
    client: Client,
    breaker: Breaker,
    replicas: &'a Replicas,
    random: &'a mut Random,
    tail: Tail,
    unread: Vec<Call>,
}

impl<'a> Faults<'a> {
    /// Nothing has failed yet.
    pub fn new(
        cluster: &Cluster,
        breaker: Breaker,
        replicas: &'a Replicas,
        random: &'a mut Random,
    ) -> Self {
        let log = cluster.audit_log.clone();
        let tail = Tail { at: audit::end(&log), log };
        Self { client: cluster.client.clone(), breaker, replicas, random, tail, unread: Vec::new() }
    }

    /// Deals every kind so often, with work in between.
    pub async fn deal(mut self, decks: usize) -> (Breaker, Vec<Dealt>) {
        let mut dealt = Vec::new();
        for _ in 0..decks {
            let mut deck: Vec<(Fault, &str)> = ALL.to_vec();
            while !deck.is_empty() {
                let next = usize::try_from(self.random.below(deck.len() as u64)).unwrap_or(0);
                let (fault, name) = deck.swap_remove(next);
                let writes = 5 + self.random.below(40);
                self.until_written(writes, Timestamp::UNIX_EPOCH).await;
                eprintln!("{}: {name}", Timestamp::now());
                let recovery = self.bring(fault).await;
                eprintln!("{}: {name}: at work again after {recovery:?}", Timestamp::now());
                dealt.push(Dealt { fault, recovery });
            }
        }
        (self.breaker, dealt)
    }

    /// Lets it fail. Returns how long nobody was at work since then, or since the outage ended.
    async fn bring(&mut self, fault: Fault) -> Duration {
        let since = match fault {
            Fault::KillLeader => {
                let leader = self.leader().await;
                let since = self.signal(leader, "KILL").await;
                return self.until_at_work(since, since + UNDER_WAY).await;
            }
            Fault::KillOther => {
                let other = other(self.leader().await);
                self.signal(other, "KILL").await
            }
            Fault::KillBoth => {
                self.signal(NAMES[0], "KILL").await;
                let since = self.signal(NAMES[1], "KILL").await;
                return self.until_at_work(since, since + UNDER_WAY).await;
            }
            Fault::EndLeader => {
                let leader = self.leader().await;
                self.signal(leader, "TERM").await
            }
            Fault::FreezeLeader => return self.freeze().await,
            Fault::ApiServer => self.outage(&["apiserver"], None).await,
            Fault::Etcd => self.outage(&["etcd"], None).await,
            Fault::ControlPlane => self.outage(&["etcd", "apiserver"], None).await,
            Fault::LeaderAndApiServer => {
                let leader = self.leader().await;
                self.outage(&["apiserver"], Some(leader)).await
            }
            Fault::LongOutage => {
                self.breaker.tell("kill apiserver").await;
                sleep(Duration::from_secs(16)).await;
                self.breaker.tell("start apiserver").await;
                Timestamp::now()
            }
            Fault::Latency => {
                let since = Timestamp::now();
                let delay = 50 + self.random.below(250);
                self.breaker.tell(&format!("delay {delay}ms")).await;
                sleep(Duration::from_secs(8)).await;
                self.breaker.tell("delay 0s").await;
                since
            }
            Fault::Resets => {
                for _ in 0..4 {
                    self.breaker.tell("cut").await;
                    sleep(Duration::from_millis(self.random.below(1000))).await;
                }
                self.breaker.tell("cut").await;
                Timestamp::now()
            }
        };
        self.until_written(1, since).await
    }

    /// Kills parts of the control plane, and a controller meanwhile, and starts the parts again.
    async fn outage(&mut self, parts: &[&str], controller: Option<&str>) -> Timestamp {
        for part in parts {
            self.breaker.tell(&format!("kill {part}")).await;
        }
        sleep(Duration::from_millis(500)).await;
        if let Some(name) = controller {
            self.signal(name, "KILL").await;
        }
        sleep(Duration::from_millis(500 + self.random.below(4000))).await;
        for part in parts {
            self.breaker.tell(&format!("start {part}")).await;
        }
        Timestamp::now()
    }

    /// Freezes the leader until the other one is at work, and wakes it.
    async fn freeze(&mut self) -> Duration {
        let leader = self.leader().await;
        let since = self.signal(leader, "STOP").await;
        let deadline = Instant::now() + RECOVERY;
        while self.holder().await.as_deref() != Some(other(leader)) {
            assert!(Instant::now() < deadline, "nobody took the frozen leader's Lease");
            sleep(Duration::from_millis(100)).await;
        }
        let recovery = self.until_at_work(since, Timestamp::now()).await;
        self.until_written(10, since).await;
        self.signal(leader, "CONT").await;
        recovery
    }

    /// From `since` to the first write that came in after `next`.
    async fn until_at_work(&mut self, since: Timestamp, next: Timestamp) -> Duration {
        self.until_written(1, next).await + next.duration_since(since).unsigned_abs()
    }

    async fn signal(&self, name: &str, signal: &str) -> Timestamp {
        self.replicas.signal(name, signal).await;
        Timestamp::now()
    }

    /// Who leads; waits until somebody does.
    async fn leader(&self) -> &'static str {
        let deadline = Instant::now() + RECOVERY;
        loop {
            let holder = self.holder().await;
            if let Some(name) = NAMES.into_iter().find(|name| holder.as_deref() == Some(name)) {
                return name;
            }
            assert!(Instant::now() < deadline, "nobody leads: {holder:?}");
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn holder(&self) -> Option<String> {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), CONTROLLER.0);
        let lease = timeout(Duration::from_secs(5), leases.get("sluice")).await.ok()?.ok()?;
        lease.spec?.holder_identity
    }

    /// Waits for so many writes of controllers that came in after `since`, Leases apart, whatever
    /// they are; they have succeeded. Returns how long it was to the last.
    async fn until_written(&mut self, count: u64, since: Timestamp) -> Duration {
        let user = Cluster::controller_user();
        let deadline = Instant::now() + RECOVERY;
        let mut seen = 0;
        loop {
            self.unread.extend(self.tail.read_on());
            while !self.unread.is_empty() {
                let call = self.unread.remove(0);
                let works = call.user() == user && call.writes() && call.succeeded();
                if works && call.resource() != "leases" && call.received >= since {
                    seen += 1;
                }
                if seen == count {
                    let took = call.received.duration_since(since);
                    return took.unsigned_abs();
                }
            }
            assert!(Instant::now() < deadline, "no controller writes: {seen} of {count} writes");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

fn other(name: &str) -> &'static str {
    if name == NAMES[0] { NAMES[1] } else { NAMES[0] }
}
