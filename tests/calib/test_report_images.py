"""Pictures of the report: one for each view, its outliers marked where they were found."""

import re
from dataclasses import replace

import numpy as np

from calib.report_images import images_html, view_image
from calib.solve import solve
from tests.calib.scenes import BOARD, CAMERA, random_views

GREY = np.full((CAMERA.height, CAMERA.width), 90, np.uint8)


def test_a_corner_that_was_skipped_is_ringed_where_it_was_found():
    views = [replace(view, name=f"<{number}>") for number, view in enumerate(random_views(3, 6))]
    moved = views[2].corners_px.copy()
    moved[5] += (6.0, -4.0)
    views[2] = replace(views[2], corners_px=moved)
    solution = solve(BOARD, views)
    assert solution.dropped == ((2, int(views[2].ids[5])),)
    page = images_html(solution, [view_image(GREY, view) for view in views[1:]])
    figures = page.split("<figure>")[1:]
    assert len(figures) == 5
    [marked] = [figure for figure in figures if "left out</title>" in figure]
    assert "3. &lt;2&gt;" in marked and "left-out corners: 1" in marked
    x, y = map(float, re.search(r"cx='([\d.]+)' cy='([\d.]+)'[^>]*><title>corner \d+: does", marked).groups())
    np.testing.assert_allclose((x, y), moved[5], atol=0.06)


def test_pictures_are_made_small():
    view = random_views(3, 1)[0]
    assert len(view_image(GREY, view).jpeg) < 10_000
