#!/usr/bin/env bash
# usage: verify.sh KUBECONFIG [AUDIT_LOG]
# Checks a fresh testcluster with kubectl: that its parts are real, and each
# behaviour of the fake kubelet. Every wait is a watch or a poll with a limit.
set -uo pipefail
export KUBECONFIG=${1:?usage: verify.sh KUBECONFIG [AUDIT_LOG]}
audit=${2:-}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
ns=verify-$$
passed=0 failed=0

k() { kubectl --cache-dir="$tmp/cache" -n "$ns" "$@"; }
# check NAME COMMAND...: the command must succeed.
check() {
  local name=$1; shift
  if "$@" >"$tmp/out" 2>&1; then passed=$((passed + 1)); printf 'PASS %-42s %s\n' "$name" "$(tail -1 "$tmp/out" | cut -c1-110)"
  else failed=$((failed + 1)); printf 'FAIL %-42s %s\n' "$name" "$(tail -4 "$tmp/out" | tr '\n' ' ' | cut -c1-400)"; fi
}
# like TEXT COMMAND...: its output must hold the text, now.
like() { local want=$1 got; shift; got=$("$@" 2>&1); echo "$got"; [[ $got == *$want* ]]; }
# until_like TEXT COMMAND...: its output must hold the text within 20 seconds.
until_like() {
  local want=$1 got end=$((SECONDS + 20)); shift
  while got=$("$@" 2>&1); [[ $got != *$want* ]]; do
    if ((SECONDS >= end)); then echo "wanted $want, got $got"; return 1; fi
    sleep 0.1
  done
  echo "$got"
}
# wait_for CONDITION OBJECT
wait_for() { k wait --for="$1" "$2" --timeout=30s; }
# pod NAME IMAGE [ANNOTATION=VALUE...]
pod() {
  local name=$1 image=$2 a; shift 2
  printf 'apiVersion: v1\nkind: Pod\nmetadata:\n  name: %s\n  annotations:\n    testcluster/x: ""\n' "$name"
  for a in "$@"; do printf '    testcluster/%s: "%s"\n' "${a%%=*}" "${a#*=}"; done
  printf 'spec: {containers: [{name: c, image: "%s"}]}\n---\n' "$image"
}
# job NAME TAG [SPEC]
job() {
  printf 'apiVersion: batch/v1\nkind: Job\nmetadata: {name: %s}\nspec: {backoffLimit: 0, %s template: {spec: {restartPolicy: Never, containers: [{name: c, image: "example.test/job:%s"}]}}}\n---\n' "$1" "${3:-}" "$2"
}
ready_of() { k get pod "$1" -o 'jsonpath={.status.phase} {.status.conditions[?(@.type=="Ready")].status}'; }
container_of() { k get pod "$1" -o 'jsonpath={range .status.containerStatuses[0]}{.ready} {.state.waiting.reason} {.state.waiting.message}{end}'; }
restarts_of() { k get pod "$1" -o 'jsonpath={.status.containerStatuses[0].restartCount}'; }
restarts_reach() { local end=$((SECONDS + 20)); until (("$(restarts_of "$1")" >= $2)); do ((SECONDS < end)) || return 1; sleep 0.1; done; restarts_of "$1"; }
now_ms() { date +%s%3N; }

check "version is stamped" like 'Server Version: v1.' kubectl version
kubectl create namespace "$ns" >/dev/null

# === the control plane
k apply -f - >/dev/null <<Y
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "example.test/web:1", ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 3, selector: {matchLabels: {app: web}}}
Y
check "deployment gets ready" k rollout status deploy/web --timeout=60s
k set image deploy/web c=example.test/web:2 >/dev/null
check "rolling update ends" k rollout status deploy/web --timeout=60s
check "endpoint slice has 3 ready" until_like "true true true" k get endpointslices -l kubernetes.io/service-name=web -o 'jsonpath={.items[*].endpoints[*].conditions.ready}'
check "addresses are the pods'" like 10.244. k get endpointslices -l kubernetes.io/service-name=web -o 'jsonpath={.items[*].endpoints[*].addresses[0]}'
check "budget allows no disruption" until_like "3 0" k get pdb web -o 'jsonpath={.status.currentHealthy} {.status.disruptionsAllowed}'
victim=$(k get pods -l app=web -o 'jsonpath={.items[0].metadata.name}')
evict() { echo "{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\",\"metadata\":{\"name\":\"$victim\",\"namespace\":\"$ns\"}}" | k create --raw "/api/v1/namespaces/$ns/pods/$victim/eviction" -f -; }
check "eviction is refused" like "disruption budget" evict
k create serviceaccount bot >/dev/null
k create role reader --verb=get,list --resource=pods >/dev/null
k create rolebinding reader --role=reader --serviceaccount="$ns:bot" >/dev/null
k create token bot --duration=10m >"$tmp/token"
kubectl config view --raw -o 'jsonpath={.clusters[0].cluster.certificate-authority-data}' | base64 -d >"$tmp/ca"
server=$(kubectl config view -o 'jsonpath={.clusters[0].cluster.server}')
bot() { kubectl --kubeconfig=/dev/null --cache-dir="$tmp/bot" -n "$ns" --server="$server" --certificate-authority="$tmp/ca" --token="$(cat "$tmp/token")" "$@"; }
check "server is on loopback" like https://127.0.0.1: echo "$server"
check "roles allow" like web- bot get pods
check "roles deny" like Forbidden bot get deployments
if [ -s "$here/../../target/cluster/istio-crds.yaml" ]; then
  check "Istio's CRDs apply" kubectl apply --server-side -f "$here/../../target/cluster/istio-crds.yaml"
  check "VirtualService is served" kubectl wait --for=condition=Established crd/virtualservices.networking.istio.io --timeout=30s
