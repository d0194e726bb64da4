#!/usr/bin/env bash
# Sets up everything that the program or its tests need on Debian or Ubuntu. Safe to repeat: what is there is kept, and a
# second start asks for neither network nor root.
#   tools/setup.sh EXTRAS     e.g. "" for the program, "test" for the tests
# Prints the path of the virtual environment's python on its last line; all else goes to standard error.
#   HANDDGP_VENV    another folder for the environment
#   HANDDGP_TORCH   cpu or cuda: which build of PyTorch. Default, auto: by whether there is an NVIDIA card.
set -euo pipefail
cd "$(dirname "$0")/.."
extras="${1:-}"
venv="${HANDDGP_VENV:-$PWD/.venv}"
pythons=(python3.12 python3.11 python3.13 python3) # 3.13 last: Open3D has no wheel for it

say() { printf '%s\n' "$*" >&2; }
refuse() { say "$@"; exit 2; }

packages=(libgl1 libegl1 libgl1-mesa-dri libgomp1 libglib2.0-0 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0
  libxcb-keysyms1 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 libdbus-1-3 libfontconfig1 fonts-dejavu-core)
case ",$extras," in *,test,*) packages+=(xvfb) ;; esac

missing_packages() { # Ubuntu's 64-bit-time names (libglib2.0-0t64) count as the plain ones
  local there package
  # dpkg-query fails as soon as one name is unknown, and tells of the others all the same.
  there="$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "${packages[@]}" "${packages[@]/%/t64}" 2>/dev/null || true)"
  for package in "${packages[@]}"; do
    grep -qxF -e "installed $package" -e "installed ${package}t64" <<<"$there" || printf '%s\n' "$package"
  done
}

fits() { "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; }

find_python() {
  local candidate
  for candidate in "${pythons[@]}"; do
    if command -v "$candidate" >/dev/null && fits "$candidate"; then printf '%s\n' "$candidate"; return 0; fi
  done
}

ready() { [ -x "$venv/bin/python" ] && fits "$venv/bin/python"; }

install_system_packages() {
  if ! command -v apt-get >/dev/null; then
    say "No apt-get here: if something does not start, install the equivalents of: ${packages[*]}"
    return 0
  fi
  local missing sudo=()
  mapfile -t missing < <(missing_packages)
  ready || [ -n "$(find_python)" ] || missing+=(python3 python3-venv)
  [ ${#missing[@]} -eq 0 ] && return 0
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || refuse "Missing system packages, and no sudo: as root, apt-get install ${missing[*]}"
    sudo=(sudo)
  fi
  say "Installing system packages: ${missing[*]}"
  "${sudo[@]}" apt-get update -qq >&2
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

make_environment() {
  ready && return 0
  local python
  python="$(find_python)"
  if [ -n "$python" ]; then
    "$python" -m venv --clear "$venv"
  else # only an older or newer Python here: uv brings a private 3.12 and leaves the system's alone
    say "No Python 3.11, 3.12 or 3.13 with venv found; fetching a private 3.12 with uv"
    with_uv venv --seed --clear --python 3.12 "$venv" >&2
  fi
}

with_uv() { # uv for this one call; nothing of it stays
  local folder status=0
  folder="$(mktemp -d)"
  python3 -m venv "$folder" && "$folder/bin/python" -m pip install -q --disable-pip-version-check uv >&2 &&
    "$folder/bin/uv" "$@" || status=$?
  rm -rf "$folder"
  return "$status"
}

torch_build() {
  case "${HANDDGP_TORCH:-auto}" in
    cpu | cuda) printf '%s\n' "$HANDDGP_TORCH" ;;
    auto) if command -v nvidia-smi >/dev/null || [ -e /proc/driver/nvidia ]; then echo cuda; else echo cpu; fi ;;
    *) refuse "Wanted HANDDGP_TORCH of auto, cpu or cuda; found $HANDDGP_TORCH." ;;
  esac
}

check_room() { # $1: gigabytes wanted
  local free_kb folder="$venv"
  while [ ! -d "$folder" ]; do folder="$(dirname "$folder")"; done
  free_kb="$(df -Pk "$folder" | awk 'NR == 2 { print $4 }')"
  [ "$free_kb" -ge $(($1 * 1000000)) ] ||
    refuse "Wanted $1 GB of free disk for $venv; found $((free_kb / 1000000)) GB. Free some, or set HANDDGP_VENV to a folder elsewhere."
}

install_cpu_torch() {
  local requirement
  requirement="$(sed -n 's/^ *"\(torch==[^"]*\)".*/\1/p' pyproject.toml)"
  "$venv/bin/python" -c 'import torch' 2>/dev/null && return 0
  with_uv pip install --python "$venv/bin/python" --torch-backend cpu "$requirement" >&2 ||
    say "The small build is not to be had here; the usual one follows (up to 7 GB in all)."
}

install_python_packages() {
  local wanted build stamp="$venv/.installed-${extras:-program}"
  wanted="$(sha256sum pyproject.toml)"
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && return 0
  build="$(torch_build)"
  if [ "$build" = cpu ]; then
    say "Installing Python packages into $venv: about 3.3 GB, some minutes. No NVIDIA card: PyTorch's small build for CPUs"
    say "is tried first (HANDDGP_TORCH=cuda takes the large one, 7 GB in all)."
    check_room 4
    install_cpu_torch
  else
    say "Installing Python packages into $venv: about 7 GB with PyTorch's CUDA build, some minutes"
    say "(HANDDGP_TORCH=cpu takes the small one, 3.3 GB in all)."
    check_room 8
  fi
  rm -rf handdgp_live.egg-info # left by version 0.1.0, it would speak for the new one
  "$venv/bin/python" -m pip install --disable-pip-version-check -e ".${extras:+[$extras]}" >&2
  printf '%s' "$wanted" >"$stamp"
}

install_system_packages
make_environment
install_python_packages
printf '%s\n' "$venv/bin/python"
