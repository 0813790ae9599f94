"""Smile, eyes and mouth, from the movements of a mesh.

MediaPipe's blendshape network turns the points of a face mesh into 52 coefficients, 0 to 1, of
how far each movement (ARKit's names) is done. This module knows that network and where, for
three of them, no ends and yes begins; it sees no picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from streamproc.engines.face_mesh import Mesh
from streamproc.engines.network import Floats, Network
from streamproc.model.face import Rated

# The points of the mesh that the network takes, in its order: eyes, brows, lips, outline, irises.
POINTS = (
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65,
    66, 67, 70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136,
    144, 145, 146, 148, 149, 150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172,
    173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270, 276, 282, 283,
    284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321, 323, 324,
    332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385,
    386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472,
    473, 474, 475, 476, 477,
)  # fmt: skip

# Of the coefficients: eyeBlinkLeft and Right, jawOpen, mouthSmileLeft and Right.
_BLINKS = (9, 10)
_JAW_OPEN = 25
_SMILES = (44, 45)

# Where yes begins, found by eye on 360 press photographs of 60 people (LFW) and a few posed
# ones. Lids: narrowed by laughter or the sun they reach 0.64, lowered they read 0.5 to 0.7,
# closed 0.7 and more. Lips: talk parts them from 0.05 to 0.1 on, a scream is near 0.8. Smile:
# from 0.5 on the emotion network, too, calls most of them happy.
_CLOSED = 0.65
_OPEN_MOUTH = 0.08
_SMILING = 0.5


@dataclass(frozen=True, slots=True)
class Expression:
    smile: Rated
    eyes_open: Rated
    mouth_open: Rated


class Expressions:
    """The network, loaded; Network says which errors that may raise."""

    def __init__(self, models_dir: Path, providers: Sequence[str], threads: int) -> None:
        self._network = Network(
            "mediapipe_face_blendshapes", models_dir, providers, threads, 1, len(POINTS), 2
        )

    def read(self, mesh: Mesh) -> Expression:
        """Confidences as rated() has them."""
        points = mesh.level[list(POINTS)].astype(np.float32)
        (coefficients,) = self._network.run(points[None])
        closed = rated(_mean(coefficients, _BLINKS), _CLOSED)
        return Expression(
            smile=rated(_mean(coefficients, _SMILES), _SMILING),
            eyes_open=Rated(not closed.value, closed.confidence),
            mouth_open=rated(float(coefficients[_JAW_OPEN]), _OPEN_MOUTH),
        )


def rated(coefficient: float, boundary: float) -> Rated:
    """Yes from the boundary on. The confidence grows in a straight line from 50 at the boundary
    to 100 where the coefficient ends (0 or 1): how far from undecided this is, not how
    probable."""
    value = coefficient >= boundary
    room = 1 - boundary if value else boundary
    return Rated(value, 50 + 50 * min(abs(coefficient - boundary) / room, 1.0))


def _mean(coefficients: Floats, which: Sequence[int]) -> float:
    return float(coefficients[list(which)].mean())
