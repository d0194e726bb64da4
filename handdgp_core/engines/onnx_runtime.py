"""ONNX Runtime as an engine, on a processor: about twice as fast there as PyTorch, in float32."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handdgp_core.engines.protocol import EngineOutput, Floats, LandmarkArrays, empty_crops, float_crops

# pyproject.toml pins a release that sends nothing; one that a user put in its place must not either.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime

onnxruntime.disable_telemetry_events()

__all__ = ["OnnxRuntimeEngine"]

_HEADS = ("keypoints_uv", "vertices", "weights")
_ERRORS = 3


class OnnxRuntimeEngine:
    """See `Engine`.

    Args:
        content: an ONNX file of `engines.export`, in memory, as it is or `adapted`.
        threads: for one run.

    Raises:
        RuntimeError: a file that ONNX Runtime cannot load.
    """

    name = "onnxruntime"
    device = "cpu"
    precision = "float32"

    def __init__(self, content: bytes, threads: int) -> None:
        self._session = _session(content, _options(threads))
        self._inputs = [value.name for value in self._session.get_inputs()]
        self._size = int(self._session.get_inputs()[0].shape[-1])
        names = [value.name for value in self._session.get_outputs()]
        marks = [f"landmark_{name}" for name in LandmarkArrays._fields]
        self._outputs = [*_HEADS, *(marks if marks[0] in names else [])]

    @staticmethod
    def adapted(content: bytes) -> bytes:
        """An exported network as ONNX Runtime rewrites it for this processor, which then loads in half the time.

        Loading stops every other thread of Python, the window's among them, so it had better be short.
        """
        with tempfile.TemporaryDirectory() as folder:
            file, options = Path(folder) / "network.onnx", _options(1)
            options.optimized_model_filepath = str(file)
            _session(content, options)
            return file.read_bytes()

    def warm_up(self) -> None:
        self.run(*empty_crops(self._size))

    def run(self, images: NDArray[np.uint8], matrices: Floats) -> EngineOutput:
        values = {"image": float_crops(images), "intrinsics": matrices}
        found = self._session.run(self._outputs, {name: values[name] for name in self._inputs})
        keypoints_uv, vertices, weights, *landmarks = found
        return EngineOutput(keypoints_uv, vertices, weights, LandmarkArrays(*landmarks) if landmarks else None)

    def settle(self) -> None:
        """This is the engine that was chosen."""

    def close(self) -> None:
        self._session = None


def _options(threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = _ERRORS
    # Threads that wait by spinning take the time of the window and the 3D view.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _session(content: bytes, options: Any) -> Any:
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no other base
        raise RuntimeError(f"ONNX Runtime cannot load the network: {error}") from error
