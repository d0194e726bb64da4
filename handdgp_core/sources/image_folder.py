"""A folder of images, or a single image, as a source."""

from __future__ import annotations

import re
import threading
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from handdgp_core.errors import SourceError
from handdgp_core.geometry.camera import Camera
from handdgp_core.sources.annotations import FILE_NAME, Annotations, load_annotations
from handdgp_core.sources.capture import quiet_opencv
from handdgp_core.sources.protocol import DEFAULT_TIMEOUT_S, BaseSource, check_index
from handdgp_core.types import Frame

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".jp2", ".pgm", ".ppm"})
NOMINAL_FPS = 30.0


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that puts frame9 before frame10, whatever the case."""
    parts = re.split(r"(\d+)", name.casefold())
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part)


def read_image(path: Path, use_exif: bool = True) -> NDArray[np.uint8]:
    """One image file as RGB.

    Grey images are repeated over the channels, an alpha channel is dropped, of 16 bits the upper eight are kept.

    Args:
        path: the file.
        use_exif: turn the image as its EXIF orientation says. Off where intrinsics or keypoints belong to the pixels
            as they are stored.

    Returns:
        (height, width, 3) uint8.

    Raises:
        SourceError: unreadable, empty, or no image; `problem` says which.
    """
    flags = cv2.IMREAD_COLOR_RGB | (0 if use_exif else cv2.IMREAD_IGNORE_ORIENTATION)
    try:
        content = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise _bad_image(path, error.strerror or "unreadable", "Check the file.") from error
    if content.size == 0:
        raise _bad_image(path, "the file is empty", "Copy it again.")
    try:
        with quiet_opencv():
            image = cv2.imdecode(content, flags)
    except (cv2.error, MemoryError) as error:
        raise _bad_image(path, _brief(error), "Save it in a smaller size.") from error
    if image is None:
        raise _bad_image(path, "not an image that can be decoded", "Save it as PNG or JPEG.")
    return np.asarray(image, dtype=np.uint8)


def _bad_image(path: Path, reason: str, hint: str) -> SourceError:
    return SourceError(f"Could not read {path.name}: {reason}.", hint=hint)


class ImageFolderSource(BaseSource):
    """The images of a folder in natural order, each with its own camera where the folder is annotated.

    Images stand in the folder or, where it has none, in its sub-folder `images`. They may differ in size. Stamps are
    frame number / 30 s. Files that are no images, or cannot be decoded, are left out and listed in `skipped`; the
    numbers of the other frames stay as they are. EXIF orientation is applied, except in annotated folders, where
    intrinsics belong to the pixels as stored.

    Args:
        path: the folder, or one image file.

    Attributes:
        annotations: what `annotations.npz` says, or None.
        missing: annotated images that are not in the folder.
        unannotated: images of an annotated folder without a row (their frames have no camera).

    Raises:
        SourceError: no such folder, no image in it, damaged annotations, or annotations of other images.
    """

    is_seekable = True

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self.path = Path(path)
        self.name = self.path.name or str(self.path)
        self._closed = threading.Event()
        self._next = 0
        self._skipped_names: set[str] = set()
        self._files = [self.path] if self.path.is_file() else self._list()
        self.annotations = self._annotations()
        known = set(self.annotations.image) if self.annotations else set()
        present = {file.name for file in self._files}
        self.missing = tuple(sorted(known - present, key=natural_key))
        self.unannotated = tuple(file.name for file in self._files if known and file.name not in known)
        if known and not known & present:
            named = f"the images named in {FILE_NAME} (e.g. {min(known)})"
            raise SourceError(f"None of {named} are in {self.path}.", hint="Check the names.")
        self._size = self._first_size()

    @property
    def size(self) -> tuple[int, int]:
        return self._size

    @property
    def nominal_fps(self) -> float | None:
        return NOMINAL_FPS

    @property
    def frame_count(self) -> int | None:
        return len(self._files)

    @property
    def names(self) -> tuple[str, ...]:
        """File names by frame number."""
        return tuple(file.name for file in self._files)

    @property
    def files(self) -> tuple[Path, ...]:
        """Files by frame number."""
        return tuple(self._files)

    @property
    def warning(self) -> str | None:
        parts = [f"{len(self.skipped)} files skipped (first: {self.skipped[0][0]})"] if self.skipped else []
        if self.missing:
            parts.append(f"annotated images missing: {len(self.missing)} (first: {self.missing[0]})")
        if self.unannotated:
            parts.append(f"images without annotation: {len(self.unannotated)} (first: {self.unannotated[0]})")
        return "; ".join(parts) or None

    def read(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> Frame | None:
        """Next image that can be decoded, None at the end or after `close`."""
        while not self._closed.is_set() and self._next < len(self._files):
            index, self._next = self._next, self._next + 1
            file = self._files[index]
            try:
                image = read_image(file, use_exif=self.annotations is None)
            except SourceError as error:
                self._skip(file.name, _reason(error, file.name))
                continue
            height, width = image.shape[:2]
            self._size = (width, height)
            return Frame(
                image, round(index * 1e9 / NOMINAL_FPS), index, file.name, self._camera_of(file.name, width, height)
            )
        return None

    def seek(self, index: int) -> None:
        """Make image `index` the next one. Raises SourceError outside the folder."""
        check_index(index, len(self._files), self.name)
        self._next = index

    def close(self) -> None:
        self._closed.set()

    def _list(self) -> list[Path]:
        try:
            entries = sorted(self.path.iterdir(), key=lambda entry: natural_key(entry.name))
            below = self.path / "images"
            if below.is_dir() and not any(entry.suffix.lower() in SUFFIXES for entry in entries):
                entries = sorted(below.iterdir(), key=lambda entry: natural_key(entry.name))
        except OSError as error:
            raise SourceError(
                f"Could not read the folder {self.path}: {error.strerror}.", hint="Check the path."
            ) from error
        files = [entry for entry in entries if self._is_image(entry)]
        if not files:
            hint = f"Supported images are {', '.join(sorted(SUFFIXES))}."
            raise SourceError(f"There are no images in {self.path}, only {_contents(entries)}.", hint=hint)
        return files

    def _is_image(self, entry: Path) -> bool:
        if entry.is_dir() or entry.name == FILE_NAME or entry.name.startswith("."):
            return False
        if entry.suffix.lower() not in SUFFIXES:
            self._skip(entry.name, "not an image file by its name")
            return False
        try:
            if entry.stat().st_size > 0:
                return True
            self._skip(entry.name, "the file is empty")
        except OSError as error:
            self._skip(entry.name, error.strerror or "unreadable")
        return False

    def _annotations(self) -> Annotations | None:
        has_any = self.path.is_dir() and (self.path / FILE_NAME).exists()
        return load_annotations(self.path) if has_any else None

    def _first_size(self) -> tuple[int, int]:
        reason: SourceError | None = None
        for file in self._files:
            try:
                image = read_image(file, use_exif=self.annotations is None)
            except SourceError as error:
                reason = reason or error
                continue
            return (image.shape[1], image.shape[0])
        assert reason is not None
        count = len(self._files)
        if count == 1:
            raise reason
        raise SourceError(f"None of the {count} images can be read. {reason.problem}", hint=reason.hint)

    def _camera_of(self, name: str, width: int, height: int) -> Camera | None:
        matrix = self.annotations.intrinsics_of(name) if self.annotations else None
        if matrix is None:
            return None
        return Camera(width=width, height=height, matrix=matrix, distortion=np.zeros(0), name=name, source="calibrated")

    def _skip(self, name: str, reason: str) -> None:
        if name not in self._skipped_names:  # reading twice must not count twice
            self._skipped_names.add(name)
            self.skipped.append((name, reason))


def _reason(error: SourceError, name: str) -> str:
    return error.problem.removeprefix(f"Could not read {name}: ").removesuffix(".")


def _contents(entries: list[Path]) -> str:
    if not entries:
        return "an empty folder"
    kinds = Counter("folders" if entry.is_dir() else f"{entry.suffix.lower() or 'nameless'} files" for entry in entries)
    return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(6))


def _brief(error: Exception) -> str:
    return str(getattr(error, "err", "") or error).strip().splitlines()[0][:120] if str(error) else "too large"
