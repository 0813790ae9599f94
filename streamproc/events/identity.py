"""Who a face may be: a person of the collection by its matches, a stranger by earlier views.

Pure, and only in memory: what a stranger looks like is on no disk. Knows faces and vectors; knows
nothing of visits.
"""

import math
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamproc.model.face import Edges, Embedding, Face, Match

SimilarityOf: TypeAlias = Callable[[float], float]
"""From the cosine of two embeddings to Similarity, 0 to 100, as the engine that runs has it."""

VIEWS_MAX: Final = 5
_SAID: Final = 0.98  # cosine from which a view says nothing new

_SHARPNESS_MIN: Final = 12.0
_SIDE_MIN: Final = 24.0  # pixels
_TURN_MAX: Final = 40.0  # degrees
"""A face that is turned further, blurred or tiny tells neither who it is nor who it is not."""

_BLURRED: Final = 8.0
"""Sharpness below which strangers reach Similarity 99 too (see engines/tracks.py)."""

_REMEMBERED_MAX: Final = 100
"""Strangers remembered at once; the one who left first is forgotten."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of a collection, as the best match says."""

    collection_id: str
    face_id: str
    external_image_id: str | None
    similarity: float  # 0 to 100

    @property
    def name(self) -> str:
        """By which faces of one person are one: the ExternalImageId, or else the FaceId."""
        return self.external_image_id or self.face_id


def people_in(matches: Sequence[Match], collection_id: str) -> tuple[Person, ...]:
    """The people among the matches of a face, best first, each once."""
    found: dict[str, Person] = {}
    for match in matches:
        face = match.face
        person = Person(collection_id, face.face_id, face.external_image_id, match.similarity)
        found.setdefault(person.name, person)
    return tuple(found.values())


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """A face of the picture at hand."""

    place: Edges  # pixels
    embedding: Embedding | None = field(repr=False)
    people: tuple[Person, ...]  # best first
    is_clear: bool  # whether its embedding tells who it is, and who it is not
    is_blurred: bool  # so much that its matches prove nothing
    clarity: float  # how much there is to be seen, above 0


def sighting_of(
    face: Face, matches: Sequence[Match], size: tuple[int, int], collection_id: str
) -> Sighting:
    """size: the picture's width and height in pixels."""
    width, height = size
    left, top, right, bottom = face.box.edges
    place = (left * width, top * height, right * width, bottom * height)
    clarity = clarity_of(face, _side(place))
    is_clear = clarity >= 1.0 and face.embedding is not None
    is_blurred = face.quality is not None and face.quality.sharpness < _BLURRED
    people = people_in(matches, collection_id)
    return Sighting(place, face.embedding, people, is_clear, is_blurred, clarity)


def clarity_of(face: Face, side: float) -> float:
    """How much is to be seen of a face: 1 and more where it tells who it is. side: pixels."""
    sharpness = face.quality.sharpness if face.quality else 50.0
    turn = max(abs(face.pose.yaw), abs(face.pose.pitch)) if face.pose else 0.0
    poorest = min(side / _SIDE_MIN, sharpness / _SHARPNESS_MIN, _TURN_MAX / max(turn, 1.0))
    if poorest < 1.0:
        return max(poorest, 1e-3)
    frontal = math.cos(math.radians(turn))
    return 1.0 + min(side, 160.0) * frontal * (0.5 + min(sharpness, 100.0) / 200.0)


class Views:
    """What one person has looked like lately: the last clear ones of different looks."""

    def __init__(self, embeddings: Sequence[Embedding] = ()) -> None:
        self._embeddings: deque[Embedding] = deque(embeddings, VIEWS_MAX)
        self._together: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self._embeddings)

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """(n, dimension), where there is one."""
        if self._together is None:
            self._together = np.stack(self._embeddings)
        return self._together

    def add(self, embedding: Embedding) -> None:
        """Keep it, unless it says what a view has said already."""
        if not self._embeddings or (self.embeddings @ embedding).max() < _SAID:
            self._embeddings.append(embedding)
            self._together = None


