//! Half an hour of two arms, second by second.

use sluice::analysis::judge::{Counts, counts::Interval, dispersion::told_since};

use super::random::{Random, Wander, floor};

/// How long a release takes.
pub const SECONDS: usize = 1800;
const STABLE_PODS: usize = 10;

/// How errors come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Noise {
    /// Each by itself.
    Clean,
    /// In bursts of this mean size on one pod, and pods differ.
    Bursts(f64),
    /// A pod fails its next requests, about so many, however long that takes.
    Outages(f64),
    /// 20 % of all requests fail for five minutes.
    Incident,
}

/// What the canary is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Truth {
    Healthy,
    /// So many times as many errors.
    Times(f64),
    /// This share of its requests fails on top.
    Plus(f64),
}

/// The canary's weight over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// 5, 10, 20, 30, 40, 50 %, five minutes each.
    Stepped,
    /// 10 %.
    Tenth,
}

/// One cell of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    pub per_minute: f64,
    pub base: f64,
    pub noise: Noise,
    pub truth: Truth,
    pub weights: Weights,
    /// By how many seconds stable is sampled before (negative: after) the canary.
    pub skew: i32,
    /// For how many seconds stable was watched before the release.
    pub history: usize,
}

/// What happened.
pub struct Release {
    pub canary: Vec<Counts>,
    /// For each second, each pod.
    stable: Vec<[Counts; STABLE_PODS]>,
    /// Minutes of stable before the release.
    pub history: Vec<Interval>,
}

struct Pod {
    drift: Wander,
    outage: u32,
}

impl Pod {
    fn new(noise: Noise, random: &mut Random) -> Self {
        let sd = if matches!(noise, Noise::Bursts(_) | Noise::Outages(_)) { 0.3 } else { 0.0 };
        Self { drift: Wander::new(sd, 60.0, random), outage: 0 }
    }

    /// One second with so many requests, each of which fails with a chance of `rate`.
    fn second(&mut self, mean: f64, rate: f64, noise: Noise, random: &mut Random) -> Counts {
        let requests = random.poisson(mean);
        let rate = (rate * self.drift.step(random)).min(1.0);
        match noise {
            Noise::Clean | Noise::Incident => {
                Counts { requests, errors: random.binomial(requests, rate) }
            }
            Noise::Bursts(size) => {
                let bursts = random.poisson(f64::from(requests) * rate / size);
                let errors = (0..bursts).map(|_| random.geometric(size)).sum::<u32>();
                // A burst of retries is more requests than usual.
                Counts { requests: requests.max(errors), errors }
            }
            Noise::Outages(size) => {
                let began = random.poisson(f64::from(requests) * rate / size);
                self.outage += (0..began).map(|_| random.geometric(size)).sum::<u32>();
                let errors = requests.min(self.outage);
                self.outage -= errors;
                Counts { requests, errors }
            }
        }
    }
}

impl Cell {
    pub fn weight(&self, second: usize) -> f64 {
        match self.weights {
            Weights::Tenth => 0.1,
            Weights::Stepped => [0.05, 0.1, 0.2, 0.3, 0.4, 0.5][(second / 300).min(5)],
        }
    }

