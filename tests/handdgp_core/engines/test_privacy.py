"""ONNX Runtime must not know where its vendor collects what users do. From 1.29 on its Linux build does, and asks."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

_HOST = b"events.data."


def test_the_library_names_no_telemetry_host() -> None:
    libraries = [
        path
        for path in Path(onnxruntime.__file__).parent.rglob("*")
        if ".so" in path.name or path.suffix in (".pyd", ".dylib", ".dll")
    ]
    assert libraries
    assert [path.name for path in libraries if _HOST in path.read_bytes()] == []
