#!/usr/bin/env bash
# Brings a machine from "Debian with Python 3.11" to "can build and run MMT", and does nothing where nothing is missing.
#
#   scripts/setup.sh            C++ libraries (apt, only absent ones, only as root) and the virtual environment
#   scripts/setup.sh --package  the same, then builds MMT and installs it into the environment
#
# VENV (default: .venv in the repository) is the environment; PYTHON the interpreter to make it with.
set -euo pipefail
cd "$(dirname "$0")/.."
VENV=${VENV:-.venv}
TORCH_VERSION=2.13.0

say() { printf '\033[1m[setup]\033[0m %s\n' "$*"; }
fail() { printf '[setup] %s\n' "$*" >&2; exit 1; }

missing_apt=()

need_apt() { missing_apt+=("$@"); }

has_header() {
  printf '#if !__has_include(<%s>)\n#error\n#endif\n' "$1" | "${CXX:-c++}" -x c++ -std=c++20 -fsyntax-only - 2>/dev/null
}

find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3.11 python3 python3.12 python3.13; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
}

check_machine() {
  if ! command -v "${CXX:-c++}" >/dev/null; then need_apt g++; fi
  command -v make >/dev/null || need_apt make
  local python
  python=$(find_python)
  if [ -z "$python" ]; then
    need_apt python3 python3-venv python3-dev
  elif [ ! -x "$VENV/bin/python" ]; then
    "$python" -c 'import venv, ensurepip' 2>/dev/null || need_apt python3-venv
  fi
  if [ -n "$python" ]; then
    "$python" -c 'import os, sysconfig, sys; sys.exit(not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))' \
      || need_apt python3-dev
  fi
  local package header
  while read -r package header; do
    case "$package" in '' | '#'*) continue ;; esac
    # Without a compiler nothing can be looked up: ask apt for all, it skips what is installed.
    if ! command -v "${CXX:-c++}" >/dev/null || ! has_header "$header"; then need_apt "$package"; fi
  done < scripts/apt-packages.txt
}

install_machine() {
  [ ${#missing_apt[@]} -gt 0 ] || return 0
  local install="apt-get install -y --no-install-recommends ${missing_apt[*]}"
  command -v apt-get >/dev/null || fail "missing here, and this system has no apt-get: ${missing_apt[*]} (Debian's names)"
  [ "$(id -u)" = 0 ] || fail "missing: ${missing_apt[*]}
[setup] installing them needs root; run this, then try again:
    sudo apt-get update && sudo $install"
  say "installing with apt: ${missing_apt[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq < /dev/null
  $install -qq < /dev/null > /dev/null
  missing_apt=()
  check_machine
  [ ${#missing_apt[@]} -eq 0 ] || fail "still missing after apt-get install: ${missing_apt[*]}"
}

# The environment is made again from the list whenever the list or the interpreter changes.
setup_venv() {
  local python stamp wanted
  python=$(find_python)
  [ -n "$python" ] || fail "no Python 3.11 or newer found (set PYTHON=/path/to/python3.11)"
  stamp="$VENV/.mmt-requirements"
  wanted=$(cat scripts/requirements.txt - <<< "torch==$TORCH_VERSION $python" | sha256sum | cut -d' ' -f1)
  if [ -x "$VENV/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then return; fi
  if [ ! -x "$VENV/bin/python" ]; then
    say "creating $VENV with $python"
    "$python" -m venv "$VENV"
  fi
  say "installing torch==$TORCH_VERSION"
  "$VENV/bin/python" -m pip install -qq --disable-pip-version-check "torch==$TORCH_VERSION"
  say "installing scripts/requirements.txt"
  "$VENV/bin/python" -m pip install -qq --disable-pip-version-check "torch==$TORCH_VERSION" -r scripts/requirements.txt
  echo "$wanted" > "$stamp"
}

# One build directory serves the package, the C++ tests and the wheel: everything is compiled once.
install_package() {
  local stamp wanted
  stamp="$VENV/.mmt-package"
  wanted=$(find scripts/setup.sh CMakeLists.txt VERSION pyproject.toml cmake include src apps python tests/cpp bench -type f \
             -not -path '*/__pycache__/*' -not -path 'bench/*.py' -not -path 'bench/results/*' -print0 |
           sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1)
  if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] &&
     [ -f build/package/CTestTestfile.cmake ] && compgen -G "build/dist/mmt-*.whl" > /dev/null; then
    return
  fi
  say "building and installing MMT (build/package)"
  local settings=(--config-settings build-dir=build/package --config-settings cmake.define.MMT_BUILD_TESTS=ON
                  --config-settings cmake.define.MMT_BUILD_BENCH=ON)
  if command -v ccache >/dev/null; then settings+=(--config-settings cmake.define.CMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
  rm -f "$stamp"
  rm -rf build/dist
  PATH="$PWD/$VENV/bin:$PATH" "$VENV/bin/python" -m pip wheel -qq --disable-pip-version-check --no-build-isolation --no-deps \
    -w build/dist "${settings[@]}" .
  "$VENV/bin/python" -m pip install -qq --disable-pip-version-check --no-index --no-deps --force-reinstall build/dist/mmt-*.whl
  echo "$wanted" > "$stamp"
}

check_machine
install_machine
setup_venv
if [ "${1:-}" = --package ]; then install_package; fi
