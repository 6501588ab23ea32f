//! What can be found in the steps of a Rollout, before it is released. Pure.
//!
//! In: a Rollout, and the traffic of its service. Out: the parts of the release with the traffic in each.

use crate::{
    analysis::judge::outlook::{Part, Traffic},
    api::{Duration, Rollout, Step},
    world::{Program, StrategyKind},
};

/// What a service has to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Service {
    /// Requests a second.
    pub requests: f64,
    /// Share of them that fails.
    pub rate: f64,
    /// How many fail at once.
    pub dispersion: f64,
}

/// The parts of a release: each weight and how long it stays. Steps that wait for a person or for a
/// Job have no length that anybody knows, and count as none. Steps that all have none, and a strategy
/// without weights or no Rollout at all, are taken as `release_seconds` at the largest weight, or at half.
pub fn parts(rollout: Option<&Rollout>, service: Service, release_seconds: f64) -> Vec<Part> {
    let program = rollout.map(|rollout| Program::new(&rollout.spec)).unwrap_or_default();
    let total = f64::from(program.total().max(1));
    let (mut weight, mut largest, mut parts) = (0.0, 0.0_f64, Vec::new());
    for step in &program.steps {
        if let Some(set) = step.step.set_weight {
            weight = (f64::from(set) / total).clamp(0.0, 1.0);
            // At full weight there is nothing to compare with.
            largest = if weight < 1.0 { largest.max(weight) } else { largest };
        }
        let seconds = seconds(&step.step, release_seconds);
        if seconds > 0.0 && weight > 0.0 && weight < 1.0 {
            parts.push(Part { traffic: service.at(weight), seconds });
        }
    }
    if parts.is_empty() {
        let weighted = program.strategy == StrategyKind::Canary && largest > 0.0;
        let weight = if weighted { largest } else { 0.5 };
        parts.push(Part { traffic: service.at(weight), seconds: release_seconds });
    }
    parts
}

/// How long a step stays where it is.
fn seconds(step: &Step, release_seconds: f64) -> f64 {
    if let Some(pause) = &step.pause {
        let length = pause.duration.or(pause.timeout);
        return length.map_or(0.0, Duration::as_secs_f64);
    }
    if let Some(hold) = &step.hold {
        return hold.at_most.map_or(release_seconds, Duration::as_secs_f64);
    }
    0.0
}

impl Service {
    fn at(self, weight: f64) -> Traffic {
        Traffic {
            canary: self.requests * weight,
            stable: self.requests * (1.0 - weight),
            rate: self.rate,
            dispersion: self.dispersion,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lengths(steps: &serde_json::Value) -> Vec<(f64, f64)> {
        let spec = json!({"strategy": {"canary": {"steps": steps}}});
        let rollout: Rollout = serde_json::from_value(json!({
            "apiVersion": "sluice.dev/v1alpha1", "kind": "Rollout", "metadata": {"name": "a"}, "spec": spec,
        }))
        .unwrap();
        let service = Service { requests: 10.0, rate: 0.01, dispersion: 1.0 };
        let parts = parts(Some(&rollout), service, 1800.0);
        parts.iter().map(|part| (part.traffic.canary, part.seconds)).collect()
    }

    #[test]
    fn weights_stay_as_long_as_their_pauses() {
        for (steps, expected) in [
            (
                json!([{"setWeight": 10}, {"pause": {"duration": "5m"}}, {"setWeight": 50},
                    {"hold": {"until": "conclusive", "atMost": "20m", "onTimeout": "abort"}}]),
                vec![(1.0, 300.0), (5.0, 1200.0)],
            ),
            (
                json!([{"ramp": {"from": 10, "to": 30, "by": 10, "every": "1m"}}]),
                vec![(1.0, 60.0), (2.0, 60.0), (3.0, 60.0)],
            ),
            // A person decides how long.
            (json!([{"setWeight": 20}, {"pause": {}}]), vec![(2.0, 1800.0)]),
            (json!([]), vec![(5.0, 1800.0)]),
        ] {
            assert_eq!(lengths(&steps), expected, "{steps}");
        }
    }
}
