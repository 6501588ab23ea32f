//! Priority classes: the name in a pod becomes its priority.

use serde_json::{Value, json};

use crate::sim::api::{Store, admission::default, resource::PRIORITY_CLASS};

const ALWAYS: &str = "PreemptLowerPriority";

/// Gives a pod the priority of its class.
pub(super) fn resolve(store: &Store, pod: &mut Value) -> Result<(), String> {
    let spec = &mut pod["spec"];
    let name = spec["priorityClassName"].as_str().unwrap_or_default().to_owned();
    let (priority, policy) = if name.is_empty() {
        let classes = store.list(&PRIORITY_CLASS, None).map(|(_, class)| class);
        let class = classes
            .filter(|class| class["globalDefault"] == true)
            .min_by_key(|class| class["value"].as_i64());
        if let Some(class) = class {
            spec["priorityClassName"] = class["metadata"]["name"].clone();
        }
        class.map_or_else(|| (0, ALWAYS.to_owned()), |class| of_class(class))
    } else {
        let class = store.get(&PRIORITY_CLASS, "", &name);
        let found = class.map(|class| of_class(class)).or_else(|| of_system(&name));
        found.ok_or_else(|| format!("no PriorityClass with name {name} was found"))?
    };
    if let Some(own) = spec["priority"].as_i64().filter(|own| *own != priority) {
        return Err(format!(
            "the integer value of priority ({own}) must not be provided in pod spec; priority admission controller computed {priority} from the given PriorityClass name"
        ));
    }
    if let Some(own) = spec["preemptionPolicy"].as_str().filter(|own| *own != policy) {
        return Err(format!(
            "the string value of PreemptionPolicy ({own}) must not be provided in pod spec; priority admission controller computed {policy} from the given PriorityClass name"
        ));
    }
    default(spec, "priority", || json!(priority));
    default(spec, "preemptionPolicy", || json!(policy));
    Ok(())
}

fn of_class(class: &Value) -> (i64, String) {
    let policy = class["preemptionPolicy"].as_str().unwrap_or(ALWAYS);
    (class["value"].as_i64().unwrap_or(0), policy.to_owned())
}

/// The classes that every cluster has.
fn of_system(name: &str) -> Option<(i64, String)> {
    let priority = match name {
        "system-cluster-critical" => 2_000_000_000,
        "system-node-critical" => 2_000_001_000,
        _ => return None,
    };
    Some((priority, ALWAYS.to_owned()))
}
