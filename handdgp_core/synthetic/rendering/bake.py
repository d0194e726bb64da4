"""What lies under every texel of a surface: position and normal at rest, drawn once in texture space."""

from __future__ import annotations

from dataclasses import dataclass

import moderngl
import numpy as np
from numpy.typing import NDArray

from handdgp_core.synthetic.rendering.opengl import headless_context
from handdgp_core.synthetic.rendering.surface import SmoothSurface

_VERTEX = """
#version 330
in vec3 in_value;
in vec2 in_uv;
out vec3 value;
void main() { value = in_value; gl_Position = vec4(in_uv * 2.0 - 1.0, 0.0, 1.0); }
"""
_FRAGMENT = """
#version 330
in vec3 value;
out vec4 colour;
void main() { colour = vec4(value, 1.0); }
"""


@dataclass(frozen=True)
class TexelMap:
    """(N,) flat indices of the texels that the surface covers, and (N, 3) values there, for a `size` x `size` atlas."""

    size: int
    texels: NDArray[np.int64]
    positions: NDArray[np.float32]
    normals: NDArray[np.float32]
    extra: NDArray[np.float32]


def bake(
    surface: SmoothSurface,
    positions: NDArray[np.float32],
    normals: NDArray[np.float32],
    extra: NDArray[np.float32],
    size: int,
) -> TexelMap:
    """Draw per-vertex values into the atlas.

    Args:
        surface: gives faces and uv.
        positions, normals, extra: (Vr, 3) values at the render vertices.
        size: side of the atlas in texels.
    """
    with headless_context() as ctx:
        drawn = [_draw(ctx, surface, values, size) for values in (positions, normals, extra)]
    ctx.release()
    texels = np.flatnonzero(drawn[0][:, 3] > 0)
    return TexelMap(size, texels, *(image[texels, :3] for image in drawn))


def _draw(ctx: moderngl.Context, surface: SmoothSurface, values: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    program = ctx.program(vertex_shader=_VERTEX, fragment_shader=_FRAGMENT)
    target = ctx.framebuffer([ctx.texture((size, size), 4, dtype="f4")])
    uv, index = ctx.buffer(surface.uv), ctx.buffer(surface.faces)
    buffer = ctx.buffer(np.ascontiguousarray(values, dtype="f4"))
    target.use()
    target.clear()
    array = ctx.vertex_array(program, [(buffer, "3f", "in_value"), (uv, "2f", "in_uv")], index_buffer=index)
    array.render(moderngl.TRIANGLES)
    return np.frombuffer(target.read(components=4, dtype="f4"), np.float32).reshape(-1, 4)
