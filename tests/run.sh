#!/usr/bin/env bash
# Every test: sets up what is missing, then GoogleTest by ctest, then pytest. Ends in their summaries.
set -uo pipefail
cd "$(dirname "$0")/.."

./jobs/setup.sh --tests || exit 1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
status=0
ctest --test-dir build --output-on-failure || status=1
.venv/bin/python -m pytest -q tests || status=1
exit $status
