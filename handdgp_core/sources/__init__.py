"""Where pictures come from: webcams, streams, videos, image folders and the demo, behind one protocol."""

from handdgp_core.sources.annotations import Annotations, load_annotations
from handdgp_core.sources.demo import DemoSource, DemoTruth, load_truth
from handdgp_core.sources.image_folder import ImageFolderSource
from handdgp_core.sources.open import ACCEPTED, open_source
from handdgp_core.sources.pacing import PacedSource
from handdgp_core.sources.protocol import NoFrameYet, Source, SourceLost, frames
from handdgp_core.sources.reconnect import ReconnectingSource
from handdgp_core.sources.video import VideoSource
from handdgp_core.sources.webcam import WebcamSettings, WebcamSource
from handdgp_core.sources.webcam_list import WebcamInfo, list_webcams

__all__ = [
    "ACCEPTED",
    "Annotations",
    "DemoSource",
    "DemoTruth",
    "ImageFolderSource",
    "NoFrameYet",
    "PacedSource",
    "ReconnectingSource",
    "Source",
    "SourceLost",
    "VideoSource",
    "WebcamInfo",
    "WebcamSettings",
    "WebcamSource",
    "frames",
    "list_webcams",
    "load_annotations",
    "load_truth",
    "open_source",
]
