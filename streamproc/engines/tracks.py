"""Faces seen again: whose embedding a face may carry without being embedded itself.

Pure. A face borrows only from the track that was where it is, and only while its cut-out looks
as one did that was embedded for that track; every doubt is an embedding. A new embedding that
the track's do not confirm begins another track, however long the first one had its name.
Knows cut-outs and vectors; knows neither engine nor names.
"""

import math
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

_NEAR = 0.8
"""Sides of a face within which its middle is expected in the next picture, and nobody else's."""

_BETTER = 1.3  # times the best view's quality
_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 4.0
_FORGOTTEN_S = 2.0

Look: TypeAlias = NDArray[np.float32]
"""The fine structure of a cut-out face, shape (32, 32); zeros where it has none."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A face as it was when it was embedded."""

    look: Look = field(repr=False)
    embedding: Embedding = field(repr=False)
    quality: float  # as quality_of()


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A face of the picture at hand."""

    box: Edges  # pixels
    look: Look = field(repr=False)
    quality: float


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One person over time. The latest view is the last."""

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
    return fine if fine.std() >= _STRUCTURE_MIN else np.zeros_like(fine)


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


def lenders(tracks: Sequence[Track], seen: Sequence[Seen], now_s: float) -> list[Track | None]:
    """For each face the track whose embedding it may carry; None: it has to be embedded."""
    return [_lender(tracks, seen, one, now_s) for one in seen]


def _lender(tracks: Sequence[Track], seen: Sequence[Seen], one: Seen, now_s: float) -> Track | None:
    near = [track for track in tracks if _are_near(track.box, one.box)]
    if len(near) != 1:
        return None
    (track,) = near
    is_alone = sum(_are_near(track.box, other.box) for other in seen) == 1
    return track if is_alone and track.lends(one, now_s) else None


def _are_near(one: Edges, other: Edges) -> bool:
    x = one[0] + one[2] - other[0] - other[2]
    y = one[1] + one[3] - other[1] - other[3]
    sides = one[2] - one[0] + one[3] - one[1]
    return math.hypot(x, y) < _NEAR * sides


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
    order. A vector joins the track that it resembles most, from a cosine of same_person on.
    """
    free = [track for track in tracks if not any(track is lender for lender in lent)]
    vectors = iter(embedded)
    followed: list[Track] = []
    for one, lender in zip(seen, lent, strict=True):
        if lender is not None:
            followed.append(lender.moved(one.box, now_s))
            continue
        view = View(one.look, next(vectors), one.quality)
        own = max(free, key=lambda track: float(track.embedding @ view.embedding), default=None)
        if own is not None and float(own.embedding @ view.embedding) >= same_person:
            free = [track for track in free if track is not own]
            followed.append(own.confirmed(one.box, view, now_s))
        else:
            followed.append(Track(one.box, (view,), now_s, now_s))
    unseen = [track for track in free if now_s - track.seen_s <= _FORGOTTEN_S]
    return followed + unseen, [track.embedding for track in followed]
