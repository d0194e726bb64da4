"""Mesh files, read back with trimesh; GLB also with a reader of our own, since trimesh wrote it."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import trimesh

from handdgp_core import files as folder
from handdgp_core.drawing.colours import HAND_COLOURS
from handdgp_core.errors import OutputError, UsageError
from handdgp_core.export.axes import NAMES, target_from_opencv
from handdgp_core.export.hand_mesh import hand_meshes
from handdgp_core.export.meshes import FORMATS, MeshSequence, frame_file_name, natural_axes, write_meshes


@pytest.fixture
def two_hands(make_hand, degenerate):
    left = make_hand("left", (-0.1, 0.02, 0.5))
    return [make_hand("right", (0.05, 0, 0.3)), degenerate, left]


def glb_tree(path) -> tuple[dict, bytes]:
    data = path.read_bytes()
    magic, version, length, json_length, json_kind = struct.unpack("<4sIIII", data[:20])
    assert (magic, version, length, json_kind) == (b"glTF", 2, len(data), 0x4E4F534A)
    binary_length, binary_kind = struct.unpack("<II", data[20 + json_length : 28 + json_length])
    assert (binary_kind, 28 + json_length + binary_length) == (0x004E4942, len(data))
    return json.loads(data[20 : 20 + json_length]), data[28 + json_length :]


def glb_array(tree, binary, accessor_index) -> np.ndarray:
    accessor = tree["accessors"][accessor_index]
    kind = {5121: np.uint8, 5125: np.uint32, 5126: np.float32}[accessor["componentType"]]
    columns = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[accessor["type"]]
    start = tree["bufferViews"][accessor["bufferView"]].get("byteOffset", 0) + accessor.get("byteOffset", 0)
    return np.frombuffer(binary, kind, accessor["count"] * columns, start).reshape(-1, columns)


@pytest.mark.parametrize("axes", NAMES)
@pytest.mark.parametrize("file_format", FORMATS)
def test_units_axes_and_winding_survive(tmp_path, make_hand, file_format, axes):
    hand = make_hand("right", (0.05, -0.02, 0.3))
    mesh = trimesh.load_mesh(write_meshes(tmp_path / f"a.{file_format}", [hand], axes), process=False)
    np.testing.assert_allclose(mesh.vertices, hand.vertices_m @ target_from_opencv(axes).T, atol=1e-6)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(trimesh.Trimesh(hand.vertices_m, hand.faces).volume, rel=1e-4)
    outward = mesh.vertices - mesh.vertices.mean(axis=0)
    assert (np.einsum("vi,vi->v", mesh.vertex_normals, outward) > 0).all()


@pytest.mark.parametrize("file_format", ["obj", "glb"])
def test_each_hand_is_an_object_of_its_own(tmp_path, two_hands, file_format):
    path = write_meshes(tmp_path / f"a.{file_format}", two_hands, "opencv")
    if file_format == "obj":
        names = [line.split()[1] for line in path.read_text().splitlines() if line.startswith("o ")]
    else:
        tree, _ = glb_tree(path)
        names = [node["name"] for node in tree["nodes"] if "mesh" in node]
    assert names == ["right_0", "left_2"]  # the degenerate hand keeps its number and has no mesh


def test_obj_objects_hold_the_right_vertices(tmp_path, two_hands):
    path = write_meshes(tmp_path / "a.obj", two_hands)
    whole = trimesh.load_mesh(path, process=False, maintain_order=True)
    count = len(two_hands[0].vertices_m)
    np.testing.assert_allclose(whole.vertices[:count], two_hands[0].vertices_m, atol=1e-6)
    np.testing.assert_allclose(whole.vertices[count:], two_hands[2].vertices_m, atol=1e-6)
    np.testing.assert_array_equal(whole.faces[len(two_hands[0].faces) :], two_hands[2].faces + count)


def test_obj_states_units_and_axes(tmp_path, make_hand):
    head = write_meshes(tmp_path / "a.obj", [make_hand()], "blender").read_text()[:300]
    assert "# units: metres" in head
    assert "# axes: blender (x right, y forward, z up)" in head


def test_obj_normals_are_the_vertex_normals(tmp_path, make_hand):
    text = write_meshes(tmp_path / "a.obj", [make_hand()]).read_text().splitlines()
    normals = np.array([line.split()[1:] for line in text if line.startswith("vn ")], dtype=float)
    vertices = np.array([line.split()[1:4] for line in text if line.startswith("v ")], dtype=float)
    assert len(normals) == len(vertices)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0, atol=1e-4)
    assert any(line.startswith("f 1//1 ") or " 1//1 " in line for line in text)


def test_ply_states_units_axes_and_hands(tmp_path, two_hands):
    path = write_meshes(tmp_path / "a.ply", two_hands, "opengl")
    head = path.read_bytes().split(b"end_header")[0].decode()
    assert "comment units: metres" in head
    assert "comment axes: opengl (x right, y up, z towards the viewer)" in head
    assert "comment hand 0: right_0" in head
    assert "comment hand 1: left_2" in head
    numbers = trimesh.load_mesh(path, process=False).metadata["_ply_raw"]["vertex"]["data"]["hand"]
    np.testing.assert_array_equal(np.ravel(numbers), np.repeat([0, 1], len(two_hands[0].vertices_m)))


def test_glb_read_without_trimesh(tmp_path, two_hands):
    tree, binary = glb_tree(write_meshes(tmp_path / "a.glb", two_hands))
    assert tree["asset"]["extras"]["units"] == "metres"
    assert tree["asset"]["extras"]["axes"].startswith("opengl")  # what glTF asks for
    placed = {node["name"]: node for node in tree["nodes"] if "mesh" in node}
    for name, hand in (("right_0", two_hands[0]), ("left_2", two_hands[2])):
        assert "matrix" not in placed[name]
        (primitive,) = tree["meshes"][placed[name]["mesh"]]["primitives"]
        points = glb_array(tree, binary, primitive["attributes"]["POSITION"])
        faces = glb_array(tree, binary, primitive["indices"]).reshape(-1, 3)
        np.testing.assert_allclose(points, hand.vertices_m * (1, -1, -1), atol=1e-6)
        np.testing.assert_array_equal(faces, hand.faces)
        normals = glb_array(tree, binary, primitive["attributes"]["NORMAL"])
        assert (np.einsum("vi,vi->v", normals, points - points.mean(axis=0)) > 0).all()
        assert tree["materials"][primitive["material"]]["pbrMetallicRoughness"]["metallicFactor"] == 0.0


def read_colours(path) -> np.ndarray | None:
    if path.suffix != ".glb":
        visual = trimesh.load_mesh(path, process=False).visual
        return visual.vertex_colors if visual.kind == "vertex" else None
    tree, binary = glb_tree(path)  # trimesh hides the colours of meshes with a material
    attributes = tree["meshes"][0]["primitives"][0]["attributes"]
    return glb_array(tree, binary, attributes["COLOR_0"]) if "COLOR_0" in attributes else None


@pytest.mark.parametrize("file_format", FORMATS)
def test_colours_by_option(tmp_path, make_hand, file_format):
    def read(colouring):
        return read_colours(write_meshes(tmp_path / f"{colouring}.{file_format}", [make_hand()], colouring=colouring))

    assert read("none") is None
    assert len(np.unique(read("hand"), axis=0)) == 1
    assert len(np.unique(read("weights"), axis=0)) > 10


def test_glb_colours_are_linear_light(tmp_path, make_hand):
    (stored,) = np.unique(read_colours(write_meshes(tmp_path / "a.glb", [make_hand()])), axis=0)
    screen = np.array(HAND_COLOURS["right"]) / 255
    np.testing.assert_allclose(stored[:3] / 255, screen**2.2, atol=0.02)
    assert stored[3] == 255


def test_colour_by_weight_follows_the_nearest_keypoint(make_hand):
    hand = make_hand(weights=np.eye(21)[0])  # the wrist alone counts
    (mesh,) = hand_meshes([hand], colouring="weights")
    brightness = mesh.colours.astype(int).sum(axis=1)
    distance = np.linalg.norm(hand.vertices_m - hand.keypoints_m[0], axis=1)
    assert brightness[distance.argmin()] > 2 * brightness[distance.argmax()]


@pytest.mark.parametrize("file_format", FORMATS)
def test_same_hands_give_the_same_bytes(tmp_path, two_hands, file_format):
    first = write_meshes(tmp_path / f"a.{file_format}", two_hands).read_bytes()
    assert write_meshes(tmp_path / f"b.{file_format}", two_hands).read_bytes() == first


def test_natural_axes():
    assert [natural_axes(name) for name in ("obj", "ply", "glb")] == ["opencv", "opencv", "opengl"]


def test_wrong_requests(tmp_path, make_hand, degenerate):
    with pytest.raises(UsageError, match=r"\.obj, \.ply, \.glb"):
        write_meshes(tmp_path / "a.stl", [make_hand()])
    with pytest.raises(UsageError, match="opencv, opengl, blender"):
        write_meshes(tmp_path / "a.obj", [make_hand()], "unity")
    with pytest.raises(UsageError, match="no hand with a mesh"):
        write_meshes(tmp_path / "a.obj", [degenerate])
    assert not list(tmp_path.iterdir())


def test_sequence_names_files_by_frame_and_skips_frames_without_a_mesh(
    tmp_path, make_hand, degenerate, make_frame, camera
):
    sequence = MeshSequence(tmp_path / "obj", "obj")
    sequence.add(make_frame(5), [make_hand()], camera)
    sequence.add(make_frame(6), [degenerate], camera)
    sequence.add(make_frame(7), [], camera)
    sequence.add(make_frame(123), [make_hand()], camera)
    sequence.close()
    assert sorted(path.name for path in (tmp_path / "obj").iterdir()) == ["hand_000005.obj", "hand_000123.obj"]
    assert sequence.files == [tmp_path / "obj" / frame_file_name(number, "obj") for number in (5, 123)]


def test_a_failed_replacement_leaves_the_old_file(tmp_path, make_hand, monkeypatch):
    path = write_meshes(tmp_path / "a.obj", [make_hand()])
    before = path.read_bytes()

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder.os, "replace", full)
    with pytest.raises(OutputError, match="full disk"):
        write_meshes(path, [make_hand("left")])
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["a.obj"]
