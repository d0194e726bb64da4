"""Writes assets/engines/crops.npz: eight crops of the bundled clip, on which engines are compared.

python -m tools.assets.engine_crops
"""

from __future__ import annotations

import cv2
import numpy as np

from handdgp_core.bundled import bundled
from handdgp_core.detection.crops import crop_from_keypoints
from handdgp_core.geometry.rectification import Rectification
from handdgp_core.sources.demo import DemoSource
from handdgp_core.sources.protocol import frames

_COUNT, _QUALITY = 8, 92


def main() -> None:
    """Crops of right and left hands, spread over the clip."""
    source = DemoSource()
    truth = source.truth
    assert truth.fully_visible is not None
    whole = np.flatnonzero(truth.fully_visible)
    rows = whole[np.linspace(0, len(whole) - 1, _COUNT).round().astype(int)]
    pictures = {index: frame.image for index, frame in enumerate(frames(source))}
    crops, matrices = [], []
    for row in rows:
        crop = crop_from_keypoints(truth.camera.project(truth.keypoints_m[row]), truth.handedness[row], 1.0)
        view = Rectification.fit(truth.camera, crop)
        crops.append(view.warp(pictures[truth.frame_index[row]]))
        matrices.append(view.matrix)
    strip = cv2.cvtColor(np.concatenate(crops, axis=1).astype(np.uint8), cv2.COLOR_RGB2BGR)
    jpeg = cv2.imencode(".jpg", strip, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].reshape(-1)
    path = bundled("assets/engines/crops.npz")
    path.parent.mkdir(exist_ok=True)
    np.savez(path, jpeg=jpeg, matrices=np.stack(matrices))


if __name__ == "__main__":
    main()
