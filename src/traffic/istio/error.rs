//! What can be wrong with route objects. Each text says what was found where and what to write.

/// Why the weights of a `VirtualService` cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The Rollout names an http route that is not there.
    #[error(
        "VirtualService {object}: spec.http has no route named `{name}` (found: {found}); give the route that splits between stable and canary that `name`, or correct spec.strategy.canary.traffic.istio.virtualServices[].routes"
    )]
    NoSuchRoute {
        /// Namespace and name.
        object: String,
        /// The name that the Rollout gives.
        name: String,
        /// The http routes that are there.
        found: String,
    },
    /// Two http routes have the name that the Rollout gives.
    #[error(
        "VirtualService {object}: several routes in spec.http are named `{name}` (indices {indices}); give each its own `name`"
    )]
    SameName {
        /// Namespace and name.
        object: String,
        /// The name.
        name: String,
        /// Where they are in `spec.http`, counted from 0.
        indices: String,
    },
    /// The Rollout names a tls or tcp route that is not there.
    #[error(
        "VirtualService {object}: no match fits the {wanted} (found: {found}); correct spec.strategy.canary.traffic.istio.virtualServices[].{field}"
    )]
    NoSuchMatch {
        /// Namespace and name.
        object: String,
        /// The route that the Rollout names.
        wanted: String,
        /// The routes of that kind that are there.
        found: String,
        /// The field of the Rollout.
        field: &'static str,
    },
    /// Several tls or tcp routes fit what the Rollout names.
    #[error(
        "VirtualService {object}: the {wanted} may be any of {count} routes ({found}); say which by another port or by sniHosts in spec.strategy.canary.traffic.istio.virtualServices[].{field}"
    )]
    SeveralMatches {
        /// Namespace and name.
        object: String,
        /// The route that the Rollout names.
        wanted: String,
        /// How many fit.
        count: usize,
        /// Those that fit.
        found: String,
        /// The field of the Rollout.
        field: &'static str,
    },
    /// A named route redirects, answers by itself or is delegated.
    #[error(
        "VirtualService {object}: {route} has `{action}` and so no destinations to put weights on; name a route whose `route` lists stable and canary"
    )]
    NoDestinations {
        /// Namespace and name.
        object: String,
        /// The route.
        route: String,
        /// `redirect`, `directResponse` or `delegate`.
        action: &'static str,
    },
    /// A named route lacks stable, canary or both.
    #[error(
        "VirtualService {object}: {route} has no destination {missing}; add to its `route` list: {add}"
    )]
    MissingDestination {
        /// Namespace and name.
        object: String,
        /// The route.
        route: String,
        /// What is not there.
        missing: String,
        /// YAML of what is not there.
        add: String,
    },
    /// Stable or canary stands twice in one route.
    #[error(
        "VirtualService {object}: {route} has the destination {destination} more than once; keep one of them, so that its weight is one number"
    )]
    DuplicateDestination {
        /// Namespace and name.
        object: String,
        /// The route.
        route: String,
        /// What stands there twice.
        destination: String,
    },
    /// A third destination takes traffic.
    #[error(
        "VirtualService {object}: {route} also sends weight {weight} to {destination}, but stable and canary must share 100 percent; set that weight to 0, or give that destination a route of its own"
    )]
    ThirdDestination {
        /// Namespace and name.
        object: String,
        /// The route.
        route: String,
        /// The third destination.
        destination: String,
        /// Its weight.
        weight: i32,
    },
    /// No route is named, and none has both destinations.
    #[error(
        "VirtualService {object}: no route has both destinations ({found}); write both into the route to be split: `route: [{add}]`"
    )]
    NoSplit {
        /// Namespace and name.
        object: String,
        /// Which routes have the one and the other.
        found: String,
        /// YAML of the two destinations.
        add: String,
    },
    /// No route is named, and several have both destinations.
    #[error(
        "VirtualService {object}: ambiguous, {found} all split between stable and canary; name those to manage in spec.strategy.canary.traffic.istio.virtualServices[].{fields}{unnamed}"
    )]
    Ambiguous {
        /// Namespace and name.
        object: String,
        /// The routes that split.
        found: String,
        /// The fields of the Rollout that name such routes.
        fields: String,
        /// What to do first if one of them has no name; else empty.
        unnamed: &'static str,
    },
    /// A weight is no whole number from 0 up.
    #[error(
        "VirtualService {object}: {route} has weight {found} for {destination}; write a whole number from 0 to 100"
    )]
    BadWeight {
        /// Namespace and name.
        object: String,
        /// The route.
        route: String,
        /// Whose weight it is.
        destination: String,
        /// What stands there.
        found: String,
    },
    /// Istio refuses a route with several destinations and no weight at all.
    #[error(
        "VirtualService {object}: {route} has several destinations and the sum of their weights is {sum}, which Istio refuses; write weights that sum to 100"
    )]
    BadSum {
        /// Namespace and name.
        object: String,
        /// The route.
        route: String,
        /// The sum.
        sum: i64,
    },
    /// The weight asked for is no share.
    #[error(
        "a canary weight of {found} was asked for; it must be a whole number from 0 to {total}"
    )]
    CanaryWeight {
        /// What was asked for.
        found: i32,
        /// What the weights of a route sum to.
        total: i32,
    },
    /// A route of the user's has a name that is ours.
    #[error(
        "VirtualService {object}: `{name}` stands in spec.strategy.canary.traffic.managedRoutes, whose routes Sluice adds and removes, and in istio.virtualServices[].routes, whose weights it shifts; give one of the two another name"
    )]
    ManagedName {
        /// Namespace and name.
        object: String,
        /// The name.
        name: String,
    },
    /// Only tls and tcp routes carry the weights: they know no headers.
    #[error(
        "VirtualService {object}: `{name}` is for requests of an http route, but the weights are in {found}; name an http route in spec.strategy.canary.traffic.istio.virtualServices[].routes, or take the step out"
    )]
    NoHttpRoute {
        /// Namespace and name.
        object: String,
        /// The route that the step asks for.
        name: String,
        /// The routes with the weights.
        found: String,
    },
    /// The route's match and the step's speak of one thing, and cannot be put into one condition.
    #[error(
        "VirtualService {object}: {route} already takes only requests with {found}, and `{name}` asks for {wanted}; Istio cannot ask for both, so ask for another header, or for `exact` or `prefix` instead of `regex`"
    )]
    MatchClash {
        /// Namespace and name.
        object: String,
        /// The route with the weights.
        route: String,
        /// The route that the step asks for.
        name: String,
        /// What the route takes: a part of the request, and its text.
        found: String,
        /// What the step asks for, likewise.
        wanted: String,
    },
    /// No request is for the route with the weights and meant by the step.
    #[error(
        "VirtualService {object}: no request that `{name}` means is for {found}; correct its match"
    )]
    NothingMatches {
        /// Namespace and name.
        object: String,
        /// The route that the step asks for.
        name: String,
        /// The routes with the weights.
        found: String,
    },
    /// A step asks for a path where the route rewrites what was matched.
    #[error(
        "VirtualService {object}: {route} rewrites the path that it matches (rewrite.uri), so `{name}` with a path of its own would rewrite another part of it; take `path` out of its match"
    )]
    RewrittenPath {
        /// Namespace and name.
        object: String,
        /// The route with the weights.
        route: String,
        /// The route that the step asks for.
        name: String,
    },
    /// A match without a text.
    #[error(
        "`{name}`: the match on {part} has no text; write one of exact, prefix, regex, the latter two not empty"
    )]
    EmptyMatch {
        /// The route that the step asks for.
        name: String,
        /// Of what part of the request it speaks.
        part: String,
    },
    /// No header has such a name.
    #[error("`{name}`: found headerName `{header}`, allowed are letters, digits, `-` and `_`")]
    BadHeader {
        /// The route that the step asks for.
        name: String,
        /// The name.
        header: String,
    },
    /// Something else that Istio's webhook refuses.
    #[error("VirtualService {object}: {route}: {why}, which Istio refuses")]
    Refused {
        /// Namespace and name.
        object: String,
        /// The route.
        route: String,
        /// What is wrong.
        why: String,
    },
}