fi

# === the fake kubelet
{
  pod plain example.test/web:1
  pod late example.test/web:1 ready-after=6s
  pod never example.test/web:1 never-ready=true
  pod never-by-image example.test/web:2-never-ready
  pod crash example.test/web:1 crash-after=0s
  pod crash-by-image example.test/web:crash
  pod crash-later example.test/web:1 crash-after=4s
  pod badimage example.test/web:1 image-pull-error=true
  pod badimage-by-image example.test/web:badimage
  pod slow-start example.test/web:1 delay=6s
  pod lingers example.test/web:1 terminate-after=3s
  pod bounded example.test/web:1 terminate-after=1h
  pod exits example.test/web:1 exit-code=0
  job good 1
  job bad exit1
  job stuck hang
  job limited hang 'activeDeadlineSeconds: 2,'
} | k apply -f - >/dev/null
check "slow start waits its delay" like "Pending" ready_of slow-start
check "a pod gets ready" until_like "Running True" ready_of plain
check "ready-after holds readiness back" until_like "Running False" ready_of late
check "never-ready runs" until_like "Running False" ready_of never
check "never-ready by image" until_like "Running False" ready_of never-by-image
check "crash-after 0s" until_like "false CrashLoopBackOff back-off" container_of crash
check "crash by image" until_like "false CrashLoopBackOff back-off" container_of crash-by-image
check "crash was never ready" like "Running False" ready_of crash
check "restarts are counted" restarts_reach crash-by-image 3
check "crash-later crashes" until_like "false CrashLoopBackOff back-off" container_of crash-later
check "it is ready again after its restart" until_like "Running True" ready_of crash-later
check "image pull error" until_like 'false ImagePullBackOff Back-off pulling image' container_of badimage
check "image pull error by image" until_like 'false ImagePullBackOff Back-off pulling image' container_of badimage-by-image
check "its pod is pending" like "Pending False" ready_of badimage
check "ready-after ends" until_like "Running True" ready_of late
check "slow start ends" until_like "Running True" ready_of slow-start
check "exit 0 of a server is a crash" until_like "false CrashLoopBackOff" container_of exits
check "job completes" wait_for condition=Complete job/good
check "job fails" wait_for condition=Failed job/bad
check "its exit code" like "Failed 1" k get pods -l job-name=bad -o 'jsonpath={.items[0].status.phase} {.items[0].status.containerStatuses[0].state.terminated.exitCode}'
check "job past its deadline fails" wait_for condition=Failed job/limited
check "hanging job is active" like 1 k get job stuck -o 'jsonpath={.status.active}'

k annotate pod plain testcluster/ready=false >/dev/null
check "readiness is taken by hand" wait_for condition=Ready=False pod/plain
k annotate pod plain testcluster/ready=true --overwrite >/dev/null
check "readiness is given by hand" wait_for condition=Ready pod/plain
k annotate pod never testcluster/ready=true >/dev/null
check "a never-ready pod is made ready" wait_for condition=Ready pod/never

# gone NAME GRACE FROM TO: deletion takes between FROM and TO milliseconds.
gone() {
  local begin took; begin=$(now_ms)
  k delete pod "$1" --grace-period="$2" --timeout=20s || return
  took=$(($(now_ms) - begin)); echo "$took ms"
  ((took >= $3 && took <= $4))
}
check "deletion is quick" gone plain 30 0 5000
check "terminate-after holds a pod" gone lingers 30 3000 10000
check "the grace period bounds it" gone bounded 1 1000 8000
k delete deploy web --wait=false >/dev/null
check "owned pods go with their owner" k wait --for=delete pod -l app=web --timeout=20s

if [ -n "$audit" ]; then
  check "audit log has lines" grep -c '"stage":"ResponseComplete"' "$audit"
  check "audit log names the request" grep -m1 -E '"verb":"create".*"username":"admin".*"userAgent":"kubectl.*"resource":"pods".*"subresource":"eviction".*"responseStatus":\{.*"code":429.*"requestReceivedTimestamp":"[^"]+","stageTimestamp":' "$audit"
  check "audit log has the kubelet's own name" grep -q '"username":"testcluster:kubelet"' "$audit"
  check "audit log has no RequestReceived" bash -c '! grep -m1 "\"stage\":\"RequestReceived\"" "$0"' "$audit"
  check "audit log has no probes" bash -c '! grep -m1 -E "\"requestURI\":\"/(health|ready|live)z" "$0"' "$audit"
fi
kubectl delete namespace "$ns" --wait=false >/dev/null
echo "passed $passed failed $failed"
[ "$failed" = 0 ]
