"""Table 1 of the supplement: networks with and without rectification, with and without gradients through DGP.

Every row is a training of its own, in a folder of its own, then an evaluation. What is done is not done again, so the
same call goes on with a table that was stopped. Rows that differ in gradients through DGP alone have the same first
stage, which has none: it is trained once.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field

from handdgp_core.config import Config, SelfChecking, parse
from handdgp_core.datasets.config import DatasetConfig
from handdgp_core.datasets.registry import JoinedHands, open_dataset
from handdgp_core.errors import UsageError
from handdgp_core.evaluation.labelled import Protocol, evaluate_network
from handdgp_core.evaluation.summary import summarise, without_nan
from handdgp_core.files import whole_file, write_json, write_text
from handdgp_core.networks import load_network
from handdgp_core.training.checkpoints import LAST, RELATIVE
from handdgp_core.training.config import TrainingConfig, load_config, read_config, with_overrides
from handdgp_core.training.trainer import train

__all__ = ["AblationConfig", "Row", "begin_as", "load_ablation", "rows", "run_ablation"]

ROW, TABLE = "row.json", "table.md"
_COLUMNS = {
    "camera_space_mm": "camera space, joints",
    "vertices_camera_space_mm": "camera space, vertices",
    "root_relative_mm": "relative, joints",
    "vertices_root_relative_mm": "relative, vertices",
    "procrustes_aligned_mm": "aligned, joints",
    "vertices_procrustes_aligned_mm": "aligned, vertices",
    "root_mm": "root",
}


class AblationConfig(Config):
    """A table.

    Attributes:
        name: of the table; its rows are runs in `folder`/`name`.
        folder: where runs go.
        networks: the training configuration of each network, by the name that the table gives it.
        set: "dotted.key=value" settings for all of them.
        evaluation: the data set that the figures are for.
        protocol: the crops of the evaluation, see `evaluation.labelled`.
        only: names of the rows to make, such as CMR-plain-apart, so that several processes share the work in one
            folder; empty for all.
        model_folder: where licensed models lie; empty for the program's usual places.
    """

    name: str
    folder: str = "runs"
    networks: Annotated[dict[str, str], Field(min_length=1)]
    set: tuple[str, ...] = ()
    evaluation: Annotated[DatasetConfig, SelfChecking]
    protocol: Protocol = "mobrecon"
    only: tuple[str, ...] = ()
    model_folder: str = ""


class Row(Config):
    """One row of the table: what it is, and the configuration that makes it."""

    network: str
    rectified: bool
    end_to_end: bool
    config: TrainingConfig


def load_ablation(path: Path, overrides: tuple[str, ...] = ()) -> AblationConfig:
    """Read the table's configuration.

    Args:
        path: a YAML file such as configs/table1.yaml.
        overrides: "dotted.key=value" settings of the table that replace the file's.

    Raises:
        UsageError: not readable, an unknown key, another type, or a value that makes no sense; it names the key.
    """
    return parse(AblationConfig, with_overrides(read_config(path), overrides))


def rows(table: AblationConfig) -> list[Row]:
    """The rows, network by network, as the supplement has them: without anything first.

    Raises:
        UsageError: a configuration of a network that makes no sense.
    """
    found = []
    for (network, path), rectified, end_to_end in product(table.networks.items(), (False, True), (False, True)):
        name = f"{network}-{'rectified' if rectified else 'plain'}-{'end-to-end' if end_to_end else 'apart'}"
        own = [
            *table.set,
            *(f"name={name}", f"output.folder={Path(table.folder) / table.name}"),
            f"curriculum.all.end_to_end={str(end_to_end).lower()}",
            *([] if rectified else ["network.rectification.policy=none"]),
        ]
        config = load_config(path, own)
        if rectified and config.network.rectification.policy == "none":
            raise UsageError(f"{path}: the rows with rectification need a policy other than none.")
        found.append(Row(network=network, rectified=rectified, end_to_end=end_to_end, config=config))
    return found


def run_ablation(table: AblationConfig, tell: Callable[[str], None]) -> Path:
    """Train and evaluate what is not there yet; the path of the table.

    Args:
        table: which one.
        tell: told what is being done.

    Raises:
        UsageError: rows that were made with another configuration, or rows to make that there are none of.
        HandDGPError: as in `train` and `evaluate_network`.
    """
    planned = rows(table)
    unknown = set(table.only) - {row.config.name for row in planned}
    if unknown:
        raise UsageError(
            f"only: there is no row {', '.join(sorted(unknown))}.",
            hint=f"The rows are {', '.join(row.config.name for row in planned)}.",
        )
    figures = []
    for number, row in enumerate(planned):
        if table.only and row.config.name not in table.only:
            continue
        tell(f"{row.config.name} ({number + 1} of {len(planned)})")
        figures.append(_row(table, row, planned[number - 1] if row.end_to_end else None))
    folder = Path(table.folder) / table.name
    write_json(folder / "table.json", {"rows": figures})
    write_text(folder / TABLE, markdown(figures))
    return folder / TABLE


def markdown(figures: list[dict[str, Any]]) -> str:
    """The rows' figures as a table in Markdown: mean errors in millimetres ± the means' standard errors."""
    shown = {key: name for key, name in _COLUMNS.items() if any(key in row["figures"] for row in figures)}
    lines = [
        "| network | rectification | end to end | " + " | ".join(shown.values()) + " | placed |",
        "| --- " * (len(shown) + 4) + "|",
    ]
    for row in figures:
        cells = [row["network"], *("yes" if row[key] else "no" for key in ("rectified", "end_to_end"))]
        cells += [_mean(row["figures"], key) for key in shown]
        lines.append(f"| {' | '.join(cells)} | {row['figures']['found']} of {row['figures']['hands']} |")
    return "\n".join(lines) + "\n"


def _mean(figures: Mapping[str, Any], key: str) -> str:
    spread = figures.get(key, {})
    value, error = spread.get("mean"), spread.get("standard_error")
    if value is None:
        return "-"
    return f"{value:.1f}" if error is None else f"{value:.1f} ± {error:.1f}"


def _row(table: AblationConfig, row: Row, sibling: Row | None) -> dict[str, Any]:
    """`sibling` is a row with the same first stage, done before."""
    folder = row.config.run_folder
    made_of = {
        "config": row.config.to_plain(),
        "evaluation": table.to_plain()["evaluation"],
        "protocol": table.protocol,
    }
    if (folder / ROW).is_file():
        done: dict[str, Any] = json.loads((folder / ROW).read_text(encoding="utf-8"))
        if done["made_of"] != json.loads(json.dumps(made_of)):
            raise UsageError(
                f"{folder} was made with another configuration.",
                hint="Give the table another name, or delete the folder.",
            )
        return done
    network = folder / "last.safetensors"
    if not network.is_file():  # it is written when the curriculum is through
        if sibling is not None:
            begin_as(sibling.config.run_folder, folder)
        result = train(row.config, resume=(folder / LAST).is_file())
        if not result.finished:
            raise UsageError(
                f"The training in {folder} ended before its time.", hint="The same command goes on with it."
            )
    elif yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")) != row.config.to_plain():
        raise UsageError(f"{folder} was trained with another configuration.", hint="Give the table another name.")
    done = {
        "network": row.network,
        "rectified": row.rectified,
        "end_to_end": row.end_to_end,
        "figures": without_nan(_evaluated(table, network)),
        "made_of": made_of,
    }
    write_json(folder / ROW, done)
    return done


def begin_as(sibling: Path, folder: Path) -> None:
    """Take over the first stage of another run, where there is one and this one has not begun."""
    if (sibling / RELATIVE).is_file() and not (folder / LAST).exists():
        with whole_file(folder / LAST, make_folder=True) as part:
            shutil.copyfile(sibling / RELATIVE, part)


def _evaluated(table: AblationConfig, file: Path) -> dict[str, Any]:
    network = load_network(file)
    config = table.evaluation
    hands = JoinedHands([open_dataset(config, network.template, table.model_folder)], [config])
    found = evaluate_network(network, hands, lambda done, total: None, protocol=table.protocol)
    return summarise(found[network.config.positioning], excluded=())
