"""Rasterise hands as a webcam would see them: OpenGL without a window (EGL), on a GPU or in software.

The camera is OpenCV's: pinhole with radial and tangential distortion, pixel centres on integers. Distortion is applied
to every vertex of the finely tessellated surface, so that vertices land exactly where `Camera` projects them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

import moderngl
import numpy as np
from numpy.typing import NDArray

from handdgp_core.errors import ShapeError
from handdgp_core.geometry.camera import Camera
from handdgp_core.synthetic.rendering import shaders
from handdgp_core.synthetic.rendering.opengl import (
    RenderError,
    depth_target,
    exact_texture,
    headless_context,
    image_texture,
    screen_triangle,
    set_uniforms,
)
from handdgp_core.synthetic.rendering.scene import Film, Lighting, Material, Placed
from handdgp_core.synthetic.rendering.surface import SmoothSurface

Floats = NDArray[np.float64]
_NEAR_M, _FAR_M = 0.03, 6.0
_LARGEST_RADIUS = 4.0  # tangent of the widest angle that a lens is followed to
_UP = np.array([0.0, -1.0, 0.0])
_AMBIENT_COLUMNS = 8


@dataclass(frozen=True)
class _Surface:
    buffer: moderngl.Buffer
    arrays: dict[str, moderngl.VertexArray]
    albedo: moderngl.Texture
    relief: moderngl.Texture
    material: Material
    count: int


class HandRenderer:
    """Draws placed surfaces over a background. Use it as a context manager, or call `close`.

    Args:
        width, height: of the picture, pixels.
        supersample: samples per pixel and axis.
        shadow_size: side of the key light's shadow map.
        ambient_tile: side of one ambient shadow map (there are up to 32 in one atlas).
        cull: leave out what faces away. A third faster; cloth then has no inside.

    Raises:
        RenderError: where no OpenGL context can be had.
    """

    def __init__(
        self,
        width: int,
        height: int,
        supersample: int = 2,
        shadow_size: int = 1536,
        ambient_tile: int = 192,
        cull: bool = False,
    ) -> None:
        self.width, self.height, self.supersample = width, height, supersample
        self._tile, self._cull = ambient_tile, cull
        self._surfaces: list[_Surface] = []
        self._context = headless_context()
        with self._context:
            self._prepare(shadow_size)

    def _prepare(self, shadow_size: int) -> None:
        ctx, size = self._context, (self.width, self.height)
        large = (size[0] * self.supersample, size[1] * self.supersample)
        ctx.enable(moderngl.DEPTH_TEST)
        self._programs = {
            name: ctx.program(vertex_shader=vertex, fragment_shader=fragment)
            for name, (vertex, fragment) in shaders.PROGRAMS.items()
        }
        self._colour = exact_texture(ctx, large, 4, "f2")
        self._target = ctx.framebuffer([self._colour], ctx.depth_renderbuffer(large))
        self._background = exact_texture(ctx, size, 3, "f4")
        self._final = ctx.simple_framebuffer(size, 4)
        self._labels = ctx.simple_framebuffer(size, 4)
        self._key_map, self._key_target = depth_target(ctx, (shadow_size, shadow_size))
        rows = shaders.MAX_AMBIENT // _AMBIENT_COLUMNS
        self._atlas, self._atlas_target = depth_target(ctx, (_AMBIENT_COLUMNS * self._tile, rows * self._tile))
        self._screen = screen_triangle(ctx, self._programs["film"])

    def __enter__(self) -> HandRenderer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back everything that lives in the graphics memory."""
        self._context.release()

    @property
    def device(self) -> str:
        """Name of what draws, e.g. "llvmpipe" for software."""
        with self._context:
            return str(self._context.info["GL_RENDERER"])

    def add_surface(self, surface: SmoothSurface, material: Material | int) -> int:
        """Upload what does not change with the pose; returns the number for `Placed`.

        Args:
            surface: topology and texture coordinates.
            material: what it is made of, or the number of a surface that has that material already.
        """
        with self._context:
            self._surfaces.append(self._upload(surface, material))
        return len(self._surfaces) - 1

    def _upload(self, surface: SmoothSurface, material: Material | int) -> _Surface:
        ctx, programs = self._context, self._programs
        buffer = ctx.buffer(reserve=len(surface.uv) * 24, dynamic=True)
        uv = ctx.buffer(np.ascontiguousarray(surface.uv))
        fine = ctx.buffer(np.ascontiguousarray(surface.faces))
        coarse = ctx.buffer(np.ascontiguousarray(surface.coarse_faces))
        full = [(buffer, "3f 3f", "in_position", "in_normal"), (uv, "2f", "in_uv")]
        bare = [(buffer, "3f 12x", "in_position")]
        arrays = {
            "skin": ctx.vertex_array(programs["skin"], full, index_buffer=fine),
            "depth": ctx.vertex_array(programs["depth"], bare, index_buffer=coarse),
            "label": ctx.vertex_array(programs["label"], bare, index_buffer=fine),
        }
        if isinstance(material, int):
            other = self._surfaces[material]
            return _Surface(buffer, arrays, other.albedo, other.relief, other.material, len(surface.uv))
        albedo = image_texture(ctx, material.albedo, "f1")
        relief = image_texture(ctx, material.height_mm.astype(np.float16)[..., None], "f2")
        return _Surface(buffer, arrays, albedo, relief, material, len(surface.uv))

    def set_background(self, image: NDArray[np.float32]) -> None:
        """(height, width, 3) linear light, seen through the same lens.

        Raises:
            ShapeError: another size.
        """
        if image.shape != (self.height, self.width, 3):
            raise ShapeError(
                f"A background of shape {image.shape} does not fit an image of shape {(self.height, self.width, 3)}.",
                hint="Render it at the size of the image.",
            )
        with self._context:
            self._background.write(np.ascontiguousarray(image, dtype="f4"))

    def render(
        self, placed: Sequence[Placed], camera: Camera, lighting: Lighting, film: Film | None = None, seed: int = 0
    ) -> NDArray[np.uint8]:
        """Draw one picture.

        Args:
            placed: what to draw; may be empty. Every surface at most once.
            camera: for a picture of this renderer's size; distortion k1 k2 p1 p2 k3 at most.
            lighting: key and ambient light.
            film: exposure and grain.
            seed: of the grain.

        Returns:
            (height, width, 3) uint8 sRGB.

        Raises:
            ShapeError: camera or positions of another size.
            RenderError: a surface placed twice, or a lens with more coefficients.
        """
        self._check(placed, camera)
        with self._context:
            self._place(placed)
            self._expose(placed, camera, lighting)
            return self._develop(film or Film(), seed, _pixel_box(placed, camera))

    def segment(self, placed: Sequence[Placed], camera: Camera) -> NDArray[np.uint8]:
        """Which surface each pixel centre shows: 0 background, else 1 + position in `placed`.

        Returns:
            (height, width) uint8.

        Raises:
            ShapeError, RenderError: as `render`.
        """
        self._check(placed, camera)
        with self._context:
            self._place(placed)
            program = self._programs["label"]
            set_uniforms(program, _lens(camera))
            self._labels.use()
            self._labels.clear(0.0, 0.0, 0.0, 0.0)
            for number, item in enumerate(placed):
                set_uniforms(program, {"label": float(number + 1)})
                self._surfaces[item.surface].arrays["label"].render()
            return np.frombuffer(self._labels.read(components=1), np.uint8).reshape(self.height, self.width)

    def _check(self, placed: Sequence[Placed], camera: Camera) -> None:
        if camera.size != (self.width, self.height):
            raise ShapeError(
                f"A camera of {camera.width}x{camera.height} does not fit a renderer of {self.width}x{self.height}.",
                hint="Scale the camera.",
            )
        if camera.distortion.size > 5 or camera.lens != "opencv":
            raise RenderError(
                f"The renderer cannot draw a lens of {camera.distortion.size} {camera.lens} coefficients.",
                hint="Render with the five k1 k2 p1 p2 k3.",
            )
        numbers = [item.surface for item in placed]
        if len(set(numbers)) < len(numbers):
            raise RenderError(
                f"Every surface can be placed at most once, not as in {numbers}.",
                hint="Add the surface again for its second place.",
            )
        for item in placed:
            expected = (self._surfaces[item.surface].count, 3)
            if item.positions.shape != expected or item.normals.shape != expected:
                raise ShapeError(
                    f"Surface {item.surface} needs positions and normals of shape {expected}, not "
                    f"{item.positions.shape} and {item.normals.shape}.",
                    hint="Refine that surface.",
                )

    def _place(self, placed: Sequence[Placed]) -> None:
        for item in placed:
            self._surfaces[item.surface].buffer.write(np.hstack([item.positions, item.normals]).astype("f4"))

    def _expose(self, placed: Sequence[Placed], camera: Camera, lighting: Lighting) -> None:
        set_uniforms(self._programs["skin"], _lens(camera))
        self._target.use()
        self._target.clear(0.0, 0.0, 0.0, 0.0)
        for group in sorted({item.group for item in placed}):
            members = [item for item in placed if item.group == group]
            self._shade(members, camera, lighting)
            self._target.use()
            for item in members:
                self._draw_skin(item)

    def _shade(self, placed: Sequence[Placed], camera: Camera, lighting: Lighting) -> None:
        """Fill the shadow maps around the visible part of these surfaces, and set all that concerns light."""
        center, radius = _visible_sphere(placed, camera)
        directions = lighting.ambient_directions[: shaders.MAX_AMBIENT]
        key = _clip_from_camera(lighting.key_direction, center, radius)
        clips = [_clip_from_camera(direction, center, radius) for direction in directions]
        self._key_target.use()
        self._key_target.clear(depth=1.0)
        self._draw_depth(placed, key)
        self._atlas_target.use()
        self._atlas_target.clear(depth=1.0)
        for number, clip in enumerate(clips):
            row, column = divmod(number, _AMBIENT_COLUMNS)
            self._atlas_target.viewport = (column * self._tile, row * self._tile, self._tile, self._tile)
            self._draw_depth(placed, clip)
        rows = self._atlas.height // self._tile
        set_uniforms(
            self._programs["skin"],
            {
                "ambient_count": len(directions),
                "ambient_clip": _padded([clip.T.ravel() for clip in clips], 16),
                "ambient_direction": _padded(directions, 3),
                "ambient_radiance": _padded(lighting.ambient_radiance[: len(directions)], 3),
                "ambient_tiles": (_AMBIENT_COLUMNS, rows),
                "ambient_offset": 1.5 * 2 * radius / self._tile,
                "key_clip": key.T,
                "key_direction": tuple(lighting.key_direction),
                "key_radiance": tuple(lighting.key_radiance),
                "key_softness": lighting.key_softness,
                "key_extent_m": 2 * radius,
            },
        )

    def _draw_depth(self, placed: Sequence[Placed], clip: Floats) -> None:
        set_uniforms(self._programs["depth"], {"clip_from_camera": clip.T})
        for item in placed:
            self._surfaces[item.surface].arrays["depth"].render()

    def _draw_skin(self, item: Placed) -> None:
        surface = self._surfaces[item.surface]
        for unit, texture in enumerate((surface.albedo, surface.relief, self._key_map, self._atlas)):
            texture.use(unit)
        set_uniforms(
            self._programs["skin"],
            {
                "albedo_map": 0,
                "height_map": 1,
                "key_map": 2,
                "ambient_atlas": 3,
                "bump_scale": surface.material.bump,
                "wrap": surface.material.wrap,
                "specular": surface.material.specular,
                "sheen": surface.material.sheen,
                "winding": 1.0 if item.mirrored else -1.0,  # image rows run downwards, which reverses it, too
            },
        )
        if self._cull:
            self._context.enable(moderngl.CULL_FACE)
            self._context.front_face = "ccw" if item.mirrored else "cw"
        surface.arrays["skin"].render()
        self._context.disable(moderngl.CULL_FACE)

    def _develop(self, film: Film, seed: int, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        self._colour.use(0)
        self._background.use(1)
        set_uniforms(
            self._programs["film"],
            {
                "hand": 0,
                "background": 1,
                "supersample": self.supersample,
                "image_size": (self.width, self.height),
                "exposure": film.exposure,
                "vignette": film.vignette,
                "grain": film.grain,
                "softness": film.softness,
                "seed": seed,
                "hand_box": box,
            },
        )
        self._final.use()
        self._context.disable(moderngl.DEPTH_TEST)
        self._screen.render(vertices=3)
        self._context.enable(moderngl.DEPTH_TEST)
        data = np.frombuffer(self._final.read(components=3), np.uint8)
        return data.reshape(self.height, self.width, 3).copy()


def _lens(camera: Camera) -> dict[str, object]:
    matrix, distortion = camera.matrix, np.zeros(5)
    distortion[: camera.distortion.size] = camera.distortion
    return {
        "lens": (matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]),
        "distortion": distortion,
        "radius2_max": min(camera.largest_radius, _LARGEST_RADIUS) ** 2,
        "image_size": camera.size,
        "depth_range": (_NEAR_M, _FAR_M),
    }


