"""The scene as Open3D geometry, in the one process and thread that may touch Open3D.

Two limits of Open3D 0.19 shape this: geometry ids run out after about 65 000 `add_geometry` calls, so everything is
added once and its vertex buffers are rewritten; and the picture goes blank after about 131 000 renders, so they are
counted and the owner replaces the process in time. Rewriting goes through a point cloud of the same vertex count, for
a tensor mesh keeps positions and colours in the same buffers as a cloud does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.viewport import marks
from app.viewport.colours import THEMES, Theme
from app.viewport.orbit import FAR_M, NEAR_M
from app.viewport.protocol import MAX_HANDS, RenderRequest, SceneHand, topology_id
from app.viewport.scene_geometry import (
    Mesh,
    Segments,
    balls_mesh,
    join_meshes,
    pulled_to_eye,
    ribbons_mesh,
    rings_mesh,
    shaded,
    tubes_mesh,
    view_pixel,
)
from handdgp_core.drawing.normals import vertex_normals

__all__ = ["Open3DScene"]

# The skeleton and the root lie inside the mesh; this share of the way to the eye brings them in front of it.
INNER_PULL = 0.25
KEPT_TOPOLOGIES = 8


class Open3DScene:
    """Owns the renderer. Create it and `draw` in one thread, which must be the main one.

    A process that holds one should leave by `os._exit`: tensors alive at the end turn the exit code to 1.

    Attributes:
        renders: pictures made so far.
        additions: geometries added so far.
    """

    def __init__(self) -> None:
        import open3d

        self._o3d: Any = open3d
        open3d.utility.set_verbosity_level(open3d.utility.VerbosityLevel.Error)
        self._renderer: Any = open3d.visualization.rendering.OffscreenRenderer(64, 64)
        self._scene: Any = self._renderer.scene
        self._scene.view.set_post_processing(False)
        self._scene.view.set_shadowing(False)
        self._material: Any = open3d.visualization.rendering.MaterialRecord()
        self._material.shader = "defaultUnlit"
        self._sizes: dict[str, int] = {}  # vertices of every geometry, by name
        self._visible: set[str] = set()
        self._keep: list[Any] = []  # buffers in use until the picture is made
        self.renders = self.additions = 0

    def draw(self, request: RenderRequest) -> NDArray[np.uint8]:
        """(height, width, 3) uint8 RGB, valid until the next call."""
        theme = THEMES[request.theme]
        self._keep.clear()
        # Filament takes the background for linear light, vertex colours for what they are.
        self._scene.set_background([*(channel ** (1 / 2.2) for channel in theme.background), 1.0])
        shown = {name: mesh for name, mesh in self._meshes(request, theme)}
        for name in self._visible - shown.keys():
            self._hide(name)
        for name, mesh in shown.items():
            self._put(name, mesh)
        self._visible = set(shown)
        self._look(request)
        application = self._o3d.visualization.gui.Application.instance
        image = application.render_to_image(self._scene, request.width, request.height)
        self.renders += 1
        return np.asarray(image)

    def _meshes(self, request: RenderRequest, theme: Theme) -> list[tuple[str, Mesh]]:
        orbit, options = request.orbit, request.options
        px = view_pixel(orbit, request.height, request.pixel_ratio)
        rig = marks.rig_strokes(request.scene.camera, theme, options, orbit)
        parts = [("rig", tubes_mesh(rig, orbit, px))]
        if options.grid:
            parts.append(("floor", ribbons_mesh(marks.floor_strokes(theme), orbit, px)))
            for index, hand in enumerate(request.scene.hands[:MAX_HANDS]):
                parts.append((f"shadow{index}", rings_mesh(*marks.shadow_rings(hand, theme))))
        for index, hand in enumerate(request.scene.hands[:MAX_HANDS]):
            path = ribbons_mesh(marks.path_strokes(hand, theme, options), orbit, px)
            parts += [(f"path{index}", path), (f"inner{index}", _inner_mesh(hand, theme, request, px))]
            if options.mesh and len(hand.faces):
                parts.append((self._hand_name(index, hand), _hand_mesh(hand, theme, request)))
        return parts

    def _hand_name(self, index: int, hand: SceneHand) -> str:
        """Sides differ in their triangles, so a slot may hold several meshes; all but one are hidden."""
        name = f"hand{index}:{len(hand.vertices_m)}:{topology_id(hand.faces)}"
        known = [other for other in self._sizes if other.startswith(f"hand{index}:")]
        if name not in known and len(known) >= KEPT_TOPOLOGIES:
            self._scene.remove_geometry(known[0])
            self._visible.discard(known[0])
            del self._sizes[known[0]]
        return name

    def _put(self, name: str, mesh: Mesh) -> None:
        points = self._tensor(mesh.vertices_m, np.float32)
        colours = self._tensor(mesh.colours, np.float32)
        if name in self._sizes:
            self._rewrite(name, points, colours)
            return
        body = self._o3d.t.geometry.TriangleMesh(points, self._tensor(mesh.faces, np.int32))
        body.vertex.colors = colours
        self._scene.add_geometry(name, body, self._material)
        # Its bounding box is never updated, so culling would make it vanish.
        self._scene.scene.set_geometry_culling(name, False)
        self._sizes[name] = len(mesh.vertices_m)
        self.additions += 1

    def _hide(self, name: str) -> None:
        """All vertices in one point: no triangle has an area. Removing it would cost an id."""
        nowhere = np.zeros((self._sizes[name], 3))
        self._rewrite(name, self._tensor(nowhere, np.float32), self._tensor(nowhere, np.float32))

    def _rewrite(self, name: str, points: Any, colours: Any) -> None:
        rendering = self._o3d.visualization.rendering
        cloud = self._o3d.t.geometry.PointCloud(points)
        cloud.point.colors = colours
        flags = rendering.Scene.UPDATE_POINTS_FLAG | rendering.Scene.UPDATE_COLORS_FLAG
        self._scene.scene.update_geometry(name, cloud, flags)
        self._keep.append(cloud)

    def _tensor(self, array: NDArray[Any], kind: Any) -> Any:
        return self._o3d.core.Tensor(np.ascontiguousarray(array, dtype=kind))

    def _look(self, request: RenderRequest) -> None:
        orbit, camera = request.orbit, self._scene.camera
        fov_type = self._o3d.visualization.rendering.Camera.FovType.Vertical
        camera.set_projection(np.degrees(orbit.fov_rad), request.width / request.height, NEAR_M, FAR_M, fov_type)
        camera.look_at(np.asarray(orbit.target_m), orbit.eye_m(), orbit.axes()[1])


def _hand_mesh(hand: SceneHand, theme: Theme, request: RenderRequest) -> Mesh:
    normals = vertex_normals(hand.vertices_m, hand.faces)
    return Mesh(hand.vertices_m, shaded(normals, theme.hand(hand.side, hand.recorded), request.orbit), hand.faces)


def _inner_mesh(hand: SceneHand, theme: Theme, request: RenderRequest, px: float) -> Mesh:
    """Skeleton, root and ellipsoid, brought in front of the hand that they lie in."""
    orbit, options = request.orbit, request.options
    bones = tubes_mesh(Segments.join([marks.bone_strokes(hand, options), marks.mute_strokes(hand, theme)]), orbit, px)
    rings = ribbons_mesh(marks.ellipsoid_strokes(hand, theme, options), orbit, px)
    inner = join_meshes([bones, rings, balls_mesh(marks.balls(hand, theme, options), orbit)])
    return Mesh(pulled_to_eye(inner.vertices_m, orbit, INNER_PULL), inner.colours, inner.faces)
