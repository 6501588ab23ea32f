//! How fast a size may follow what the metrics ask for: recommendations of the last minutes, and the
//! limits of `behavior`. As the real controller has it; without `behavior` a size at most doubles and
//! falls only to the highest recommendation of the last five minutes.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// Seconds that recommendations hold a size up, unless `behavior` says otherwise.
const DOWN_SECONDS: i64 = 300;

type Said = (&'static str, &'static str);

const WITHIN: Said = ("DesiredWithinRange", "the desired count is within the acceptable range");
const READY: Said = ("ReadyForNewScale", "recommended size matches current size");
const TOO_MANY: Said =
    ("TooManyReplicas", "the desired replica count is more than the maximum replica count");
const TOO_FEW: Said =
    ("TooFewReplicas", "the desired replica count is less than the minimum replica count");
const TOO_FAST_UP: Said =
    ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate");
const TOO_FAST_DOWN: Said = (
    "ScaleDownLimit",
    "the desired replica count is decreasing faster than the maximum scale rate",
);
const HELD_UP: Said = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
);
const HELD_DOWN: Said = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
);

/// What an autoscaler remembers.
#[derive(Debug, Default)]
pub struct Memory {
    recommended: Vec<(Timestamp, i64)>,
    ups: Vec<(Timestamp, i64)>,
    downs: Vec<(Timestamp, i64)>,
}

/// A size, its bounds, and what the metrics propose.
#[derive(Clone, Copy, Debug)]
pub struct Sized {
    /// The fewest pods.
    pub least: i64,
    /// The most pods.
    pub most: i64,
    /// The pods that are wanted now.
    pub present: i64,
    /// The pods that the metrics propose.
    pub proposed: i64,
    /// The present.
    pub now: Timestamp,
}

/// The size, and what is said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The size.
    pub size: i64,
    /// What recent recommendations left of the proposal.
    pub stable: i64,
    /// Reason and message of `AbleToScale`.
    pub able: Said,
    /// Reason and message of `ScalingLimited`.
    pub limit: Said,
}

fn before(now: Timestamp, seconds: i64) -> Timestamp {
    now.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN)
}

// === impl Memory

impl Memory {
    /// The size at the first look is the first recommendation.
    pub fn begin(&mut self, now: Timestamp, size: i64) {
        if self.recommended.is_empty() {
            self.recommended.push((now, size));
        }
    }

    /// The proposal within its limits.
    pub fn normal(&mut self, behavior: &Value, sized: &Sized) -> Outcome {
        let outcome = if behavior.is_object() {
            self.by_behavior(behavior, sized)
        } else {
            self.by_default(sized)
        };
        self.recommended.push((sized.now, sized.proposed));
        // No window is longer.
        let hour = before(sized.now, 3600);
        for list in [&mut self.recommended, &mut self.ups, &mut self.downs] {
            list.retain(|(at, _)| *at >= hour);
        }
        outcome
    }

    /// Remembers a change of the size.
    pub fn scaled(&mut self, behavior: &Value, now: Timestamp, from: i64, to: i64) {
        if behavior.is_object() {
            let changes = if to > from { &mut self.ups } else { &mut self.downs };
            changes.push((now, (to - from).abs()));
        }
    }

    fn by_default(&self, sized: &Sized) -> Outcome {
        let cutoff = before(sized.now, DOWN_SECONDS);
        let recent = self.recommended.iter().filter(|(at, _)| *at >= cutoff).map(|(_, size)| *size);
        let stable = recent.fold(sized.proposed, i64::max);
        let able = if stable == sized.proposed { READY } else { HELD_UP };
        let fast = (2 * sized.present).max(4);
        let (most, over) =
            if sized.most > fast { (fast, TOO_FAST_UP) } else { (sized.most, TOO_MANY) };
        let (size, limit) = if stable < sized.least {
            (sized.least, TOO_FEW)
        } else if stable > most {
            (most, over)
        } else {
            (stable, WITHIN)
        };
        Outcome { size, stable, able, limit }
    }

    fn by_behavior(&self, behavior: &Value, sized: &Sized) -> Outcome {
        let window = |direction: &str, default| {
            let seconds = behavior[direction]["stabilizationWindowSeconds"].as_i64();
            before(sized.now, seconds.unwrap_or(default))
        };
        let (up_from, down_from) = (window("scaleUp", 0), window("scaleDown", DOWN_SECONDS));
        let since = |from: Timestamp| {
            self.recommended.iter().filter(move |(at, _)| *at > from).map(|(_, size)| *size)
        };
        let up = since(up_from).fold(sized.proposed, i64::min);
        let down = since(down_from).fold(sized.proposed, i64::max);
        let stable = sized.present.max(up).min(down);
        let able = match () {
            () if stable == sized.proposed => READY,
            () if sized.proposed >= sized.present => HELD_DOWN,
            () => HELD_UP,
        };
        let (size, limit) = self.limited(behavior, sized, stable);
        Outcome { size, stable, able, limit }
    }

    fn limited(&self, behavior: &Value, sized: &Sized, stable: i64) -> (i64, Said) {
        if stable > sized.present {
            let fast = self.limit(&behavior["scaleUp"], sized, 1).max(sized.present);
            let (most, why) =
                if sized.most > fast { (fast, TOO_FAST_UP) } else { (sized.most, TOO_MANY) };
            return if stable > most { (most, why) } else { (stable, WITHIN) };
        }
        if stable < sized.present {
            let fast = self.limit(&behavior["scaleDown"], sized, -1).min(sized.present);
            let (least, why) =
                if sized.least < fast { (fast, TOO_FAST_DOWN) } else { (sized.least, TOO_FEW) };
            return if stable < least { (least, why) } else { (stable, WITHIN) };
        }
        (stable, WITHIN)
    }

    /// How far the policies let the size go up (`sign` 1) or down (-1).
    fn limit(&self, rules: &Value, sized: &Sized, sign: i64) -> i64 {
        let select = rules["selectPolicy"].as_str();
        if select == Some("Disabled") {
            return sized.present;
        }
        let ends = rules["policies"].as_array().into_iter().flatten().map(|policy| {
            let cutoff = before(sized.now, policy["periodSeconds"].as_i64().unwrap_or(0));
            let sum = |changes: &[(Timestamp, i64)]| -> i64 {
                changes.iter().filter(|(at, _)| *at > cutoff).map(|(_, change)| change).sum()
            };
            let start = sized.present - sum(&self.ups) + sum(&self.downs);
            let value = policy["value"].as_i64().unwrap_or(0);
            if policy["type"] == "Pods" {
                return start + sign * value;
            }
            // Up it is rounded up, or one pod could never become two; down it is cut off.
            let hundredths = start * (100 + sign * value);
            if sign > 0 { (hundredths + 99) / 100 } else { hundredths / 100 }
        });
        // The greater change is further up, or further down.
        let furthest = (select == Some("Min")) != (sign > 0);
        let end = if furthest { ends.max() } else { ends.min() };
        end.unwrap_or(sized.present)
    }
}
