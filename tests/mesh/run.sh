#!/usr/bin/env bash
# Runs the mesh tests (or those that the arguments name, as `cargo test` takes them) in a network
# namespace of their own, where the addresses of pods are local. Needs `ip` (iproute2) and `unshare`.
# With SLUICE_RECORD=1 the tables of docs/traffic.md are written anew.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if ! command -v ip >/dev/null; then
  echo "tests/mesh/run.sh: needs the command ip: install the package iproute2" >&2
  exit 1
fi
tests/mesh/build.sh
cargo test --locked --test mesh --no-run

# Whoever is not root may make a network namespace within a user namespace.
own=(unshare --net)
[ "$(id -u)" = 0 ] || own=(unshare --net --user --map-root-user)
# shellcheck disable=SC2016 # the inner shell expands it
# They wait more than they work.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-6}
exec "${own[@]}" sh -c '
  ip link set lo up
  ip route add local 10.244.0.0/16 dev lo
  exec cargo test --locked --offline --test mesh -- "$@"
' mesh "$@"
