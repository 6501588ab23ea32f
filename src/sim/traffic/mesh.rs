//! The traffic over time.
//!
//! In: the objects after each change, and the time up to which requests are made. Out: samples at
//! each scrape, and totals.
//!
//! Between two changes all rates are constant, so that only the *expected* counts are kept, and
//! drawn once for each scrape: sums of Poisson counts are Poisson counts. Each draw has a stream of
//! chance of its own, made of the seed, the flow, the outcome and the number of the scrape, so that
//! one more pod changes no other pod's numbers but by its share.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use super::application::Application;
use super::chance::Chance;
use super::flow::{Flow, FlowKey, GATEWAY, OUTCOMES, Outcome};
use super::meter::{Latencies, Meters, TargetId};
use super::pod::{Pod, State, state};
use super::settings::{Incident, Settings};
use super::shares::{Objects, Protocol, Split, To, shares_of};
use super::text;
use super::totals::{Count, Totals};
use crate::sim::prometheus::{AppendError, Database};

/// The latency of an answer that the proxy gives itself.
const LOST_LATENCY_MS: f64 = 1.0;

/// Users, a mesh and its scrapes.
pub struct Traffic {
    settings: Settings,
    epoch_ms: i64,
    /// Up to when requests were expected.
    cursor_ms: i64,
    /// Scrapes so far.
    scrapes: u32,
    /// Whether the mesh is told of changes: istiod is there.
    told: bool,
    /// What the mesh will know, and from when on.
    coming: VecDeque<(i64, Vec<Split>)>,
    /// The last that it will know.
    latest: Vec<Split>,
    /// What it knows.
    splits: Vec<Split>,
    /// The flows of `splits`, each with its requests for each millisecond.
    active: Vec<(usize, f64)>,
    flows: Vec<Flow>,
    flow_places: BTreeMap<FlowKey, usize>,
    /// All pods ever seen, and the places of those of a name seen last.
    pods: Vec<Pod>,
    pod_places: BTreeMap<(String, String), usize>,
    meters: Meters,
    gateway: Option<TargetId>,
    targets: BTreeMap<usize, TargetId>,
    application: Application,
    totals: Totals,
}

// === impl Traffic ===

impl Traffic {
    /// Users that begin at `epoch`, the start of the simulation.
    pub fn new(settings: Settings, epoch: Timestamp) -> Self {
        Self {
            application: Application::new(&settings.counters),
            settings,
            epoch_ms: epoch.as_millisecond(),
            cursor_ms: epoch.as_millisecond(),
            scrapes: 0,
            told: true,
            coming: VecDeque::new(),
            latest: Vec::new(),
            splits: Vec::new(),
            active: Vec::new(),
            flows: Vec::new(),
            flow_places: BTreeMap::new(),
            pods: Vec::new(),
            pod_places: BTreeMap::new(),
            meters: Meters::default(),
            gateway: None,
            targets: BTreeMap::new(),
            totals: Totals::default(),
        }
    }

    /// Adds a time, counted from `now`, at which all versions have errors.
    ///
    /// # Errors
    ///
    /// As [`Traffic::advance`].
    pub fn add_incident(
        &mut self,
        now: Timestamp,
        incident: Incident,
        database: &mut Database,
    ) -> Result<(), AppendError> {
        self.advance(now, database)?;
        self.expect_until(now.as_millisecond());
        let since_ms = u64::try_from(now.as_millisecond() - self.epoch_ms).unwrap_or_default();
        let since = Duration::from_millis(since_ms);
        let (from, to) = (incident.from + since, incident.to + since);
        self.settings.incidents.push(Incident { from, to, ..incident });
        Ok(())
    }

    /// Whether the mesh is told of changes from now on. What it was told before arrives, and it goes by
    /// that until the next [`Traffic::observe`] after it is told again.
    pub fn set_told(&mut self, told: bool) {
        self.told = told;
    }

    /// All targets begin to count anew.
    pub fn reset_counters(&mut self) {
        self.meters.reset();
    }

