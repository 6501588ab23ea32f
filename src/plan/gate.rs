//! What the routes say, and whether they have settled: the observations that enable effects.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::Draft;
use crate::{
    api::{REVISION_LABEL, VirtualServiceRef, Weights},
    traffic::istio::{
        MatchRoute, RouteTarget, Split, SubsetError, destination_rule, host::service_of,
        virtual_service,
    },
    world::{DestinationRule, Route, Shift, World},
};

/// The routes of a Rollout as they are.
#[derive(Debug)]
pub(super) struct Traffic<'a> {
    /// How the two destinations are told apart.
    pub(super) split: Split,
    /// Each VirtualService with its managed routes' weights.
    pub(super) routes: Vec<(&'a Route, Vec<i32>)>,
    /// What selects the stable destination's pods.
    pub(super) stable: Pointer,
    /// What selects the canary destination's pods.
    pub(super) canary: Pointer,
    /// Names of our routes for some requests: they lead to the canary, whatever its weight.
    extra: Vec<String>,
    shift: Shift,
    /// The weight that no route shows: of a switch, or of the pods.
    unrouted: i32,
    total: i32,
    delay: crate::api::Duration,
}

/// What decides which revision a destination reaches: a Service's selector, a subset's labels, or
/// both.
#[derive(Debug, Default)]
pub(super) struct Pointer {
    /// The Services, each with the revision that it selects and since when.
    pub(super) services: Vec<(String, Option<String>, Timestamp)>,
    /// The subset, with its labels' revision.
    pub(super) subset: Option<(String, Option<String>, Timestamp)>,
    /// Whether the Service does not exist: nothing is reached through it.
    missing: bool,
}

impl Pointer {
    fn ends(&self) -> impl Iterator<Item = &(String, Option<String>, Timestamp)> {
        self.services.iter().chain(&self.subset)
    }

    /// Whether every end selects `revision`.
    pub(super) fn all_at(&self, revision: &str) -> bool {
        !self.missing && self.ends().all(|(_, at, _)| at.as_deref() == Some(revision))
    }

    /// Whether an end selects `revision`, or pods of any revision.
    pub(super) fn may_reach(&self, revision: &str) -> bool {
        self.ends().any(|(_, at, _)| at.is_none() || at.as_deref() == Some(revision))
    }

    /// The other revisions that an end selects.
    pub(super) fn elsewhere(&self, revision: &str) -> Option<&str> {
        self.ends().filter_map(|(_, at, _)| at.as_deref()).find(|at| *at != revision)
    }

    /// When the last end was last moved.
    fn since(&self) -> Option<Timestamp> {
        self.ends().map(|(_, _, since)| *since).max()
    }
}

impl<'a> Traffic<'a> {
    /// Reads the routes; none if one is missing, cannot be read or is not ours to edit, which
    /// `validate` says in words.
    pub(super) fn observe(world: &'a World, draft: &Draft) -> Option<Self> {
        let program = &world.program;
        let split = split(world).ok()?;
        let mut routes = Vec::new();
        let mut extra: Vec<String> = Vec::new();
        let references = program.istio().into_iter().flat_map(|istio| &istio.virtual_services);
        for (reference, route) in references.zip(&world.routes) {
            let route = route.as_ref().filter(|route| route.allows(&world.rollout.namespace))?;
            let target = target(world, reference, &split);
            let weights = virtual_service::weights(&route.object, target).ok()?;
            for name in virtual_service::match_routes(&route.object, target) {
                if !extra.contains(&name) {
                    extra.push(name);
                }
            }
            routes.push((route, weights.into_iter().map(|route| route.weights.canary).collect()));
        }
        let rule = program.istio().and_then(|istio| istio.destination_rule.as_ref());
        let subsets = rule.zip(world.destination_rule.as_ref());
        let pointer = |service: Option<&String>, subset: Option<(&DestinationRule, &String)>| {
            pointer(world, service, subset)
        };
        let stable = subsets.map(|(reference, rule)| (rule, &reference.stable_subset));
        let canary_subset = subsets.map(|(reference, rule)| (rule, &reference.canary_subset));
        let stable = pointer(program.stable_service.as_ref(), stable).ok()?;
        let canary = pointer(program.canary_service.as_ref(), canary_subset).ok()?;
        let unrouted = match program.shift {
            Shift::Routes => 0,
            _ if draft.stable.is_none() || !draft.in_release() => 0,
            Shift::Switch if stable.all_at(&draft.target) => program.total(),
            Shift::Switch => 0,
            Shift::Pods => share_of_pods(world, &draft.target),
        };
        Some(Self {
            split,
            routes,
            stable,
            canary,
            extra,
            shift: program.shift,
            unrouted,
            total: program.total(),
            delay: program.delay(),
        })
    }

