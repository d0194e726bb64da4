"""Camera files in and out: ROS camera_info (file or echoed message), OpenCV's FileStorage (YAML or XML), Kalibr's
camchain, EuRoC's sensor.yaml, and mrcal's .cameramodel. Which of them a file is, its content tells.

What the formats may hold is in `camera_schemas`, what is written in `camera_text`.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from xml.etree import ElementTree

import yaml

from handdgp_core.errors import CameraError, UsageError
from handdgp_core.files import whole_file
from handdgp_core.geometry.camera_schemas import CameraMessage, EurocSensor, FileSchema, KalibrCamera, MrcalModel
from handdgp_core.geometry.camera_text import kalibr_text, opencv_text, ros_text
from handdgp_core.geometry.camera_values import Refusal

if TYPE_CHECKING:
    from handdgp_core.geometry.camera import Camera

__all__ = ["Format", "as_text", "read", "write"]

Format = Literal["ros", "opencv", "kalibr"]

_MAX_BYTES = 1_000_000  # a camera file has about 1 kB; calibrators add their corners
_MAX_MRCAL_BYTES = 30_000_000  # with all that the calibration was made of
_MAX_EVENTS = 100_000  # of YAML: names, values, beginnings and ends
_MAX_DEPTH = 20
_HINT = "Give a ROS camera_info, OpenCV, Kalibr, EuRoC or mrcal file, such as `calibrate` writes."


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Arguments for `Camera` from a file of any of the formats.

    Raises:
        CameraError: missing or unreadable file, another format, several cameras, or a lens that is not known.
    """
    path = Path(path)
    text = _text(path)
    try:
        return _schema_of(text).camera(path.stem)
    except Refusal as refusal:
        raise _unreadable(path, refusal.reason, refusal.hint or _HINT) from None


def write(camera: Camera, path: str | os.PathLike[str], format: Format) -> None:
    """Write a camera file under a temporary name, then rename it.

    Raises:
        UsageError: a format other than "ros", "opencv" and "kalibr".
        CameraError: a lens that Kalibr's models (k1 k2 p1 p2, and the fisheye) cannot hold.
        OutputError: the place cannot be written.
    """
    text = as_text(camera, format)
    with whole_file(Path(path)) as part:
        part.write_text(text, encoding="utf-8")


def as_text(camera: Camera, format: Format = "ros") -> str:
    """What `write` puts into a file. Raises UsageError and CameraError as that does."""
    texts = {"ros": ros_text, "opencv": opencv_text, "kalibr": kalibr_text}
    if format not in texts:
        raise UsageError(f'The format of a camera file is "ros", "opencv" or "kalibr", not {format!r}.')
    return texts[format](camera)


def _unreadable(path: Path, reason: str, hint: str = _HINT) -> CameraError:
    return CameraError(f"Could not read the camera file {path}: {reason}.", hint=hint)


def _text(path: Path) -> str:
    try:
        limit = _MAX_MRCAL_BYTES if path.suffix == ".cameramodel" else _MAX_BYTES
        if path.is_fifo() or path.is_char_device() or path.is_socket():
            raise _unreadable(path, "it is not a file", "Check the path.")
        if path.stat().st_size > limit:
            raise _unreadable(path, "it is too big for a camera file")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise _unreadable(path, "it is not a text file") from None
    except FileNotFoundError:
        raise _unreadable(path, "the file does not exist", "Check the path.") from None
    except OSError as error:
        raise _unreadable(path, error.strerror or "unreadable", "Check the path.") from None


def _schema_of(text: str) -> FileSchema:
    start = text.lstrip()
    if start.startswith("<"):
        return CameraMessage.of(_xml(text))
    if re.search(r"\A(\s*#[^\n]*\n)*\s*\{", text) and re.search(r"['\"]lensmodel['\"]\s*:", text):
        return MrcalModel.of(_python_literal(text))
    content = _yaml(text)
    chain = [key for key in content if re.fullmatch(r"cam\d+", str(key))]
    if chain and isinstance(content[chain[0]], Mapping):
        if len(content) > 1:
            listed = ", ".join(map(str, content))
            raise Refusal(f"it holds more than one camera ({listed:.80})", "Keep only the camera that you use.")
        return KalibrCamera.of(_named_after(content[chain[0]]))
    return (EurocSensor if "intrinsics" in content else CameraMessage).of(content)


def _named_after(camera: Mapping[str, Any]) -> Mapping[str, Any]:
    missing = [
        key for key in ("intrinsics", "distortion_model", "distortion_coeffs", "resolution") if key not in camera
    ]
    if missing:
        raise Refusal(f"its camera has no {missing[0]}")
    return camera


