"""Camera files of many writers: each kind is read as it is meant, or refused for a true reason."""

import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from handdgp_core.errors import CameraError
from handdgp_core.geometry.camera import Camera

PINHOLE = [905.5, 906.25, 645.25, 357.5]
K = "[905.5, 0, 645.25, 0, 906.25, 357.5, 0, 0, 1]"
LENS = [-0.28, 0.07, 0.0002, 0.00001, 0.0]
RATIONAL = [5.41, 3.02, 0.0001, -0.0002, 0.11, 5.74, 5.13, 0.62]
FISHEYE = [-0.0421, 0.0112, -0.0098, 0.0021]
BASE = f"image_width: 1280\nimage_height: 720\ncamera_matrix: {K}\n"
MESSAGE = f"height: 720\nwidth: 1280\ndistortion_model: plumb_bob\nD: {LENS}\nK: {K}\n"
INLINE = "{" + MESSAGE.strip().replace("\n", ", ") + "}"
POINTS = np.random.default_rng(0).uniform([-0.3, -0.2, 0.5], [0.3, 0.2, 1.0], (50, 3))
NOTHING = np.zeros(3)


def load(folder: Path, text: str, name: str = "camera.yaml") -> Camera:
    (folder / name).write_text(text, encoding="utf-8")
    return Camera.load(folder / name)


def check_projects(camera: Camera, lens: list[float], fisheye: bool = False) -> None:
    """As OpenCV does with the numbers that the file is meant to say."""
    assert camera.size == (1280, 720) and camera.lens == ("fisheye" if fisheye else "opencv")
    matrix = np.array([[905.5, 0, 645.25], [0, 906.25, 357.5], [0, 0, 1]])
    project = cv2.fisheye.projectPoints if fisheye else cv2.projectPoints
    expected = project(POINTS[:, None], NOTHING, NOTHING, matrix, np.array(lens))[0]
    np.testing.assert_allclose(camera.project(POINTS), np.reshape(expected, (-1, 2)), atol=1e-9)


@pytest.mark.parametrize(
    "text",
    [
        BASE + f"dist_coeff: [{LENS}]",
        BASE + f"distCoeffs: {LENS}",
        BASE + f"distortion: {LENS}",
        BASE + "k1: -0.28\nk2: 0.07\np1: 0.0002\np2: 0.00001",
        BASE + "k1: -0.28\nk2: 0.07\np1: 2e-4\np2: 1e-5\nk3: 0",
        BASE + "distortion: {k1: -0.28, k2: 0.07, p1: 0.0002, p2: 0.00001}",
        "width: 1280\nheight: 720\nfx: 905.5\nfy: 906.25\ncx: 645.25\ncy: 357.5\n"
        "k1: -0.28\nk2: 0.07\np1: 2e-4\np2: 1e-5",
        BASE + f"distortion_coefficients: {LENS}\nfisheye_model: 0\nflags: 1024\nboard_width: 9\nsquare_size: 0.025\n"
        "avg_reprojection_error: 0.2\ncalibration_time: today\nimage_points: [[1, 2], [3, 4]]\nnframes: 12",
        BASE + f"distortion_coefficients: {LENS}\ncomment: 2 cameras\nserial_number: 1234\ncamera_model: pinhole",
        MESSAGE + "header:\n  seq: 0\n  stamp: {secs: 1558, nsecs: 1}\n  frame_id: cam\nbinning_x: 0\nbinning_y: 0\n"
        "roi: {x_offset: 0, y_offset: 0, height: 0, width: 0, do_rectify: False}\n---\n",
        MESSAGE.lower() + "---\n" + MESSAGE.lower() + "---\nheight: [",
        "header: {stamp: {sec: 1}}\n" + MESSAGE + "---\nheader: {stamp: {sec: 2}}\n" + MESSAGE + "---\n",
    ],
)
def test_a_distortion_is_read_under_every_name(tmp_path, text):
    check_projects(load(tmp_path, text), LENS)


@pytest.mark.parametrize("cols", [5, 8])
def test_eight_numbers_under_a_header_of_five(tmp_path, cols):
    data = f"distortion_coefficients: {{rows: 1, cols: {cols}, data: {RATIONAL}}}"
    check_projects(load(tmp_path, BASE + "distortion_model: rational_polynomial\n" + data), RATIONAL)


@pytest.mark.parametrize(
    "text",
    [
        BASE + f"camera_model: fisheye\ndistortion_coefficients: {{rows: 1, cols: 4, data: {FISHEYE}}}",
        BASE + f"distortion_model: equidistant\ndistortion_coefficients: {FISHEYE}",
        BASE + f"distortion_model: Kannala-Brandt\nD: {FISHEYE}",
        BASE + f"fisheye_model: 1\ndistortion_coefficients: {FISHEYE}",
        BASE + "distortion_model: fisheye\nk1: -0.0421\nk2: 0.0112\nk3: -0.0098\nk4: 0.0021",
        MESSAGE.replace("plumb_bob", "equidistant").replace(str(LENS), str(FISHEYE)),
        f"cam0:\n  camera_model: pinhole\n  intrinsics: {PINHOLE}\n  distortion_model: equidistant\n"
        f"  distortion_coeffs: {FISHEYE}\n  resolution: [1280, 720]\n  cam_overlaps: []\n  timeshift_cam_imu: 0.1",
    ],
)
def test_a_fisheye_is_read_as_one(tmp_path, text):
    check_projects(load(tmp_path, text), FISHEYE, fisheye=True)


