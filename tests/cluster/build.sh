#!/usr/bin/env bash
# Builds target/cluster/testcluster once per state of the sources, and puts
# Istio's CRDs beside it. Needs Go and the Go module proxy, nothing else.
set -euo pipefail

kubernetes=1.35.4       # as in go.mod
istio_api=v1.31.1       # for its CRDs only; a module of its own, so go.mod's versions stay as they are

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$here/../../target/cluster
mkdir -p "$out"
out=$(cd "$out" && pwd)

# Tests may ask for the build at the same time; the second finds it done.
exec 9>"$out/.lock"
flock 9

cd "$here"
want=$( { go env GOVERSION GOOS GOARCH; cat go.mod go.sum build.sh; find . -name '*.go' ! -name '*_test.go' | LC_ALL=C sort | xargs tail -n +1; } | sha256sum | cut -d' ' -f1)
if [ -x "$out/testcluster" ] && [ -s "$out/istio-crds.yaml" ] && [ "$(cat "$out/.hash" 2>/dev/null)" = "$want" ]; then
  echo "testcluster is up to date: target/cluster/testcluster"
  exit 0
fi

echo "testcluster: building (minutes the first time)" >&2
# The stamp is the version that the API server tells; kubectl cannot parse the unstamped one.
stamp=k8s.io/component-base/version
go build -buildvcs=false -trimpath \
  -ldflags "-s -w -X $stamp.gitVersion=v$kubernetes -X $stamp.gitMajor=1 -X $stamp.gitMinor=$(cut -d. -f2 <<<$kubernetes)" \
  -o "$out/testcluster.new" .

go mod download "istio.io/api@$istio_api"
crds=$(go list -m -f '{{.Dir}}' "istio.io/api@$istio_api")/kubernetes/customresourcedefinitions.gen.yaml
install -m 644 "$crds" "$out/istio-crds.yaml"

mv "$out/testcluster.new" "$out/testcluster"
echo "$want" >"$out/.hash"
echo "testcluster is built: target/cluster/testcluster"
