"""Faces seen again: whose embedding a face may carry without being embedded itself.

Pure. A face borrows only from the track that was where it is, and only while its cut-out looks
as one did that was embedded for that track; every doubt is an embedding. A new embedding that
the track's do not confirm begins another track, however long the first one had its name; so does
every blurred face, since blurred faces resemble each other. Knows cut-outs and vectors; knows
neither engine nor names.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from streamproc.model.face import Edges, Embedding, Face
from streamproc.model.media import Image

VIEWS_MAX = 5
_SIDE = 32  # pixels of a look
_FINE_SIGMA = 3.2  # pixels; what is coarser is light, and much alike in all faces
_SHIFT = 2  # pixels by which landmarks may be off

_ALIKE = 0.87
"""Correlation of two looks from which they count as one person seen the same way.

The highest of 606 thousand pairs of different people (LFW, cut out upright) is 0.81, of faces
of 24 pixels 0.84, of 16 pixels 0.85. A fifth of a second later a quarter of moving people's
faces and nearly all of still ones exceed it.
"""

_STRUCTURE_MIN = 1.5
"""Grey levels, root mean square: a look plainer than this tells nobody from anybody."""

_SHARPNESS_MIN = 8.0
"""Percent, as Quality has it. Of 88 thousand pairs of different people (LFW), those that reach
Similarity 99 are none in 10 000 at sharpness 16 and more, 1 to 8 in 10 000 at 8 or 9, 1 in 200
at 5 and 1 in 5 out of focus altogether; and that whatever the size of the faces."""

_NEAR = 0.8
"""Sides of a face within which its middle is expected in the next picture, and nobody else's."""

_BETTER = 1.3  # times the best view's quality
_FIRST_WAIT_S = 0.3
_LONGEST_WAIT_S = 4.0
_FORGOTTEN_S = 2.0
_UNSEEN_MAX = 50  # tracks remembered of those who are not seen

Look: TypeAlias = NDArray[np.float32]
"""The fine structure of a cut-out face, shape (32, 32); zeros where it has none."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A face as it was when it was embedded."""

    look: Look = field(repr=False)
    embedding: Embedding = field(repr=False)
    quality: float  # as quality_of()
    is_blurred: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A face of the picture at hand."""

    box: Edges  # pixels
    look: Look = field(repr=False)
    quality: float
    is_blurred: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One person over time. The latest view is the last; a blurred one is the only one."""

    box: Edges  # pixels, where it was seen last
    views: tuple[View, ...]
    seen_s: float  # media time
    embedded_s: float
    wait_s: float = _FIRST_WAIT_S  # until it is embedded again in any case
    embedding: Embedding = field(init=False, repr=False)
    """The mean of its views, the better ones counting for more; length 1."""

    def __post_init__(self) -> None:
        total = sum(view.embedding * view.quality for view in self.views)
        object.__setattr__(self, "embedding", total / np.linalg.norm(total))

    def lends(self, seen: Seen, now_s: float) -> bool:
        """Whether a face in its place may carry its embedding."""
        return (
            now_s - self.embedded_s < self.wait_s
            and seen.quality <= _BETTER * max(view.quality for view in self.views)
            and any(alike(view.look, seen.look) for view in self.views)
        )

    def is_confirmed_by(self, view: View, same_person: float) -> bool:
        """Whether a new view is of this person: it resembles the mean of the views and one of
        them, since a mean of people mixed up resembles many."""
        if view.is_blurred or self.views[-1].is_blurred:
            return False
        nearest = max(float(old.embedding @ view.embedding) for old in self.views)
        return min(float(self.embedding @ view.embedding), nearest) >= same_person

    def moved(self, box: Edges, now_s: float) -> "Track":
        return replace(self, box=box, seen_s=now_s)

    def confirmed(self, box: Edges, view: View, now_s: float) -> "Track":
        """With one more view, for which the poorest of the older ones goes."""
        views = self.views
        if len(views) == VIEWS_MAX:
            poorest = min(views, key=lambda old: old.quality)
            views = tuple(old for old in views if old is not poorest)
        wait_s = min(2 * self.wait_s, _LONGEST_WAIT_S)
        return Track(box, (*views, view), now_s, now_s, wait_s)


