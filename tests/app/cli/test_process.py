"""`process` and `evaluate` end to end on clips and folders painted by the tests."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from app.cli.main import main
from app.cli.options import BAD_INPUT, CANCELLED, DONE
from handdgp_core.geometry.camera import Camera
from tests.painted_hand import paint_hand, write_clip
from tests.patience import WAIT_S, heeding_interrupts
from tests.places import ROOT

CAMERA = Camera.assumed(640, 480, 60)


def hand_images(count: int) -> tuple[list[np.ndarray], np.ndarray]:
    """RGB pictures of a right hand that moves away, and its keypoints (N, 21, 3)."""
    painted = [paint_hand(CAMERA, "right", (0.0, 0.09, 0.4 + 0.01 * step)) for step in range(count)]
    return [image for image, _ in painted], np.array([keypoints for _, keypoints in painted])


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "hand.avi", hand_images(12)[0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("frames")
    images, keypoints = hand_images(3)
    names = [f"{index}.png" for index in range(3)]
    for name, image in zip(names, images, strict=True):
        cv2.imwrite(str(path / name), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    np.savez(
        path / "annotations.npz",
        image=np.array(names),
        intrinsics=np.repeat(CAMERA.matrix[None], 3, axis=0),
        keypoints_m=keypoints,
        handedness=np.array(["right"] * 3),
    )
    return path


def test_a_clip_becomes_predictions_summary_and_exports(clip: Path, tmp_path: Path) -> None:
    replace(CAMERA, source="calibrated").save(tmp_path / "camera.yaml")
    calibration = str(tmp_path / "camera.yaml")
    out = tmp_path / "out"
    arguments = ["process", str(clip), "--output", str(out), "--calibration", calibration, "--export", "obj,csv,video"]
    assert main(arguments) == DONE
    with np.load(out / "predictions.npz") as predictions:
        assert list(predictions["frame_index"]) == list(range(12))
        assert (np.diff(predictions["stamp_ns"]) > 0).all()
        assert set(predictions["handedness"]) == {"right"}
        assert predictions["keypoints_m"].shape == (12, 21, 3)
        assert predictions["keypoints_px"].shape == (12, 21, 2)
        assert predictions["weights"].shape == (12, 21)
        assert predictions["root_covariance_m2"].shape == (12, 3, 3)
        distances_m = np.linalg.norm(predictions["root_m"], axis=1)
        assert (predictions["distance_std_m"] > 0.05 * distances_m).all()  # more than the noise of 2D keypoints
        assert predictions["vertices_m"].shape == (12, 1609, 3)
        assert predictions["faces"].shape == (3196, 3)
        depth = predictions["root_m"][:, 2]
    assert depth[-1] - depth[0] == pytest.approx(0.11, abs=0.03)
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["frames"], summary["frames_with_hands"], summary["cancelled"]) == (12, 12, False)
    assert summary["hands_beyond_lens"] == 0
    assert summary["camera"]["source"] == "calibrated" and summary["model"] == "open"
    assert {"detection", "rectification", "network", "positioning"} <= set(summary["stage_ms"])
    assert len(list((out / "obj").glob("*.obj"))) == 12
    assert len((out / "hands.csv").read_text().splitlines()) >= 13
    capture = cv2.VideoCapture(str(out / "overlay.mp4"))
    assert int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) == 12
    capture.release()
    assert not list(out.rglob("*.part"))


def test_every_takes_every_nth_frame(clip: Path, tmp_path: Path) -> None:
    assert main(["process", str(clip), "--output", str(tmp_path), "--every", "5"]) == DONE
    with np.load(tmp_path / "predictions.npz") as predictions:
        assert list(predictions["frame_index"]) == [0, 5, 10]


def test_an_uncalibrated_run_says_that_depth_is_a_guess(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["process", str(clip), "--output", str(tmp_path), "--every", "12"]) == DONE
    assert "depth is a guess" in " ".join(capsys.readouterr().err.split())


def test_a_folder_keeps_names_and_its_own_intrinsics_and_can_be_scored(folder: Path, tmp_path: Path) -> None:
    assert main(["process", str(folder), "--output", str(tmp_path / "out")]) == DONE
    with np.load(tmp_path / "out" / "predictions.npz") as predictions:
        assert list(predictions["image"]) == ["0.png", "1.png", "2.png"]
    figures = tmp_path / "metrics.json"
    arguments = ["evaluate", "--dataset", "frames", "--root", str(folder), "--output", str(figures)]
    assert main(arguments) == DONE
    positioning = json.loads(figures.read_text())["positioning"]
    for method in ("published", "refined"):
        assert positioning[method]["found"] == 3
        assert positioning[method]["handedness_right_fraction"] == 1.0
        assert 0 < positioning[method]["camera_space_mm"]["mean"] < 60


def test_several_roots_give_a_row_each_and_their_mean(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = tmp_path / "second"
    shutil.copytree(folder, second)
    with np.load(folder / "annotations.npz") as annotations:
        nearer = dict(annotations) | {"keypoints_m": annotations["keypoints_m"] * 0.8}
    np.savez(second / "annotations.npz", **nearer)
    figures = tmp_path / "metrics.json"
    roots = ["--root", str(folder), "--root", str(second)]
    assert main(["evaluate", "--dataset", "frames", *roots, "--model", "landmarks", "--output", str(figures)]) == DONE
    found = json.loads(figures.read_text())
    rows, mean = found["accuracy"]["roots"], found["accuracy"]["mean"]
    assert list(rows) == list(found["roots"]) == [folder.name, "second"]
    first = rows[folder.name]
    assert (first["labelled"], first["found"], first["degenerate"], first["right_side"]) == (3, 3, 0, 1.0)
    assert (1 + rows["second"]["distance_bias"]) * 0.8 == pytest.approx(1 + first["distance_bias"])
    assert mean["labelled"] == 6
    errors = [row["error_mm"]["mean"] for row in rows.values()]
    assert mean["error_mm"]["mean"] == pytest.approx(sum(errors) / 2) and errors[1] > errors[0]
    printed = capsys.readouterr().out
    assert "mean over roots" in printed and f"{errors[1]:.1f} / " in printed


def test_only_frames_takes_several_roots(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    roots = ["--root", str(tmp_path), "--root", str(tmp_path)]
    assert main(["evaluate", "--dataset", "shards", *roots, "--output", str(tmp_path / "m.json")]) == BAD_INPUT
    assert "takes one --root" in capsys.readouterr().err
    assert main(["evaluate", "--dataset", "frames", *roots, "--output", str(tmp_path / "m.json")]) == BAD_INPUT
    assert "given twice" in capsys.readouterr().err


def test_a_picture_without_a_hand_gives_an_empty_but_valid_table(tmp_path: Path) -> None:
    source = tmp_path / "pictures"
    source.mkdir()
    cv2.imwrite(str(source / "grey.png"), np.full((120, 160, 3), 99, np.uint8))
    assert main(["process", str(source), "--output", str(tmp_path / "out")]) == DONE
    with np.load(tmp_path / "out" / "predictions.npz") as predictions:
        assert predictions["vertices_m"].shape == (0, 1609, 3) and predictions["image"].shape == (0,)


def test_a_calibration_of_another_shape_is_refused(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Camera.assumed(1280, 720).save(tmp_path / "wide.yaml")
    arguments = ["process", str(clip), "--output", str(tmp_path / "out"), "--calibration", str(tmp_path / "wide.yaml")]
    assert main(arguments) == BAD_INPUT
    assert "640" in capsys.readouterr().err


def test_a_file_in_the_way_of_the_output_is_named(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("mine")
    assert main(["process", str(clip), "--output", str(tmp_path / "taken")]) == BAD_INPUT
    assert "taken" in capsys.readouterr().err
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_ctrl_c_stops_and_keeps_what_is_done(tmp_path: Path) -> None:
    long_clip = tmp_path / "long.avi"
    writer = cv2.VideoWriter(str(long_clip), cv2.VideoWriter.fourcc(*"MJPG"), 25, (640, 480))
    images = hand_images(4)[0]
    for index in range(4000):
        writer.write(images[index // 1000])
    writer.release()
    out = tmp_path / "out"
    command = [sys.executable, "main.py", "process", str(long_clip), "--output", str(out)]
    running = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, preexec_fn=heeding_interrupts)
    deadline_s = time.monotonic() + WAIT_S
    while not list(out.glob("*")) and time.monotonic() < deadline_s:
        time.sleep(0.1)
    time.sleep(1.5)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=2 * WAIT_S)
    assert running.returncode == CANCELLED, said
    summary = json.loads((out / "summary.json").read_text())
    assert summary["cancelled"] and 0 < summary["frames"] < 4000
    with np.load(out / "predictions.npz") as predictions:
        assert len(predictions["frame_index"]) == summary["hands"]
    assert not list(out.rglob("*.part"))


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same hand three times: as stored, turned by a tag, and a picture of another camera."""
    path = tmp_path_factory.mktemp("mixed")
    image = hand_images(1)[0][0]
    Image.fromarray(image).save(path / "1.png")
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(np.ascontiguousarray(image[::-1, ::-1])).save(path / "2.png", exif=exif)
    Image.fromarray(np.ascontiguousarray(image[:, 100:540])).save(path / "3.png")
    return path


