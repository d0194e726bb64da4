"""What the window and the renderers say to each other: plain data, and its layout in shared memory.

One request is in flight at a time: the window writes a `RenderRequest` into the block, the renderer answers by filling
the picture in the same block. Small messages go beside it as JSON over a pipe, so nothing is unpickled.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from app.live.readout import palm_distance
from app.viewport.colours import Floats, ThemeName
from app.viewport.orbit import HOME, Orbit
from handdgp_core.errors import ShapeError

if TYPE_CHECKING:
    from handdgp_core.geometry.camera import Camera
    from handdgp_core.types import Hand

__all__ = [
    "BLOCK_BYTES", "MAX_FACES", "MAX_HANDS", "MAX_PIXELS", "MAX_VERTICES", "TRAIL_POINTS", "CameraView", "RenderBlock",
    "RenderRequest", "SceneHand", "SceneState", "ViewOptions",
]  # fmt: skip

Side = Literal["left", "right"]
MAX_HANDS = 4  # two, and as many recorded ones beside them
MAX_VERTICES, MAX_FACES = 16384, 32768  # per hand; the open hand has about 1600 and 3200
TRAIL_POINTS = 96
MAX_PIXELS = 2560 * 1440

_HAND = np.dtype(
    [
        ("vertices", "f4", (MAX_VERTICES, 3)),
        ("faces", "i4", (MAX_FACES, 3)),
        ("keypoints", "f4", (21, 3)),
        ("weights", "f4", (21,)),
        ("root", "f4", (3,)),
        ("covariance", "f4", (3, 3)),
        ("raw_root", "f4", (3,)),
        ("truth_root", "f4", (3,)),
        ("unmuted_root", "f4", (3,)),
        ("trail", "f4", (TRAIL_POINTS, 4)),
    ]
)
BLOCK_BYTES = MAX_HANDS * _HAND.itemsize + 3 * MAX_PIXELS


@dataclass(frozen=True)
class CameraView:
    """What the scene needs of the real camera: image size in pixels and the pinhole (fx, fy, cx, cy) in pixels."""

    width: int
    height: int
    pinhole_px: tuple[float, float, float, float]

    @classmethod
    def from_camera(cls, camera: Camera) -> CameraView:
        """The pinhole part of a camera; distortion is too small to show in a frustum."""
        matrix = np.asarray(camera.matrix)
        pinhole = tuple(float(matrix[row, column]) for row, column in ((0, 0), (1, 1), (0, 2), (1, 2)))
        return cls(int(camera.width), int(camera.height), pinhole)  # type: ignore[arg-type]

    @property
    def fov_rad(self) -> float:
        """Vertical field of view."""
        return float(2.0 * np.arctan2(0.5 * self.height, self.pinhole_px[1]))


@dataclass(frozen=True)
class SceneHand:
    """One hand to show: camera frame, metres.

    Attributes:
        side: the person's own hand.
        vertices_m, faces: (V, 3) and (F, 3) the mesh; V and F may be 0 where there is no mesh.
        keypoints_m, weights: (21, 3) and (21,), FreiHAND order; weights from 0 to 1.
        root_m, root_covariance_m2: (3,) and (3, 3).
        raw_root_m: (3,) the root before smoothing, where it is to be compared.
        truth_root_m: (3,) the true root, where the source knows it (the demo does).
        unmuted_root_m: (3,) where the root would be with no keypoint muted; None where none is.
        trail_m: (T, 4) where the root was lately, oldest first: x, y, z and age (1 about to vanish, 0 new).
        track_id: as in `Hand`.
        recorded: a hand of a recording, shown beside the re-run one: in another colour, and with every second
            triangle of its mesh left out, so that both can be seen where they overlap.
        distance_m: the distance that is written beside the hand, the same as everywhere in the window; None for none.
    """

    side: Side
    vertices_m: Floats
    faces: NDArray[np.int32]
    keypoints_m: Floats
    weights: Floats
    root_m: Floats
    root_covariance_m2: Floats
    raw_root_m: Floats | None = None
    truth_root_m: Floats | None = None
    unmuted_root_m: Floats | None = None
    trail_m: Floats = field(default_factory=lambda: np.zeros((0, 4)))
    track_id: int = -1
    distance_m: float | None = None
    recorded: bool = False

    @classmethod
    def from_hand(
        cls,
        hand: Hand,
        raw_root_m: Floats | None = None,
        truth_root_m: Floats | None = None,
        unmuted_root_m: Floats | None = None,
    ) -> SceneHand:
        """The parts of a solved hand that are shown. The hand must not be degenerate."""
        distance = palm_distance(hand)
        return cls(
            hand.handedness, hand.vertices_m, hand.faces, hand.keypoints_m, hand.weights, hand.root_m,
            hand.covariance_at(hand.root_m), raw_root_m, truth_root_m, unmuted_root_m, track_id=hand.track_id,
            distance_m=None if distance is None else distance.meters,
        )  # fmt: skip


@dataclass(frozen=True)
class SceneState:
    """All that one picture of the scene depends on, the viewer's place aside.

    Attributes:
        hands: at most four, none of them degenerate.
        camera: the real camera, for its frustum; None draws no frustum.
        stamp_ns: time of the frame; trails are measured with it.
        note: a short sentence shown in the view, e.g. why a hand has no root; "" for none.
    """

    hands: tuple[SceneHand, ...] = ()
    camera: CameraView | None = None
    stamp_ns: int = 0
    note: str = ""

    @classmethod
    def from_hands(
        cls,
        hands: Sequence[Hand],
        camera: Camera | None,
        stamp_ns: int,
        raw_roots_m: Sequence[Floats | None] = (),
        truth_roots_m: Sequence[Floats | None] = (),
        recorded: Sequence[Hand] = (),
        unmuted_roots_m: Sequence[Floats | None] = (),
    ) -> SceneState:
        """The scene of a frame's hands. Degenerate ones are skipped and their reason becomes the note.

        Args:
            hands: the estimator's answer; beyond the first two they are not shown.
            camera: the frame's camera.
            stamp_ns: the frame's time.
            raw_roots_m, truth_roots_m, unmuted_roots_m: beside `hands`, each (3,) or None; may be shorter than `hands`.
            recorded: hands of a recording, to be compared with the others; degenerate ones are skipped.
        """
        shown, note = [], ""
        for index, hand in enumerate(hands):
            finite = all(np.all(np.isfinite(part)) for part in (hand.root_m, hand.vertices_m, hand.keypoints_m))
            if hand.degenerate is not None or not finite:
                reason = hand.degenerate or "its mesh is not finite"
                note = note or f"{hand.handedness.capitalize()} hand has no position: {reason}"
                continue
            beside = (raw_roots_m, truth_roots_m, unmuted_roots_m)
            shown.append(SceneHand.from_hand(hand, *(roots[index] if index < len(roots) else None for roots in beside)))
        del shown[MAX_HANDS // 2 :]
        shown += [_recorded_hand(hand) for hand in recorded if hand.degenerate is None][: MAX_HANDS // 2]
        view = None if camera is None else CameraView.from_camera(camera)
        return cls(tuple(shown), view, stamp_ns, note)


def _recorded_hand(hand: Hand) -> SceneHand:
    faces = hand.faces[::2]
    return replace(SceneHand.from_hand(hand), faces=faces, track_id=-2 - hand.track_id, distance_m=None, recorded=True)


@dataclass(frozen=True)
class ViewOptions:
    """What the user wants to see."""

    mesh: bool = True
    skeleton: bool = True
    ellipsoid: bool = True
    trail: bool = True
    raw_root: bool = False
    truth_root: bool = True
    grid: bool = True
    axes: bool = True
    frustum: bool = True
    camera_image: bool = True
    labels: bool = True


@dataclass(frozen=True)
class RenderRequest:
    """One picture to make: the scene, from where, how large (pixels), in which theme, and how many of its pixels make
    one logical pixel of the view (lines keep their width on screen)."""

    scene: SceneState
    orbit: Orbit
    options: ViewOptions
    width: int
    height: int
    theme: ThemeName = "dark"
    pixel_ratio: float = 1.0


def topology_id(faces: NDArray[np.int32]) -> int:
    """A number that changes when the triangles do."""
    return zlib.crc32(np.ascontiguousarray(faces, dtype=np.int32).tobytes())


class RenderBlock:
    """Typed views on one block of (shared) memory: two hands in, one picture out.

    Args:
        buffer: at least `BLOCK_BYTES` of writable memory. The views keep it exported: call `release` before closing it.
    """

    def __init__(self, buffer: memoryview | bytearray) -> None:
        self._hands: NDArray[np.void] | None = np.ndarray(MAX_HANDS, _HAND, buffer)
        self._pixels: NDArray[np.uint8] | None = np.ndarray(
            3 * MAX_PIXELS, np.uint8, buffer, offset=MAX_HANDS * _HAND.itemsize
        )

    def release(self) -> None:
        """Drop the views, so that the memory can be closed."""
        self._hands = self._pixels = None

    def write_request(self, request: RenderRequest) -> bytes:
        """Put the arrays into the block and return the message that goes with them.

        Raises:
            ShapeError: more hands, vertices, triangles or pixels than the block holds, or arrays of wrong shape.
        """
        if len(request.scene.hands) > MAX_HANDS or request.width * request.height > MAX_PIXELS:
            actual = f"{len(request.scene.hands)} hands, {request.width} x {request.height} pixels"
            raise ShapeError(f"A scene has at most {MAX_HANDS} hands and {MAX_PIXELS} pixels, not {actual}.")
        assert self._hands is not None
        hands = [_write_hand(self._hands[i], hand) for i, hand in enumerate(request.scene.hands)]
        camera = None if request.scene.camera is None else asdict(request.scene.camera)
        header = {
            "hands": hands, "camera": camera, "stamp_ns": request.scene.stamp_ns, "orbit": asdict(request.orbit),
            "options": asdict(request.options), "width": request.width, "height": request.height,
            "theme": request.theme, "pixel_ratio": request.pixel_ratio,
        }  # fmt: skip
        return json.dumps(header).encode()

    def read_request(self, message: bytes) -> RenderRequest:
        """The request back, its arrays being views on the block (valid until the answer is sent)."""
        header: dict[str, Any] = json.loads(message)
        assert self._hands is not None
        hands = tuple(_read_hand(self._hands[i], head) for i, head in enumerate(header["hands"]))
        camera = header["camera"]
        if camera is not None:
            camera = CameraView(camera["width"], camera["height"], tuple(camera["pinhole_px"]))
        orbit = header["orbit"]
        orbit["target_m"] = tuple(orbit["target_m"])
        return RenderRequest(
            SceneState(hands, camera, header["stamp_ns"]), Orbit(**orbit), ViewOptions(**header["options"]),
            header["width"], header["height"], header["theme"], header["pixel_ratio"],
        )  # fmt: skip

    def picture(self, width: int, height: int) -> NDArray[np.uint8]:
        """(height, width, 3) RGB view on the picture's memory."""
        assert self._pixels is not None
        return self._pixels[: 3 * width * height].reshape(height, width, 3)


