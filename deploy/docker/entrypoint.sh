#!/bin/sh
# Runs the service that the first argument names.
set -eu
main=apps/${1:-}/dist/main.js
if [ ! -f "$main" ]; then
  echo 'Which service? One of: subscription-registry, event-ingestion, dispatcher, delivery-audit, gateway.' >&2
  exit 64
fi
exec node "$main"