def _visible_sphere(placed: Sequence[Placed], camera: Camera) -> tuple[Floats, float]:
    """A sphere around what the picture shows of the surfaces (margin 15 %), for the shadow maps."""
    if not placed:
        return np.array([0.0, 0.0, 0.5]), 0.1
    points = np.concatenate([item.positions for item in placed]).astype(np.float64)
    inside = (points[:, 2] > _NEAR_M) & (np.abs(_pinhole(points, camera) / camera.size - 0.5) < 0.65).all(axis=1)
    shown = points[inside] if inside.any() else points
    low, high = shown.min(axis=0), shown.max(axis=0)
    return (low + high) / 2, float(np.linalg.norm(high - low) / 2)


def _pinhole(points: Floats, camera: Camera) -> Floats:
    """Pixels without the lens: close enough to bound what is in view."""
    plane = points[:, :2] / np.maximum(points[:, 2:], 1e-6)
    return np.asarray(plane * camera.matrix[[0, 1], [0, 1]] + camera.matrix[:2, 2])


def _pixel_box(placed: Sequence[Placed], camera: Camera) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of a box around everything drawn, generous for the lens; empty where nothing is."""
    if not placed:
        return (0, 0, -1, -1)
    points = np.concatenate([item.positions for item in placed]).astype(np.float64)
    if (points[:, 2] <= _NEAR_M).any():
        return (0, 0, camera.width, camera.height)
    pixels = np.clip(_pinhole(points, camera), -1e6, 1e6)
    margin = 4 + 0.2 * max(camera.size)
    low, high = pixels.min(axis=0) - margin, pixels.max(axis=0) + margin
    return (int(low[0]), int(low[1]), int(high[0]), int(high[1]))


def _clip_from_camera(towards_light: Floats, center: Floats, radius: float) -> Floats:
    """(4, 4) orthographic view along a light, of a sphere; the light's side is near (-1)."""
    z = -np.asarray(towards_light, float)
    side = np.cross(_UP if abs(z @ _UP) < 0.95 else np.array([1.0, 0.0, 0.0]), z)
    x = side / np.linalg.norm(side)
    rotation = np.stack([x, np.cross(z, x), z])
    clip = np.eye(4)
    clip[:3, :3] = rotation / radius
    clip[:3, 3] = -rotation @ center / radius
    return clip


def _padded(rows: Sequence[Floats] | Floats, width: int) -> Floats:
    """Rows of a uniform array, filled up to its declared length."""
    filled = np.zeros((shaders.MAX_AMBIENT, width))
    filled[: len(rows)] = rows
    return filled
