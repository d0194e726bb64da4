"""Draws docs/images/joint-frames.png: `PYTHONPATH=. python tools/docs/joint_frames_picture.py`."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from handdgp_core.hands.hand_features import joint_angles_rad
from handdgp_core.hands.joint_frames import JOINTS, frames_from_keypoints
from handdgp_core.hands.open_hand.open_hand import OpenHand

TARGET = Path(__file__).resolve().parents[2] / "docs" / "images" / "joint-frames.png"
COLOURS = ("#d62728", "#2ca02c", "#1f77b4")  # x, y, z
AXIS_M = 0.011


def main() -> None:
    hand = OpenHand.load()
    vertices_m, keypoints_m = (points[0] for points in hand.forward(hand.neutral_pose()))
    positions_m, rotations = frames_from_keypoints(keypoints_m, "right")
    assert np.isfinite(joint_angles_rad(rotations, "right")).all()
    figure = plt.figure(figsize=(9, 8), dpi=110)
    axes = figure.add_subplot(projection="3d", proj_type="ortho")
    axes.plot_trisurf(*vertices_m.T, triangles=hand.faces, color="#c8b8a8", alpha=0.18, linewidth=0)
    for joint, (place, rotation) in enumerate(zip(positions_m, rotations, strict=True)):
        for axis, colour in enumerate(COLOURS):
            axes.plot(*np.stack([place, place + AXIS_M * rotation[:, axis]]).T, color=colour, linewidth=1.8)
        axes.text(*(place + 0.004), str(joint), fontsize=8)
    axes.legend(
        [axes.lines[i] for i in range(3)], ["+x", "+y (back of the hand)", "+z (away from the tip)"], loc="lower left"
    )
    axes.set_axis_off()
    axes.set_box_aspect(np.ptp(vertices_m, axis=0), zoom=1.45)
    axes.view_init(elev=-122, azim=-78, roll=180)
    names = "   ".join(f"{number} {name}" for number, name in enumerate(JOINTS[:6]))
    figure.text(0.5, 0.03, f"{names}   6-10 index ... 21-25 little", ha="center", fontsize=8)
    TARGET.parent.mkdir(exist_ok=True)
    figure.savefig(TARGET, bbox_inches="tight")


if __name__ == "__main__":
    main()
