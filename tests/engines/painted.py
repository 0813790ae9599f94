"""Painted people with faces of their own, and an engine that counts what it is asked."""

from collections.abc import Sequence

import cv2
import numpy as np

from streamproc.engines.base import Sighting
from streamproc.engines.fake import FakeEngine
from streamproc.model.face import Edges, Embedding
from streamproc.model.media import Image


class CountingEngine(FakeEngine):
    """regions: where it was asked to look, None for everywhere; embedded: how many faces."""

    def __init__(self) -> None:
        super().__init__()
        self.regions: list[Edges | None] = []
        self.embedded = 0

    def find(self, image: Image, *, region: Edges | None = None) -> list[Sighting]:
        self.regions.append(region)
        return super().find(image, region=region)

    def embed(self, crops: Sequence[Image]) -> list[Embedding]:
        self.embedded += len(crops)
        return super().embed(crops)


def empty_room(height: int = 360, width: int = 640) -> Image:
    return np.full((height, width, 3), 60, np.uint8)


def portray(image: Image, person: int, left: int, top: int, size: int = 64) -> None:
    """A painted person whose face has features, which no other one shares."""
    FakeEngine.paint(image, person, left, top, size)
    features = np.random.default_rng(person).uniform(0.5, 1.0, (7, 7, 1))
    shades = cv2.resize(features, (size, size), interpolation=cv2.INTER_NEAREST)[..., None]
    window = image[top : top + size, left : left + size]
    window[:] = (window * shades).astype(np.uint8)


def picture_of(*people: tuple[int, int, int], size: int = 64) -> Image:
    """A room with these people: who, left, top."""
    image = empty_room()
    for person, left, top in people:
        portray(image, person, left, top, size)
    return image
