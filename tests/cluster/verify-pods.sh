#!/usr/bin/env bash
# usage: verify-pods.sh
# Checks that pods are served: starts a testcluster with -pods in a network
# namespace of its own (needs root, ip and unshare), and looks at pods with
# kubectl and curl. Every wait is a poll with a limit.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ "${1:-}" != inside ]; then
  "$here/build.sh" && "$here/../mesh/app/build.sh" || exit 1
  exec unshare -n "$0" inside
fi
ip link set lo up
ip route add local 10.244.0.0/16 dev lo

tmp=$(mktemp -d)
target=$(cd "$here/../../target" && pwd)
# A copy, so that processes of this run are told from others.
cp "$target/mesh/app" "$tmp/app"
mkfifo "$tmp/said"
# Its stdin stays open while this script lives.
mkfifo "$tmp/hold"
"$target/cluster/testcluster" -kubeconfig "$tmp/kc" -pods "$tmp/app" -until-stdin-closes <"$tmp/hold" >"$tmp/said" 2>"$tmp/log" &
cluster=$!
exec 8>"$tmp/hold"
trap 'kill "$cluster" 2>/dev/null; wait "$cluster" 2>/dev/null; rm -rf "$tmp"' EXIT
read -r said <"$tmp/said" || { tail -20 "$tmp/log"; exit 1; }
export KUBECONFIG=$tmp/kc
passed=0 failed=0

k() { kubectl --cache-dir="$tmp/cache" "$@"; }
check() {
  local name=$1; shift
  if "$@" >"$tmp/out" 2>&1; then passed=$((passed + 1)); printf 'PASS %-46s %s\n' "$name" "$(tail -1 "$tmp/out" | cut -c1-110)"
  else failed=$((failed + 1)); printf 'FAIL %-46s %s\n' "$name" "$(tail -4 "$tmp/out" | tr '\n' ' ' | cut -c1-400)"; fi
}
# until_like TEXT COMMAND...: its output must hold the text within 20 seconds.
until_like() {
  local want=$1 got end=$((SECONDS + 20)); shift
  while got=$("$@" 2>&1); [[ $got != *$want* ]]; do
    if ((SECONDS >= end)); then echo "wanted $want, got $got"; return 1; fi
    sleep 0.1
  done
  echo "$got"
}
ip_of() { k get pod "$1" -o 'jsonpath={.status.podIP}'; }
ready_of() { k get pod "$1" -o 'jsonpath={.status.phase} {.status.conditions[?(@.type=="Ready")].status}'; }
restarts_of() { k get pod "$1" -o 'jsonpath={range .status.containerStatuses[0]}{.restartCount} restarts, last {.lastState.terminated.exitCode}{end}'; }
get() { curl -s --max-time 20 -w ' %{http_code}' "http://$(ip_of "$1"):8080${2:-/}"; }
processes() { pgrep -c -f "^$tmp/app" || true; }
now_ms() { date +%s%3N; }
# deleted NAME GRACE FROM TO: deletion takes between FROM and TO milliseconds.
deleted() {
  local begin took; begin=$(now_ms)
  k delete pod "$1" --grace-period="$2" --timeout=30s || return
  took=$(($(now_ms) - begin)); echo "$took ms"
  ((took >= $3 && took <= $4))
}
# pod NAME TAG [SPEC OF THE CONTAINER] [SPEC OF THE POD]
pod() {
  printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: %s, labels: {app: alone}}\nspec: {%s containers: [{name: c, image: "example.test/shop:%s", %s}]}\n---\n' "$1" "${4:-}" "$2" "${3:-}"
}
probe() { printf '%s: {httpGet: {path: "%s", port: 8080}, periodSeconds: 1, failureThreshold: %s}' "$1" "$2" "${3:-3}"; }

k apply -f - >/dev/null <<Y
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 3
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:
      - name: c
        image: example.test/shop:v1
        ports: [{name: http, containerPort: 8080}, {containerPort: 9090}]
        readinessProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {selector: {app: shop}, ports: [{name: http, port: 80, targetPort: http}]}
