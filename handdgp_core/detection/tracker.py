"""Follows hands from frame to frame, so that the costly search of the whole image seldom runs.

One frame is two calls: `crops` says where to look (and searches the image where it must), the network runs on the
crops, `update` hears what it saw. Nothing here knows the network, the camera or the window.

Policy
- A *followed* hand needs no search: its next crop comes from its last keypoints.
- A hand becomes *doubtful* when the network sees no hand in its crop (presence below `keep_presence`), when the
  keypoints leave the image, jump or change size abruptly, or when nothing has confirmed it for `confirm_s` (a network
  without a presence score). The next frame then searches: a detection at its place makes it followed again, else it is
  *lost*.
- What a search of the whole image misses gets a second look (`looks.py`): a doubtful hand at its last place, at once;
  and where there is room for another hand one look of the whole list in turn. The wait for the next one doubles from
  `second_look_s` while they find nothing, and begins anew when they do or a hand is lost. While a hand is followed they
  take frames without a search. After a reset the first image, which may be the only one, gets them all until one finds
  a hand.
- A lost hand gives no crop. Found again near its place within `remember_s`, it keeps its number; then it is forgotten.
  A new hand that the network rejects at first sight is forgotten at once.
- The image is searched when a hand is doubtful; when no hand is followed (every frame, and after `idle_after_s` in vain
  once in `idle_search_s`); and while fewer than `max_hands` are followed once in `look_again_s`, which doubles up to
  `look_again_max_s` while nothing new turns up. With all hands followed and none doubtful it never runs.
- A detection at a followed hand's place is that hand and starts no second track. Of two tracks that end up on one hand
  the older one stays; but one that fits what is seen much worse than the other was left behind by a hand that moved
  fast, and goes, from further away, too.
- A new hand begins with the votes on handedness of the hand that was lost nearest to it less than `side_memory_s` ago:
  it is most often the same one, and the other one outvotes them soon.
- Handedness is voted over time, views that show the hand clearly more than others, with a hysteresis, and is constant
  for a number. The first view of a new hand may still give it the other side. When the votes turn against it, the hand
  goes on as the other one under a new number, and the image is searched.
- When time runs backwards or jumps by more than `seek_s` (a seek, another recording), or the image's size changes, all
  is forgotten.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from handdgp_core.detection.crops import HALF_SIZE_FACTOR
from handdgp_core.detection.landmarker import Detection, HandFinder
from handdgp_core.detection.looks import Look, look_at_place, looks_at
from handdgp_core.detection.track import Observation, Track, TrackState, keypoint_distance
from handdgp_core.errors import UsageError
from handdgp_core.geometry.hand_crop import HandCrop

__all__ = ["HandTracker", "SearchCost", "TrackerOptions"]

NANOSECONDS = 1_000_000_000
# How far a detection may lie from where the hand was, in `keypoint_distance`.
DOUBTFUL_REACH = 1.0
LOST_REACH = 2.0
# A second look may see a known hand quite differently; only what lies a hand away is another one.
LOOK_REACH = 1.0


@dataclass(frozen=True)
class TrackerOptions:
    """What the tracker's policy hangs on.

    Attributes:
        max_hands: at most so many hands are followed.
        crop_factor: see `crop_from_keypoints`.
        keep_presence: below this presence (0 to 1) a hand is doubtful.
        look_again_s: first wait before looking for a further hand; doubles while nothing turns up.
        look_again_max_s: longest such wait.
        idle_after_s: after so long without any hand the search slows down...
        idle_search_s: ... to one in this time.
        second_look_s: first wait from one second look to the next; doubles while they find nothing.
        second_look_max_s: longest such wait while a hand is followed...
        second_look_idle_s: ... and while none is.
        remember_s: how long a lost hand keeps its number.
        side_memory_s: how long the votes of a hand that was forgotten are there for a new one.
        confirm_s: a hand whose network gives no presence is looked for this often.
        seek_s: a step in time longer than this, or backwards, starts afresh.
        least_visible: share of the crop (0 to 1) that must lie inside the image.
        same_detection: a detection within this `keypoint_distance` of a followed hand is that hand.
        same_track: two followed hands within this `keypoint_distance` are one...
        left_behind: ... and within this, where one fits what is seen `much_worse` times worse than the other.
    """

    max_hands: int = 2
    crop_factor: float = HALF_SIZE_FACTOR
    keep_presence: float = 0.5
    look_again_s: float = 0.25
    look_again_max_s: float = 1.0
    idle_after_s: float = 1.0
    idle_search_s: float = 0.1
    second_look_s: float = 0.2
    second_look_max_s: float = 3.2
    second_look_idle_s: float = 0.8
    remember_s: float = 0.5
    side_memory_s: float = 5.0
    confirm_s: float = 1.0
    seek_s: float = 1.0
    least_visible: float = 0.25
    same_detection: float = 0.5
    same_track: float = 0.25
    # Chosen on the bundled clip at 2 to 6 frames a second: pairs on one hand lie 0.25 to 0.66 apart, one fits 3 to 13
    # times worse. Its two real hands never come nearer than 1.
    left_behind: float = 0.75
    much_worse: float = 2.5


@dataclass
class SearchCost:
    """What searching whole images has cost so far.

    Attributes:
        frames: frames seen.
        runs: searches.
        looks: second looks that went with them.
        total_ms: time they took together.
        last_ms: time of the search in the latest frame; 0 where there was none.
    """

    frames: int = 0
    runs: int = 0
    looks: int = 0
    total_ms: float = 0.0
    last_ms: float = 0.0


class HandTracker:
    """Follows hands. Not thread-safe.

    Examples:
        >>> tracker = HandTracker(finder)
        >>> crops = tracker.crops(frame.image, frame.stamp_ns)
        >>> followed = tracker.update(observe(frame, crop) for crop in crops)

    Args:
        finder: searches whole images.
        options: the policy's numbers.

    Raises:
        UsageError: `max_hands` below 1.
    """

    def __init__(self, finder: HandFinder, options: TrackerOptions | None = None) -> None:
        self.options = options or TrackerOptions()
        if self.options.max_hands < 1:
            raise UsageError(f"max_hands must be 1 or more, not {self.options.max_hands}.")
        self.cost = SearchCost()
        self._finder = finder
        self._next_id = 0
        self.reset()

    def reset(self) -> None:
        """Forget every hand, as for another source or an unrelated image. Numbers are not used again."""
        self._tracks: list[Track] = []
        self._past: list[Track] = []  # forgotten hands whose votes on handedness still count
        self._now_ns: int | None = None
        self._size = (0, 0)  # width, height
        self._searched_ns: int | None = None
        self._looked_ns: int | None = None
        self._look_wait_s = self.options.second_look_s
        self._looks = 0  # second looks taken out of the list since then
        self._hand_ns: int | None = None  # when there last was a hand, or when the search for one began
        self._wait_s = self.options.look_again_s
        self._must_search = True

    def copy(self, finder: HandFinder) -> HandTracker:
        """A tracker that goes on from here by itself, searching with `finder`; it counts its cost with this one."""
        other = copy.copy(self)
        other._finder, other._tracks = finder, [replace(track) for track in self._tracks]
        return other

    def crops(self, image: NDArray[np.uint8], stamp_ns: int) -> list[HandCrop]:
        """Where to look for hands in this frame, oldest hand first.

        Args:
            image: (height, width, 3) uint8 RGB.
            stamp_ns: the frame's time.

        Raises:
            ShapeError: from the finder, for an image of another kind.
        """
        self._advance(stamp_ns, image.shape[1], image.shape[0])
        self.cost.frames += 1
        self.cost.last_ms = 0.0
        start = time.perf_counter()
        runs, looks = self.cost.runs, self.cost.looks
        if self._search_is_due(stamp_ns):
            found = self._search(image, stamp_ns)
        else:
            found = self._look_in_turn(image, stamp_ns, []) if self._followed() else []
        if (self.cost.runs, self.cost.looks) != (runs, looks):
            self.cost.last_ms = (time.perf_counter() - start) * 1e3
            self.cost.total_ms += self.cost.last_ms
            self._reconcile(found, stamp_ns)
        return [track.crop(self.options.crop_factor) for track in self._followed()]

    def remembers_side(self, track_id: int) -> bool:
        """Whether the side of this hand rests on more than the detection that it began with."""
        return any(track.side_known for track in self._tracks if track.track_id == track_id)

    def update(self, observations: Iterable[Observation]) -> set[int]:
        """Hear what the network saw in the crops of the latest frame; gives the numbers of the hands it believes in.

        A hand without an observation becomes doubtful; an observation of a hand that is not followed is ignored.
        """
        observed = {observation.track_id: observation for observation in observations}
        confirmed = {track.track_id for track in self._followed() if self._apply(track, observed.get(track.track_id))}
        doubles = self._doubles()
        self._forget([double for double, _ in doubles])
        confirmed &= {track.track_id for track in self._followed()}
        for double, kept in doubles:
            if double.began_ns < kept.began_ns:
                self._pass_on(double, kept)
        for track in self._followed():
            if track.outvoted:
                track.turn(self._new_id())  # the next frame has the new number; this one was still seen as the old
                self._must_search = True
        return confirmed

    def _followed(self) -> list[Track]:
        return [track for track in self._tracks if track.state is TrackState.FOLLOWED]

    def _forget(self, tracks: Sequence[Track]) -> None:
        self._tracks = [track for track in self._tracks if track not in tracks]

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    # Time

    def _advance(self, stamp_ns: int, width: int, height: int) -> None:
        if self._now_ns is not None:
            step_s = (stamp_ns - self._now_ns) / NANOSECONDS
            if not 0 <= step_s <= self.options.seek_s or self._size != (width, height):
                self.reset()
        self._now_ns = stamp_ns
        self._size = (width, height)

    # What the network saw

    def _apply(self, track: Track, observation: Observation | None) -> bool:
        assert self._now_ns is not None  # a followed track comes from `crops`
        if observation is not None and self._plausible(track, observation):
            if track.accepted_ns is None:
                self._wait_s = self.options.look_again_s
            track.accept(observation, self._now_ns)
            self._hand_ns = self._now_ns
            return True
        if track.accepted_ns is None:
            self._forget([track])
        else:
            track.state = TrackState.DOUBTFUL
        return False

    def _plausible(self, track: Track, observation: Observation) -> bool:
        present = observation.presence is None or observation.presence >= self.options.keep_presence
        return present and track.believes(observation.keypoints_px, *self._size, self.options.least_visible)

    def _doubles(self) -> list[tuple[Track, Track]]:
        """Followed hands that are another followed hand once more, each with the one that stays."""
        doubles: list[tuple[Track, Track]] = []
        for older, younger in combinations(self._followed(), 2):
            if not {older, younger} & {double for double, _ in doubles}:
                double = self._double_of(older, younger)
                doubles += [] if double is None else [(double, younger if double is older else older)]
        return doubles

    def _double_of(self, older: Track, younger: Track) -> Track | None:
        """The one of two that goes because both are the same hand."""
        distance = keypoint_distance(older.keypoints_px, younger.keypoints_px)
        for one, other in ((older, younger), (younger, older)):
            if distance < self.options.left_behind and one.fits_worse(other, self.options.much_worse):
                return one
        return younger if distance < self.options.same_track else None

    # Searching

    def _search_is_due(self, stamp_ns: int) -> bool:
        options = self.options
        for track in self._followed():
            if _seconds(track.confirmed_ns, stamp_ns) > options.confirm_s:
                track.state = TrackState.DOUBTFUL
        if self._must_search or any(track.state is TrackState.DOUBTFUL for track in self._tracks):
            return True
        if self._followed():
            wait_s = self._wait_s if len(self._followed()) < options.max_hands else math.inf
        else:
            wait_s = options.idle_search_s if _seconds(self._hand_ns, stamp_ns) > options.idle_after_s else 0.0
        return _seconds(self._searched_ns, stamp_ns) >= wait_s

    def _search(self, image: NDArray[np.uint8], stamp_ns: int) -> list[Detection]:
        detections = self._finder.find(image)
        for look in self._doubtful_places(detections):
            self._look(image, look, detections)
        if not self._followed():
            self._look_in_turn(image, stamp_ns, detections)
        self.cost.runs += 1
        self._searched_ns = stamp_ns
        self._must_search = False
        self._hand_ns = stamp_ns if self._hand_ns is None else self._hand_ns
        self._wait_s = min(2 * self._wait_s, self.options.look_again_max_s)
        return detections

    def _doubtful_places(self, detections: Sequence[Detection]) -> list[Look]:
        """Where to look once more for doubtful hands that are not among `detections`."""
        places = [
            look_at_place(track.crop(self.options.crop_factor), *self._size)
            for track in self._tracks
            if track.state is TrackState.DOUBTFUL and not _near(track.keypoints_px, detections, DOUBTFUL_REACH)
        ]
        return [look for look in places if look is not None]

    def _look_in_turn(self, image: NDArray[np.uint8], stamp_ns: int, detections: list[Detection]) -> list[Detection]:
        """Add what the next of all second looks finds, where there is room for it; all of them at a first image."""
        longest_s = self.options.second_look_max_s if self._followed() else self.options.second_look_idle_s
        wait_s = min(self._look_wait_s, longest_s)
        if _seconds(self._looked_ns, stamp_ns) < wait_s or not self._room_for_more(detections):
            return detections
        self._look_wait_s = 2 * wait_s
        known, looks = len(detections), looks_at(*self._size)
        for _ in looks if self._looked_ns is None and not detections else looks[:1]:
            self._look(image, looks[self._looks % len(looks)], detections)
            self._looks += 1
            if len(detections) > known:
                self._look_wait_s = self.options.second_look_s
                break
        self._looked_ns = stamp_ns
        return detections

    def _room_for_more(self, detections: Sequence[Detection]) -> bool:
        """Whether fewer hands are known, those just found included, than are followed at most."""
        followed = self._followed()
        new = [one for one in detections if not _near(one.keypoints_px, followed, self.options.same_detection)]
        return len(followed) + len(new) < self.options.max_hands

    def _look(self, image: NDArray[np.uint8], look: Look, detections: list[Detection]) -> None:
        """Add what a second look finds well away from `detections` and from the hands that are followed."""
        self.cost.looks += 1
        for found in self._finder.find(image, look):
            if not _near(found.keypoints_px, [*detections, *self._followed()], LOOK_REACH):
                detections.append(found)

    def _reconcile(self, detections: Sequence[Detection], stamp_ns: int) -> None:
        """Join what was found to what is known: confirm the followed, renew the doubtful and lost, begin the new."""
        free = list(detections)
        for track in self._followed():
            _take(free, track, self.options.same_detection)
        for track in [track for track in self._tracks if track.state is TrackState.DOUBTFUL]:
            detection = _take(free, track, DOUBTFUL_REACH)
            if detection is None:
                track.state = TrackState.LOST
                self._look_wait_s = self.options.second_look_s
                self._hand_over_votes(track)
            else:
                track.renew(detection, stamp_ns)
        gone = [track for track in self._lost() if not self._remembers(track, stamp_ns)]
        self._forget(gone)
        self._past = [track for track in self._past + gone if self._votes_count(track, stamp_ns)]
        for track in self._lost():
            detection = _take(free, track, LOST_REACH, same_handedness=True)
            if detection is not None and len(self._followed()) < self.options.max_hands:
                track.renew(detection, stamp_ns)
        for detection in free:
            self._begin(detection, stamp_ns)

    def _hand_over_votes(self, lost: Track) -> None:
        """A hand that jumped is found as a new one before the old place is given up: its votes go with it."""
        heirs = [
            track for track in self._followed() if lost.accepted_ns is not None and track.began_ns > lost.accepted_ns
        ]
        if not heirs:
            return
        self._pass_on(lost, min(heirs, key=lambda track: keypoint_distance(track.keypoints_px, lost.keypoints_px)))

    def _pass_on(self, lost: Track, heir: Track) -> None:
        heir.inherit(lost)
        if heir.misnamed:
            heir.turn(self._new_id())

    def _begin(self, detection: Detection, stamp_ns: int) -> None:
        followed = self._followed()
        known = _near(detection.keypoints_px, followed, self.options.same_detection)
        if not known and len(followed) < self.options.max_hands:
            self._tracks.append(Track.begin(self._new_id(), detection, stamp_ns, self._past_votes(detection)))

    def _past_votes(self, detection: Detection) -> float:
        """Take the votes of the hand that was lost nearest to a new one, as many as may soon be outvoted."""
        lost = self._past + [track for track in self._lost() if track.votes]
        if not lost:
            return 0.0
        nearest = min(lost, key=lambda track: keypoint_distance(detection.keypoints_px, track.keypoints_px))
        self._past = [track for track in self._past if track is not nearest]
        return nearest.take_votes()

    def _lost(self) -> list[Track]:
        return [track for track in self._tracks if track.state is TrackState.LOST]

    def _votes_count(self, track: Track, stamp_ns: int) -> bool:
        return _seconds(track.accepted_ns, stamp_ns) <= self.options.side_memory_s

    def _remembers(self, track: Track, stamp_ns: int) -> bool:
        return _seconds(track.accepted_ns, stamp_ns) <= self.options.remember_s


def _seconds(from_ns: int | None, to_ns: int) -> float:
    """Seconds between two times; infinite where the first never was."""
    return math.inf if from_ns is None else (to_ns - from_ns) / NANOSECONDS


def _near(keypoints_px: NDArray[np.float64], hands: Iterable[Track | Detection], reach: float) -> bool:
    return any(keypoint_distance(keypoints_px, hand.keypoints_px) < reach for hand in hands)


def _take(free: list[Detection], track: Track, reach: float, same_handedness: bool = False) -> Detection | None:
    """Take the nearest detection within reach of the track's last place out of `free`."""
    candidates = [
        (keypoint_distance(detection.keypoints_px, track.keypoints_px), number)
        for number, detection in enumerate(free)
        if not same_handedness or detection.handedness == track.handedness
    ]
    distance, number = min(candidates, default=(math.inf, -1))
    return free.pop(number) if distance < reach else None
