"""Fit the open hand model to 2D and 3D landmarks: a damped least-squares solve, warm-started, batched over hands.

Unknowns of one hand: rotation (3), translation (3), joint angles (D), shape (S), log scale (1). Residuals, each divided
by the standard deviation given in `FitSettings`: the landmarks in 3D about their own centroid, the landmarks in 2D,
their depths in the image about their mean, the length of the hand, and the priors of the hand model. Everything is in
the virtual camera's frame (docs/conventions.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from handdgp_core.arrays import Array
from handdgp_core.geometry.alignment import align_rigid
from handdgp_core.geometry.positioning import position
from handdgp_core.hands.measure import hand_length_m
from handdgp_core.hands.open_hand.open_hand import HandPose, OpenHand

# Crop pixels in one unit of the landmark network's depths: MediaPipe divides them by 0.4.
_DEPTH_UNIT = 2.5
_NEAREST_M = 0.05
_HELD_STD = 0.002  # of a length that is held, relative


@dataclass(frozen=True)
class FitSettings:
    """Standard deviations of what goes into the fit, and how many steps it takes.

    Attributes:
        world_std_m: 3D landmarks, per axis of the virtual camera: (x, y, z).
        pixel_std: 2D landmarks, crop pixels, per axis.
        depth_std_px: the landmarks' depths, crop pixels.
        log_scale_std: size of hands about the mean of the model, where no length is given.
        iterations: most steps.
        tolerance: a step that lowers the cost by less than this share of it is the last one.
    """

    world_std_m: tuple[float, float, float] = (0.045, 0.045, 0.045)
    pixel_std: float = 2.0
    depth_std_px: float = 10.0
    log_scale_std: float = 0.06
    iterations: int = 12
    tolerance: float = 0.01


class FittedPose(NamedTuple):
    """Pose, shape and place of H fitted hands.

    Attributes:
        rotation: (H, 3, 3) virtual camera from hand model.
        translation_m: (H, 3) root in the virtual camera's frame.
        dof_rad: (H, D) joint angles.
        shape: (H, S) coefficients in standard deviations.
        log_scale: (H,) natural logarithm of the size against the mean hand.
    """

    rotation: Array
    translation_m: Array
    dof_rad: Array
    shape: Array
    log_scale: Array

    def turned(self, rotation: Array) -> HandPose:
        """The hand model's pose, with another rotation (H, 3, 3)."""
        return HandPose(rotation, self.dof_rad, self.shape, np.exp(self.log_scale))


class Observation(NamedTuple):
    """What the network predicted for H hands.

    Attributes:
        world_m: (H, 21, 3) landmarks in the virtual camera's axes, any origin.
        pixels: (H, 21, 2) landmarks in crop pixels.
        matrix: (H, 3, 3) intrinsics of the virtual cameras.
        depth: (H, 21) the landmark network's depths, any origin; None without.
        length_m: (H,) wrist to middle finger tip; None to leave it to the prior of the model.
        length_std: (H,) of `length_m`, relative; None to hold it.
    """

    world_m: Array
    pixels: Array
    matrix: Array
    depth: Array | None = None
    length_m: Array | None = None
    length_std: Array | None = None

    def at(self, index: int) -> Observation:
        """The observation of one hand, still batched (H = 1)."""
        here = slice(index, index + 1)
        optional = (None if part is None else part[here] for part in self[3:])
        return Observation(self.world_m[here], self.pixels[here], self.matrix[here], *optional)


def stack(poses: list[FittedPose]) -> FittedPose:
    """Join poses along the batch."""
    return FittedPose(*(np.concatenate(parts) for parts in zip(*poses, strict=True)))


