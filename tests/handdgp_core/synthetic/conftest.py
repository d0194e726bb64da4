from __future__ import annotations

from collections.abc import Iterator

import pytest

from handdgp_core.synthetic.rendering.opengl import RenderError
from handdgp_core.synthetic.rendering.renderer import HandRenderer

WIDTH, HEIGHT = 160, 120


@pytest.fixture(scope="session")
def renderer_maker() -> Iterator[type[HandRenderer]]:
    """The class, where this machine can render at all."""
    pytest.importorskip("moderngl", reason="moderngl is not installed (extra train)")
    try:
        HandRenderer(8, 8).close()
    except RenderError as error:
        pytest.skip(f"no OpenGL without a window on this machine: {error}")
    yield HandRenderer