Y
answers() {
  local port address
  for address in $(k get endpointslices -l kubernetes.io/service-name=shop -o 'jsonpath={.items[*].endpoints[*].addresses[0]}'); do
    for port in 8080 9090; do curl -s --max-time 5 "http://$address:$port/" | grep -o '"version":"[^"]*"' || echo none; done
  done | sort | uniq -c | tr -s ' '
}
check "deployment gets ready" k rollout status deploy/shop --timeout=60s
check "all endpoints answer on all ports" until_like ' 6 "version":"v1"' answers
k set image deploy/shop c=example.test/shop:v2 >/dev/null
check "rolling update ends" k rollout status deploy/shop --timeout=60s
check "the new version answers" until_like ' 6 "version":"v2"' answers
k scale deploy/shop --replicas=1 >/dev/null
check "scaled down, one process is left" until_like 1 processes

{
  pod slow v1-start3s "$(probe readinessProbe /healthz)"
  pod unready v1 "$(probe readinessProbe '/?delay=1h' )"
  pod unprobed v1-start1h
  pod never v1-never-ready
  pod crash v1-crash
  pod crashes v1-crash2s
  pod victim v1 "$(probe readinessProbe /healthz)"
  pod dead v1 "$(probe livenessProbe '/?delay=1h' 2)"
  pod errors v1-errors50
  pod drains v1-drain3s
  pod hook v1 'lifecycle: {preStop: {sleep: {seconds: 3}}}'
  pod shell v1 'lifecycle: {preStop: {exec: {command: [sh, -c, "sleep 3"]}}}'
  pod call v1 'lifecycle: {preStop: {httpGet: {path: "/?delay=3s", port: 8080}}}'
  pod stubborn v1 'env: [{name: ON_TERM, value: ignore}]'
  pod busy v1
  pod forced v1-drain1h
  pod badimage v1-badimage
  pod wrong v1 'env: [{name: DRAIN, value: soon}]'
} | k apply -f - >/dev/null
check "a slow start holds readiness back" until_like "Running False" ready_of slow
check "it gets ready" until_like "Running True" ready_of slow
check "ready without a probe when it runs" until_like "Running True" ready_of unprobed
check "never-ready serves" until_like 200 get never
check "never-ready is not ready" until_like "Running False" ready_of never
check "a failing probe keeps it unready" until_like "Running False" ready_of unready
check "crash by image, by the kubelet" until_like "restarts, last 1" restarts_of crash
check "crash of the process, its real code" until_like "restarts, last 137" restarts_of crashes
check "it runs again" until_like 200 get crashes
check "liveness restarts" until_like "1 restarts, last 0" restarts_of dead
check "errors are marked" until_like "X-App-Error: 1" curl -si --max-time 5 "http://$(ip_of errors):8080/"
check "bad image is not started" until_like "Pending False" ready_of badimage
check "a wrong variable is told in the log" until_like "pod default/wrong: app: DRAIN" cat "$tmp/log"
check "victim is ready" until_like "Running True" ready_of victim
k annotate pod victim testcluster/kill=1 >/dev/null
check "kill annotation" until_like "1 restarts, last 137" restarts_of victim
check "the killed one is ready again" until_like "Running True" ready_of victim
k annotate pod victim testcluster/kill=2 --overwrite >/dev/null
check "kill annotation, new value" until_like "2 restarts, last 137" restarts_of victim

check "busy pod answers" until_like 200 get busy
get busy '/?delay=4s' >"$tmp/busy" &
request=$!
until_like '"requests":2' get busy /counts >/dev/null
check "deletion waits for the request in flight" deleted busy 30 2000 10000
wait "$request"
check "which was answered" grep 200 "$tmp/busy"
(k delete pod drains --wait=false >/dev/null)
check "a draining pod answers and closes" until_like "Connection: close" curl -si --max-time 5 "http://$(ip_of drains):8080/"
check "deletion waits for preStop sleep" deleted hook 30 2900 8000
check "deletion waits for preStop exec" deleted shell 30 2900 8000
check "deletion waits for preStop httpGet" deleted call 30 2900 8000
check "SIGTERM ignored: killed after the grace period" deleted stubborn 3 2900 8000
before=$(processes)
check "deletion by force" k delete pod forced --force --grace-period=0
check "its process is gone at once" until_like $((before - 1)) processes

k delete deploy shop >/dev/null
k delete pod -l app=alone >/dev/null
check "nothing runs after all pods are deleted" until_like 0 processes
k create deployment left --image=example.test/shop:v1-drain1h --replicas=3 >/dev/null
check "three more run" until_like 3 processes
if [ "${END:-}" = term ]; then kill "$cluster"; else kill -KILL "$cluster"; fi
wait "$cluster" 2>/dev/null
check "nothing outlives the cluster (SIG${END:-kill})" until_like 0 processes
echo "passed $passed failed $failed"
[ "$failed" = 0 ]
