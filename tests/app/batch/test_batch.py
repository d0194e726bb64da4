"""Batches in this process: results, failures, going on, parts. On Ray: test_cluster.py."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import numpy as np
import pyarrow.dataset as ds
import pytest

from app.batch import run
from app.batch.cluster import ClusterOptions
from app.batch.run import BatchOptions, run_batch
from app.batch.worker import Job, JobResult, ModelOptions, Worker
from app.cli.main import main
from app.cli.options import BAD_INPUT, DONE
from handdgp_core.errors import UsageError
from tests.app.batch.takes import (
    FRAMES,
    LANDMARKS,
    arrays,
    assert_same_as_process,
    demo_frames,
    result_of,
    write_takes,
)
from tests.painted_hand import write_clip


@pytest.fixture(autouse=True, scope="module")
def one_worker_here() -> Iterator[None]:
    """In place of Ray: one worker, which does one job after the other."""

    @contextmanager
    def nowhere(options: ClusterOptions) -> Iterator[int]:
        yield 1

    def one_by_one(
        jobs: Iterable[Job], model: ModelOptions, options: ClusterOptions, workers: int, stop: Event
    ) -> Iterator[tuple[Job, JobResult]]:
        worker = Worker(model)
        for job in jobs:
            if not stop.is_set():
                yield job, worker.run(job)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "joined_cluster", nowhere)
        patch.setattr(run, "run_jobs", one_by_one)
        yield


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_takes(tmp_path_factory.mktemp("takes"))


@pytest.fixture(scope="module")
def done(takes: Path, tmp_path_factory: pytest.TempPathFactory):
    options = BatchOptions((str(takes),), tmp_path_factory.mktemp("batch"), LANDMARKS)
    return options, run_batch(options)


def test_a_worker_gives_what_process_gives_whatever_it_did_before(done, takes: Path, tmp_path: Path) -> None:
    options, report = done
    assert len(report.done) == 3 and report.frames == 3 * FRAMES and not report.is_cancelled
    for number in (0, 2):
        assert_same_as_process(options.output, takes, number, tmp_path)


def test_what_failed_says_why_and_the_rest_is_done(done, takes: Path) -> None:
    options, report = done
    assert list(report.failed) == [str(takes / "broken.mp4")]
    failures = json.loads((options.output / "failures.json").read_text())["failed"]
    assert "broken.mp4" in failures[str(takes / "broken.mp4")]


def test_the_data_set_has_a_partition_an_input(done) -> None:
    options, report = done
    table = ds.dataset(options.output / "hands", partitioning="hive").to_table().to_pandas()
    assert set(table["input"]) == set(report.done)
    for number in range(3):
        expected = result_of(options.output, f"take{number}")
        rows = table[table["input"].str.startswith(f"take{number}-")]
        np.testing.assert_array_equal(np.stack(rows["root_m"]), expected["root_m"])
        np.testing.assert_array_equal(np.stack(rows["keypoints_m"]).reshape(-1, 21, 3), expected["keypoints_m"])
        assert rows["handedness"].tolist() == expected["handedness"].tolist()


def test_a_second_run_does_what_is_left(done, takes: Path) -> None:
    options, report = done
    before = {path: path.stat().st_mtime_ns for path in options.output.glob("*/predictions.npz")}
    again = run_batch(options)
    assert sorted(again.skipped) == sorted(report.done) and again.done == [] and len(again.failed) == 1
    assert {path: path.stat().st_mtime_ns for path in options.output.glob("*/predictions.npz")} == before
    other = BatchOptions(options.inputs, options.output, ModelOptions(model="landmarks", max_hands=1))
    with pytest.raises(UsageError, match="other settings"):
        run_batch(other)


def test_a_stopped_batch_goes_on(takes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = Event()
    options = BatchOptions((str(takes / "take?.avi"),), tmp_path / "out", LANDMARKS)
    first = run_batch(options, stop, lambda count, jobs, report: stop.set())
    assert len(first.done) == 1 and first.is_cancelled
    (tmp_path / "out" / "take1-ffffff").mkdir()  # nothing to do with it
    second = run_batch(options)
    assert len(second.skipped) == 1 and len(second.done) == 2 and not second.is_cancelled


def test_an_input_that_has_changed_is_done_again(tmp_path: Path) -> None:
    take = write_clip(tmp_path / "take.avi", demo_frames(60, 3))
    options = BatchOptions((str(take),), tmp_path / "out", LANDMARKS)
    assert run_batch(options).frames == 3
    write_clip(take, demo_frames(60, 5))
    assert run_batch(options).frames == 5


def test_rows_of_a_process_that_died_are_written_anew(takes: Path, tmp_path: Path) -> None:
    from handdgp_core.export.tables import PredictionsWriter, spool_path

    options = BatchOptions((str(takes / "take0.avi"),), tmp_path / "out", LANDMARKS)
    (given,) = run.found_inputs(options.inputs)
    folder = tmp_path / "out" / given.name
    folder.mkdir(parents=True)
    left = PredictionsWriter(folder / "predictions.npz")
    left.close()
    spool_path(folder / "predictions.npz").write_bytes(b"cut off")
    assert len(run_batch(options).done) == 1
    assert not spool_path(folder / "predictions.npz").exists()


def test_parts_of_a_video_are_joined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    take = write_clip(tmp_path / "take.avi", demo_frames(60, 30), fps=10.0)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert main(["process", str(take), "--model", "landmarks", "--output", str(whole)]) == DONE
    arguments = ["--model", "landmarks", "--part-seconds", "1", "--output", str(parts)]
    assert main(["batch", str(tmp_path / "no.mp4"), *arguments]) == BAD_INPUT
    assert main(["batch", str(take), *arguments]) == DONE
    expected, found = arrays(whole / "predictions.npz"), result_of(parts, "take")
    assert found["frame_index"].tolist() == expected["frame_index"].tolist()
    assert found["handedness"].tolist() == expected["handedness"].tolist()
    assert len(set(found["track_id"])) == len(set(expected["track_id"]))
    apart = np.linalg.norm(found["root_m"] - expected["root_m"], axis=1)
    assert np.median(apart) < 0.01
    assert not list(parts.rglob("parts-*"))


def test_the_command_says_what_failed(takes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model", "landmarks", "--output", str(tmp_path / "out")]
    assert main(["batch", str(takes / "take0.avi"), str(takes / "broken.mp4"), *arguments]) == BAD_INPUT
    said = " ".join(capsys.readouterr().err.split())
    assert "broken.mp4" in said and "1 input done, 0 done before, 1 failed" in said
