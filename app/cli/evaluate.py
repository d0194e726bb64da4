"""`evaluate`: a model against labelled hands, with both DGP solves."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.console import Console
from rich.table import Table

from app.cli.accuracy_table import show_accuracy
from app.cli.console import cancellable, console, progress_bar
from app.cli.options import (
    CANCELLED,
    DONE,
    Bone,
    Device,
    DeviceOption,
    Engine,
    EngineOption,
    HandLength,
    Model,
    measured_hand,
)
from handdgp_core.drawing.examples import Examples
from handdgp_core.errors import UsageError
from handdgp_core.evaluation.accuracy import accuracy, mean_over_roots
from handdgp_core.evaluation.matching import Matches
from handdgp_core.evaluation.protocols import Progress, evaluate_demo, evaluate_folder
from handdgp_core.evaluation.summary import Pairs, summarise, without_nan
from handdgp_core.files import write_json
from handdgp_core.privacy import public_name

if TYPE_CHECKING:
    from handdgp_core.estimation.estimator import HandEstimator
    from handdgp_core.estimation.predictor import PositioningMethod

# Pictures with annotations, and the bundled clip, go through the whole program. The public sets go through the network
# on the labelled hand's box where the model is a file, else through the whole program.
PLAIN, LABELLED = ("frames", "demo"), ("freihand", "ho3d", "h36m", "shards")
DATASETS = (*PLAIN, *LABELLED)
PROTOCOLS = ("mobrecon", "keypoints")  # of `evaluation.labelled`, which needs parts that other data sets do not
EVALUATION_SPLITS = {"freihand": "evaluation", "ho3d": "evaluation", "h36m": "test"}
METHODS: tuple[PositioningMethod, ...] = ("published", "refined")
EXAMPLE_COUNT = 8


@dataclass(frozen=True)
class EvaluateOptions:
    """What `evaluate` was asked for; names as on the command line.

    Attributes:
        roots: folders of the data set; several for `frames` alone.
        report: folder for an HTML report with plots and pictures.
        submission: file for the server of FreiHAND (.json or .zip) or HO3D (.zip).
        split: of the data set; empty for the one to evaluate on.
        excluded: joints that errors skip; None for joint 0 of `frames` and `demo`, whose makers put the wrist
            elsewhere, and for none of the public sets, which are scored with their own joints.
        limit: use the first samples only.
        protocol: which crops a network sees, see `evaluation.labelled`; empty for the one of published figures.
    """

    dataset: str
    roots: tuple[Path, ...]
    output: Path
    model: str = "open"
    device: str = "auto"
    engine: str = "auto"
    hand_length_m: float | None = None
    hand_length_std: float = 0.0
    excluded: tuple[int, ...] | None = None
    report: Path | None = None
    submission: Path | None = None
    split: str = ""
    limit: int | None = None
    protocol: str = ""

    @property
    def skipped_joints(self) -> tuple[int, ...]:
        """`excluded`, or what goes for the data set."""
        return self.excluded if self.excluded is not None else (0,) if self.dataset in PLAIN else ()


def evaluate(options: EvaluateOptions) -> bool:
    """Run `evaluate`; False if it was cancelled (then nothing is written: part of a data set is no figure).

    Raises:
        HandDGPError: bad input, or an output that cannot be written.
    """
    from handdgp_core.estimation.hand_length import check_hand_length

    _check(options)
    check_hand_length(options.hand_length_m)
    if _breaks_down(options):
        return _break_down(options)
    examples = Examples(EXAMPLE_COUNT if options.report else 0)
    with cancellable() as cancelled:
        matches = _all_matches(options, cancelled, examples) if options.dataset in PLAIN else {}
        found = {name: part.pairs() for name, part in matches.items()} or _all_pairs(options, cancelled, examples)
        method = _own_solve(options)
        if cancelled.is_set():
            return False
    several, skipped = len(options.roots) > 1, options.skipped_joints
    results = {name: summarise(pairs, skipped) for name, pairs in found.items()}
    content: dict[str, Any] = {"dataset": options.dataset, "model": public_name(options.model)}
    content["roots" if several else "positioning"] = results
    if matches:
        names = list(matches) if several else [method]
        rows = {name if several else _name_of(options): accuracy(matches[name], skipped) for name in names}
        content["accuracy"] = {"roots": rows, "mean": mean_over_roots(list(rows.values()))}
    if _is_network(options):
        content["protocol"] = _protocol(options)
    write_json(options.output, without_nan(content))
    if options.submission is not None:
        _submit(options, found[method])
    if options.report is not None:
        _report(options, options.report, results, examples)
    if not several:
        _show(results)
    if matches:
        show_accuracy(rows, skipped)
    return True


def _break_down(options: EvaluateOptions) -> bool:
    """Any model on synthetic shards: tables by distance, view, skin tone, occlusion and hand size."""
    from handdgp_core.datasets.shards import Shards
    from handdgp_core.estimation.models import limit_threads, load_predictor
    from handdgp_core.evaluation.breakdown import break_down

    limit_threads(options.model)
    model = load_predictor(options.model, options.device, options.engine)
    try:
        with _bar("shards") as progress:
            tables = break_down(Shards(options.roots[0]), model, progress)
    except KeyboardInterrupt:
        return False
    write_json(
        options.output, {"dataset": options.dataset, "model": public_name(options.model), "tables": without_nan(tables)}
    )
    table = Table("hands", "followed", "camera space", "length given", "length given, uniform weights")
    for name, row in _rows(tables):
        cells = (_spread(row, key) for key in ("joint_mm", "sized_mm", "uniform_mm"))
        table.add_row(name, f"{row['followed_count']} of {row['count']}", *cells)
    Console(width=120).print("error, mm (mean / median / 90 %)", table)
    return True


def _rows(tables: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "all", tables["all"]
    for kind, groups in tables.items():
        if kind not in ("all", "mean_weight", "skin_tone_spread"):
            yield from ((f"{kind}: {name}", row) for name, row in groups.items())


def _spread(row: dict[str, Any], key: str) -> str:
    values = row.get(key)
    return "" if values is None else " / ".join(f"{values[name]:.1f}" for name in ("mean", "median", "percentile_90"))


def _check(options: EvaluateOptions) -> None:
    if options.dataset not in DATASETS:
        raise UsageError(
            f"There is no data set {options.dataset!r} to evaluate on.", hint=f"Choose one of {', '.join(DATASETS)}."
        )
    if not options.roots and options.dataset != "demo":
        raise UsageError(f"--dataset {options.dataset} needs a folder.", hint="Give --root FOLDER.")
    if len(options.roots) > 1 and options.dataset != "frames":
        raise UsageError(
            f"--dataset {options.dataset} takes one --root, not {len(options.roots)}.",
            hint="Only frames takes several.",
        )
    if len({root.resolve() for root in options.roots}) < len(options.roots):
        raise UsageError("A --root is given twice.", hint="Give every folder once.")
    if options.submission is not None and options.dataset not in ("freihand", "ho3d"):
        raise UsageError(
            f"--submission does not go with --dataset {options.dataset}.",
            hint="Only freihand and ho3d have a server: drop --submission.",
        )

    if options.submission is not None and (options.limit is not None or not _is_network(options)):
        raise UsageError(
            "--submission needs a hand of MANO's mesh for every sample.",
            hint="Give a network's .safetensors file as --model, and no --limit.",
        )
    whole = options.dataset in PLAIN or _breaks_down(options)
    ignored = {
        "--limit": options.limit is not None and whole,
        "--split": bool(options.split) and options.dataset not in EVALUATION_SPLITS,
        "--hand-length-mm": options.hand_length_m is not None and (options.dataset == "h36m" or _breaks_down(options)),
        "--leave-out": options.excluded is not None and _breaks_down(options),
        "--protocol": bool(options.protocol) and not _is_network(options),
    }
    for name in (name for name, useless in ignored.items() if useless):
        raise UsageError(
            f"{name} changes nothing for --dataset {options.dataset} with this --model.", hint=f"Drop {name}."
        )
    if options.protocol not in ("", *PROTOCOLS):
        raise UsageError(f"There is no protocol {options.protocol!r}.", hint=f"Choose one of {', '.join(PROTOCOLS)}.")


def _is_network(options: EvaluateOptions) -> bool:
    """Whether a network sees labelled crops; else the whole program sees whole images."""
    from handdgp_core.estimation.models import is_network_file

    return options.dataset in LABELLED and is_network_file(options.model) and not _breaks_down(options)


def _own_solve(options: EvaluateOptions) -> PositioningMethod:
    from handdgp_core.estimation.models import own_solve

    return own_solve(options.model)


def _breaks_down(options: EvaluateOptions) -> bool:
    return options.dataset == "shards" and options.report is None


def _protocol(options: EvaluateOptions) -> str:
    """The one asked for, or the one of published figures."""
    return options.protocol or ("mobrecon" if options.dataset == "freihand" else "keypoints")


def _all_matches(options: EvaluateOptions, cancelled: threading.Event, examples: Examples) -> dict[str, Matches]:
    """Labelled hands and those found: of one root by solve, of several by root with the model's own."""
    method = _own_solve(options)
    if len(options.roots) > 1:
        runs = [(name, root, method) for name, root in zip(_names(options.roots), options.roots, strict=True)]
    else:
        runs = [(solve, next(iter(options.roots), Path()), solve) for solve in METHODS]
    matches = {}
    for name, root, solve in runs:
        shown = examples if solve == method else Examples()
        with _estimator(options, solve) as estimator, _bar(f"{_name_of(options, root)}, {solve} solve") as progress:
            if options.dataset == "demo":
                matches[name] = evaluate_demo(estimator, progress, cancelled, shown)
            else:
                matches[name] = evaluate_folder(root, estimator, progress, cancelled, shown)
        if cancelled.is_set():
            break
    return matches