def test_a_turned_picture_is_solved_with_the_turned_camera_and_one_that_does_not_fit_is_named(
    mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Principal point off the middle: pictures turned by 180 degrees show the world turned about the axis."""
    matrix = CAMERA.matrix.copy()
    matrix[:2, 2] += (20, -15)
    Camera(640, 480, matrix).save(tmp_path / "camera.yaml")
    arguments = ["process", str(mixed), "--output", str(tmp_path / "out")]
    assert main([*arguments, "--calibration", str(tmp_path / "camera.yaml")]) == DONE
    assert "1 skipped (first: 3.png: The calibration" in said(capsys)
    with np.load(tmp_path / "out" / "predictions.npz") as predictions:
        assert predictions["image"].tolist() == ["1.png", "2.png"]
        upright, turned = predictions["root_m"]
    shift_m = turned - upright  # the centre moves by twice what it is off
    np.testing.assert_allclose(shift_m[:2], np.array([40, -30]) / CAMERA.matrix[0, 0] * upright[2], atol=2e-3)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["source"]["skipped"][0][0] == "3.png" and summary["camera"]["scaled_from"] is None


def test_pictures_that_are_stored_mirrored_are_told(
    mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 2
    with Image.open(mixed / "1.png") as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(mixed / "2.png", exif=exif)
    CAMERA.save(tmp_path / "camera.yaml")
    arguments = ["process", str(mixed), "--output", str(tmp_path / "out")]
    assert main([*arguments, "--calibration", str(tmp_path / "camera.yaml")]) == DONE
    assert "1 picture is stored mirrored and was turned round; the camera was mirrored with it." in said(capsys)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["source"]["stored_mirrored"] == 1


def test_a_scaled_calibration_and_a_video_cut_short_are_told(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = clip.read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: len(content) // 2])
    replace(CAMERA.scaled_to(1280, 960), source="calibrated", derived_from=None).save(tmp_path / "camera.yaml")
    arguments = ["process", str(tmp_path / "cut.avi"), "--output", str(tmp_path / "out")]
    assert main([*arguments, "--calibration", str(tmp_path / "camera.yaml")]) == DONE
    text = said(capsys)
    assert "cut.avi ends early" in text and "for 1280x960 and was scaled to 640x480" in text
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["camera"]["scaled_from"] == [1280, 960]


def test_names_that_are_not_utf8_and_names_with_a_colon_are_processed(mixed: Path, tmp_path: Path) -> None:
    place = os.fsencode(tmp_path)
    os.mkdir(place + b"/caf\xe9")
    for name in (b"caf\xe9.png", b"2026-11-27T10:15:00.png"):
        shutil.copy(mixed / "1.png", place + b"/caf\xe9/" + name)
    source = os.fsdecode(place + b"/caf\xe9")
    assert main(["process", source, "--output", str(tmp_path / "out"), "--export", "csv"]) == DONE
    with np.load(tmp_path / "out" / "predictions.npz") as predictions:
        assert predictions["image"].tolist() == ["2026-11-27T10:15:00.png", "caf\\xe9.png"]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["source"]["name"] == "caf\\xe9"


def test_the_summary_names_a_checkpoint_without_its_folder(mixed: Path, tmp_path: Path) -> None:
    weights = tmp_path / "private" / "mine.safetensors"
    weights.parent.mkdir()
    shutil.copy(ROOT / "assets" / "weights" / "open.safetensors", weights)
    assert main(["process", str(mixed), "--output", str(tmp_path / "out"), "--model", str(weights)]) == DONE
    text = (tmp_path / "out" / "summary.json").read_text()
    assert "private" not in text and hashlib.sha256(weights.read_bytes()).hexdigest() in text


def test_models_beside_see_the_same_frames_and_their_differences_are_written(clip: Path, tmp_path: Path) -> None:
    alone, both = tmp_path / "alone", tmp_path / "both"
    assert main(["process", str(clip), "--output", str(alone), "--model", "landmarks", "--limit", "4"]) == DONE
    arguments = ["process", str(clip), "--output", str(both), "--limit", "4", "--beside", "landmarks"]
    assert main(arguments) == DONE
    with np.load(alone / "predictions.npz") as one, np.load(both / "beside" / "landmarks" / "predictions.npz") as other:
        np.testing.assert_array_equal(one["root_m"], other["root_m"])  # the first model changes nothing for it
        landmarks_m = other["root_m"]
    with np.load(both / "predictions.npz") as first:
        expected_mm = 1e3 * np.linalg.norm(landmarks_m - first["root_m"], axis=1)
    header, *rows = [line.split(",") for line in (both / "differences.csv").read_text().splitlines()]
    assert header == [
        "frame_index",
        "image",
        "model",
        "handedness",
        "root_mm",
        "depth_mm",
        "keypoints_mm",
        "shape_mm",
        "mesh_mm",
    ]
    assert [row[:4] for row in rows] == [[str(index), "", "landmarks", "right"] for index in range(4)]
    np.testing.assert_allclose([float(row[4]) for row in rows], expected_mm, atol=1e-4)
    beside = json.loads((both / "summary.json").read_text())["beside"]["landmarks"]
    assert beside["hands"] == beside["compared"] == 4
    assert beside["root_mm"]["median"] == pytest.approx(np.median(expected_mm), abs=1e-4)


def test_a_model_beside_itself_is_refused(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["process", str(clip), "--output", str(tmp_path / "out"), "--beside", "open"]
    assert main(arguments) == BAD_INPUT
    assert "have the same name" in capsys.readouterr().err
