#!/usr/bin/env bash
# Sets everything up and runs HandDGP Live. Arguments go to the program: ./run.sh process clip.mp4 --output out
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
python="$(bash "$here/tools/setup.sh" "")"
exec "$python" "$here/main.py" "$@"
