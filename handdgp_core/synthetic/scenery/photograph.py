"""What a webcam does to a picture: few pixels, motion and defocus, noise, tone curve, colour cast, JPEG."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["photograph"]


def photograph(image: NDArray[np.uint8], source_pixels: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The picture as a webcam would have it.

    Args:
        image: (size, size, 3) sRGB, sharp.
        source_pixels: pixels of the camera's own picture for each pixel of this one, along a side. Below 1 the
            camera saw less than this picture could show.
        rng: draws everything.
    """
    size = len(image)
    if source_pixels < 0.95:
        small = max(16, round(size * source_pixels))
        image = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA).astype(np.uint8)
    if rng.random() < 0.2:
        image = _smeared(image, float(rng.uniform(2, 11)) * len(image) / size, float(rng.uniform(0, np.pi)))
    if rng.random() < 0.35:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.6))).astype(np.uint8)
    picture = image.astype(np.float32) / 255
    picture = picture ** float(np.exp(rng.normal(0, 0.16))) * rng.normal(1, 0.05, 3)
    picture = (picture - 0.5) * float(rng.uniform(0.85, 1.15)) + 0.5 + float(rng.normal(0, 0.03))
    grain = float(rng.gamma(1.2, 0.010))
    noise = rng.standard_normal(picture.shape, dtype=np.float32)
    if rng.random() < 0.5:
        noise = cv2.GaussianBlur(noise, (0, 0), 0.8) * 1.6  # what a denoiser leaves is soft
    picture = picture + grain * noise
    image = (np.clip(picture, 0, 1) * 255).astype(np.uint8)
    if rng.random() < 0.7:
        image = _compressed(image, int(rng.integers(35, 95)))
    if len(image) != size:
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    return np.asarray(image, dtype=np.uint8)


def _smeared(image: NDArray[np.uint8], length_px: float, angle: float) -> NDArray[np.uint8]:
    """Motion blur: the mean over a short straight path."""
    reach = int(np.ceil(length_px / 2)) + 1
    row, column = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    along = column * np.cos(angle) + row * np.sin(angle)
    across = row * np.cos(angle) - column * np.sin(angle)
    kernel = np.clip(1 - np.abs(across), 0, 1) * np.clip(length_px / 2 - np.abs(along) + 0.5, 0, 1)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT), dtype=np.uint8)


def _compressed(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), dtype=np.uint8)
