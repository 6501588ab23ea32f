//! What depends on other objects: limit ranges and quotas of the namespace, and priority classes.
//!
//! In: an object that is about to be created, complete with its defaults. Out: the object with what a
//! limit range or a class fills in, and what it uses of each quota; or the refusal, in the API
//! server's words. The order is the API server's: fill in, judge the object itself, then what is here.

pub mod amount;
pub mod priority;
pub mod quota;
pub mod range;

use serde_json::Value;

use super::{Refusal, Resource, Store, admission::quality};
use amount::{Amount, Amounts};

/// Fills in what a limit range or a priority class says of a new pod.
///
/// # Errors
/// Its priority class does not exist, or says otherwise than the pod.
pub fn complete(
    store: &Store,
    resource: &Resource,
    namespace: &str,
    object: &mut Value,
) -> Result<(), Refusal> {
    if resource.kind != "Pod" {
        return Ok(());
    }
    range::complete(store, namespace, object);
    object["status"]["qosClass"] = quality(&object["spec"]).into();
    priority::resolve(store, object).map_err(|why| forbidden(resource, object, &why))
}

/// The refusal of a request that breaks no rule of its kind.
fn forbidden(resource: &Resource, object: &Value, why: &str) -> Refusal {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let message = format!("{} \"{name}\" is forbidden: {why}", resource.qualified());
    Refusal::of(403, "Forbidden", resource, name, message)
}

/// What all containers of a pod together have as `requests` or `limits`: an init container needs
/// its share before the others, one that is restarted always beside them.
fn of_pod(spec: &Value, part: &str) -> Amounts {
    let containers = |list: &str| spec[list].as_array().cloned().unwrap_or_default();
    let of = |container: &Value| amount::read(&container["resources"][part]);
    let mut whole = Amounts::new();
    for container in containers("containers") {
        amount::add(&mut whole, &of(&container));
    }
    let (mut beside, mut before) = (Amounts::new(), Amounts::new());
    for container in containers("initContainers") {
        let mut own = of(&container);
        if container["restartPolicy"] == "Always" {
            amount::add(&mut whole, &own);
            amount::add(&mut beside, &own);
            own = beside.clone();
        } else {
            amount::add(&mut own, &beside);
        }
        raise(&mut before, own);
    }
    raise(&mut whole, before);
    whole
}

fn raise(to: &mut Amounts, least: Amounts) {
    for (name, amount) in least {
        let present = to.entry(name).or_insert(amount);
        if present.nanos < amount.nanos {
            *present = amount;
        }
    }
}

/// A pod's request for one resource, such as `cpu`, in thousandths.
pub fn request_of_pod(pod: &Value, resource: &str) -> Option<i64> {
    of_pod(&pod["spec"], "requests").get(resource).map(Amount::thousandths)
}
