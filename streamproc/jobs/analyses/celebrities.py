"""Celebrity recognition: those people of a clip whom the operator has made known by name.

Knows Rekognition's answer; who is who is decided by face_tracks, whose face it is by identify.
"""

from collections.abc import Callable, Iterable, Sequence

from streamproc.errors import StreamprocError
from streamproc.jobs.face_tracks import FaceTracker
from streamproc.jobs.identify import Candidate, identify
from streamproc.jobs.ports import FaceLibrary, Outcome, Vision
from streamproc.model.face import Embedding, Face
from streamproc.model.job import Group, Item, JobSpec
from streamproc.model.members import celebrity_members, face_detail
from streamproc.model.person import Recognised
from streamproc.model.video import VideoFrame


class Celebrities:
    """Lists only who is recognised, each with the name that fits best.

    Celebrity.Confidence is the Similarity of the person, from all their frames, to the nearest
    photo: no probability (docs/similarity.md). There is no BoundingBox of a body: no body is
    looked for.
    """

    model_version = ""

    def __init__(
        self,
        spec: JobSpec,
        vision: Vision,
        library: FaceLibrary,
        fps: float,
        cosine: Callable[[float], float],
        similarity_min: float,
    ) -> None:
        """cosine: of a Similarity, by the engine behind vision; similarity_min: 0 to 100."""
        self.fps = fps
        self._region = spec.region
        self._vision = vision
        self._library = library
        self._tracker = FaceTracker.calibrated(cosine)
        self._similarity_min = similarity_min
        self._has_celebrities = False

    async def look(self, frame: VideoFrame) -> list[Face]:
        """Raises StreamprocError, with the remedy, if nobody is known at all: an empty list
        would read as if nobody known were in the video."""
        await self._require_celebrities()
        return await self._vision.faces(frame.image)

    def add(self, timestamp_ms: int, seen: Sequence[Face]) -> Iterable[Item]:
        for face, track in zip(seen, self._tracker.add(timestamp_ms, seen), strict=True):
            body = {"Celebrity": {"Face": face_detail(face)}}
            yield Item(timestamp_ms, body, group=track, confidence=face.confidence)

    async def finish(self) -> Outcome:
        """Raises StreamprocError as look() does, and ModelMismatch."""
        await self._require_celebrities()
        people = self._tracker.finish()
        found = await identify(people, self._recognise, self._similarity_min)
        return Outcome(
            groups=[
                _group(track, candidates[0].what if candidates else None)
                for person, candidates in zip(people, found, strict=True)
                for track in person.tracks
            ]
        )

    async def _require_celebrities(self) -> None:
        if self._has_celebrities:
            return
        if not await self._library.has_celebrities(self._region):
            raise StreamprocError(
                f"no collection in {self._region} has celebrities; describe some in "
                "collections/<id>/manifest.toml with celebrities = true and run: "
                "streamproc collections apply"
            )
        self._has_celebrities = True

    async def _recognise(
        self, embedding: Embedding, threshold: float
    ) -> list[Candidate[Recognised]]:
        recognised = await self._library.recognise(self._region, embedding, threshold=threshold)
        return [Candidate(one.celebrity.id, one.similarity, one) for one in recognised]


def _group(track: int, recognised: Recognised | None) -> Group:
    if recognised is None:
        return Group(track, None)
    celebrity = recognised.celebrity
    members = {
        "Id": celebrity.id,
        **celebrity_members(celebrity),
        "Confidence": recognised.similarity,
    }
    return Group(track, {"Celebrity": members}, sort_key=celebrity.id)
