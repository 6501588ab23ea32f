//! Which Services and routes the Rollout names: as the flags say, or the only ones that fit. Pure.

use serde_json::Value;

use super::{
    Flags, Strategy,
    draft::{Shape, default_steps, second_service, selects, splits},
    scene::Scene,
};

/// What was chosen.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// How releases go.
    pub shape: Shape,
    /// The canary Service to create; none where it is there.
    pub service: Option<Value>,
}

/// Chooses.
///
/// # Errors
/// Nothing fits, or several do, in a sentence that names them.
pub fn choose(scene: &Scene, flags: &Flags, steps: Option<Vec<Value>>) -> Result<Chosen, String> {
    if flags.strategy == Strategy::Rolling {
        for (flag, given) in [
            ("--stable-service", flags.stable_service.is_some()),
            ("--canary-service", flags.canary_service.is_some()),
            ("--virtual-service", flags.virtual_service.is_some()),
            ("--steps", steps.is_some()),
        ] {
            if given {
                return Err(format!("{flag} belongs to --strategy canary or blue-green"));
            }
        }
        return Ok(Chosen { shape: Shape::Rolling, service: None });
    }
    let suffix = if flags.strategy == Strategy::Canary { "-canary" } else { "-preview" };
    let stable = stable(scene, flags, suffix)?;
    let name = flags.canary_service.clone().unwrap_or_else(|| format!("{stable}{suffix}"));
    if name == stable {
        return Err(format!(
            "--canary-service: found {name}, which is the stable Service; allowed is another"
        ));
    }
    let service = match Scene::named(&scene.services, &name) {
        Some(_) => None,
        None => Scene::named(&scene.services, &stable).map(|like| second_service(like, &name)),
    };
    if flags.strategy == Strategy::BlueGreen {
        if flags.virtual_service.is_some() || steps.is_some() {
            return Err("--virtual-service and --steps belong to --strategy canary; here the switch is the Service's selector".into());
        }
        let shape = Shape::BlueGreen { active: stable, preview: Some(name) };
        return Ok(Chosen { shape, service });
    }
    let virtual_service = virtual_service(scene, flags, &stable, &name)?;
    let shape = Shape::Canary {
        services: Some((stable, name)),
        virtual_service: virtual_service.map(|name| (name, None)),
        steps: steps.unwrap_or_else(default_steps),
    };
    Ok(Chosen { shape, service })
}

fn stable(scene: &Scene, flags: &Flags, suffix: &str) -> Result<String, String> {
    if let Some(name) = &flags.stable_service {
        return Ok(name.clone());
    }
    let names: Vec<&str> = scene
        .services
        .iter()
        .filter(|service| selects(service, scene.labels()))
        .filter_map(|service| service["metadata"]["name"].as_str())
        .filter(|name| Some(*name) != flags.canary_service.as_deref() && !name.ends_with(suffix))
        .collect();
    match names.as_slice() {
        [only] => Ok((*only).to_owned()),
        [] => Err("no Service selects its pods; name one with --stable-service, or use --strategy rolling".into()),
        several => Err(format!(
            "several Services select its pods; say --stable-service with one of {}",
            several.join(", ")
        )),
    }
}

/// The VirtualService; none where there is none for this Service at all, and shares of pods are the
/// weights.
fn virtual_service(
    scene: &Scene,
    flags: &Flags,
    stable: &str,
    canary: &str,
) -> Result<Option<String>, String> {
    if let Some(name) = &flags.virtual_service {
        return Ok(Some(name.clone()));
    }
    let names = |fits: &dyn Fn(&Value) -> bool| -> Vec<String> {
        let fitting = scene.routes.iter().filter(|route| fits(route));
        fitting.filter_map(|route| route["metadata"]["name"].as_str().map(String::from)).collect()
    };
    let splitting = names(&|route| splits(route, &scene.namespace, stable, canary));
    match splitting.as_slice() {
        [only] => return Ok(Some(only.clone())),
        [] => {}
        several => {
            return Err(format!(
                "several VirtualServices split between {stable} and {canary}; say --virtual-service with one of {}",
                several.join(", ")
            ));
        }
    }
    let leading = names(&|route| splits(route, &scene.namespace, stable, stable));
    if let [first, ..] = leading.as_slice() {
        return Err(format!(
            "VirtualService {first} leads to Service {stable} alone: write {canary} beside it as a second destination of weight 0 (and {stable} with weight 100), and create that Service before, or the route answers 503; `kubectl sluice convert` writes both"
        ));
    }
    Ok(None)
}
