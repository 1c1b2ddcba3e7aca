#!/usr/bin/env bash
# Installs what is missing, fetches the demo model and builds build/rvsweep. Each step leaves a mark and
# is skipped when nothing it depends on has changed, so a second call takes a second or two.
#   jobs/setup.sh [--tests | --fuzz | --prefix P]
#     --tests     also builds the C++ tests and fetches their vocabulary
#     --fuzz      builds the harnesses of tests/fuzz with Clang, in build-fuzz/
#     --prefix P  installs into P instead: P/bin/rvsweep, and in P/share/rvsweep jobs, configs, analysis and their
#                 .venv with libtorch. Nothing there needs the checkout any more.
# LIBTORCH=/path/to/libtorch uses that libtorch; RVSWEEP_PRESET picks another CMake preset. RVSWEEP_TORCH is what pip
# takes for torch, where the CPU's wheel is wanted: "torch==2.11.0+cpu --index-url https://download.pytorch.org/whl/cpu".
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '== %s\n' "$*" >&2; }
# fail WHAT ADVICE
fail() { printf 'setup: %s failed: %s\n' "$1" "$2" >&2; exit 1; }

with_tests=OFF prefix= python=.venv target=all
case ${1:-} in
  '') ;;
  --tests) with_tests=ON ;;
  --fuzz) RVSWEEP_PRESET=fuzz target=fuzz ;;
  --prefix)
    [ -n "${2:-}" ] || fail "--prefix" "give the folder to install into"
    mkdir -p "$2/share/rvsweep" || fail "making $2/share/rvsweep" "choose a folder that you may write to"
    prefix=$(realpath "$2") python=$prefix/share/rvsweep/.venv
    ;;
  *) fail "reading \"$1\"" "the options are --tests, --fuzz and --prefix P" ;;
esac
preset=${RVSWEEP_PRESET:-release}

packages=(g++ cmake ninja-build ccache git pkg-config python3 python3-venv
  libopenmpi-dev openmpi-bin libhdf5-dev hdf5-tools libboost-program-options-dev libspdlog-dev
  libgmock-dev libgtest-dev nlohmann-json3-dev libpcre2-dev libutf8proc-dev libxxhash-dev)
[ $target = all ] || packages+=(clang libclang-rt-dev)
# Clocks that jump, and hosts joined by a network of their own, in tests/faults.
[ $with_tests = OFF ] || packages+=(faketime iproute2)
# A private Slurm, which only root can start.
[ $with_tests = ON ] && [ "$(id -u)" -eq 0 ] && packages+=(slurm-wlm munge)
# A browser that runs the report's script; Ubuntu has it as a snap alone, and its tests are skipped there.
[ $with_tests = ON ] && [ -z "$(command -v chromium chromium-headless-shell)" ] &&
  grep -qx ID=debian /etc/os-release 2>/dev/null && packages+=(chromium-headless-shell)

install_packages() {
  command -v dpkg-query >/dev/null || { say "no dpkg here: taking the libraries as given"; return; }
  local missing=() package
  for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  local sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "installing ${missing[*]}" "ask an administrator to install them"
    sudo=(sudo)
  fi
  say "installing ${missing[*]}"
  "${sudo[@]}" apt-get update -qq || fail "apt-get update" "check the network and /etc/apt"
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
    fail "apt-get install ${missing[*]}" "see its message above, then run this script again"
}

make_venv() {
  local mark=$python/requirements.sum wanted
  wanted=$({ cat requirements.txt && printf '%s\n' "${RVSWEEP_TORCH:-}"; } | sha256sum)
  [ -f "$mark" ] && [ "$(cat "$mark")" = "$wanted" ] && return
  say "Python packages into $python: some minutes, torch with CUDA's libraries is about 5 GB"
  [ -x "$python/bin/pip" ] || python3 -m venv "$python" || fail "python3 -m venv" "remove $python and try again"
  local pip=("$python/bin/python" -m pip --disable-pip-version-check install --progress-bar off)
  if [ -n "${RVSWEEP_TORCH:-}" ]; then
    # shellcheck disable=SC2086  # words of a command line
    "${pip[@]}" $RVSWEEP_TORCH >&2 || fail "pip install $RVSWEEP_TORCH" "see its message above"
  fi
  "${pip[@]}" -r requirements.txt >&2 ||
    fail "pip install -r requirements.txt" "see its message above, then run this script again"
  printf '%s\n' "$wanted" >"$mark"
}

# link_package VENV: it imports rvsweep from analysis/ of the folder that it lies in, by a path relative to site-packages.
link_package() {
  local site
  for site in "$1"/lib/python3.*/site-packages; do
    printf '../../../../analysis\n' >"$site/rvsweep-analysis.pth"
  done
}

make_models() {
  .venv/bin/python jobs/make_demo_model.py ||
    fail "making models/SmolLM2-135M-Instruct" "see its message above, then run this script again"
  [ -f models/SmolLM2-135M-Instruct/rvsweep_chat_template.json ] ||
    .venv/bin/python analysis/chat_template.py models/SmolLM2-135M-Instruct ||
    fail "reading the chat template of models/SmolLM2-135M-Instruct" "see its message above"
  [ $with_tests = ON ] || return 0
  local maker
  for maker in tests/make_*_tokenizer*.py; do
    .venv/bin/python "$maker" || fail "running $maker" "see its message above, then run this script again"
  done
}

build() {
  local folder=build
  [ "$preset" = release ] || folder=build-$preset
  local wanted="$preset tests=$with_tests LIBTORCH=${LIBTORCH:-}"
  # The demo needs no tests, but does not take them away from a folder that has them.
  if [ "$(cat $folder/configured 2>/dev/null)" != "$wanted" ] &&
     [ "$(cat $folder/configured 2>/dev/null)" != "${wanted/tests=OFF/tests=ON}" ]; then
    say "configuring $folder"
    # An empty LIBTORCH too: it takes back what an earlier call has set.
    cmake --preset "$preset" -DRVSWEEP_TESTS=$with_tests "-DLIBTORCH=${LIBTORCH:-}" >/tmp/rvsweep-cmake-$$.log 2>&1 ||
      { cat /tmp/rvsweep-cmake-$$.log >&2; fail "cmake --preset $preset" "see its message above"; }
    rm -f /tmp/rvsweep-cmake-$$.log
    printf '%s\n' "$wanted" >$folder/configured
  fi
  say "building $folder"
  cmake --build $folder --target $target >&2 || fail "cmake --build $folder" "see the compiler's message above"
}

install_into_prefix() {
  cmake --install build --prefix "$prefix" >/dev/null || fail "cmake --install" "see its message above"
  say "installed: $prefix/bin/rvsweep, and the jobs, configs and analysis in $prefix/share/rvsweep"
}

install_packages
make_venv
link_package "$python"
if [ -n "$prefix" ]; then
  torch=$(echo "$python"/lib/python3.*/site-packages/torch)
  LIBTORCH=${LIBTORCH:-$torch} build
  install_into_prefix
else
  make_models
  build
fi
