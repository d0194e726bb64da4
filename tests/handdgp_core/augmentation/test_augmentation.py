"""Augmented views: labels, intrinsics and pixels move together."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, default_collate

from handdgp_core.augmentation import AppearanceSettings, ViewPairs, ViewSettings, render_views
from handdgp_core.augmentation.geometry import draw_geometry
from handdgp_core.augmentation.patches import cut_patch
from handdgp_core.datasets.files import DatasetError
from handdgp_core.datasets.sample import LabelledHand, unknown_keypoints
from handdgp_core.detection.crops import crop_from_keypoints
from handdgp_core.errors import UsageError
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.positioning import position
from handdgp_core.geometry.rectification import Rectification

VERTICES = 30
PLAIN = AppearanceSettings.none()
FINGER_DIRECTIONS = np.linspace(-0.6, 0.5, 5)


def hand_points(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """21 keypoints and some vertices of a rough open hand, wrist at the origin, metres."""
    joints = [np.zeros(3)]
    for angle in FINGER_DIRECTIONS:
        along = np.array([np.sin(angle), -np.cos(angle), 0.0])
        joints += [along * length for length in (0.08, 0.12, 0.14, 0.16)]
    keypoints = np.array(joints) + rng.normal(0, 0.006, (21, 3))
    return keypoints, keypoints[rng.integers(0, 21, VERTICES)] + rng.normal(0, 0.01, (VERTICES, 3))


def rotation(rng: np.random.Generator) -> np.ndarray:
    axis, angle = rng.normal(size=3), rng.uniform(0, 0.9)
    return cv2.Rodrigues(axis / np.linalg.norm(axis) * angle)[0]


def sample(seed: int = 0, left: bool = False, size: tuple[int, int] = (400, 300), square: bool = True) -> LabelledHand:
    """A hand somewhere in front of a camera whose pixels may be taller than wide; a smooth random picture."""
    rng = np.random.default_rng(seed)
    width, height = size
    focal = rng.uniform(0.8, 1.6) * width
    matrix = np.array(
        [[focal, 0, width * rng.uniform(0.4, 0.6)], [0, focal, height * rng.uniform(0.4, 0.6)], [0, 0, 1]]
    )
    matrix[1, 1] *= 1.0 if square else 1.3
    keypoints, vertices = hand_points(rng)
    turn = rotation(rng)
    pixel = np.array([rng.uniform(0.3, 0.7) * width, rng.uniform(0.4, 0.8) * height, 1.0])
    root = np.linalg.inv(matrix) @ pixel * rng.uniform(0.3, 1.0)
    picture = cv2.GaussianBlur(rng.integers(0, 256, (height, width, 3)).astype(np.float32), (0, 0), 3)
    picture = np.clip((picture - 127) * 6 + 127, 0, 255).astype(np.uint8)
    side = "left" if left else "right"
    return LabelledHand(picture, matrix, keypoints @ turn.T + root, vertices @ turn.T + root, side, f"hand {seed}")


def dotted(hand: LabelledHand, keypoint: int) -> LabelledHand:
    """The same hand on black, one keypoint drawn as a soft white dot."""
    camera = Camera(hand.image.shape[1], hand.image.shape[0], hand.matrix)
    u, v = camera.project(hand.keypoints_m[keypoint])
    rows, columns = np.mgrid[: hand.image.shape[0], : hand.image.shape[1]]
    dot = 255 * np.exp(-0.5 * ((columns - u) ** 2 + (rows - v) ** 2) / 3.0**2)
    image = np.repeat(dot[..., None], 3, axis=2).round().astype(np.uint8)
    return LabelledHand(image, hand.matrix, hand.keypoints_m, hand.vertices_m, hand.handedness, hand.name)


def projected(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    homogeneous = points @ matrix.T
    return homogeneous[:, :2] / homogeneous[:, 2:]


def moved(pixels: np.ndarray, homography: np.ndarray) -> np.ndarray:
    homogeneous = np.concatenate([pixels, np.ones((len(pixels), 1))], axis=1) @ homography.T
    return homogeneous[:, :2] / homogeneous[:, 2:]


def centroid(image: np.ndarray) -> np.ndarray:
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(image * columns).sum(), (image * rows).sum()]) / image.sum()


def rendered(pairs: ViewPairs, *indices: int) -> dict[str, Any]:
    return render_views(default_collate([pairs[index] for index in indices]), pairs.views.size)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    left=st.booleans(),
    square=st.booleans(),
    policy=st.sampled_from(["fit", "published"]),
    rotation_deg=st.floats(0, 180),
    shift=st.floats(0, 0.3),
    zoom=st.floats(0.4, 1.0),
)
def test_labels_projected_by_the_new_intrinsics_land_on_the_moved_keypoints(
    seed: int, left: bool, square: bool, policy: Any, rotation_deg: float, shift: float, zoom: float
) -> None:
    hand = sample(seed, left, square=square)
    views = ViewSettings(policy, focal_px=300, rotation_deg=rotation_deg, shift=shift, scale=(zoom, 1.5))
    pairs = ViewPairs([hand], VERTICES, views, PLAIN, seed=seed)
    item = pairs[0]
    geometry = draw_geometry(hand, views, np.random.default_rng([seed, 0, 0]), 2)
    patch = cut_patch(hand.image, geometry, views.patch_size)
    in_patch = moved(projected(hand.keypoints_m, hand.matrix), patch.patch_from_image)
    for name in ("view1", "view2"):
        labels = {key: value.double().numpy() for key, value in item[name].items()}
        uv = labels["keypoints_uv"] * views.size - 0.5
        # The pixels' way: where the warp puts the source's keypoints.
        np.testing.assert_allclose(moved(in_patch, labels["view_from_patch"]), uv, atol=0.01)
        # The labels' way: every vertex, by the view's own intrinsics.
        vertices = 0.2 * labels["vertices"] + labels["root_m"]
        source = moved(projected(hand.vertices_m, hand.matrix), patch.patch_from_image)
        found = projected(vertices, labels["intrinsics"])
        np.testing.assert_allclose(moved(source, labels["view_from_patch"]), found, atol=0.01)
        assert labels["has_vertices"] == labels["has_keypoints_uv"] == labels["has_root"] == 1


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), left=st.booleans(), policy=st.sampled_from(["fit", "published"]))
def test_a_dot_on_the_picture_lands_on_the_augmented_keypoint(seed: int, left: bool, policy: Any) -> None:
    keypoint = seed % 21
    hand = dotted(sample(seed, left), keypoint)
    views = ViewSettings(policy, focal_px=300, crop_factor=2.5)
    batch = rendered(ViewPairs([hand], VERTICES, views, PLAIN, seed=seed), 0)
    for name in ("view1", "view2"):
        wanted = batch[name]["keypoints_uv"][0, keypoint].numpy() * views.size - 0.5
        if (wanted < 15).any() or (wanted > views.size - 16).any():
            continue  # the dot is cut by the view's border
        picture = batch[name]["image"][0, 0].double().numpy()
        if picture.max() > 0.9:  # not cut by the picture's border either
            np.testing.assert_allclose(centroid(picture), wanted, atol=0.5)


@pytest.mark.parametrize("shift", [0.0, 0.25, 7.0])
def test_the_warp_counts_pixels_from_the_centre_of_the_first(shift: float) -> None:
    """Kornia's convention, on which everything rests: a whole shift moves pixels exactly, a part one interpolates."""
    patch = torch.zeros(1, 3, 20, 20, dtype=torch.uint8)
    patch[:, :, 5, 6] = 255
    numbers = ViewPairs([sample()], VERTICES, appearance=PLAIN)[0]["view1"]
    view = {name: value[None] for name, value in numbers.items()}
    view["view_from_patch"] = torch.tensor([[[1.0, 0, shift], [0, 1, 0], [0, 0, 1]]])
    image = render_views({"patch": patch, "filled": torch.tensor([[20, 20]]), "view1": view}, 20)["view1"]["image"]
    wanted = torch.zeros(20, 20)
    wanted[5, 6 + int(shift)] = 1 - shift % 1
    wanted[5, 7 + int(shift)] += shift % 1
    torch.testing.assert_close(image[0, 0], wanted, atol=1e-4, rtol=0)


