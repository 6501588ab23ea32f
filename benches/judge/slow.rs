//! Half an hour of latencies, and what the comparison of buckets makes of them. Latencies are
//! lognormal with a median of 100 ms and a p99 of 512 ms; pods differ and pause where they are said to.

use sluice::analysis::judge::{
    Params,
    latency::{Interval, Pods, Slow, State, step},
    parameters::{Parameters, Tolerate},
};
use statrs::function::erf::erfc;

use super::{
    random::{Random, Wander, floor},
    traffic::SECONDS,
};

/// Bounds of the buckets, in seconds.
const BOUNDS: [f64; 5] = [0.05, 0.1, 0.25, 0.5, 1.0];
const MEDIAN: f64 = 0.1;
/// Standard deviation of the logarithm.
const SPREAD: f64 = 0.702;
const PODS: usize = 10;
/// How long stable is watched before, in seconds.
const HISTORY: usize = 900;

/// One cell of the table.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    pub per_minute: f64,
    /// Pods differ, and each pauses for 5 s every five minutes or so.
    pub pauses: bool,
    /// All requests are three times slower for five minutes.
    pub incident: bool,
    /// How many times slower the canary is.
    pub factor: f64,
    /// By how many seconds the canary is seen late.
    pub late: usize,
}

struct Pod {
    drift: Wander,
    pause: u32,
}

impl Pod {
    fn new(pauses: bool, random: &mut Random) -> Self {
        let sd = if pauses { 0.1 } else { 0.0 };
        Self { drift: Wander::new(sd, 60.0, random), pause: 0 }
    }

    fn second(&mut self, mean: f64, slower: f64, pauses: bool, random: &mut Random) -> Slow {
        let mut slower = slower * self.drift.step(random);
        if pauses {
            if self.pause == 0 && random.uniform() < 1.0 / 300.0 {
                self.pause = 5;
            }
            if self.pause > 0 {
                self.pause -= 1;
                slower *= 6.0;
            }
        }
        let requests = random.poisson(mean);
        let (mut left, mut share) = (requests, 1.0);
        let above = BOUNDS.map(|bound| {
            let z = (bound / MEDIAN / slower).ln() / SPREAD;
            let beyond = 0.5 * erfc(z / std::f64::consts::SQRT_2);
            left = random.binomial(left, (beyond / share).min(1.0));
            share = beyond;
            left
        });
        Slow { requests, above: above.to_vec() }
    }
}

fn none() -> Slow {
    Slow { requests: 0, above: vec![0; BOUNDS.len()] }
}

fn add(sum: &mut Slow, more: &Slow) {
    sum.requests += more.requests;
    for (sum, more) in sum.above.iter_mut().zip(&more.above) {
        *sum += more;
    }
}

/// What people get who write nothing.
fn params() -> Params {
    let tolerate = Tolerate { ratio: 1.2, absolute: 0.0 };
    Parameters { tolerate, ..Parameters::default() }.check(1).expect("the defaults are sound")
}

impl Cell {
    /// When the comparison alarms, at scrapes of 15 s and weights of 5 to 50 %.
    pub fn alarm(&self, seed: u64) -> Option<usize> {
        let (random, params) = (&mut Random::new(seed), params());
        let mut load = Wander::new(0.2, 120.0, random);
        let mut common = Wander::new(0.1, 60.0, random);
        let mut stable: Vec<Pod> = (0..PODS).map(|_| Pod::new(self.pauses, random)).collect();
        let mut canary = Pod::new(self.pauses, random);
        let incident = 60 + floor(random.uniform() * 1400.0) as usize;
        let mut state = State::new(BOUNDS.len());
        let (mut scraped, mut minute) = ((none(), none()), vec![none(); PODS]);
        let mut unseen = std::collections::VecDeque::new();
        for now in 0..HISTORY + SECONDS {
            let second = now.checked_sub(HISTORY);
            let requests = self.per_minute / 60.0 * load.step(random);
            let mut slower = common.step(random);
            let within = |second: usize| (incident..incident + 300).contains(&second);
            if self.incident && second.is_some_and(within) {
                slower *= 3.0;
            }
            let weights = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5];
            let weight = second.map_or(0.0, |second| weights[(second / 300).min(5)]);
            let for_pod = requests * (1.0 - weight) / 10.0;
            for (pod, minute) in stable.iter_mut().zip(&mut minute) {
                let counted = pod.second(for_pod, slower, self.pauses, random);
                add(&mut scraped.1, &counted);
                add(minute, &counted);
            }
            let slower = slower * self.factor;
            unseen.push_back(canary.second(requests * weight, slower, self.pauses, random));
            if unseen.len() > self.late {
                add(&mut scraped.0, &unseen.pop_front().unwrap_or_else(none));
            }
            if now % 15 != 14 {
                continue;
            }
            let (of_canary, of_stable) = std::mem::replace(&mut scraped, (none(), none()));
            let told = now % 60 == 59;
            let told = told.then(|| std::mem::replace(&mut minute, vec![none(); PODS]));
            let interval = Interval {
                seconds: 15.0,
                canary: of_canary,
                stable: of_stable,
                minute: told.unwrap_or_default(),
                pods: Pods { canary: 1, stable: 10 },
            };
            state = step(&state, &interval, &params).0;
            if state.alarmed {
                return second.map(|second| second + 1);
            }
        }
        None
    }
}
