"""What the house knows of an engine: pictures in, faces out, at once or step by step."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streamproc.model.engine import EngineInfo
from streamproc.model.face import Edges, Embedding, Face, overlap
from streamproc.model.media import Image

_SAME_FACE = 0.4  # intersection over union, as InsightFace's own suppression has it


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """A face where a detector sees it, in pixels of the picture it was found in."""

    box: Edges  # may reach beyond the picture where the face is cut
    confidence: float  # 0 to 100
    points: NDArray[np.float32] = field(repr=False)
    """Shape (5, 2), x then y: the landmarks that the engine aligns faces by, in its own order."""

    @property
    def area(self) -> float:
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)


class FaceEngine(Protocol):
    """Synchronous and safe to call from several threads at once."""

    @property
    def info(self) -> EngineInfo: ...

    def analyse(
        self, images: Sequence[Image], *, attributes: bool = False, embeddings: bool = True
    ) -> list[list[Face]]:
        """The faces of each picture, largest first, each with its embedding unless told not to.

        attributes asks for age, gender and traits too, where models can tell them. Who wants to
        compute less than that for a picture takes the steps below, of which this is made.
        """
        ...

    def find(self, image: Image, *, region: Edges | None = None) -> list[Sighting]:
        """The faces of a picture, largest first, in pixels of the picture.

        With a region, in pixels, only faces that touch it: seen at the scale of a whole look, and
        for the cost of a picture hardly larger than the region where the engine can. A region
        that lies within a large face must hold all of it, or the face may be missed.
        """
        ...

    @property
    def looks_at_regions(self) -> bool:
        """Whether find() costs less where it is given a region."""
        ...

    def crop(self, image: Image, sighting: Sighting) -> Image:
        """The face cut out upright, as embed() takes it; always of one shape."""
        ...

    def embed(self, crops: Sequence[Image]) -> list[Embedding]:
        """The embedding of each face cut out by crop(), all computed together."""
        ...

    def describe(
        self,
        image: Image,
        sighting: Sighting,
        embedding: Embedding | None,
        *,
        attributes: bool = False,
    ) -> Face:
        """What can be told of a face that was found in this picture; attributes as analyse()."""
        ...

    def similarity(self, cosine: float) -> float:
        """Calibrated 0 to 100: 50 is a false-match rate of 1e-2, 80 1e-3, 90 1e-4, 99 1e-6."""
        ...

    def cosine(self, similarity: float) -> float:
        """The inverse: the least cosine that reaches this similarity."""
        ...


def step_by_step(
    engine: FaceEngine, images: Sequence[Image], *, attributes: bool, embeddings: bool
) -> list[list[Face]]:
    """FaceEngine.analyse() made of its steps; the faces of all pictures are embedded together."""
    found = [engine.find(image) for image in images]
    pairs = list(zip(images, found, strict=True))
    vectors: Iterator[Embedding | None] = repeat(None)
    if embeddings:
        crops = [engine.crop(image, one) for image, sightings in pairs for one in sightings]
        vectors = iter(engine.embed(crops))
    return [
        [engine.describe(image, one, next(vectors), attributes=attributes) for one in sightings]
        for image, sightings in pairs
    ]


def not_among(sightings: Iterable[Sighting], found: Sequence[Sighting]) -> list[Sighting]:
    """Those that are none of the faces found already."""
    return [
        one
        for one in sightings
        if all(overlap(one.box, other.box) <= _SAME_FACE for other in found)
    ]


def touch(one: Edges, other: Edges) -> bool:
    """Whether two rectangles share more than an edge."""
    return min(one[2], other[2]) > max(one[0], other[0]) and min(one[3], other[3]) > max(
        one[1], other[1]
    )
