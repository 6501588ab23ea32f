//! The kinds that the API server serves.

/// A kind of object and how it is served.
#[allow(clippy::struct_excessive_bools, reason = "properties that do not depend on each other")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    /// API group; empty for the core.
    pub group: &'static str,
    /// Versions that are served; the first is the preferred one, and the one that is stored.
    pub versions: &'static [&'static str],
    /// Kind, such as `Pod`.
    pub kind: &'static str,
    /// Plural in paths, such as `pods`.
    pub plural: &'static str,
    /// Short names for people.
    pub short: &'static [&'static str],
    /// Whether its objects are in namespaces.
    pub namespaced: bool,
    /// Whether `status` is written apart from the rest.
    pub status: bool,
    /// Whether there is a `scale`.
    pub scale: bool,
    /// Whether a CustomResourceDefinition defines it: patches are merge patches, and what its schema
    /// does not know is pruned.
    pub custom: bool,
}

impl Resource {
    /// `apiVersion` of stored objects.
    pub fn api_version(&self) -> String {
        self.api_version_at(self.versions[0])
    }

    /// `apiVersion` at one of its versions.
    pub fn api_version_at(&self, version: &str) -> String {
        if self.group.is_empty() { version.to_owned() } else { format!("{}/{version}", self.group) }
    }

    /// `plural`, or `plural.group`, as in error messages.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }
}

const fn builtin(
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    short: &'static [&'static str],
) -> Resource {
    Resource {
        group,
        versions: &["v1"],
        kind,
        plural,
        short,
        namespaced: true,
        status: false,
        scale: false,
        custom: false,
    }
}

const fn with_status(resource: Resource) -> Resource {
    Resource { status: true, ..resource }
}

const fn with_scale(resource: Resource) -> Resource {
    Resource { scale: true, ..resource }
}

const fn cluster_wide(resource: Resource) -> Resource {
    Resource { namespaced: false, ..resource }
}

const fn sluice(
    kind: &'static str,
    plural: &'static str,
    short: &'static [&'static str],
) -> Resource {
    Resource { versions: &["v1alpha1"], custom: true, ..builtin("sluice.dev", kind, plural, short) }
}

const fn istio(
    kind: &'static str,
    plural: &'static str,
    short: &'static [&'static str],
) -> Resource {
    Resource {
        versions: &["v1", "v1beta1", "v1alpha3"],
        custom: true,
        ..with_status(builtin("networking.istio.io", kind, plural, short))
    }
}

/// Rollouts.
pub static ROLLOUT: Resource = with_scale(with_status(sluice("Rollout", "rollouts", &["ro"])));
/// AnalysisTemplates.
pub static ANALYSIS_TEMPLATE: Resource = sluice("AnalysisTemplate", "analysistemplates", &["at"]);
/// ClusterAnalysisTemplates.
pub static CLUSTER_ANALYSIS_TEMPLATE: Resource =
    cluster_wide(sluice("ClusterAnalysisTemplate", "clusteranalysistemplates", &["cat"]));
/// AnalysisRuns.
pub static ANALYSIS_RUN: Resource = with_status(sluice("AnalysisRun", "analysisruns", &["ar"]));
/// Pods.
pub static POD: Resource = with_status(builtin("", "Pod", "pods", &["po"]));
/// Services.
pub static SERVICE: Resource = with_status(builtin("", "Service", "services", &["svc"]));
/// Secrets.
pub static SECRET: Resource = builtin("", "Secret", "secrets", &[]);
/// `ConfigMaps`.
pub static CONFIG_MAP: Resource = builtin("", "ConfigMap", "configmaps", &["cm"]);
/// Namespaces.
pub static NAMESPACE: Resource =
    cluster_wide(with_status(builtin("", "Namespace", "namespaces", &["ns"])));
/// `ServiceAccounts`.
pub static SERVICE_ACCOUNT: Resource = builtin("", "ServiceAccount", "serviceaccounts", &["sa"]);
/// ReplicaSets.
pub static REPLICA_SET: Resource =
    with_scale(with_status(builtin("apps", "ReplicaSet", "replicasets", &["rs"])));
/// Deployments.
pub static DEPLOYMENT: Resource =
    with_scale(with_status(builtin("apps", "Deployment", "deployments", &["deploy"])));
/// Jobs.
pub static JOB: Resource = with_status(builtin("batch", "Job", "jobs", &[]));
/// EndpointSlices.
pub static ENDPOINT_SLICE: Resource =
    builtin("discovery.k8s.io", "EndpointSlice", "endpointslices", &[]);
/// Events.
pub static EVENT: Resource = builtin("events.k8s.io", "Event", "events", &["ev"]);
/// Leases.
pub static LEASE: Resource = builtin("coordination.k8s.io", "Lease", "leases", &[]);
/// `HorizontalPodAutoscalers`.
pub static AUTOSCALER: Resource = Resource {
    versions: &["v2", "v1"],
    ..with_status(builtin(
        "autoscaling",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
        &["hpa"],
    ))
};
/// `PodDisruptionBudgets`.
pub static DISRUPTION_BUDGET: Resource =
    with_status(builtin("policy", "PodDisruptionBudget", "poddisruptionbudgets", &["pdb"]));
/// VirtualServices.
pub static VIRTUAL_SERVICE: Resource = istio("VirtualService", "virtualservices", &["vs"]);
/// DestinationRules.
pub static DESTINATION_RULE: Resource = istio("DestinationRule", "destinationrules", &["dr"]);
/// Istio's Gateways: not read by Sluice, but in many people's manifests.
pub static GATEWAY: Resource = istio("Gateway", "gateways", &["gw"]);

/// All of them.
pub static ALL: [&Resource; 21] = [
    &POD,
    &SERVICE,
    &SECRET,
    &CONFIG_MAP,
    &NAMESPACE,
    &SERVICE_ACCOUNT,
    &REPLICA_SET,
    &DEPLOYMENT,
    &JOB,
    &ENDPOINT_SLICE,
    &EVENT,
    &LEASE,
    &AUTOSCALER,
    &DISRUPTION_BUDGET,
    &ROLLOUT,
    &ANALYSIS_TEMPLATE,
    &CLUSTER_ANALYSIS_TEMPLATE,
    &ANALYSIS_RUN,
    &VIRTUAL_SERVICE,
    &DESTINATION_RULE,
    &GATEWAY,
];

/// The resource of a kind, at any version that is served.
pub fn of_kind(api_version: &str, kind: &str) -> Option<&'static Resource> {
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let is = |resource: &&&Resource| {
        resource.group == group && resource.kind == kind && resource.versions.contains(&version)
    };
    ALL.iter().find(is).copied()
}

/// The resource at a path's group, version and plural.
pub fn at(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    let is = |resource: &&&Resource| {
        resource.group == group && resource.plural == plural && resource.versions.contains(&version)
    };
    ALL.iter().find(is).copied()
}

/// The resource of a kind's bare name, such as `Rollout`.
pub fn named(kind: &str) -> Option<&'static Resource> {
    ALL.iter().find(|resource| resource.kind == kind).copied()
}
