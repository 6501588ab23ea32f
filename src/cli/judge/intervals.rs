//! Rows to intervals: what each arm counted, and minutes of stable, pod by pod.

use std::collections::{BTreeMap, BTreeSet};

use super::rows::{Arm, Row, Rows};
use crate::analysis::judge::{
    Counts, counts,
    dispersion::told_since,
    latency::{self, Pods, Slow},
};

/// One interval of the file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slice {
    /// Its end, as written.
    pub(super) time: String,
    /// For the comparison of errors.
    pub(super) errors: counts::Interval,
    /// For the comparison of latency.
    pub(super) latency: latency::Interval,
}

/// How long an interval is that stands alone, in seconds.
const ALONE: f64 = 60.0;

/// Over how long the intervals of an only pod are compared, in seconds.
const MINUTE: f64 = 60.0;

/// A pod of stable, since the minute began.
#[derive(Clone, Default)]
struct Pod {
    counts: Counts,
    slow: Slow,
}

/// Stable since its pods, or the intervals of its only pod, were last told apart.
#[derive(Default)]
struct Watched {
    pods: BTreeMap<String, Pod>,
    /// How long, in seconds.
    seconds: f64,
}

/// How many pods of stable there are.
pub(super) fn stable_pods(rows: &Rows) -> usize {
    let stable = rows.all.iter().filter(|row| row.arm == Arm::Stable);
    stable.map(|row| row.pod.as_str()).collect::<BTreeSet<_>>().len()
}

/// The intervals, in the order of time.
pub(super) fn slices(rows: &Rows) -> Vec<Slice> {
    let groups: Vec<&[Row]> =
        rows.all.chunk_by(|one, two| one.seconds.total_cmp(&two.seconds).is_eq()).collect();
    let end = |group: &&[Row]| group.first().map_or(0.0, |row| row.seconds);
    let lengths: Vec<f64> = groups.windows(2).map(|two| end(&two[1]) - end(&two[0])).collect();
    // Nobody says when the first interval began: as long ago as the second is long.
    let first = lengths.first().copied().unwrap_or(ALONE);
    let alone = stable_pods(rows) < 2;
    let (mut at, mut watched) = (0.0, Watched::default());
    let mut slices = Vec::new();
    for (group, seconds) in groups.iter().zip(std::iter::once(first).chain(lengths.iter().copied()))
    {
        let mut slice = slice(group, seconds, rows.bounds.len());
        for row in group.iter().filter(|row| row.arm == Arm::Stable) {
            // Without pods, intervals take their place: that errors come in bursts shows over time as
            // well, though what hits all of stable looks like one, too.
            let name = if alone { row.time.clone() } else { row.pod.clone() };
            let pod = watched.pods.entry(name).or_default();
            add(&mut pod.counts, row);
            add_slow(&mut pod.slow, row);
        }
        watched.seconds += seconds;
        let minute = watched.seconds > MINUTE - 0.5 && watched.pods.len() > 1;
        let tell = if alone { minute } else { told_since(at, at + seconds).is_some() };
        if tell {
            let pods = std::mem::take(&mut watched).pods;
            slice.errors.minute = pods.values().map(|pod| pod.counts).collect();
            slice.latency.minute = pods.into_values().map(|pod| pod.slow).collect();
        }
        at += seconds;
        slices.push(slice);
    }
    slices
}

fn slice(group: &[Row], seconds: f64, bounds: usize) -> Slice {
    let none = Slow { requests: 0, above: vec![0; bounds] };
    let mut slice = Slice {
        time: group.first().map(|row| row.time.clone()).unwrap_or_default(),
        errors: counts::Interval { seconds, ..counts::Interval::default() },
        latency: latency::Interval {
            seconds,
            canary: none.clone(),
            stable: none,
            minute: Vec::new(),
            pods: Pods::default(),
        },
    };
    for row in group {
        let (counts, slow) = match row.arm {
            Arm::Canary => (&mut slice.errors.canary, &mut slice.latency.canary),
            Arm::Stable => (&mut slice.errors.stable, &mut slice.latency.stable),
        };
        add(counts, row);
        add_slow(slow, row);
        let pods = &mut slice.latency.pods;
        // A row without a name of a pod may be of several.
        let named = u32::from(!row.pod.is_empty());
        match row.arm {
            Arm::Canary => pods.canary += named,
            Arm::Stable => pods.stable += named,
        }
    }
    slice
}

fn add(counts: &mut Counts, row: &Row) {
    counts.requests = counts.requests.saturating_add(row.requests);
    counts.errors = counts.errors.saturating_add(row.errors.unwrap_or(0));
}

fn add_slow(slow: &mut Slow, row: &Row) {
    slow.requests = slow.requests.saturating_add(row.requests);
    slow.above.resize(row.above.len(), 0);
    for (sum, above) in slow.above.iter_mut().zip(&row.above) {
        *sum = sum.saturating_add(*above);
    }
}
