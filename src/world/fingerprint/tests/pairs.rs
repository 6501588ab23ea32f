//! Which edits change the pods, and which only look as if they did.

use super::{container, corpus, metadata, spec, template, template_of, volume};
use crate::{api::PodTemplate, world::fingerprint::fingerprint};

fn same(make: fn(&str) -> PodTemplate, pairs: &[(&str, &str)]) {
    for (left, right) in pairs {
        let [one, other] = [left, right].map(|text| fingerprint(&make(text)));
        assert_eq!(one, other, "{left}  and  {right}");
    }
}

fn different(make: fn(&str) -> PodTemplate, pairs: &[(&str, &str)]) {
    for (left, right) in pairs {
        let [one, other] = [left, right].map(|text| fingerprint(&make(text)));
        assert_ne!(one, other, "{left}  and  {right}");
    }
}

#[test]
fn defaults_of_the_pod_do_not_count() {
    same(
        spec,
        &[
            (
                "",
                "restartPolicy: Always, terminationGracePeriodSeconds: 30, dnsPolicy: ClusterFirst",
            ),
            ("", "schedulerName: default-scheduler, securityContext: {}, enableServiceLinks: true"),
            ("", "preemptionPolicy: PreemptLowerPriority, terminationGracePeriodSeconds: 30.0"),
            ("", "hostNetwork: false, hostPID: false, hostIPC: false"),
            (
                "",
                "volumes: [], tolerations: [], nodeSelector: {}, affinity: {podAffinity: {}}, hostname: ''",
            ),
            ("", "affinity: null, volumes: null, initContainers: null"),
            ("", "securityContext: {seLinuxOptions: null, supplementalGroups: []}"),
            ("serviceAccountName: web", "serviceAccountName: web, serviceAccount: web"),
            ("serviceAccountName: web", "serviceAccount: web, serviceAccountName: ''"),
            ("overhead: {cpu: 250m}", "overhead: {cpu: '0.25'}"),
            ("resources: {limits: {cpu: 1}}", "resources: {limits: {cpu: 1000m}, requests: {}}"),
            (
                "initContainers: [{name: a, image: 'a:1', resources: {limits: {cpu: 1}}}]",
                "initContainers: [{name: a, image: 'a:1', imagePullPolicy: IfNotPresent, terminationMessagePolicy: File, resources: {limits: {cpu: 1000m}}}]",
            ),
        ],
    );
}

#[test]
fn choices_of_the_pod_count() {
    different(
        spec,
        &[
            ("", "restartPolicy: Never"),
            ("", "terminationGracePeriodSeconds: 0"),
            ("", "enableServiceLinks: false"),
            ("", "automountServiceAccountToken: false"),
            ("", "hostNetwork: true"),
            ("", "priorityClassName: high"),
            ("", "initContainers: [{name: a, image: a}]"),
            ("", "securityContext: {runAsUser: 0}"),
            ("", "nodeSelector: {gpu: ''}"),
            ("", "fieldOfTomorrow: {}"),
            ("", "fieldOfTomorrow: 0"),
            ("serviceAccountName: a", "serviceAccountName: b"),
            ("tolerations: [{key: a}, {key: b}]", "tolerations: [{key: b}, {key: a}]"),
            (
                "topologySpreadConstraints: [{maxSkew: 1, labelSelector: {}}]",
                "topologySpreadConstraints: [{maxSkew: 1}]",
            ),
            (
                "affinity: {podAffinity: {x: [{topologyKey: a, namespaceSelector: {}}]}}",
                "affinity: {podAffinity: {x: [{topologyKey: a}]}}",
            ),
            (
                "initContainers: [{name: a, image: a, restartPolicy: Always}]",
                "initContainers: [{name: a, image: a}]",
            ),
        ],
    );
}

