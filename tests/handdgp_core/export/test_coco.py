"""Hands in COCO-WholeBody's form, read by pycocotools."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO

from handdgp_core.export.coco import CocoFile
from handdgp_core.geometry.camera import Camera
from handdgp_core.types import Frame
from tests.open_hands import degenerate_hand, open_hand

CAMERA = Camera(320, 240, np.array([[300.0, 0, 159.5], [0, 300.0, 119.5], [0, 0, 1]]))


def test_every_hand_is_an_annotation_of_its_image(tmp_path: Path) -> None:
    right, left = open_hand("right", (0.02, 0.05, 0.6)), open_hand("left", (-0.06, 0.05, 0.6))
    right, left = (replace(hand, keypoints_px=CAMERA.project(hand.keypoints_m)) for hand in (right, left))
    half_out = replace(left, keypoints_px=left.keypoints_px - [left.keypoints_px[0, 0], 0])
    exporter = CocoFile(tmp_path / "coco.json")
    for index, hands in enumerate(((right, left), (), (half_out, degenerate_hand()))):
        image = np.zeros((240, 320, 3), np.uint8)
        exporter.add(Frame(image, index, index, "b.png" if index == 2 else None), hands, CAMERA)
    exporter.close()
    exporter.close()
    coco = COCO(exporter.files[0])
    assert [image["file_name"] for image in coco.loadImgs([1, 2, 3])] == ["000000.jpg", "000001.jpg", "b.png"]
    assert [len(coco.getAnnIds(imgIds=[number])) for number in (1, 2, 3)] == [2, 0, 1]
    first, second = coco.loadAnns(coco.getAnnIds(imgIds=[1]))
    assert (first["righthand_valid"], first["lefthand_valid"], second["lefthand_valid"]) == (True, False, True)
    keypoints = np.array(first["righthand_kpts"]).reshape(21, 3)
    np.testing.assert_allclose(keypoints[:, :2] - 0.5, right.keypoints_px, atol=1e-3)
    assert (keypoints[:, 2] == 2).all() and not any(first["lefthand_kpts"])
    np.testing.assert_allclose(first["keypoints_camera_m"], right.keypoints_m, atol=1e-6)
    left_px, _, width_px, height_px = first["bbox"]
    assert left_px <= keypoints[:, 0].min() and keypoints[:, 0].max() <= left_px + width_px + 1e-3
    assert first["area"] == width_px * height_px
    out = np.array(coco.loadAnns(coco.getAnnIds(imgIds=[3]))[0]["lefthand_kpts"]).reshape(21, 3)
    outside = half_out.keypoints_px[:, 0] < -0.5
    assert outside.any() and (~outside).any()
    np.testing.assert_array_equal(out[:, 2] == 0, outside)
    assert not out[outside].any()
