"""Small helpers over moderngl: a context without a window, textures, targets, uniforms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import moderngl
import numpy as np
from numpy.typing import NDArray

from handdgp_core.errors import HandDGPError


class RenderError(HandDGPError):
    """No OpenGL to render with, or a scene that it cannot hold."""


def headless_context() -> moderngl.Context:
    """An OpenGL context without a window.

    Raises:
        RenderError: there is none on this machine.
    """
    try:
        # The loader's stub takes "backend" for one of its dictionaries of settings.
        return moderngl.create_context(require=330, standalone=True, backend="egl")  # type: ignore[arg-type]
    except Exception as error:  # the loader raises bare Exception
        raise RenderError(
            f"Could not open OpenGL 3.3 without a window (EGL): {error}.",
            hint="Install libegl1 and Mesa's drivers (libgl1-mesa-dri).",
        ) from error


def set_uniforms(program: moderngl.Program, values: Mapping[str, Any]) -> None:
    """Set uniforms by name: arrays of float32 as they lie in memory, everything else as a value."""
    for name, value in values.items():
        uniform: Any = program[name]
        if isinstance(value, np.ndarray):
            uniform.write(np.ascontiguousarray(value, dtype="f4"))
        else:
            uniform.value = value


def image_texture(ctx: moderngl.Context, image: NDArray[Any], dtype: str) -> moderngl.Texture:
    """A mip-mapped texture of an image (H, W, C); dtype as moderngl names it ("f1" bytes, "f2" half floats)."""
    texture = ctx.texture((image.shape[1], image.shape[0]), image.shape[2], dtype=dtype, alignment=1)
    texture.write(np.ascontiguousarray(image))
    texture.build_mipmaps()
    texture.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
    return texture


def exact_texture(ctx: moderngl.Context, size: tuple[int, int], channels: int, dtype: str) -> moderngl.Texture:
    """An empty texture that is read texel by texel."""
    texture = ctx.texture(size, channels, dtype=dtype)
    texture.filter = (moderngl.NEAREST, moderngl.NEAREST)
    return texture


def depth_target(ctx: moderngl.Context, size: tuple[int, int]) -> tuple[moderngl.Texture, moderngl.Framebuffer]:
    """A depth map that shaders read as plain numbers, and the framebuffer that fills it."""
    texture = ctx.depth_texture(size)
    texture.compare_func = ""
    texture.filter = (moderngl.NEAREST, moderngl.NEAREST)
    return texture, ctx.framebuffer(depth_attachment=texture)


def screen_triangle(ctx: moderngl.Context, program: moderngl.Program) -> moderngl.VertexArray:
    """One triangle that covers the whole target; the vertex shader reads `in_corner`."""
    corners = ctx.buffer(np.array([-1, -1, 3, -1, -1, 3], dtype="f4"))
    return ctx.vertex_array(program, [(corners, "2f", "in_corner")])
