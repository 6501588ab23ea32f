//! The whole controller with its real watches, in virtual time: whatever becomes of the connections, in
//! the end it knows what the API server knows.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sluice::{
    api::REVISION_LABEL,
    controller::{self, Context, Settings, clock::Clock, lease::LeaseFence},
    observe::cache::{Cache, Cached},
    server::{health::Health, metrics::Metrics},
    sim::{
        actors,
        api::{
            Refusal, Resource,
            http::{Fault, Hook, RequestSummary},
            resource,
            store::{Deletion, writer},
        },
        mesh,
        realtime::Cluster,
        simulation::START,
    },
};
use tokio::time::{Instant, sleep};

use super::{
    case::{Case, Layout},
    chance::Chance,
    cluster,
};

/// What watches and lists meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Good,
    /// The API server is shutting down.
    Down,
    /// It is back, and keeps no changes of before.
    Forgetful,
    Broken,
}

/// What the world is like, and what was asked of it that must not be asked.
struct World {
    line: Line,
    /// Lists that an API server may answer from an old cache.
    stale: Vec<String>,
}

/// The runtime's clock.
struct Virtual(Timestamp, Instant);

impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        let since = SignedDuration::try_from(self.1.elapsed()).unwrap_or_default();
        let now = self.0.checked_add(since).unwrap_or(self.0);
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }
}

#[test]
fn watches_that_break_and_expire_end_with_all_that_is_there() {
    for seed in 1..=3 {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().start_paused(true).build().expect("a runtime");
        runtime.block_on(played(seed));
    }
}

async fn played(seed: u64) {
    let case = Case {
        seed,
        layout: if seed.is_multiple_of(2) { Layout::Subsets } else { Layout::Hosts },
        replicas: 3,
        steps: 5,
        judged: false,
        dynamic: false,
        autoscaled: false,
        users: false,
        mesh_delay_ms: 100,
        strict: false,
        acts: Vec::new(),
    };
    let scenario = cluster::scenario(&case);
    let start: Timestamp = START.parse().expect("a time");
    let clock = || Virtual(start, Instant::now());
    let cluster = Cluster::new(mesh::Settings::of(&scenario, seed), Arc::new(clock()));
    let world = Arc::new(Mutex::new(World { line: Line::Good, stale: Vec::new() }));
    let fence = Arc::new(LeaseFence::always_open());
    let metrics = Arc::new(Metrics::default());
    let client = cluster.client_with(line(&world));
    let context =
        Arc::new(Context::new(client, Box::new(clock()), fence, metrics, Settings::default()));
    let health = Arc::new(Health::default());
    let objects = cluster::objects(&scenario);
    tokio::select! {
        ended = controller::run(context.clone(), None, health, std::future::pending()) => {
            panic!("seed {seed}: the controller ended: {ended:?}");
        }
        () = cluster.live(actors::Settings::of(&scenario)) => {}
        () = life(&cluster, &world, &objects, seed) => {}
    }
    let stale = world.lock().expect("no panic").stale.join(", ");
    assert_eq!(stale, "", "seed {seed}: an old state would do for these");
    assert_eq!(known(&context), there(&cluster), "seed {seed}: what is known, and what is there");
    let rollout = cluster.get(&resource::ROLLOUT, "web");
    let (phase, message) = (&rollout["status"]["phase"], &rollout["status"]["message"]);
    assert_eq!(*phase, json!("Healthy"), "seed {seed}: {message}");
    let images = &rollout["status"]["history"][0]["images"];
    assert_eq!(*images, json!(["web:9"]), "seed {seed}: {message}");
}