@pytest.mark.parametrize("policy", ["fit", "published"])
@pytest.mark.parametrize("left", [False, True])
def test_a_steady_view_is_what_the_live_program_sees(policy: Any, left: bool) -> None:
    hand = sample(3, left)
    camera = Camera(400, 300, hand.matrix)
    crop = crop_from_keypoints(camera.project(hand.keypoints_m), hand.handedness, 1.0)
    make = Rectification.fit if policy == "fit" else Rectification.published
    live = make(camera, crop, 224) if policy == "fit" else make(camera, crop, 224, 300.0)
    views = ViewSettings(policy, focal_px=300.0, patch_size=400).steady()
    batch = rendered(ViewPairs([hand], VERTICES, views, PLAIN, view_count=1), 0)
    view = {name: value[0].double().numpy() for name, value in batch["view1"].items()}
    np.testing.assert_allclose(view["intrinsics"], live.matrix, rtol=1e-6)
    np.testing.assert_allclose(view["virtual_from_camera"], live.virtual_from_camera, atol=1e-6)
    difference = np.abs(view["image"].transpose(1, 2, 0) * 255 - live.warp(hand.image).astype(np.float64))
    assert np.median(difference) < 1.5
    assert np.quantile(difference, 0.97) < 12  # the black border is cut at fractions of a pixel


