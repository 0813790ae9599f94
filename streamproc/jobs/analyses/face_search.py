"""Face search: the people of a clip, each with an Index, and the faces of a collection they have.

Knows Rekognition's answer; who is who is decided by face_tracks, whose face it is by identify.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from streamproc.jobs.face_tracks import FaceTracker
from streamproc.jobs.identify import Candidate, identify
from streamproc.jobs.people import Person
from streamproc.jobs.ports import FaceLibrary, Outcome, Vision
from streamproc.model.face import Embedding, Face, Match
from streamproc.model.job import Group, Item, JobSpec
from streamproc.model.members import face_detail, face_match
from streamproc.model.video import VideoFrame

MATCHES_MAX = 80
"""Faces of a collection listed for one person, the best; SearchFaces lists as many by default."""

ONCE_CONFIDENCE_MIN = 60.0
"""Whoever was seen in one frame only is listed if the detector was this sure of a face there.
It is what IndexFaces demands by default."""


class FaceSearch:
    """Lists everybody, also those whom nothing matches, with FaceMatches [].

    Confidence of an item is that of its face.
    """

    model_version = ""

    def __init__(
        self,
        spec: JobSpec,
        vision: Vision,
        library: FaceLibrary,
        fps: float,
        cosine: Callable[[float], float],
    ) -> None:
        """cosine: of a Similarity, by the engine behind vision."""
        self.fps = fps
        self._spec = spec
        self._vision = vision
        self._library = library
        self._tracker = FaceTracker.calibrated(cosine)
        self._usable = False
        self._threshold = float(spec.parameters["FaceMatchThreshold"])

    async def look(self, frame: VideoFrame) -> list[Face]:
        """Raises CollectionNotFound or ModelMismatch from the first face on, not only when the
        whole video has been looked at."""
        faces = await self._vision.faces(frame.image)
        if not self._usable:
            for face in faces[:1]:
                if face.embedding is not None:
                    await self._search(face.embedding, 100.0)
                    self._usable = True
        return faces

    def add(self, timestamp_ms: int, seen: Sequence[Face]) -> Iterable[Item]:
        for face, track in zip(seen, self._tracker.add(timestamp_ms, seen), strict=True):
            body = {"Person": {"Face": face_detail(face)}}
            yield Item(timestamp_ms, body, group=track, confidence=face.confidence)

    async def finish(self) -> Outcome:
        """Raises CollectionNotFound or ModelMismatch."""
        people = self._tracker.finish()
        listed = [person for person in people if is_listed(person)]
        found = await identify(listed, self._search, self._threshold)
        groups = [
            Group(track, _body(index, matches), sort_key=f"{index:08d}")
            for index, (person, matches) in enumerate(zip(listed, found, strict=True))
            for track in person.tracks
        ]
        groups += [
            Group(track, None)
            for person in people
            if not is_listed(person)
            for track in person.tracks
        ]
        return Outcome(groups=groups)

    async def _search(self, embedding: Embedding, threshold: float) -> list[Candidate[Match]]:
        matches = await self._library.search(
            self._spec.region,
            self._spec.parameters["CollectionId"],
            embedding,
            threshold=threshold,
            limit=MATCHES_MAX,
        )
        return [Candidate(match.face.face_id, match.similarity, match) for match in matches]


def is_listed(person: Person) -> bool:
    return person.frames > 1 or person.confidence >= ONCE_CONFIDENCE_MIN


def _body(index: int, matches: Sequence[Candidate[Match]]) -> dict[str, Any]:
    return {
        "Person": {"Index": index},
        "FaceMatches": [face_match(candidate.what) for candidate in matches[:MATCHES_MAX]],
    }
