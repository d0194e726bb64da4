"""The bundled clip against its own truth."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.open_hand.open_hand import HandPose, OpenHand, mirrored
from tests.places import ROOT
from tools.assets.demo_clip import DURATION_S, RATE, demo_camera

FOLDER = ROOT / "assets" / "demo"
STEP = 24


@cache
def truth() -> dict[str, NDArray]:
    with np.load(FOLDER / "truth.npz") as arrays:
        return {key: arrays[key] for key in arrays.files}


@cache
def pictures() -> dict[int, NDArray]:
    """Every 24th frame, and the number of frames under -1."""
    capture = cv2.VideoCapture(str(FOLDER / "demo.mp4"))
    frames: dict[int, NDArray] = {}
    number = 0
    while capture.grab():
        if number % STEP == 0:
            frames[number] = capture.retrieve()[1][..., ::-1].astype(np.int16)
        number += 1
    frames[-1] = np.array(number)
    return frames


def camera() -> Camera:
    width, height = truth()["size"]
    return Camera(int(width), int(height), truth()["matrix"], truth()["distortion"])


def test_clip_has_the_frames_that_the_truth_counts() -> None:
    count = int(pictures()[-1])
    assert count == round(DURATION_S * RATE)
    assert pictures()[0].shape == (720, 1280, 3)
    assert truth()["frame_index"].max() < count
    np.testing.assert_array_equal(truth()["stamp_ns"], np.round(truth()["frame_index"] * 1e9 / RATE))


def test_assets_stay_small() -> None:
    assert (FOLDER / "demo.mp4").stat().st_size < 8e6
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 15e6


def test_truth_is_one_row_per_hand_and_frame() -> None:
    rows = list(zip(truth()["frame_index"].tolist(), truth()["handedness"].tolist(), strict=True))
    assert len(set(rows)) == len(rows)
    assert {side for _, side in rows} == {"left", "right"}
    both = np.bincount(truth()["frame_index"])
    assert (both == 2).sum() > 60
    assert truth()["fully_visible"].mean() > 0.7
    np.testing.assert_array_equal(truth()["root_m"], truth()["keypoints_m"][:, 0])
    assert camera().matrix.tolist() == demo_camera().matrix.tolist()


def test_the_open_hand_makes_the_stored_meshes_again() -> None:
    hand, data = OpenHand.load(), truth()
    rows = data["sample_row"][::4]
    left = data["handedness"][rows] == "left"
    pose = HandPose(
        data["camera_from_model"][rows],
        data["dof_rad"][rows],
        np.zeros((len(rows), hand.shape_count)),
        data["hand_scale"][rows],
    )
    vertices, keypoints = hand.forward(pose)
    vertices[left], keypoints[left] = mirrored(vertices[left]), mirrored(keypoints[left])
    root = data["root_m"][rows][:, None]
    np.testing.assert_allclose(vertices + root, data["sample_vertices_m"][::4], atol=2e-6)
    np.testing.assert_allclose(keypoints + root, data["keypoints_m"][rows], atol=1e-9)


def test_fully_visible_means_that() -> None:
    data = truth()
    inside = []
    for vertices in data["sample_vertices_m"]:
        pixels = camera().project(vertices.astype(float))
        inside.append(bool(((pixels >= -0.5) & (pixels <= np.array([1279.5, 719.5]))).all()))
    assert inside == data["fully_visible"][data["sample_row"]].tolist()


def test_truth_projects_onto_the_hand_in_the_picture() -> None:
    """Against the empty room: on a vertex there is hand, just outside the outline there is none (or sleeve)."""
    data, frames = truth(), pictures()
    room = frames[next(number for number in sorted(frames) if _is_empty(number))]
    on, off = [], []
    for row in np.flatnonzero(data["fully_visible"] & (data["frame_index"] % STEP == 0)):
        difference = np.abs(frames[int(data["frame_index"][row])] - room).max(axis=-1)
        pixels = camera().project(data["keypoints_m"][row])
        on += difference[tuple(np.round(pixels).astype(int).T[::-1])].tolist()
        others = data["frame_index"] == data["frame_index"][row]
        hull = np.concatenate([camera().project(k) for k in data["keypoints_m"][others]])
        u, v = np.mgrid[20:1260:40, 20:500:40].reshape(2, -1)
        far = np.min(np.hypot(u[:, None] - hull[:, 0], v[:, None] - hull[:, 1]), axis=1) > 260
        off += difference[v[far], u[far]].tolist()
    assert np.mean(np.array(on) > 18) > 0.93  # skin may match a book or the wall here and there
    assert np.mean(np.array(off) > 18) < 0.05


def _is_empty(number: int) -> bool:
    return number >= 0 and not (np.abs(truth()["frame_index"] - number) < 3).any()


def test_clip_begins_and_ends_with_the_empty_room() -> None:
    assert truth()["frame_index"].min() > 0
    assert truth()["frame_index"].max() < round(DURATION_S * RATE) - 1


@pytest.mark.gl
def test_rendered_outline_of_the_true_mesh_covers_its_keypoints(renderer_maker: type) -> None:
    from handdgp_core.synthetic.rendering.scene import Material, Placed
    from handdgp_core.synthetic.rendering.surface import SmoothSurface

    hand, data = OpenHand.load(), truth()
    surface = SmoothSurface(hand.faces, levels=1)
    grey = Material(np.full((4, 4, 4), 128, np.uint8), np.zeros((4, 4), np.float32))
    hits = []
    with renderer_maker(1280, 720, 1, 64, 16) as renderer:
        number = renderer.add_surface(surface, grey)
        for sample in range(0, len(data["sample_row"]), 5):
            row = data["sample_row"][sample]
            positions, normals = surface.refine(data["sample_vertices_m"][sample].astype(float))
            label = renderer.segment([Placed(number, positions, normals)], camera())
            pixels = np.round(camera().project(data["keypoints_m"][row])).astype(int)
            seen = ((pixels >= 0) & (pixels < [1280, 720])).all(axis=1)
            hits += label[pixels[seen, 1], pixels[seen, 0]].tolist()
    assert len(hits) > 100
    assert np.mean(hits) > 0.995
