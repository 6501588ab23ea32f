#!/bin/sh
# The last stage of a pipeline: ./pipeline.sh OVERLAY TAG, after the image was built and pushed.
# Its exit code is the verdict of `kubectl sluice status`: 0 promoted, 4 rolled back, 6 too slow.
set -eu
overlay=${1:?which overlay}
tag=${2:?which tag}

# A version that never gets ready must be found before it meets users: exit code 4, rolled back.
code=0
sluice simulate "$overlay" --never-ready > /dev/null || code=$?
[ "$code" -eq 4 ] || { echo "a bad version would get through" >&2; exit 1; }

# In a checkout of its own: whoever edits the tag here commits it there.
sed -i "s|\(name: vivesphere/authentication, newTag: \).*}|\1$tag}|" "$overlay/kustomization.yaml"

kubectl apply -k "$overlay"
kubectl sluice status authentication -n vivesphere --watch --timeout 15m
