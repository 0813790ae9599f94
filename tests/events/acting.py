"""People in front of a camera, as faces with boxes and vectors: what visits are made of."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from streamproc.events.visits import Change, VisitPolicy, Visits
from streamproc.model.face import BoundingBox, Embedding, Face, IndexedFace, Match, Pose, Quality

SIZE = (1000, 1000)
KEY = ("us-east-1", "door")
COLLECTION = "people"
Faces = Sequence[tuple[Face, Sequence[Match]]]


def similarity(cosine: float) -> float:
    """Of the vectors here: two people's have a cosine of 0."""
    return max(cosine, 0.0) * 100.0


def vector(person: int, *, noise: float = 0.0, seed: int = 0) -> Embedding:
    """What a person looks like; with noise, what they look like once."""
    made = np.zeros(64, np.float32)
    made[person % 64] = 1.0
    made += noise * np.random.default_rng(seed).standard_normal(64).astype(np.float32)
    return (made / np.linalg.norm(made)).astype(np.float32)


def match_of(name: str, at: float = 98.0) -> Match:
    face_id = f"face-{name}"
    box = BoundingBox(0.1, 0.1, 0.5, 0.5)
    return Match(IndexedFace(face_id, "image", name, box, 99.0, "1"), at)


def a_face(
    x: float = 0.5,
    y: float = 0.5,
    side: float = 0.1,
    looks: Embedding | None = None,
    *,
    yaw: float = 0.0,
    sharpness: float = 80.0,
) -> Face:
    box = BoundingBox(x - side / 2, y - side / 2, side, side)
    return Face(
        box, 99.0, pose=Pose(0.0, 0.0, yaw), quality=Quality(80.0, sharpness), embedding=looks
    )


def known(name: str, person: int, x: float = 0.5, y: float = 0.5, **more: Any) -> tuple[Face, Any]:
    """Somebody who is recognised."""
    at = more.pop("at", 98.0)
    return a_face(x, y, looks=vector(person), **more), (match_of(name, at),)


def nobody(person: int, x: float = 0.5, y: float = 0.5, **more: Any) -> tuple[Face, Any]:
    """Somebody who is not."""
    return a_face(x, y, looks=vector(person), **more), ()


def turned(x: float = 0.5, y: float = 0.5, seed: int = 0) -> tuple[Face, Any]:
    """A face in profile, whose vector says nothing."""
    looks = vector(40, noise=1.0, seed=seed)
    return a_face(x, y, looks=looks, yaw=75.0), ()


class Stage:
    """Plays frames to Visits, and keeps what is told."""

    def __init__(self, **policy: Any) -> None:
        self._ids = itertools.count(1)
        self._policy = VisitPolicy(**policy)
        self.visits = Visits(KEY, self._policy, similarity, self.new_id)
        self.now = 1000.0
        self.told: list[Change] = []

    def new_id(self) -> str:
        return f"visit-{next(self._ids)}"

    def frame(self, *faces: tuple[Face, Any], at: float | None = None) -> list[Change]:
        self.now = at if at is not None else self.now
        told = self.visits.saw(self.now, SIZE, faces, COLLECTION)
        self.told += told
        return told

    def play(self, seconds: float, *faces: tuple[Face, Any], fps: float = 5.0) -> list[Change]:
        """The same faces for so long."""
        told: list[Change] = []
        for _ in range(round(seconds * fps)):
            told += self.frame(*faces)
            self.now += 1.0 / fps
        return told

    def restarted(self) -> None:
        """A daemon ends, and the next one goes on with what is on disk."""
        standing = self.visits.standing
        self.visits = Visits(KEY, self._policy, similarity, self.new_id, standing)


def lines(told: Sequence[Change]) -> list[str]:
    """ "enter alice" and so on; progress is left out."""
    return [
        " ".join(
            part
            for part in (
                change.kind.value,
                change.body["Person"]["Name"],
                change.body.get("Reason", ""),
                change.body.get("WasName", ""),
            )
            if part
        )
        for change in told
        if change.body.get("Change") != "progress"
    ]
