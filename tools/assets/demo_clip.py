"""Build the bundled demo: `python -m tools.assets.demo_clip --output assets/demo` (extra "train").

Three short performances in front of a rendered room: a right hand, another person's left hand, then both hands of the
first person. Beside the clip stands the truth: camera, keypoints, roots and poses of every hand in every frame.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from numpy.typing import NDArray
from rich.progress import track

from handdgp_core.arrays import Handedness
from handdgp_core.errors import OutputError
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.open_hand.open_hand import OpenHand, mirrored
from handdgp_core.synthetic.hands.arm import load_arm
from handdgp_core.synthetic.hands.forearm import HandOnForearm
from handdgp_core.synthetic.hands.motion import Key, Moment, Score, hand_center
from handdgp_core.synthetic.hands.skin import BROWN, LIGHT, SkinTone, skin_material
from handdgp_core.synthetic.hands.sleeve import Sleeve, cloth_material
from handdgp_core.synthetic.rendering.path_tracer import render_boxes
from handdgp_core.synthetic.rendering.renderer import HandRenderer
from handdgp_core.synthetic.rendering.scene import Film, Lighting, Material, Placed
from handdgp_core.synthetic.rendering.surface import SmoothSurface
from handdgp_core.synthetic.scenery.room import make_room

Floats = NDArray[np.float64]
WIDTH, HEIGHT, RATE = 1280, 720, 30
DURATION_S = 19.0
VERTICES_EVERY = 15
HORIZONTAL_FOV_DEG = 65.0
HANDEDNESS: tuple[Handedness, ...] = ("right", "left")


@dataclass(frozen=True)
class Person:
    """Who plays: skin, size (factor on the mean adult hand), and the sleeve (start behind the hand, sRGB colour)."""

    tone: SkinTone
    scale: float
    sleeve_m: float
    sleeve_colour: tuple[float, float, float]


@dataclass(frozen=True)
class Part:
    """One hand's performance."""

    person: int
    handedness: Handedness
    keys: tuple[Key, ...]


PEOPLE = (
    Person(LIGHT, 1.02, 0.050, (0.24, 0.30, 0.42)),
    Person(BROWN, 0.96, 0.075, (0.60, 0.57, 0.52)),
)

