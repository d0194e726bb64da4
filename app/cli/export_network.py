"""`export-network`: a network as an ONNX file, for other programs and engines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import console
from app.cli.options import DONE

_OPEN_LICENCE = "Apache-2.0"
_LICENCE_HINT = "as its weights'; not known to this program"


def export_network(model: str, output: Path, with_dgp: bool = False, licence: str = "") -> None:
    """Write the file, and compare what ONNX Runtime makes of it with PyTorch on drawn hands.

    Raises:
        UsageError: a model that is no network, or a file that does not give PyTorch's hands.
        WeightsError: a checkpoint that is missing, damaged or foreign.
        OutputError: the output cannot be written.
    """
    from handdgp_core.engines.agreement import compare
    from handdgp_core.engines.export import onnx_bytes
    from handdgp_core.engines.onnx_runtime import OnnxRuntimeEngine
    from handdgp_core.estimation.models import open_network
    from handdgp_core.files import expanded, write_bytes

    network = open_network(model)
    given = licence or (_OPEN_LICENCE if model == "open" else _LICENCE_HINT)
    content = onnx_bytes(network, with_dgp, {"licence": given, "origin": Path(model).name})
    found = compare(network, OnnxRuntimeEngine(content, 1))
    found.check(output)
    write_bytes(expanded(output), content)
    console.print(
        f"Written to {output}, {len(content) / 1e6:.1f} MB. ONNX Runtime differs from PyTorch by at most "
        f"{found.root_mm:.2g} mm of root and {found.keypoint_px:.2g} px on eight drawn hands.",
        markup=False,
        soft_wrap=True,
    )


def command(
    model: Annotated[str, typer.Argument(help="open, or a .safetensors file.")],
    output: Annotated[Path, typer.Option("--output", help="The .onnx file to write.")],
    dgp: Annotated[bool, typer.Option("--dgp/--no-dgp", help="Whether DGP is part of the file.")] = False,
    licence: Annotated[str, typer.Option("--licence", help="Of the weights, for the file's own description.")] = "",
) -> int:
    """A network as an ONNX file: any batch, with mesh, crop policy and licence in its metadata."""
    export_network(model, output, dgp, licence)
    return DONE
