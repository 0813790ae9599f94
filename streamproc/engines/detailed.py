"""An engine that can tell more of a face than its pack: attribute models behind a face engine."""

from collections.abc import Sequence

from streamproc.engines.base import FaceEngine, Sighting
from streamproc.engines.face_attributes import FaceAttributes
from streamproc.model.engine import EngineInfo
from streamproc.model.face import Edges, Embedding, Face
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

    def find(self, image: Image, *, region: Edges | None = None) -> list[Sighting]:
        return self._engine.find(image, region=region)

    @property
    def looks_at_regions(self) -> bool:
        return self._engine.looks_at_regions

    def crop(self, image: Image, sighting: Sighting) -> Image:
        return self._engine.crop(image, sighting)

    def embed(self, crops: Sequence[Image]) -> list[Embedding]:
        return self._engine.embed(crops)

    def describe(
        self,
        image: Image,
        sighting: Sighting,
        embedding: Embedding | None,
        *,
        attributes: bool = False,
    ) -> Face:
        face = self._engine.describe(image, sighting, embedding, attributes=attributes)
        return self._attributes.measure(image, face) if attributes else face

    def similarity(self, cosine: float) -> float:
        return self._engine.similarity(cosine)

    def cosine(self, similarity: float) -> float:
        return self._engine.cosine(similarity)