def _names(roots: Sequence[Path]) -> list[str]:
    """Short names of the roots, whole paths where these would not tell them apart."""
    short = [root.resolve().name for root in roots]
    return short if len(set(short)) == len(short) else [str(root) for root in roots]


def _name_of(options: EvaluateOptions, root: Path | None = None) -> str:
    """What a run is called: the folder's name, or that of the data set."""
    return "demo" if options.dataset == "demo" else (root or options.roots[0]).resolve().name


@contextmanager
def _estimator(options: EvaluateOptions, method: PositioningMethod) -> Iterator[HandEstimator]:
    from handdgp_core.estimation.estimator import HandEstimator
    from handdgp_core.estimation.models import limit_threads

    limit_threads(options.model)
    with HandEstimator.from_weights(
        options.model,
        options.device,
        options.hand_length_m,
        method=method,
        hand_length_std=options.hand_length_std,
        engine=options.engine,
    ) as estimator:
        yield estimator


def _all_pairs(options: EvaluateOptions, cancelled: threading.Event, examples: Examples) -> dict[str, Pairs]:
    if _is_network(options):
        return _network_pairs(options, cancelled, examples)
    pairs: dict[str, Pairs] = {}
    own = _own_solve(options)
    for method in METHODS:
        pairs[method] = _program_pairs(options, method, cancelled, examples if method == own else Examples())
        if cancelled.is_set():
            break
    return pairs


