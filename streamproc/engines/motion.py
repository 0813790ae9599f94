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

_JOINED = np.ones((5, 5), np.uint8)
"""Changed cells this near to each other are one region, and a region's border is seen with it."""

REGIONS_MAX = 4
_AROUND = 0.1
"""What a detector sees around a region on each side, as a share of the picture's longer side."""

_WORTH = 0.5
"""Regions that cost more than this share of a whole look are not worth the faces they miss."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What was seen of a picture when each of its cells was looked at last."""

    cells: Cells
    shape: tuple[int, ...]  # of the picture: height, width, 3

    def changed(self, now: "Scene") -> NDArray[np.bool_]:
        """Which cells are others now; all of them if the picture has another shape."""
        if now.shape != self.shape:
            return np.ones(now.cells.shape, bool)
        return np.asarray(cv2.absdiff(self.cells, now.cells) > _NOISE)

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
    """Every second row is left out: it tells no more than its neighbour."""
    height, width = image.shape[:2]
    cell = max(height, width) / _CELLS_ACROSS
    size = (max(round(width / cell), 1), max(round(height / cell), 1))
    small = cv2.resize(image[::2], size, interpolation=cv2.INTER_AREA)
    return Scene(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), image.shape)  # type: ignore[arg-type]


def regions_of(changed: NDArray[np.bool_], shape: Sequence[int]) -> list[Edges]:
    """Rectangles in pixels of a picture of this shape that hold all cells that changed."""
    if not changed.any():
        return []
    wider = cv2.dilate(changed.astype(np.uint8), _JOINED)
    _, _, stats, _ = cv2.connectedComponentsWithStats(wider)
    across, down = shape[1] / changed.shape[1], shape[0] / changed.shape[0]
    return joined(
        (left * across, top * down, (left + width) * across, (top + height) * down)
        for left, top, width, height, _ in stats[1:].tolist()
    )


def joined(regions: Iterable[Edges]) -> list[Edges]:
    """The regions, those that overlap made one."""
    apart: list[Edges] = []
    for region in regions:
        while touched := [other for other in apart if _meet(region, other)]:
            region = hull([region, *touched])
            apart = [other for other in apart if other not in touched]
        apart.append(region)
    return apart


def grown_to_hold(regions: Iterable[Edges], boxes: Iterable[Edges]) -> list[Edges]:
    """The regions, each made as large as it takes to hold every box it touches."""
    grown, left = joined(regions), list(boxes)
    while touched := [box for box in left if any(_meet(box, region) for region in grown)]:
        grown = joined([*grown, *touched])
        left = [box for box in left if box not in touched]
    return grown


def is_worth_it(regions: Sequence[Edges], shape: Sequence[int]) -> bool:
    """Whether looking at these regions costs clearly less than looking at the whole picture."""
    if len(regions) > REGIONS_MAX:
        return False
    height, width = shape[:2]
    margin = _AROUND * max(height, width)
    area = sum(
        (min(right + margin, width) - max(left - margin, 0))
        * (min(bottom + margin, height) - max(top - margin, 0))
        for left, top, right, bottom in regions
    )
    return area <= _WORTH * height * width


def _meet(one: Edges, other: Edges) -> bool:
    """Whether they share an edge, or more."""
    return min(one[2], other[2]) >= max(one[0], other[0]) and min(one[3], other[3]) >= max(
        one[1], other[1]
    )


def _up(value: float) -> int:
    return max(int(np.ceil(value)), 0)
