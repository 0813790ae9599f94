"""Faces whose vectors are written by hand, and an engine that would have made them."""

from collections.abc import Iterable

import numpy as np

from streamproc.collection.index import Index, Nearest
from streamproc.model.engine import EngineInfo
from streamproc.model.face import BoundingBox, Embedding, Face, IndexedFace, Match

REGION = "eu-west-1"
DIMENSION = 8


SQUARES = EngineInfo("fake", "squares", "1.8", DIMENSION, ("CPU",), "Apache-2.0")
CIRCLES = EngineInfo("fake", "circles", "2.8", DIMENSION, ("CPU",), "Apache-2.0")


def unit(*coordinates: float) -> Embedding:
    """A unit vector along these coordinates, zeros behind them."""
    whole = np.zeros(DIMENSION, np.float32)
    whole[: len(coordinates)] = coordinates
    return whole / np.float32(np.linalg.norm(whole))


def at_cosine(cosine: float) -> Embedding:
    """A unit vector with this cosine to unit(1)."""
    return unit(cosine, float(np.sqrt(1 - cosine**2)))


def face_at(embedding: Embedding, left: float = 0.1, side: float = 0.2) -> Face:
    return Face(BoundingBox(left, 0.1, side, side), 99.0, embedding=embedding)


def face_ids(found: Iterable[Match | IndexedFace]) -> list[str]:
    return [item.face.face_id if isinstance(item, Match) else item.face_id for item in found]


def nearest(index: Index, embedding: Embedding, cosine_min: float, limit: int) -> Nearest:
    """search_all() for one."""
    [found] = index.search_all([embedding], cosine_min, limit)
    return found
