"""Persons through a video: which one of this frame is which of the frames before.

Knows boxes and time; knows nothing of pixels, so somebody who comes back after more than
FORGOTTEN_S is a new person. The tracking itself is ByteTrack (Zhang et al., 2022) from the library
`trackers`: a constant velocity for each person, boxes assigned by overlap, sure ones first. Ours
are the numbers, who counts as a person, and that somebody who was lost is known again where they
stood. Bounded: what is kept is of those in sight, and one number for everybody else.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from streamproc.model.detection import Detection
from streamproc.model.face import BoundingBox, Edges, Face, overlap

# The figures below were chosen on three recordings sampled at 1 to 25 frames per second, and on
# one of them with detections taken out for up to 1.6 s while people walk.

SURE = 50.0
"""Confidence from which on a detection may be the first of a person."""

UNSURE = 20.0
"""Confidence from which on it may continue one: people are cut by the edge of the picture as they
leave, and then the detector is seldom surer than 40. What is less sure is better left out."""

FORGOTTEN_S = 2.0
"""How long a person may be out of sight and be known again."""

SEEN_S = 0.5
"""A person is seen in as many frames as this much time has on the average of the video; less is a
whim of the detector."""

_REACH = 0.3
"""Boxes are compared with this part of their sides added all around (buffered IoU, Yang et al.,
2023): at a few frames per second, people who walk leave the place where they are expected."""

_OVERLAP_MIN = 0.1  # intersection over union with where a person is expected; ByteTrack's own

_SAME_PLACE = 0.3
"""The same, without the reach, with where a person was lost. Who stops out of sight is not where
they are expected, but where they were."""

_UNITS = 1000.0
"""Boxes are tracked in thousandths of the picture: the library's noise is made for numbers of the
size of pixels, and like this it is the same for every resolution."""

_NEW = -1  # what the library calls a track that it has not numbered


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """Somebody in one frame."""

    body: Detection
    face: Face | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    timestamp_ms: int
    track: int  # who; counts up with first appearances, with gaps
    person: Person


@dataclass(slots=True)
class _Track:
    box: Edges  # where they were seen last, in _UNITS
    held: list[Sighting] | None = field(default_factory=list)
    """What was seen before that was enough to call it a person; None from then on."""


class PersonTracker:
    """The persons of one video. Frames come in their order."""

    def __init__(self, fps: float) -> None:
        """fps: frames per second that will come at most. The first tracker of a process loads the
        library, which takes two seconds: make it on a thread."""
        from supervision import Detections
        from trackers import BIoU, ByteTrackTracker

        self._detections = Detections
        self._library = ByteTrackTracker(
            lost_track_buffer=round(FORGOTTEN_S * 30),  # it counts in thirtieths of a second
            frame_rate=fps,
            track_activation_threshold=SURE / 100,
            high_conf_det_threshold=SURE / 100,
            minimum_consecutive_frames=1,
            minimum_iou_threshold=_OVERLAP_MIN,
            iou=BIoU(_REACH),
        )
        self._fps = fps
        self._tracks: dict[int, _Track] = {}  # of those in sight, or not forgotten yet
        self._listed: list[int] = []
        self._numbers = 0
        self._frames = 0
        self._began_s = math.inf
        self._now_s = -math.inf

    def add(self, timestamp_ms: int, persons: Sequence[Person]) -> list[Sighting]:
        """What can be said now: the first sightings of a person are told once they are enough."""
        self._frames += 1
        boxes = _edges([person.body.box for person in persons])
        told: list[Sighting] = []
        numbers = self._follow(timestamp_ms, persons, boxes)
        enough = self._enough()
        for at, number in numbers:
            box = tuple(boxes[at].tolist())
            track = self._tracks.setdefault(number, _Track(box))
            track.box = box
            sighting = Sighting(timestamp_ms, number, persons[at])
            if track.held is None:
                told.append(sighting)
                continue
            track.held.append(sighting)
            if len(track.held) >= enough:
                told += self._list(number)
        remembered = {tracklet.tracker_id for tracklet in self._library.tracks}
        for number in self._tracks.keys() - remembered:
            del self._tracks[number]
        return told

    def finish(self) -> tuple[list[Sighting], dict[int, int]]:
        """The last sightings, and the Index of every track that was ever told of: from 0, in
        the order of first appearance. In a video of fewer frames than are enough for a person,
        everybody counts."""
        told: list[Sighting] = []
        if self._frames < math.ceil(SEEN_S * self._fps):
            for number in sorted(self._tracks):
                if self._tracks[number].held is not None:
                    told += self._list(number)
        return told, {number: index for index, number in enumerate(sorted(self._listed))}

    def _enough(self) -> int:
        """Sightings that make a person."""
        seconds = self._now_s - self._began_s
        fps = min(self._fps, (self._frames - 1) / seconds) if seconds > 0 else self._fps
        return math.ceil(SEEN_S * fps)

    def _list(self, number: int) -> list[Sighting]:
        track = self._tracks[number]
        held, track.held = track.held or [], None
        self._listed.append(number)
        return held

    def _follow(
        self, timestamp_ms: int, persons: Sequence[Person], boxes: NDArray[np.float64]
    ) -> list[tuple[int, int]]:
        """Which of the persons has which number; not everybody has one."""
        # Time that stands still is a mistake to the library, of which it warns.
        self._now_s = max(timestamp_ms / 1000, self._now_s + 0.001)
        self._began_s = min(self._began_s, self._now_s)
        found = self._detections(
            xyxy=boxes,
            confidence=np.array([person.body.confidence / 100 for person in persons]),
            data={"at": np.arange(len(persons))},  # it gives them back in an order of its own
        )
        seen = self._library.update(found, timestamp=self._now_s)
        tracked = () if seen.tracker_id is None else seen.tracker_id
        pairs = zip(seen.data.get("at", ()), tracked, strict=True)
        numbers = {int(at): int(number) for at, number in pairs if number != _NEW}
        # The library numbers a track when it is seen again; we do when it begins, so that the
        # first sighting counts, and what the library finds numbered it leaves as it is.
        for tracklet in list(self._library.tracks):
            if tracklet.tracker_id == _NEW:
                at = int(np.abs(boxes - tracklet.get_state_bbox()).sum(axis=1).argmin())
                tracklet.tracker_id = numbers[at] = self._number(
                    tuple(boxes[at].tolist()), numbers.values()
                )
        return sorted(numbers.items())

    def _number(self, box: Edges, in_sight: Collection[int]) -> int:
        """That of somebody who was lost at this place, who then is lost no more; or a new one."""
        lost = {
            n: overlap(track.box, box) for n, track in self._tracks.items() if n not in in_sight
        }
        number = max(lost, key=lost.__getitem__, default=_NEW)
        if number == _NEW or lost[number] < _SAME_PLACE:
            self._numbers += 1
            return self._numbers
        tracks = self._library.tracks
        self._library.tracks = [one for one in tracks if one.tracker_id != number]
        return number


def _edges(boxes: Sequence[BoundingBox]) -> NDArray[np.float64]:
    """Left, top, right and bottom, shape (boxes, 4)."""
    edges = [(box.left, box.top, box.left + box.width, box.top + box.height) for box in boxes]
    return np.array(edges, np.float64).reshape(-1, 4) * _UNITS
