#!/bin/sh
# Runs the service that the first argument names.
set -eu
main=apps/${1:-}/dist/main.js
if [ ! -f "$main" ]; then
  echo 'Which service? One of: subscription-registry, event-ingestion, dispatcher, delivery-audit, gateway.' >&2
  exit 64
fi
# How far the heap may grow: as in apps/cli/src/start/service-process.ts, which says why.
exec node --max-semi-space-size=16 --heap-growing-percent=50 "$main"