class HandFitter:
    """Fits one `OpenHand` to observations.

    Examples:
        pose = HandFitter(OpenHand.load()).fit(observation)
    """

    def __init__(self, model: OpenHand, settings: FitSettings | None = None) -> None:
        self.model = model
        self.settings = settings or FitSettings()
        self._length_m, self._length_by_shape = _mean_length(model)

    def start(self, observation: Observation, turn_rad: Array | None = None) -> FittedPose:
        """The first guess: the mean pose, turned and moved onto the landmarks.

        Args:
            observation: landmarks of H hands; finite.
            turn_rad: (3,) rotation vector, axes of the virtual camera, by which it is turned away from them again.

        Returns:
            Pose of every hand, (H, ...).
        """
        count = len(observation.world_m)
        dof = np.repeat(self.model.dof_mean_rad[None], count, axis=0)
        held = observation.length_m
        pose = FittedPose(
            np.repeat(np.eye(3)[None], count, axis=0),
            np.zeros((count, 3)),
            dof,
            np.zeros((count, self.model.shape_count)),
            np.zeros(count) if held is None else np.log(held / self._length_m),
        )
        return self.place(pose, observation, turn_rad)

    def place(self, pose: FittedPose, observation: Observation, turn_rad: Array | None = None) -> FittedPose:
        """`pose` with rotation and translation recomputed from the landmarks, in closed form, then turned."""
        keypoints, _ = self.model.keypoints_and_jacobian(pose.dof_rad, pose.shape, np.exp(pose.log_scale))
        rotation = align_rigid(keypoints, observation.world_m).rotation
        if turn_rad is not None:
            rotation = Rotation.from_rotvec(turn_rad).as_matrix() @ rotation
        turned = np.einsum("hij,hkj->hki", rotation, keypoints)
        return pose._replace(rotation=rotation, translation_m=_translation(turned, observation))

    def fit(self, observation: Observation, start: FittedPose | None = None) -> FittedPose:
        """Least-squares pose of every hand.

        Args:
            observation: landmarks of H hands; finite.
            start: poses of the frame before, or None for hands that are new.

        Returns:
            Poses; the cost never exceeds that of the start.
        """
        return self.fit_with_cost(observation, start)[0]

    def fit_with_cost(
        self, observation: Observation, start: FittedPose | None = None, turn_rad: Array | None = None
    ) -> tuple[FittedPose, Array]:
        """`fit`, from a first guess turned by `turn_rad`; and what each pose costs (H,), as `cost` would say."""
        pose = self.start(observation, turn_rad) if start is None else self.place(start, observation)
        damping = np.full(len(observation.world_m), 1e-3)
        done = np.zeros(len(damping), dtype=bool)  # each hand stops by itself, so that a batch changes nothing
        residual, jacobian = self._linearise(pose, observation)
        for _ in range(self.settings.iterations):
            trial = moved(pose, _solve(residual, jacobian, damping))
            trial_residual, trial_jacobian = self._linearise(trial, observation)
            cost, trial_cost = _cost(residual), _cost(trial_residual)
            better = (trial_cost <= cost) & ~done
            damping = np.where(better, damping * 0.3, damping * 10.0)
            pose = FittedPose(*(_where(better, new, old) for new, old in zip(trial, pose, strict=True)))
            residual = _where(better, trial_residual, residual)
            jacobian = _where(better, trial_jacobian, jacobian)
            done |= better & (cost - trial_cost < self.settings.tolerance * cost)
            if done.all():
                break
        return pose, _cost(residual)

    def cost(self, pose: FittedPose, observation: Observation) -> Array:
        """(H,) what `fit` makes small: the sum of all squared residuals."""
        return _cost(self._linearise(pose, observation)[0])

    def _linearise(self, pose: FittedPose, observation: Observation) -> tuple[Array, Array]:
        """Whitened residuals (H, R) and their derivatives (H, R, P), P = 6 + D + S + 1."""
        model_keypoints, model_jacobian = self.model.keypoints_and_jacobian(
            pose.dof_rad, pose.shape, np.exp(pose.log_scale)
        )
        model_jacobian = model_jacobian.copy()
        model_jacobian[..., -1] *= np.exp(pose.log_scale)[:, None, None]  # d/d log s = s d/d s
        turned = np.einsum("hij,hkj->hki", pose.rotation, model_keypoints)
        by_pose = np.einsum("hij,hkjp->hkip", pose.rotation, model_jacobian)
        points_jacobian = np.concatenate(
            [-_cross_matrix(turned), np.broadcast_to(np.eye(3), (*turned.shape, 3)), by_pose], axis=-1
        )
        placed = turned + pose.translation_m[:, None]
        terms = [
            self._world_term(turned, points_jacobian, observation),
            self._pixel_term(placed, points_jacobian, observation),
            self._prior_term(pose, observation.length_m is not None),
        ]
        if observation.depth is not None:
            terms.append(self._depth_term(placed, points_jacobian, observation.depth, observation.matrix))
        if observation.length_m is not None:
            terms.append(
                self._length_term(pose, observation.length_m, observation.length_std, points_jacobian.shape[-1])
            )
        residuals, jacobians = zip(*terms, strict=True)
        return np.concatenate(residuals, axis=1), np.concatenate(jacobians, axis=1)

    def _world_term(self, turned: Array, jacobian: Array, observation: Observation) -> tuple[Array, Array]:
        std = np.asarray(self.settings.world_std_m)
        target = observation.world_m - observation.world_m.mean(axis=1, keepdims=True)
        residual = (turned - turned.mean(axis=1, keepdims=True) - target) / std
        centred = (jacobian - jacobian.mean(axis=1, keepdims=True)) / std[:, None]
        return _flat(residual), _flat_jacobian(centred)

    def _pixel_term(self, points: Array, jacobian: Array, observation: Observation) -> tuple[Array, Array]:
        depth = np.maximum(points[..., 2], 1e-3)
        focal = np.stack([observation.matrix[:, 0, 0], observation.matrix[:, 1, 1]], axis=-1)[:, None]
        centre = observation.matrix[:, None, :2, 2]
        projected = focal * points[..., :2] / depth[..., None] + centre
        residual = (projected - observation.pixels) / self.settings.pixel_std
        lateral = jacobian[..., :2, :] - (points[..., :2] / depth[..., None])[..., None] * jacobian[..., 2:, :]
        derivative = (focal / depth[..., None])[..., None] * lateral / self.settings.pixel_std
        return _flat(residual), _flat_jacobian(derivative)

    def _depth_term(self, points: Array, jacobian: Array, depth: Array, matrix: Array) -> tuple[Array, Array]:
        """Depths about their mean as they look in the image: weak perspective at the mean distance of the hand."""
        std = self.settings.depth_std_px
        distance = np.maximum(points[..., 2].mean(axis=1), _NEAREST_M)[:, None]
        scale = matrix[:, :1, 0] / distance
        relative = points[..., 2] - points[..., 2].mean(axis=1, keepdims=True)
        target = _DEPTH_UNIT * (depth - depth.mean(axis=1, keepdims=True))
        by_distance = jacobian[..., 2, :].mean(axis=1, keepdims=True)
        slope = jacobian[..., 2, :] - by_distance - (relative / distance)[..., None] * by_distance
        return (scale * relative - target) / std, scale[..., None] * slope / std

    def _length_term(
        self, pose: FittedPose, length_m: Array, length_std: Array | None, parameters: int
    ) -> tuple[Array, Array]:
        std = np.full((len(length_m), 1), _HELD_STD) if length_std is None else length_std[:, None]
        length = self._length_m + pose.shape @ self._length_by_shape
        residual = (pose.log_scale + np.log(length / length_m))[:, None] / std
        jacobian = np.zeros((len(length), 1, parameters))
        jacobian[:, 0, -1:] = 1.0 / std
        jacobian[:, 0, -1 - pose.shape.shape[1] : -1] = self._length_by_shape / length[:, None] / std
        return residual, jacobian

    def _prior_term(self, pose: FittedPose, length_held: bool) -> tuple[Array, Array]:
        dof_sd = self.model.dof_sd_rad
        size_slope = 0.0 if length_held else 1.0 / self.settings.log_scale_std
        residual = np.concatenate(
            [(pose.dof_rad - self.model.dof_mean_rad) / dof_sd, pose.shape, pose.log_scale[:, None] * size_slope],
            axis=1,
        )
        slopes = np.concatenate([1.0 / dof_sd, np.ones(pose.shape.shape[1]), [size_slope]])
        jacobian = np.concatenate([np.zeros((len(slopes), 6)), np.diag(slopes)], axis=1)
        return residual, np.broadcast_to(jacobian, (len(residual), *jacobian.shape))