def _write_hand(slot: NDArray[np.void], hand: SceneHand) -> dict[str, Any]:
    vertices, faces, trail = hand.vertices_m, hand.faces, hand.trail_m[-TRAIL_POINTS:]
    if len(vertices) > MAX_VERTICES or len(faces) > MAX_FACES:
        actual, limit = f"{len(vertices)} vertices, {len(faces)} triangles", f"{MAX_VERTICES} and {MAX_FACES}"
        raise ShapeError(f"The hand mesh is too large: {actual} (at most {limit}).")
    try:
        slot["vertices"][: len(vertices)] = vertices
        slot["faces"][: len(faces)] = faces
        slot["trail"][: len(trail)] = trail
        slot["keypoints"], slot["weights"] = hand.keypoints_m, hand.weights
        slot["root"], slot["covariance"] = hand.root_m, hand.root_covariance_m2
        slot["raw_root"] = np.nan if hand.raw_root_m is None else hand.raw_root_m
        slot["truth_root"] = np.nan if hand.truth_root_m is None else hand.truth_root_m
        slot["unmuted_root"] = np.nan if hand.unmuted_root_m is None else hand.unmuted_root_m
    except ValueError as error:
        raise ShapeError(f"The arrays of a hand have the wrong shape: {error}.") from error
    return {
        "side": hand.side, "vertices": len(vertices), "faces": len(faces), "trail": len(trail),
        "recorded": hand.recorded,
        "raw": hand.raw_root_m is not None, "truth": hand.truth_root_m is not None,
        "unmuted": hand.unmuted_root_m is not None, "track_id": hand.track_id,
    }  # fmt: skip


def _read_hand(slot: NDArray[np.void], head: dict[str, Any]) -> SceneHand:
    return SceneHand(
        side=head["side"],
        vertices_m=slot["vertices"][: head["vertices"]],
        faces=slot["faces"][: head["faces"]],
        keypoints_m=slot["keypoints"],
        weights=slot["weights"],
        root_m=slot["root"],
        root_covariance_m2=slot["covariance"],
        raw_root_m=slot["raw_root"] if head["raw"] else None,
        truth_root_m=slot["truth_root"] if head["truth"] else None,
        unmuted_root_m=slot["unmuted_root"] if head["unmuted"] else None,
        trail_m=slot["trail"][: head["trail"]],
        track_id=head["track_id"],
        recorded=head["recorded"],
    )


EMPTY_REQUEST = RenderRequest(SceneState(), HOME, ViewOptions(), 64, 64)