def test_positioning_on_the_labels_finds_the_root_in_both_views() -> None:
    """The labels fit together as DGP needs them: 2D keypoints, relative 3D, intrinsics and root, one camera frame."""
    hand = sample(5, left=True)
    item = ViewPairs([hand], VERTICES, appearance=PLAIN, seed=4)[0]
    for name in ("view1", "view2"):
        view = {key: value.double().numpy() for key, value in item[name].items()}
        pixels = view["keypoints_uv"] * 224 - 0.5
        plane = (pixels - view["intrinsics"][:2, 2]) / view["intrinsics"][[0, 1], [0, 1]]
        turned = (hand.keypoints_m - hand.keypoints_m[0]) @ view["virtual_from_camera"].T
        for method in ("published", "refined"):
            found = position(turned, plane, np.ones(21), method).root_m
            np.testing.assert_allclose(found, view["root_m"], atol=1e-5)
        np.testing.assert_allclose(view["root_m"] @ view["virtual_from_camera"], hand.keypoints_m[0], atol=1e-6)


def test_the_affine_map_between_views_takes_keypoints_of_one_to_the_other() -> None:
    for policy in ("fit", "published"):
        pairs = ViewPairs([sample(1), sample(2)], VERTICES, ViewSettings(policy, focal_px=300), PLAIN, seed=9)
        for index in range(2):
            item = pairs[index]
            first, second = item["view1"]["keypoints_uv"], item["view2"]["keypoints_uv"]
            assert (first - second).abs().max() > 1e-3
            affine = item["uv2_from_uv1"]
            torch.testing.assert_close(first @ affine[:, :2].T + affine[:, 2], second, atol=1e-5, rtol=0)
            torch.testing.assert_close(item["view1"]["vertices"], item["view2"]["vertices"])  # one rotation
            torch.testing.assert_close(item["view1"]["root_m"], item["view2"]["root_m"])


