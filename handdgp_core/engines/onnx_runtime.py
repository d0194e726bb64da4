"""ONNX Runtime as an engine, on a processor: about twice as fast there as PyTorch, in float32."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handdgp_core.engines.protocol import EngineOutput, Floats, LandmarkArrays, empty_crops, float_crops

# pyproject.toml pins a release that sends nothing; one that a user put in its place must not either.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime

onnxruntime.disable_telemetry_events()

__all__ = ["VERSION", "OnnxRuntimeEngine"]

VERSION: str = onnxruntime.__version__

_HEADS = ("keypoints_uv", "vertices", "weights")
_ERRORS = 3


class OnnxRuntimeEngine:
    """See `Engine`.

    Args:
        content: an ONNX file of `engines.export`, in memory.
        threads: for one run.

    Raises:
        RuntimeError: a file that ONNX Runtime cannot load.
    """

    name = "onnxruntime"
    device = "cpu"
    precision = "float32"

    def __init__(self, content: bytes, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = _ERRORS
        # Threads that wait by spinning take the time of the window and the 3D view.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session: Any = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors share no other base
            raise RuntimeError(f"ONNX Runtime cannot load the network: {error}") from error
        self._inputs = [value.name for value in self._session.get_inputs()]
        self._size = int(self._session.get_inputs()[0].shape[-1])
        names = [value.name for value in self._session.get_outputs()]
        marks = [f"landmark_{name}" for name in LandmarkArrays._fields]
        self._outputs = [*_HEADS, *(marks if marks[0] in names else [])]

    def warm_up(self) -> None:
        self.run(*empty_crops(self._size))

    def run(self, images: NDArray[np.uint8], matrices: Floats) -> EngineOutput:
        values = {"image": float_crops(images), "intrinsics": matrices}
        found = self._session.run(self._outputs, {name: values[name] for name in self._inputs})
        keypoints_uv, vertices, weights, *landmarks = found
        return EngineOutput(keypoints_uv, vertices, weights, LandmarkArrays(*landmarks) if landmarks else None)

    def close(self) -> None:
        self._session = None
