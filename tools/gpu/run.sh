#!/usr/bin/env bash
# On a Linux machine with an NVIDIA GPU: renders hands, trains configs/open-mobile.yaml with its backbone tuned, evaluates,
# runs the tests and benchmarks of CUDA. Needs no network beside a folder of tools/gpu/pack.sh. What is done is kept: the
# same command goes on. Works on a CPU, too, only longer.
#   bash source/tools/gpu/run.sh [--views 1000000] [--train-minutes 25] [...]     all options: --help
#   OUT=out       folder for weights, log and benchmarks.json
#   PYTHON        a Python that has everything; nothing is then installed
set -euo pipefail
source="$(cd "$(dirname "$0")/../.." && pwd)"
packed="$(dirname "$source")"
export OUT="${OUT:-$PWD/out}"
mkdir -p "$OUT"

has_cuda() { "$1" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null; }

suits() { # $1: whether the wheels are for this Python
  local tag
  tag="cp$("$1" -c 'import sys; print("%d%d" % sys.version_info[:2])' 2>/dev/null)" || return 1
  compgen -G "$packed/wheels/numpy-*-$tag-*" >/dev/null
}

install() { # $1: python, further arguments to venv
  local venv="$packed/venv" python="$1"
  shift
  if [ ! -f "$venv/.installed" ]; then
    "$python" -m venv --clear "$@" "$venv"
    "$venv/bin/python" -m pip install -q --no-index --no-deps --disable-pip-version-check "$packed"/wheels/*.whl
    touch "$venv/.installed"
  fi
  python_here="$venv/bin/python"
}

python_here="${PYTHON:-}"
how="given as PYTHON"
if [ -z "$python_here" ]; then
  for candidate in python3.12 python3.11 python3.13 python3; do
    command -v "$candidate" >/dev/null && suits "$candidate" || continue
    if compgen -G "$packed/wheels/torch-*" >/dev/null && compgen -G "$packed/wheels/nvidia*cudnn*" >/dev/null; then
      install "$candidate"
      how="a new environment, all from the wheels"
    elif has_cuda "$candidate"; then
      install "$candidate" --system-site-packages
      how="a new environment over $(command -v "$candidate"), whose PyTorch has CUDA"
    else
      continue
    fi
    break
  done
fi
if [ -z "$python_here" ]; then
  echo "No Python for the wheels in $packed/wheels with CUDA's PyTorch, in them or installed." >&2
  echo "Pack again with GPU_PYTHON set to this machine's Python ($(python3 --version 2>&1)), or name one in PYTHON." >&2
  exit 2
fi
echo "Python: $python_here ($how), PyTorch $("$python_here" -c 'import torch; print(torch.__version__, "CUDA", torch.version.cuda)')"
cd "$source"
exec env PYTHONPATH="$source" "$python_here" -m tools.gpu.steps "$@"
