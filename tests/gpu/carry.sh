#!/usr/bin/env bash
# Makes build/carry/: what tests/gpu/run.sh needs on a machine that has PyTorch's wheel and none of the other
# libraries. That is the program, stripped; what it links beside libtorch, CUDA and glibc; Open MPI's launcher
# and plug-ins; config and tokenizer of the demo model. Prints sizes and fails where they are beyond 64 MiB.
set -euo pipefail
cd "$(dirname "$0")/../.."

limit_mib=64
to=build/carry
model=models/SmolLM2-135M-Instruct
plugins=$(ompi_info --path pkglibdir --parsable | cut -d: -f3)
mpirun=$(readlink -f "$(command -v mpirun)")
orted=$(readlink -f "$(command -v orted)")

rm -rf "$to"
mkdir -p "$to/lib" "$to/bin" "$to$plugins" "$to/$model"
strip -o "$to/bin/rvsweep" build/rvsweep
strip -o "$to/bin/nccl_one_rank" build/tests/nccl_one_rank
cp "$mpirun" "$to/bin/mpirun"
cp "$orted" "$to/bin/orted"
cp "$plugins"/*.so "$to$plugins/"
cp "$model"/{config,generation_config,tokenizer,tokenizer_config}.json "$to/$model/"

# Plug-ins for networks and batch systems would bring their own libraries; without them they are passed over.
rm -f "$to$plugins"/*_{ofi,ucx,psm,psm2,openib,verbs,monitoring}.so "$to$plugins"/mca_pmix_flux.so
ldd "$to"/bin/* "$to$plugins"/*.so | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u |
  grep -v -e /torch/lib/ -e /nvidia/ -e '/lib\(c\|m\|dl\|pthread\|rt\|util\|resolv\)\.so\.' |
  xargs cp --dereference -t "$to/lib"

du --apparent-size -ch "$to"/* | sed "s|$to/||"
bytes=$(du --apparent-size -sb "$to" | cut -f1)
tracked=$(git ls-files -z | xargs -0 du --apparent-size -cb | tail -1 | cut -f1)
awk -v a="$bytes" -v b="$tracked" 'BEGIN { printf "%.1f MiB, %.1f MiB with the checkout\n", a / 2^20, (a + b) / 2^20 }'
[ $((bytes + tracked)) -le $((limit_mib * 1048576)) ] || { echo "more than $limit_mib MiB" >&2; exit 1; }
