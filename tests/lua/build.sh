#!/usr/bin/env bash
# Builds target/lua/lua, which runs scripts as Argo CD does. Needs Go and the Go module proxy.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
out=../../target/lua
mkdir -p "$out"
# Tests may ask for the build at the same time; Go's cache makes the second one short.
exec 9>"$out/.lock"
flock 9
go build -buildvcs=false -trimpath -o "$out/lua" .
