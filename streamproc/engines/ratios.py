"""Rectangles in pixels: how they overlap, and as ratios of the picture, which is how the rest of
the house measures faces."""

from collections.abc import Mapping

from streamproc.model.face import BoundingBox, Landmark
from streamproc.model.media import Image

Edges = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels."""


def box_in(image: Image, edges: Edges) -> BoundingBox:
    height, width = image.shape[:2]
    left, top, right, bottom = edges
    return BoundingBox(left / width, top / height, (right - left) / width, (bottom - top) / height)


def landmarks_in(image: Image, marks: Mapping[str, tuple[float, float]]) -> tuple[Landmark, ...]:
    height, width = image.shape[:2]
    return tuple(Landmark(name, x / width, y / height) for name, (x, y) in marks.items())


def overlap(one: Edges, other: Edges) -> float:
    """Intersection over union, 0 to 1."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((right - left) * (bottom - top) for left, top, right, bottom in (one, other))
    return width * height / (areas - width * height)