/// Why a `DestinationRule` cannot be read or its subset be pointed to a revision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubsetError {
    /// There is no `spec.host`.
    #[error("DestinationRule {object}: spec.host is missing; write the name of the Service there")]
    NoHost {
        /// Namespace and name.
        object: String,
    },
    /// There is no such subset.
    #[error(
        "DestinationRule {object}: spec.subsets has no subset `{subset}` (found: {found}); add `{{name: {subset}, labels: {{}}}}` there, or correct spec.strategy.canary.traffic.istio.destinationRule of the Rollout"
    )]
    NoSuchSubset {
        /// Namespace and name.
        object: String,
        /// The subset that the Rollout names.
        subset: String,
        /// The subsets that are there.
        found: String,
    },
    /// Two subsets have this name.
    #[error(
        "DestinationRule {object}: several subsets are named `{subset}`; keep one of them, because Istio would use only one"
    )]
    SameName {
        /// Namespace and name.
        object: String,
        /// The subset.
        subset: String,
    },
    /// A label is not text, or the labels are no map.
    #[error(
        "DestinationRule {object}: subset `{subset}` has {found} at {field}; labels are a map of text to text, so put the value in quotes"
    )]
    BadLabel {
        /// Namespace and name.
        object: String,
        /// The subset.
        subset: String,
        /// `labels`, or `labels.<key>`.
        field: String,
        /// What stands there.
        found: String,
    },
    /// The subset asks for a label that the pods of the revision do not have.
    #[error(
        "DestinationRule {object}: subset `{subset}` asks for label `{key}: {value}`, but the pods of revision {revision} have no label `{key}`, so it could never select them; remove that label from the subset, or add it to spec.template of the Rollout"
    )]
    ForeignLabel {
        /// Namespace and name.
        object: String,
        /// The subset.
        subset: String,
        /// The label's key.
        key: String,
        /// The label's value in the subset.
        value: String,
        /// The revision that the subset is to select.
        revision: String,
    },
}
