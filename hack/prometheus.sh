#!/usr/bin/env bash
# Makes sure of target/prometheus/{prometheus,promtool}, a real Prometheus for the tests:
# one that is installed, else Debian's package, unpacked and never installed, so
# that no service starts. Idempotent.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$here/../target/prometheus"
out=$(cd "$here/../target/prometheus" && pwd)

# Tests may ask at the same time; the second finds it done.
exec 9>"$out/.lock"
flock 9

if "$out/prometheus" --version >/dev/null 2>&1 && "$out/promtool" --version >/dev/null 2>&1; then
  exit 0
fi
if installed=$(command -v prometheus) && tool=$(command -v promtool); then
  ln -sf "$installed" "$out/prometheus"
  ln -sf "$tool" "$out/promtool"
else
  work=$(mktemp -d "$out/unpack.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  cd "$work"
  get=(apt-get download -q -o APT::Sandbox::User=root prometheus)
  "${get[@]}" || { apt-get update -q && "${get[@]}"; }
  dpkg -x prometheus_*.deb .
  install -m 755 usr/bin/prometheus usr/bin/promtool "$out"
fi
"$out/prometheus" --version >/dev/null || {
  echo "prometheus: unpacked, but it does not run here; install the package prometheus" >&2
  exit 1
}
