#!/usr/bin/env bash
# Every test: sets up what is missing, then GoogleTest by ctest, then pytest. Ends in their summaries.
set -uo pipefail
cd "$(dirname "$0")/.."

./jobs/setup.sh --tests || exit 1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
status=0
ctest --test-dir build --output-on-failure || status=1
# In two halves that take about as long and share the cores. Signals are tested in the one in the foreground: a shell
# without job control starts the other with SIGINT ignored.
compared=$(mktemp)
trap 'rm -f "$compared"' EXIT
.venv/bin/python -m pytest -q tests/parity tests/reference >"$compared" 2>&1 &
.venv/bin/python -m pytest -q tests --ignore=tests/parity --ignore=tests/reference || status=1
wait $! || status=1
cat "$compared"
exit $status
