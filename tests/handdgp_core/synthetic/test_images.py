from __future__ import annotations

import cv2
import numpy as np

from handdgp_core.synthetic.rendering import visibility
from handdgp_core.synthetic.scenery.backdrops import Backdrops
from handdgp_core.synthetic.scenery.occluders import paint_occluder
from handdgp_core.synthetic.scenery.photograph import photograph


def ray_hits(origin_to: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Depths at which the ray from the camera to a point meets triangles (Moeller-Trumbore, one by one)."""
    depths = []
    direction = origin_to / origin_to[2]
    for a, b, c in triangles:
        e1, e2 = b - a, c - a
        p = np.cross(direction, e2)
        det = e1 @ p
        if abs(det) < 1e-15:
            continue
        s = -a
        u = s @ p / det
        q = np.cross(s, e1)
        v = direction @ q / det
        if u >= 0 and v >= 0 and u + v <= 1:
            depths.append(e2 @ q / det)
    return np.array(depths)


def test_hidden_points_are_those_whose_ray_meets_flesh_well_before_them() -> None:
    rng = np.random.default_rng(8)
    vertices = rng.uniform([-0.1, -0.1, 0.3], [0.1, 0.1, 0.6], (60, 3))
    faces = rng.integers(0, 60, (40, 3))
    faces = faces[(faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 0] != faces[:, 2])]
    points = rng.uniform([-0.08, -0.08, 0.35], [0.08, 0.08, 0.7], (50, 3))
    slow = [(ray_hits(point, vertices[faces]) < point[2] - 0.02).any() for point in points]
    fast = visibility.behind_flesh(points, vertices, faces)
    assert 5 < np.sum(slow) < 45
    np.testing.assert_array_equal(fast, slow)


def test_a_thing_covers_what_its_mask_says_and_nothing_else() -> None:
    image = np.full((96, 96, 3), 128, np.uint8)
    for seed in range(12):
        painted, cover = paint_occluder(image, np.array([40.0, 52.0]), np.random.default_rng(seed))
        assert cover[52, 40]
        far = cv2.dilate(cover.astype(np.uint8), np.ones((31, 31), np.uint8)) == 0  # thin things have soft ends
        assert (painted[far] == image[far]).all()


def test_photographs_keep_their_size_and_lose_detail_with_few_source_pixels() -> None:
    row, column = np.mgrid[:128, :128]
    image = np.repeat((((row // 4 + column // 4) % 2) * 200 + 20).astype(np.uint8)[..., None], 3, axis=2)
    sharp = [photograph(image, 1.5, np.random.default_rng(n)) for n in range(20)]
    coarse = [photograph(image, 0.15, np.random.default_rng(n)) for n in range(20)]
    assert all(picture.shape == image.shape and picture.dtype == np.uint8 for picture in sharp + coarse)
    assert np.mean([p.std() for p in coarse]) < 0.5 * np.mean([p.std() for p in sharp])
    np.testing.assert_array_equal(sharp[0], photograph(image, 1.5, np.random.default_rng(0)))


def test_backdrops_are_linear_light_and_differ() -> None:
    drops = Backdrops(64, rooms=0, seed=1)
    drawn = [drops.draw(np.random.default_rng(n)) for n in range(30)]
    assert all(d.shape == (64, 64, 3) and d.dtype == np.float32 and d.min() >= 0 for d in drawn)
    assert np.ptp([d.mean() for d in drawn]) > 0.2
    assert all(0.03 < d.mean() < 0.7 for d in drawn)
