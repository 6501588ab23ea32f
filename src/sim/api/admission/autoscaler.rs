//! The defaults of a `HorizontalPodAutoscaler`.

use serde_json::{Value, json};

use super::pods::default;

/// Fills in what it lacks. A behaviour that is there is filled in whole, one that is not stays away.
pub fn complete(spec: &mut Value) {
    default(spec, "minReplicas", || json!(1));
    default(spec, "metrics", || {
        let target = json!({"type": "Utilization", "averageUtilization": 80});
        json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}])
    });
    let Some(behavior) = spec.get_mut("behavior") else { return };
    default(behavior, "scaleUp", || json!({}));
    default(behavior, "scaleDown", || json!({}));
    let up = &mut behavior["scaleUp"];
    default(up, "stabilizationWindowSeconds", || json!(0));
    default(up, "policies", || {
        json!([
            {"type": "Pods", "value": 4, "periodSeconds": 15},
            {"type": "Percent", "value": 100, "periodSeconds": 15},
        ])
    });
    let percent = json!([{"type": "Percent", "value": 100, "periodSeconds": 15}]);
    default(&mut behavior["scaleDown"], "policies", || percent);
    for direction in ["scaleUp", "scaleDown"] {
        default(&mut behavior[direction], "selectPolicy", || json!("Max"));
    }
}
