#!/usr/bin/env bash
# Mutation testing of a package or a file: which changes of its code no test notices. Works in a copy of the tree.
#   tools/mutation.sh CODE [MUTANTS] [TESTS...]
#   e.g. tools/mutation.sh geometry 60; tools/mutation.sh sessions/writer.py 40 tests/handdgp_core/sessions/test_session_round_trip.py
# CODE lies in handdgp_core; MUTANTS of its mutants are drawn at random (default 60); TESTS are by default those in
# tests/handdgp_core that belong to it: those in geometry/ for geometry, geometry/test_camera.py for geometry/camera.py.
# Prints the survivors, each as a diff, and the share killed. Not part of the checks: some mutants change nothing that
# could be seen, so a person reads the survivors. Needs cosmic-ray (pip install cosmic-ray) in the environment.
#   HANDDGP_VENV      another folder for the environment
#   MUTATION_SEED     another draw (default 1)
#   MUTATION_SECONDS  ends the run early; mutants not tried are not counted
set -euo pipefail
cd "$(dirname "$0")/.."
code="${1:?geometry, estimation, sessions, or a file in one of them}" mutants="${2:-60}"
shift $(($# < 2 ? $# : 2))
tests=("$@")
own="tests/handdgp_core/$code"
if [[ $code == *.py ]]; then own="tests/handdgp_core/$(dirname "$code")/test_$(basename "$code")"; fi
[ ${#tests[@]} -gt 0 ] || tests=("$own")
bin="$(realpath "${HANDDGP_VENV:-$PWD/.venv}")/bin"
[ -x "$bin/cosmic-ray" ] || { echo "wanted: cosmic-ray; do: $bin/pip install cosmic-ray" >&2; exit 2; }
copy="$(mktemp -d)"
trap 'rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
  if [ -e "$file" ]; then printf '%s\0' "$file"; fi
done | tar cf - --null -T - | tar xf - -C "$copy"
cd "$copy"
export QT_QPA_PLATFORM=offscreen OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1
cat >mutation.toml <<END
[cosmic-ray]
module-path = "handdgp_core/$code"
timeout = 120.0
excluded-modules = []
test-command = "$bin/python -m pytest -q -x -p no:cacheprovider ${tests[*]}"
[cosmic-ray.distributor]
name = "local"
END
echo "tests without a mutation:" >&2
"$bin/python" -m pytest -q -x -p no:cacheprovider "${tests[@]}" >baseline.log || { tail -30 baseline.log >&2; exit 1; }
"$bin/cosmic-ray" init mutation.toml mutation.sqlite >&2
"$bin/python" - "$mutants" "${MUTATION_SEED:-1}" <<'END'
import random, sqlite3, sys

with sqlite3.connect("mutation.sqlite") as database:
    # annotations are strings as a rule here (PEP 604 unions), and a changed one shows in no test
    database.execute("create table kept as select job_id from mutation_specs where operator_name not like '%BitOr%'")
    ids = sorted(row[0] for row in database.execute("select job_id from kept"))
    kept = set(random.Random(int(sys.argv[2])).sample(ids, min(int(sys.argv[1]), len(ids))))
    print(f"{len(kept)} of {len(ids)} mutants")
    every = [row[0] for row in database.execute("select job_id from work_items")]
    for table in ("mutation_specs", "work_items"):
        database.executemany(f"delete from {table} where job_id = ?", [(job,) for job in every if job not in kept])
END
timeout "${MUTATION_SECONDS:-86400}" "$bin/cosmic-ray" exec mutation.toml mutation.sqlite >&2 || [ $? = 124 ]
"$bin/python" - <<'END'
import sqlite3

with sqlite3.connect("mutation.sqlite") as database:
    rows = list(database.execute(
        "select upper(test_outcome), diff from work_results where upper(worker_outcome) = 'NORMAL'"
    ))
survivors = [diff for outcome, diff in rows if outcome == "SURVIVED"]
for diff in survivors:
    print(diff, end="\n\n")
print(f"killed {len(rows) - len(survivors)} of {len(rows)}: {1 - len(survivors) / max(1, len(rows)):.0%}")
END
