"""A labelled clip: real faces that come, turn, are covered, cross, leave and come back.

Rendered frame by frame, so that it is known who is where; looked at by a real engine and a real
collection, as a processor does.
"""

import itertools
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from streamproc.clock import SystemClock
from streamproc.collection.service import CollectionService
from streamproc.engines.base import FaceEngine
from streamproc.engines.live import LiveView
from streamproc.events.visits import Change, VisitPolicy, Visits
from streamproc.model.event import EventKind
from streamproc.model.image_id import image_id_of
from streamproc.model.media import Image

REGION, ACCOUNT, COLLECTION = "us-east-1", "000000000000", "people"
WIDTH, HEIGHT = 960, 540
BEGIN_S = 1_700_000_000.0


@dataclass(frozen=True, slots=True)
class Way:
    """Somebody in view: from where to where, in ratios of the picture; in each pose the time from
    which it is taken. The last part of a second before another pose they turn to the side."""

    who: str
    start_s: float
    end_s: float
    from_x: float
    to_x: float
    y: float = 0.5
    poses: tuple[tuple[float, int], ...] = ((0.0, 0),)
    side: int = 250  # pixels of the portrait; the face is less than half

    def pose(self, time_s: float) -> tuple[int, float]:
        """Which picture, and how far it is turned: 1 is frontal."""
        current = [pose for since, pose in self.poses if since <= time_s][-1]
        to_turn = [abs(since - time_s) for since, _ in self.poses[1:]]
        near = min(to_turn, default=9.0)
        return current, min(0.35 + near / 0.9, 1.0)


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that covers faces in its way."""

    start_s: float
    end_s: float
    from_x: float
    to_x: float
    width: float = 0.3


@dataclass(frozen=True, slots=True)
class Clip:
    duration_s: float
    ways: tuple[Way, ...]
    bars: tuple[Bar, ...] = ()

    def frames(
        self, portraits: Mapping[str, Sequence[Image]], fps: float = 5.0
    ) -> Iterator[tuple[float, Image]]:
        for number in range(round(self.duration_s * fps)):
            yield number / fps, self.picture(number / fps, portraits)

    def picture(self, time_s: float, portraits: Mapping[str, Sequence[Image]]) -> Image:
        canvas = _wall().copy()
        for way in self.ways:
            if way.start_s <= time_s < way.end_s:
                part = (time_s - way.start_s) / (way.end_s - way.start_s)
                x = way.from_x + (way.to_x - way.from_x) * part
                pose, turned = way.pose(time_s)
                _paste(canvas, portraits[way.who][pose], x, way.y, way.side, turned)
        for bar in self.bars:
            if bar.start_s <= time_s < bar.end_s:
                part = (time_s - bar.start_s) / (bar.end_s - bar.start_s)
                left = bar.from_x + (bar.to_x - bar.from_x) * part - bar.width / 2
                edges = round(left * WIDTH), round((left + bar.width) * WIDTH)
                canvas[:, max(edges[0], 0) : max(edges[1], 0)] = (90, 60, 40)
        noise = _noise()[round(time_s * 25) % len(_noise())]
        return np.asarray(cv2.subtract(cv2.add(canvas, noise), _NOISE_MEAN), np.uint8)


_NOISE_MEAN = np.full((HEIGHT, WIDTH, 3), 9, np.uint8)


@cache
def _noise() -> list[Image]:
    """A camera's, around _NOISE_MEAN."""
    roll = np.random.default_rng(7)
    return [roll.normal(9, 3, _NOISE_MEAN.shape).clip(0, 18).astype(np.uint8) for _ in range(7)]


@cache
def _wall() -> Image:
    rows = np.linspace(120, 60, HEIGHT).astype(np.uint8)
    return np.repeat(np.repeat(rows[:, None, None], WIDTH, axis=1), 3, axis=2)


def _paste(canvas: Image, portrait: Image, x: float, y: float, side: int, turned: float) -> None:
    """turned: the width that is left of the face; it is blurred as it turns."""
    width = max(round(side * turned), 8)
    patch = cv2.resize(portrait, (width, side), interpolation=cv2.INTER_AREA)
    mask = np.zeros((side, width), np.float32)
    cv2.ellipse(
        mask, (width // 2, side // 2), (int(width * 0.42), int(side * 0.47)), 0, 0, 360, 1, -1
    )
    if turned < 1.0:
        patch = cv2.GaussianBlur(patch, (0, 0), 0.5 + 4.0 * (1.0 - turned))
    left, top = round(x * WIDTH) - width // 2, round(y * HEIGHT) - side // 2
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + width, WIDTH), min(top + side, HEIGHT)
    if x1 <= x0 or y1 <= y0:
        return
    cut = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
    alpha = mask[cut][..., None]
    part = canvas[y0:y1, x0:x1]
    part[:] = (patch[cut] * alpha + part * (1 - alpha)).astype(np.uint8)


@dataclass(slots=True)
class Watched:
    """What was told, in seconds of the clip."""

    told: list[Change] = field(default_factory=list)

    def visits(self) -> list[tuple[str, float, float | None]]:
        """Who, from their enter to their exit, under the name they left with."""
        by_id: dict[str, list[Change]] = {}
        for change in self.told:
            by_id.setdefault(change.body["VisitId"], []).append(change)
        found = []
        for changes in by_id.values():
            assert [one.kind for one in changes].count(EventKind.ENTER) == 1
            left = [one.at - BEGIN_S for one in changes if one.kind is EventKind.EXIT]
            name = changes[-1].body["Person"]["Name"]
            found.append((name, changes[0].at - BEGIN_S, left[0] if left else None))
        return sorted(found, key=lambda visit: visit[1])


@asynccontextmanager
async def collection_of(
    engine: FaceEngine, folder: Path, enrolled: Mapping[str, Image]
) -> AsyncIterator[CollectionService]:
    service = await CollectionService.open(
        folder / "collections.db", engine.info, engine.similarity, engine.cosine, ACCOUNT,
        SystemClock(),
    )  # fmt: skip
    await service.create(REGION, COLLECTION)
    for name, picture in enrolled.items():
        [face, *_] = engine.analyse([picture])[0]
        digest = image_id_of(name, name)
        await service.add_faces(REGION, COLLECTION, digest, name, [face])
    try:
        yield service
    finally:
        await service.aclose()


async def watch(
    engine: FaceEngine,
    collections: CollectionService,
    frames: Iterator[tuple[float, Image]],
    *,
    threshold: float = 90.0,
) -> Watched:
    """What is told of these frames."""
    numbers = itertools.count(1)
    visits = Visits(
        (REGION, "door"), VisitPolicy(), engine.similarity, lambda: f"visit-{next(numbers)}"
    )
    view, watched = LiveView(), Watched()
    for time_s, picture in frames:
        at = BEGIN_S + time_s
        faces = view.analyse(engine, picture, at)
        vectors = [face.embedding for face in faces if face.embedding is not None]
        found = await collections.search_all(REGION, COLLECTION, vectors, threshold=threshold)
        matches = iter(found)
        seen = [(face, next(matches) if face.embedding is not None else []) for face in faces]
        size = (picture.shape[1], picture.shape[0])
        watched.told += visits.saw(at, size, seen, COLLECTION)
    return watched
