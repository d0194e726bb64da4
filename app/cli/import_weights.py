"""`import-weights`: the published HandDGP checkpoint into a file of this program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from torch import Tensor

from app.cli.console import console
from app.cli.options import DONE
from handdgp_core.errors import AssetError
from handdgp_core.hands.licensed.mano import VERTEX_COUNT
from handdgp_core.hands.licensed.restricted_pickle import numbers, read_pickle, whole_numbers
from handdgp_core.hands.topology.hierarchy import Mesh
from handdgp_core.networks.checkpoints.foreign_weights import read_state_dict
from handdgp_core.networks.checkpoints.published import PREFIX, build_published
from handdgp_core.networks.checkpoints.weights import save_network

TEMPLATE_FILE = "transform.pkl"
_TEMPLATE_HINT = "Give the template folder of MobRecon (https://github.com/SeanChenxy/HandMesh), with transform.pkl."
_CHECKPOINT_HINT = "Give the checkpoint of HandDGP as its authors publish it."


def import_weights(checkpoint: Path, template_folder: Path, output: Path, focal_px: float = 1000.0) -> None:
    """Turn the published checkpoint into one of this program. Nothing in either file is run.

    Args:
        checkpoint: a Lightning checkpoint, {"state_dict": {"model.<name>": tensor}}.
        template_folder: with MobRecon's transform.pkl, or that file.
        output: the .safetensors file to write.
        focal_px: the canonical focal length of its training: 1000 for FreiHAND, 500 for HO3D-v2, 400 for Human3.6M.

    Raises:
        WeightsError: names every tensor that is missing, unknown or of another shape.
        AssetError: the template is missing, damaged, or would run code.
        OutputError: the output cannot be written.
    """
    state = _without_prefix(read_state_dict(checkpoint, _CHECKPOINT_HINT))
    levels = _read_levels(template_folder)
    name = "mano" if len(levels[0].vertices) == VERTEX_COUNT else "imported"
    network = build_published(state, levels, name, focal_px)
    save_network(network, output, {"origin": f"imported from {checkpoint.name}"})
    sizes = ", ".join(str(len(mesh.vertices)) for mesh in levels)
    count = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    console.print(f"{count:.1f} million parameters, mesh levels {sizes}; written to {output}", markup=False)


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Lightning puts the name of its own attribute before every name."""
    return {key.removeprefix(PREFIX): value for key, value in state.items()}


def _read_levels(template_folder: Path) -> tuple[Mesh, ...]:
    file = template_folder / TEMPLATE_FILE if template_folder.is_dir() else template_folder
    content = read_pickle(file, "MobRecon's mesh template", _TEMPLATE_HINT)
    faces = _list(content, "face", file)
    vertices = _list(content, "vertices", file)
    if len(faces) != len(vertices):
        problem = f"{file} has faces of {len(faces)} levels, but vertices of {len(vertices)}."
        raise AssetError(problem, hint=_TEMPLATE_HINT)
    return tuple(_mesh(*level, file) for level in zip(vertices, faces, strict=True))


def _list(content: Any, key: str, file: Path) -> list[Any]:
    value = content.get(key) if isinstance(content, dict) else None
    if not isinstance(value, list) or not value:
        raise AssetError(f'{file} has no list "{key}".', hint=_TEMPLATE_HINT)
    return value


def _mesh(vertices: Any, faces: Any, file: Path) -> Mesh:
    try:
        mesh = Mesh(numbers(vertices), whole_numbers(faces))
    except (TypeError, ValueError) as error:
        raise AssetError(f"{file} has levels that are no arrays: {error}.", hint=_TEMPLATE_HINT) from error
    shapes = mesh.vertices.shape, mesh.faces.shape
    fits = [len(shape) == 2 and shape[1] == 3 for shape in shapes]
    if not all(fits) or not (mesh.faces.min() >= 0 and mesh.faces.max() < len(mesh.vertices)):
        problem = f"{file} has a level of vertices {shapes[0]} and faces {shapes[1]} that make no mesh."
        raise AssetError(problem, hint=_TEMPLATE_HINT)
    return mesh


def command(
    checkpoint: Annotated[Path, typer.Argument(help="The published HandDGP checkpoint.")],
    template: Annotated[Path, typer.Option("--template", help="MobRecon's template folder, with transform.pkl.")],
    output: Annotated[Path, typer.Option("--output", help="The .safetensors file to write.")],
    focal_px: Annotated[
        float, typer.Option("--focal", min=1.0, help="Canonical focal length: FreiHAND 1000, HO3D 500, Human3.6M 400.")
    ] = 1000.0,
) -> int:
    """Turn the published checkpoint into a file that --model takes. Nothing in it is run."""
    import_weights(checkpoint, template, output, focal_px)
    return DONE