    /// Where the weights of a VirtualService are.
    pub(super) fn target<'b>(
        &'b self,
        world: &'b World,
        reference: &'b VirtualServiceRef,
    ) -> RouteTarget<'b> {
        target(world, reference, &self.split)
    }

    fn canary_weights(&self) -> impl Iterator<Item = i32> {
        let unrouted = (self.shift != Shift::Routes).then_some(self.unrouted);
        self.routes.iter().flat_map(|(_, weights)| weights.iter().copied()).chain(unrouted)
    }

    /// Whether the VirtualServices have these routes for some requests, and no others of ours.
    pub(super) fn has_routes(&self, world: &World, wanted: &[MatchRoute]) -> bool {
        let references =
            world.program.istio().into_iter().flat_map(|istio| &istio.virtual_services);
        references.zip(&self.routes).all(|(reference, (route, shown))| {
            let target = self.target(world, reference);
            let weight = shown.iter().copied().max().unwrap_or(0);
            let edited = virtual_service::with_canary_weight(&route.object, target, weight, wanted);
            edited.is_ok_and(|edited| edited == *route.object)
        })
    }

    /// Names of our routes for some requests that stand in the VirtualServices.
    pub(super) fn match_routes(&self) -> &[String] {
        &self.extra
    }

    /// The colour that users reach: of a release, the new revision as soon as all is switched to it.
    pub(super) fn active<'d>(&self, draft: &'d Draft) -> &'d str {
        let stable = draft.stable.as_deref().unwrap_or(&draft.target);
        let switched = self.stable.all_at(&draft.target) || self.all_weights_are(self.total);
        if switched { &draft.target } else { stable }
    }

    /// Whether requests may reach the canary destination: by weight, or by a route of ours.
    pub(super) fn reaches_canary(&self) -> bool {
        self.highest() > 0 || !self.extra.is_empty()
    }

    /// When all proxies can be taken to send nothing to the canary destination; none while they are
    /// told to.
    pub(super) fn quiet(&self) -> Option<Timestamp> {
        // Pods that share their weight lose no request when a Service of their own is repointed.
        if self.shift == Shift::Pods {
            return Some(Timestamp::MIN);
        }
        self.weights_settle(0).filter(|_| self.extra.is_empty())
    }

    /// Whether a Service or subset selects the canary.
    pub(super) fn has_canary(&self) -> bool {
        self.canary.missing || self.canary.ends().next().is_some()
    }

    /// Available pods that the canary destination reaches, of whichever revision.
    pub(super) fn canary_endpoints(&self, world: &World) -> u32 {
        let at = self.canary.ends().find_map(|(_, at, _)| at.clone());
        at.map_or(0, |revision| self.capacity(world, &revision))
    }

    /// The highest weight of the canary in any route.
    pub(super) fn highest(&self) -> i32 {
        self.canary_weights().max().unwrap_or(0)
    }

    /// Whether the weight of the canary is on a revision that the spec does not ask for any more.
    pub(super) fn is_overtaken(&self, draft: &Draft) -> bool {
        let other = self.canary.elsewhere(&draft.target);
        self.highest() > 0 && other.is_some_and(|at| draft.stable.as_deref() != Some(at))
    }

    /// The weights as `status.weights` shows them.
    pub(super) fn shown(&self) -> Weights {
        Weights::of(self.total, self.highest())
    }

    /// Whether the canary has this weight in every route.
    pub(super) fn all_weights_are(&self, canary: i32) -> bool {
        self.canary_weights().all(|weight| weight == canary)
    }

    /// When all proxies can be taken to follow the weights; none if they do not match `canary`.
    pub(super) fn weights_settle(&self, canary: i32) -> Option<Timestamp> {
        if !self.all_weights_are(canary) {
            return None;
        }
        let routed = self.routes.iter().map(|(route, _)| route.since).max();
        let since = match self.shift {
            Shift::Routes => routed,
            Shift::Switch => self.stable.since(),
            Shift::Pods => return Some(Timestamp::MIN),
        };
        since.map(|since| self.delay.after(since))
    }

    /// When all proxies can be taken to follow the pointers.
    pub(super) fn pointers_settle(&self) -> Option<Timestamp> {
        let since = self.stable.since().into_iter().chain(self.canary.since()).max();
        since.map(|since| self.delay.after(since))
    }

    /// Available pods of `revision` that the canary destination reaches: published as endpoints and
    /// selected.
    pub(super) fn capacity(&self, world: &World, revision: &str) -> u32 {
        if self.canary.all_at(revision) { self.published(world, &self.canary, revision) } else { 0 }
    }

    /// Available pods of `revision` that the stable destination reaches.
    pub(super) fn stable_capacity(&self, world: &World, revision: &str) -> u32 {
        if self.stable.all_at(revision) { self.published(world, &self.stable, revision) } else { 0 }
    }

    /// Available pods of the stable revision that serve, or would as soon as it is selected: where it
    /// is selected already, they must also be endpoints.
    pub(super) fn serving(&self, world: &World, stable: &str) -> u32 {
        if self.stable.all_at(stable) {
            self.published(world, &self.stable, stable)
        } else {
            world.available(stable)
        }
    }

    /// Available pods of `revision` that are endpoints of the subsets' Service, or with a host split
    /// simply available: there the endpoints follow the Service's selector.
    pub(super) fn selectable(&self, world: &World, revision: &str) -> u32 {
        match &self.split {
            Split::Hosts { .. } => world.available(revision),
            Split::Subsets { .. } => self.published(world, &Pointer::default(), revision),
        }
    }

    /// Available pods of `revision` that are published wherever they are selected, and that every
    /// proxy can be taken to know; and when the next one can.
    pub(super) fn known(&self, world: &World, revision: &str) -> (u32, Option<Timestamp>) {
        let ends = [&self.stable, &self.canary];
        let count = match ends.into_iter().find(|pointer| pointer.may_reach(revision)) {
            Some(pointer) => self.published(world, pointer, revision),
            None => world.available(revision),
        };
        let pods = world.revision(revision).into_iter().flat_map(|set| &set.pods);
        let available = pods.filter(|pod| pod.is_available(world.now, world.min_ready()));
        let later: Vec<Timestamp> = available
            // Readiness is dated in whole seconds, rounded down.
            .filter_map(|pod| pod.ready_since?.checked_add(SignedDuration::from_secs(1)).ok())
            .map(|ready| self.delay.after(ready))
            .filter(|at| *at > world.now)
            .collect();
        let unknown = u32::try_from(later.len()).unwrap_or(u32::MAX);
        (count.saturating_sub(unknown), later.into_iter().min())
    }

    fn published(&self, world: &World, pointer: &Pointer, revision: &str) -> u32 {
        let Some(set) = world.revision(revision) else { return 0 };
        let host = match &self.split {
            Split::Subsets { host, .. } => host_service(host, &world.rollout.namespace),
            Split::Hosts { .. } => None,
        };
        let services: Vec<&str> = pointer
            .services
            .iter()
            .map(|(name, _, _)| name.as_str())
            .chain(host.as_deref())
            .collect();
        let reached = |pod: &str| {
            services.iter().all(|service| {
                world.endpoints.get(*service).is_some_and(|ends| ends.ready_pods.contains(pod))
            })
        };
        let pods = set.pods.iter().filter(|pod| pod.is_available(world.now, world.min_ready()));
        let count = pods.filter(|pod| reached(&pod.name)).count();
        u32::try_from(count).unwrap_or(u32::MAX).min(set.replicas)
    }

    /// Whether no request can reach `revision`: no destination selects it, none of its pods is an
    /// endpoint of our Services, and the proxies have had time to see that: since when. `Err` says
    /// until when to wait, if time alone is missing.
    pub(super) fn unreachable(
        &self,
        world: &World,
        revision: &str,
    ) -> Result<Timestamp, Option<Timestamp>> {
        if self.stable.may_reach(revision) || self.canary.may_reach(revision) {
            return Err(None);
        }
        let mut services = self.stable.services.iter().chain(&self.canary.services);
        let pods = world.revision(revision).map(|set| &set.pods);
        let published = services.any(|(name, _, _)| {
            let ready = world.endpoints.get(name).map(|ends| &ends.ready_pods);
            ready
                .zip(pods)
                .is_some_and(|(ready, pods)| pods.iter().any(|pod| ready.contains(&pod.name)))
        });
        if published {
            return Err(None);
        }
        // Weights count too: at promotion they move off the old destination before it is repointed,
        // and a proxy that is late with either change still needs the old pods.
        let weights = self.routes.iter().map(|(route, _)| self.delay.after(route.since)).max();
        let settle = self.pointers_settle().into_iter().chain(weights).max();
        match settle {
            Some(at) if at > world.now => Err(Some(at)),
            Some(at) => Ok(at),
            None => Ok(Timestamp::MIN),
        }
    }

    /// The Services through which proxies reach the two destinations.
    pub(super) fn service_names(&self, namespace: &str) -> BTreeSet<String> {
        let host = match &self.split {
            Split::Subsets { host, .. } => host_service(host, namespace),
            Split::Hosts { .. } => None,
        };
        let ends = self.stable.services.iter().chain(&self.canary.services);
        ends.map(|(name, _, _)| name.clone()).chain(host).collect()
    }
}

