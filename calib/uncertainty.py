"""How uncertain a calibration is where it matters: in pixels over the image, and in millimetres of depth."""

from __future__ import annotations

import numpy as np

from calib.board_shape import SHAPES
from calib.normal_equations import INTRINSICS, SHARED, project_view
from handdgp_core.arrays import Array
from handdgp_core.geometry.camera import Camera

__all__ = ["UncertaintyMap", "focal_std"]

_DISTANCE_M = 0.5
_NO_SHAPE = np.zeros((1, 3, SHAPES))


class UncertaintyMap:
    """Standard deviation of the projection over a grid of the image.

    A turn of the whole camera is no error of its calibration (whoever uses it sees the same scene, turned), so the part
    of an error that a rotation explains is taken out.

    Args:
        camera: about which the uncertainty is linearised.
        columns, rows: cells of the grid; each is judged in its middle.
    """

    def __init__(self, camera: Camera, columns: int = 16, rows: int = 9) -> None:
        self.columns, self.rows = columns, rows
        across = (np.arange(columns) + 0.5) * camera.width / columns - 0.5
        down = (np.arange(rows) + 0.5) * camera.height / rows - 0.5
        self.nodes_px = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)
        rays = camera.rays(self.nodes_px)
        self._known = np.asarray(np.isfinite(rays).all(axis=1))
        points = np.where(self._known[:, None], rays, (0.0, 0.0, 1.0)) * _DISTANCE_M
        shared = np.concatenate([camera.pinhole, np.zeros(SHARED - 4)])
        shared[4 : 4 + min(5, camera.distortion.size)] = camera.distortion[:5]
        shapes = np.broadcast_to(_NO_SHAPE, (len(points), 3, SHAPES))
        _, by_shared, by_pose = project_view(points, shapes, np.zeros(6), shared)
        by_camera = by_shared[:, :, :INTRINSICS].reshape(-1, INTRINSICS)
        turns, _ = np.linalg.qr(by_pose[:, :, :3].reshape(-1, 3))
        self._sensitivity = by_camera - turns @ (turns.T @ by_camera)

    def std_px(self, covariance: Array) -> Array:
        """(rows, columns) standard deviation in pixels, of the worse direction.

        Args:
            covariance: (13, 13) or (9, 9) of the shared parameters. NaN where the lens model does not hold.
        """
        rows = self._sensitivity.reshape(-1, 2, INTRINSICS)
        blocks = rows @ covariance[:INTRINSICS, :INTRINSICS] @ np.swapaxes(rows, 1, 2)
        half_trace = 0.5 * (blocks[:, 0, 0] + blocks[:, 1, 1])
        root = np.sqrt(np.maximum(0.25 * (blocks[:, 0, 0] - blocks[:, 1, 1]) ** 2 + blocks[:, 0, 1] ** 2, 0.0))
        std = np.sqrt(np.maximum(half_trace + root, 0.0))
        return np.where(self._known, std, np.nan).reshape(self.rows, self.columns)


def focal_std(covariance: Array, camera: Camera) -> float:
    """Standard deviation of the focal length as a part of it; the worse of fx and fy."""
    return float(np.max(np.sqrt(np.maximum(np.diag(covariance)[:2], 0.0)) / camera.focal_px))
