"""Camera files: both formats in and out, other programs' habits, and files that are no camera."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from handdgp_core.errors import CameraError, OutputError, UsageError
from handdgp_core.geometry.camera import Camera

MATRIX = np.array([[921.25, 0, 640.125], [0, 919, 355], [0, 0, 1]])
LENSES = [(), (1e-5, -0.18, -5e-7, 0.0), (0.09, -0.18, 0.0008, -0.0006, 0.05), tuple(np.linspace(-0.2, 0.2, 14))]
ROS = """\
image_width: 1280
image_height: 720
camera_name: narrow_stereo
camera_matrix:
  rows: 3
  cols: 3
  data: [921.25, 0, 640.125, 0, 919, 355, 0, 0, 1]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [0.09, -0.18, 8e-04, -6e-04, 0.05]
rectification_matrix:
  rows: 3
  cols: 3
  data: [1, 0, 0, 0, 1, 0, 0, 0, 1]
"""
LENS = [0.09, -0.18, 0.0008, -0.0006, 0.05]


def camera_of(text: str, folder: Path) -> Camera:
    path = folder / "camera.yaml"
    path.write_text(text, encoding="utf-8")
    return Camera.load(path)


@pytest.mark.parametrize("format", ["ros", "opencv"])
@pytest.mark.parametrize("lens", LENSES)
def test_a_saved_camera_comes_back_whole(tmp_path, format, lens):
    std = np.linspace(1e-7, 2, 4 + len(lens))
    camera = Camera(1280, 720, MATRIX, lens, 'Logi: "C920" é #1', "assumed", std, derived_from=(1920, 1080))
    camera.save(tmp_path / "camera.yaml", format)
    assert Camera.load(tmp_path / "camera.yaml") == camera
    assert os.listdir(tmp_path) == ["camera.yaml"]


@pytest.mark.parametrize("lens", LENSES)
@pytest.mark.parametrize("format", ["ros", "opencv"])
def test_opencv_reads_what_is_saved(tmp_path, format, lens):
    if format == "ros" and int(cv2.__version__.split(".")[0]) < 5:
        pytest.skip("OpenCV 4 wants its own header")
    Camera(1280, 720, MATRIX, lens, "Logi: C920", std=np.ones(4 + len(lens))).save(tmp_path / "c.yaml", format)
    storage = cv2.FileStorage(str(tmp_path / "c.yaml"), cv2.FILE_STORAGE_READ)
    assert storage.getNode("image_width").real() == 1280
    assert storage.getNode("camera_name").string() == "Logi: C920"
    nodes = [storage.getNode(name) for name in ("camera_matrix", "distortion_coefficients")]
    if format == "opencv":
        matrix, coefficients = (node.mat() for node in nodes)
    else:
        matrix, coefficients = ([list_of(node.getNode("data"))] for node in nodes)
    np.testing.assert_array_equal(np.ravel(matrix), MATRIX.ravel())
    np.testing.assert_array_equal(np.ravel(coefficients), lens or [0.0] * 5)


def list_of(node: "cv2.FileNode") -> list[float]:
    return [node.at(i).real() for i in range(node.size())]


def test_what_is_saved_for_ros_is_plain_yaml_with_its_names(tmp_path):
    Camera(1280, 720, MATRIX, LENSES[2], "cam").save(tmp_path / "c.yaml")
    content = yaml.safe_load((tmp_path / "c.yaml").read_text())
    assert content["camera_matrix"]["data"] == MATRIX.ravel().tolist()
    assert content["projection_matrix"]["data"] == [921.25, 0, 640.125, 0, 0, 919, 355, 0, 0, 0, 1, 0]
    assert content["distortion_model"] == "plumb_bob"
    Camera(1280, 720, MATRIX, LENSES[3]).save(tmp_path / "c.yaml")
    assert yaml.safe_load((tmp_path / "c.yaml").read_text())["distortion_model"] == "rational_polynomial"


@pytest.mark.parametrize(
    "header", ["", "%YAML:1.0\n---\n", "%YAML:1.0\n", "%YAML 1.2\n---\n", "---\n", "\ufeff", "# x\n"]
)
def test_ros_file_with_any_header(tmp_path, header):
    camera = camera_of(header + ROS, tmp_path)
    assert (camera.size, camera.name, camera.source) == ((1280, 720), "narrow_stereo", "calibrated")
    np.testing.assert_array_equal(camera.matrix, MATRIX)
    np.testing.assert_array_equal(camera.distortion, LENS)


@pytest.mark.parametrize("k, d", [("K", "D"), ("k", "d")])
def test_ros_message_dump(tmp_path, k, d):
    matrix = ", ".join(map(str, MATRIX.ravel()))
    start = "header:\n  frame_id: camera\nheight: 720\nwidth: 1280\ndistortion_model: plumb_bob\n"
    camera = camera_of(f"{start}{k}: [{matrix}]\n{d}: {LENS}", tmp_path)
    np.testing.assert_array_equal(camera.matrix, MATRIX)
    np.testing.assert_array_equal(camera.distortion, LENS)
    assert camera.name == "camera"


@pytest.mark.parametrize("one_row", [False, True])
def test_file_written_by_opencv(tmp_path, one_row):
    path = tmp_path / "logitech.yml"
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write("image_width", 1280)
    storage.write("image_height", 720)
    storage.write("camera_matrix", MATRIX)
    storage.write("distortion_coefficients", np.array([LENS] if one_row else LENS))
    storage.release()
    camera = Camera.load(path)
    np.testing.assert_array_equal(camera.matrix, MATRIX)
    np.testing.assert_array_equal(camera.distortion, LENS)
    assert camera.name == "logitech"


def test_other_spellings(tmp_path):
    text = f"cameraMatrix: {MATRIX.tolist()}\ndistCoeffs: [{LENS}]\nimage_size: [1280, 720]\n"
    camera = camera_of(text, tmp_path)
    np.testing.assert_array_equal(camera.matrix, MATRIX)
    np.testing.assert_array_equal(camera.distortion, LENS)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("921.25", ".nan", "finite"),
        ("921.25", ".Nan", "finite"),
        ("921.25", "-.Inf", "finite"),
        ("921.25", "-921.25", "positive focal"),
        ("921.25", "wide", "numbers.*wide"),
        ("921.25, 0,", "921.25,", "3 x 3 numbers"),
        ("image_width: 1280\n", "", "image size"),
        ("image_width: 1280", "image_width: 0", "width"),
        ("image_width: 1280", "image_width: 1e999", "width"),
        ("camera_matrix", "other_matrix", "other_matrix"),
        ("plumb_bob", "equidistant", "equidistant"),
        ("plumb_bob", "fisheye", "fisheye"),
        ("data: [0.09,", "data: [0.09, .nan,", "5 numbers"),
        ("rows: 1\n  cols: 5\n  data: [0.09, -0.18, 8e-04, -6e-04, 0.05]", "data: [0.09]", "not 1"),
    ],
)
def test_damaged_ros_file_is_refused_with_file_and_reason(tmp_path, before, after, message):
    assert before in ROS
    with pytest.raises(CameraError, match=message) as caught:
        camera_of(ROS.replace(before, after, 1), tmp_path)
    assert "camera.yaml" in str(caught.value)


def test_fisheye_flag_of_opencv_is_refused(tmp_path):
    with pytest.raises(CameraError, match="fisheye"):
        camera_of(ROS.replace("plumb_bob", '""') + "fisheye_model: 1\n", tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "just words",
        "[1, 2, 3]",
        "a: [1, 2",
        "a: !!python/object:os.system {}",
        "\0\1",
        "[" * 2000,
        "width: 9\nheight: 9\nK: &x [*x]",
        "width: 9\nheight: 9\nK: &x {data: *x}",
    ],
)
def test_text_that_is_no_camera_is_refused(tmp_path, text):
    with pytest.raises(CameraError):
        camera_of(text, tmp_path)


def test_things_that_are_no_camera_file_are_refused(tmp_path):
    with pytest.raises(CameraError, match="does not exist"):
        Camera.load(tmp_path / "absent.yaml")
    with pytest.raises(CameraError, match="Could not read"):
        Camera.load(tmp_path)
    (tmp_path / "clip.mp4").write_bytes(bytes(range(256)) * 10)
    with pytest.raises(CameraError, match="not a text file"):
        Camera.load(tmp_path / "clip.mp4")
    (tmp_path / "big.yaml").write_bytes(b"#" * 2_000_000)
    with pytest.raises(CameraError, match="too big"):
        Camera.load(tmp_path / "big.yaml")


def test_place_that_cannot_be_written_is_an_error_and_the_old_file_stays(tmp_path, monkeypatch):
    camera = Camera.assumed(640, 480)
    with pytest.raises(OutputError, match="absent"):
        camera.save(tmp_path / "absent" / "camera.yaml")
    with pytest.raises(UsageError, match="json"):
        camera.save(tmp_path / "camera.json", "json")
    camera.save(tmp_path / "camera.yaml")

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(OutputError, match="a full disk"):
        Camera.assumed(1280, 720).save(tmp_path / "camera.yaml")
    assert Camera.load(tmp_path / "camera.yaml") == camera
    assert os.listdir(tmp_path) == ["camera.yaml"]


def test_kalibr_camchains_come_and_go(tmp_path):
    camera = Camera(1280, 720, MATRIX, LENS[:4], "C920", std=np.ones(8))
    camera.save(tmp_path / "camchain.yaml", "kalibr")
    content = yaml.safe_load((tmp_path / "camchain.yaml").read_text())["cam0"]
    assert content["intrinsics"] == [921.25, 919, 640.125, 355]
    assert (content["distortion_model"], content["resolution"]) == ("radtan", [1280, 720])
    assert Camera.load(tmp_path / "camchain.yaml") == camera


KALIBR = """\
cam0:
  cam_overlaps: []
  camera_model: pinhole
  distortion_coeffs: [0.09, -0.18, 8e-04, -6e-04]
  distortion_model: radtan
  intrinsics: [921.25, 919.0, 640.125, 355.0]
  resolution: [1280, 720]
  rostopic: /cam0/image_raw
"""


def test_a_camchain_of_kalibr_itself_is_read(tmp_path):
    camera = camera_of(KALIBR, tmp_path)
    np.testing.assert_array_equal(camera.matrix, MATRIX)
    np.testing.assert_array_equal(camera.distortion, LENS[:4])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [("radtan", "fov", "fov"), ("pinhole", "omni", "omni"), ("921.25, ", "", "four intrinsics"),
     ("cam_overlaps", "x: 1\ncam1:\n  a", "more than one camera")],
)  # fmt: skip
def test_a_camchain_that_is_no_pinhole_of_ours_is_refused(tmp_path, old, new, said):
    with pytest.raises(CameraError, match=said):
        camera_of(KALIBR.replace(old, new, 1), tmp_path)


def test_kalibr_cannot_hold_a_third_radial_term(tmp_path):
    with pytest.raises(CameraError, match="k3"):
        Camera(1280, 720, MATRIX, LENS).save(tmp_path / "c.yaml", "kalibr")
