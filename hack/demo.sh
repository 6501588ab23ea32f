#!/usr/bin/env bash
# Three releases of examples/canary-lite on a control plane of its own, on loopback: the first
# deployment, a good canary, and one whose smoke test fails and that is rolled back. The pods are
# simulated (tests/cluster); API server, controllers and Sluice are real. Needs Go, Rust, kubectl.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

say "building (minutes the first time)"
tests/cluster/build.sh
cargo build --locked --quiet --bins
export PATH=$PWD/target/debug:$PATH

dir=$(mktemp -d)
export KUBECONFIG=$dir/kubeconfig
# The control plane ends when its standard input closes: at the latest when this script is gone.
exec {alive}> >(exec target/cluster/testcluster -until-stdin-closes -kubeconfig "$KUBECONFIG" >"$dir/cluster.log" 2>&1)
cluster=$! controller=''
cleanup() {
  [ -z "$controller" ] || kill "$controller" 2>/dev/null || true
  [ -z "$controller" ] || wait "$controller" || true
  exec {alive}>&-
  wait "$cluster" || true
  rm -rf "$dir"
}
trap cleanup EXIT

say "starting a control plane and the controller"
for _ in $(seq 150); do
  grep -q READY "$dir/cluster.log" && break
  kill -0 "$cluster" || { cat "$dir/cluster.log"; exit 1; }
  sleep 0.2
done
kubectl apply --server-side -f target/cluster/istio-crds.yaml >"$dir/crds.log"
kubectl apply -k crds >>"$dir/crds.log"
kubectl wait --for=condition=Established --timeout=30s crd --all >>"$dir/crds.log"
sluice controller --listen 127.0.0.1:0 --log-level warn --log-format text &
controller=$!

say "first deployment: kubectl apply -f examples/canary-lite"
kubectl apply -f examples/canary-lite
kubectl sluice status web --watch --timeout 60s

say "a good release: nginx 1.27.1"
kubectl patch rollout web --type=json --patch '[
  {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "nginx:1.27.1"}]'
kubectl sluice status web --watch --timeout 60s

say "a bad release: nginx 1.27.2, whose smoke test ends with 1 (as the tag exit1 tells the simulated kubelet)"
kubectl patch rollout web --type=json --patch '[
  {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "nginx:1.27.2"},
  {"op": "replace", "path": "/spec/strategy/canary/steps/2/job/spec/template/spec/containers/0/image", "value": "busybox:exit1"}]'
code=0
kubectl sluice status web --watch --timeout 60s || code=$?
kubectl wait rollout/web --for=jsonpath='{.status.weights.canary}'=0 --timeout=10s >/dev/null
kubectl sluice get rollout web
[ "$code" = 4 ] || { echo "expected exit code 4 (aborted), got $code"; exit 1; }
say "rolled back: all traffic is on the stable revision, and a pipeline sees exit code 4"