/// Lets lists and watches meet what the line is like.
fn line(world: &Arc<Mutex<World>>) -> Hook {
    let world = world.clone();
    Arc::new(move |request: &RequestSummary| {
        let mut world = world.lock().expect("no panic");
        let looks = matches!(request.verb, "list" | "watch");
        if looks && request.any_version {
            world.stale.push(format!("{} {:?}", request.verb, request.resource.map(|of| of.kind)));
        }
        let refuse = |code, reason, text: &str| Fault::Refuse(Refusal::new(code, reason, text));
        match world.line {
            _ if !looks => None,
            Line::Good => None,
            Line::Down => Some(refuse(503, "ServiceUnavailable", "apiserver is shutting down")),
            Line::Forgetful => (request.verb == "watch")
                .then(|| refuse(410, "Expired", "too old resource version")),
            Line::Broken => Some(Fault::Lose),
        }
    })
}

/// Releases, pods that come and go, and connections that break; then peace, and a last release.
async fn life(cluster: &Cluster, world: &Arc<Mutex<World>>, objects: &[Value], seed: u64) {
    let chance = &mut Chance::new(seed);
    for object in objects {
        cluster.create(object).expect("an object");
    }
    sleep(Duration::from_mins(1)).await;
    for _ in 0..10 {
        let line = chance.pick(&[Line::Good, Line::Down, Line::Forgetful, Line::Broken]);
        world.lock().expect("no panic").line = line;
        // Watches end by themselves within five minutes, and then meet the line as it is.
        sleep(Duration::from_secs(chance.pick(&[1, 30, 310]))).await;
        image(cluster, chance.pick(&["1", "2", "3"]));
        for name in cluster.names(&resource::POD).into_iter().step_by(2) {
            let key = ("default".to_owned(), name);
            let _ = cluster.store().delete(
                &writer("kubectl"),
                &resource::POD,
                &key,
                &Deletion::default(),
            );
        }
        if chance.one_in(2) {
            // In the same breath: no watch has told of it.
            cluster.store().compact();
        }
        sleep(Duration::from_secs(chance.pick(&[1, 30, 310]))).await;
    }
    world.lock().expect("no panic").line = Line::Good;
    image(cluster, "9");
    sleep(Duration::from_mins(20)).await;
}

fn image(cluster: &Cluster, tag: &str) {
    let mut rollout = cluster.get(&resource::ROLLOUT, "web");
    rollout["spec"]["template"]["spec"]["containers"][0]["image"] = json!(format!("web:{tag}"));
    let key = ("default".to_owned(), "web".to_owned());
    let written = cluster.store().replace(&writer("kubectl"), &resource::ROLLOUT, &key, rollout);
    written.expect("an image");
}

type Versions = BTreeMap<(&'static str, String), String>;

/// Versions of the objects that the controller knows.
fn known(context: &Context) -> Versions {
    let mut all = Versions::new();
    let caches = &context.caches;
    add("Rollout", &caches.rollouts, &mut all);
    add("ReplicaSet", &caches.replica_sets, &mut all);
    add("Pod", &caches.pods, &mut all);
    add("Service", &caches.services, &mut all);
    add("EndpointSlice", &caches.slices, &mut all);
    add("VirtualService", &caches.virtual_services, &mut all);
    add("DestinationRule", &caches.destination_rules, &mut all);
    all
}

fn add<V: Cached>(kind: &'static str, cache: &Cache<V>, all: &mut Versions) {
    for ((_, name), entry) in cache.all() {
        all.insert((kind, name), entry.version);
    }
}

/// Versions of the objects that are there, as far as the controller asks for them.
fn there(cluster: &Cluster) -> Versions {
    let kinds: [(&'static Resource, bool); 7] = [
        (&resource::ROLLOUT, false),
        (&resource::REPLICA_SET, true),
        (&resource::POD, true),
        (&resource::SERVICE, false),
        (&resource::ENDPOINT_SLICE, false),
        (&resource::VIRTUAL_SERVICE, false),
        (&resource::DESTINATION_RULE, false),
    ];
    let store = cluster.store();
    let mut all = Versions::new();
    for (resource, labelled) in kinds {
        for ((_, name), object) in store.list(resource, None) {
            if !labelled || object["metadata"]["labels"][REVISION_LABEL].is_string() {
                let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
                all.insert((resource.kind, name.clone()), version.to_owned());
            }
        }
    }
    all
}
