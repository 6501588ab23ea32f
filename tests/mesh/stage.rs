//! One test: a namespace, a controller of its own, users, and what became of their requests.

use std::{ops::Deref, panic::resume_unwind, time::Duration};

use serde_json::Value;
use tokio::sync::Mutex;

use crate::{
    house::{House, house, on_runtime},
    load::{Entry, Load, Outcome, Sample},
    report,
    shop::{Layout, Shop},
    support::{
        controller::{Controller, Options},
        namespace::Namespace,
    },
    tally::{self, Tally, Weight},
};

/// The longest time that a test waits for one thing: a verdict takes minutes.
const PATIENCE: Duration = Duration::from_mins(4);

/// A test and its namespace.
pub struct Stage {
    /// What all tests share.
    pub house: &'static House,
    place: Namespace,
    controller: Mutex<Option<Controller>>,
    load: Mutex<Option<Load>>,
}

impl Deref for Stage {
    type Target = Namespace;

    fn deref(&self) -> &Namespace {
        &self.place
    }
}

/// Plays a test beside others, in a namespace named after it, and checks afterwards what always
/// holds.
pub fn play(name: &str, body: impl AsyncFnOnce(&Stage)) {
    on_runtime(async {
        let house = house().await;
        let _peace = house.peace.read().await;
        told(house, name, body).await;
    });
}

/// Plays a test that disturbs all others, when it is alone.
pub fn play_alone(name: &str, body: impl AsyncFnOnce(&Stage)) {
    on_runtime(async {
        let house = house().await;
        let _peace = house.peace.write().await;
        told(house, name, body).await;
    });
}

async fn told(house: &'static House, name: &str, body: impl AsyncFnOnce(&Stage)) {
    let mut place = Namespace::open(&house.cluster, name).await;
    place.patience = PATIENCE;
    let stage = Stage { house, place, controller: Mutex::default(), load: Mutex::default() };
    stage.start_controller().await;
    let ended = stage.place.told(name, body(&stage)).await;
    if let Some(controller) = stage.controller.lock().await.take() {
        controller.kill().await;
    }
    if let Err(panic) = ended {
        resume_unwind(panic);
    }
}

impl Stage {
    /// Starts the controller of this namespace; it knows Prometheus.
    pub async fn start_controller(&self) {
        let url = format!("--prometheus-url={}", self.house.prometheus.url);
        let (name, instance) = (format!("{}-controller", self.namespace), self.namespace.clone());
        let options = Options { name, instance, flags: vec![url], ..Options::default() };
        let controller = Controller::start(&self.house.cluster, &options).await;
        *self.controller.lock().await = Some(controller);
    }

    /// Ends the controller without a warning.
    pub async fn kill_controller(&self) {
        if let Some(controller) = self.controller.lock().await.take() {
            controller.kill().await;
        }
    }

    /// A shop in this namespace.
    pub fn shop(&self, layout: Layout, strategy: &str) -> Shop {
        Shop::new(&self.namespace, layout, strategy)
    }

    /// Creates a shop, waits until its first version is stable, and lets users come.
    pub async fn open_shop(&self, shop: &Shop) {
        self.user.apply(&shop.manifests()).await;
        self.until_released("shop").await;
        self.let_users_come(shop).await;
    }

    /// Lets users come by both ways, once both lead to the shop.
    pub async fn let_users_come(&self, shop: &Shop) {
        let (public, inner) = (shop.public(), shop.inner());
        let entries = [
            Entry::gateway(&public, 80),
            Entry::gateway(&public, 40).anew(),
            Entry::sidecar(&inner, 60),
            Entry::sidecar(&inner, 20).anew(),
        ];
        self.come_by(&entries).await;
    }

    /// Lets users come by these ways, once they lead to a version.
    pub async fn come_by(&self, entries: &[Entry]) {
        for entry in entries {
            self.until_served(entry).await;
        }
        *self.load.lock().await = Some(Load::start(entries));
    }

    /// Waits until so many more requests were answered.
    pub async fn until_answered(&self, more: usize) {
        let load = self.load.lock().await;
        let load = load.as_ref().expect("users come");
        let goal = load.answered() + more;
        let what = format!("{more} more answers");
        self.poll(&what, async || (load.answered() >= goal).then_some(())).await;
    }

    /// Waits until there are so many pods of each, stable and new, all ready.
    pub async fn until_pods(&self, stable: usize, new: usize) {
        let what = format!("{stable} stable and {new} new pods");
        self.until(&what, |seen| {
            let status = &seen.get("Rollout", "shop")["status"];
            let count = |revision: &Value| {
                let of =
                    |pod: &&Value| pod["metadata"]["labels"]["sluice.dev/revision"] == *revision;
                let pods: Vec<&Value> = seen.all("Pod").filter(of).collect();
                pods.iter().all(|pod| is_ready(pod)).then_some(pods.len())
            };
            let counts = (count(&status["stableRevision"]), count(&status["currentRevision"]));
            (counts == (Some(stable), Some(new))).then_some(())
        })
        .await;
    }

