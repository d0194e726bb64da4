"""A folder of images, or a single image, as a source."""

from __future__ import annotations

import re
import threading
from collections import Counter
from pathlib import Path

import numpy as np

from handdgp_core.errors import SourceError
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.image_transform import transform_of
from handdgp_core.sources.annotations import FILE_NAME, Annotations, load_annotations
from handdgp_core.sources.file_kinds import head_of, image_format, still_format
from handdgp_core.sources.images import IMAGE_FORMATS, read_stored
from handdgp_core.sources.names import local_path, shown_name
from handdgp_core.sources.protocol import DEFAULT_TIMEOUT_S, BaseSource, check_index, skipped_in_words
from handdgp_core.types import Frame

NOMINAL_FPS = 30.0
NOT_AN_IMAGE = "not an image"  # the reason of files that are no damaged images


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that puts frame9 before frame10, whatever the case."""
    parts = re.split(r"(\d+)", name.casefold())
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part)


class ImageFolderSource(BaseSource):
    """The images of a folder in natural order, each with its own camera where the folder is annotated.

    Images stand in the folder or, where it has none, in its sub-folder `images`. They may differ in size. Stamps are
    frame number / 30 s. Files that are no images by their content, or cannot be decoded, are left out and listed in
    `skipped`; the numbers of the other frames stay as they are. EXIF orientation is applied and stands on each frame;
    except in annotated folders, where intrinsics belong to the pixels as stored.

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
        self.path = local_path(path)
        self.name = shown_name(self.path.name or str(self.path))
        self._closed = threading.Event()
        self._next = 0
        self._skipped_names: set[str] = set()
        self._bits: dict[str, int] = {}  # of images that use fewer than they have room for
        self._files = [self.path] if self.path.is_file() else self._list()
        self.annotations = self._annotations()
        known = set(self.annotations.image) if self.annotations else set()
        present = set(self.names)
        self.missing = tuple(sorted(known - present, key=natural_key))
        self.unannotated = tuple(name for name in self.names if known and name not in known)
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
        """File names by frame number, as on the frames."""
        return tuple(shown_name(file.name) for file in self._files)

    @property
    def files(self) -> tuple[Path, ...]:
        """Files by frame number."""
        return tuple(self._files)

    @property
    def warning(self) -> str | None:
        parts = [skipped_in_words(self.skipped)] if self.skipped else []
        if self.missing:
            parts.append(f"annotated images missing: {len(self.missing)} (first: {self.missing[0]})")
        if self.unannotated:
            parts.append(f"images without annotation: {len(self.unannotated)} (first: {self.unannotated[0]})")
        if self._bits:
            name, bits = next(iter(self._bits.items()))
            parts.append(f"16-bit images that use fewer bits, scaled: {len(self._bits)} (first: {name}, {bits} bits)")
        return "; ".join(parts) or None

    def read(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> Frame | None:
        """Next image that can be decoded, None at the end or after `close`."""
        while not self._closed.is_set() and self._next < len(self._files):
            index, self._next = self._next, self._next + 1
            name = shown_name(self._files[index].name)
            try:
                frame = self._frame(index, name)
            except SourceError as error:
                self.skip(name, _reason(error, name))
                continue
            self._size = (frame.image.shape[1], frame.image.shape[0])
            return frame
        return None

    def seek(self, index: int) -> None:
        """Make image `index` the next one. Raises SourceError outside the folder."""
        check_index(index, len(self._files), self.name)
        self._next = index

    def close(self) -> None:
        self._closed.set()

    def skip(self, name: str, reason: str) -> None:
        """List an image as skipped; reading twice does not count twice."""
        if name not in self._skipped_names:
            self._skipped_names.add(name)
            self.skipped.append((name, reason))

    def _frame(self, index: int, name: str) -> Frame:
        stored = read_stored(self._files[index])
        if stored.bits is not None:
            self._bits[name] = stored.bits
        transform = None if self.annotations else transform_of(stored.image, orientation=stored.orientation)
        image = stored.image if transform is None else transform.show(stored.image)
        camera = self._camera_of(name, image.shape[1], image.shape[0])
        return Frame(image, round(index * 1e9 / NOMINAL_FPS), index, name, camera, transform)

    def _list(self) -> list[Path]:
        try:
            entries = sorted(self.path.iterdir(), key=lambda entry: natural_key(entry.name))
            below = self.path / "images"
            if below.is_dir() and not any(_is_image(entry) for entry in entries):
                entries = sorted(below.iterdir(), key=lambda entry: natural_key(entry.name))
        except OSError as error:
            raise SourceError(
                f"Could not read the folder {shown_name(self.path)}: {error.strerror}.", hint="Check the path."
            ) from error
        files = [entry for entry in entries if self._is_listed(entry)]
        if not files:
            first = f" ({self.skipped[0][0]}: {self.skipped[0][1]})" if self.skipped else ""
            problem = f"There are no images in {shown_name(self.path)}, only {_contents(entries)}{first}."
            raise SourceError(problem, hint=f"Supported are {IMAGE_FORMATS}.")
        return files

    def _is_listed(self, entry: Path) -> bool:
        if entry.is_dir() or entry.name == FILE_NAME or entry.name.startswith("."):
            return False
        reason = _why_no_image(entry)
        if reason is not None:
            self.skip(shown_name(entry.name), reason)
        return reason is None

    def _annotations(self) -> Annotations | None:
        has_any = self.path.is_dir() and (self.path / FILE_NAME).exists()
        return load_annotations(self.path) if has_any else None

    def _first_size(self) -> tuple[int, int]:
        reason: SourceError | None = None
        for index, name in enumerate(self.names):
            try:
                image = self._frame(index, name).image
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


def _reason(error: SourceError, name: str) -> str:
    return error.problem.removeprefix(f"Could not read {name}: ").removesuffix(".")


def _contents(entries: list[Path]) -> str:
    if not entries:
        return "an empty folder"
    kinds = Counter("folders" if entry.is_dir() else f"{entry.suffix.lower() or 'nameless'} files" for entry in entries)
    return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(6))


def _is_image(entry: Path) -> bool:
    return not entry.is_dir() and _why_no_image(entry) is None


def _why_no_image(entry: Path) -> str | None:
    """Why a file of a folder is no image; None where it is one."""
    try:
        head = head_of(local_path(entry))
    except SourceError as error:
        return error.problem.partition(": ")[2].removesuffix(".") or error.problem
    except OSError as error:
        return error.strerror or "unreadable"
    if not head:
        return "the file is empty"
    if image_format(head, entry.suffix) is not None:
        return None
    kind = still_format(head)
    return NOT_AN_IMAGE if kind is None else f"a picture of a kind that is not supported ({kind})"
