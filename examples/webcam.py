"""How far the hand is from a webcam, as it moves: python examples/webcam.py [NUMBER or VIDEO] [CAMERA.yaml]"""

from __future__ import annotations

import sys

import cv2
import numpy as np

from handdgp_core import Camera, HandEstimator


def main(source: str = "0", camera_file: str = "") -> None:
    capture = cv2.VideoCapture(int(source) if source.isdecimal() else source)
    calibrated = Camera.load(camera_file) if camera_file else None
    try:
        with HandEstimator.from_weights(max_hands=1) as estimator:
            while True:
                there, image = capture.read()
                if not there:
                    break
                height, width = image.shape[:2]
                camera = calibrated or Camera.assumed(width, height, horizontal_fov_deg=60)
                for hand in estimator.estimate(image, camera, bgr=True):
                    print(f"{hand.handedness} wrist {np.linalg.norm(hand.root_m) * 100:.1f} cm from the camera")
    except KeyboardInterrupt:  # Ctrl-C ends it
        pass
    finally:
        capture.release()


if __name__ == "__main__":
    main(*sys.argv[1:])