    /// Takes note of the objects as they are from `now` on, after all requests before. Pods are as
    /// they are at once, shares after the mesh's delay.
    ///
    /// # Errors
    ///
    /// As [`Traffic::advance`].
    pub fn observe(
        &mut self,
        now: Timestamp,
        objects: &Objects<'_>,
        database: &mut Database,
    ) -> Result<(), AppendError> {
        self.advance(now, database)?;
        let now_ms = now.as_millisecond();
        self.see_pods(now_ms, objects);
        if !self.told {
            return Ok(());
        }
        let splits = shares_of(objects, &self.settings.crowds());
        if splits != self.latest {
            self.latest.clone_from(&splits);
            self.coming.push_back((now_ms + milliseconds(self.settings.mesh_delay), splits));
        }
        Ok(())
    }

    /// Makes all requests up to `now`, and all scrapes up to and at `now`.
    ///
    /// # Errors
    ///
    /// Somebody else wrote later samples into the same series.
    pub fn advance(&mut self, now: Timestamp, database: &mut Database) -> Result<(), AppendError> {
        let now_ms = now.as_millisecond();
        loop {
            let change_ms = self.coming.front().map(|(at_ms, _)| *at_ms);
            let scrape_ms = self.next_scrape_ms();
            let times = [Some(scrape_ms), change_ms, self.next_behaviour_ms()];
            let Some(next_ms) = times.into_iter().flatten().min().filter(|at| *at <= now_ms) else {
                return Ok(());
            };
            self.expect_until(next_ms);
            while let Some((_, splits)) = self.coming.pop_front_if(|(at_ms, _)| *at_ms <= next_ms) {
                self.splits = splits;
                self.follow_splits();
            }
            if scrape_ms <= next_ms {
                self.scrape(scrape_ms, database)?;
            }
        }
    }

    /// What became of the requests up to the last scrape.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// When the next scrape is.
    pub fn next_scrape(&self) -> Timestamp {
        Timestamp::from_millisecond(self.next_scrape_ms()).unwrap_or(Timestamp::MAX)
    }

    fn next_scrape_ms(&self) -> i64 {
        let interval_ms = milliseconds(self.settings.scrape_interval).max(1);
        self.epoch_ms + interval_ms / 3 + i64::from(self.scrapes) * interval_ms
    }

    /// When, after the cursor, a version or an incident changes what it does.
    fn next_behaviour_ms(&self) -> Option<i64> {
        let incidents = self.settings.incidents.iter().flat_map(|incident| {
            [incident.from, incident.to].map(|after| self.epoch_ms + milliseconds(after))
        });
        let pods = self.pods.iter().filter(|pod| pod.state.answers).filter_map(errors_from_ms);
        incidents.chain(pods).filter(|at_ms| *at_ms > self.cursor_ms).min()
    }

    // === pods and flows

    fn see_pods(&mut self, now_ms: i64, objects: &Objects<'_>) {
        let mut states: Vec<State> = self.pods.iter().map(|pod| gone(pod.state)).collect();
        let mut new = false;
        for object in objects.pods {
            let name = (
                text(object, &["metadata", "namespace"]).to_owned(),
                text(object, &["metadata", "name"]).to_owned(),
            );
            let known = self.pod_places.get(&name).copied();
            let same = |place: &usize| self.pods[*place].uid == text(object, &["metadata", "uid"]);
            if let Some(place) = known.filter(same) {
                states[place] = state(object, self.pods[place].state, now_ms);
                if !self.pods[place].state.runs {
                    // Its address and what admission added came meanwhile.
                    let before = self.pods[place].state;
                    self.pods[place] = Pod::new(object, &self.settings.versions);
                    self.pods[place].state = before;
                }
                continue;
            }
            self.pod_places.insert(name, self.pods.len());
            self.pods.push(Pod::new(object, &self.settings.versions));
            states.push(state(object, State::default(), now_ms));
            new = true;
        }
        if self.pods.iter().zip(&states).any(|(pod, state)| pod.state != *state) {
            self.expect_until(now_ms);
            for (pod, state) in self.pods.iter_mut().zip(states) {
                pod.state = state;
            }
        }
        if new {
            self.follow_splits();
        }
    }

