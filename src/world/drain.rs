//! Whether requests still reach a revision that lost its place: what the mesh's metrics say.
//!
//! In: raw samples of counters of requests, each with the time at which it was taken. Out: an
//! [`Evidence`]. `rate` and `increase` extrapolate, and say nothing of when a request came; samples
//! with their times do.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

/// Distance of two samples of a series of which only one is known.
const INTERVAL: SignedDuration = SignedDuration::from_secs(60);

/// A scrape may come that much late, beside one that is missed.
const LATE: SignedDuration = SignedDuration::from_secs(5);

/// One counter of requests to a revision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counter {
    /// Which end counts, as Istio's label `reporter` says: each end counts the same requests.
    pub reporter: String,
    /// Who sends, as `istio-system/istio-ingressgateway`; empty if nobody says.
    pub from: String,
    /// Its samples in the order of time.
    pub samples: Vec<(Timestamp, f64)>,
}

/// What the counters of a revision say of the time since its last route was gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Requests came between two scrapes after it.
    Flowing(Flow),
    /// Counters were scraped after it, and none has grown.
    Quiet,
    /// Not enough scrapes yet.
    Unknown,
    /// Nobody counts requests to this revision.
    NoSeries,
    /// Prometheus did not answer.
    NoAnswer,
}

/// Requests between the last two scrapes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// How many.
    pub requests: u64,
    /// Seconds between the scrapes.
    pub seconds: i64,
    /// Who sent most of them; empty if nobody says.
    pub from: String,
}

/// What is known of the requests to a revision whose pods are due to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// From when on the proxies should have sent none.
    pub since: Timestamp,
    /// When it was first asked.
    pub begun: Timestamp,
    /// When it was last asked or answered.
    pub at: Timestamp,
    /// The last answer about this time; none as long as there is none.
    pub evidence: Option<Evidence>,
    /// When requests were last seen.
    pub flowed: Option<Timestamp>,
}

impl Evidence {
    /// A word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Flowing(_) => "flowing",
            Self::Quiet => "quiet",
            Self::Unknown => "unknown",
            Self::NoSeries => "no_series",
            Self::NoAnswer => "no_answer",
        }
    }
}

/// What one counter says.
enum Says {
    /// It ended: its target is not scraped any more.
    Ended,
    Unclear,
    Still,
    Grew {
        requests: f64,
        seconds: i64,
    },
}

/// Judges counters at `now`, of a revision to which no request should have come since `since`.
pub fn evidence(counters: &[Counter], since: Timestamp, now: Timestamp) -> Evidence {
    if counters.is_empty() {
        return Evidence::NoSeries;
    }
    let (mut unclear, mut still) = (false, false);
    let mut by_reporter: BTreeMap<&str, f64> = BTreeMap::new();
    let mut by_sender: BTreeMap<&str, f64> = BTreeMap::new();
    let mut longest = 0;
    for counter in counters {
        match says(&counter.samples, since, now) {
            Says::Ended => {}
            Says::Unclear => unclear = true,
            Says::Still => still = true,
            Says::Grew { requests, seconds } => {
                *by_reporter.entry(&counter.reporter).or_default() += requests;
                *by_sender.entry(&counter.from).or_default() += requests;
                longest = longest.max(seconds);
            }
        }
    }
    if let Some(most) = by_reporter.into_values().max_by(f64::total_cmp) {
        let from = by_sender.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
        let from = from.map(|(from, _)| from.to_owned()).unwrap_or_default();
        return Evidence::Flowing(Flow { requests: whole(most), seconds: longest, from });
    }
    // Of ended ones alone nobody knows who sends now.
    if still && !unclear { Evidence::Quiet } else { Evidence::Unknown }
}

