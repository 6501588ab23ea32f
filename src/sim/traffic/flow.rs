//! Requests of one `VirtualService` on their way to one place.
//!
//! In: how many requests are expected, piece by piece. Out: Istio's labels for each outcome.

use super::chance::hash;
use super::meter::{MeterId, TargetId};
use super::pod::Pod;
use super::shares::{Protocol, Share, Split, To};
use super::totals::Whose;

/// The gateway's name and namespace: those of an Istio that was installed with its defaults.
pub(super) const GATEWAY: (&str, &str) = ("istio-ingressgateway", "istio-system");

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// 200.
    Answered,
    /// 500.
    Error,
    /// 503, by the proxy.
    Lost,
}

/// All outcomes.
pub(super) const OUTCOMES: [Outcome; 3] = [Outcome::Answered, Outcome::Error, Outcome::Lost];

/// What a flow is told by: `VirtualService`, Service and place.
pub(super) type FlowKey = (String, String, String, String, Option<usize>, &'static str, bool);

/// Where requests are counted: at the gateway, which does not tell of copies, and at this target of
/// the pod.
pub(super) type Counted = (Option<MeterId>, Option<(TargetId, MeterId)>);

/// Requests on their way.
pub(super) struct Flow {
    pub(super) whose: Whose,
    pub(super) protocol: Protocol,
    /// Whether they are copies, whose answers nobody gets.
    pub(super) copies: bool,
    /// A number of its own, for its stream of chance.
    pub(super) hash: u64,
    /// The pod's place among the pods.
    pub(super) pod: Option<usize>,
    /// Requests since the last scrape, on average, by outcome.
    pub(super) expected: [f64; 3],
    /// Where they are counted, by outcome.
    pub(super) meters: [Option<Counted>; 3],
    namespace: String,
    service: String,
    /// Istio's word for how a request was lost.
    flag: &'static str,
}

// === impl Flow ===

impl Flow {
    pub(super) fn key(split: &Split, share: &Share, pod: Option<usize>) -> FlowKey {
        (
            split.namespace.clone(),
            split.name.clone(),
            share.namespace.clone(),
            share.service.clone(),
            pod,
            flag(&share.to),
            share.copies,
        )
    }

    pub(super) fn new(split: &Split, share: &Share, pod: Option<(usize, &Pod)>) -> Self {
        let name = match &share.to {
            To::Pod(name) => name.as_str(),
            To::NoEndpoint | To::NoCluster => "",
        };
        // Those of other requests stay as they were before there were copies.
        let name = if share.copies { format!("{name} (copies)") } else { name.to_owned() };
        let texts = [&*split.namespace, &*split.name, &*share.namespace, &*share.service, &*name];
        Self {
            whose: Whose {
                namespace: split.namespace.clone(),
                virtual_service: split.name.clone(),
                revision: pod.map(|(_, pod)| pod.revision.clone()).unwrap_or_default(),
                image: pod.map(|(_, pod)| pod.image.clone()).unwrap_or_default(),
            },
            protocol: split.protocol,
            copies: share.copies,
            hash: hash(texts),
            pod: pod.map(|(place, _)| place),
            expected: [0.0; 3],
            meters: [None; 3],
            namespace: share.namespace.clone(),
            service: share.service.clone(),
            flag: flag(&share.to),
        }
    }

    /// Istio's labels, but for `reporter`, in the eyes of the gateway or of the pod.
    pub(super) fn labels(
        &self,
        pod: Option<&Pod>,
        outcome: Outcome,
        at_pod: bool,
    ) -> Vec<(&'static str, String)> {
        let (code, flag) = match outcome {
            Outcome::Answered => ("200", "-"),
            Outcome::Error => ("500", "-"),
            Outcome::Lost => ("503", self.flag),
        };
        let host = if self.namespace.is_empty() {
            self.service.clone()
        } else {
            format!("{}.{}.svc.cluster.local", self.service, self.namespace)
        };
        let or_unknown =
            |value: Option<&String>| value.map_or("unknown", String::as_str).to_owned();
        let principal = |namespace: &str, account: &str| {
            format!("spiffe://cluster.local/ns/{namespace}/sa/{account}")
        };
        let of_pod = pod.map(|pod| principal(&pod.namespace, &pod.service_account));
        let (gateway, gateway_namespace) = GATEWAY;
        let revision = pod.map_or("latest", |pod| &pod.canonical_revision).to_owned();
        vec![
            ("reporter", if at_pod { "destination" } else { "source" }.to_owned()),
            ("source_workload", gateway.to_owned()),
            ("source_workload_namespace", gateway_namespace.to_owned()),
            ("source_app", gateway.to_owned()),
            ("source_version", "unknown".to_owned()),
            ("source_cluster", "Kubernetes".to_owned()),
            ("source_canonical_service", gateway.to_owned()),
            ("source_canonical_revision", "latest".to_owned()),
            (
                "source_principal",
                principal(gateway_namespace, &format!("{gateway}-service-account")),
            ),
            ("destination_workload", or_unknown(pod.map(|pod| &pod.workload))),
            ("destination_workload_namespace", or_unknown(pod.map(|pod| &pod.namespace))),
            ("destination_app", or_unknown(pod.map(|pod| &pod.app))),
            ("destination_version", or_unknown(pod.map(|pod| &pod.version))),
            ("destination_cluster", pod.map_or("unknown", |_| "Kubernetes").to_owned()),
            ("destination_canonical_service", or_unknown(pod.map(|pod| &pod.canonical_service))),
            ("destination_canonical_revision", revision),
            ("destination_principal", or_unknown(of_pod.as_ref())),
            ("destination_service", host),
            ("destination_service_name", self.service.clone()),
            (
                "destination_service_namespace",
                or_unknown(Some(&self.namespace).filter(|n| !n.is_empty())),
            ),
            ("request_protocol", "http".to_owned()),
            ("response_code", code.to_owned()),
            ("response_flags", flag.to_owned()),
            // Empty for HTTP, which to Prometheus is no label.
            ("grpc_response_status", String::new()),
            (
                "connection_security_policy",
                if at_pod { "mutual_tls" } else { "unknown" }.to_owned(),
            ),
        ]
    }
}

fn flag(to: &To) -> &'static str {
    match to {
        To::Pod(_) => "UF",
        To::NoEndpoint => "UH",
        To::NoCluster => "NC",
    }
}