def test_a_sensor_of_euroc(tmp_path):
    text = (
        "#Default\nsensor_type: camera\ncomment: VI-Sensor cam0\nT_BS:\n  cols: 4\n  rows: 4\n"
        f"  data: [{', '.join('0' * 16)}]\nrate_hz: 20\nresolution: [1280, 720]\ncamera_model: pinhole\n"
        f"intrinsics: {PINHOLE} #fu, fv, cu, cv\ndistortion_model: radial-tangential\n"
        f"distortion_coefficients: {LENS[:4]}\n"
    )
    check_projects(load(tmp_path, text), LENS)
    with pytest.raises(CameraError, match="sensor_type"):
        load(tmp_path, text.replace("sensor_type: camera", "sensor_type: imu"))


def test_xml_that_opencv_writes(tmp_path):
    storage = cv2.FileStorage(str(tmp_path / "c.xml"), cv2.FILE_STORAGE_WRITE)
    storage.write("calibration_time", "now")
    storage.write("image_width", 1280)
    storage.write("image_height", 720)
    storage.write("flags", 0)
    storage.write("camera_matrix", np.array([[905.5, 0, 645.25], [0, 906.25, 357.5], [0, 0, 1]]))
    storage.write("distortion_coefficients", np.array([LENS]).T)
    storage.write("avg_reprojection_error", 0.2)
    storage.write("extrinsic_parameters", np.ones((3, 6)))
    storage.release()
    camera = Camera.load(tmp_path / "c.xml")
    check_projects(camera, LENS)
    text = (tmp_path / "c.xml").read_text()
    half = load(tmp_path, text.replace("<image_width>1280</image_width>", "").replace(
        "<image_height>720</image_height>", "<image_size>1280 720</image_size>"), "d.xml")  # fmt: skip
    assert half.size == (1280, 720) and (half.matrix == camera.matrix).all()
    with pytest.raises(CameraError, match="twice"):
        load(tmp_path, text.replace("<flags>0</flags>", "<image_width>640</image_width>"), "e.xml")
    with pytest.raises(CameraError, match="not XML"):
        load(tmp_path, text[:-20], "f.xml")
    with pytest.raises(CameraError, match="entities"):
        load(tmp_path, '<!DOCTYPE x [<!ENTITY a "b">]>' + text.split("\n", 1)[1], "g.xml")
    with pytest.raises(CameraError, match="opencv_storage"):
        load(tmp_path, "<a><b>1</b></a>", "h.xml")


def mrcal(model: str, numbers: list[float], rest: str = "") -> str:
    return (
        f"# made by hand\n{{\n    'lensmodel':  '{model}',\n\n    # intrinsics are fx,fy,cx,cy,distortion0,...\n"
        f"    'intrinsics': [ {', '.join(map(str, numbers))},],\n\n    'extrinsics': [ 0, 0, 0, 0, 0, 0,],\n\n"
        f"    'imagersize': [ 1280, 720,],\n{rest}\n}}\n"
    )


def test_models_of_mrcal(tmp_path):
    made_of = "    'icam_intrinsics': 0,\n    'optimization_inputs': b'" + "{a;:#(%" * 200_000 + "',"
    text = mrcal("LENSMODEL_OPENCV5", PINHOLE + LENS, made_of)
    check_projects(load(tmp_path, text, "a.cameramodel"), LENS)
    check_projects(load(tmp_path, mrcal("LENSMODEL_OPENCV8", PINHOLE + RATIONAL), "b.cameramodel"), RATIONAL)
    check_projects(load(tmp_path, mrcal("LENSMODEL_PINHOLE", PINHOLE), "c.cameramodel"), [0.0] * 5)
    for model, numbers in [("LENSMODEL_STEREOGRAPHIC", PINHOLE), ("LENSMODEL_CAHVOR", PINHOLE + LENS),
                           ("LENSMODEL_OPENCV5", PINHOLE), ("LENSMODEL_OPENCV8", PINHOLE + LENS)]:  # fmt: skip
        with pytest.raises(CameraError, match="LENSMODEL"):
            load(tmp_path, mrcal(model, numbers), "d.cameramodel")
    with pytest.raises(CameraError, match="whole file"):
        load(tmp_path, text[:200], "e.cameramodel")


