"""A network as an ONNX file, which other engines and programs read.

Inputs: `image` (batch, 3, S, S) RGB in [0, 1], `intrinsics` (batch, 3, 3) of the crops in pixels (not there where a
network without DGP does not look at them). Outputs: `keypoints_uv`, `vertices` and `weights` as of
`networks.RelativeOutput`; with DGP also `root_m`, `vertices_m`, `keypoints_m` and `degenerate` as of `NetworkOutput`;
of a guided network also its landmarks. Any batch of 1 or more.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from handdgp_core.engines.protocol import LandmarkArrays
from handdgp_core.files import write_bytes
from handdgp_core.networks.guided_handdgp import GuidedHandDGP
from handdgp_core.networks.handdgp import HandDGP
from handdgp_core.networks.output import NetworkOutput, RelativeOutput

__all__ = ["export_network", "onnx_bytes"]

_OPSET = 17
_FOCAL_PX = 400.0


def export_network(
    network: HandDGP, path: Path | str, with_dgp: bool = False, notes: Mapping[str, str] | None = None
) -> None:
    """Write a network as an ONNX file, never half. What the file says of itself: `metadata`.

    Args:
        network: on the processor, in evaluation mode.
        path: the file.
        with_dgp: whether DGP is part of it.
        notes: more to write into the file, such as its licence.

    Raises:
        OutputError: the place cannot be written.
    """
    write_bytes(Path(path), onnx_bytes(network, with_dgp, notes))


def onnx_bytes(network: HandDGP, with_dgp: bool = False, notes: Mapping[str, str] | None = None) -> bytes:
    """What `export_network` writes."""
    size = network.config.image_size
    guided = isinstance(network, GuidedHandDGP)
    outputs = list(NetworkOutput._fields if with_dgp else RelativeOutput._fields)
    outputs += [f"landmark_{name}" for name in LandmarkArrays._fields] if guided else []
    inputs = ["image", "intrinsics"] if guided or with_dgp else ["image"]
    matrix = torch.tensor([[_FOCAL_PX, 0, size / 2], [0, _FOCAL_PX, size / 2], [0, 0, 1]])
    example = (torch.rand(2, 3, size, size), matrix.expand(2, 3, 3).contiguous())[: len(inputs)]
    content = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        # The tracer's, of checks that this example has passed; and that there is a newer way, which wants more.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Flat(network, with_dgp).eval(),
            example,
            content,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=_OPSET,
            input_names=inputs,
            output_names=outputs,
            dynamic_axes={name: {0: "batch"} for name in inputs + outputs},
        )
    import onnx  # takes a while, which those need not wait for whose network was exported before

    model = onnx.load_from_string(content.getvalue())
    for key, value in {**_metadata(network, with_dgp), **(notes or {})}.items():
        model.metadata_props.add(key=key, value=value)
    serialised: bytes = model.SerializeToString()
    return serialised


def _metadata(network: HandDGP, with_dgp: bool) -> dict[str, str]:
    """What a reader must know to make crops and to understand hands."""
    config, template = network.config, network.template
    return {
        "format": "handdgp-live onnx 1",
        "config": json.dumps(config.to_plain()),
        "crop_policy": json.dumps(config.rectification.to_plain()),
        "pixel_of_fraction": f"fraction * {config.image_size} + {config.pixel_offset}",
        "positioning": config.positioning if with_dgp else "not part of this file",
        "template": template.name,
        "hand_scale_m": repr(float(template.hand_scale_m)),
        "faces": json.dumps(template.faces.tolist()),
        "keypoint_regressor": json.dumps(_sparse(template.keypoint_regressor.tolist())),
    }


def _sparse(rows: Sequence[Sequence[float]]) -> list[dict[str, float]]:
    """Rows of a matrix as vertex number: weight."""
    return [{str(number): value for number, value in enumerate(row) if value} for row in rows]


class _Flat(nn.Module):
    """A network whose output is one flat tuple."""

    def __init__(self, network: HandDGP, with_dgp: bool) -> None:
        super().__init__()
        self.network, self.with_dgp = network, with_dgp

    def forward(self, image: Tensor, intrinsics: Tensor | None = None) -> tuple[Tensor, ...]:
        landmarks: tuple[Tensor, ...] = ()
        if isinstance(self.network, GuidedHandDGP):
            output, landmarks = self.network.read(image, intrinsics)
        else:
            output = self.network.relative(image, intrinsics)
        if self.with_dgp:
            assert intrinsics is not None
            return (*self.network.position(output, intrinsics), *landmarks)
        return (*output, *landmarks)
