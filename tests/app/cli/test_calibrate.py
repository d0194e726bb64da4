"""`calibrate` and `board` from end to end, on rendered pictures, good and bad."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image

from app.cli.main import main
from app.cli.options import BAD_INPUT, DONE
from calib.boards import Board
from calib.poses import look_at
from handdgp_core.geometry.camera import Camera
from tools.calibration.simulation import BoardRenderer, Picture

CAMERA = Camera(640, 360, np.array([[460, 0, 322.0], [0, 459, 176], [0, 0, 1]]), np.array([0.05, -0.1, 0, 0]))
BOARD = Board.parse("charuco:7x5:36:26")
PLACES = [(0, 0)] * 5 + [(-1, -1), (1, -1), (1, 1), (-1, 1), (0, 0)]


def pose(number):
    tilt = 0.0 if number == 0 else np.deg2rad(35)
    x, y = PLACES[number]
    return look_at(BOARD, 0.36, tilt, number * np.pi / 2, 0.1 * number, (320 + 150 * x, 180 + 80 * y), CAMERA)


@pytest.fixture(scope="module")
def pictures():
    renderer, random = BoardRenderer(BOARD, CAMERA), np.random.default_rng(0)
    return [renderer.render(pose(number), Picture(), random) for number in range(10)]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pictures").mkdir()
    return tmp_path / "pictures"


def put(folder, pictures):
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{number:02d}.png"), picture)


def run(folder, *more):
    output = folder.parent / "camera.yaml"
    return main(["calibrate", str(folder), "--board", BOARD.spec, "--output", str(output), *more])


def said(capsys):
    """Both streams on one line: the terminal breaks them anywhere."""
    captured = capsys.readouterr()
    return " ".join((captured.out + captured.err).split())


@pytest.mark.parametrize("format", ["ros", "opencv", "kalibr"])
def test_a_folder_of_pictures_gives_the_camera_and_a_report(folder, pictures, capsys, format):
    put(folder, [*pictures, np.full((360, 640), 90, np.uint8)])
    report = folder.parent / "out" / "report.html"
    assert run(folder, "--format", format, "--report", str(report)) == DONE
    camera = Camera.load(folder.parent / "camera.yaml")
    np.testing.assert_allclose(camera.focal_px, CAMERA.focal_px, rtol=0.005)
    assert camera.std is not None
    text = said(capsys)
    if format == "kalibr":
        assert camera.distortion.size == 4 and "no k3" in text
    assert "focal length known to ±" in text and "10.png" in text
    page = report.read_text()
    assert page.count("<svg") == 4 + 10 and "00.png" in page and "board: bend along the rows" in page
    about = json.loads((folder.parent / "camera.json").read_text())
    assert about["grade"] in ("fair", "good", "excellent") and about["views"] == 10


def test_a_video_gives_its_still_frames(folder, pictures, capsys):
    path = str(folder / "clip.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), 30, (640, 360), isColor=True)
    for picture in pictures:
        for _ in range(5):
            writer.write(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR))
    writer.release()
    output = folder.parent / "camera.yaml"
    assert main(["calibrate", path, "--board", BOARD.spec, "--output", str(output)]) == DONE
    assert "found in" in said(capsys)
    np.testing.assert_allclose(Camera.load(output).focal_px, CAMERA.focal_px, rtol=0.01)


def frontal(pictures):
    renderer, random = BoardRenderer(BOARD, CAMERA), np.random.default_rng(0)
    places = [(0.4 + 0.02 * n, (280 + 20 * n, 180 + 5 * n)) for n in range(5)]
    return [
        renderer.render(look_at(BOARD, far, 0, 0, 0.2 * far, aim, CAMERA), Picture(), random) for far, aim in places
    ]


BAD_SETS = {
    "one view": (lambda p: p[:1], "at least 3 views"),
    "blank": (lambda p: [np.full((360, 640), 90, np.uint8)] * 3, "Check --board; show"),
    "frontal": (frontal, "squarely"),
    "mirrored": (lambda p: [np.ascontiguousarray(picture[:, ::-1]) for picture in p[:3]], "mirrored"),
    "mixed sizes": (lambda p: [*p[:2], np.ascontiguousarray(p[4][:, :600])], "600x360"),
}


@pytest.mark.parametrize("name", BAD_SETS)
def test_a_set_that_cannot_calibrate_says_why_and_writes_no_camera(folder, pictures, capsys, name):
    choose, expected = BAD_SETS[name]
    put(folder, choose(pictures))
    assert run(folder) == BAD_INPUT
    assert expected in said(capsys)
    assert not (folder.parent / "camera.yaml").exists()


def test_another_camera_is_compared_in_millimetres_of_hand(folder, pictures, capsys):
    put(folder, pictures)
    CAMERA.save(folder.parent / "before.yaml")
    assert run(folder, "--compare", str(folder.parent / "before.yaml")) == DONE
    text = said(capsys)
    assert "a hand at 30 cm elsewhere by" in text and "a hand at 60 cm elsewhere by" in text


def test_the_commonest_picture_size_wins_and_damaged_files_are_named(folder, pictures, capsys):
    put(folder, [*pictures[:8], np.ascontiguousarray(pictures[8][:, 20:]), np.ascontiguousarray(pictures[9][:350])])
    (folder / "10.png").write_bytes((folder / "00.png").read_bytes()[:2000])
    (folder / "11.png").write_bytes(b"")
    assert run(folder) == DONE
    assert Camera.load(folder.parent / "camera.yaml").size == (640, 360)
    text = said(capsys)
    assert "08.png (620x360), 09.png (640x350)" in text
    assert "2 files could not be read: " in text and "10.png" in text and "11.png" in text


def test_pictures_that_a_phone_turned_are_turned_back(folder, pictures, capsys):
    for number, picture in enumerate(pictures):
        exif = Image.Exif()
        exif[0x0112] = (6, 3, 8)[number // 2] if number < 6 else 1
        Image.fromarray(picture).save(folder / f"{number:02d}.jpg", quality=95, exif=exif)
    assert run(folder) == DONE
    camera = Camera.load(folder.parent / "camera.yaml")
    assert camera.size == (640, 360)
    np.testing.assert_allclose(camera.matrix, CAMERA.matrix, rtol=0.01)
    assert "sensor's pixels, in which calibrations are: 00.jpg, 01.jpg, 02.jpg" in said(capsys)


def test_a_camera_that_was_always_held_upright_is_calibrated_in_pixels_of_its_sensor(folder, pictures):
    exif = Image.Exif()
    exif[0x0112] = 6
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{number:02d}.jpg", quality=95, exif=exif)
    assert run(folder) == DONE
    camera = Camera.load(folder.parent / "camera.yaml")
    assert camera.size == (640, 360)
    np.testing.assert_allclose(camera.matrix, CAMERA.matrix, rtol=0.01)


def test_pictures_that_were_stored_mirrored_are_named_and_skipped(folder, pictures, capsys):
    exif = Image.Exif()
    for number, picture in enumerate(pictures):
        exif[0x0112] = 2 if number == 0 else 1
        Image.fromarray(picture).save(folder / f"{number:02d}.jpg", quality=95, exif=exif)
    assert run(folder) == DONE
    assert "stored mirrored: 00.jpg" in said(capsys)


def test_pictures_that_were_all_stored_mirrored_are_no_calibration(folder, pictures, capsys):
    exif = Image.Exif()
    exif[0x0112] = 2
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{number:02d}.jpg", exif=exif)
    assert run(folder) == BAD_INPUT
    assert f"All {len(pictures)} pictures are stored mirrored" in said(capsys)


OTHER_BOARDS = {
    "dictionary": ("charuco:7x5:36:26:4x4_50", "show charuco:7x5:36:26:5x5_50"),
    "swapped": ("charuco:5x7:36:26", "--board charuco:7x5:36:26"),
    "counted wrong": ("charuco:8x5:36:26", "--board charuco:7x5:36:26"),
    "no markers": ("chessboard:6x4:36", "--board charuco:7x5:36"),
}


@pytest.mark.parametrize("name", OTHER_BOARDS)
def test_another_board_than_was_named_is_named(folder, pictures, capsys, name):
    put(folder, pictures[:4])
    named, expected = OTHER_BOARDS[name]
    assert main(["calibrate", str(folder), "--board", named, "--output", str(folder / "c.yaml")]) == BAD_INPUT
    assert expected in said(capsys)


def test_a_missing_legacy_is_named(folder, capsys):
    board = Board.parse("charuco:8x6:30:22:4x4_50:legacy")
    renderer, random = BoardRenderer(board, CAMERA), np.random.default_rng(0)
    put(folder, [renderer.render(look_at(board, 0.4, 0.4, about), Picture(), random) for about in range(3)])
    named = ["--board", "charuco:8x6:30:22:4x4_50", "--output", str(folder / "c.yaml")]
    assert main(["calibrate", str(folder), *named]) == BAD_INPUT
    assert "--board charuco:8x6:30:22:4x4_50:legacy" in said(capsys)


def test_squares_counted_instead_of_corners_are_named(folder, capsys):
    board = Board.parse("chessboard:7x5:26")
    renderer, random = BoardRenderer(board, CAMERA), np.random.default_rng(0)
    put(folder, [renderer.render(look_at(board, 0.4, 0.4, about), Picture(), random) for about in range(3)])
    named = ["--board", "chessboard:8x6:26", "--output", str(folder / "c.yaml")]
    assert main(["calibrate", str(folder), *named]) == BAD_INPUT
    assert "--board chessboard:7x5:26" in said(capsys)


@pytest.mark.parametrize(("marker_mm", "noticed"), [(26, False), (20, True)])
def test_a_wrong_marker_size_is_noticed(folder, pictures, capsys, marker_mm, noticed):
    put(folder, pictures)
    named = f"charuco:7x5:36:{marker_mm}"
    assert main(["calibrate", str(folder), "--board", named, "--output", str(folder / "c.yaml")]) == DONE
    assert (f"squares of 36 mm, not {marker_mm} mm" in said(capsys)) is noticed


def test_a_board_that_moved_during_exposure_is_skipped_or_told(folder, pictures, capsys):
    sheared = pictures.copy()
    shear = np.array([[1, 0.08, 0], [0, 1, 0]], dtype=np.float64)  # what a rolling shutter does to a moving board
    sheared[3] = cv2.warpAffine(sheared[3], shear, (640, 360), borderValue=120)
    put(folder, sheared)
    code = run(folder)
    text = said(capsys)
    assert "03.png" in text
    if code == DONE:
        np.testing.assert_allclose(Camera.load(folder.parent / "camera.yaml").focal_px, CAMERA.focal_px, rtol=0.01)


def test_bad_boards_are_bad_usage(folder, pictures, capsys):
    put(folder, pictures[:1])
    assert main(["calibrate", str(folder), "--board", "7x5", "--output", str(folder / "c.yaml")]) == BAD_INPUT
    assert "charuco:COLUMNSxROWS" in said(capsys)


def test_the_board_command_writes_a_pdf(tmp_path, capsys):
    path = tmp_path / "board.pdf"
    assert main(["board", "--type", "chessboard:9x6:25", "--paper", "letter", "--output", str(path)]) == DONE
    assert path.read_bytes().startswith(b"%PDF-")
    assert "100 %" in said(capsys)
    assert main(["board", "--type", "charuco:10x7:60:45", "--output", str(path)]) == BAD_INPUT
