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

/// A kind of somebody else that is served as its objects are.
const fn foreign(
    group: &'static str,
    versions: &'static [&'static str],
    kind: &'static str,
    plural: &'static str,
    short: &'static [&'static str],
) -> Resource {
    Resource { versions, custom: true, ..builtin(group, kind, plural, short) }
}

const ISTIO_SECURITY: &str = "security.istio.io";
const MONITORING: &str = "monitoring.coreos.com";
const RBAC: &str = "rbac.authorization.k8s.io";

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
/// Istio's Sidecars.
pub static SIDECAR: Resource = istio("Sidecar", "sidecars", &[]);
/// Istio's `ServiceEntries`.
pub static SERVICE_ENTRY: Resource = istio("ServiceEntry", "serviceentries", &["se"]);
/// Istio's `PeerAuthentications`.
pub static PEER_AUTHENTICATION: Resource = with_status(foreign(
    ISTIO_SECURITY,
    &["v1", "v1beta1"],
    "PeerAuthentication",
    "peerauthentications",
    &["pa"],
));
/// Istio's `RequestAuthentications`.
pub static REQUEST_AUTHENTICATION: Resource = with_status(foreign(
    ISTIO_SECURITY,
    &["v1", "v1beta1"],
    "RequestAuthentication",
    "requestauthentications",
    &["ra"],
));
/// Istio's `AuthorizationPolicies`.
pub static AUTHORIZATION_POLICY: Resource = with_status(foreign(
    ISTIO_SECURITY,
    &["v1", "v1beta1"],
    "AuthorizationPolicy",
    "authorizationpolicies",
    &["ap"],
));
/// `ServiceMonitors` of the Prometheus operator.
pub static SERVICE_MONITOR: Resource =
    foreign(MONITORING, &["v1"], "ServiceMonitor", "servicemonitors", &["smon"]);
/// `PodMonitors` of the Prometheus operator.
pub static POD_MONITOR: Resource =
    foreign(MONITORING, &["v1"], "PodMonitor", "podmonitors", &["pmon"]);
/// `PrometheusRules` of the Prometheus operator.
pub static PROMETHEUS_RULE: Resource =
    foreign(MONITORING, &["v1"], "PrometheusRule", "prometheusrules", &["promrule"]);
/// `VerticalPodAutoscalers`.
pub static VERTICAL_AUTOSCALER: Resource = with_status(foreign(
    "autoscaling.k8s.io",
    &["v1", "v1beta2"],
    "VerticalPodAutoscaler",
    "verticalpodautoscalers",
    &["vpa"],
));
/// `ResourceQuotas`.
pub static RESOURCE_QUOTA: Resource =
    with_status(builtin("", "ResourceQuota", "resourcequotas", &["quota"]));
/// `LimitRanges`.
pub static LIMIT_RANGE: Resource = builtin("", "LimitRange", "limitranges", &["limits"]);
/// `PriorityClasses`.
pub static PRIORITY_CLASS: Resource =
    cluster_wide(builtin("scheduling.k8s.io", "PriorityClass", "priorityclasses", &["pc"]));
/// `PodTemplates`.
pub static POD_TEMPLATE: Resource = builtin("", "PodTemplate", "podtemplates", &[]);
/// `PersistentVolumeClaims`. Nobody binds them.
pub static VOLUME_CLAIM: Resource =
    with_status(builtin("", "PersistentVolumeClaim", "persistentvolumeclaims", &["pvc"]));
/// `StatefulSets`. They get no pods.
pub static STATEFUL_SET: Resource =
    with_scale(with_status(builtin("apps", "StatefulSet", "statefulsets", &["sts"])));
/// `DaemonSets`. They get no pods.
pub static DAEMON_SET: Resource = with_status(builtin("apps", "DaemonSet", "daemonsets", &["ds"]));
/// `CronJobs`. They never run.
pub static CRON_JOB: Resource = with_status(builtin("batch", "CronJob", "cronjobs", &["cj"]));
/// `NetworkPolicies`. Nobody enforces them.
pub static NETWORK_POLICY: Resource =
    builtin("networking.k8s.io", "NetworkPolicy", "networkpolicies", &["netpol"]);
/// Ingresses.
pub static INGRESS: Resource =
    with_status(builtin("networking.k8s.io", "Ingress", "ingresses", &["ing"]));
/// Roles. Everybody may do everything.
pub static ROLE: Resource = builtin(RBAC, "Role", "roles", &[]);
/// `RoleBindings`.
pub static ROLE_BINDING: Resource = builtin(RBAC, "RoleBinding", "rolebindings", &[]);
/// `ClusterRoles`.
pub static CLUSTER_ROLE: Resource = cluster_wide(builtin(RBAC, "ClusterRole", "clusterroles", &[]));
/// `ClusterRoleBindings`.
pub static CLUSTER_ROLE_BINDING: Resource =
    cluster_wide(builtin(RBAC, "ClusterRoleBinding", "clusterrolebindings", &[]));

/// All of them.
pub static ALL: [&Resource; 44] = [
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
    &SIDECAR,
    &SERVICE_ENTRY,
    &PEER_AUTHENTICATION,
    &REQUEST_AUTHENTICATION,
    &AUTHORIZATION_POLICY,
    &SERVICE_MONITOR,
    &POD_MONITOR,
    &PROMETHEUS_RULE,
    &VERTICAL_AUTOSCALER,
    &RESOURCE_QUOTA,
    &LIMIT_RANGE,
    &PRIORITY_CLASS,
    &POD_TEMPLATE,
    &VOLUME_CLAIM,
    &STATEFUL_SET,
    &DAEMON_SET,
    &CRON_JOB,
    &NETWORK_POLICY,
    &INGRESS,
    &ROLE,
    &ROLE_BINDING,
    &CLUSTER_ROLE,
    &CLUSTER_ROLE_BINDING,
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
