#!/bin/sh
# Deploys an environment: ./deploy.sh development|staging|production. With DRY_RUN=true nothing is
# changed: the API server checks the manifests, and a good and a bad release are simulated.
set -eu
overlay="$(dirname "$0")/overlays/${1:?which environment: development, staging or production}"
[ -d "$overlay" ] || { echo "there is no environment $1" >&2; exit 2; }

if [ "${DRY_RUN:-false}" = true ]; then
    kubectl apply -k "$overlay" --dry-run=server
    sluice simulate "$overlay"
    [ "$1" = development ] && exit 0
    # A version that fails one request in three must not get through: exit code 4, rolled back.
    code=0
    sluice simulate "$overlay" --canary-errors 33% || code=$?
    [ "$code" -eq 4 ]
    exit
fi

kubectl apply -k "$overlay"
# 0 promoted, 4 rolled back, 5 waiting for a person, 6 not yet done: the pipeline's verdict.
kubectl sluice status pake-backend -n pake-system --watch --timeout 60m
