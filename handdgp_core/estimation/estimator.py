"""`HandEstimator`: the whole middle of the program, from a frame and its camera to hands in camera space."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.detection.crops import crop_from_keypoints
from handdgp_core.detection.landmarker import HandFinder, MediaPipeHandFinder
from handdgp_core.detection.track import Observation
from handdgp_core.detection.tracker import HandTracker, SearchCost, TrackerOptions
from handdgp_core.errors import ShapeError, UsageError
from handdgp_core.estimation.hand_length import check_hand_length, scale_to_chain
from handdgp_core.estimation.models import load_predictor
from handdgp_core.estimation.predictor import PositioningMethod, Prediction, Predictor, View
from handdgp_core.estimation.stopwatch import Stopwatch
from handdgp_core.geometry.camera import Camera, check_fits
from handdgp_core.geometry.hand_crop import HandCrop
from handdgp_core.geometry.positioning import Positioning, position
from handdgp_core.geometry.rectification import lens_shows
from handdgp_core.hands.measure import chain_of
from handdgp_core.types import Frame, Hand

# Of several views of a hand the one with the least misfit over this power of its presence counts. Chosen on four real
# sets; their error differs by a twentieth at most from 1 to 8.
_PRESENCE_POWER = 3
# What a network's log-odds of the side weigh beside the logarithm of the misfit. On those sets the same sides from
# 0.04 to 0.075; a rendered hand flat on a board, its back to the camera, fits the wrong side better by up to a third.
_SIDE_WEIGHT = 0.075
_SIDE_FLOOR = 0.02  # no network is surer of a side than this
# A hand that fits its view no worse than this is as good evidence of its side as can be. The median of four real sets.
_CLEAR_MISFIT = 100.0
# Standard deviation of a 2D keypoint in crop pixels below which no covariance goes.
_PIXEL_STD_FLOOR = 1.0


@dataclass(frozen=True)
class EstimatorState:
    """What a `HandEstimator` knows of earlier frames. Never changed once made."""

    model_name: str
    tracker: HandTracker
    looked_at: frozenset[int]
    memory: object


class HandEstimator:
    """Detector, tracker, rectification, network and DGP behind one call. Not thread-safe: one thread at a time.

    Attributes:
        hand_length_m: the user's own hand, wrist crease to middle finger tip, or None; may be changed between frames.
        hand_length_std: relative standard deviation of that length; it goes into `Hand.distance_std`.
        max_hands: how many hands are looked for; may be changed between frames.
        muted: keypoints (0..20) that get no say in DGP; may be changed between frames.
        method: "refined" or "published" DGP solve.
        stage_ms: milliseconds per stage of the last `estimate`.
        beyond_lens: hands of the last picture where the lens model has no answer; they are not among the hands.

    Examples:
        >>> with HandEstimator.from_weights() as estimator:
        ...     hands = estimator.estimate(image, Camera.assumed(1280, 720))
    """

    def __init__(
        self,
        predictor: Predictor,
        finder: HandFinder,
        hand_length_m: float | None = None,
        max_hands: int = 2,
        method: PositioningMethod | None = None,
        hand_length_std: float = 0.0,
    ) -> None:
        self.method: PositioningMethod = method or predictor.method
        self.muted: frozenset[int] = frozenset()
        self.hand_length_std = hand_length_std
        self.stage_ms: dict[str, float] = {}
        self.beyond_lens = 0
        self._predictor = predictor
        self._finder = finder
        self._tracker = HandTracker(finder, TrackerOptions(max_hands=max_hands))
        self.hand_length_m = hand_length_m
        self._images = 0  # given as plain arrays
        self._looked_at: set[int] = set()  # tracks of the last frame
        self._faces = {"right": predictor.faces, "left": np.ascontiguousarray(predictor.faces[:, ::-1])}

    @classmethod
    def from_weights(
        cls,
        name_or_path: str = "open",
        device: str = "auto",
        hand_length_m: float | None = None,
        max_hands: int = 2,
        method: PositioningMethod | None = None,
        hand_length_std: float = 0.0,
        engine: str = "auto",
        wait: bool = True,
    ) -> HandEstimator:
        """An estimator for a model by name or path.

        Args:
            name_or_path: "open", "landmarks", or the path of a checkpoint.
            device: "auto", "cpu" or "cuda".
            hand_length_m: the user's own hand, wrist crease to middle finger tip, or None.
            max_hands: 1 or 2.
            method: the DGP solve; None for the one that the model is meant for.
            hand_length_std: relative standard deviation of that length.
            engine: "auto", "pytorch" or "onnxruntime" (`engines.load_engine`).
            wait: for the engine of a network's first use, see there.

        Raises:
            UsageError: unknown model, device or engine, or an impossible hand length.
            AssetError: a file of the program is missing or damaged.
            WeightsError: a checkpoint that is missing, damaged, foreign, or not for hands.
        """
        check_hand_length(hand_length_m)
        predictor = load_predictor(name_or_path, device, engine, wait)
        return cls(predictor, MediaPipeHandFinder(), hand_length_m, max_hands, method, hand_length_std)

    @property
    def model_name(self) -> str:
        """The name that was given to `--model`."""
        return self._predictor.name

    @property
    def engine(self) -> str:
        """What runs the network, for people: "ONNX Runtime, CPU"."""
        return self._predictor.engine

    def rectified(self, frame: Frame, camera: Camera, hand: Hand) -> NDArray[np.uint8] | None:
        """(S, S, 3) uint8 RGB: the crop around a hand's keypoints as this network wants it, left hands mirrored.

        None where the lens cannot show it, or a keypoint has no place in the image.
        """
        if not np.isfinite(hand.keypoints_px).all():
            return None
        try:
            square = crop_from_keypoints(hand.keypoints_px, hand.handedness, hand.score)
            return np.asarray(self._predictor.rectify(camera, square).warp(frame.image), dtype=np.uint8)
        except UsageError:
            return None

    @property
    def faces(self) -> NDArray[np.int32]:
        """(F, 3) triangles of a right hand."""
        return self._predictor.faces

    @property
    def search_cost(self) -> SearchCost:
        """What searching whole images for hands has cost so far."""
        return self._tracker.cost

    @property
    def hand_length_m(self) -> float | None:
        return self._hand_length_m

    @hand_length_m.setter
    def hand_length_m(self, length_m: float | None) -> None:
        self._hand_length_m = check_hand_length(length_m)
        self._chain_m = None if length_m is None else chain_of(length_m)

    @property
    def max_hands(self) -> int:
        return self._tracker.options.max_hands

    @max_hands.setter
    def max_hands(self, count: int) -> None:
        if count == self.max_hands:
            return
        # A fresh tracker: with fewer hands allowed, the one to keep is the one that the next search finds first.
        self._tracker = HandTracker(self._finder, replace(self._tracker.options, max_hands=count))

    def estimate(
        self,
        image: Frame | NDArray[np.uint8],
        camera: Camera,
        *,
        bgr: bool = False,
        stamp_ns: int | None = None,
    ) -> list[Hand]:
        """Hands in one picture. Hands are followed from one call to the next: `reset` before an unrelated picture.

        Args:
            image: a frame, or a plain (height, width, 3) uint8 array, RGB and not mirrored.
            camera: intrinsics for this size of image.
            bgr: a plain array's channels are in OpenCV's order.
            stamp_ns: capture time of a plain array in nanoseconds, rising from call to call; by default the time of the
                call, which is right for a live camera.

        Returns:
            One `Hand` for every hand found, `degenerate` where it cannot be placed.

        Raises:
            ShapeError: not a colour image of uint8.
            UsageError: `bgr` or `stamp_ns` beside a frame, which is RGB and knows its time.
            CameraError: intrinsics of another image size.
        """
        frame = self._frame_of(image, bgr, stamp_ns)
        camera = check_fits(camera, frame.image.shape[1], frame.image.shape[0])
        watch = Stopwatch()
        crops = self._tracker.crops(frame.image, frame.stamp_ns)
        watch.lap("detection")
        views = self._rectify(camera, crops)
        hands: list[Hand] = []
        if views:
            views, prediction = self._predict(frame, camera, views, watch)
            hands = self._position(views, prediction)
            watch.lap("positioning")
        confirmed = self._tracker.update(_observations(hands, views, prediction) if views else [])
        lost = [view for hand, view in zip(hands, views, strict=True) if hand.track_id not in confirmed]
        self.beyond_lens = len(crops) - len(views) + sum(not lens_shows(camera, view.crop) for view in lost)
        self.stage_ms = watch.laps_ms
        return [hand for hand in hands if hand.track_id in confirmed]

    def reset(self) -> None:
        """Forget earlier frames, for example after a seek or a change of source."""
        self._looked_at.clear()
        self._tracker.reset()
        self._predictor.reset()

    def snapshot(self) -> EstimatorState:
        """What is known of earlier frames, for `restore`."""
        tracker = self._tracker.copy(self._finder)
        return EstimatorState(self.model_name, tracker, frozenset(self._looked_at), self._predictor.memory)

    def restore(self, state: EstimatorState) -> None:
        """Go back to a `snapshot`, of this or another estimator: the same frame then gives the same hands again.

        Of another model the followed hands count, but not their poses.
        """
        self._tracker = state.tracker.copy(self._finder)
        self._looked_at = set(state.looked_at)
        if state.model_name == self.model_name:
            self._predictor.memory = state.memory
        else:
            self._predictor.reset()

    def use_best_engine(self) -> None:
        """Change to a faster engine for the network where one has become ready since; between two frames."""
        self._predictor.use_best_engine()

    def close(self) -> None:
        """Give the threads and memory of detector and network back. May be called twice."""
        self._finder.close()
        self._predictor.close()

    def __enter__(self) -> HandEstimator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _frame_of(self, image: Frame | NDArray[np.uint8], bgr: bool, stamp_ns: int | None) -> Frame:
        if isinstance(image, Frame):
            if bgr or stamp_ns is not None:
                raise UsageError("bgr and stamp_ns are for a plain array, not for a Frame.", hint="Leave them out.")
            _check_image(image.image)
            return image
        _check_image(image)
        if bgr:
            image = np.ascontiguousarray(image[:, :, ::-1])
        self._images += 1
        return Frame(image, time.monotonic_ns() if stamp_ns is None else stamp_ns, self._images - 1)

    def _rectify(self, camera: Camera, crops: list[HandCrop]) -> list[View]:
        """The crops that the lens can show; the tracker misses the others and searches for them."""
        views = []
        for crop in crops:
            with suppress(UsageError):
                views.append(View(crop, self._predictor.rectify(camera, crop)))
        return views

    def _predict(
        self, frame: Frame, camera: Camera, views: list[View], watch: Stopwatch
    ) -> tuple[list[View], Prediction]:
        """Hands in the crops; a new one's crop is found again around its own keypoints, and the best of all counts.

        A detector's crop is rougher than one that follows a hand, and a network's first answer as good as its crop.
        The detector's side may be wrong, too: a hand of the wrong side fits badly to what the network sees in its crop.
        """
        prediction = self._crops_predicted(frame, views, watch)
        new = [
            index
            for index, view in enumerate(views)
            if view.crop.track_id not in self._looked_at and not np.isnan(prediction.score[index])
        ]
        self._looked_at = {view.crop.track_id for view in views}
        closer = [
            (index, crop) for index in new for crop in _around_keypoints(views[index], prediction.keypoints_px[index])
        ]
        other = [
            (index, _mirrored(views[index].crop))
            for index in new
            if not np.isnan(prediction.misfit[index]) and not self._tracker.remembers_side(views[index].crop.track_id)
        ]
        looks = self._looks(frame, camera, closer + other, watch)
        closer = [
            (index, crop)
            for index, view, seen in looks
            if view.crop.handedness != views[index].crop.handedness
            for crop in _around_keypoints(view, seen.keypoints_px)
        ]
        looks += self._looks(frame, camera, closer, watch)
        for index in new:
            first = (views[index], _row(prediction, index))
            view, seen = _best_look([first, *((view, seen) for looked, view, seen in looks if looked == index)])
            views = [*views[:index], view, *views[index + 1 :]]
            prediction = _replaced(prediction, index, seen)
        return views, prediction

    def _looks(
        self, frame: Frame, camera: Camera, crops: list[tuple[int, HandCrop]], watch: Stopwatch
    ) -> list[tuple[int, View, Prediction]]:
        """What the network sees in more crops, each with the number of its hand; none where the lens shows nothing."""
        views = [(index, view) for index, crop in crops for view in self._rectify(camera, [crop])]
        if not views:
            return []
        seen = self._crops_predicted(frame, [view for _, view in views], watch)
        return [(index, view, _row(seen, row)) for row, (index, view) in enumerate(views)]

    def _crops_predicted(self, frame: Frame, views: list[View], watch: Stopwatch) -> Prediction:
        images = np.stack([view.rectification.warp(frame.image) for view in views]).astype(np.uint8, copy=False)
        watch.lap("rectification")
        prediction = self._predictor.predict(images, views, frame.stamp_ns, self._chain_m)
        for stage, ms in self._predictor.stage_ms.items():
            watch.laps_ms[stage] = watch.laps_ms.get(stage, 0.0) + ms
        watch.skip()
        return prediction

    def _position(self, views: list[View], prediction: Prediction) -> list[Hand]:
        """DGP in each virtual camera, then back to the camera (network.md, steps 6 and 7)."""
        scale = scale_to_chain(prediction.keypoints_m, self._chain_m)
        keypoints = prediction.keypoints_m * scale[:, None, None]
        plane = np.stack(
            [view.rectification.normalised(px) for view, px in zip(views, prediction.keypoints_px, strict=True)]
        )
        floor = np.array([_PIXEL_STD_FLOOR / view.rectification.matrix[0, 0] for view in views])
        weights = prediction.weights.copy()
        weights[:, sorted(self.muted)] = 0.0
        solution = position(keypoints, plane, weights, self.method, floor)
        unmuted = position(keypoints, plane, prediction.weights, self.method, floor).root_m if self.muted else None
        return [
            self._hand(view, _row(prediction, index), float(scale[index]), weights[index], solution, unmuted, index)
            for index, view in enumerate(views)
        ]

    def _hand(
        self,
        view: View,
        predicted: Prediction,
        scale: float,
        weights: Array,
        solution: Positioning[NDArray[Any]],
        unmuted_m: Array | None,
        index: int,
    ) -> Hand:
        rectification, root = view.rectification, solution.root_m[index]
        keypoints_m, error = (
            rectification.points_to_camera(predicted.keypoints_m * scale + root),
            self._predictor.distance_error,
        )
        given_m, assumed_m = self._chain_m, self._predictor.assumed_length_m
        size_std = 0.0 if given_m is None else self.hand_length_std
        return Hand(
            handedness=view.crop.handedness,
            score=view.crop.score if np.isnan(predicted.score) else float(predicted.score),
            vertices_m=rectification.points_to_camera(predicted.vertices_m * scale + root),
            keypoints_m=keypoints_m,
            keypoints_px=rectification.image_from_crop(predicted.keypoints_px),
            weights=weights,
            root_m=rectification.points_to_camera(root),
            root_covariance_m2=rectification.covariance_to_camera(solution.covariance_m2[index]),
            hand_scale=scale * (given_m / assumed_m if given_m and assumed_m else 1.0),
            faces=self._faces[view.crop.handedness],
            degenerate=solution.reasons[index],
            track_id=view.crop.track_id,
            root_unmuted_m=None if unmuted_m is None else rectification.points_to_camera(unmuted_m[index]),
            distance_std=np.nan
            if error is None
            else float(np.hypot(error.relative(keypoints_m, rectification.camera, given_m is not None), size_std)),
            in_view=rectification.hand_in_view,
        )


def _around_keypoints(view: View, keypoints_px: Array) -> list[HandCrop]:
    """The crop around a hand's keypoints (21, 2) in an earlier crop; none where the lens cannot show one of them."""
    crop, pixels = view.crop, view.rectification.image_from_crop(keypoints_px)
    if not np.isfinite(pixels).all():
        return []
    return [crop_from_keypoints(pixels, crop.handedness, crop.score, crop.track_id)]


