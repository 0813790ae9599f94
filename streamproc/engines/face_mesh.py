"""MediaPipe's face mesh: 478 points on a face, of which thirty have names at Rekognition.

Knows the network (FaceLandmarker's, Apache-2.0) and what its points are; says nothing of what
the face does. Left and right are the viewer's, as everywhere at Rekognition; MediaPipe means
the person's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from streamproc.engines.network import Network
from streamproc.engines.ratios import landmarks_in
from streamproc.engines.views import Points, level_square
from streamproc.model.face import Face, Landmark
from streamproc.model.media import Image

_POINTS = 478
_SIDE = 256  # pixels; the input's
_OF_BOX = 1.5  # how much of the picture the network was trained to see, in sides of the box

LANDMARKS = {
    "eyeLeft": 468,  # Rekognition's eyes are its pupils, to the last digit
    "eyeRight": 473,
    "nose": 4,
    "mouthLeft": 61,
    "mouthRight": 291,
    "leftEyeBrowLeft": 70,
    "leftEyeBrowRight": 107,
    "leftEyeBrowUp": 105,
    "rightEyeBrowLeft": 336,
    "rightEyeBrowRight": 300,
    "rightEyeBrowUp": 334,
    "leftEyeLeft": 33,
    "leftEyeRight": 133,
    "leftEyeUp": 159,
    "leftEyeDown": 145,
    "rightEyeLeft": 362,
    "rightEyeRight": 263,
    "rightEyeUp": 386,
    "rightEyeDown": 374,
    "noseLeft": 79,  # the nostrils
    "noseRight": 309,
    "mouthUp": 0,
    "mouthDown": 17,
    "leftPupil": 468,
    "rightPupil": 473,
    "upperJawlineLeft": 127,
    "midJawlineLeft": 58,
    "chinBottom": 152,
    "midJawlineRight": 288,
    "upperJawlineRight": 356,
}
"""The point of the mesh that stands for each of Rekognition's LandmarkType. Chosen as the nearest
of the mean mesh of frontal faces when its pupils are laid on those of published answers of
DetectFaces: brows, lids, nostrils and the upper jawline lie within a twelfth of the distance
between the eyes; jaw and chin are those on the face's outline."""


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """The points of one face."""

    in_picture: Points  # (478, 2), pixels
    level: Points  # the same, pixels of a window in which the eyes are level

    def landmarks(self, image: Image) -> tuple[Landmark, ...]:
        """Rekognition's thirty; ratios of the picture they were found in."""
        points = self.in_picture.tolist()
        return landmarks_in(image, {name: tuple(points[at]) for name, at in LANDMARKS.items()})


class FaceMesh:
    """The network, loaded; Network says which errors that may raise."""

    def __init__(self, models_dir: Path, providers: Sequence[str], threads: int) -> None:
        self._network = Network(
            "mediapipe_face_landmarks", models_dir, providers, threads, 1, _SIDE, _SIDE, 3
        )

    def fit(self, image: Image, face: Face) -> Mesh | None:
        """The mesh laid on a face; None where the network sees no face (a probability below
        one half, MediaPipe's own default), as when it is hidden or turned away."""
        view = level_square(image, face, of_box=_OF_BOX, side=_SIDE)
        rgb = view.cut(image)[None, :, :, ::-1]
        found, presence, *_ = self._network.run(rgb.astype(np.float32) / 255.0)
        if presence.item() <= 0:  # a logit
            return None
        points = found.reshape(_POINTS, 3)[:, :2].astype(np.float64)
        return Mesh(view.in_picture(points), points)
