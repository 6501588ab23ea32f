//! How many pods one metric asks for: the algorithm of the real controller, as arithmetic.
//!
//! In: what each pod uses and asks for, and how it counts. Out: the number of pods with which the
//! target would be met, cautiously: pods that say nothing do not speed a change up, and never turn
//! its direction.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "the real controller calculates in floats, and so must this; numbers of pods are small"
)]

/// A ratio this near to 1 changes nothing.
const TOLERANCE: f64 = 0.1;

/// What a metric should be.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// A percentage of what the pods ask for.
    Utilization(i64),
    /// An average of the pods, in thousandths.
    Value(i64),
}

/// How a pod counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// With what it uses.
    Ready,
    /// Not, except that on the way up it is as if it used nothing.
    Unready,
    /// As if it used nothing on the way up, and all that it asks for on the way down.
    Missing,
    /// Not at all.
    Ignored,
}

/// A pod, in thousandths.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// How it counts.
    pub group: Group,
    /// What it uses.
    pub used: i64,
    /// What it asks for.
    pub request: i64,
}

/// What comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The number of pods.
    pub replicas: i64,
    /// The use in percent of what is asked for, with such a target.
    pub percent: Option<i64>,
    /// The average use of a pod, in thousandths.
    pub average: i64,
}

/// How many pods there should be, where now `present` are.
///
/// # Errors
/// No pod says what it uses.
pub fn wanted(present: i64, target: Target, samples: &[Sample]) -> Result<Found, String> {
    let of = |group: Group| samples.iter().filter(move |sample| sample.group == group);
    let mut counted: Vec<(i64, i64)> =
        of(Group::Ready).map(|sample| (sample.used, sample.request)).collect();
    if counted.is_empty() {
        let why = "did not receive metrics for targeted pods (pods might be unready)";
        return Err(why.to_owned());
    }
    let ready = counted.len() as f64;
    let (ratio, found) = ratio(target, &counted)?;
    let stay = Found { replicas: present, ..found };
    let up_with_unready = ratio > 1.0 && of(Group::Unready).next().is_some();
    if !up_with_unready && of(Group::Missing).next().is_none() {
        let replicas = if is_near(ratio) { present } else { (ratio * ready).ceil() as i64 };
        return Ok(Found { replicas, ..found });
    }
    for missing in of(Group::Missing) {
        let used = match target {
            _ if ratio >= 1.0 => 0,
            Target::Utilization(percent) => missing.request * percent.max(100) / 100,
            Target::Value(value) => value,
        };
        if (ratio - 1.0).abs() > f64::EPSILON {
            counted.push((used, missing.request));
        }
    }
    if up_with_unready {
        counted.extend(of(Group::Unready).map(|unready| (0, unready.request)));
    }
    let (again, _) = self::ratio(target, &counted)?;
    let turned = (ratio < 1.0 && again > 1.0) || (ratio > 1.0 && again < 1.0);
    if is_near(again) || turned {
        return Ok(stay);
    }
    let replicas = (again * counted.len() as f64).ceil() as i64;
    if (again < 1.0 && replicas > present) || (again > 1.0 && replicas < present) {
        return Ok(stay);
    }
    Ok(Found { replicas, ..found })
}

fn is_near(ratio: f64) -> bool {
    (1.0 - TOLERANCE..=1.0 + TOLERANCE).contains(&ratio)
}

/// The present use as a multiple of the target.
fn ratio(target: Target, pods: &[(i64, i64)]) -> Result<(f64, Found), String> {
    let used: i64 = pods.iter().map(|(used, _)| used).sum();
    let average = used / pods.len().max(1) as i64;
    let found = Found { replicas: 0, percent: None, average };
    match target {
        Target::Value(value) => Ok((average as f64 / value as f64, found)),
        Target::Utilization(target) => {
            let asked: i64 = pods.iter().map(|(_, request)| request).sum();
            if asked == 0 {
                return Err("no metrics returned matched known pods".to_owned());
            }
            let percent = used * 100 / asked;
            Ok((percent as f64 / target as f64, Found { percent: Some(percent), ..found }))
        }
    }
}
