#!/usr/bin/env bash
# Sets up everything that the program or its tests need on Debian or Ubuntu. Safe to repeat: what is there is kept.
#   tools/setup.sh EXTRAS     e.g. "" for the program, "test" for the tests
# Prints the path of the virtual environment's python on its last line. HANDDGP_VENV chooses another environment folder.
set -euo pipefail
cd "$(dirname "$0")/.."
extras="${1:-}"
venv="${HANDDGP_VENV:-$PWD/.venv}"

say() { printf '%s\n' "$*" >&2; }

packages=(libgl1 libegl1 libgl1-mesa-dri libgomp1 libglib2.0-0 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0
  libxcb-keysyms1 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 libdbus-1-3 libfontconfig1 fonts-dejavu-core)
case ",$extras," in *,test,*) packages+=(xvfb) ;; esac

installed() { # Ubuntu's 64-bit-time names (libglib2.0-0t64) count as the plain ones
  dpkg-query -W -f='${Status}\n' "$1" "${1}t64" 2>/dev/null | grep -q '^install ok installed'
}

install_system_packages() {
  command -v apt-get >/dev/null || { say "No apt-get here: install the equivalents of: ${packages[*]}"; return 0; }
  local missing=() package
  for package in "${packages[@]}"; do installed "$package" || missing+=("$package"); done
  local found=""
  for candidate in python3.12 python3.11 python3.10 python3; do command -v "$candidate" >/dev/null && found=yes; done
  [ -n "$found" ] || missing+=(python3)
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
  [ ${#missing[@]} -eq 0 ] && return 0
  local sudo=""
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { say "Missing system packages, and no sudo: as root, apt-get install ${missing[*]}"; exit 2; }
    sudo=sudo
  fi
  say "Installing system packages: ${missing[*]}"
  $sudo apt-get update -qq >&2
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

fits() { "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 13))' 2>/dev/null; }

make_environment() {
  if [ -x "$venv/bin/python" ] && fits "$venv/bin/python"; then return 0; fi
  local candidate
  for candidate in python3.12 python3.11 python3.10 python3; do
    if command -v "$candidate" >/dev/null && fits "$candidate"; then "$candidate" -m venv --clear "$venv" && return 0; fi
  done
  # Only a newer Python here (Debian 13 has 3.13): uv brings a private 3.12 and leaves the system's alone.
  say "No Python 3.10, 3.11 or 3.12 found; fetching a private 3.12 with uv"
  python3 -m venv --clear "$venv.uv" && "$venv.uv/bin/pip" install -q uv >&2
  "$venv.uv/bin/uv" venv --seed --python 3.12 "$venv" >&2
}

install_python_packages() {
  local wanted stamp="$venv/.installed-${extras:-program}"
  wanted="$(sha256sum pyproject.toml)"
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && return 0
  say "Installing Python packages into $venv (a few minutes the first time)"
  "$venv/bin/python" -m pip install -q --disable-pip-version-check -e ".${extras:+[$extras]}" >&2
  printf '%s' "$wanted" >"$stamp"
}

install_system_packages
make_environment
install_python_packages
printf '%s\n' "$venv/bin/python"
