"""The faces of one camera, picture after picture: only what changed is computed again.

Looks where the picture changed (motion.py), embeds the faces that are new or in doubt
(tracks.py), and describes each as it is in the picture at hand. Knows the engine by its steps;
knows nothing of threads, streams or names.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import inf

from streamproc.engines.base import FaceEngine, Sighting, not_among, touch
from streamproc.engines.motion import Scene, grown_to_hold, is_worth_it, regions_of, scene_of
from streamproc.engines.tracks import (
    Look,
    Seen,
    Track,
    alike,
    follow,
    is_blurred,
    lenders,
    look_of,
    quality_of,
)
from streamproc.model.face import Edges, Face
from streamproc.model.media import Image

_SAME_PERSON = 99.0
"""Similarity from which a new embedding goes on with a track: strangers reach it once in a
million."""

_WHOLE_EVERY_S = 1.0
"""How often the whole picture is looked at, whatever has changed."""

_GAP_S = 2.5
"""Media time after which a camera may show anything: nothing it showed before counts."""

_AROUND_FACE = 0.25  # of its sides


@dataclass(frozen=True, slots=True, eq=False)
class _Spotted:
    """A face where it was found, and what it looked like then."""

    sighting: Sighting
    look: Look = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """What the pictures so far leave behind."""

    scene: Scene
    spotted: tuple[_Spotted, ...]
    tracks: tuple[Track, ...]
    seen_s: float  # media time
    looked_over_s: float


class LiveView:
    """One camera's. Called by one thread at a time; a call that raises forgets all before it, so
    that the next one leans on nothing that may have made it raise."""

    def __init__(self) -> None:
        self._known: _Known | None = None

    def analyse(self, engine: FaceEngine, image: Image, now_s: float) -> list[Face]:
        """The faces of this picture, largest first. An embedding is the face's own, or the mean
        of its track's views. now_s: media time in seconds; a gap or a step back begins anew."""
        known, self._known = self._known, None
        picture = _Picture(engine, image, scene_of(image))
        if known is None or not 0 <= now_s - known.seen_s <= _GAP_S:
            known = _Known(picture.scene, (), (), now_s, looked_over_s=-inf)
        regions = _regions(picture, known, now_s)
        sightings = None if regions is None else _looked_again(picture, known, regions)
        if regions is None or sightings is None:
            sightings = engine.find(image)
            scene_seen, looked_over_s = picture.scene, now_s
        else:
            scene_seen = known.scene.with_looked(picture.scene, regions)
            looked_over_s = known.looked_over_s

        cuts = [picture.cut(sighting) for sighting in sightings]
        faces = [engine.describe(image, sighting, None) for sighting in sightings]
        seen = [
            Seen(sighting.box, look, quality_of(face, sighting.area**0.5), is_blurred(face))
            for sighting, (_, look), face in zip(sightings, cuts, faces, strict=True)
        ]
        # Somebody who was out of sight, if only for a picture, is in doubt.
        present = [track for track in known.tracks if track.seen_s == known.seen_s]
        lent = lenders(present, seen, now_s)
        doubtful = [crop for (crop, _), lender in zip(cuts, lent, strict=True) if lender is None]
        vectors = engine.embed(doubtful) if doubtful else []
        same_person = engine.cosine(_SAME_PERSON)
        tracks, embeddings = follow(known.tracks, seen, lent, vectors, now_s, same_person)

        self._known = _Known(
            scene_seen,
            _spotted(sightings, [look for _, look in cuts], known.spotted),
            tuple(tracks),
            now_s,
            looked_over_s,
        )
        return [
            replace(face, embedding=embedding)
            for face, embedding in zip(faces, embeddings, strict=True)
        ]


class _Picture:
    """The picture at hand, with what was cut out of it: faces that stand are looked at twice."""

    def __init__(self, engine: FaceEngine, image: Image, scene: Scene) -> None:
        self.engine = engine
        self.image = image
        self.scene = scene
        self._cuts: dict[int, tuple[Image, Look]] = {}

    def cut(self, sighting: Sighting) -> tuple[Image, Look]:
        """A face as it is to be embedded, and what it looks like."""
        if (cut := self._cuts.get(id(sighting))) is None:
            crop = self.engine.crop(self.image, sighting)
            cut = self._cuts[id(sighting)] = crop, look_of(crop)
        return cut


def _regions(picture: _Picture, known: _Known, now_s: float) -> list[Edges] | None:
    """Where to look, in pixels; None: everywhere.

    Besides what changed at large, faces whose own pixels say that they changed in small.
    """
    shape = picture.scene.shape
    if now_s - known.looked_over_s >= _WHOLE_EVERY_S or known.scene.shape != shape:
        return None
    regions = regions_of(known.scene.changed(picture.scene), shape)
    if regions is None or not is_worth_it(regions, shape):
        return None
    boxes = []
    for one in known.spotted:
        box = _with_margin(one.sighting.box)
        boxes.append(box)
        if not any(touch(box, region) for region in regions) and not alike(
            one.look, picture.cut(one.sighting)[1]
        ):
            regions.append(box)
    if regions and not picture.engine.looks_at_regions:
        return None
    regions = grown_to_hold(regions, boxes, shape)
    return regions if is_worth_it(regions, shape) else None


def _looked_again(
    picture: _Picture, known: _Known, regions: Sequence[Edges]
) -> list[Sighting] | None:
    """The faces of the picture, largest first: found in the regions, known elsewhere. None if
    one is missing: whoever left, or is only seen where the whole picture is looked at."""
    found: list[Sighting] = []
    for region in regions:
        found += not_among(picture.engine.find(picture.image, region=region), found)
    standing = (
        one.sighting
        for one in known.spotted
        if not any(touch(one.sighting.box, region) for region in regions)
    )
    found += not_among(standing, found)
    # By number and by place: whoever comes in does not make up for one that was not found again.
    is_missing = len(found) < len(known.spotted) or not all(
        any(touch(one.sighting.box, other.box) for other in found) for one in known.spotted
    )
    if is_missing:
        return None
    return sorted(found, key=lambda one: one.area, reverse=True)


def _spotted(
    sightings: Sequence[Sighting], looks: Sequence[Look], before: Sequence[_Spotted]
) -> tuple[_Spotted, ...]:
    """What stands keeps the look it was found with, so that small changes add up."""
    standing = {id(one.sighting): one for one in before}
    return tuple(
        standing.get(id(sighting)) or _Spotted(sighting, look)
        for sighting, look in zip(sightings, looks, strict=True)
    )


def _with_margin(box: Edges) -> Edges:
    left, top, right, bottom = box
    x, y = _AROUND_FACE * (right - left), _AROUND_FACE * (bottom - top)
    return left - x, top - y, right + x, bottom + y
