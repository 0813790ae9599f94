"""An engine that can tell more of a face than its pack: attribute models behind a face engine."""

from collections.abc import Sequence

from streamproc.engines.base import FaceEngine
from streamproc.engines.face_attributes import FaceAttributes
from streamproc.model.engine import EngineInfo
from streamproc.model.face import Face
from streamproc.model.media import Image


class DetailedEngine:
    """The FaceEngine it is given, with traits and all landmarks for who asks for attributes.
    Who does not ask pays nothing."""

    def __init__(self, engine: FaceEngine, attributes: FaceAttributes) -> None:
        self._engine = engine
        self._attributes = attributes

    @property
    def info(self) -> EngineInfo:
        return self._engine.info

    def analyse(
        self, images: Sequence[Image], *, attributes: bool = False, embeddings: bool = True
    ) -> list[list[Face]]:
        found = self._engine.analyse(images, attributes=attributes, embeddings=embeddings)
        if not attributes:
            return found
        return [
            [self._attributes.measure(image, face) for face in faces]
            for image, faces in zip(images, found, strict=True)
        ]

    def similarity(self, cosine: float) -> float:
        return self._engine.similarity(cosine)

    def cosine(self, similarity: float) -> float:
        return self._engine.cosine(similarity)
