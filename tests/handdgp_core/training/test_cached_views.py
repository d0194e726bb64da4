"""The cache of frozen networks' outputs: what is there is used, what is written is whole, folders keep their names."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from handdgp_core.augmentation import AppearanceSettings, ViewPairs, ViewSettings
from handdgp_core.errors import OutputError, WeightsError
from handdgp_core.training.cached_views import cache_folder, cached_files
from handdgp_core.training.checkpoints import PlainCheckpoints
from handdgp_core.training.distillation.teacher_outputs import cached_outputs
from handdgp_core.training.teacher.data import _load, load_set
from tests.handdgp_core.training.test_refiner import views

ORIGIN = "drawn with seed 1"
VIEWS, APPEARANCE = ViewSettings(rotation_deg=20), AppearanceSettings(noise=0.02)
# Names of the folders that version 0.1 gave these settings.
TEACHER_FOLDER, DISTILLED_FOLDER = "433b3c0faa7e", "a81f025253f1"


def _pairs() -> Any:
    return ViewPairs([None] * 5, 10, VIEWS, APPEARANCE, 2, 3)


def _content() -> dict[str, Any]:
    given = views(2, 1)
    return {"evidence": given.evidence._asdict(), "labels": dict(given.labels), "sample": given.sample}


def _silent(done: int, total: int) -> None:
    pass


def test_every_block_of_every_draw_is_computed_once(tmp_path: Path) -> None:
    computed: list[list[int]] = []
    reported: list[tuple[int, int]] = []

    def run() -> list[Path]:
        return cached_files(
            _pairs(),
            [3, 2],
            2,
            lambda draw, number, first: tmp_path / "folder" / f"{draw}-{number}-{first}.txt",
            lambda indices: computed.append(list(indices)) or str(list(indices)),
            lambda path, content: path.write_text(content) and None,
            lambda done, total: reported.append((done, total)),
        )

    files = run()
    assert [file.name for file in files] == ["0-0-0.txt", "0-1-3.txt", "1-0-0.txt", "1-1-3.txt"]
    assert computed == [[0, 1, 2], [3, 4]] * 2 and reported == [(3, 10), (5, 10), (8, 10), (10, 10)]
    files[2].unlink()
    assert run() == files and computed[4:] == [[0, 1, 2]] and len(reported) == 8
    assert [file.read_text() for file in files] == ["[0, 1, 2]", "[3, 4]"] * 2


def test_a_file_that_could_not_be_written_is_not_there(tmp_path: Path) -> None:
    def full(path: Path, content: str) -> None:
        path.write_text(content)
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="disk"):
        cached_files(_pairs(), [5], 1, lambda *_: tmp_path / "x.txt", lambda indices: "half", full, _silent)
    assert not list(tmp_path.iterdir())


def test_the_teachers_cache_of_an_earlier_version_is_found(tmp_path: Path) -> None:
    given = views(2, 1)
    key = {"seed": 3, "origin": ORIGIN, "views": asdict(VIEWS), "appearance": asdict(APPEARANCE)}
    assert cache_folder(tmp_path, key) == tmp_path / TEACHER_FOLDER
    (tmp_path / TEACHER_FOLDER).mkdir()
    torch.save(_content(), tmp_path / TEACHER_FOLDER / "shard-00000-view-0.pt")
    shards: Any = SimpleNamespace(lengths=[2], info=SimpleNamespace(origin=ORIGIN, vertices=10))
    found = load_set(shards, tmp_path, 1, 3, VIEWS, APPEARANCE, _silent)
    assert torch.equal(found.evidence.pixels, given.evidence.pixels) and len(found) == 2


class _Runs:
    def __reduce__(self) -> Any:
        return print, ("it ran",)


@pytest.mark.parametrize(
    "content, said",
    [
        ([1], "no views of a refiner"),
        ({"evidence": {}, "labels": {}, "sample": torch.zeros(2)}, "no views of a refiner"),
        ({**_content(), "sample": torch.zeros(3)}, "different lengths"),
        ({**_content(), "sample": _Runs()}, "must not be read|no views"),
    ],
)
def test_a_cached_view_that_is_none_is_refused_and_runs_nothing(
    content: Any, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(WeightsError, match=said):
        _load(tmp_path / "a.pt")
    assert "it ran" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"PK", b"\x80\x02."])
def test_a_damaged_checkpoint_is_told_in_one_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(WeightsError, match=r"last\.ckpt"):
        PlainCheckpoints().load_checkpoint(tmp_path / "last.ckpt")


def test_a_checkpoint_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    path, good = tmp_path / "last.ckpt", {"state": {"a": torch.arange(3)}, "numbers": [1, 2.5, None, "x", (True,)]}
    torch.save(good, path)
    found = PlainCheckpoints().load_checkpoint(path)
    assert torch.equal(found["state"].pop("a"), torch.arange(3)) and found["numbers"] == good["numbers"]
    torch.save({**good, "numbers": [Path("x")]}, path)
    with pytest.raises(WeightsError, match="more than tensors"):
        PlainCheckpoints().load_checkpoint(path)


def test_distilled_views_of_an_earlier_version_are_found(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"weights")
    file = tmp_path / DISTILLED_FOLDER / "draw-0-from-0000000.npy"
    file.parent.mkdir()
    file.touch()
    assert cached_outputs(_pairs(), ORIGIN, 1, tmp_path / "weights", tmp_path, 0, _silent) == [file]