def _network_pairs(options: EvaluateOptions, cancelled: threading.Event, examples: Examples) -> dict[str, Pairs]:
    from handdgp_core.estimation.models import choose_device
    from handdgp_core.evaluation.labelled import Protocol, evaluate_network
    from handdgp_core.evaluation.submissions import check_submittable
    from handdgp_core.networks import load_network

    network = load_network(options.model, choose_device(options.device))
    if options.submission is not None:
        check_submittable(network.template.vertex_count)
    hands, protocol = _open(options, network.template), cast(Protocol, _protocol(options))
    with _bar(options.dataset) as progress:
        solved = evaluate_network(
            network, hands, progress, cancelled, examples, protocol=protocol, hand_length_m=options.hand_length_m
        )
    return {method: pairs for method, pairs in solved.items()}


def _program_pairs(
    options: EvaluateOptions, method: PositioningMethod, cancelled: threading.Event, examples: Examples
) -> Pairs:
    from handdgp_core.evaluation.labelled import evaluate_estimator

    with _estimator(options, method) as estimator, _bar(f"{options.dataset}, {method} solve") as progress:
        return evaluate_estimator(estimator, _open(options, None), progress, cancelled, examples)


def _open(options: EvaluateOptions, template: Any) -> Any:
    from handdgp_core.datasets.config import DatasetConfig
    from handdgp_core.datasets.registry import JoinedHands, open_dataset, open_template

    split = options.split or EVALUATION_SPLITS.get(options.dataset, "")
    config = DatasetConfig(options.dataset, str(options.roots[0]), split, limit=options.limit)  # type: ignore[arg-type]
    if template is None:
        template = open_template("body" if options.dataset == "h36m" else "open")
    return JoinedHands([open_dataset(config, template)], [config])


@contextmanager
def _bar(title: str) -> Iterator[Progress]:
    """A progress bar as a function (done, total)."""
    with progress_bar(title, None) as bar:
        yield lambda done, total: bar.update(bar.task_ids[0], completed=done, total=total)


