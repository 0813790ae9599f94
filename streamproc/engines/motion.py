"""Where a picture has changed since that part of it was last looked at.

Pure. Knows small grey pictures, thresholds and rectangles; knows nothing of faces. A part is
compared with what was there when it was looked at, never with the last picture: light that
changes little by little adds up and is seen.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from streamproc.engines.base import touch
from streamproc.model.face import Edges, hull
from streamproc.model.media import Image

Cells: TypeAlias = NDArray[np.uint8]
"""A picture as the mean greys of its cells, shape (rows, columns), 0 to 255."""

_CELLS_ACROSS = 160
"""Of the longer side: at 1280 pixels a cell is 8, a third of the smallest face found."""

_NOISE = 10
"""Grey levels by which a cell differs through the codec alone. Of a room without motion, H.264
at CRF 23 with a keyframe each second, 99 cells in 100 stay within 4; blinking shadows and
keyframes reach 8."""

_NOISE_DARK = 6
_DARK = 60
"""Grey level below which less is a change, in proportion, down to _NOISE_DARK: there people
differ by less from what is behind them."""

_NOISE_AT = np.clip(np.arange(256) * _NOISE // _DARK, _NOISE_DARK, _NOISE).astype(np.uint8)

_JOINED = np.ones((5, 5), np.uint8)
"""Changed cells this near to each other are one region, and a region's border is seen with it."""

_CELLS_MIN = 2
"""Changed cells that make a region: one alone is the codec's. The smallest face that is found is
three cells wide; what is left out stays changed, and counts with what changes beside it later."""

_ROWS_OF_CELL = 2
"""Rows of a cell that are looked at: more tell no more than their neighbours."""

_REGIONS_MAX = 24
"""Before they are joined. What changed in so many places changed everywhere."""

_AROUND = 0.15
"""What a detector sees around a region on each side, as a share of the picture's longer side."""

_EACH = 0.04
"""What a look costs beside its pixels, in whole looks: SCRFD at 640 pixels takes 0.4 ms and 48
ms for each million."""

_WORTH = 0.8
"""Regions that cost more than this share of a whole look are not worth the looks that have to be
done again, because a face was cut or is missing."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What was seen of a picture when each of its cells was looked at last."""

    cells: Cells
    shape: tuple[int, ...]  # of the picture: height, width, 3

    def changed(self, now: "Scene") -> NDArray[np.bool_]:
        """Which cells are others now; all of them if the picture has another shape."""
        if now.shape != self.shape:
            return np.ones(now.cells.shape, bool)
        return np.asarray(cv2.absdiff(self.cells, now.cells) > cv2.LUT(self.cells, _NOISE_AT))

    def with_looked(self, now: "Scene", regions: Iterable[Edges]) -> "Scene":
        """This scene, with what the regions (pixels) show now."""
        cells = self.cells.copy()
        for region in regions:
            window = now.window(region)
            cells[window] = now.cells[window]
        return Scene(cells, self.shape)

    def window(self, region: Edges) -> tuple[slice, slice]:
        """The cells that lie in a region of the picture wholly; pixels."""
        rows, columns = self.cells.shape
        height, width = self.shape[:2]
        left, top, right, bottom = region
        return (
            slice(_up(top * rows / height), max(int(bottom * rows / height), 0)),
            slice(_up(left * columns / width), max(int(right * columns / width), 0)),
        )


def scene_of(image: Image) -> Scene:
    height, width = image.shape[:2]
    cell = max(height, width) / _CELLS_ACROSS
    size = (max(round(width / cell), 1), max(round(height / cell), 1))
    grey = cv2.cvtColor(image[:: max(int(cell / _ROWS_OF_CELL), 1)], cv2.COLOR_BGR2GRAY)
    return Scene(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), image.shape)  # type: ignore[arg-type]


def regions_of(changed: NDArray[np.bool_], shape: Sequence[int]) -> list[Edges] | None:
    """Rectangles in pixels of a picture of this shape that hold what changed, joined; None if
    that is everywhere."""
    if not changed.any():
        return []
    wider = cv2.dilate(changed.astype(np.uint8), _JOINED)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(wider)
    large = np.bincount(labels[changed], minlength=len(stats)) >= _CELLS_MIN
    across, down = shape[1] / changed.shape[1], shape[0] / changed.shape[0]
    regions = [
        (left * across, top * down, (left + width) * across, (top + height) * down)
        for left, top, width, height, _ in stats[large].tolist()
    ]
    if len(regions) > _REGIONS_MAX or not all(is_worth_it([region], shape) for region in regions):
        return None
    return joined(regions, shape)


def joined(regions: Iterable[Edges], shape: Sequence[int]) -> list[Edges]:
    """The regions, those made one that cost no more as one."""
    apart: list[Edges] = []
    for region in regions:
        while other := next((one for one in apart if _cheaper_as_one(one, region, shape)), None):
            apart.remove(other)
            region = hull([region, other])
        apart.append(region)
    return apart


def grown_to_hold(
    regions: Iterable[Edges], boxes: Iterable[Edges], shape: Sequence[int]
) -> list[Edges]:
    """The regions, each made as large as it takes to hold every box it touches, and joined."""
    grown, boxes = joined(regions, shape), list(boxes)
    while (wider := joined((_holding(region, boxes) for region in grown), shape)) != grown:
        grown = wider
    return grown


def is_worth_it(regions: Iterable[Edges], shape: Sequence[int]) -> bool:
    """Whether looking at these regions costs clearly less than looking at the whole picture."""
    return sum(_cost(region, shape) for region in regions) <= _WORTH


def _holding(region: Edges, boxes: Iterable[Edges]) -> Edges:
    return hull([region, *(box for box in boxes if touch(box, region))])


def _cheaper_as_one(one: Edges, other: Edges, shape: Sequence[int]) -> bool:
    return _cost(hull([one, other]), shape) <= _cost(one, shape) + _cost(other, shape)


def _cost(region: Edges, shape: Sequence[int]) -> float:
    """Of looking at a region, in looks at the whole picture."""
    height, width = shape[:2]
    margin = _AROUND * max(height, width)
    left, top, right, bottom = region
    across = min(right + margin, width) - max(left - margin, 0)
    down = min(bottom + margin, height) - max(top - margin, 0)
    return _EACH + across * down / (height * width)


def _up(value: float) -> int:
    return max(int(np.ceil(value)), 0)