    pub fn play(&self, seed: u64) -> Release {
        let random = &mut Random::new(seed);
        let day = random.uniform();
        let mut load = Wander::new(0.2, 120.0, random);
        let mut common = Wander::new(0.5, 60.0, random);
        let mut stable: Vec<Pod> = (0..STABLE_PODS).map(|_| Pod::new(self.noise, random)).collect();
        let mut canary = Pod::new(self.noise, random);
        // A quarter of an hour in at the latest, so that it ends within the release.
        let incident = 60 + floor(random.uniform() * 1400.0) as usize;
        let mut release = Release { canary: Vec::new(), stable: Vec::new(), history: Vec::new() };
        let mut minute = vec![Counts::default(); STABLE_PODS];
        for now in 0..self.history + SECONDS {
            let at = real(now) / 1800.0;
            let wave = 1.0 + 0.3 * (std::f64::consts::TAU * (at + day)).sin();
            let requests = self.per_minute / 60.0 * wave * load.step(random);
            let mut rate = self.base * common.step(random);
            let Some(second) = now.checked_sub(self.history) else {
                for (pod, counts) in stable.iter_mut().zip(&mut minute) {
                    let more = pod.second(requests / 10.0, rate.min(1.0), self.noise, random);
                    *counts = sum([*counts, more].iter());
                }
                if now % 60 == 59 {
                    release.history.push(Interval {
                        seconds: 60.0,
                        stable: sum(minute.iter()),
                        minute,
                        ..Interval::default()
                    });
                    minute = vec![Counts::default(); STABLE_PODS];
                }
                continue;
            };
            if self.noise == Noise::Incident && (incident..incident + 300).contains(&second) {
                rate = 0.2;
            }
            let weight = self.weight(second);
            let for_pod = requests * (1.0 - weight) / 10.0;
            release.stable.push(std::array::from_fn(|pod| {
                stable[pod].second(for_pod, rate.min(1.0), self.noise, random)
            }));
            // A regression is a bug, and fails requests one by one.
            let (times, plus) = match self.truth {
                Truth::Healthy => (1.0, 0.0),
                Truth::Times(times) => (times, 0.0),
                Truth::Plus(plus) => (1.0, plus),
            };
            let mut of_canary = canary.second(requests * weight, rate, self.noise, random);
            let more = (rate * (times - 1.0) + plus).clamp(0.0, 1.0);
            of_canary.errors += random.binomial(of_canary.requests - of_canary.errors, more);
            release.canary.push(of_canary);
        }
        release
    }
}

impl Release {
    /// The canary between two seconds.
    pub fn canary(&self, from: usize, to: usize) -> Counts {
        sum(self.canary[from.min(SECONDS)..to.min(SECONDS)].iter())
    }

    /// Stable between two seconds.
    pub fn stable(&self, from: usize, to: usize) -> Counts {
        sum(self.stable[from.min(SECONDS)..to.min(SECONDS)].iter().flatten())
    }

    /// What scrapes every `every` seconds see, when stable is scraped `skew` seconds earlier.
    pub fn scrapes(&self, every: usize, skew: i32) -> Vec<Interval> {
        let shift = |second: usize| {
            let skew = usize::try_from(skew.unsigned_abs()).unwrap_or(0);
            // Late scrapes are those of the canary, read at a later second.
            second.saturating_sub(skew)
        };
        let (stable, canary): (&dyn Fn(usize) -> usize, &dyn Fn(usize) -> usize) =
            if skew >= 0 { (&shift, &|second| second) } else { (&|second| second, &shift) };
        (1..=SECONDS / every)
            .map(|scrape| {
                let (from, to) = ((scrape - 1) * every, scrape * every);
                let minute = if let Some(since) = told_since(real(from), real(to)) {
                    let since = floor(since) as usize;
                    let seconds = &self.stable[stable(since)..stable(to)];
                    let pod = |pod: usize| sum(seconds.iter().map(|pods| &pods[pod]));
                    (0..STABLE_PODS).map(pod).collect()
                } else {
                    Vec::new()
                };
                Interval {
                    seconds: real(every),
                    canary: self.canary(canary(from), canary(to)),
                    stable: self.stable(stable(from), stable(to)),
                    minute,
                }
            })
            .collect()
    }
}

fn real(seconds: usize) -> f64 {
    f64::from(u32::try_from(seconds).unwrap_or(u32::MAX))
}

fn sum<'c>(all: impl Iterator<Item = &'c Counts>) -> Counts {
    all.fold(Counts::default(), |so_far, one| Counts {
        requests: so_far.requests + one.requests,
        errors: so_far.errors + one.errors,
    })
}
