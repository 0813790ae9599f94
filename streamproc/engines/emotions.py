"""Which emotion a face shows: mini-Xception, trained on FER2013 (MIT; Arriaga et al., "Real-time
convolutional neural networks for emotion and gender classification", 2017).

Knows the network and Rekognition's names; wants no more of a face than its box and its eyes.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from streamproc.engines.network import Network
from streamproc.engines.views import level_square
from streamproc.model.face import Face
from streamproc.model.media import Image

# Rekognition's EmotionName, in the order of the network's classes: angry, disgust, fear, happy,
# sad, surprise, neutral. It has nothing for CONFUSED.
EMOTIONS = ("ANGRY", "DISGUSTED", "FEAR", "HAPPY", "SAD", "SURPRISED", "CALM")

_SIDE = 64  # pixels; the input's

_DETAIL = 40
"""Pixels across a face, that are then enlarged to the input: FER2013 has 48, most of them soft.
A sharper face is none that the network has learned from."""

_CUTS = tuple((of_box, below) for of_box in (0.8, 0.9) for below in (-0.03, 0.03))
"""FER2013's faces are cut tighter than a detector's box, by how much varies; a single cut changes
its mind when it moves by a few pixels, so the answer is the mean of these. They and _DETAIL were
chosen on the few posed photos at hand, not measured on others."""


class Emotions:
    """The network, loaded; Network says which errors that may raise."""

    def __init__(self, models_dir: Path, providers: Sequence[str], threads: int) -> None:
        self._network = Network(
            "emotion_fer2013", models_dir, providers, threads, len(_CUTS), _SIDE, _SIDE, 1
        )

    def read(self, image: Image, face: Face) -> tuple[tuple[str, float], ...]:
        """Each emotion's share in percent, surest first; together they are 100. A softmax of a
        network that is right on two faces in three: it orders better than it measures."""
        batch = np.array([_cut(image, face, *cut) for cut in _CUTS], np.float32)[..., None]
        (shares,) = self._network.run((batch / 255.0 - 0.5) * 2.0)
        percent = (shares.mean(axis=0, dtype=np.float64) * 100.0).tolist()
        return tuple(
            sorted(zip(EMOTIONS, percent, strict=True), key=lambda pair: pair[1], reverse=True)
        )


def _cut(image: Image, face: Face, of_box: float, below: float) -> NDArray[np.uint8]:
    """The face in grey, of shape (64, 64)."""
    view = level_square(image, face, of_box=of_box, side=_DETAIL, below=below)
    grey = cv2.cvtColor(view.cut(image), cv2.COLOR_BGR2GRAY)
    return cv2.resize(grey, (_SIDE, _SIDE))  # type: ignore[return-value]
