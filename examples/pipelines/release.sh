#!/bin/sh
# The release stage of a pipeline, whichever runs it: ./release.sh NAMESPACE ROLLOUT CONTAINER=IMAGE
# Its exit code is the verdict of `kubectl sluice status`: 0 released, 3 degraded, 4 rolled back,
# 6 not ended in TIMEOUT. SUMMARY gets a page in Markdown, JUNIT a report that CI systems read.
set -eu
namespace=${1:?which namespace}
rollout=${2:?which Rollout}
image=${3:?which image, as CONTAINER=IMAGE}

kubectl sluice set image -n "$namespace" "$rollout" "$image"
kubectl sluice status -n "$namespace" "$rollout" --for=completed --timeout "${TIMEOUT:-30m}" \
  --summary "${SUMMARY:-summary.md}" --junit "${JUNIT:-junit.xml}"