def test_binning_and_region_of_a_message(tmp_path):
    """K is that of the whole sensor; the images show a part of it, made smaller."""
    region = (
        "binning_x: 2\nbinning_y: 2\nroi: {x_offset: 200, y_offset: 100, height: 400, width: 800, do_rectify: true}"
    )
    camera, whole = load(tmp_path, MESSAGE + region), load(tmp_path, MESSAGE)
    assert camera.size == (400, 200)
    expected = (whole.project(POINTS) - (200, 100) + 0.5) / 2 - 0.5
    np.testing.assert_allclose(camera.project(POINTS), expected)
    with pytest.raises(CameraError, match="region"):
        load(tmp_path, MESSAGE + region.replace("800", "1200"))


@pytest.mark.parametrize("format", ["ros", "opencv", "kalibr"])
def test_a_fisheye_is_written_and_comes_back_whole(tmp_path, format):
    matrix = [[905.5, 0, 645.25], [0, 906.25, 357.5], [0, 0, 1]]
    for lens in (FISHEYE, [0.0] * 4):
        camera = Camera(1280, 720, matrix, lens, "wide", std=np.arange(8.0), lens="fisheye")
        camera.save(tmp_path / "c.yaml", format)
        assert Camera.load(tmp_path / "c.yaml") == camera


@pytest.mark.parametrize(
    ("text", "said"),
    [
        # Several cameras.
        (f"image_width: 9\nimage_height: 9\nK1: {K}\nK2: {K}\n", "more than one camera.*k1, k2"),
        (BASE + f"M1: {K}\nD1: {LENS}\nM2: {K}\nD2: {LENS}\n", "more than one camera"),
        (f"left: {INLINE}\nright: {INLINE}", "more than one"),
        (f"cameras:\n- {{K: {K}}}\n- {{K: {K}}}\n", "more than one"),
        (f"camera_matrix_left: {K}\ncamera_matrix_right: {K}\nimage_size: [1280, 720]", "more than one"),
        (BASE + f"K: {K.replace('905.5', '452.75')}", "twice"),
        (BASE + f"camera_matrix: {K.replace('905.5', '452.75')}", "twice"),
        (MESSAGE + "---\n" + MESSAGE.replace("905.5", "452.75"), "several documents"),
        # A lens under names, in models or in numbers that are not understood.
        (BASE + f"lens_params: {LENS}", "lens_params"),
        (BASE + f"radial_distortion: {LENS[:2]}\ntangential_distortion: {LENS[2:4]}", "radial_distortion"),
        (BASE + f"kc: {LENS}", "kc"),
        (BASE + "xi: 1.2\n", "xi"),
        (BASE + f"numbers: {{a: {LENS}}}", "numbers"),
        (BASE + f"distortion: {{k1: 1.0, k9: {LENS}}}", "rows, cols and data"),
        (BASE + f"distortion_model: ftheta\nD: {LENS}", "ftheta"),
        (BASE + f"camera_model: omni\nD: {LENS}", "omni"),
        (BASE + f"camera_model: fisheye\ndistortion_model: plumb_bob\nD: {FISHEYE}", "two lens models"),
        (BASE + f"fisheye: 1\nD: {LENS[:4]}\ndistortion_model: radtan", "two lens models"),
        (BASE + f"distortion_model: plumb_bob\nD: {RATIONAL}", "5 coefficients"),
        (BASE + f"distortion_model: rational_polynomial\nD: {LENS}", "8 coefficients"),
        (BASE + f"distortion_model: equidistant\nD: {RATIONAL}", "4 coefficients"),
        (BASE + f"distortion_model: none\nD: {LENS}", "0 coefficients"),
        (BASE + f"distortion_coefficients: {{rows: 1, cols: 8, data: {LENS}}}", "1 x 8"),
        (BASE + "k1: 0.1\nk2: 0.1\nk3: 0.1\nk4: 0.1", "no whole lens"),
        (BASE + f"k1: 0.1\nD: {LENS}", "twice"),
        (BASE + "D: true", "number"),
        (BASE + "fx: 500\n", "differ"),
        # No sizes that a camera has.
        (BASE.replace("1280", "6.5e34"), "width"),
        (BASE.replace("905.5", "9e6"), "focal lengths"),
        (BASE.replace("645.25", "9e6"), "principal point"),
        (BASE + "image_size: [640, 480]", "two image sizes"),
        (BASE + "mirrored: 1", "mirrored"),
        # Bombs and other syntax.
        ("a: &a [1,1]\nb: &b [*a,*a]\n" + BASE, "anchors"),
        ("[" * 60 + "]" * 60, "nested"),
        ("a: [" + "1," * 200_000 + "1]", "too many"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused(tmp_path, text, said):
    started = time.process_time()
    with pytest.raises(CameraError, match=said):
        load(tmp_path, text)
    assert time.process_time() - started < 5.0  # an endless one would take minutes


def test_nothing_but_a_file_is_opened(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(CameraError, match="not a file"):
        Camera.load(tmp_path / "pipe.yaml")
