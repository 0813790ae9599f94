"""A classifier of pictures by how safe they are to show at work, on ONNX Runtime.

Knows the network's input and the names of its five classes; knows nothing of Rekognition's labels.
Safe to call from several threads: ONNX sessions allow it, and nothing else is kept.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from streamproc.engines.models import find_model, remedy, sha256_of
from streamproc.engines.packs import model_version
from streamproc.engines.runtime import open_session
from streamproc.errors import EngineError
from streamproc.model.media import Image

CLASSES = ("Drawing", "Hentai", "Neutral", "Porn", "Sexy")
"""In the order of the output. Its authors' words: safe drawings, pornographic drawings, safe
photographs, pornographic photographs, and what is suggestive but not pornographic."""

_SIDE = 224  # pixels
_MODEL = find_model("nsfw_mobilenet_v2")


class NsfwClassifier:
    """A network from one picture of 224 by 224 to the softmax of CLASSES."""

    def __init__(self, path: Path, providers: Sequence[str], threads: int) -> None:
        """threads: pictures looked at at once; 0 means one per core.

        Raises EngineError, with the remedy, if the file is no such network or does not run.
        """
        self._session = open_session(path, providers, threads, _remedy(path))
        self._input = self._session.get_inputs()[0].name
        self._rehearse(path)
        self.version = model_version(sha256_of(path))
        """Digits and dots; changes with the weights."""

    def classify(self, image: Image) -> dict[str, float]:
        """The probability of each class, 0 to 1; together they are 1. Not calibrated."""
        (rows,) = self._session.run(None, {self._input: network_input(image)})
        return dict(zip(CLASSES, rows[0].tolist(), strict=True))

    def _rehearse(self, path: Path) -> None:
        """Run once, so that what is wrong shows now."""
        try:
            blank = network_input(np.zeros((_SIDE, _SIDE, 3), np.uint8))
            (rows,) = self._session.run(None, {self._input: blank})
        except Exception as error:  # ONNX Runtime's own classes share no base but this
            raise EngineError(f"{path} does not run: {error}; {_remedy(path)}") from None
        if rows.shape != (1, len(CLASSES)):
            raise EngineError(
                f"{path} gives {'x'.join(map(str, rows.shape))} numbers for a picture, and not "
                f"one for each of {', '.join(CLASSES)}; {_remedy(path)}"
            )


def network_input(image: Image) -> NDArray[np.float32]:
    """Shape (1, 224, 224, 3), RGB, 0 to 1: the whole picture, stretched to a square."""
    # Averaging, so that what is small does not come and go with the pixel that was hit.
    shrinks = min(image.shape[:2]) >= _SIDE
    square = cv2.resize(
        image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    return np.ascontiguousarray(square[None, :, :, ::-1], dtype=np.float32) / np.float32(255)


def _remedy(path: Path) -> str:
    return remedy(_MODEL, path.parent)