PARTS = (
    Part(
        0,
        "right",
        (
            Key(0.20, (-0.10, 0.44, 0.46), (10, 0, 4)),
            Key(0.95, (-0.03, 0.03, 0.46), (4, 4, 2), "open"),
            Key(1.25, (-0.03, 0.00, 0.45), (0, 0, 14), "spread"),
            Key(1.60, (-0.02, 0.00, 0.44), (0, 0, -16), "open"),
            Key(1.95, (-0.02, 0.00, 0.43), (0, 0, 13), "open"),
            Key(2.30, (-0.02, 0.00, 0.42), (0, 2, -6), "open"),
            Key(2.80, (-0.02, 0.00, 0.40), (6, 6, 0), "fist"),
            Key(3.05, (-0.02, 0.00, 0.40), (6, 6, 0), "fist"),
            Key(3.45, (-0.03, 0.01, 0.40), (2, 0, 0), "one"),
            Key(3.85, (-0.03, 0.01, 0.40), (-2, 0, 2), "two"),
            Key(4.25, (-0.03, 0.01, 0.40), (0, 0, 0), "three"),
            Key(4.65, (-0.03, 0.01, 0.40), (2, 0, -2), "four"),
            Key(5.05, (-0.02, 0.01, 0.40), (0, 0, 0), "spread"),
            Key(5.65, (0.02, 0.00, 0.38), (12, 6, 4), "pinch"),
            Key(6.05, (0.03, -0.02, 0.32), (16, 8, 6), "pinch"),
            Key(6.50, (0.02, -0.048, 0.255), (8, 4, 2), "fist"),
            Key(6.75, (0.02, -0.048, 0.26), (6, 2, 0), "fist"),
            Key(7.30, (0.02, 0.03, 0.55), (-10, 0, -4), "open"),
            Key(8.10, (0.03, 0.02, 0.80), (-22, 0, 6), "spread"),
            Key(8.60, (0.02, 0.02, 0.78), (20, -6, 0), "open"),
            Key(9.10, (0.00, 0.05, 0.62), (8, 0, 0), "relaxed"),
            Key(9.75, (-0.12, 0.56, 0.50), (4, 0, 4), "relaxed"),
        ),
    ),
    Part(
        1,
        "left",
        (
            Key(9.60, (-0.12, 0.46, 0.48), (10, 0, 2)),
            Key(10.35, (-0.02, 0.03, 0.46), (4, 2, 0), "open"),
            Key(10.75, (-0.02, 0.00, 0.44), (-14, 0, 4), "spread"),
            Key(11.15, (0.00, 0.00, 0.44), (-35, 0, 0), "together"),
            Key(11.60, (0.01, 0.00, 0.46), (-178, 0, 4), "open"),
            Key(12.35, (0.01, 0.00, 0.46), (-182, 4, -4), "spread"),
            Key(12.85, (0.00, 0.01, 0.44), (-22, 0, 0), "together"),
            Key(13.25, (-0.02, 0.01, 0.42), (0, 4, 4), "ok"),
            Key(13.75, (-0.02, 0.01, 0.36), (6, 4, 6), "ok"),
            Key(14.15, (-0.02, 0.01, 0.38), (0, 0, 4), "two"),
            Key(14.50, (-0.02, 0.01, 0.40), (0, 0, -4), "two"),
            Key(15.20, (-0.12, 0.46, 0.48), (6, 0, 2), "relaxed"),
        ),
    ),
    *(
        Part(
            0,
            side,
            (
                Key(14.95 + lag, (-0.20, 0.52, 0.55), (6, 0, 6)),
                Key(15.70 + lag, (-0.13, 0.04, 0.54), (0, 0, -4), "open"),
                Key(16.20 + lag, (-0.13, 0.01, 0.52), (10, 4, 0), "fist" if side == "right" else "spread"),
                Key(16.65 + lag, (-0.13, 0.01, 0.50), (4, 0, 0), "spread" if side == "right" else "fist"),
                Key(17.10 + lag, (-0.12, 0.01, 0.48), (6, 4, 4), "half"),
                Key(17.55 + lag, (-0.14, 0.01, 0.50), (-8, 0, -8), "spread"),
                Key(17.85 + lag, (-0.14, 0.01, 0.50), (-4, 0, 10), "open"),
                Key(18.15 + lag, (-0.14, 0.02, 0.51), (-4, 0, -8), "open"),
                Key(18.85 + lag, (-0.22, 0.54, 0.55), (6, 0, 6), "relaxed"),
            ),
        )
        for side, lag in zip(HANDEDNESS, (0.0, 0.06), strict=True)
    ),
)


@dataclass(frozen=True)
class Row:
    """The truth about one hand in one frame; lengths in metres, camera frame."""

    frame: int
    handedness: Handedness
    keypoints: Floats
    vertices: Floats
    moment: Moment
    scale: float
    fully_visible: bool


def demo_camera() -> Camera:
    """The true camera of the clip: 65 degrees wide, slightly off centre, with mild barrel distortion."""
    focal = 0.5 * WIDTH / np.tan(np.radians(HORIZONTAL_FOV_DEG) / 2)
    matrix = np.array([[focal, 0.0, 644.3], [0.0, focal, 355.2], [0.0, 0.0, 1.0]])
    return Camera(WIDTH, HEIGHT, matrix, np.array([-0.055, 0.018, 0.0, 0.0]), name="demo (rendered)")


def demo_lighting() -> Lighting:
    """Daylight from a window on the left, a warm lamp overhead, a screen in front, the room all around."""
    number = np.arange(28)
    z = 1 - 2 * (number + 0.5) / 28
    turn = number * np.pi * (3 - np.sqrt(5))
    directions = np.stack([np.cos(turn) * np.sqrt(1 - z**2), np.sin(turn) * np.sqrt(1 - z**2), z], axis=1)
    lobes = (
        ((-0.80, -0.30, -0.35), (1.05, 1.15, 1.25), 0.55),
        ((0.05, -0.95, -0.30), (0.75, 0.64, 0.50), 0.50),
        ((0.0, 0.15, -0.99), (0.50, 0.55, 0.62), 0.55),
    )
    radiance = np.full((28, 3), 0.17) * np.array([1.0, 0.95, 0.88])
    for toward, colour, width in lobes:
        axis = np.asarray(toward) / np.linalg.norm(toward)
        radiance += np.exp((directions @ axis - 1) / width**2)[:, None] * np.asarray(colour)
    key = np.array([-0.72, -0.42, -0.55])
    return Lighting(key / np.linalg.norm(key), np.array([0.70, 0.68, 0.64]), directions, radiance * 4 / 28, 0.35)


