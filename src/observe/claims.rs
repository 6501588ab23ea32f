//! Which Rollout names which object: who must look when it changes, and who was first.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{PoisonError, RwLock},
};

use jiff::Timestamp;

use super::cache::Key;
use crate::{
    api::{RolloutSpec, RolloutStatus},
    world::{Program, WorkloadKind},
};

/// An object that a Rollout names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Named {
    /// A Service.
    Service(Key),
    /// A VirtualService.
    VirtualService(Key),
    /// A named route of a VirtualService.
    Route(Key, String),
    /// A DestinationRule.
    DestinationRule(Key),
    /// A workload whose template is used.
    Workload(WorkloadKind, Key),
}

impl Named {
    /// Whether only one Rollout may name it. VirtualServices are shared: their routes are not.
    fn is_exclusive(&self) -> bool {
        !matches!(self, Self::VirtualService(_))
    }

    /// Whether the Rollout with this status has it in use.
    fn is_held(&self, status: &RolloutStatus) -> bool {
        let has = |item: String| status.held.contains(&item);
        match self {
            Self::Service((_, name)) => has(format!("Service/{name}")),
            Self::DestinationRule((_, name)) => {
                let subset = format!("DestinationRule/{name}/");
                status.held.iter().any(|item| item.starts_with(&subset))
            }
            Self::Route((owner, name), route) => {
                has(format!("VirtualService/{owner}/{name}/{route}"))
            }
            Self::Workload(kind, (_, name)) => has(format!("{}/{name}", kind.as_str())),
            Self::VirtualService(_) => false,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Service((namespace, name)) => format!("Service {namespace}/{name}"),
            Self::VirtualService((namespace, name)) => format!("VirtualService {namespace}/{name}"),
            Self::Route((namespace, name), route) => {
                format!("route `{route}` of VirtualService {namespace}/{name}")
            }
            Self::DestinationRule((namespace, name)) => {
                format!("DestinationRule {namespace}/{name}")
            }
            Self::Workload(kind, (namespace, name)) => {
                format!("{} {namespace}/{name}", kind.as_str())
            }
        }
    }
}

/// All claims, both ways.
#[derive(Debug, Default)]
pub(super) struct Claims {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_rollout: BTreeMap<Key, Claim>,
    by_object: BTreeMap<Named, BTreeSet<Key>>,
}

/// What a Rollout names, and by what right.
#[derive(Debug, Default, PartialEq, Eq)]
struct Claim {
    created: Option<Timestamp>,
    named: BTreeSet<Named>,
    /// What of it the Rollout has in use.
    held: BTreeSet<Named>,
}

impl Claim {
    fn new(
        namespace: &str,
        created: Option<Timestamp>,
        spec: &RolloutSpec,
        status: &RolloutStatus,
    ) -> Self {
        let named = named(namespace, spec);
        let held = named.iter().filter(|object| object.is_held(status)).cloned().collect();
        Self { created, named, held }
    }

    /// What decides who has `object`, the least first: a Rollout that uses it is never disturbed by
    /// one that does not, be that older; times of creation have whole seconds, so that two from one
    /// pipeline may have the same.
    fn rank(&self, object: &Named) -> (bool, Option<Timestamp>) {
        (!self.held.contains(object), self.created)
    }
}

impl Claims {
    /// Takes in what a Rollout names; without a spec it is forgotten. Returns the other Rollouts that
    /// name something of what it names or named: their verdict on the claim may have changed.
    pub(super) fn set(
        &self,
        rollout: &Key,
        created: Option<Timestamp>,
        content: Option<(&RolloutSpec, &RolloutStatus)>,
    ) -> BTreeSet<Key> {
        let claim = content
            .map(|(spec, status)| Claim::new(&rollout.0, created, spec, status))
            .unwrap_or_default();
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let before = inner.by_rollout.remove(rollout).unwrap_or_default();
        let changed = before != claim;
        let mut others = BTreeSet::new();
        for object in &before.named {
            if let Some(rollouts) = inner.by_object.get_mut(object) {
                rollouts.remove(rollout);
                others.extend(rollouts.iter().cloned());
                if rollouts.is_empty() {
                    inner.by_object.remove(object);
                }
            }
        }
        for object in &claim.named {
            let rollouts = inner.by_object.entry(object.clone()).or_default();
            others.extend(rollouts.iter().cloned());
            rollouts.insert(rollout.clone());
        }
        if !claim.named.is_empty() {
            inner.by_rollout.insert(rollout.clone(), claim);
        }
        others.remove(rollout);
        if changed { others } else { BTreeSet::new() }
    }

    /// Whether any Rollout names a workload of this kind.
    pub(super) fn needs(&self, kind: WorkloadKind) -> bool {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.by_object.keys().any(|named| matches!(named, Named::Workload(of, _) if *of == kind))
    }

    /// The Rollouts that name an object.
    pub(super) fn of(&self, object: &Named) -> BTreeSet<Key> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.by_object.get(object).cloned().unwrap_or_default()
    }

    /// What others with a better right claim of that which `rollout` names, as sentences, and whether
    /// the workload is among it. `may_claim` says whether a Rollout may claim routes of a
    /// VirtualService at all.
    pub(super) fn against(
        &self,
        rollout: &Key,
        may_claim: &dyn Fn(&Key, &Key) -> bool,
    ) -> (Vec<String>, bool) {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let (mut found, mut workload) = (Vec::new(), false);
        let Some(ours) = inner.by_rollout.get(rollout) else { return (found, workload) };
        for object in ours.named.iter().filter(|object| object.is_exclusive()) {
            for other in inner.by_object.get(object).into_iter().flatten() {
                let Some(theirs) = inner.by_rollout.get(other) else { continue };
                let counts = match object {
                    Named::Route(service, _) => may_claim(other, service),
                    _ => true,
                };
                let first = (theirs.rank(object), other) < (ours.rank(object), rollout);
                if counts && other != rollout && first {
                    workload |= matches!(object, Named::Workload(..));
                    found.push(format!(
                        "{} is claimed by Rollout {}/{}, which was first; name another one",
                        object.text(),
                        other.0,
                        other.1
                    ));
                }
            }
        }
        (found, workload)
    }
}

fn named(namespace: &str, spec: &RolloutSpec) -> BTreeSet<Named> {
    let program = Program::new(spec);
    let here = |name: &String| (namespace.to_owned(), name.clone());
    let mut named: BTreeSet<Named> = program
        .stable_service
        .iter()
        .chain(&program.canary_service)
        .map(|name| Named::Service(here(name)))
        .collect();
    if let Some(reference) = &spec.workload_ref
        && let Some(kind) = WorkloadKind::named(&reference.kind)
    {
        named.insert(Named::Workload(kind, here(&reference.name)));
    }
    for reference in program.istio().into_iter().flat_map(|istio| &istio.virtual_services) {
        let owner = reference.namespace.clone().unwrap_or_else(|| namespace.to_owned());
        let key = (owner, reference.name.clone());
        named.extend(reference.routes.iter().map(|route| Named::Route(key.clone(), route.clone())));
        let managed = program.traffic.iter().flat_map(|traffic| &traffic.managed_routes);
        named.extend(managed.map(|route| Named::Route(key.clone(), route.name.clone())));
        named.insert(Named::VirtualService(key));
    }
    if let Some(rule) = program.istio().and_then(|istio| istio.destination_rule.as_ref()) {
        named.insert(Named::DestinationRule(here(&rule.name)));
    }
    named
}
