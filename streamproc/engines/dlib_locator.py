"""Where dlib sees faces: its detector, its five landmarks, and faces cut out upright.

The detector works on histograms of gradients. The neural one that the weights' package also
carries needs seconds per picture on a CPU, and its 68-point landmarks are not free for
commercial use, so neither is used. Knows dlib; knows nothing of recognition.
"""

import importlib.util
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamproc.engines.base import Sighting, touch
from streamproc.engines.pose import Point
from streamproc.errors import EngineError
from streamproc.model.face import Edges
from streamproc.model.media import Image

INSTALL = "run: pip install 'streamproc[offline]'"
REINSTALL = "run: pip install --force-reinstall face_recognition_models"

CHIP_SIDE = 150  # pixels of a face cut out for recognition

# The detector sees faces of 80 pixels and more, at any size above: it is fast where they are
# large and blind where they are small. With 1280 pixels it finds faces from a sixteenth of the
# picture's longer side in a tenth of a second; with 1920 smaller ones in a third.
_LONGER_SIDE = 1280
_ENLARGE_MAX = 2.0

# A margin as the probability that SCRFD agrees it is a face: benchmarks/calibrate_confidence.py.
_SLOPE, _OFFSET = 4.66, 2.14


class Locator:
    """Called from any thread. A detector keeps scratch memory, so each thread has its own; the
    landmark model does not."""

    def __init__(self, models: Path, confidence_min: float) -> None:
        """confidence_min: 0 to 100. Raises EngineError if dlib or its weights are missing."""
        self._dlib = _import_dlib()
        landmarks = models / "shape_predictor_5_face_landmarks.dat"
        try:
            self._predict = self._dlib.shape_predictor(str(landmarks))
        except RuntimeError as error:
            raise EngineError(f"{landmarks} cannot be loaded ({error}); {REINSTALL}") from None
        # Never below its own threshold of 0: not far beneath, half of what dlib sees is no face.
        self._margin_min = max(margin_of(confidence_min), 0.0)
        self._local = threading.local()

    def locate(self, image: Image, region: Edges | None = None) -> Iterator[Sighting]:
        """As FaceEngine.find(), in the order in which dlib is sure of them; points are dlib's."""
        for box, margin in self.boxes(image, self._margin_min):
            if region is None or touch(box, region):
                yield Sighting(box, confidence_of(margin), self._points(image, box))

    def boxes(self, image: Image, margin_min: float) -> Iterator[tuple[Edges, float]]:
        """Every window of this margin or more, in pixels of the picture, with its margin."""
        height, width = image.shape[:2]
        scale = min(_LONGER_SIDE / max(height, width), _ENLARGE_MAX)
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), size, interpolation=how)
        windows, margins, _ = self._detector.run(grey, 0, margin_min)
        for window, margin in zip(windows, margins, strict=True):
            left, top = window.left() / scale, window.top() / scale
            right, bottom = (window.right() + 1) / scale, (window.bottom() + 1) / scale
            yield (left, top, right, bottom), float(margin)

    def chip(self, image: Image, sighting: Sighting) -> Image:
        """The face upright and scaled, of shape (150, 150, 3)."""
        around, (x0, y0) = _around(image, sighting.box)
        parts = [
            self._dlib.point(round(x - x0), round(y - y0)) for x, y in sighting.points.tolist()
        ]
        inside = self._inside(sighting.box, x0, y0)
        shape = self._dlib.full_object_detection(inside, parts)
        whole = np.ascontiguousarray(around)
        chip: Image = self._dlib.get_face_chip(whole, shape, size=CHIP_SIDE)
        return chip

    def _points(self, image: Image, box: Edges) -> NDArray[np.float32]:
        around, (x0, y0) = _around(image, box)
        rgb = cv2.cvtColor(around, cv2.COLOR_BGR2RGB)
        shape = self._predict(rgb, self._inside(box, x0, y0))
        return np.array([(point.x + x0, point.y + y0) for point in shape.parts()], np.float32)

    def _inside(self, box: Edges, x0: int, y0: int) -> Any:
        left, top, right, bottom = (round(edge) for edge in box)
        return self._dlib.rectangle(left - x0, top - y0, right - x0 - 1, bottom - y0 - 1)

    @property
    def _detector(self) -> Any:
        if not hasattr(self._local, "detector"):
            self._local.detector = self._dlib.get_frontal_face_detector()
        return self._local.detector


def marks_of(points: NDArray[np.float32]) -> dict[str, Point]:
    """dlib's five points are the two corners of each eye, the viewer's right eye first, and
    the base of the nose. An eye is put in the middle of its corners; there is no mouth."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3), nose = points.tolist()
    return {
        "eyeLeft": ((x2 + x3) / 2, (y2 + y3) / 2),
        "eyeRight": ((x0 + x1) / 2, (y0 + y1) / 2),
        "nose": tuple(nose),
    }


def _around(image: Image, box: Edges) -> tuple[Image, tuple[int, int]]:
    """The face with as much again on every side, and where in the picture that begins. dlib
    copies the array it is given for each call, so it is given no more than needed."""
    left, top, right, bottom = (round(edge) for edge in box)
    x0, y0 = max(2 * left - right, 0), max(2 * top - bottom, 0)
    return image[y0 : 2 * bottom - top, x0 : 2 * right - left], (x0, y0)


def confidence_of(margin: float) -> float:
    """0 to 100: how likely a detection of this margin is a face."""
    return 100.0 / (1.0 + math.exp(-_SLOPE * margin - _OFFSET))


def margin_of(confidence: float) -> float:
    """The inverse, for confidences up to 99.9."""
    probability = min(confidence, 99.9) / 100.0
    return (math.log(probability / (1.0 - probability)) - _OFFSET) / _SLOPE


def models_folder() -> Path:
    """Where the package face_recognition_models keeps its weights.

    It is found, not imported: importing it needs pkg_resources, which is gone.
    """
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or not spec.submodule_search_locations:
        raise EngineError(f"engine dlib needs the face_recognition_models package; {INSTALL}")
    return Path(spec.submodule_search_locations[0]) / "models"


def _import_dlib() -> Any:
    try:
        import dlib
    except ImportError as error:
        raise EngineError(f"engine dlib needs the dlib-bin package ({error}); {INSTALL}") from None
    return dlib