def look_of(crop: Image) -> Look:
    """What a cut-out looks like in its fine structure, the same in any light."""
    border = crop.shape[0] // 14
    inner = crop[border : crop.shape[0] - border, border : crop.shape[1] - border]
    grey = cv2.cvtColor(inner, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    fine = small - cv2.GaussianBlur(small, (0, 0), _FINE_SIGMA)
    _, deviation = cv2.meanStdDev(fine)
    return fine if deviation[0, 0] >= _STRUCTURE_MIN else np.zeros_like(fine)


def alike(one: Look, other: Look) -> bool:
    """Whether two looks are of one person seen the same way; never where either is plain."""
    if not one.any() or not other.any():
        return False
    inner = one[_SHIFT:-_SHIFT, _SHIFT:-_SHIFT]
    return float(cv2.matchTemplate(other, inner, cv2.TM_CCOEFF_NORMED).max()) >= _ALIKE


def quality_of(face: Face, side: float) -> float:
    """How much a view of this face tells, above 0 to 1: size, sharpness, pose, confidence.

    side: pixels, the box's. From 112 on, where networks of recognition look, size counts no more.
    """
    sharpness = face.quality.sharpness if face.quality else 50.0
    frontal = 1.0
    if face.pose:
        frontal = max(np.cos(np.deg2rad([face.pose.yaw, face.pose.pitch])).prod(), 0.1)
    size = min(side / 112.0, 1.0)
    return max(float(size * frontal * sharpness / 100 * face.confidence / 100), 1e-3)


def is_blurred(face: Face) -> bool:
    """Whether too little of this face is to be seen for its embedding to tell people apart."""
    return face.quality is not None and face.quality.sharpness < _SHARPNESS_MIN


def lenders(tracks: Sequence[Track], seen: Sequence[Seen], now_s: float) -> list[Track | None]:
    """For each face the track whose embedding it may carry; None: it has to be embedded."""
    near = _near([track.box for track in tracks], [one.box for one in seen])
    # Where two come near each other, either might be the other.
    alone = near & (near.sum(axis=0) == 1) & (near.sum(axis=1) == 1)[:, None]
    lent: list[Track | None] = [None] * len(seen)
    for at, face in np.argwhere(alone).tolist():
        if tracks[at].lends(seen[face], now_s):
            lent[face] = tracks[at]
    return lent


def _near(places: Sequence[Edges], boxes: Sequence[Edges]) -> NDArray[np.bool_]:
    """Which of the boxes is near which of the places; shape (places, boxes)."""
    one, other = (np.array(edges).reshape(-1, 2, 2) for edges in (places, boxes))
    apart = one.sum(axis=1)[:, None] - other.sum(axis=1)
    sides = (one[:, 1] - one[:, 0]).sum(axis=1)
    return np.asarray(np.hypot(apart[..., 0], apart[..., 1]) < _NEAR * sides[:, None])


def follow(
    tracks: Sequence[Track],
    seen: Sequence[Seen],
    lent: Sequence[Track | None],
    embedded: Sequence[Embedding],
    now_s: float,
    same_person: float,
) -> tuple[list[Track], list[Embedding]]:
    """The tracks from now on, and the embedding that each face carries.

    lent is what lenders() said; embedded are the vectors of those it said None of, in their
    order. A vector joins the track that it resembles most of those it confirms; same_person: the
    least cosine of one person's.
    """
    free = [track for track in tracks if not any(track is lender for lender in lent)]
    vectors = iter(embedded)
    followed: list[Track] = []
    for one, lender in zip(seen, lent, strict=True):
        if lender is not None:
            followed.append(lender.moved(one.box, now_s))
            continue
        view = View(one.look, next(vectors), one.quality, one.is_blurred)
        own = max(
            (track for track in free if track.is_confirmed_by(view, same_person)),
            key=lambda track: float(track.embedding @ view.embedding),
            default=None,
        )
        if own is not None:
            free = [track for track in free if track is not own]
            followed.append(own.confirmed(one.box, view, now_s))
        else:
            followed.append(Track(one.box, (view,), now_s, now_s))
    return followed + _remembered(free, now_s), [track.embedding for track in followed]


def _remembered(unseen: Sequence[Track], now_s: float) -> list[Track]:
    """Those who may come back: the latest, and nobody whose track a view cannot confirm."""
    recent = [
        track
        for track in unseen
        if now_s - track.seen_s <= _FORGOTTEN_S and not track.views[-1].is_blurred
    ]
    return sorted(recent, key=lambda track: track.seen_s)[-_UNSEEN_MAX:]
