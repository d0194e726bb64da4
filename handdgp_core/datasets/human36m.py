"""Human3.6M with the SMPL annotations of I2L-MeshNet.

Files, as published there: annotations/Human36M_subjectN_data.json (COCO's form: images and annotations),
Human36M_subjectN_camera.json ({camera: R, t, f, c}, millimetres) and Human36M_subjectN_smpl_param.json
({action: {subaction: {frame: pose, shape, trans}}}, metres, world frame); pictures in images/. There is a
Human36M_subjectN_joint_3d.json, too: 17 joints of another skeleton, which nothing here uses.

Train: subjects 1, 5, 6, 7, 8, every 5th frame. Test: 9 and 11, every 64th frame of camera 4, as in I2L-MeshNet. Frames
without SMPL parameters are skipped: they have neither the mesh nor its keypoints.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.datasets.files import DatasetError, DatasetFolder, checked_index
from handdgp_core.datasets.sample import LabelledHand, MeshFromParameters
from handdgp_core.errors import SourceError, UsageError
from handdgp_core.plain_files import read_json
from handdgp_core.sources.images import read_image

__all__ = ["Human36M"]

_LARGEST_JSON = 4 << 30

ORIGIN = "the data section of https://github.com/mks0601/I2L-MeshNet_RELEASE (images and annotations of Human3.6M)"
SUBJECTS = {"train": (1, 5, 6, 7, 8), "test": (9, 11)}
EVERY = {"train": 5, "test": 64}
TEST_CAMERA = 4
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


class Human36M:
    """One split, in the order of subjects and of their files.

    Args:
        root: the folder that holds annotations/ and images/.
        split: which one.
        mesh_from_parameters: SMPL (neutral), from pose (72,), shape (10,) and translation (3,), in their frame.
        keypoint_regressor: (K, V) keypoints of the mesh; the first is the root.
        every: use every n-th frame; the split's own number where not given.

    Raises:
        DatasetError: the root is not of this form, or a file is missing or cut short.
        UsageError: an unknown split, or a step below 1.
    """

    def __init__(
        self,
        root: str | Path,
        split: Literal["train", "test"],
        mesh_from_parameters: MeshFromParameters,
        keypoint_regressor: Array,
        every: int | None = None,
    ) -> None:
        if split not in SUBJECTS:
            raise UsageError(f"Human3.6M has no split {split!r}.", hint="Choose train or test.")
        self._every = EVERY[split] if every is None else every
        if self._every < 1:
            raise UsageError(f"Could not take every {every}th frame.", hint="Choose a step of 1 or more.")
        self.split = split
        self._mesh = mesh_from_parameters
        self._regressor = np.asarray(keypoint_regressor, dtype=np.float64)
        self._folder = DatasetFolder(root, "Human3.6M in I2L-MeshNet's layout", ORIGIN, ("annotations", "images"))
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
        vertices = world @ frame.camera_from_world.T + frame.translation_m
        return LabelledHand(image, frame.matrix, self._regressor @ vertices, vertices, name=name, box_px=frame.box_px)

    def _subject(self, subject: int) -> Iterator[_Frame]:
        stem = f"annotations/Human36M_subject{subject}"
        data, cameras, bodies = (self._json(f"{stem}_{part}.json") for part in ("data", "camera", "smpl_param"))
        try:
            boxes = {row["image_id"]: row.get("bbox") for row in data["annotations"]}
            pictures = [row for row in data["images"] if self._is_selected(row)]
        except (KeyError, TypeError) as error:
            raise self._folder.damaged(f"{stem}_data.json", f"there is no {error} in it") from error
        for picture in pictures:
            yield from self._frame(stem, picture, cameras, bodies, boxes.get(picture["id"]))

    def _is_selected(self, picture: dict[str, Any]) -> bool:
        in_step = int(picture["frame_idx"]) % self._every == 0
        return in_step and (self.split == "train" or int(picture["cam_idx"]) == TEST_CAMERA)

    def _frame(self, stem: str, picture: dict[str, Any], cameras: Any, bodies: Any, box: Any) -> Iterator[_Frame]:
        try:
            actions = bodies.get(str(picture["action_idx"]), {})
            body = actions.get(str(picture["subaction_idx"]), {}).get(str(picture["frame_idx"]))
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


def _corners(box: Array) -> Array:
    """left, top, right, bottom of COCO's left, top, width, height."""
    return np.array([box[0], box[1], box[0] + box[2], box[1] + box[3]])