class Stage:
    """Everything that stays the same over the clip: people, camera, light, background, renderer."""

    def __init__(self, seed: int, texture_size: int, room_passes: int, supersample: int) -> None:
        self.hand = OpenHand.load()
        self.camera = demo_camera()
        self.body = HandOnForearm(self.hand, load_arm())
        self.surface = SmoothSurface(self.body.arm.faces, self.body.arm.uv, self.body.arm.uv_faces)
        self.scores = [Score(self.hand, part.keys, seed + number) for number, part in enumerate(PARTS)]
        self.sleeves = [Sleeve(self.body, person.sleeve_m, seed + n) for n, person in enumerate(PEOPLE)]
        self.lighting = demo_lighting()
        self.renderer = HandRenderer(WIDTH, HEIGHT, supersample)
        self._surfaces = self._dress(seed, texture_size)
        room = render_boxes(make_room(seed), self.camera, room_passes)
        self.renderer.set_background(room * (0.36 / np.percentile(room, 70)))
        self._center = hand_center(self.hand)

    def _dress(self, seed: int, texture_size: int) -> dict[tuple[int, Handedness], tuple[int, int]]:
        """Skin and sleeve surfaces of every hand that plays; the two hands of one person share their materials."""
        surfaces: dict[tuple[int, Handedness], tuple[int, int]] = {}
        for number, (person, sleeve) in enumerate(zip(PEOPLE, self.sleeves, strict=True)):
            skin: Material | int = skin_material(self.body.arm, self.surface, person.tone, texture_size)
            cloth: Material | int = cloth_material(person.sleeve_colour, seed + 7)
            for side in HANDEDNESS:
                skin = self.renderer.add_surface(self.surface, skin)
                cloth = self.renderer.add_surface(sleeve.surface, cloth)
                surfaces[number, side] = (skin, cloth)
        return surfaces

    def frame(self, number: int) -> tuple[list[Row], list[Placed]]:
        """What is on stage in a frame: the truth, and what to draw."""
        rows, placed = [], []
        for part, score in zip(PARTS, self.scores, strict=True):
            if not score.start_s <= number / RATE <= score.end_s:
                continue
            row, items = self._play(number, part, score)
            placed += items
            if row is not None:
                rows.append(row)
        return rows, placed

    def _play(self, number: int, part: Part, score: Score) -> tuple[Row | None, list[Placed]]:
        moment, person = score.at(number / RATE), PEOPLE[part.person]
        root = moment.center_m - person.scale * moment.rotation @ self._center
        elbow = np.array([-0.10, 0.40, moment.center_m[2] + 0.06]) + 0.5 * np.array([root[0], 0, 0]) - root
        arm = self.body.pose(moment.dof_rad, moment.rotation, elbow, person.scale)
        left = part.handedness == "left"
        flip = np.array([-1.0, 1.0, 1.0], np.float32) if left else np.ones(3, np.float32)
        placed = []
        drawn = (self.surface.refine(arm.vertices + root), self.sleeves[part.person].refine(arm.vertices + root))
        for surface, (positions, normals) in zip(self._surfaces[part.person, part.handedness], drawn, strict=True):
            placed.append(Placed(surface, positions * flip, normals * flip, left, int(left)))
        keypoints, vertices = arm.keypoints + root, arm.vertices[: len(self.hand.vertices)] + root
        if left:
            keypoints, vertices = mirrored(keypoints), mirrored(vertices)
        inside = self._inside(vertices)
        if not inside.any():
            return None, placed
        return Row(number, part.handedness, keypoints, vertices, moment, person.scale, bool(inside.all())), placed

    def _inside(self, points: Floats) -> NDArray[np.bool_]:
        pixels = self.camera.project(points)
        limit = np.array([WIDTH, HEIGHT]) - 0.5
        return np.asarray(((pixels >= -0.5) & (pixels <= limit)).all(axis=1))