def _mirrored(crop: HandCrop) -> HandCrop:
    """The crop as one of the other hand."""
    return replace(crop, handedness="left" if crop.handedness == "right" else "right")


def _replaced(prediction: Prediction, index: int, seen: Prediction) -> Prediction:
    """`prediction` with another one (of one hand, without batch) in place of hand `index`."""
    parts = [part.copy() for part in prediction]
    for part, new in zip(parts, seen, strict=True):
        part[index] = new
    return Prediction(*parts)


def _best_look(looks: list[tuple[View, Prediction]]) -> tuple[View, Prediction]:
    """Of looks at one hand the best one of the better side.

    A side is as good as its worse look, for it must hold, and as what the network says of the side in all looks: a
    flat hand fits either side equally well.
    """
    right_logit = float(np.mean([_right_logit(view, seen) for view, seen in looks]))

    def cost(side: str) -> float:
        worst = max(_badness(seen) for view, seen in looks if view.crop.handedness == side)
        return float(np.log(worst)) - _SIDE_WEIGHT * (right_logit if side == "right" else -right_logit)

    sides = sorted({view.crop.handedness for view, _ in looks})
    side = min(sides, key=cost) if len(sides) > 1 else sides[0]
    return min((look for look in looks if look[0].crop.handedness == side), key=lambda look: _badness(look[1]))


