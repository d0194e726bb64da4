"""What tools/gpu/run.sh does once there is a Python: draw, train within a time limit, evaluate, test, measure.

Every step runs as a process of its own with a limit on its time, counted over all starts. A step that is done is not
done again, and one that was cut goes on, so the same command may be given until it says that all is done.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handdgp_core.datasets.shards import Shards
from handdgp_core.errors import HandDGPError

_SOURCE = Path(__file__).parents[2]
_VENDORS = ("/usr/share/glvnd/egl_vendor.d", "/etc/glvnd/egl_vendor.d", "/usr/local/nvidia/share/glvnd/egl_vendor.d")
_GRACE_S = 60.0  # for a step to end in order
_SHARE = 0.8  # of the time limit that the training is planned for
_NOT_DONE = 3
# Kills of the operating system's and of `subprocess`: a step that was cut and kept what it had.
_CUT = (-signal.SIGTERM, 128 + signal.SIGTERM, 130)


class OutOfTime(Exception):
    """The time of this start is used up."""


@dataclass
class Steps:
    """Runs steps and remembers them in a file.

    Attributes:
        work: folder for data, runs and the memory.
        out: folder for results.
        deadline_s: by time.monotonic(), when this start ends.
    """

    work: Path
    out: Path
    deadline_s: float

    def __post_init__(self) -> None:
        self._memory = self.work / "steps.json"
        self.known: dict[str, Any] = json.loads(self._memory.read_text()) if self._memory.is_file() else {}

    def remember(self, name: str, **facts: Any) -> dict[str, Any]:
        """Add to what is known of a step."""
        self.known[name] = {**self.known.get(name, {}), **facts}
        part = self._memory.with_suffix(".part")
        part.write_text(json.dumps(self.known, indent=1))
        part.replace(self._memory)
        facts_now: dict[str, Any] = self.known[name]
        return facts_now

    def run(self, name: str, command: list[str], limit_s: float) -> dict[str, Any]:
        """Run a step, or look up how it went.

        Returns:
            Its "state" ("done", "cut" at its own limit, or "failed"), "seconds" and "code".

        Raises:
            OutOfTime: this start's time ended first.
        """
        facts = self.known.get(name, {})
        if "state" in facts:
            return dict(facts)
        spent_s = float(facts.get("seconds", 0.0))
        left_s = min(limit_s - spent_s, self.deadline_s - time.monotonic())
        if self.deadline_s - time.monotonic() < 1:
            raise OutOfTime(name)
        print(f"{name}: {' '.join(command)}", flush=True)
        started_s = time.monotonic()
        code = self._run(name, command, max(left_s, 1.0))
        spent_s += time.monotonic() - started_s
        facts = self.remember(name, seconds=round(spent_s, 1), code=code)
        if code in _CUT and spent_s < limit_s - 1:
            raise OutOfTime(name)
        state = "done" if code == 0 else "cut" if code in _CUT else "failed"
        print(f"{name}: {state} in {spent_s:.0f} s", flush=True)
        return self.remember(name, state=state)

    def _run(self, name: str, command: list[str], limit_s: float) -> int:
        with (self.out / "log.txt").open("a") as log:
            log.write(f"\n===== {name}: {' '.join(command)}\n")
            log.flush()
            process = subprocess.Popen(command, cwd=_SOURCE, stdout=log, stderr=subprocess.STDOUT)
            try:
                return process.wait(limit_s)
            except subprocess.TimeoutExpired:
                return -signal.SIGTERM
            finally:  # also where this process is told to end
                if process.poll() is None:
                    _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """In order where it can, else the hard way."""
    process.terminate()
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class Job:
    """What to do; names as on the command line."""

    views: int
    epochs: int
    train_s: float
    render_s: float
    config: str
    validation: int
    workers: int
    settings: tuple[str, ...]
    frames: tuple[str, ...]
    bench_s: float

    @property
    def pictures(self) -> int:
        """Each is seen in two views in every epoch."""
        return -(-self.views // (2 * self.epochs))


def _main(*arguments: str) -> list[str]:
    return [sys.executable, "main.py", *arguments]


def run(job: Job, steps: Steps) -> None:
    """All steps, in order.

    Raises:
        OutOfTime: this start's time ended first.
    """
    machine = _machine()
    steps.remember("machine", **machine)
    print(f"{machine['gpu']}; pictures by {machine['renderer']}", flush=True)
    shards = {name: steps.work / "shards" / name for name in ("train", "validation")}
    for name, count, seed in (("validation", job.validation, 2), ("train", job.pictures, 1)):
        drawing = ("synth", "--output", str(shards[name]), "--count", str(count), "--seed", str(seed))
        steps.run(f"draw {name}", _main(*drawing, "--workers", str(job.workers)), job.render_s)
        sheet = shards[name] / "contact_sheet.png"
        if sheet.is_file():
            shutil.copy(sheet, steps.out / f"{name}.png")
    pictures = _count(shards["train"])
    _train(job, steps, shards, pictures)
    network = _network(job, steps)
    if network is not None:
        _evaluate(job, steps, shards["validation"], network)
    steps.run("tests", [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *_tests()], 600)
    _bench(job, steps, network)


def _train(job: Job, steps: Steps, shards: dict[str, Path], pictures: int) -> None:
    """Two short trainings tell how long an epoch takes; then the one that fits into the time, with its schedule."""
    if pictures == 0:
        return
    if "plan" not in steps.known:
        few = _count(shards["validation"])
        for epochs in (1, 3):
            pilot = _training(job, steps, shards["validation"], f"pilot-{epochs}", (epochs, 0))
            steps.run(f"pilot {epochs}", [*pilot, "--set", "data.validation=[]", "--set", "output.pictures=0"], 600)
        spent = [steps.known[f"pilot {epochs}"]["seconds"] for epochs in (1, 3)]
        longer_s = spent[1] - spent[0]
        if longer_s <= 0:  # noise of a busy machine; then the longer one with its start is the safe side
            longer_s = spent[1]
        views_per_s = 4 * few / max(longer_s, 1e-3)
        fitting = int(_SHARE * job.train_s * views_per_s / (2 * pictures))
        epochs = max(2, min(job.epochs, fitting))
        steps.remember("plan", pictures=pictures, views_per_s=views_per_s, epochs=epochs, views=2 * epochs * pictures)
    epochs = steps.known["plan"]["epochs"]
    command = _training(job, steps, shards["train"], "open-mobile", (epochs - epochs // 2, epochs // 2))
    command += ["--set", f"data.validation.0.root={shards['validation']}", "--set", "output.half_precision=true"]
    if (_run_folder(steps) / "last.ckpt").is_file():
        command.append("--resume")
    steps.run("train", command, job.train_s)


def _training(job: Job, steps: Steps, shards: Path, name: str, epochs: tuple[int, int]) -> list[str]:
    """The command without its validation. Stages run their epochs: the schedule is made for the time limit."""
    folder = steps.work / "runs"
    if not (folder / name / "last.ckpt").is_file():
        shutil.rmtree(folder / name, ignore_errors=True)
    settings = (
        f"name={name}",
        f"output.folder={folder}",
        f"data.train.0.root={shards}",
        f"data.workers={job.workers}",
        f"curriculum.relative.epochs={epochs[0]}",
        "curriculum.relative.patience=0",
        f"curriculum.all.epochs={epochs[1]}",
        *job.settings,
    )
    return _main("train", "--config", job.config, *(part for value in settings for part in ("--set", value)))


def _run_folder(steps: Steps) -> Path:
    return steps.work / "runs" / "open-mobile"


def _network(job: Job, steps: Steps) -> Path | None:
    """The best network, copied to the results; None where the training did not come to its first validation."""
    for path in _run_folder(steps).glob("csv/version_*/metrics.csv"):
        shutil.copy(path, steps.out / f"{path.parent.name}.csv")
    for name in ("best", "last"):
        path = _run_folder(steps) / f"{name}.safetensors"
        if path.is_file():
            for suffix in (".safetensors", ".yaml"):
                shutil.copy(path.with_suffix(suffix), steps.out / f"open-mobile{suffix}")
            return steps.out / "open-mobile.safetensors"
    return None


def _evaluate(job: Job, steps: Steps, shards: Path, network: Path) -> None:
    wanted = {
        "shards": ["--root", str(shards)],
        "demo": [],
        "frames": [part for d in job.frames for part in ("--root", d)],
    }
    for name, arguments in wanted.items():
        if name == "frames" and not arguments:
            continue
        result = steps.work / f"{name}.json"
        command = _main("evaluate", "--dataset", name, *arguments, "--model", str(network), "--output", str(result))
        facts = steps.run(f"evaluate {name}", command, 300)
        if facts["state"] == "done":
            steps.remember(f"evaluate {name}", figures=json.loads(result.read_text()))


def _tests() -> list[str]:
    return [str(path.relative_to(_SOURCE)) for path in sorted(_SOURCE.glob("tests/**/test_*cuda*.py"))]


def _bench(job: Job, steps: Steps, network: Path | None) -> None:
    """The trained network's configuration, the published one's form, training, and the stages of a frame."""
    form = ["--set", "network.template=open"]
    wanted: dict[str, list[str]] = {
        "network open-mobile": ["network", "--config", job.config],
        "network published form": ["network", "--config", "configs/freihand-r50.yaml", *form],
        "training": ["training", "--config", job.config],
        "stages open": ["stages", "--source", "demo"],
    }
    if network is not None:
        wanted["stages open-mobile"] = ["stages", "--source", "demo", "--model", str(network)]
    for device in ("cpu", "cuda") if steps.known["machine"]["cuda"] else ("cpu",):
        for name, arguments in wanted.items():
            result = steps.work / f"bench-{name.replace(' ', '-')}-{device}.json"
            options = ["--device", device, "--seconds", str(job.bench_s), "--output", str(result)]
            facts = steps.run(f"bench {name} {device}", _main("bench", *arguments, *options), 120 + 10 * job.bench_s)
            if facts["state"] == "done":
                steps.remember(f"bench {name} {device}", figures=json.loads(result.read_text()))


def _count(folder: Path) -> int:
    try:
        return len(Shards(folder))
    except HandDGPError:
        return 0


def _machine() -> dict[str, Any]:
    """Of what the figures are. Sets EGL up for an NVIDIA card where that is what draws."""
    import torch

    cuda = torch.cuda.is_available()
    gpu = torch.cuda.get_device_name(0) if cuda else "no CUDA device: all on the processor"
    return {
        "gpu": gpu,
        "cuda": cuda,
        "torch": torch.__version__,
        "cuda_version": torch.version.cuda,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "renderer": _renderer(),
    }


def _renderer() -> str:
    """What draws: the GPU where EGL finds it, else whatever the system has, such as llvmpipe."""
    vendors = [str(path) for folder in _VENDORS for path in sorted(Path(folder).glob("*nvidia*.json"))]
    name = "__EGL_VENDOR_LIBRARY_FILENAMES"
    for value in ([os.environ[name]] if name in os.environ else []) + vendors + [""]:
        os.environ[name] = value
        if not value:
            del os.environ[name]
        found = subprocess.run([sys.executable, "-c", _LOOK], cwd=_SOURCE, capture_output=True, text=True)
        if found.returncode == 0:
            return found.stdout.strip()
    return "nothing: no OpenGL context"


_LOOK = """
from handdgp_core.synthetic.rendering.opengl import headless_context
print(headless_context().info["GL_RENDERER"])
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="run.sh", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    option = parser.add_argument
    option("--views", type=int, default=1_000_000, help="views to train on: each picture in two views an epoch")
    option("--epochs", type=int, default=8, help="at most; fewer where the time limit wants it")
    option("--train-minutes", type=float, default=25.0)
    option("--render-minutes", type=float, default=12.0, help="fewer pictures where they do not suffice")
    option("--validation", type=int, default=2000, help="pictures to validate on")
    option("--config", default="configs/open-mobile.yaml")
    option("--set", action="append", default=[], help="replaces a value of the configuration, as in `train`")
    option("--frames", action="append", default=[], help="a folder of real pictures for `evaluate --dataset frames`")
    option("--workers", type=int, default=os.cpu_count() or 1)
    option("--bench-seconds", type=float, default=10.0, help="for each benchmark")
    option("--work", type=Path, default=_SOURCE / "runs" / "gpu", help="folder for data and for what is known so far")
    option("--out", type=Path, default=Path(os.environ.get("OUT", "out")), help="folder for results; default $OUT")
    option("--stop-after-s", type=float, default=86400.0, help="end this start after so long; the next one goes on")
    given = parser.parse_args()
    for folder in (given.work, given.out):
        folder.mkdir(parents=True, exist_ok=True)
    job = Job(
        views=given.views,
        epochs=given.epochs,
        train_s=60 * given.train_minutes,
        render_s=60 * given.render_minutes,
        config=given.config,
        validation=given.validation,
        workers=given.workers,
        settings=tuple(given.set),
        frames=tuple(given.frames),
        bench_s=given.bench_seconds,
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    steps = Steps(given.work.resolve(), given.out.resolve(), time.monotonic() + given.stop_after_s)
    try:
        run(job, steps)
    except OutOfTime as step:
        print(f"Time is up in {step}. The same command goes on.")
        return _NOT_DONE
    finally:
        (steps.out / "benchmarks.json").write_text(json.dumps(steps.known, indent=1))
    bad = [name for name, facts in steps.known.items() if facts.get("state") == "failed"]
    print(
        f"All done, see {steps.out}."
        if not bad
        else f"Done, but failed: {', '.join(bad)}. See {steps.out / 'log.txt'}."
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
