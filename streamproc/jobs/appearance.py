"""What somebody looks like, summed up from many pictures in a few vectors.

Pure. Knows embeddings and how much a picture of a face is worth; knows nothing of time, place
or names. A head that turns gives embeddings that lie apart, so they are kept as a few looks:
the weighted sums of those that resemble each other.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from streamproc.model.face import Embedding, Face

LOOKS_MAX = 4
"""Bounds what is kept of a person to this many vectors, however long the video is."""

CLEAR = 0.2
"""The evidence from which on an engine's calibration can be relied on; below it strangers
resemble each other. Of the 125 faces of the crowd in facenet_pytorch_video.mp4, sampled five
times a second, embedded by mbf_arcface: pairs of two different people reach Similarity 80,
nominally one in a thousand, in 7 of 1000 if both have this much evidence, in 35 if the worse
one has half, in 72 if it has less; and Similarity 99 in 0, 0 and 12 of 1000."""

_CONFIDENCE_LOW, _CONFIDENCE_FULL = 50.0, 80.0
_SHARPNESS_HALF = 10.0
_UNSHARP = 0.25  # what a face without any detail is worth: a detector found it, after all
_LEAST = 1e-3  # so that somebody who only ever looked away has a mean as well


def evidence(face: Face) -> float:
    """How much a face tells of whose it is, above 0 and up to 1; what was not measured counts
    in full. It is no probability.

    The product of three parts: confidence, from 50 to 80 of a hundred; sharpness s, with
    s / (s + 10) (quality.measure_quality enlarges small faces, which makes them unsharp); and
    (cos yaw cos pitch) squared, the square of the share of a flat face that is seen.
    """
    sure = (face.confidence - _CONFIDENCE_LOW) / (_CONFIDENCE_FULL - _CONFIDENCE_LOW)
    worth = min(max(sure, 0.0), 1.0)
    if face.quality is not None:
        sharpness = max(face.quality.sharpness, 0.0)
        worth *= _UNSHARP + (1.0 - _UNSHARP) * sharpness / (sharpness + _SHARPNESS_HALF)
    if face.pose is not None:
        cosines = (math.cos(math.radians(angle)) for angle in (face.pose.yaw, face.pose.pitch))
        worth *= math.prod(max(cosine, 0.0) for cosine in cosines) ** 2
    return max(worth, _LEAST)


@dataclass(slots=True, eq=False)
class Look:
    """Embeddings that resemble each other, summed."""

    total: Embedding = field(repr=False)  # each times its evidence; not of length 1
    weight: float  # the sum of the evidence
    frames: int

    @property
    def embedding(self) -> Embedding:
        return _unit(self.total)

    @property
    def clear(self) -> bool:
        return self.weight / self.frames >= CLEAR

    def __iadd__(self, other: "Look") -> "Look":
        self.total = self.total + other.total
        self.weight += other.weight
        self.frames += other.frames
        return self


class Appearance:
    """Looks of one person, at most LOOKS_MAX. Without any while no embedding was seen."""

    def __init__(self, look_cosine: float) -> None:
        """look_cosine: an embedding that is nearer than this to a look belongs to it."""
        self._look_cosine = look_cosine
        self._looks: list[Look] = []

    def __bool__(self) -> bool:
        return bool(self._looks)

    def see(self, embedding: Embedding, weight: float) -> None:
        """One more picture. embedding has length 1; weight is its evidence."""
        self._join(Look(embedding * np.float32(weight), weight, 1))

    def merge(self, other: "Appearance") -> None:
        """The other turned out to be the same person; it must not be used any more."""
        for look in other._looks:
            self._join(look)

    @property
    def looks(self) -> Sequence[Look]:
        return self._looks

    def whole(self) -> Look:
        """All of it as one. Raises ValueError if nothing was seen."""
        if not self._looks:
            raise ValueError("no embedding was seen")
        return Look(
            np.array([look.total for look in self._looks]).sum(axis=0),
            sum(look.weight for look in self._looks),
            sum(look.frames for look in self._looks),
        )

    def vectors(self) -> Iterator[Embedding]:
        """What another picture of this person may resemble: each look, and all together."""
        for look in self._looks:
            yield look.embedding
        if len(self._looks) > 1:
            yield self.whole().embedding

    def _join(self, new: Look) -> None:
        if self._looks:
            direction = new.embedding
            cosines = [float(look.embedding @ direction) for look in self._looks]
            nearest = int(np.argmax(cosines))
            if cosines[nearest] >= self._look_cosine or len(self._looks) == LOOKS_MAX:
                self._looks[nearest] += new
                return
        self._looks.append(new)


def _unit(vector: Embedding) -> Embedding:
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if length > 0.0 else vector