#[test]
fn defaults_of_a_container_do_not_count() {
    same(
        container,
        &[
            ("", "terminationMessagePath: /dev/termination-log, terminationMessagePolicy: File"),
            ("", "imagePullPolicy: IfNotPresent"),
            ("", "resources: {}, securityContext: {capabilities: {drop: []}, procMount: Default}"),
            ("", "command: [], args: null, env: [], workingDir: '', lifecycle: {}"),
            ("", "stdin: false, stdinOnce: false, tty: false"),
            (
                "ports: [{containerPort: 80}]",
                "ports: [{containerPort: 80, protocol: TCP, hostPort: 0, name: ''}]",
            ),
            (
                "volumeMounts: [{name: a}]",
                "volumeMounts: [{name: a, readOnly: false, subPath: ''}]",
            ),
            ("env: [{name: A}]", "env: [{name: A, value: ''}]"),
            (
                "env: [{name: A, valueFrom: {fieldRef: {fieldPath: b}}}]",
                "env: [{name: A, valueFrom: {fieldRef: {fieldPath: b, apiVersion: v1}}}]",
            ),
            (
                "env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}]",
                "env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: '0'}}}]",
            ),
            (
                "env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}]",
                "env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1024Ki}}}]",
            ),
            (
                "env: [{name: A, valueFrom: {fileKeyRef: {key: a}}}]",
                "env: [{name: A, valueFrom: {fileKeyRef: {key: a, optional: false}}}]",
            ),
            (
                "livenessProbe: {httpGet: {port: 80}}",
                "livenessProbe: {httpGet: {port: 80, path: /, scheme: HTTP}, timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3, initialDelaySeconds: 0}",
            ),
            (
                "startupProbe: {grpc: {port: 1}}",
                "startupProbe: {grpc: {port: 1, service: ''}, timeoutSeconds: 0}",
            ),
            (
                "lifecycle: {preStop: {httpGet: {port: 1}}}",
                "lifecycle: {preStop: {httpGet: {port: 1, path: /, scheme: HTTP}}}",
            ),
            ("resources: {limits: {cpu: 1}}", "resources: {limits: {cpu: '1000m'}}"),
            ("resources: {limits: {cpu: 0.5}}", "resources: {limits: {cpu: 500m}, claims: []}"),
            ("resources: {requests: {memory: 1Gi}}", "resources: {requests: {memory: 1073741824}}"),
            ("resources: {requests: {memory: 1e3}}", "resources: {requests: {memory: 1k}}"),
        ],
    );
}

#[test]
fn choices_of_a_container_count() {
    different(
        container,
        &[
            ("", "command: [a]"),
            ("command: [a, b]", "command: [b, a]"),
            ("args: ['']", "args: []"),
            ("args: ['']", "args: ['', '']"),
            ("env: [{name: A}]", "env: []"),
            ("env: [{name: A, value: '1'}]", "env: [{name: A, value: '2'}]"),
            ("env: [{name: A}, {name: B}]", "env: [{name: B}, {name: A}]"),
            ("env: [{name: A, value: 1Gi}]", "env: [{name: A, value: 1024Mi}]"),
            ("", "imagePullPolicy: Always"),
            ("", "tty: true"),
            ("", "resources: {limits: {cpu: 1}}"),
            ("resources: {limits: {cpu: 1}}", "resources: {limits: {cpu: 2}}"),
            ("resources: {limits: {cpu: 1}}", "resources: {requests: {cpu: 1}}"),
            ("resources: {limits: {memory: 1G}}", "resources: {limits: {memory: 1Gi}}"),
            ("resources: {limits: {memory: big}}", "resources: {limits: {memory: huge}}"),
            ("resources: {limits: {cpu: 0}}", "resources: {limits: {}}"),
            ("livenessProbe: {tcpSocket: {port: 80}}", "livenessProbe: {tcpSocket: {port: '80'}}"),
            ("livenessProbe: {tcpSocket: {port: 80}}", "readinessProbe: {tcpSocket: {port: 80}}"),
            (
                "livenessProbe: {tcpSocket: {port: 80}}",
                "livenessProbe: {tcpSocket: {port: 80}, terminationGracePeriodSeconds: 0}",
            ),
            ("ports: [{containerPort: 53}]", "ports: [{containerPort: 53, protocol: UDP}]"),
            ("securityContext: {readOnlyRootFilesystem: false}", "securityContext: {}"),
            (
                "env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}]",
                "env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.memory}}}]",
            ),
        ],
    );
}

#[test]
fn the_default_pull_policy_depends_on_the_image() {
    let fingerprints = |image: &str| {
        ["", ", imagePullPolicy: Always", ", imagePullPolicy: IfNotPresent"].map(|policy| {
            let text = format!("spec: {{containers: [{{name: a, image: '{image}'{policy}}}]}}");
            fingerprint(&template(&text))
        })
    };
    for image in ["web", "web:latest", "registry:5000/web", "a/web:latest@sha256:0a"] {
        let [unset, always, once] = fingerprints(image);
        assert!(unset == always && unset != once, "{image}");
    }
    for image in ["web:1", "registry:5000/web:1", "web@sha256:0a", "web:1@sha256:0a", ""] {
        let [unset, always, once] = fingerprints(image);
        assert!(unset != always && unset == once, "{image}");
    }
}

#[test]
fn host_ports_in_the_hosts_network_do_not_count() {
    let with = |network: &str, port: &str| {
        fingerprint(&template(&format!(
            "spec: {{{network}containers: [{{name: a, ports: [{{containerPort: 80{port}}}]}}]}}"
        )))
    };
    let network = "hostNetwork: true, ";
    assert_eq!(with(network, ""), with(network, ", hostPort: 80"));
    assert_ne!(with("", ""), with("", ", hostPort: 80"));
}

