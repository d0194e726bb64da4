"""The command `compare`."""

import re

import numpy as np

from app.cli.main import main
from app.cli.options import BAD_INPUT, DONE
from handdgp_core.geometry.camera import Camera

MATRIX = np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]])


def test_two_files_are_compared_without_pictures(tmp_path, capsys):
    Camera(640, 480, MATRIX, (-0.2, 0.05, 0.001, 0)).save(tmp_path / "one.yaml")
    Camera(1280, 960, MATRIX * [[2.02, 1, 2], [1, 2.02, 2], [1, 1, 1]], (-0.2, 0.05, 0.001, 0)).save(
        tmp_path / "b.yaml"
    )
    page = tmp_path / "page.html"
    assert main(["compare", str(tmp_path / "one.yaml"), str(tmp_path / "b.yaml"), "--report", str(page)]) == DONE
    said = " ".join(capsys.readouterr().err.split()) + " "
    assert "differ by +1.00 and +1.00 %" in said
    means = [float(number) for number in re.findall(r"elsewhere by ([\d.]+) mm", said)]
    np.testing.assert_allclose(means, [3.0, 6.0], rtol=0.25)  # a focal length 1 % longer puts a hand 1 % further
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg") == 4 and "one.yaml against b.yaml" in text


def test_lenses_of_two_kinds_and_other_shapes(tmp_path, capsys):
    Camera(640, 480, MATRIX, (-0.02, 0, 0, 0), lens="fisheye").save(tmp_path / "one.yaml")
    Camera(640, 480, MATRIX * [[0.4, 1, 1], [1, 0.4, 1], [1, 1, 1]], (-0.3, 0, 0, 0)).save(tmp_path / "b.yaml")
    assert main(["compare", str(tmp_path / "one.yaml"), str(tmp_path / "b.yaml")]) == DONE
    assert "no answer" in capsys.readouterr().err
    Camera(640, 360, MATRIX).save(tmp_path / "c.yaml")
    assert main(["compare", str(tmp_path / "one.yaml"), str(tmp_path / "c.yaml")]) == BAD_INPUT
