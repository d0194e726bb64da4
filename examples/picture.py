"""The hands of one picture, in metres: python examples/picture.py PICTURE [CAMERA.yaml]"""

from __future__ import annotations

import sys

import cv2

from handdgp_core import Camera, HandEstimator


def main(picture: str, camera_file: str = "") -> None:
    image = cv2.imread(picture)
    if image is None:
        raise SystemExit(f"{picture} is no picture that OpenCV can read.")
    height, width = image.shape[:2]
    # Without a calibration the field of view is a guess, and so is the distance.
    camera = Camera.load(camera_file) if camera_file else Camera.assumed(width, height, horizontal_fov_deg=60)

    with HandEstimator.from_weights() as estimator:
        hands = estimator.estimate(image, camera, bgr=True)
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
