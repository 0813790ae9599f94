"""What the Visions of the tests have in common: whatever a test did not foresee is an error."""

from collections.abc import Mapping

from streamproc.model.detection import Detection
from streamproc.model.face import Face
from streamproc.model.media import Image


class BlindVision:
    """A Vision that sees nothing. Tests override what the analysis in hand may ask for."""

    async def faces(
        self, image: Image, *, attributes: bool = False, embeddings: bool = True
    ) -> list[Face]:
        raise AssertionError("nobody should ask for faces here")

    async def objects(self, image: Image) -> list[Detection]:
        raise AssertionError("nobody should ask for objects here")

    async def moderation(self, image: Image) -> Mapping[str, float]:
        raise AssertionError("nobody should ask for moderation here")
