"""Exports of many frames: one moving GLB, a FreiHAND-like folder, a scene for Foxglove; all opened by other readers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pygltflib
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory
from scipy.spatial.transform import Rotation

from handdgp_core.errors import OutputError
from handdgp_core.export.foxglove_scene import SCENE, FoxgloveScene
from handdgp_core.export.freihand import FreiHandFolder
from handdgp_core.export.glb_animation import HandAnimation
from handdgp_core.export.morphing import morph
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.palm import distance_std_m
from handdgp_core.types import Frame, Hand
from tests.handdgp_core.export.glb_files import accessor

OPENGL = np.diag([1.0, -1.0, -1.0])


def moved(hand: Hand, number: int) -> Hand:
    """The hand turned, shifted and bent, differently in every frame."""
    turn = Rotation.from_rotvec([0.02 * number, 0.05 * number, -0.1 * number]).as_matrix()
    bend = 0.01 * np.sin(0.5 * number) * np.sin(60 * hand.vertices_m[:, :1]) * [0, 0, 1.0]
    shift = np.array([0.001 * number, -0.002 * number, 0.003 * number])

    def move(points: np.ndarray) -> np.ndarray:
        return (points - hand.root_m) @ turn.T + hand.root_m + shift

    return replace(
        hand, vertices_m=move(hand.vertices_m + bend), keypoints_m=move(hand.keypoints_m), root_m=move(hand.root_m)
    )


class Playback:
    """Plays a node of a GLB as the specification says."""

    def __init__(self, path: Path, name: str) -> None:
        self.glb = pygltflib.GLTF2().load(str(path))
        self.node = next(place for place, node in enumerate(self.glb.nodes) if node.name == name)
        self.primitive = self.glb.meshes[self.glb.nodes[self.node].mesh].primitives[0]

    def curve(self, path: str) -> tuple[np.ndarray, np.ndarray]:
        animation = self.glb.animations[0]
        channel = next(c for c in animation.channels if c.target.node == self.node and c.target.path == path)
        sampler = animation.samplers[channel.sampler]
        return accessor(self.glb, sampler.input)[:, 0], accessor(self.glb, sampler.output)

    def vertices_m(self, place: int) -> np.ndarray:
        shape = accessor(self.glb, self.primitive.attributes.POSITION).astype(np.float64)
        count = len(self.primitive.targets or [])
        if count:
            weights = self.curve("weights")[1].reshape(-1, count)[place]
            assert weights.min() >= 0 and weights.max() <= 1
            for weight, target in zip(weights, self.primitive.targets, strict=True):
                shape += weight * accessor(self.glb, target["POSITION"])
        turn = Rotation.from_quat(self.curve("rotation")[1][place])
        return turn.apply(shape) + self.curve("translation")[1][place]


def test_an_animated_glb_moves_as_the_hands_did(tmp_path: Path, make_hand, make_frame, camera: Camera) -> None:
    right, left = make_hand("right"), make_hand("left", (0.1, 0.0, 0.5))
    path = tmp_path / "hands.glb"
    exporter = HandAnimation(path)
    for number in range(40):
        hands = [moved(right, number)] + ([moved(left, number)] if 10 <= number < 30 else [])
        exporter.add(make_frame(100 + number), hands, camera)
    exporter.close()
    exporter.close()
    assert [file.name for file in tmp_path.iterdir()] == ["hands.glb"] and exporter.files == [path]
    for name, hand, frames in (("right hand", right, range(40)), ("left hand", left, range(10, 30))):
        playback = Playback(path, name)
        times, _ = playback.curve("translation")
        np.testing.assert_allclose(times, 0.033 * np.array(frames), atol=1e-5)
        for place, number in enumerate(frames):
            wanted = moved(hand, number).vertices_m @ OPENGL.T
            assert np.linalg.norm(playback.vertices_m(place) - wanted, axis=1).max() < 2e-4, (name, number)
        shown_at, shown = playback.curve("scale")
        assert len(shown_at) == 40 and set(shown[list(frames)].ravel()) == {1.0}
        assert int(shown[:, 0].sum()) == len(frames)
        np.testing.assert_array_equal(accessor(playback.glb, playback.primitive.indices).reshape(-1, 3), hand.faces)
    _check_camera(path, camera)
    scene = trimesh.load(path)  # reads the file at the time of its first frame
    assert set(scene.geometry) == {"right hand", "left hand"}


def _check_camera(path: Path, camera: Camera) -> None:
    glb = pygltflib.GLTF2().load(str(path))
    node = next(node for node in glb.nodes if node.camera is not None)
    assert node.translation is None and node.rotation is None  # at the origin, looking along -z
    lens = glb.cameras[node.camera].perspective
    assert 2 * np.degrees(np.arctan(0.5 * camera.height / camera.matrix[1, 1])) == pytest.approx(np.degrees(lens.yfov))
    assert lens.aspectRatio == pytest.approx(camera.width / camera.height)
    assert glb.asset.extras["units"] == "metres" and glb.asset.extras["first_frame"] == 100
    assert glb.asset.extras["largest_vertex_error_mm"] < 0.2


def test_one_frame_and_no_frame_and_degenerate_hands(tmp_path: Path, make_hand, make_frame, camera, degenerate) -> None:
    still = HandAnimation(tmp_path / "still.glb")
    still.add(make_frame(), [make_hand(), degenerate], camera)
    still.close()
    np.testing.assert_allclose(
        Playback(tmp_path / "still.glb", "right hand").vertices_m(0), make_hand().vertices_m @ OPENGL.T, atol=1e-6
    )
    empty = HandAnimation(tmp_path / "empty.glb")
    empty.add(make_frame(), [degenerate], camera)
    empty.close()
    assert empty.files == [] and not (tmp_path / "empty.glb").exists()


def test_another_hand_model_is_refused_and_nothing_is_left(tmp_path: Path, make_hand, make_frame, camera) -> None:
    exporter = HandAnimation(tmp_path / "hands.glb")
    exporter.add(make_frame(), [make_hand()], camera)
    other = make_hand()
    with pytest.raises(OutputError, match="vertices"):
        exporter.add(make_frame(1), [replace(other, vertices_m=other.vertices_m[:-1])], camera)
    exporter.close()
    assert [file.name for file in tmp_path.iterdir()] == ["hands.glb"]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 12), st.integers(0, 2**31))
def test_shapes_reproduce_any_motion(count: int, seed: int) -> None:
    """Random shapes, turns and shifts: with as many shapes as frames nothing is lost."""
    rng = np.random.default_rng(seed)
    first = rng.normal(0, 0.05, (30, 3))
    turns = Rotation.random(count, random_state=seed).as_matrix()
    roots = rng.normal(0, 0.3, (count, 3))
    vertices = (first + rng.normal(0, 0.01, (count, 30, 3))) @ np.swapaxes(turns, 1, 2) + roots[:, None]
    faces = np.stack([np.arange(28), np.arange(1, 29), np.arange(2, 30)], axis=1).astype(np.int32)
    made = morph(vertices, roots, faces)
    again = [
        Rotation.from_quat(made.rotations[i]).apply(made.base + np.tensordot(made.weights[i], made.shapes, 1))
        + made.translations_m[i]
        for i in range(count)
    ]  # the slow way
    worst = np.linalg.norm(np.array(again) - vertices, axis=2).max()
    assert worst <= 1.01e-4 and made.worst_error_m == pytest.approx(worst, rel=1e-6, abs=1e-12)
    assert made.weights.min(initial=0) >= -1e-12 and made.weights.max(initial=1) <= 1 + 1e-12
    assert (np.einsum("ni,ni->n", made.rotations[1:], made.rotations[:-1]) >= 0).all()


def test_freihand_pictures_and_labels_fit_each_other(tmp_path: Path, make_hand) -> None:
    """A bright spot at a keypoint is where K projects the keypoint to, also for a bent lens and a mirrored hand."""
    camera = Camera(640, 480, np.array([[500.0, 0, 319.5], [0, 500.0, 239.5], [0, 0, 1]]), [-0.2, 0.05, 0.001, 0, 0])
    folder = FreiHandFolder(tmp_path / "freihand")
    covariance = np.array([[4e-6, 1e-6, 2e-6], [1e-6, 5e-6, 3e-6], [2e-6, 3e-6, 9e-6]])
    uncertain = {"root_covariance_m2": covariance, "distance_std": 0.1}
    hands = [make_hand("right", (-0.1, 0.02, 0.5), **uncertain), make_hand("left", (0.12, -0.05, 0.45), **uncertain)]
    for number, hand in enumerate(hands):
        image = np.full((480, 640, 3), 40, dtype=np.uint8)
        u, v = np.round(camera.project(hand.keypoints_m[5])).astype(int)
        cv2.circle(image, (int(u), int(v)), 3, (255, 255, 255), -1)
        folder.add(Frame(image, 0, 7 + number), [hand], camera)
    folder.close()
    lists = {
        name: json.loads((tmp_path / "freihand" / f"training_{name}.json").read_text())
        for name in ("K", "xyz", "verts", "scale")
    }
    assert {len(rows) for rows in lists.values()} == {2}
    about = json.loads((tmp_path / "freihand" / "about.json").read_text())
    assert [(entry["frame_index"], entry["mirrored"]) for entry in about["pictures"]] == [(7, False), (8, True)]
    stated = [entry["distance_std_m"] for entry in about["pictures"]]
    assert stated == pytest.approx([distance_std_m(hand) for hand in hands], abs=1e-6)
    right, left = (np.array(entry["root_covariance_m2"]) for entry in about["pictures"])
    np.testing.assert_allclose(right, covariance)
    np.testing.assert_allclose(left, covariance * [[1, -1, -1], [-1, 1, 1], [-1, 1, 1]])  # x is mirrored
    for number in range(2):
        picture = cv2.imread(str(tmp_path / f"freihand/training/rgb/{number:08d}.jpg"))
        assert picture.shape == (224, 224, 3)
        point = np.array(lists["K"][number]) @ np.array(lists["xyz"][number])[5]
        bright = np.argwhere(picture.min(axis=2) > 200).mean(axis=0)[::-1]
        np.testing.assert_allclose(bright, point[:2] / point[2], atol=2.0)
        assert 0.3 < np.array(lists["xyz"][number])[:, 2].mean() < 0.6  # metres
    assert not list((tmp_path / "freihand").glob("*.part*"))


def test_a_scene_for_foxglove_holds_triangles_in_metres(tmp_path: Path, make_hand, make_frame, camera) -> None:
    exporter = FoxgloveScene(tmp_path / "scene.mcap")
    for number in range(5):
        exporter.add(make_frame(number), [make_hand("right")] if number != 2 else [], camera)
    exporter.close()
    seen: dict[str, list] = {}
    with open(tmp_path / "scene.mcap", "rb") as file:
        reader = make_reader(file, validate_crcs=True, decoder_factories=[DecoderFactory()])
        for kind, channel, _, content in reader.iter_decoded_messages():
            seen.setdefault(channel.topic, []).append((kind.name, content))
    assert {topic: len(rows) for topic, rows in seen.items()} == {
        "/camera/image": 5, "/camera/calibration": 1, "/tf": 1, "/hands/keypoints_2d": 5, SCENE: 5,
    }  # fmt: skip
    kind, update = seen[SCENE][0]
    assert kind == "foxglove.SceneUpdate" and len(update.entities) == 1
    mesh = update.entities[0].triangles[0]
    points = np.array([[point.x, point.y, point.z] for point in mesh.points])
    np.testing.assert_allclose(points, make_hand("right").vertices_m)
    assert len(mesh.indices) == 3 * len(make_hand("right").faces)
    assert not seen[SCENE][2][1].entities and len(seen[SCENE][2][1].deletions) == 2