def test_a_left_hand_is_shown_as_the_right_hand_it_mirrors() -> None:
    right = sample(7)
    mirror = np.diag([-1.0, 1.0, 1.0])
    matrix = right.matrix.copy()
    matrix[0, 2] = right.image.shape[1] - 1 - matrix[0, 2]
    left = LabelledHand(
        np.ascontiguousarray(right.image[:, ::-1]),
        matrix,
        right.keypoints_m @ mirror,
        right.vertices_m @ mirror,
        "left",
    )
    steady = ViewSettings(patch_size=400).steady()
    views = [rendered(ViewPairs([hand], VERTICES, steady, PLAIN, 1), 0)["view1"] for hand in (right, left)]
    for name in ("intrinsics", "keypoints_uv", "vertices", "root_m"):
        torch.testing.assert_close(views[0][name], views[1][name], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(views[0]["image"], views[1]["image"], atol=0.02, rtol=0)
    assert torch.linalg.det(views[1]["virtual_from_camera"][0]) == pytest.approx(-1, abs=1e-5)


def test_the_picture_is_black_where_the_camera_saw_nothing_whatever_the_colours() -> None:
    hand = sample(2)
    white = LabelledHand(np.full_like(hand.image, 255), hand.matrix, hand.keypoints_m, hand.vertices_m)
    views = ViewSettings("published", focal_px=100)
    strong = AppearanceSettings(noise=0.2, occluders=4, occluder_probability=1.0, blur_probability=1.0)
    image = rendered(ViewPairs([white], VERTICES, views, strong), 0)["view1"]["image"]
    assert not image[..., :20, :20].any()
    assert image.max() > 0.3


@pytest.mark.parametrize(
    ("field", "value", "view"),
    [("brightness", 0.5, 0.5), ("contrast", 0.0, None), ("saturation", 0.0, None), ("hue_rad", 2 * np.pi / 3, None)],
)
def test_colours_move_as_drawn(field: str, value: float, view: float | None) -> None:
    numbers = {k: v[None].clone() for k, v in ViewPairs([sample()], VERTICES, appearance=PLAIN)[0]["view1"].items()}
    numbers["view_from_patch"] = torch.eye(3)[None]
    patch = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    patch[:, 0, :, :8], patch[:, 1, :, 8:] = 200, 100  # half red, half green
    batch = {"patch": patch, "filled": torch.tensor([[16, 16]]), "view1": numbers}
    before = render_views(batch, 16)["view1"]["image"][0]
    torch.testing.assert_close(before, patch[0] / 255.0, atol=1e-4, rtol=0)
    numbers[field] = torch.tensor([value])
    after = render_views(batch, 16)["view1"]["image"][0]
    if field == "brightness":
        torch.testing.assert_close(after, before * view, atol=1e-4, rtol=0)
    elif field == "contrast":
        assert after.std() < 1e-4
    elif field == "saturation":
        assert (after.amax(0) - after.amin(0)).max() < 1e-4
    else:  # a third of a turn: red becomes green
        torch.testing.assert_close(after[1, :, :8], before[0, :, :8], atol=1e-3, rtol=0)


def test_occluders_cover_and_blur_smooths() -> None:
    hand = sample(4)
    plain = rendered(ViewPairs([hand], VERTICES, ViewSettings().steady(), PLAIN, 1), 0)["view1"]["image"]
    covering = AppearanceSettings(0, 0, 0, 0, 0, 0, 0, occluder_probability=1.0, occluders=1, occluder_size=(0.2, 0.2))
    covered = rendered(ViewPairs([hand], VERTICES, ViewSettings().steady(), covering, 1), 0)["view1"]["image"]
    share = ((covered - plain).abs().amax(1) > 0.02).float().mean()
    assert 0.01 < share < 0.2  # half lengths 0.2 and at most 0.2: at most 16 %, and its soft edge
    blurring = AppearanceSettings(0, 0, 0, 0, blur_px=2.0, blur_probability=1.0, noise=0, occluders=0)
    blurred = rendered(ViewPairs([hand], VERTICES, ViewSettings().steady(), blurring, 1), 0)["view1"]["image"]
    assert blurred.diff(dim=-1).abs().mean() < 0.97 * plain.diff(dim=-1).abs().mean()


def test_missing_labels_are_zero_with_a_zero_flag() -> None:
    known = sample(1)
    bare = LabelledHand(known.image, known.matrix, known.keypoints_m)
    root_only = LabelledHand(known.image, known.matrix, unknown_keypoints(), box_px=np.array([100.0, 50, 200, 160]))
    root_only.keypoints_m[0] = known.keypoints_m[0]
    nothing = LabelledHand(known.image, known.matrix, unknown_keypoints())
    pairs = ViewPairs([bare, root_only, nothing], VERTICES, appearance=PLAIN)
    names = ("has_vertices", "has_keypoints_uv", "has_root")
    flags = [[float(pairs[i]["view1"][name]) for name in names] for i in range(3)]
    assert flags == [[0, 1, 1], [0, 0, 1], [0, 0, 0]]
    for i in range(3):
        assert all(torch.isfinite(value).all() for value in pairs[i]["view1"].values())
        assert not pairs[i]["view1"]["vertices"].any()
    # The square around the box is in view: its centre near the view's.
    steady = ViewPairs([root_only], VERTICES, ViewSettings().steady(), PLAIN, 1)[0]
    to_view = (
        steady["view1"]["intrinsics"]
        @ steady["view1"]["virtual_from_camera"]
        @ torch.tensor(np.linalg.inv(known.matrix), dtype=torch.float32)
    )
    center = moved(np.array([[150.0, 105.0]]), to_view.double().numpy())
    np.testing.assert_allclose(center, [[111.5, 111.5]], atol=0.1)


def test_draws_depend_on_seed_epoch_and_sample_alone() -> None:
    hands = [sample(i) for i in range(4)]
    pairs = ViewPairs(hands, VERTICES, seed=1)
    first = pairs[2]
    _ = pairs[0], pairs[3]
    again = ViewPairs(hands, VERTICES, seed=1)[2]
    for name, value in first["view1"].items():
        torch.testing.assert_close(again["view1"][name], value, rtol=0, atol=0)
    pairs.set_epoch(1)
    assert not torch.equal(pairs[2]["view1"]["intrinsics"], first["view1"]["intrinsics"])
    pairs.set_epoch(0)
    torch.testing.assert_close(pairs[2]["patch"], first["patch"])
    other = ViewPairs(hands, VERTICES, seed=2)[2]
    assert not torch.equal(other["view1"]["intrinsics"], first["view1"]["intrinsics"])


def test_pixels_can_vary_without_moving_the_geometry() -> None:
    hands = [sample(0)]
    plain = ViewPairs(hands, VERTICES, appearance=PLAIN)[0]["view1"]
    strong = ViewPairs(hands, VERTICES)[0]["view1"]
    torch.testing.assert_close(plain["view_from_patch"], strong["view_from_patch"])


def test_two_loader_processes_give_what_one_gives_and_follow_the_epoch() -> None:
    pairs = ViewPairs([sample(i) for i in range(6)], VERTICES, seed=3)
    loader = DataLoader(pairs, batch_size=3, num_workers=2, persistent_workers=True)
    for epoch in (0, 1):
        pairs.set_epoch(epoch)
        batches = list(loader)
        assert [batch["index"].tolist() for batch in batches] == [[0, 1, 2], [3, 4, 5]]
        alone = default_collate([pairs[i] for i in (3, 4, 5)])
        torch.testing.assert_close(batches[1]["view2"]["intrinsics"], alone["view2"]["intrinsics"])
        images = [render_views(batch, 224)["view1"]["image"] for batch in (batches[1], alone)]
        torch.testing.assert_close(images[0], images[1])


@pytest.mark.parametrize("seed", [6, 8, 10])
def test_large_pictures_are_averaged_down_and_the_labels_follow(seed: int) -> None:
    hand = dotted(sample(seed, size=(1600, 1200)), keypoint=9)
    views = ViewSettings(patch_size=160).steady()
    pairs = ViewPairs([hand], VERTICES, views, PLAIN, 1)
    geometry = draw_geometry(hand, views, np.random.default_rng(0), 1)
    patch = cut_patch(hand.image, geometry, 160)
    assert max(patch.filled) == 160
    assert patch.patch_from_image[0, 0] < 0.6
    view = rendered(pairs, 0)["view1"]
    wanted = view["keypoints_uv"][0, 9].numpy() * views.size - 0.5
    np.testing.assert_allclose(centroid(view["image"][0, 0].double().numpy()), wanted, atol=0.3)


def test_fine_patterns_of_large_pictures_do_not_alias() -> None:
    hand = sample(6, size=(1600, 1200))
    checks = np.repeat((np.indices(hand.image.shape[:2]).sum(0) % 2 * 255)[..., None], 3, axis=2).astype(np.uint8)
    fine = LabelledHand(checks, hand.matrix, hand.keypoints_m)
    view = rendered(ViewPairs([fine], VERTICES, ViewSettings(patch_size=256).steady(), PLAIN, 1), 0)["view1"]
    assert view["image"][..., 80:140, 80:140].std() < 0.1  # of checks it would be 0.5


def test_bad_use_says_what_is_wrong() -> None:
    with pytest.raises(UsageError, match="policy"):
        ViewSettings("canonical")
    with pytest.raises(UsageError, match="Scales from"):
        ViewSettings(scale=(1.2, 0.8))
    with pytest.raises(UsageError, match="views"):
        ViewPairs([sample()], VERTICES, view_count=3)
    with pytest.raises(DatasetError, match="778"):
        ViewPairs([sample()], 778)[0]
