#!/usr/bin/env bash
# Builds target/mesh/app once per state of the sources. Needs Go, nothing else.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$here/../../../target/mesh
mkdir -p "$out"
out=$(cd "$out" && pwd)

# Tests may ask for the build at the same time; the second finds it done.
exec 9>"$out/.app.lock"
flock 9

cd "$here"
want=$( { go env GOVERSION GOOS GOARCH; cat go.mod build.sh; find . -name '*.go' ! -name '*_test.go' | LC_ALL=C sort | xargs tail -n +1; } | sha256sum | cut -d' ' -f1)
if [ -x "$out/app" ] && [ "$(cat "$out/.app.hash" 2>/dev/null)" = "$want" ]; then
  echo "the mesh tests' app is up to date: target/mesh/app"
  exit 0
fi

# Without cgo: one file that runs in any namespace.
CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags "-s -w" -o "$out/app.new" .
mv "$out/app.new" "$out/app"
echo "$want" >"$out/.app.hash"
echo "the mesh tests' app is built: target/mesh/app"
