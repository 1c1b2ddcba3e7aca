#!/usr/bin/env bash
# What only a machine with a GPU can show, in at most 8 minutes; README.md beside it says how to carry the build there.
#   tests/gpu/run.sh [--out DIR]               findings go to DIR (out/gpu), each as soon as it is there
#   tests/gpu/run.sh --rehearse [--out DIR]    the same steps on the CPU, with tiny sizes
set -euo pipefail
cd "$(dirname "$0")/../.."
python=python3
[ -x .venv/bin/python ] && python=.venv/bin/python
exec "$python" tests/gpu/steps.py "$@"
