#!/usr/bin/env bash
# Sets everything up and runs the checks and the tests. Arguments go to pytest: ./test.sh tests/geometry
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
python="$(bash "$here/tools/setup.sh" "test,train")"
bin="$(dirname "$python")"
cd "$here"
"$bin/ruff" check .
"$bin/ruff" format --check .
"$bin/mypy"
"$bin/lint-imports"
exec env QT_QPA_PLATFORM="${QT_QPA_PLATFORM:-offscreen}" "$python" -m pytest "$@"
