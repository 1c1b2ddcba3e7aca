#!/usr/bin/env bash
# The benchmark: sets up what is missing, then the same work by the notebook's procedure and a batched version in
# Hugging Face and by rvsweep, in turns on this machine. Figures, JSON and a picture in --out (out/perf).
#   tests/perf/run.sh [--model M] [--device D] [--dtype T] [--variant short|long|wide|prompts] [--alternations 5] ...
set -euo pipefail
cd "$(dirname "$0")/../.."

./jobs/setup.sh
exec .venv/bin/python tests/perf/bench.py "$@"