    /// Waits until a way in leads to a version.
    pub async fn until_served(&self, entry: &Entry) {
        let what = format!("{} to serve {}", entry.name, entry.host);
        self.poll(&what, async || entry.is_served().await.then_some(())).await;
    }

    /// Applies the shop with another image, and waits until the controller has seen it.
    pub async fn release(&self, shop: &Shop, image: &str) -> Value {
        let rollout = shop.clone().image(image).rollout().to_string();
        self.user.apply(&rollout).await;
        self.until_asked_for("shop", image).await
    }

    /// Waits until the routes give the new version this weight.
    pub async fn until_routed(&self, percent: u8) {
        self.until(&format!("weight {percent} in the routes"), |seen| {
            (Shop::weight(seen.get("VirtualService", "shop")) == Some(percent)).then_some(())
        })
        .await;
    }

    /// The weights of the new version since the routes were made, as the API server told them.
    pub fn weights(&self) -> Vec<Weight> {
        let seen = self.seen();
        let mut weights: Vec<Weight> = Vec::new();
        for (since, route) in seen.timeline("VirtualService", "shop") {
            let Some(percent) = Shop::weight(route) else { continue };
            if weights.last().is_none_or(|last| last.percent != percent) {
                weights.push(Weight { since, percent });
            }
        }
        weights
    }

    /// The same for a release that was promoted: at its end both destinations reach the new version.
    pub fn weights_to_promotion(&self) -> Vec<Weight> {
        let mut weights = self.weights();
        if let Some(last) = weights.last_mut().filter(|last| last.percent == 0) {
            last.percent = 100;
        }
        weights
    }

    /// For each time when a request was lost what had just been written, for whoever looks for the
    /// cause.
    fn circumstances(&self, samples: &[Sample]) -> Vec<String> {
        let seen = self.seen();
        let mut told: Vec<String> = Vec::new();
        for sample in samples.iter().filter(|sample| matches!(sample.outcome, Outcome::Lost(_))) {
            let writes = seen.changes.iter().zip(&seen.times).filter(|(change, at)| {
                **at <= sample.began && !["Event", "AnalysisRun"].contains(&change.key.0)
            });
            let mut last: Vec<String> = writes
                .rev()
                .take(4)
                .map(|(change, at)| {
                    let before = sample.began.duration_since(*at).as_millis();
                    let gone = if change.object.is_none() { " gone" } else { "" };
                    format!("{} {}{gone} {before} ms before", change.key.0, change.key.1)
                })
                .collect();
            last.reverse();
            told.push(format!("lost by {} after: {}", sample.entry, last.join(", ")));
        }
        told
    }

    /// Ends the users' visits and reports what became of their requests.
    pub async fn close(&self, claim: &'static str) -> Closed {
        let load = self.load.lock().await.take().expect("users come");
        let samples = load.finish().await;
        let circumstances = self.circumstances(&samples);
        Closed { tally: Tally::of(&samples), samples, claim, shares: Vec::new(), circumstances }
    }
}

/// Whether a pod is Ready and not on its way out.
pub fn is_ready(pod: &Value) -> bool {
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    let ready = conditions.any(|c| c["type"] == "Ready" && c["status"] == "True");
    ready && pod["metadata"]["deletionTimestamp"].is_null()
}

/// A shop after its last user.
pub struct Closed {
    /// What became of the requests.
    pub tally: Tally,
    /// Each request.
    pub samples: Vec<Sample>,
    claim: &'static str,
    shares: Vec<tally::Share>,
    circumstances: Vec<String>,
}

impl Closed {
    /// At each weight the version `new` had its share.
    pub fn shared(mut self, weights: &[Weight], new: &str) -> Self {
        self.shares = tally::shares(&self.samples, weights, new);
        self
    }

    /// Writes the row of the report, and fails where more than `most` requests were lost, or a
    /// version did not have its share.
    pub fn lost_at_most(self, most: usize, note: &str) {
        let Self { tally, claim, shares, circumstances, .. } = self;
        report::requests(claim, &tally, &shares, note);
        let failed = tally.failed();
        assert!(
            failed <= most,
            "{failed} of {} requests were lost: {:#?}\n{}",
            tally.sent,
            tally.lost,
            circumstances.join("\n")
        );
        let odd: Vec<String> =
            shares.iter().filter(|share| !share.is_plausible()).map(ToString::to_string).collect();
        assert!(odd.is_empty(), "the new version did not have its share: {odd:?}");
    }
}
