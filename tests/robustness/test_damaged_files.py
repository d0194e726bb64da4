"""Every loader on damaged files gives a value or a HandDGPError, in little time and memory. See tools/fuzz.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.robustness.child import GOOD, Child
from tests.robustness.loaders import LOADERS
from tests.robustness.mutations import KINDS, TOKENS, Mutation

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured as on Linux")

_PLACES = st.floats(0, 1, exclude_max=True)
_MUTATIONS: st.SearchStrategy[list[Mutation]] = st.lists(
    st.tuples(st.sampled_from(KINDS), _PLACES, _PLACES, st.integers(0, 256 * len(TOKENS) - 1)), min_size=1, max_size=3
)
# Files that others make, in formats that this program's own tests do not damage elsewhere; tools/fuzz.py takes all.
_EVERY_TIME = 40


@pytest.mark.parametrize("name", LOADERS)
def test_a_damaged_file_is_read_or_refused(tmp_path: Path, name: str) -> None:
    with Child(name, tmp_path) as child:

        @settings(
            max_examples=_EVERY_TIME,
            deadline=None,
            derandomize=True,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @given(seed=st.integers(0, 5), mutations=_MUTATIONS)
        def run(seed: int, mutations: list[Mutation]) -> None:
            outcome = child.load(seed, mutations)
            assert outcome.kind in GOOD, outcome

        run()
