"""Rasterise hands as a webcam would see them: OpenGL without a window (EGL), on a GPU or in software.

The camera is OpenCV's: pinhole with radial and tangential distortion, pixel centres on integers. Distortion is applied
to every vertex of the finely tessellated surface, so that vertices land exactly where `Camera` projects them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import moderngl
import numpy as np
from numpy.typing import NDArray

from handdgp_core.errors import HandDGPError, ShapeError
from handdgp_core.geometry.camera import Camera
from handdgp_core.training.synthetic import shaders
from handdgp_core.training.synthetic.surface import SmoothSurface

Floats = NDArray[np.float64]
_NEAR_M, _FAR_M = 0.03, 6.0
_LARGEST_RADIUS = 4.0  # tangent of the widest angle that a lens is followed to
_UP = np.array([0.0, -1.0, 0.0])


class RenderError(HandDGPError):
    """No OpenGL to render with, or a scene that it cannot hold."""


@dataclass(frozen=True)
class Material:
    """What a surface is made of.

    Attributes:
        albedo: (H, W, 4) uint8, sRGB colour and gloss.
        height_mm: (H, W) float32, relief in millimetres.
        wrap: per colour, how far light reaches past the terminator (0 hard, 0.3 soft).
        specular: reflectance at normal incidence (skin 0.028).
        sheen: light that fuzz catches at grazing angles (cloth).
        bump: factor on the relief.
    """

    albedo: NDArray[np.uint8]
    height_mm: NDArray[np.float32]
    wrap: tuple[float, float, float] = (0.30, 0.16, 0.10)
    specular: float = 0.028
    sheen: float = 0.0
    bump: float = 1.0


@dataclass(frozen=True)
class Lighting:
    """One soft key light and ambient light from a fan of directions, camera frame, linear light.

    Attributes:
        key_direction: (3,) unit vector towards the light.
        key_radiance: (3,) what a white surface that faces it sends back.
        ambient_directions: (N, 3) unit vectors, N at most 32.
        ambient_radiance: (N, 3) irradiance that each direction adds on a surface facing it.
        key_softness: penumbra width over distance to the occluder.
    """

    key_direction: Floats
    key_radiance: Floats
    ambient_directions: Floats
    ambient_radiance: Floats
    key_softness: float = 0.25


@dataclass(frozen=True)
class Film:
    """How the picture is taken: exposure, vignette (0 to 1), grain (sRGB standard deviation), softness (0 to 1)."""

    exposure: float = 1.0
    vignette: float = 0.12
    grain: float = 0.010
    softness: float = 0.35


@dataclass(frozen=True)
class Placed:
    """A surface of the renderer where it stands now: its number, (Vr, 3) positions and normals in the camera frame.

    `mirrored` says that positions and normals are a mirror image of the surface (a left hand), so winding is reversed.
    """

    surface: int
    positions: NDArray[np.float32]
    normals: NDArray[np.float32]
    mirrored: bool = False


@dataclass(frozen=True)
class _Surface:
    buffer: moderngl.Buffer
    programs: dict[str, moderngl.VertexArray]
    albedo: moderngl.Texture
    height: moderngl.Texture
    material: Material
    count: int


class HandRenderer:
    """Draws placed surfaces over a background. Use it as a context manager, or call `close`.

    Args:
        width: pixels.
        height: pixels.
        supersample: samples per pixel and axis.
        shadow_size: side of the key light's shadow map.
        ambient_tile: side of one ambient shadow map (there are up to 32 in one atlas).

    Raises:
        RenderError: where no OpenGL context can be had.
    """

    def __init__(
        self, width: int, height: int, supersample: int = 2, shadow_size: int = 1536, ambient_tile: int = 192
    ) -> None:
        self.width, self.height, self.supersample = width, height, supersample
        self._context = headless_context()
        self._surfaces: list[_Surface] = []
        with self._context:
            self._prepare(shadow_size, ambient_tile)

    def _prepare(self, shadow_size: int, ambient_tile: int) -> None:
        ctx, size = self._context, (self.width, self.height)
        large = (size[0] * self.supersample, size[1] * self.supersample)
        ctx.enable(moderngl.DEPTH_TEST)
        self._programs = _compile(ctx)
        self._colour = ctx.texture(large, 4, dtype="f2")
        self._colour.filter = (moderngl.NEAREST, moderngl.NEAREST)
        self._target = ctx.framebuffer([self._colour], ctx.depth_renderbuffer(large))
        self._final = ctx.simple_framebuffer(size, 4)
        self._background = ctx.texture(size, 3, dtype="f4")
        self._background.filter = (moderngl.NEAREST, moderngl.NEAREST)
        self._tile, self._tiles = ambient_tile, (8, shaders.MAX_AMBIENT // 8)
        self._key_map, self._key_target = _depth_target(ctx, (shadow_size, shadow_size))
        atlas = (ambient_tile * self._tiles[0], ambient_tile * self._tiles[1])
        self._atlas, self._atlas_target = _depth_target(ctx, atlas)
        corners = ctx.buffer(np.array([-1, -1, 3, -1, -1, 3], dtype="f4"))
        self._screen = ctx.vertex_array(self._programs["film"], [(corners, "2f", "in_corner")])

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
        ctx = self._context
        buffer = ctx.buffer(reserve=len(surface.uv) * 24, dynamic=True)
        uv = ctx.buffer(np.ascontiguousarray(surface.uv))
        index = ctx.buffer(np.ascontiguousarray(surface.faces))
        coarse = ctx.buffer(np.ascontiguousarray(surface.coarse_faces))
        full = [(buffer, "3f 3f", "in_position", "in_normal"), (uv, "2f", "in_uv")]
        bare = [(buffer, "3f 12x", "in_position")]
        arrays = {
            "skin": ctx.vertex_array(self._programs["skin"], full, index_buffer=index),
            "depth": ctx.vertex_array(self._programs["depth"], bare, index_buffer=coarse),
            "label": ctx.vertex_array(self._programs["label"], bare, index_buffer=index),
        }
        if isinstance(material, int):
            other = self._surfaces[material]
            return _Surface(buffer, arrays, other.albedo, other.height, other.material, len(surface.uv))
        albedo = _texture(ctx, material.albedo, "f1")
        relief = _texture(ctx, material.height_mm.astype(np.float16)[..., None], "f2")
        return _Surface(buffer, arrays, albedo, relief, material, len(surface.uv))

    def set_background(self, image: NDArray[np.float32]) -> None:
        """(height, width, 3) linear light, seen through the same lens.

        Raises:
            ShapeError: another size.
        """
        if image.shape != (self.height, self.width, 3):
            wanted = f"a background of shape {(self.height, self.width, 3)}"
            raise ShapeError(wanted, f"shape {image.shape}", "render it at the size of the picture")
        with self._context:
            self._background.write(np.ascontiguousarray(image, dtype="f4"))

    def render(
        self, placed: Sequence[Placed], camera: Camera, lighting: Lighting, film: Film | None = None, seed: int = 0
    ) -> NDArray[np.uint8]:
        """Draw one picture.

        Args:
            placed: what to draw; may be empty.
            camera: for a picture of this renderer's size; distortion k1 k2 p1 p2 k3 at most.
            lighting: key and ambient light.
            film: exposure and grain.
            seed: of the grain.

        Returns:
            (height, width, 3) uint8 sRGB.
        """
        self._check(camera)
        with self._context:
            self._expose(placed, camera, lighting)
            return self._develop(film or Film(), seed, _pixel_box(placed, camera))

    def _expose(self, placed: Sequence[Placed], camera: Camera, lighting: Lighting) -> None:
        self._place(placed)
        skin = self._programs["skin"]
        self._shadow(placed, camera, lighting)
        self._target.use()
        self._target.clear(0.0, 0.0, 0.0, 0.0)
        _set_lens(skin, camera)
        for item in placed:
            surface = self._surfaces[item.surface]
            self._bind(surface, skin)
            skin["winding"].value = 1.0 if item.mirrored else -1.0  # image rows run downwards, which reverses it, too
            surface.programs["skin"].render()

    def segment(self, placed: Sequence[Placed], camera: Camera) -> NDArray[np.uint8]:
        """(height, width) uint8: 0 background, else 1 + position in `placed` of what is in front; one sample a pixel."""
        self._check(camera)
        with self._context:
            return self._label(placed, camera)

    def _label(self, placed: Sequence[Placed], camera: Camera) -> NDArray[np.uint8]:
        self._place(placed)
        program = self._programs["label"]
        _set_lens(program, camera)
        ctx = self._context
        target = ctx.simple_framebuffer((self.width, self.height), 4)
        target.use()
        target.clear(0.0, 0.0, 0.0, 0.0)
        for number, item in enumerate(placed):
            program["label"].value = float(number + 1)
            self._surfaces[item.surface].programs["label"].render()
        data = np.frombuffer(target.read(components=1), np.uint8).reshape(self.height, self.width)
        target.release()
        return data

    def _check(self, camera: Camera) -> None:
        if camera.size != (self.width, self.height):
            raise ShapeError(f"a camera of {self.width}x{self.height}", f"{camera.width}x{camera.height}", "scale it")
        if camera.distortion.size > 5:
            wanted, found = "at most 5 distortion coefficients", f"{camera.distortion.size}"
            raise RenderError(wanted, found, "render with k1 k2 p1 p2 k3")

    def _place(self, placed: Sequence[Placed]) -> None:
        numbers = [item.surface for item in placed]
        if len(set(numbers)) < len(numbers):
            raise RenderError("every surface at most once", f"{numbers}", "add the surface again for its second place")
        for item in placed:
            surface = self._surfaces[item.surface]
            if item.positions.shape != (surface.count, 3):
                raise ShapeError(
                    f"positions of shape {(surface.count, 3)}", f"shape {item.positions.shape}", "refine that surface"
                )
            surface.buffer.write(np.hstack([item.positions, item.normals]).astype("f4"))

    def _shadow(self, placed: Sequence[Placed], camera: Camera, lighting: Lighting) -> None:
        center, radius = _visible_sphere(placed, camera)
        skin = self._programs["skin"]
        key = _clip_from_camera(lighting.key_direction, center, radius)
        self._key_target.use()
        self._key_target.clear(depth=1.0)
        self._draw_depth(placed, key)
        count = min(len(lighting.ambient_directions), shaders.MAX_AMBIENT)
        clips = [_clip_from_camera(d, center, radius) for d in lighting.ambient_directions[:count]]
        self._atlas_target.use()
        self._atlas_target.clear(depth=1.0)
        for number, clip in enumerate(clips):
            column, row = number % self._tiles[0], number // self._tiles[0]
            self._atlas_target.viewport = (column * self._tile, row * self._tile, self._tile, self._tile)
            self._draw_depth(placed, clip)
        pad = shaders.MAX_AMBIENT - count
        skin["ambient_count"].value = count
        skin["ambient_clip"].write(np.concatenate([_columns(c) for c in clips] + [np.zeros(16 * pad, "f4")]))
        skin["ambient_direction"].write(_rows(lighting.ambient_directions[:count], pad))
        skin["ambient_radiance"].write(_rows(lighting.ambient_radiance[:count], pad))
        skin["ambient_tiles"].value = self._tiles
        skin["ambient_offset"].value = 1.5 * 2 * radius / self._tile
        skin["key_clip"].write(_columns(key))
        skin["key_direction"].value = tuple(lighting.key_direction)
        skin["key_radiance"].value = tuple(lighting.key_radiance)
        skin["key_softness"].value = lighting.key_softness
        skin["key_depth_m"].value = skin["key_width_m"].value = 2 * radius

    def _draw_depth(self, placed: Sequence[Placed], clip: Floats) -> None:
        self._programs["depth"]["clip_from_camera"].write(_columns(clip))
        for item in placed:
            self._surfaces[item.surface].programs["depth"].render()

    def _bind(self, surface: _Surface, skin: moderngl.Program) -> None:
        for unit, (name, texture) in enumerate(
            {
                "albedo_map": surface.albedo,
                "height_map": surface.height,
                "key_map": self._key_map,
                "ambient_atlas": self._atlas,
            }.items()
        ):
            texture.use(unit)
            skin[name].value = unit
        skin["bump_scale"].value = surface.material.bump
        skin["wrap"].value = surface.material.wrap
        skin["specular"].value = surface.material.specular
        skin["sheen"].value = surface.material.sheen

    def _develop(self, film: Film, seed: int, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        program = self._programs["film"]
        self._colour.use(0)
        self._background.use(1)
        values: dict[str, Any] = {
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
        }
        for name, value in values.items():
            program[name].value = value
        self._final.use()
        self._context.disable(moderngl.DEPTH_TEST)
        self._screen.render(vertices=3)
        self._context.enable(moderngl.DEPTH_TEST)
        data = np.frombuffer(self._final.read(components=3), np.uint8)
        return data.reshape(self.height, self.width, 3).copy()


def headless_context() -> moderngl.Context:
    """An OpenGL context without a window.

    Raises:
        RenderError: there is none on this machine.
    """
    try:
        return moderngl.create_context(standalone=True, backend="egl", require=330)
    except Exception as error:  # the loader raises bare Exception
        wanted = "OpenGL 3.3 without a window (EGL)"
        raise RenderError(wanted, f"none ({error})", "install libegl1 and Mesa's drivers (libgl1-mesa-dri)") from error


def _compile(ctx: moderngl.Context) -> dict[str, moderngl.Program]:
    sources = {
        "depth": (shaders.DEPTH_VERTEX, shaders.DEPTH_FRAGMENT),
        "skin": (shaders.SKIN_VERTEX, shaders.SKIN_FRAGMENT),
        "label": (shaders.LABEL_VERTEX, shaders.LABEL_FRAGMENT),
        "film": (shaders.SCREEN_VERTEX, shaders.FILM_FRAGMENT),
    }
    return {
        name: ctx.program(vertex_shader=vertex, fragment_shader=fragment)
        for name, (vertex, fragment) in sources.items()
    }


def _depth_target(ctx: moderngl.Context, size: tuple[int, int]) -> tuple[moderngl.Texture, moderngl.Framebuffer]:
    texture = ctx.depth_texture(size)
    texture.compare_func = ""
    texture.filter = (moderngl.NEAREST, moderngl.NEAREST)
    return texture, ctx.framebuffer(depth_attachment=texture)


def _texture(ctx: moderngl.Context, image: NDArray[Any], dtype: str) -> moderngl.Texture:
    texture = ctx.texture((image.shape[1], image.shape[0]), image.shape[2], dtype=dtype, alignment=1)
    texture.write(np.ascontiguousarray(image))
    texture.build_mipmaps()
    texture.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
    return texture


def _set_lens(program: moderngl.Program, camera: Camera) -> None:
    k, distortion = camera.matrix, np.zeros(5)
    distortion[: camera.distortion.size] = camera.distortion
    program["lens"].value = (k[0, 0], k[1, 1], k[0, 2], k[1, 2])
    program["distortion"].value = distortion.tolist()
    program["radius2_max"].value = min(camera.largest_radius, _LARGEST_RADIUS) ** 2
    program["image_size"].value = camera.size
    program["depth_range"].value = (_NEAR_M, _FAR_M)


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


def _columns(matrix: Floats) -> NDArray[np.float32]:
    return np.ascontiguousarray(matrix.T, dtype="f4").ravel()


def _rows(values: Floats, pad: int) -> NDArray[np.float32]:
    return np.concatenate([np.asarray(values, "f4").ravel(), np.zeros(3 * pad, "f4")])