# Syntax -------------------------------------------------------------------------------------------------------------


_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SafeLoader):
    """Safe YAML that also knows OpenCV's matrix tags, as plain mappings, and takes no name twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        twice = next((key for index, key in enumerate(keys) if key in keys[:index]), None)
        if twice is not None:
            raise Refusal(f"it gives the same name twice ({twice!r:.40})")
        return dict(super().construct_mapping(node, deep=True))


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    return loader.construct_mapping(node)


for _tag in ("opencv-matrix", "opencv-nd-matrix"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _mapping)


def _yaml(text: str) -> Mapping[Any, Any]:
    """The first document; those after it, as an echo of a topic writes them, must be of the same camera."""
    # OpenCV's header is not YAML ("%YAML:1.0"), and no header is needed.
    body = re.sub(r"\A\s*%YAML[^\n]*\n", "", text)
    first: Mapping[Any, Any] | None = None
    try:
        with suppress(yaml.YAMLError):  # where it is broken, loading tells
            _check_events(body)
        for document in yaml.load_all(body, Loader=_Loader):
            if first is None:
                if not isinstance(document, dict):
                    raise Refusal("it holds no names and values")
                first = document
            elif isinstance(document, dict) and _camera_part(document) != _camera_part(first):
                raise Refusal("it holds more than one camera, in several documents", "Keep only the first document.")
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        if first is not None:  # an echo that was interrupted
            return first
        reason = " ".join(str(getattr(error, "problem", None) or error).split())
        raise Refusal(f"it is not YAML ({reason:.200})") from None
    if first is None:
        raise Refusal("it holds no names and values")
    return first


def _camera_part(document: Mapping[Any, Any]) -> dict[Any, Any]:
    return {key: value for key, value in document.items() if key != "header"}


def _check_events(body: str) -> None:
    """Refuse what grows when it is read: aliases, and more than any calibrator writes."""
    depth = 0
    for event in islice(yaml.parse(body, Loader=_SafeLoader), _MAX_EVENTS):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise Refusal("it uses YAML's anchors (&, *), which no calibrator does")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise Refusal("it is nested deeper than a camera file is")
        if isinstance(event, yaml.StreamEndEvent):
            return
    raise Refusal("it has too many values for a camera file")


def _xml(text: str) -> Mapping[str, Any]:
    """OpenCV's FileStorage as XML."""
    if "<!" in text.replace("<!--", ""):
        raise Refusal("it is not XML as OpenCV writes it (it declares entities or types)")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise Refusal(f"it is not XML ({error})") from None
    if root.tag != "opencv_storage":
        raise Refusal("it is not XML as OpenCV writes it (opencv_storage)")
    return {key: value for key, value in _element(root).items()} if len(root) else {}


def _element(element: ElementTree.Element, depth: int = 0) -> Any:
    if depth > _MAX_DEPTH:
        raise Refusal("it is nested deeper than a camera file is")
    if not len(element):
        words = (element.text or "").split()
        if element.tag == "data" or (len(words) > 1 and all(map(_is_number, words))):
            return words
        return int(words[0]) if len(words) == 1 and re.fullmatch(r"-?\d{1,18}", words[0]) else " ".join(words) or None
    if all(child.tag == "_" for child in element):
        return [_element(child, depth + 1) for child in element]
    found: dict[str, Any] = {}
    for child in element:
        if child.tag in found:
            raise Refusal(f"it gives the same name twice ({child.tag[:40]})")
        found[child.tag] = _element(child, depth + 1)
    return found


def _is_number(word: str) -> bool:
    return bool(re.fullmatch(r"[-+]?\.?[\d.]*([eE][-+]?\d+)?|[-+]?\.?(nan|inf)", word, re.IGNORECASE))


def _python_literal(text: str) -> Mapping[str, Any]:
    """mrcal's files: a Python dictionary. What the calibration was made of, encoded bytes, is left out unread."""
    plain = re.sub(r"(['\"])optimization_inputs\1\s*:\s*b'[^']*'\s*,?", "", text)
    if len(plain) > _MAX_BYTES:
        raise Refusal("it is too big for a camera file")
    try:
        content = ast.literal_eval(plain.strip())
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        raise Refusal("it is not a whole file of mrcal") from None
    if not isinstance(content, dict):
        raise Refusal("it holds no names and values")
    return {key: list(value) if isinstance(value, tuple) else value for key, value in content.items()}
