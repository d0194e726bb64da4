#!/usr/bin/env bash
# Sets everything up and runs the checks and the tests. Arguments go to pytest: ./test.sh tests/handdgp_core/geometry
#   ./test.sh         all but the slow tests; its end lists what was left out
#   ./test.sh --all   everything, as CI does
# HANDDGP_TEST_PROCESSES sets how many processes run tests (default: one a core).
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
python="$(bash "$here/tools/setup.sh" "test,train,licensed,stream,robot,usd,docs")"
bin="$(dirname "$python")"
cd "$here"

"$bin/ruff" check .
"$bin/ruff" format --check .
"$bin/mypy"
"$bin/lint-imports"

# Every import is declared: with the extras, and for the program alone, without the places that an extra is for.
of_extras='handdgp_core/(training|synthetic|augmentation)/|handdgp_core/evaluation/labelled\.py'
of_extras+='|handdgp_core/datasets/parametric_meshes\.py|handdgp_core/hands/(licensed/mano|topology/hierarchy)\.py'
of_extras+='|handdgp_core/export/(ros2_bag|usd|lerobot)\.py|app/batch/(cluster|dataset)\.py|app/benchmarks/networks\.py|app/streams/(websocket|osc|vmc|foxglove_live|rerun_viewer)\.py|examples/retarget\.py|tools/'
"$bin/deptry" .
"$bin/deptry" . --optional-dependencies-dev-groups test,docs,train,licensed,stream,robot,usd,batch,retarget,rerun --extend-exclude "$of_extras"

site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
NO_MKDOCS_2_WARNING=1 "$bin/mkdocs" build --strict --quiet --site-dir "$site"

# One thread a process: several processes with several threads each wait for each other.
export QT_QPA_PLATFORM="${QT_QPA_PLATFORM:-offscreen}" OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
"$python" -m pytest -n "${HANDDGP_TEST_PROCESSES:-auto}" --dist worksteal "$@"
