"""What the house knows of an engine: pictures in, faces out."""

from collections.abc import Sequence
from typing import Protocol

from streamproc.model.engine import EngineInfo
from streamproc.model.face import Face
from streamproc.model.media import Image


class FaceEngine(Protocol):
    """Synchronous and safe to call from several threads at once."""

    @property
    def info(self) -> EngineInfo: ...

    def analyse(
        self, images: Sequence[Image], *, attributes: bool = False, embeddings: bool = True
    ) -> list[list[Face]]:
        """The faces of each picture, largest first, each with its embedding unless told not to.

        attributes asks for age, gender and traits too, where models can tell them.
        """
        ...

    def similarity(self, cosine: float) -> float:
        """Calibrated 0 to 100: 50 is a false-match rate of 1e-2, 80 1e-3, 90 1e-4, 99 1e-6."""
        ...

    def cosine(self, similarity: float) -> float:
        """The inverse: the least cosine that reaches this similarity."""
        ...
