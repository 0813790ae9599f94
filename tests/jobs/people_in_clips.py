"""People for tests of face tracks, search and celebrities: painted, or written by hand."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from streamproc.engines.base import FaceEngine
from streamproc.engines.fake import PERSONS, FakeEngine
from streamproc.jobs.merge import merged
from streamproc.jobs.ports import Analysis
from streamproc.model.face import BoundingBox, Embedding, Face, IndexedFace, Match, Pose, Quality
from streamproc.model.job import Item, JobKind, JobSpec
from streamproc.model.media import Image
from streamproc.model.person import Celebrity, Recognised
from streamproc.model.video import ObjectRef, VideoFrame
from tests.jobs.blind_vision import BlindVision

REGION = "eu-west-1"
SIDE = 0.1  # of a face, in the picture


def cosine(similarity: float) -> float:
    """A pack of which strangers are at 0, doubtful at 0.3 and hardly ever at 0.5."""
    return float(np.interp(similarity, (0, 80, 99, 100), (-1.0, 0.3, 0.5, 1.0)))


def similarity(cosine: float) -> float:
    return float(np.interp(cosine, (-1.0, 0.3, 0.5, 1.0), (0, 80, 99, 100)))


def looks(**parts: float) -> Embedding:
    """A unit vector: so much of each person, a to p. looks(a=1, b=1) is half way between."""
    vector = np.zeros(PERSONS, np.float32)
    for letter, part in parts.items():
        vector[ord(letter) - ord("a")] = part
    return vector / np.float32(np.linalg.norm(vector))


def face(
    left: float,
    embedding: Embedding | None,
    *,
    top: float = 0.4,
    confidence: float = 90.0,
    yaw: float = 0.0,
    sharpness: float = 40.0,
) -> Face:
    """A face of SIDE; left and top in ratios of the picture."""
    return Face(
        BoundingBox(left, top, SIDE, SIDE),
        confidence,
        pose=Pose(0.0, 0.0, yaw),
        quality=Quality(50.0, sharpness),
        embedding=embedding,
    )


def painted(*people: tuple[int, int, int]) -> Image:
    """320 × 240; person, left and top in pixels of each square of 40."""
    image = np.full((240, 320, 3), 90, np.uint8)
    for person, left, top in people:
        FakeEngine.paint(image, person, left, top, 40)
    return image


@dataclass
class EngineVision(BlindVision):
    """The Vision port on an engine, for faces only."""

    engine: FaceEngine = field(default_factory=FakeEngine)

    async def faces(
        self, image: Image, *, attributes: bool = False, embeddings: bool = True
    ) -> list[Face]:
        return self.engine.analyse([image], attributes=attributes, embeddings=embeddings)[0]


@dataclass
class StubLibrary:
    """A collection of painted people by face id, some of whom are celebrities."""

    enrolled: dict[str, Embedding] = field(default_factory=dict)
    celebrities: dict[str, tuple[Celebrity, Embedding]] = field(default_factory=dict)
    failure: Exception | None = None
    searches: list[float] = field(default_factory=list)  # the threshold of each

    async def search(
        self,
        region: str,
        collection_id: str,
        embedding: Embedding,
        *,
        threshold: float,
        limit: int,
    ) -> Sequence[Match]:
        assert (region, collection_id) == (REGION, "team")
        if self.failure is not None:
            raise self.failure
        self.searches.append(threshold)
        found = [
            Match(indexed(face_id), similarity(float(embedding @ other)))
            for face_id, other in self.enrolled.items()
        ]
        return _best_first([match for match in found if match.similarity >= threshold])[:limit]

    async def recognise(
        self, region: str, embedding: Embedding, *, threshold: float
    ) -> Sequence[Recognised]:
        assert region == REGION
        found = [
            Recognised(celebrity, similarity(float(embedding @ other)))
            for celebrity, other in self.celebrities.values()
        ]
        return _best_first([one for one in found if one.similarity >= threshold])

    async def has_celebrities(self, region: str) -> bool:
        assert region == REGION
        return bool(self.celebrities)


def _best_first(found: Sequence[Any]) -> list[Any]:
    return sorted(found, key=lambda one: -one.similarity)


def indexed(face_id: str) -> IndexedFace:
    return IndexedFace(face_id, "an-image", face_id, BoundingBox(0.1, 0.2, 0.3, 0.4), 99.0, "1.16")


def spec(kind: JobKind, **parameters: Any) -> JobSpec:
    return JobSpec(REGION, kind, ObjectRef("films", "clip.mp4"), parameters)


async def answers(
    analysis: Analysis[Any], frames: Iterable[VideoFrame]
) -> list[tuple[int, dict[str, Any], str]]:
    """Timestamp, body and sort key of what Get would list; in the order of frames."""
    items: list[Item] = []
    async for timestamp_ms, seen in _seen(analysis, frames):
        items.extend(analysis.add(timestamp_ms, seen))
    outcome = await analysis.finish()
    groups = {group.number: group for group in outcome.groups}
    assert len(groups) == len(outcome.groups), "one group was judged twice"
    listed = []
    for item in items:
        assert item.group is not None
        group = groups[item.group]
        if group.body is not None:
            listed.append((item.timestamp_ms, merged(item.body, group.body), group.sort_key))
    return listed


async def _seen(
    analysis: Analysis[Any], frames: Iterable[VideoFrame]
) -> AsyncIterator[tuple[int, Any]]:
    """Three frames are looked at together, as a job does."""
    waiting: list[VideoFrame] = []
    for frame in frames:
        waiting.append(frame)
        if len(waiting) == 3:
            for one, seen in await _look(analysis, waiting):
                yield one.timestamp_ms, seen
            waiting = []
    for one, seen in await _look(analysis, waiting):
        yield one.timestamp_ms, seen


async def _look(
    analysis: Analysis[Any], frames: Sequence[VideoFrame]
) -> list[tuple[VideoFrame, Any]]:
    seen = await asyncio.gather(*(analysis.look(frame) for frame in frames))
    return list(zip(frames, seen, strict=True))


def at_fps(images: Iterable[Image], fps: float = 5.0) -> Iterable[VideoFrame]:
    return (VideoFrame(int(i * 1000 / fps), image) for i, image in enumerate(images))
