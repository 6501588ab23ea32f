#!/usr/bin/env bash
# Plants the bugs of tests/mutants, one at a time, and says how many seeds chaos needs to find each.
# `hack/mutants.sh NAME…` tries some of them. The report is target/mutants/report.txt, a line a bug, the
# newest; `hack/mutants.sh --write` makes the table in docs/chaos.md of it.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
copy=$root/target/mutants/source
report=$root/target/mutants/report.txt
most=${MOST_SEEDS:-200}
mkdir -p "$copy"
touch "$report"

# The table: what the bug is, whose, and the seeds that were needed.
if [ "${1:-}" = --write ]; then
    table=$(
        echo "| bug | whose | seeds needed |"
        echo "|---|---|---|"
        for patch in tests/mutants/*.patch; do
            name=$(basename "$patch" .patch)
            IFS= read -r about < "$patch"
            found=$(sed -n "s/^$name: //p" "$report" | sed 's/^\([0-9]*\) seeds: .*/\1/; s/^.*at call .*/at every call/')
            echo "| \`$name\`: ${about#*: } | ${about%%: *} | ${found:-not tried} |"
        done
    )
    awk -v table="$table" '
        /^<!-- mutants -->$/ { print; print table; skip = 1 }
        /^<!-- end -->$/ { skip = 0 }
        !skip
    ' docs/chaos.md > target/mutants/chaos.md
    cp target/mutants/chaos.md docs/chaos.md
    exit
fi

git ls-files -z --cached --others --exclude-standard | tar --null -cf - -T - | tar -xf - -C "$copy"

names=("$@")
[ ${#names[@]} -gt 0 ] || names=($(cd tests/mutants && ls *.patch | sed 's/\.patch$//'))
survived=0

# The crates that we depend on are built already.
build=$root/target/mutants/build
if [ ! -d "$build/debug" ] && [ -d target/debug/deps ]; then
    mkdir -p "$build/debug/deps"
    cp -a target/debug/build target/debug/.fingerprint "$build/debug/"
    find target/debug/deps -maxdepth 1 \( -name '*.rlib' -o -name '*.rmeta' -o -name '*.so' -o -name '*.d' \) ! -name '*sluice*' -exec cp -a -t "$build/debug/deps" {} +
fi
for name in "${names[@]}"; do
    patch -s -p1 -d "$copy" < "tests/mutants/$name.patch"
    # The patched files must look newer than the last build.
    sed -n 's|^+++ b/||p' "tests/mutants/$name.patch" | (cd "$copy" && xargs touch)
    binary=$(cd "$copy" && CARGO_TARGET_DIR=$build cargo test --quiet --locked --test chaos --no-run --message-format=json 2>"$root/target/mutants/$name.log" |
        sed -n 's|.*"executable":"\([^"]*/deps/chaos-[^"]*\)".*|\1|p' | tail -1) || binary=""

    if [ -z "$binary" ]; then
        line="$name: DOES NOT BUILD"
    else
        found=$(cd "$copy" && SLUICE_CHAOS_LIST=first SLUICE_CHAOS_SEEDS=1..$most "$binary" lives --nocapture 2>/dev/null |
            sed -n 's/^seed \([0-9]*\): \(.*\)/\1 seeds: \2/p' | head -1 | cut -c1-160) || true
        if [ -z "$found" ]; then
            found=$(cd "$copy" && "$binary" at_every_call 2>&1 | sed -n 's/^\(at call [^\\"]*\).*/\1/p' | head -1) || true
        fi
        line="$name: ${found:-SURVIVED}"
    fi
    case $line in *SURVIVED|*BUILD) survived=1 ;; esac
    others=$(grep -v "^$name: " "$report" || true)
    printf '%s\n' "$others" "$line" | sed '/^$/d' | sort > "$report.new"
    mv "$report.new" "$report"
    echo "$line"
    # Back to the original.
    sed -n 's|^+++ b/||p' "tests/mutants/$name.patch" | while read -r file; do cp "$root/$file" "$copy/$file"; touch "$copy/$file"; done
done
exit $survived
