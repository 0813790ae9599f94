"""Person tracking: everybody in a video, each with an Index that stays theirs, and with their face
where it is seen.

A person is a body that the object detector sees. A face belongs to the body that holds it. A face
without a body is left out: there is nothing to follow it by, and of 185 faces in photos and clips
of people it was one.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from streamproc.jobs.person_tracks import UNSURE, Person, PersonTracker, Sighting
from streamproc.jobs.ports import Outcome, Vision
from streamproc.model.detection import Detection
from streamproc.model.face import BoundingBox, Face
from streamproc.model.job import Group, Item, JobSpec
from streamproc.model.members import box_members, face_detail
from streamproc.model.video import VideoFrame

_HEAD = 0.6
"""The part of a body's box, from the top, that the centre of the face lies in: the eighth of
somebody who stands, and more than half of one who is cut off at the neck."""


class PersonTracking:
    """One video's, from the first frame to the last."""

    model_version = ""

    def __init__(
        self,
        spec: JobSpec,  # noqa: ARG002 (nothing of it matters here; every analysis has it)
        vision: Vision,
        fps: float,
    ) -> None:
        """Loads the tracker, which takes two seconds the first time: call on a thread."""
        self.fps = fps
        self._vision = vision
        self._tracker = PersonTracker(fps)

    async def look(self, frame: VideoFrame) -> list[Person]:
        objects, faces = await asyncio.gather(
            self._vision.objects(frame.image), self._vision.faces(frame.image, embeddings=False)
        )
        bodies = [one for one in objects if one.name == "person" and one.confidence >= UNSURE]
        return with_faces(bodies, faces)

    def add(self, timestamp_ms: int, seen: Sequence[Person]) -> Iterable[Item]:
        return [_item(sighting) for sighting in self._tracker.add(timestamp_ms, seen)]

    async def finish(self) -> Outcome:
        sightings, indices = self._tracker.finish()
        groups = [
            Group(track, {"Person": {"Index": index}}, sort_key=f"{index:08d}")
            for track, index in indices.items()
        ]
        return Outcome([_item(sighting) for sighting in sightings], groups)


def with_faces(bodies: Sequence[Detection], faces: Sequence[Face]) -> list[Person]:
    """Every body, and the face that it holds best; each face goes to one body at most."""
    fits = sorted(
        (distance, body, face)
        for body, detection in enumerate(bodies)
        for face, found in enumerate(faces)
        if (distance := _from_head(detection.box, found.box)) is not None
    )
    taken: dict[int, int] = {}  # body to face
    for _, body, face in fits:
        if body not in taken and face not in taken.values():
            taken[body] = face
    return [
        Person(detection, faces[taken[body]] if body in taken else None)
        for body, detection in enumerate(bodies)
    ]


def _from_head(body: BoundingBox, face: BoundingBox) -> float | None:
    """How far a face is from where the head of a body is, in parts of the body; None if its
    centre is not in the upper part at all."""
    x = (face.left + face.width / 2 - body.left) / body.width
    y = (face.top + face.height / 2 - body.top) / body.height
    if not (0 <= x <= 1 and 0 <= y <= _HEAD):
        return None
    return abs(x - 0.5) + abs(face.top - body.top) / body.height


def _item(sighting: Sighting) -> Item:
    person: dict[str, Any] = {"BoundingBox": box_members(sighting.person.body.box)}
    if sighting.person.face is not None:
        person["Face"] = face_detail(sighting.person.face)
    return Item(
        sighting.timestamp_ms,
        {"Person": person},
        group=sighting.track,
        confidence=sighting.person.body.confidence,
    )
