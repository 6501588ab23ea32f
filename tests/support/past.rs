//! A made-up past of a service, for backtests: some quiet hours, in which pods fail now and then, and a
//! bad release at the end.

use jiff::{SignedDuration, Timestamp};
use sluice::sim::prometheus::{Database, Labels, NAME};

/// Seconds between two scrapes.
const SCRAPE: i64 = 15;

/// Hours that are quiet.
const QUIET: i64 = 5;

/// Minutes of the bad release after them.
const BAD: i64 = 20;

const PODS: i64 = 6;

/// Some chance, from a seed.
struct Chance(u64);

impl Chance {
    /// Evenly between 0 and 1.
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from(u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or(0)) / 4_294_967_296.0
    }

    fn binomial(&mut self, number: i64, share: f64) -> i64 {
        let drawn = (0..number).filter(|_| self.uniform() < share).count();
        i64::try_from(drawn).unwrap_or(0)
    }
}

/// A pod with its two series.
struct Pod {
    revision: &'static str,
    name: String,
    /// Requests that went well, and failed ones, in all.
    counts: (i64, i64),
}

impl Pod {
    fn labels(&self, code: &str) -> Labels {
        Labels::new([
            (NAME, "http_requests_total"),
            ("app", "shop"),
            ("version", self.revision),
            ("pod", &self.name),
            ("response_code", code),
        ])
    }

    fn scrape(
        &mut self,
        requests: i64,
        share: f64,
        at: Timestamp,
        to: &mut Database,
        c: &mut Chance,
    ) {
        let failed = c.binomial(requests, share);
        self.counts = (self.counts.0 + requests - failed, self.counts.1 + failed);
        for (code, count) in [("200", self.counts.0), ("503", self.counts.1)] {
            let count = f64::from(i32::try_from(count).unwrap_or(i32::MAX));
            to.append(&self.labels(code), at, count).expect("later than the last");
        }
    }
}

/// The samples.
pub fn past(begins: Timestamp) -> Database {
    let (mut database, mut chance) = (Database::new(), Chance(11));
    let pod = |revision, number| Pod {
        revision,
        name: format!("shop-{revision}-{number}"),
        counts: (90_000, 300),
    };
    let mut stable: Vec<Pod> = (0..PODS).map(|number| pod("v1", number)).collect();
    let mut canary = Pod { counts: (0, 0), ..pod("v2", 0) };
    let bad = QUIET * 3600 / SCRAPE;
    for scrape in 0..bad + BAD * 60 / SCRAPE {
        // Everybody fails more for five minutes of the third hour.
        let incident = (500..520).contains(&scrape);
        let rate = if incident { 0.15 } else { 0.006 };
        for (offset, pod) in (0..).zip(&mut stable) {
            let at = begins + SignedDuration::from_secs(scrape * SCRAPE + 2 * offset);
            let requests = 20 + chance.binomial(10, 0.5);
            pod.scrape(requests, rate, at, &mut database, &mut chance);
        }
        if scrape >= bad {
            let at = begins + SignedDuration::from_secs(scrape * SCRAPE + 13);
            let requests = 14 + chance.binomial(10, 0.5);
            canary.scrape(requests, 0.1, at, &mut database, &mut chance);
        }
    }
    database
}
