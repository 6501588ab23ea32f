//! VirtualServices of other namespaces: only their owners say who edits them.

use crate::{
    api::{ALLOW_NAMESPACES_ANNOTATION, VirtualServiceRef},
    world::{Reach, Route, World},
};

/// Why the Rollout may not edit a VirtualService that its spec names at `field`.
pub(super) fn refusal(
    world: &World,
    field: &str,
    reference: &VirtualServiceRef,
    route: Option<&Route>,
) -> Option<String> {
    let here = &world.rollout.namespace;
    let namespace = reference.namespace.as_ref().filter(|namespace| *namespace != here)?;
    if world.reach == Reach::OwnNamespace {
        return Some(format!(
            "{field}.namespace: found `{namespace}`, but this controller serves namespace {here} \
             alone; allowed is {here}, or a controller for all namespaces"
        ));
    }
    let refused = !route?.allows(here);
    refused.then(|| {
        format!(
            "{field}: VirtualService {namespace}/{} is not open to Rollouts of namespace {here}; \
             its owner allows them by the annotation {ALLOW_NAMESPACES_ANNOTATION}: {here}",
            reference.name
        )
    })
}