def _mean_length(model: OpenHand) -> tuple[float, Array]:
    """Length of the mean hand (metres), and its derivative by shape (S,); bending does not change it."""
    count = model.shape_count
    shapes = np.concatenate([np.zeros((1, count)), np.eye(count)])
    rest = np.repeat(model.dof_mean_rad[None], len(shapes), axis=0)
    lengths = hand_length_m(model.keypoints_and_jacobian(rest, shapes, np.ones(len(shapes)))[0])
    return float(lengths[0]), lengths[1:] - lengths[0]


def _translation(turned: Array, observation: Observation) -> Array:
    """(H, 3) published DGP solve with uniform weights, depth kept in front of the camera."""
    matrix = observation.matrix
    plane = (observation.pixels - matrix[:, None, :2, 2]) / matrix[:, None, [0, 1], [0, 1]]
    root = position(turned, plane, np.ones(plane.shape[:2]), "published").unchecked_root_m
    found = np.nan_to_num(np.asarray(root, dtype=np.float64))
    found[:, 2] = np.maximum(found[:, 2], _NEAREST_M - turned[..., 2].min(axis=1))
    return found


def _solve(residual: Array, jacobian: Array, damping: Array) -> Array:
    """(H, P) damped Gauss-Newton step."""
    transposed = np.swapaxes(jacobian, 1, 2)
    normal = transposed @ jacobian
    diagonal = np.arange(normal.shape[-1])
    normal[:, diagonal, diagonal] *= 1.0 + damping[:, None]
    normal[:, diagonal, diagonal] += 1e-9
    return np.asarray(np.linalg.solve(normal, -transposed @ residual[..., None])[..., 0], dtype=np.float64)