fn says(samples: &[(Timestamp, f64)], since: Timestamp, now: Timestamp) -> Says {
    let mut newest = samples.iter().rev().filter(|(_, value)| value.is_finite());
    let Some(&(last_at, last)) = newest.next() else { return Says::Ended };
    let before = newest.next();
    let interval = before.map_or(INTERVAL, |(at, _)| last_at.duration_since(*at));
    let missed = interval.checked_mul(2).unwrap_or(interval).checked_add(LATE).unwrap_or(interval);
    if now.duration_since(last_at) > missed {
        return Says::Ended;
    }
    let Some(&(before_at, before)) = before else { return Says::Unclear };
    if last_at < since {
        return Says::Unclear;
    }
    // A counter that fell began anew: all that it shows came since.
    let requests = if last < before { last } else { last - before };
    if requests <= 0.0 {
        return Says::Still;
    }
    // What came between a scrape before and one after may have come before.
    if before_at < since {
        return Says::Unclear;
    }
    Says::Grew { requests, seconds: interval.as_secs() }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of requests, above 0"
)]
fn whole(requests: f64) -> u64 {
    requests.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn counter(samples: &[(i64, f64)]) -> Counter {
        let samples = samples.iter().map(|(second, value)| (at(*second), *value)).collect();
        Counter { reporter: "source".into(), from: "istio-system/gateway".into(), samples }
    }

    fn flowing(requests: u64, seconds: i64) -> Evidence {
        Evidence::Flowing(Flow { requests, seconds, from: "istio-system/gateway".into() })
    }

    /// The proxies should have followed at 100, it is 140 now; a scrape every 15 s.
    const SINCE: i64 = 100;
    const NOW: i64 = 140;

    #[test]
    fn one_counter_says_what_its_last_two_samples_prove() {
        type Row = (&'static str, &'static [(i64, f64)], Evidence);
        let rows: [Row; 14] = [
            ("no growth between two scrapes after", &[(110, 7.0), (125, 7.0)], Evidence::Quiet),
            ("growth between two scrapes after", &[(110, 7.0), (125, 9.0)], flowing(2, 15)),
            (
                "growth once, then none: a long request that ended",
                &[(95, 1.0), (110, 7.0), (125, 7.0)],
                Evidence::Quiet,
            ),
            (
                "no growth across the instant: one scrape after is enough",
                &[(80, 7.0), (95, 7.0), (110, 7.0)],
                Evidence::Quiet,
            ),
            ("growth across it proves nothing", &[(95, 3.0), (110, 7.0)], Evidence::Unknown),
            ("no scrape after it yet", &[(84, 7.0), (99, 7.0)], Evidence::Unknown),
            ("a scrape at the instant is after it", &[(80, 7.0), (100, 7.0)], Evidence::Quiet),
            ("one sample alone", &[(110, 4.0)], Evidence::Unknown),
            ("a restarted proxy that sends", &[(110, 90.0), (125, 4.0)], flowing(4, 15)),
            ("a restarted proxy that does not", &[(110, 90.0), (125, 0.0)], Evidence::Quiet),
            ("a restart across the instant", &[(95, 90.0), (110, 4.0)], Evidence::Unknown),
            ("a missed scrape", &[(90, 7.0), (120, 7.0)], Evidence::Quiet),
            ("an ended one", &[(60, 1.0), (75, 9.0)], Evidence::Unknown),
            ("no number", &[(110, f64::NAN), (125, f64::NAN)], Evidence::Unknown),
        ];
        for (case, samples, expected) in rows {
            let found = evidence(&[counter(samples)], at(SINCE), at(NOW));
            assert_eq!(found, expected, "{case}");
        }
    }

    #[test]
    fn all_counters_that_are_scraped_must_be_quiet() {
        let quiet = counter(&[(95, 7.0), (110, 7.0), (125, 7.0)]);
        let flows = counter(&[(110, 7.0), (125, 9.0)]);
        let late = counter(&[(85, 7.0), (97, 9.0), (112, 11.0), (130, 12.0)]);
        let unclear = counter(&[(105, 7.0)]);
        let ended = counter(&[(60, 1.0), (75, 9.0)]);
        let judge = |counters: &[&Counter]| {
            let counters: Vec<Counter> = counters.iter().copied().cloned().collect();
            evidence(&counters, at(SINCE), at(NOW))
        };
        assert_eq!(judge(&[]), Evidence::NoSeries);
        assert_eq!(judge(&[&quiet, &quiet]), Evidence::Quiet);
        assert_eq!(judge(&[&quiet, &unclear]), Evidence::Unknown);
        assert_eq!(
            judge(&[&quiet, &ended]),
            Evidence::Quiet,
            "a sender that is gone sends nothing"
        );
        assert_eq!(judge(&[&quiet, &flows, &unclear]), flowing(2, 15));
        assert_eq!(judge(&[&flows, &late]), flowing(3, 18), "of the last two scrapes of each");
    }

    #[test]
    fn a_request_that_both_ends_count_is_one() {
        let by_gateway = counter(&[(110, 0.0), (125, 40.0)]);
        let by_client = Counter { from: "shop/cart".into(), ..counter(&[(110, 0.0), (125, 2.0)]) };
        let by_pod =
            Counter { reporter: "destination".into(), ..counter(&[(110, 0.0), (125, 41.0)]) };
        let found = evidence(&[by_gateway, by_client, by_pod], at(SINCE), at(NOW));
        assert_eq!(found, flowing(42, 15));
    }
}
