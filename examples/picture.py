"""The hands of one picture, in metres: python examples/picture.py PICTURE [CAMERA.yaml]"""

from __future__ import annotations

import sys

from handdgp_core import Camera, HandDGPError, HandEstimator, open_source
from handdgp_core.sources.cameras import CameraChooser


def main(picture: str, camera_file: str = "") -> None:
    # Without a calibration the field of view is a guess, and so is the distance.
    cameras = CameraChooser(Camera.load(camera_file) if camera_file else None, horizontal_fov_deg=60)
    try:
        with open_source(picture) as source:
            frame = source.read()
    except HandDGPError as error:
        raise SystemExit(error.message) from None
    if frame is None:
        raise SystemExit(f"{picture} holds no picture.")
    chosen = cameras.choose(frame)  # the camera turns with a picture that a phone turned

    with HandEstimator.from_weights() as estimator:
        hands = estimator.estimate(chosen, chosen.used_camera)
    for hand in hands:
        if hand.degenerate:
            print(f"{hand.handedness} hand without a place: {hand.degenerate}")
            continue
        x, y, z = hand.root_m
        print(f"{hand.handedness} wrist at x {x:.3f}, y {y:.3f}, z {z:.3f} m, {len(hand.vertices_m)} vertices")
    if not hands:
        print("No hand found.")


if __name__ == "__main__":
    main(*sys.argv[1:])