def _submit(options: EvaluateOptions, pairs: Pairs) -> None:
    from handdgp_core.evaluation.stand_ins import with_stand_ins
    from handdgp_core.evaluation.submissions import write_freihand, write_ho3d

    assert options.submission is not None
    keypoints, vertices, replaced = with_stand_ins(pairs)
    write = write_ho3d if options.dataset == "ho3d" else write_freihand
    path = write(options.submission, keypoints, vertices)
    console.print(
        f"{path}: {len(keypoints)} hands, {replaced} of them stand-ins for hands without a root", markup=False
    )


def _report(options: EvaluateOptions, folder: Path, results: dict[str, dict[str, Any]], examples: Examples) -> None:
    try:
        from handdgp_core.drawing.qualitative import draw_example
        from handdgp_core.evaluation.report import write_report
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--report needs {error.name}, which is not installed.", hint=f"Install it: pip install {error.name}."
        ) from error
    pictures: Sequence[Any] = [(example.name, draw_example(example)) for example in examples.kept]
    path = write_report(folder, {"dataset": options.dataset, "model": public_name(options.model)}, results, pictures)
    console.print(f"Report: {path}", markup=False)


def _show(results: dict[str, dict[str, Any]]) -> None:
    table = Table("error, mm (mean / median / 90 %)", *results)
    rows = next(iter(results.values()))
    keys = [key for key in rows if key.endswith("_mm") and any(result[key]["count"] for result in results.values())]
    for key in keys:
        table.add_row(key, *(_three(result[key]) for result in results.values()))
    for distance in next(iter(results.values()))["camera_space_mm_by_distance"]:
        cells = [result["camera_space_mm_by_distance"].get(distance) for result in results.values()]
        table.add_row(f"camera space, {distance}", *("" if cell is None else _three(cell) for cell in cells))
    Console(width=100).print(table)
    for method, result in results.items():
        sides = result["handedness_right_fraction"]
        judged = "" if math.isnan(sides) else f", {100 * sides:.1f} % on the right side"
        console.print(f"{method}: {result['found']} of {result['hands']} hands found and placed{judged}")


def _three(spread: dict[str, float]) -> str:
    return f"{spread['mean']:.1f} / {spread['median']:.1f} / {spread['percentile_90']:.1f} ({spread['count']})"


def command(
    dataset: Annotated[
        str,
        typer.Option("--dataset", help="frames (a folder with annotations.npz), demo, freihand, ho3d, h36m or shards."),
    ],
    output: Annotated[Path, typer.Option("--output", help="JSON file for the figures.")],
    root: Annotated[
        list[Path] | None,
        typer.Option("--root", help="Folder of the data set. frames takes several, one for each person or camera."),
    ] = None,
    model: Model = "open",
    device: DeviceOption = Device.auto,
    engine: EngineOption = Engine.auto,
    hand_length_mm: HandLength = None,
    bone: Bone = None,
    leave_out: Annotated[
        str | None,
        typer.Option("--leave-out", help="Joints that errors skip, comma-separated. Default: 0 for frames and demo."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="Folder for an HTML report with plots and pictures.")
    ] = None,
    submission: Annotated[
        Path | None, typer.Option("--submission", help="Predictions for the server of FreiHAND or HO3D.")
    ] = None,
    split: Annotated[str, typer.Option("--split", help="Split of the data set. Default: the one to evaluate on.")] = "",
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="The first N samples only.")] = None,
    protocol: Annotated[
        str,
        typer.Option(
            "--protocol",
            help="Crops for a network: mobrecon (FreiHAND's default: 130 px about the middle) or keypoints (around the "
            "true ones).",
        ),
    ] = "",
) -> int:
    """A model against labelled hands, with the published and the refined DGP solve."""
    try:
        excluded = None if leave_out is None else tuple(int(part) for part in leave_out.split(",") if part.strip())
    except ValueError:
        raise UsageError(
            f"--leave-out {leave_out} is not a list of joint numbers.", hint="Write it like this: 0,4."
        ) from None
    hand = measured_hand(hand_length_mm, bone)
    options = EvaluateOptions(
        dataset=dataset,
        roots=tuple(root or ()),
        output=output,
        model=model,
        device=device.value,
        engine=engine.value,
        hand_length_m=hand.length_m,
        hand_length_std=hand.std,
        excluded=excluded,
        report=report,
        submission=submission,
        split=split,
        limit=limit,
        protocol=protocol,
    )
    return DONE if evaluate(options) else CANCELLED