#[test]
fn defaults_of_volumes_do_not_count() {
    same(
        volume,
        &[
            ("", "emptyDir: {}"),
            ("", "emptyDir: null"),
            ("", "emptyDir: {medium: '', sizeLimit: null}"),
            ("emptyDir: {sizeLimit: 1Gi}", "emptyDir: {sizeLimit: 1024Mi}"),
            ("configMap: {name: a}", "configMap: {name: a, defaultMode: 420, items: []}"),
            ("secret: {secretName: a}", "secret: {secretName: a, defaultMode: 420}"),
            ("hostPath: {path: /a}", "hostPath: {path: /a, type: ''}"),
            (
                "persistentVolumeClaim: {claimName: a}",
                "persistentVolumeClaim: {claimName: a, readOnly: false}",
            ),
            ("image: {reference: a}", "image: {reference: a, pullPolicy: Always}"),
            ("iscsi: {lun: 0}", "iscsi: {lun: 0, iscsiInterface: default}"),
            (
                "projected: {sources: [{serviceAccountToken: {path: a}}, {downwardAPI: {items: [{path: b, fieldRef: {fieldPath: c}}]}}]}",
                "projected: {defaultMode: 420, sources: [{serviceAccountToken: {path: a, expirationSeconds: 3600}}, {downwardAPI: {items: [{path: b, fieldRef: {fieldPath: c, apiVersion: v1}}]}}]}",
            ),
            (
                "downwardAPI: {items: [{path: a, resourceFieldRef: {resource: limits.cpu, divisor: 1m}}]}",
                "downwardAPI: {defaultMode: 420, items: [{path: a, resourceFieldRef: {resource: limits.cpu, divisor: '0.001'}}]}",
            ),
            (
                "ephemeral: {volumeClaimTemplate: {spec: {resources: {requests: {storage: 1Gi}}}}}",
                "ephemeral: {volumeClaimTemplate: {metadata: {creationTimestamp: null}, spec: {volumeMode: Filesystem, resources: {requests: {storage: 1024Mi}}}}}",
            ),
        ],
    );
}

#[test]
fn choices_of_volumes_count() {
    different(
        volume,
        &[
            ("", "configMap: {name: a}"),
            ("emptyDir: {}", "emptyDir: {medium: Memory}"),
            ("configMap: {name: a}", "configMap: {name: a, defaultMode: 256}"),
            ("configMap: {name: a}", "secret: {secretName: a}"),
            ("sourceOfTomorrow: {}", ""),
            ("secret: {optional: false}", "secret: {}"),
            (
                "ephemeral: {volumeClaimTemplate: {spec: {storageClassName: ''}}}",
                "ephemeral: {volumeClaimTemplate: {spec: {}}}",
            ),
        ],
    );
}

#[test]
fn of_the_metadata_only_what_pods_get_counts() {
    same(
        metadata,
        &[
            ("{}", "{creationTimestamp: null, labels: {}, annotations: null}"),
            ("{}", "{creationTimestamp: '2026-01-01T00:00:00Z', name: a, uid: b}"),
            ("{labels: {app: a}}", "{labels: {app: a, sluice.dev/revision: x}}"),
            ("{labels: {app: a}}", "{labels: {app: a, gone: null}}"),
        ],
    );
    different(
        metadata,
        &[
            ("{}", "{labels: {app: ''}}"),
            ("{labels: {app: a}}", "{labels: {app: b}}"),
            ("{labels: {app: a}}", "{annotations: {app: a}}"),
            ("{}", "{annotations: {kubectl.kubernetes.io/restartedAt: '1'}}"),
            ("{}", "{annotations: {sluice.dev/revision: a}}"),
            ("{}", "{labels: {service.istio.io/canonical-revision: v1}}"),
            ("{}", "{finalizers: [a/b]}"),
        ],
    );
}

#[test]
fn every_template_of_the_corpus_notices_what_runs() {
    for entry in corpus() {
        let unchanged = fingerprint(&template_of(&entry));
        for (field, value) in [
            ("image", serde_json::json!("other:2")),
            ("env", serde_json::json!([{"name": "NEW", "value": "1"}])),
            ("command", serde_json::json!(["other"])),
            ("resources", serde_json::json!({"limits": {"cpu": "7"}})),
        ] {
            let mut entry = entry.clone();
            entry["template"]["spec"]["containers"][0][field] = value;
            let changed = fingerprint(&template_of(&entry));
            assert_ne!(changed, unchanged, "{field} of {}", entry["name"]);
        }
    }
}
