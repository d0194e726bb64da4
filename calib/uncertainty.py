"""How uncertain a calibration is where it matters: in pixels over the image, and in millimetres of depth."""

from __future__ import annotations

import numpy as np

from calib.lens_models import lens_model_of
from handdgp_core.arrays import Array
from handdgp_core.geometry.camera import Camera

__all__ = ["UncertaintyMap", "focal_std"]

_DISTANCE_M = 0.5


class UncertaintyMap:
    """Standard deviation of the projection over a grid of the image.

    A turn of the whole camera is no error of its calibration (whoever uses it sees the same scene, turned), so the part
    of an error that a rotation explains is taken out.

    Args:
        camera: about which the uncertainty is linearised.
        columns, rows: cells of the grid; each is judged in its middle.
        to_edges: the grid is one of places instead, of which the outermost lie on the edges of the picture.
    """

    def __init__(self, camera: Camera, columns: int = 16, rows: int = 9, to_edges: bool = False) -> None:
        self.columns, self.rows = columns, rows
        across = (np.arange(columns) + 0.5) * camera.width / columns - 0.5
        down = (np.arange(rows) + 0.5) * camera.height / rows - 0.5
        if to_edges:
            across, down = np.linspace(0, camera.width - 1, columns), np.linspace(0, camera.height - 1, rows)
        self.nodes_px = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)
        rays = camera.rays(self.nodes_px)
        self._known = np.asarray(np.isfinite(rays).all(axis=1))
        points = np.where(self._known[:, None], rays, (0.0, 0.0, 1.0)) * _DISTANCE_M
        lens = lens_model_of(camera)
        self._intrinsics = lens.intrinsics
        _, by_parameters, by_pose = lens.project(points, np.zeros(6), lens.parameters(camera))
        by_camera = by_parameters.reshape(-1, lens.intrinsics)
        turns, _ = np.linalg.qr(by_pose[:, :, :3].reshape(-1, 3))
        self._sensitivity = by_camera - turns @ (turns.T @ by_camera)

    def std_px(self, covariance: Array) -> Array:
        """(rows, columns) standard deviation in pixels, of the worse direction.

        Args:
            covariance: (K, K) of parameters of which the first are the camera's. NaN where the lens model does not
                hold.
        """
        count = self._intrinsics
        rows = self._sensitivity.reshape(-1, 2, count)
        blocks = rows @ covariance[:count, :count] @ np.swapaxes(rows, 1, 2)
        half_trace = 0.5 * (blocks[:, 0, 0] + blocks[:, 1, 1])
        root = np.sqrt(np.maximum(0.25 * (blocks[:, 0, 0] - blocks[:, 1, 1]) ** 2 + blocks[:, 0, 1] ** 2, 0.0))
        std = np.sqrt(np.maximum(half_trace + root, 0.0))
        return np.where(self._known, std, np.nan).reshape(self.rows, self.columns)


def focal_std(covariance: Array, camera: Camera) -> float:
    """Standard deviation of the focal length as a part of it; the worse of fx and fy."""
    return float(np.max(np.sqrt(np.maximum(np.diag(covariance)[:2], 0.0)) / camera.focal_px))