    /// Finds the flows of what the mesh knows.
    fn follow_splits(&mut self) {
        let mut active = Vec::new();
        let rate = self.settings.requests_per_minute / 60_000.0;
        for split in &self.splits {
            for share in &split.shares {
                let place = match &share.to {
                    To::Pod(name) => {
                        self.pod_places.get(&(share.namespace.clone(), name.clone())).copied()
                    }
                    To::NoEndpoint | To::NoCluster => None,
                };
                let next = self.flows.len();
                let flow = *self.flow_places.entry(Flow::key(split, share, place)).or_insert(next);
                if flow == next {
                    let pod = place.map(|place| (place, &self.pods[place]));
                    self.flows.push(Flow::new(split, share, pod));
                }
                active.push((flow, rate * share.fraction));
            }
        }
        self.active = active;
    }

    // === requests

    /// Expects requests from the cursor on, during which nothing changes.
    fn expect_until(&mut self, at_ms: i64) {
        let span_ms = duration_ms(at_ms - self.cursor_ms);
        let base = self.settings.base_errors + self.incident_errors();
        for (flow, rate) in &self.active {
            let flow = &mut self.flows[*flow];
            let requests = rate * span_ms;
            let Some(pod) = flow.pod.map(|place| &self.pods[place]).filter(|p| p.state.answers)
            else {
                flow.expected[Outcome::Lost as usize] += requests;
                continue;
            };
            let begun = errors_from_ms(pod).is_none_or(|from_ms| from_ms <= self.cursor_ms);
            let own =
                pod.behaviour.as_ref().filter(|_| begun).map_or(0.0, |version| version.errors);
            let errors = match flow.protocol {
                Protocol::Http | Protocol::Plain => (base + own).clamp(0.0, 1.0),
                Protocol::Tcp => 0.0,
            };
            flow.expected[Outcome::Answered as usize] += requests * (1.0 - errors);
            flow.expected[Outcome::Error as usize] += requests * errors;
        }
        self.cursor_ms = self.cursor_ms.max(at_ms);
    }

    /// What incidents add to the errors at the cursor.
    fn incident_errors(&self) -> f64 {
        self.incidents_at(self.cursor_ms).map(|incident| incident.errors).sum()
    }

    fn incidents_at(&self, at_ms: i64) -> impl Iterator<Item = &Incident> {
        let after_ms = at_ms - self.epoch_ms;
        self.settings.incidents.iter().filter(move |incident| {
            (milliseconds(incident.from)..milliseconds(incident.to)).contains(&after_ms)
        })
    }

    // === scrapes

    fn scrape(&mut self, at_ms: i64, database: &mut Database) -> Result<(), AppendError> {
        self.find_targets(at_ms, database)?;
        for place in 0..self.flows.len() {
            for outcome in OUTCOMES {
                self.draw(place, outcome, database);
            }
        }
        self.meters.scrape(database, at_ms)?;
        self.application.scrape(database, at_ms)?;
        self.scrapes += 1;
        Ok(())
    }

