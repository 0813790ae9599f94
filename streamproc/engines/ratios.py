"""From pixels to ratios of the picture, which is how the rest of the house measures faces."""

from collections.abc import Mapping

from streamproc.model.face import BoundingBox, Edges, Landmark
from streamproc.model.media import Image


def box_in(image: Image, edges: Edges) -> BoundingBox:
    """edges: in pixels."""
    height, width = image.shape[:2]
    left, top, right, bottom = edges
    return BoundingBox(left / width, top / height, (right - left) / width, (bottom - top) / height)


def landmarks_in(image: Image, marks: Mapping[str, tuple[float, float]]) -> tuple[Landmark, ...]:
    height, width = image.shape[:2]
    return tuple(Landmark(name, x / width, y / height) for name, (x, y) in marks.items())