/// How the two destinations are told apart.
pub(super) fn split(world: &World) -> Result<Split, SubsetError> {
    let program = &world.program;
    let rule = program.istio().and_then(|istio| istio.destination_rule.as_ref());
    if let Some(reference) = rule {
        let host = match &world.destination_rule {
            Some(rule) => destination_rule::host(&rule.object)?.to_owned(),
            None => String::new(),
        };
        return Ok(Split::Subsets {
            host,
            stable: reference.stable_subset.clone(),
            canary: reference.canary_subset.clone(),
        });
    }
    Ok(Split::Hosts {
        stable: program.stable_service.clone().unwrap_or_default(),
        canary: program.canary_service.clone().unwrap_or_default(),
    })
}

pub(super) fn target<'b>(
    world: &'b World,
    reference: &'b VirtualServiceRef,
    split: &'b Split,
) -> RouteTarget<'b> {
    RouteTarget {
        reference,
        split,
        namespace: &world.rollout.namespace,
        total: world.program.total(),
        managed: world.program.traffic.as_ref().map_or(&[], |traffic| &traffic.managed_routes),
        former: &world.rollout.status.routes,
    }
}

/// The share of the available pods that the new revision has, in percent.
fn share_of_pods(world: &World, target: &str) -> i32 {
    let min_ready = world.min_ready();
    let all: u32 = world
        .revisions
        .iter()
        .map(|set| set.available(world.now, min_ready))
        .fold(0, u32::saturating_add);
    let new = u64::from(world.available(target)) * 100 / u64::from(all.max(1));
    i32::try_from(new).unwrap_or(100)
}

/// The Service of the Rollout's namespace behind a DestinationRule's host.
pub(super) fn host_service(host: &str, namespace: &str) -> Option<String> {
    let (owner, name) = service_of(host, namespace)?;
    (owner == namespace).then(|| name.to_owned())
}

fn pointer(
    world: &World,
    service: Option<&String>,
    subset: Option<(&DestinationRule, &String)>,
) -> Result<Pointer, SubsetError> {
    let missing = service.is_some_and(|name| !world.services.contains_key(name));
    let services = service.and_then(|name| world.services.get(name)).map(|service| {
        let at = service.selector.get(REVISION_LABEL).cloned();
        (service.name.clone(), at, service.since)
    });
    let subset = match subset {
        Some((rule, name)) => {
            let labels: BTreeMap<String, String> =
                destination_rule::subset_labels(&rule.object, name)?;
            Some((name.clone(), labels.get(REVISION_LABEL).cloned(), rule.since))
        }
        None => None,
    };
    Ok(Pointer { services: services.into_iter().collect(), subset, missing })
}
