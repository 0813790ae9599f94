"""Whether a face wears glasses: MobileNetV3 over the band of the eyes.

Knows the network (github.com/SlinkoIgor/glasses_detector) and which part of a face it was
trained on. It does not tell sunglasses from others.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from streamproc.engines.face_mesh import LANDMARKS, Mesh
from streamproc.engines.network import Network
from streamproc.engines.views import View, level
from streamproc.model.face import Rated
from streamproc.model.media import Image

_WIDTH, _HEIGHT = 128, 64  # pixels; the input's

# Points of the mesh where the 68-point landmarks that the network was trained with have brows
# and the base of the nose.
_BROWS = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)
_NOSE = (98, 97, 2, 326, 327)

_WIDER = 1 / 3  # of the brows' width, at each side: room for the frame; none above and below


class Eyeglasses:
    """The network, loaded; Network says which errors that may raise."""

    def __init__(self, models_dir: Path, providers: Sequence[str], threads: int) -> None:
        self._network = Network(
            "glasses_mobilenetv3s", models_dir, providers, threads, 1, _HEIGHT, _WIDTH, 3
        )

    def read(self, image: Image, mesh: Mesh) -> Rated:
        """The confidence is the network's sigmoid in percent, which is surer than the network
        is right: on small or harshly lit faces it often takes shadows for frames."""
        band = _band(mesh).cut(image)[None, :, :, ::-1]
        (found,) = self._network.run(band.astype(np.float32))
        logit = float(found.item())  # below 0 are glasses
        return Rated(logit < 0, 100.0 / (1.0 + math.exp(-abs(logit))))


def _band(mesh: Mesh) -> View:
    """From the brows to the base of the nose, stretched to the input."""
    points = mesh.in_picture
    turn = level(points[[LANDMARKS["eyeLeft"], LANDMARKS["eyeRight"]]])
    levelled = points[list(_BROWS + _NOSE)] @ turn.T
    (left, top), (right, bottom) = levelled.min(axis=0), levelled.max(axis=0)
    wider = (right - left) * _WIDER
    left, right = left - wider, right + wider
    stretch = np.diag([_WIDTH / max(right - left, 1.0), _HEIGHT / max(bottom - top, 1.0)])
    shift = -stretch @ np.array([left, top])
    return View(np.column_stack([stretch @ turn, shift]), _WIDTH, _HEIGHT)