def build(
    output: Path, seed: int = 7, texture_size: int = 2048, room_passes: int = 64, supersample: int = 2, every: int = 1
) -> None:
    """Render the clip and write demo.mp4 and truth.npz.

    Args:
        output: folder.
        seed: of everything random.
        texture_size: side of the skin textures.
        room_passes: light paths per background pixel.
        supersample: samples per pixel and axis.
        every: render only each n-th frame (a preview, numbered on its own).

    Raises:
        OutputError: the folder or the files cannot be written.
    """
    started = time.perf_counter()
    output.mkdir(parents=True, exist_ok=True)
    stage = Stage(seed, texture_size, room_passes, supersample)
    print(f"set up in {time.perf_counter() - started:.0f} s, drawn by {stage.renderer.device}")
    rows: list[Row] = []
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=output) as folder:
        clip = Path(folder) / "demo.mp4"
        count = _write_clip(clip, _images(stage, seed, every, rows))
        _write_truth(Path(folder) / "truth.npz", stage, rows)
        for name in ("demo.mp4", "truth.npz"):
            os.replace(Path(folder) / name, output / name)
    spent = time.perf_counter() - started
    sizes = ", ".join(f"{name} {(output / name).stat().st_size / 1e6:.2f} MB" for name in ("demo.mp4", "truth.npz"))
    print(f"{count} frames in {spent:.0f} s ({count / spent:.1f} images/s); {sizes}")


def _images(stage: Stage, seed: int, every: int, rows: list[Row]) -> Iterator[NDArray[np.uint8]]:
    film = Film(grain=0.007)
    for index, number in enumerate(track(range(0, round(DURATION_S * RATE), every), description="rendering")):
        truth, placed = stage.frame(number)
        rows += [Row(index, *list(vars(row).values())[1:]) for row in truth]
        yield stage.renderer.render(placed, stage.camera, stage.lighting, film, seed * 100_003 + number)


def _write_clip(path: Path, pictures: Iterator[NDArray[np.uint8]]) -> int:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), RATE, (WIDTH, HEIGHT))
    if not writer.isOpened():
        raise OutputError("OpenCV has no MPEG-4 encoder here.", hint="Install opencv-contrib-python from PyPI.")
    count = 0
    for picture in pictures:
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        count += 1
    writer.release()
    return count


def _write_truth(path: Path, stage: Stage, rows: Sequence[Row]) -> None:
    """Keys as `handdgp_core.sources.demo` reads them, and the poses from which every mesh can be made again."""
    frames = np.array([row.frame for row in rows])
    sampled = np.arange(0, len(rows), VERTICES_EVERY)
    keypoints = np.stack([row.keypoints for row in rows])
    np.savez_compressed(
        path,
        matrix=stage.camera.matrix,
        distortion=stage.camera.distortion,
        size=np.array([WIDTH, HEIGHT]),
        frame_index=frames,
        stamp_ns=np.round(frames * 1e9 / RATE).astype(np.int64),
        handedness=np.array([row.handedness for row in rows]),
        fully_visible=np.array([row.fully_visible for row in rows]),
        keypoints_m=keypoints,
        root_m=keypoints[:, 0],
        dof_rad=np.stack([row.moment.dof_rad for row in rows]),
        camera_from_model=np.stack([row.moment.rotation for row in rows]),
        hand_scale=np.array([row.scale for row in rows]),
        sample_row=sampled,
        sample_vertices_m=np.stack([rows[i].vertices for i in sampled.tolist()]).astype(np.float32),
    )


def main(
    output: Annotated[Path, typer.Option(help="Folder for demo.mp4 and truth.npz.")] = Path("assets/demo"),
    seed: Annotated[int, typer.Option(help="Of motion, skin, room and grain.")] = 7,
    texture_size: Annotated[int, typer.Option(help="Side of the skin textures.")] = 2048,
    room_passes: Annotated[int, typer.Option(help="Light paths per background pixel.")] = 64,
    supersample: Annotated[int, typer.Option(help="Samples per pixel and axis.")] = 2,
    every: Annotated[int, typer.Option(help="Render each n-th frame only, for a preview.")] = 1,
) -> None:
    """Render the bundled demo clip and its truth."""
    build(output, seed, texture_size, room_passes, supersample, every)


if __name__ == "__main__":
    typer.run(main)