def _right_logit(view: View, seen: Prediction) -> float:
    """Log-odds of a right hand, by the network; it saw the mirror image where the look was at a left one."""
    right = float(np.clip(seen.right, _SIDE_FLOOR, 1 - _SIDE_FLOOR))
    logit = float(np.log(right / (1 - right)))
    return -logit if view.rectification.mirrors else logit


def _badness(seen: Prediction) -> float:
    """How badly one hand (no batch) was seen; of networks that are not fitted, by their score alone."""
    score = max(float(seen.score), 1e-3)
    return -score if np.isnan(seen.misfit) else float(seen.misfit) / score**_PRESENCE_POWER


def _row(prediction: Prediction, index: int) -> Prediction:
    return Prediction(*(part[index] for part in prediction))


def _observations(hands: list[Hand], views: list[View], prediction: Prediction) -> list[Observation]:
    """What the tracker wants to know; the network saw mirror images of left hands."""
    return [
        Observation(
            hand.track_id,
            hand.keypoints_px,
            _known(score),
            _known(1 - right if view.rectification.mirrors else right),
            hand.handedness,
            1.0 if np.isnan(misfit) else min(1.0, _CLEAR_MISFIT / max(float(misfit), 1e-3)),
            _known(misfit),
        )
        for hand, view, score, right, misfit in zip(
            hands, views, prediction.score, prediction.right, prediction.misfit, strict=True
        )
    ]


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _check_image(image: object) -> None:
    if not isinstance(image, np.ndarray):
        raise ShapeError(
            f"An image must be a Frame or an array, not a {type(image).__name__}.",
            hint="numpy.asarray makes an array of it.",
        )
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ShapeError(
            f"An RGB image must be (height, width, 3) of uint8, not {image.shape} of {image.dtype}.",
            hint="Convert it to RGB first.",
        )