    /// Begins and ends targets.
    fn find_targets(&mut self, at_ms: i64, database: &mut Database) -> Result<(), AppendError> {
        if self.gateway.is_none() {
            let (name, namespace) = GATEWAY;
            let labels = target_labels(namespace, name, name);
            self.gateway = Some(self.meters.target(database, labels));
        }
        for (place, pod) in self.pods.iter().enumerate() {
            if pod.state.runs {
                self.application.begin(place, pod, database);
            } else {
                self.application.end(place, database, at_ms)?;
            }
            let alive = self.targets.get(&place).filter(|target| self.meters.is_alive(**target));
            match (pod.state.runs, alive.copied()) {
                (true, None) => {
                    let labels = target_labels(&pod.namespace, &pod.name, &pod.address);
                    self.targets.insert(place, self.meters.target(database, labels));
                }
                (false, Some(target)) => self.meters.end(database, target, at_ms)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Draws how many requests of a flow had this outcome since the last scrape, and counts them.
    fn draw(&mut self, place: usize, outcome: Outcome, database: &mut Database) {
        let mean = std::mem::take(&mut self.flows[place].expected[outcome as usize]);
        // Requests are drawn at a scrape: what slows them is what there was just before it.
        let slower: f64 =
            self.incidents_at(self.cursor_ms - 1).map(|incident| incident.latency).product();
        let flow = &mut self.flows[place];
        let stream = [self.settings.seed, flow.hash, u64::from(self.scrapes), outcome as u64];
        let mut chance = Chance::of(stream);
        let requests = chance.poisson(mean);
        if requests == 0 {
            return;
        }
        let of = |is| if outcome == is { requests } else { 0 };
        let count = if flow.copies {
            Count { copies: requests - of(Outcome::Lost), ..Count::default() }
        } else {
            let (errors, lost) = (of(Outcome::Error), of(Outcome::Lost));
            Count { sent: requests, errors, lost, copies: 0 }
        };
        self.totals.add(&flow.whose, count);
        if flow.protocol == Protocol::Tcp {
            return;
        }
        let pod = flow.pod.map(|place| &self.pods[place]);
        let own = pod.and_then(|pod| pod.behaviour.as_ref()).map_or(1.0, |version| version.latency);
        let factor = own * slower;
        let mean_ms = match outcome {
            Outcome::Lost => LOST_LATENCY_MS,
            _ => (self.settings.base_latency_ms * factor).max(f64::MIN_POSITIVE),
        };
        let latencies = Latencies::draw(&mut chance, requests, mean_ms);
        if let Some(place) = flow.pod {
            self.application.count(place, outcome, requests, &latencies, database);
        }
        if flow.protocol == Protocol::Plain {
            return;
        }
        // A request that was lost is seen by the gateway alone.
        let target = flow.pod.filter(|_| outcome != Outcome::Lost);
        let target = target.and_then(|place| self.targets.get(&place).copied());
        let target = target.filter(|target| self.meters.is_alive(*target));
        let Some(gateway) = self.gateway else { return };
        let known = flow.meters[outcome as usize]
            .filter(|(_, at_pod)| at_pod.map(|(known, _)| known) == target);
        let (at_gateway, at_pod) = known.unwrap_or_else(|| {
            let at_gateway = (!flow.copies).then(|| {
                let labels = flow.labels(pod, outcome, false);
                self.meters.meter(database, gateway, &borrowed(&labels))
            });
            let at_pod = target.map(|target| {
                let labels = flow.labels(pod, outcome, true);
                (target, self.meters.meter(database, target, &borrowed(&labels)))
            });
            (at_gateway, at_pod)
        });
        flow.meters[outcome as usize] = Some((at_gateway, at_pod));
        if let Some(at_gateway) = at_gateway {
            self.meters.count(at_gateway, &latencies);
        }
        if let Some((_, at_pod)) = at_pod {
            self.meters.count(at_pod, &latencies);
        }
    }
}

/// A pod that is no longer there.
fn gone(before: State) -> State {
    State { exists: false, runs: false, answers: false, ..before }
}

/// When the errors of a pod's version begin, if not at once.
fn errors_from_ms(pod: &Pod) -> Option<i64> {
    let after = pod.behaviour.as_ref()?.error_after?;
    Some(pod.state.ready_since_ms? + milliseconds(after))
}

/// The labels that a scrape adds: those of the job for pods in Istio's sample configuration.
fn target_labels(namespace: &str, pod: &str, address: &str) -> Vec<(&'static str, String)> {
    vec![
        ("job", "kubernetes-pods".to_owned()),
        ("instance", format!("{address}:15020")),
        ("namespace", namespace.to_owned()),
        ("pod", pod.to_owned()),
    ]
}

fn borrowed<'l>(labels: &'l [(&'static str, String)]) -> Vec<(&'static str, &'l str)> {
    labels.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4).min(i64::MAX / 4)
}

#[expect(clippy::cast_precision_loss, reason = "a span of a simulation")]
fn duration_ms(span: i64) -> f64 {
    span.max(0) as f64
}
