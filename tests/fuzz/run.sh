#!/usr/bin/env bash
# libFuzzer on every kind of input that comes from outside, with the address and undefined-behaviour sanitizers:
#   tests/fuzz/run.sh [SECONDS [HARNESS ...]]     SECONDS for each harness, 60 without; all harnesses without names
# What it finds interesting lies in out/fuzz/HARNESS and is where the next call begins; an input that ends the program
# lies there as crash-*, and `build-fuzz/tests/fuzz_HARNESS FILE` shows it again. Ends with a line for each harness.
set -uo pipefail
cd "$(dirname "$0")/../.."

seconds=${1:-60}
shift
[ $# -gt 0 ] || set -- $(basename -a -s .cpp tests/fuzz/*.cpp | grep -v run_corpus)
./jobs/setup.sh --fuzz || exit 1
status=0
for harness in "$@"; do
  found=out/fuzz/$harness
  mkdir -p "$found"
  build-fuzz/tests/fuzz_"$harness" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=4096 -print_final_stats=1 \
    -artifact_prefix="$found/" "$found" "tests/fuzz/corpus/$harness" >"$found.log" 2>&1 || status=1
  printf '%-16s %s inputs, %s\n' "$harness" \
    "$(sed -n 's/stat::number_of_executed_units: *//p' "$found.log")" \
    "$(ls "$found" | grep -cE '^(crash|leak|timeout|oom)-') faults"
done
exit $status
