"""Fixtures for tests of every part."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest

# Every machine is busy at times: no example has a deadline, and none is too slow to be tried.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--all` for the tests that take long."""
    parser.addoption("--all", action="store_true", help="run the slow tests, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without `--all` leave the slow tests out, by name; with it begin with them, so that no process ends long last."""
    slow = [item for item in items if item.get_closest_marker("slow")]
    if not config.getoption("--all"):
        for item in slow:
            item.add_marker(pytest.mark.skip(reason=f"slow, ./test.sh --all runs it: {item.name}"))
    items.sort(key=lambda item: item not in slow)


@pytest.fixture(scope="module")
def one_torch_thread() -> Iterator[None]:
    """PyTorch on one thread: its threads wait by spinning, which takes small networks many times as long."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
