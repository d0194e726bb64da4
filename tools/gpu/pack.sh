#!/usr/bin/env bash
# Collects into one folder what tools/gpu/run.sh needs on a Linux machine with an NVIDIA GPU and without a network.
#   tools/gpu/pack.sh FOLDER
#   GPU_PYTHON=3.12   of that machine
#   GPU_TORCH=yes     "no" leaves PyTorch and CUDA's libraries out (3 GB), for a machine whose Python has them
#   PYTHON            of this machine, with the extra `train` installed: by default that of ./test.sh
# Wheels that are not to be had are named in FOLDER/missing.txt; the rest is collected all the same. Safe to repeat.
set -euo pipefail
[ $# -eq 1 ] || { echo "Give one folder: tools/gpu/pack.sh FOLDER" >&2; exit 2; }
mkdir -p "$1/wheels"
folder="$(cd "$1" && pwd)"
cd "$(dirname "$0")/../.."
python="${PYTHON:-$PWD/.venv/bin/python}"
version="${GPU_PYTHON:-3.12}"

download() { # pip matches a platform's number exactly, so each that a wheel may have is named
  local target=() number
  for number in 39 35 34 31 28 27 24 17; do target+=(--platform "manylinux_2_${number}_x86_64"); done
  target+=(--platform manylinux2014_x86_64 --platform manylinux1_x86_64 --platform linux_x86_64)
  "$python" -m pip download -qqq --disable-pip-version-check --only-binary=:all: --implementation cp \
    --python-version "$version" "${target[@]}" --dest "$folder/wheels" "$@" || echo "${!#}" >>"$folder/missing.txt"
}

: >"$folder/missing.txt"
"$python" tools/gpu/requirements.py "$version" >"$folder/requirements.txt"
while read -r wanted; do download --no-deps "$wanted"; done <"$folder/requirements.txt"
[ "${GPU_TORCH:-yes}" = no ] || download "$(sed -n 's/^ *"\(torch==[^"]*\)".*/\1/p' pyproject.toml)"

rm -rf "$folder/source"
mkdir -p "$folder/source"
git ls-files -z | tar --null --files-from=- -cf - | tar -xf - -C "$folder/source"
git rev-parse HEAD >"$folder/commit.txt"
du -sh "$folder/wheels" "$folder/source"
if [ -s "$folder/missing.txt" ]; then
  echo "Not to be had for Python $version:" && cat "$folder/missing.txt"
fi
echo "Bring $folder to the machine and run there: bash $(basename "$folder")/source/tools/gpu/run.sh"
