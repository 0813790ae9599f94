"""Who is who in a clip: faces of sampled frames become tracks, tracks become people.

Pure and online: frames come in their order, each face leaves with the number of its track.
Knows boxes, embeddings and time; knows no picture, no collection and no name.

A track is one stay in the picture. Frame by frame, faces are given to the tracks still open,
the surest pair first, each track one face at most. A face belongs to a track if it resembles
it and is not far from where it was last seen; or, for a head that turns or is covered, if it
is where it was and does not look like somebody else. What "somebody else" means depends on
the picture: of a blurred profile more is forgiven than of a sharp frontal face, so that a cut
to another person in the same place ends the track.

A track that was lost is closed, and only then, with all its frames, compared with the people
known so far (people.py).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from streamproc.jobs.appearance import Appearance, evidence
from streamproc.jobs.people import People, Person, Stay
from streamproc.model.face import BoundingBox, Face

LOST_AFTER_MS = 2000
"""A track that was not seen for longer is closed: whoever comes back is recognised, not
followed."""

_REACH = 3.0
"""How far, in face sizes, a face may have gone that still looks like its track. Someone who
walks past the camera moves two between frames a fifth of a second apart."""

_NEAR, _NEAR_MS = 0.4, 1000
"""How far a face may have gone, in face sizes, and for how long it may have been unseen, if
only its place speaks for it. Faces that pass in front of each other are half a size apart."""

_SCALE = 2.0  # a face does not double or halve its size between two frames


@dataclass(slots=True, eq=False)
class _Track:
    stay: Stay
    box: BoundingBox  # the last one
    weight: float = 0.0

    @property
    def evidence(self) -> float:
        """The mean of its faces."""
        return self.weight / self.stay.frames

    def see(self, timestamp_ms: int, face: Face, weight: float) -> None:
        self.box = face.box
        self.weight += weight
        stay = self.stay
        stay.last_ms = timestamp_ms
        stay.frames += 1
        stay.confidence = max(stay.confidence, face.confidence)
        if face.embedding is not None:
            stay.appearance.see(face.embedding, weight)


class FaceTracker:
    """For one clip."""

    def __init__(self, *, same_cosine: float, surely_same_cosine: float) -> None:
        """same_cosine: what one in a thousand pairs of pictures of strangers reaches;
        surely_same_cosine: one in a million. Raises ValueError if it is not above the first."""
        if not surely_same_cosine > same_cosine:
            raise ValueError(
                f"surely_same_cosine {surely_same_cosine} must be above same_cosine {same_cosine}"
            )
        self._same, self._surely = same_cosine, surely_same_cosine
        self._open: list[_Track] = []
        self._people = People(surely_same_cosine)
        self._count = 0

    @classmethod
    def calibrated(cls, cosine: Callable[[float], float]) -> Self:
        """cosine: of a Similarity, by the engine whose faces will come."""
        return cls(same_cosine=cosine(80.0), surely_same_cosine=cosine(99.0))

    def add(self, timestamp_ms: int, faces: Sequence[Face]) -> list[int]:
        """The number of the track of each face of the next frame; no number comes twice."""
        self._close_before(timestamp_ms - LOST_AFTER_MS)
        weights = [evidence(face) for face in faces]
        owners: dict[int, _Track] = {}
        if faces and self._open:
            scores = self._scores(timestamp_ms, faces, weights)
            owners = {face: self._open[track] for track, face in _surest_first(scores)}
        numbers = []
        for index, (face, weight) in enumerate(zip(faces, weights, strict=True)):
            track = owners.get(index) or self._begin(timestamp_ms, face)
            track.see(timestamp_ms, face, weight)
            numbers.append(track.stay.track)
        return numbers

    def finish(self) -> list[Person]:
        """Everybody, in the order of their first appearance; the tracker is used up."""
        self._close_before(None)
        return self._people.everybody()

    def _begin(self, timestamp_ms: int, face: Face) -> _Track:
        stay = Stay(self._count, timestamp_ms, timestamp_ms, Appearance(self._surely))
        track = _Track(stay, face.box)
        self._count += 1
        self._open.append(track)
        return track

    def _close_before(self, timestamp_ms: int | None) -> None:
        lost = self._open
        if timestamp_ms is not None:
            lost = [track for track in self._open if track.stay.last_ms < timestamp_ms]
        for track in sorted(lost, key=lambda track: (track.stay.last_ms, track.stay.track)):
            self._open.remove(track)
            self._people.add(track.stay)

    def _scores(
        self, now_ms: int, faces: Sequence[Face], weights: Sequence[float]
    ) -> NDArray[np.float64]:
        """(tracks, faces): the higher the surer, -inf where it cannot be."""
        likeness = (self._cosines(faces) - self._same) / (self._surely - self._same)
        unseen_ms = np.array([[now_ms - track.stay.last_ms] for track in self._open])
        distance = _distances([track.box for track in self._open], [face.box for face in faces])
        clear = np.minimum(np.array([[track.evidence] for track in self._open]), weights)
        # A likeness of 0 is "same", 1 "surely same"; a tenth of strangers reach -1. Without an
        # embedding it is nan, and neither comparison holds.
        unlike = likeness < clear - 1.0
        stayed = (distance <= _NEAR) & (unseen_ms <= _NEAR_MS) & ~unlike
        recognised = (likeness >= 0.0) & (distance <= _REACH)
        score = np.clip(np.nan_to_num(likeness, nan=0.0), -1.0, 1.0) - distance / _REACH
        return np.where(stayed | recognised, score, -np.inf)

    def _cosines(self, faces: Sequence[Face]) -> NDArray[np.float64]:
        """(tracks, faces): to whatever in a track is nearest; nan where there is no embedding."""
        cosines = np.full((len(self._open), len(faces)), np.nan)
        known = [index for index, face in enumerate(faces) if face.embedding is not None]
        if not known:
            return cosines
        embeddings = np.array([faces[index].embedding for index in known])
        for row, track in zip(cosines, self._open, strict=True):
            if track.stay.appearance:
                looks = np.array(list(track.stay.appearance.vectors()))
                row[known] = (looks @ embeddings.T).max(axis=0)
        return cosines


def _surest_first(scores: NDArray[np.float64]) -> Iterator[tuple[int, int]]:
    """Pairs of row and column, the highest score first, no row and no column twice."""
    rows: set[int] = set()
    columns: set[int] = set()
    for flat in np.argsort(-scores, axis=None, kind="stable"):
        row, column = divmod(int(flat), scores.shape[1])
        if scores[row, column] == -np.inf:
            return
        if row not in rows and column not in columns:
            rows.add(row)
            columns.add(column)
            yield row, column


def _distances(ones: Sequence[BoundingBox], others: Sequence[BoundingBox]) -> NDArray[np.float64]:
    """(ones, others): between centres, in mean face sizes; inf where the sizes do not agree.

    Across and down are each measured in the faces' own width and height, so the shape of the
    picture does not matter.
    """
    one, other = _edges(ones)[:, None], _edges(others)[None]
    size = (one[..., 2:] + other[..., 2:]) / 2
    centre_one = one[..., :2] + one[..., 2:] / 2
    centre_other = other[..., :2] + other[..., 2:] / 2
    distance: NDArray[np.float64] = np.linalg.norm((centre_one - centre_other) / size, axis=-1)
    scale = np.sqrt((one[..., 2:] / other[..., 2:]).prod(axis=-1))
    distance[(scale > _SCALE) | (scale < 1 / _SCALE)] = np.inf
    return distance


def _edges(boxes: Sequence[BoundingBox]) -> NDArray[np.float64]:
    """(boxes, 4): left, top, width and height, the latter two above 0."""
    rows = [(box.left, box.top, max(box.width, 1e-9), max(box.height, 1e-9)) for box in boxes]
    return np.array(rows, np.float64)
