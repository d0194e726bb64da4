"""One followed hand: its last keypoints, its vote on handedness, and what counts as a believable next view of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from handdgp_core.arrays import Array, Handedness
from handdgp_core.detection.crops import HALF_SIZE_FACTOR, crop_from_keypoints, visible_fraction
from handdgp_core.detection.landmarker import Detection
from handdgp_core.geometry.hand_crop import HandCrop

__all__ = ["Observation", "Track", "TrackState", "keypoint_distance"]

# Votes are log-odds of "right": one view counts at most log(0.95 / 0.05), less where it is unclear. The sum is bounded
# so that it can turn when the track goes over to the other hand: it remembers a second of clear views. It must pass the
# other side's threshold before the hand is called by the other name.
LARGEST_VOTE = math.log(0.95 / 0.05)
LARGEST_SUM = 30 * LARGEST_VOTE
LARGEST_MEMORY = 5 * LARGEST_VOTE  # of a hand that was lost
VOTES_TO_TURN = 2 * LARGEST_VOTE
# A hand moves and changes size gradually; more within one frame is a jump.
LARGEST_STEP = 1.0  # of the crop's half size
LARGEST_GROWTH = 2.0  # either way


@dataclass(frozen=True)
class Observation:
    """What a network saw in the crop of one hand.

    Attributes:
        track_id: of the crop.
        keypoints_px: (21, 2) pixels of the frame's image.
        presence: how sure it is that there is a hand, 0 to 1; None where the network does not say.
        right: how sure it is that the hand is a right one (the true hand, however the crop was mirrored), 0 to 1; None
            where the network does not say.
        handedness: the side that the crop was looked at as; None for that of the crop.
        clarity: 0 to 1, how much the view says about the side.
        misfit: how badly a hand fits what was seen; None where none was fitted.
    """

    track_id: int
    keypoints_px: Array
    presence: float | None = None
    right: float | None = None
    handedness: Handedness | None = None
    clarity: float = 1.0
    misfit: float | None = None


class TrackState(Enum):
    """FOLLOWED gives crops; DOUBTFUL waits for the next search; LOST is remembered for a while."""

    FOLLOWED = auto()
    DOUBTFUL = auto()
    LOST = auto()


@dataclass(eq=False)  # a track is itself, whatever it holds
class Track:
    """A hand that is or was followed.

    Attributes:
        track_id: its number.
        handedness: constant for a number.
        score: of the latest view: the network's presence, or the detector's score.
        keypoints_px: (21, 2) latest image keypoints.
        votes: summed log-odds of "right".
        began_ns: when it was found first.
        confirmed_ns: when a detector or a presence score last said that this is a hand.
        accepted_ns: when the network last saw it; None before the first time.
        side_known: whether its side rests on more than a detection.
        misfit: of the latest view, see `Observation`.
    """

    track_id: int
    handedness: Handedness
    score: float
    keypoints_px: Array
    votes: float
    began_ns: int
    confirmed_ns: int
    accepted_ns: int | None = None
    state: TrackState = TrackState.FOLLOWED
    side_known: bool = False
    misfit: float | None = None

    @classmethod
    def begin(cls, track_id: int, detection: Detection, stamp_ns: int, votes: float = 0.0) -> Track:
        """A new track on a detection; `votes` are those of a hand that it very likely is."""
        side_known = votes != 0
        votes += _vote(right_score(detection))
        return cls(
            track_id=track_id,
            handedness="right" if votes > 0 or (votes == 0 and detection.handedness == "right") else "left",
            score=detection.score,
            keypoints_px=detection.keypoints_px,
            votes=votes,
            began_ns=stamp_ns,
            confirmed_ns=stamp_ns,
            side_known=side_known,
        )

    def crop(self, factor: float = HALF_SIZE_FACTOR) -> HandCrop:
        """Where to look for this hand."""
        return crop_from_keypoints(self.keypoints_px, self.handedness, self.score, self.track_id, factor)

    def renew(self, detection: Detection, stamp_ns: int) -> None:
        """Follow on from a detection of this hand."""
        self.keypoints_px = detection.keypoints_px
        self.score = detection.score
        self.confirmed_ns = stamp_ns
        self.state = TrackState.FOLLOWED
        self._add_vote(right_score(detection))

    def accept(self, observation: Observation, stamp_ns: int) -> None:
        """Follow on from what the network saw."""
        self.keypoints_px = observation.keypoints_px
        self.misfit = observation.misfit
        self.accepted_ns = stamp_ns
        if not self.side_known and observation.handedness not in (None, self.handedness):
            self.handedness = observation.handedness
            self.votes = LARGEST_VOTE if self.handedness == "right" else -LARGEST_VOTE
        self.side_known = True
        if observation.presence is not None:
            self.score = observation.presence
            self.confirmed_ns = stamp_ns
        if observation.right is not None:
            self._add_vote(observation.right, observation.clarity)

    def believes(self, keypoints_px: Array, width: int, height: int, least_visible: float) -> bool:
        """Whether these can be the hand's keypoints in the next frame: finite, in the image, no jump, of like size."""
        if not np.isfinite(keypoints_px).all():
            return False
        last = self.crop()
        new = crop_from_keypoints(keypoints_px, self.handedness, self.score)
        step = float(np.linalg.norm(new.center_px - last.center_px)) / last.half_size_px
        growth = new.half_size_px / last.half_size_px
        return (
            step <= LARGEST_STEP
            and 1 / LARGEST_GROWTH <= growth <= LARGEST_GROWTH
            and visible_fraction(new, width, height) >= least_visible
        )

    @property
    def outvoted(self) -> bool:
        """Whether the views speak clearly for the other hand."""
        return self.votes * (1 if self.handedness == "right" else -1) < -VOTES_TO_TURN

    @property
    def misnamed(self) -> bool:
        """Whether the votes speak for the other hand at all."""
        return self.votes * (1 if self.handedness == "right" else -1) < 0

    def fits_worse(self, other: Track, times: float) -> bool:
        """Whether its latest view fits a hand so many times worse than the other's."""
        return self.misfit is not None and other.misfit is not None and self.misfit > times * other.misfit

    def inherit(self, lost: Track) -> None:
        """Take over the votes of a hand that this one very likely is."""
        self.votes = max(-LARGEST_SUM, min(LARGEST_SUM, self.votes + lost.take_votes()))

    def take_votes(self) -> float:
        """What counts of the votes of a hand that was lost, for the one that it very likely is; none are left."""
        votes, self.votes = max(-LARGEST_MEMORY, min(LARGEST_MEMORY, self.votes)), 0.0
        return votes

    def turn(self, track_id: int) -> None:
        """Go on as the other hand, under a new number."""
        self.track_id = track_id
        self.handedness = "left" if self.handedness == "right" else "right"

    def _add_vote(self, right: float, clarity: float = 1.0) -> None:
        self.votes = max(-LARGEST_SUM, min(LARGEST_SUM, self.votes + clarity * _vote(right)))


def keypoint_distance(a_px: Array, b_px: Array) -> float:
    """Mean distance of two hands' keypoints (21, 2), in halves of the longer side of the larger hand's box."""
    size = max(float(np.ptp(keypoints, axis=0).max()) for keypoints in (a_px, b_px))
    return float(np.linalg.norm(a_px - b_px, axis=1).mean()) / max(size / 2, 1.0)


def right_score(detection: Detection) -> float:
    """How sure the detector is of a right hand, 0 to 1."""
    return detection.score if detection.handedness == "right" else 1 - detection.score


def _vote(right: float) -> float:
    if not 0 < right < 1:
        return math.copysign(LARGEST_VOTE, right - 0.5) if right == right else 0.0
    return max(-LARGEST_VOTE, min(LARGEST_VOTE, math.log(right / (1 - right))))
