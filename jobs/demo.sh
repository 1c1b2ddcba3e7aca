#!/usr/bin/env bash
# The notebook study, from a fresh machine to a report: sets up what is missing, runs the three
# experiments on the demo model under mpirun, writes out/demo/results.h5 and out/demo/report.html.
#   jobs/demo.sh [ranks]         default: 2 ranks, or 1 on a single core
# The same command again resumes, or reports what is there; remove out/demo to start over.
set -euo pipefail
cd "$(dirname "$0")/.."

./jobs/setup.sh
cores=$(nproc)
ranks=${1:-$((cores < 2 ? 1 : 2))}
out=out/demo
# Open MPI refuses root unless told twice; more ranks than cores need --oversubscribe.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
mpirun -n "$ranks" --oversubscribe --bind-to none ./build/rvsweep run \
  --config configs/smollm2-135m-instruct.cfg --config jobs/notebook.cfg --out "$out" >/dev/null
.venv/bin/python analysis/report.py "$out/results.h5" -o "$out/report.html" >/dev/null
printf 'results  %s\nreport   %s\n' "$out/results.h5" "$out/report.html"
