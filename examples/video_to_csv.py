"""Where the wrists are, for every frame of a video: python examples/video_to_csv.py VIDEO OUTPUT.csv [CAMERA.yaml]"""

from __future__ import annotations

import csv
import sys

from handdgp_core import Camera, HandEstimator, open_source
from handdgp_core.sources import frames
from handdgp_core.sources.cameras import CameraChooser


def main(video: str, output: str, camera_file: str = "") -> None:
    cameras = CameraChooser(Camera.load(camera_file) if camera_file else None, horizontal_fov_deg=60)
    with (
        open_source(video) as source,  # a video, a folder of pictures, a stream, a webcam's number, or "demo"
        HandEstimator.from_weights() as estimator,
        open(output, "w", newline="", encoding="utf-8") as file,
    ):
        table = csv.writer(file)
        table.writerow(["frame", "time_s", "handedness", "wrist_x_m", "wrist_y_m", "wrist_z_m"])
        for frame in frames(source):
            chosen = cameras.choose(frame)  # what the source knows, else the calibration, turned as the video is
            for hand in estimator.estimate(chosen, chosen.used_camera):
                if hand.degenerate is None:
                    place = (f"{value:.4f}" for value in hand.root_m)
                    table.writerow([frame.index, f"{frame.stamp_ns / 1e9:.3f}", hand.handedness, *place])


if __name__ == "__main__":
    main(*sys.argv[1:])