def nearest(people: Sequence[Views], looks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of each of these people, who have views, and each look the largest cosine: (people, looks)
    of looks of shape (looks, dimension)."""
    if not people or not len(looks):
        return np.zeros((len(people), len(looks)), np.float32)
    views = np.concatenate([one.embeddings for one in people])
    begins = np.cumsum([0, *(len(one) for one in people[:-1])])
    cosines: NDArray[np.float32] = np.maximum.reduceat(views @ looks.T, begins)
    return cosines


class Strangers:
    """People without a name: their numbers, and those who left and may come back."""

    RECALLED: Final = 93.0
    """Similarity of two views from which somebody is back: with a hundred remembered, of five
    views each, somebody new is taken for one of them once in a hundred times at most."""

    def __init__(self, named: int, memory_s: float, similarity: SimilarityOf) -> None:
        """named: how many have a number already."""
        self.named = named
        self._memory_s = memory_s
        self._similarity = similarity
        self._left: deque[tuple[int, Views, float]] = deque(maxlen=_REMEMBERED_MAX)

    def left(self, number: int, views: Views, at: float) -> None:
        if len(views) and self._memory_s > 0:
            self._left.append((number, views, at))

    def number_of(self, views: Views, at: float) -> int:
        """Of somebody who looks like this: the number they had, or the next."""
        self._left = deque(
            (one for one in self._left if at - one[2] <= self._memory_s), _REMEMBERED_MAX
        )
        if self._left and len(views):
            cosines = nearest([one[1] for one in self._left], views.embeddings).max(axis=1)
            if self._similarity(float(cosines.max())) >= self.RECALLED:
                known = self._left[int(cosines.argmax())]
                self._left.remove(known)
                return known[0]
        self.named += 1
        return self.named

    def forget(self) -> None:
        self._left.clear()


class Votes:
    """Whom the last frames take somebody for."""

    _FRAMES: Final = 3
    _NEEDED: Final = 2
    _LASTING_S: Final = 3.5  # longer ago, a frame says nothing of this one
    _SPARSE_S: Final = 0.6  # apart: then a frame that is sure counts alone
    _SURE: Final = 97.0  # Similarity

    def __init__(self) -> None:
        self._last: deque[tuple[float, Person | None]] = deque(maxlen=self._FRAMES)

    def add(self, at: float, person: Person | None) -> None:
        """Of one frame there is one vote: a face that says somebody, if there is any."""
        if self._last and self._last[-1][0] == at:
            if self._last[-1][1] is not None:
                return
            self._last.pop()
        self._last.append((at, person))

    def forget(self, collection_id: str, face_ids: Collection[str] | None) -> None:
        """No frame has said these; None: all of the collection."""
        for number, (at, one) in enumerate(self._last):
            if one is None or one.collection_id != collection_id:
                continue
            if face_ids is None or one.face_id in face_ids:
                self._last[number] = at, None

    @property
    def has_any(self) -> bool:
        return any(person is not None for _, person in self._last)

    def certain(self, at: float, since_last_frame_s: float | None) -> Person | None:
        """Whom the frame at hand says, if that is certain; as the best of the frames has it."""
        now = self._last[-1][1] if self._last else None
        if now is None:
            return None
        same = [
            one
            for when, one in self._last
            if one is not None and one.name == now.name and at - when <= self._LASTING_S
        ]
        best = max(same, key=lambda one: one.similarity, default=None)
        if len(same) >= self._NEEDED:
            return best
        is_sparse = since_last_frame_s is not None and since_last_frame_s >= self._SPARSE_S
        return now if is_sparse and now.similarity >= self._SURE else None


def _side(place: Edges) -> float:
    """Of a square as large."""
    width, height = max(place[2] - place[0], 0.0), max(place[3] - place[1], 0.0)
    return float((width * height) ** 0.5)
