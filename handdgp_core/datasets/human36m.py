"""Human3.6M with the SMPL annotations of I2L-MeshNet.

Files, as published there: annotations/Human36M_subjectN_data.json (COCO's form: images and annotations),
Human36M_subjectN_camera.json ({camera: R, t, f, c}, millimetres) and Human36M_subjectN_smpl_param.json
({action: {subaction: {frame: pose, shape, trans}}}, metres, world frame); pictures in images/. There is a
Human36M_subjectN_joint_3d.json, too: 17 joints of another skeleton (millimetres, world frame), for the fit error alone.

Train: subjects 1, 5, 6, 7, 8, every 5th frame. Test: 9 and 11, every 64th frame of camera 4, as in I2L-MeshNet. Frames
without SMPL parameters are skipped: they have neither the mesh nor its keypoints.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.datasets.files import DatasetError, DatasetFolder, checked_index
from handdgp_core.datasets.sample import LabelledHand, MeshFromParameters, unknown_keypoints
from handdgp_core.errors import SourceError, UsageError
from handdgp_core.plain_files import map_npy, read_json
from handdgp_core.sources.images import read_image

__all__ = ["Human36M"]

_LARGEST_JSON = 4 << 30

ORIGIN = "the data section of https://github.com/mks0601/I2L-MeshNet_RELEASE (images and annotations of Human3.6M)"
SUBJECTS = {"train": (1, 5, 6, 7, 8), "test": (9, 11)}
EVERY = {"train": 5, "test": 64}
TEST_CAMERA = 4
JOINTS = 17
REGRESSOR = "J_regressor_h36m_correct.npy"
PARAMETERS = {"pose": 72, "shape": 10, "trans": 3}


@dataclass(frozen=True)
class _Frame:
    picture: str
    matrix: Array
    camera_from_world: Array
    translation_m: Array
    pose: Array
    shape: Array
    root_m: Array
    box_px: Array | None
    joints_m: Array | None  # (17, 3) world frame


class Human36M:
    """One split, in the order of subjects and of their files.

    Args:
        root: the folder that holds annotations/ and images/.
        split: which one.
        mesh_from_parameters: SMPL (neutral), from pose (72,), shape (10,) and translation (3,), in their frame.
        keypoint_regressor: (K, V) keypoints of the mesh; the first is the root.
        every: use every n-th frame; the split's own number where not given.
        fit_error_mm: a frame whose mesh is off from the measured joints by more than this on average, both means put
            together, counts as one without labels, as in I2L-MeshNet, whose authors take 25. Needs their
            `J_regressor_h36m_correct.npy` in the folder. None takes every fit.

    Raises:
        DatasetError: the root is not of this form, or a file is missing or cut short.
        UsageError: an unknown split, a step below 1, or a limit on the fit error that is not positive.
    """

    def __init__(
        self,
        root: str | Path,
        split: Literal["train", "test"],
        mesh_from_parameters: MeshFromParameters,
        keypoint_regressor: Array,
        every: int | None = None,
        fit_error_mm: float | None = None,
    ) -> None:
        if split not in SUBJECTS:
            raise UsageError(f"Human3.6M has no split {split!r}.", hint="Choose train or test.")
        self._every = EVERY[split] if every is None else every
        if self._every < 1:
            raise UsageError(f"Could not take every {every}th frame.", hint="Choose a step of 1 or more.")
        if fit_error_mm is not None and not fit_error_mm > 0:
            raise UsageError(f"fit_error_mm cannot be {fit_error_mm}.", hint="Give a positive number, or none.")
        self._limit_mm = fit_error_mm
        self.split = split
        self._mesh = mesh_from_parameters
        self._regressor = np.asarray(keypoint_regressor, dtype=np.float64)
        self._folder = DatasetFolder(root, "Human3.6M in I2L-MeshNet's layout", ORIGIN, ("annotations", "images"))
        self._joints = None if fit_error_mm is None else self._joint_regressor()
        self._frames = [frame for subject in SUBJECTS[split] for frame in self._subject(subject)]
        if not self._frames:
            raise self._folder.damaged("annotations", f"no frame of the {split} split has SMPL parameters")
        self._check_images()

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> LabelledHand:
        frame = self._frames[checked_index(index, len(self))]
        name = f"images/{frame.picture}"
        try:
            image = read_image(self._folder.root / name, use_exif=False)
        except SourceError as error:
            raise self._folder.damaged(name, error.problem) from error
        world = self._mesh(frame.pose, frame.shape, frame.root_m)
        if world.shape != (self._regressor.shape[1], 3):
            raise DatasetError(
                f"The regressor of keypoints is for {self._regressor.shape[1]} vertices, the mesh has {len(world)}."
            )
        known = (
            self._joints is None or frame.joints_m is None or _fits(world, frame.joints_m, self._joints, self._limit_mm)
        )
        vertices = world @ frame.camera_from_world.T + frame.translation_m
        person = LabelledHand(image, frame.matrix, self._regressor @ vertices, vertices, name=name, box_px=frame.box_px)
        return (
            person if known else replace(person, vertices_m=None, keypoints_m=unknown_keypoints(len(self._regressor)))
        )

    def _joint_regressor(self) -> Array:
        """(17, V)."""
        path = self._folder.file(REGRESSOR)
        try:
            regressor = np.asarray(map_npy(path), dtype=np.float64)
        except (OSError, ValueError, TypeError) as error:
            raise self._folder.damaged(REGRESSOR, f"it is no whole NumPy file of numbers ({error})") from error
        if regressor.shape != (JOINTS, self._regressor.shape[1]) or not np.isfinite(regressor).all():
            expected = f"{JOINTS} x {self._regressor.shape[1]} finite numbers"
            raise self._folder.damaged(REGRESSOR, f"expected {expected}, got the shape {regressor.shape}")
        return regressor

    def _subject(self, subject: int) -> Iterator[_Frame]:
        stem = f"annotations/Human36M_subject{subject}"
        data, cameras, bodies = (self._json(f"{stem}_{part}.json") for part in ("data", "camera", "smpl_param"))
        try:
            boxes = {row["image_id"]: row.get("bbox") for row in data["annotations"]}
            pictures = [row for row in data["images"] if self._is_selected(row)]
        except (KeyError, TypeError) as error:
            raise self._folder.damaged(f"{stem}_data.json", f"there is no {error} in it") from error
        joints = {} if self._joints is None else self._json(f"{stem}_joint_3d.json")
        for picture in pictures:
            yield from self._frame(stem, picture, cameras, bodies, joints, boxes.get(picture["id"]))

    def _is_selected(self, picture: dict[str, Any]) -> bool:
        in_step = int(picture["frame_idx"]) % self._every == 0
        return in_step and (self.split == "train" or int(picture["cam_idx"]) == TEST_CAMERA)

    def _frame(
        self, stem: str, picture: dict[str, Any], cameras: Any, bodies: Any, joints: Any, box: Any
    ) -> Iterator[_Frame]:
        try:
            body, measured_mm = (_of_frame(parts, picture) for parts in (bodies, joints))
            camera = cameras[str(picture["cam_idx"])]
            if body is None:
                return
            numbers = {key: np.asarray(body[key], dtype=np.float64).reshape(count) for key, count in PARAMETERS.items()}
            (fx, fy), (cx, cy) = camera["f"], camera["c"]
            yield _Frame(
                str(picture["file_name"]),
                np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=np.float64),
                np.asarray(camera["R"], dtype=np.float64).reshape(3, 3),
                np.asarray(camera["t"], dtype=np.float64).reshape(3) / 1000,
                numbers["pose"],
                numbers["shape"],
                numbers["trans"],
                None if box is None else _corners(np.asarray(box, dtype=np.float64).reshape(4)),
                None if measured_mm is None else np.asarray(measured_mm, dtype=np.float64).reshape(JOINTS, 3) / 1000,
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            reason = f"the parts of frame {picture.get('file_name')} do not fit together: {error}"
            raise self._folder.damaged(f"{stem}_*.json", reason) from error

    def _json(self, name: str) -> Any:
        path = self._folder.file(name)
        try:
            return read_json(path, _LARGEST_JSON)
        except ValueError as error:  # also a wrong encoding
            raise self._folder.damaged(name, f"it is not valid JSON ({error})") from error

    def _check_images(self) -> None:
        by_folder: dict[str, list[str]] = {}
        for frame in self._frames:
            folder, _, name = f"images/{frame.picture}".rpartition("/")
            by_folder.setdefault(folder, []).append(name)
        for folder, names in by_folder.items():
            self._folder.check_all_present(folder, names)


def _of_frame(parts: Any, picture: dict[str, Any]) -> Any:
    actions = parts.get(str(picture["action_idx"]), {})
    return actions.get(str(picture["subaction_idx"]), {}).get(str(picture["frame_idx"]))


def _fits(world_m: Array, joints_m: Array, regressor: Array, limit_mm: float | None) -> bool:
    """Whether the mesh's joints are that near to the measured ones; the means are put together first."""
    found = regressor @ world_m
    apart = (found - found.mean(axis=0)) - (joints_m - joints_m.mean(axis=0))
    return limit_mm is None or bool(1e3 * np.linalg.norm(apart, axis=1).mean() <= limit_mm)


def _corners(box: Array) -> Array:
    """left, top, right, bottom of COCO's left, top, width, height."""
    return np.array([box[0], box[1], box[0] + box[2], box[1] + box[3]])