def _cost(residual: Array) -> Array:
    """(H,) of residuals (H, R)."""
    return np.asarray((residual**2).sum(axis=-1))


def moved(pose: FittedPose, step: Array) -> FittedPose:
    """`pose` after a step (H, P), P = 6 + D + S + 1 as in `HandFitter`; of the size no more than a fifth."""
    dof_count = pose.dof_rad.shape[1]
    turn, move, dof, rest = np.split(step, [3, 6, 6 + dof_count], axis=1)
    return FittedPose(
        rotation=Rotation.from_rotvec(turn).as_matrix() @ pose.rotation,
        translation_m=pose.translation_m + move,
        dof_rad=pose.dof_rad + dof,
        shape=pose.shape + rest[:, :-1],
        log_scale=pose.log_scale + np.clip(rest[:, -1], -0.2, 0.2),
    )


def _where(choose: NDArray[np.bool_], new: Array, old: Array) -> Array:
    return np.where(choose.reshape(-1, *[1] * (new.ndim - 1)), new, old)


def _flat(residual: Array) -> Array:
    return residual.reshape(len(residual), -1)


def _flat_jacobian(jacobian: Array) -> Array:
    return jacobian.reshape(len(jacobian), -1, jacobian.shape[-1])


def _cross_matrix(vectors: Array) -> Array:
    """(..., 3, 3) matrix of the cross product v x ."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    zero = np.zeros_like(x)
    rows = [np.stack(row, axis=-1) for row in ((zero, -z, y), (z, zero, -x), (-y, x, zero))]
    return np.stack(rows, axis=-2)
