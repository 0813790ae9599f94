"""The dlib engine: for machines with nothing to download, and for commercial use.

Weights come with the face_recognition_models package (public domain): a 5-point landmark
model and the ResNet. The detector is dlib's own, on histograms of gradients. The package's
neural detector needs 4 s per picture on a CPU and its 68-point landmarks are not free for
commercial use, so neither is used. What dlib does not measure (mouth, age, gender) is absent.
"""

import importlib.util
import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from streamproc.config import EngineConfig
from streamproc.engines.dlib_resnet import CHIP_SIDE, DIMENSION, build_resnet
from streamproc.engines.packs import file_sha256, model_version
from streamproc.engines.pose import Point, pose_from_eyes_and_nose
from streamproc.engines.quality import measure_quality
from streamproc.engines.ratios import Edges, box_in, landmarks_in
from streamproc.engines.runtime import (
    inference_threads,
    quiet_fallback,
    require_in_use,
    require_providers,
    session_options,
)
from streamproc.engines.similarity import calibration_of
from streamproc.errors import EngineError
from streamproc.model.engine import EngineInfo
from streamproc.model.face import Face
from streamproc.model.media import Image

INSTALL = "run: pip install 'streamproc[offline]'"

# The detector sees faces of 80 pixels and more, so it is fast where they are large and blind
# where they are small. At 1280 it finds faces from a sixteenth of the picture's longer side,
# in a tenth of a second; at 1920 smaller ones, in a third.
_LONGER_SIDE = 1280
_ENLARGE_MAX = 2.0

# A detection's margin as a probability that SCRFD agrees it is a face: a logistic fit over
# the test data (benchmarks/calibrate_similarity.py --dlib-confidence).
_CONFIDENCE_SLOPE, _CONFIDENCE_OFFSET = 3.66, 1.31

# Below and in front of the eyes, where dlib's nose point (under the nose) lies in a mean face:
# chosen so that pitch and yaw agree on average with a 3-D mesh on LFW.
_NOSE_MM = (45.0, 30.0)

_BATCH_MAX = 16


@dataclass(slots=True)
class _Detection:
    """A face on its way through the engine; pixels of its picture."""

    image: Image
    box: Edges
    margin: float  # of the detector; 0 is its own threshold
    marks: dict[str, Point]
    chip: Image  # (150, 150, 3), RGB


class DlibEngine:
    """Raises EngineError, with the remedy, if the packages or their weights are missing."""

    def __init__(self, config: EngineConfig) -> None:
        require_providers(config.providers)
        models = _models_folder()
        resnet = models / "dlib_face_recognition_resnet_model_v1.dat"
        self._locator = _Locator(
            models / "shape_predictor_5_face_landmarks.dat", config.detection_confidence_min
        )
        options = session_options(inference_threads(config.threads))
        with quiet_fallback():
            self._resnet = onnxruntime.InferenceSession(
                build_resnet(resnet), options, providers=config.providers
            )
        require_in_use([self._resnet], config.providers)
        sha256 = file_sha256(resnet)
        self._calibration = calibration_of(sha256, DIMENSION)
        self.info = EngineInfo(
            name="dlib",
            pack="face_recognition_models",
            model_version=model_version(sha256),
            dimension=DIMENSION,
            providers=tuple(self._resnet.get_providers()),
            licence="dlib weights: public domain",
            calibration=self._calibration.evidence,
        )

    def analyse(self, images: Sequence[Image]) -> list[list[Face]]:
        """The faces of each picture, largest first, each with its embedding."""
        detections = [list(self._locator.locate(image)) for image in images]
        embeddings = self._embed([face.chip for faces in detections for face in faces])
        found = [[_face(face, next(embeddings)) for face in faces] for faces in detections]
        return [sorted(faces, key=lambda face: face.box.area, reverse=True) for faces in found]

    def similarity(self, cosine: float) -> float:
        return self._calibration.similarity(cosine)

    def cosine(self, similarity: float) -> float:
        return self._calibration.cosine(similarity)

    def _embed(self, chips: Sequence[Image]) -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(chips), _BATCH_MAX):
            batch = np.stack(chips[start : start + _BATCH_MAX]).transpose(0, 3, 1, 2)
            (vectors,) = self._resnet.run(None, {"chips": batch.astype(np.float32)})
            yield from vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class _Locator:
    """dlib's detector and landmarks, called from any thread.

    A detector keeps scratch memory, so each thread has its own; the landmark model does not.
    """

    def __init__(self, landmarks: Path, confidence_min: float) -> None:
        self._dlib = _import_dlib()
        try:
            self._predict = self._dlib.shape_predictor(str(landmarks))
        except RuntimeError as error:
            raise EngineError(
                f"{landmarks} cannot be loaded ({error}); run: pip install --force-reinstall "
                f"face_recognition_models"
            ) from None
        probability = min(confidence_min / 100.0, 0.999)
        logit = math.log(probability / (1 - probability))
        # Below its own threshold of 0, half of what dlib sees is no face: never go there.
        self._margin_min = max((logit - _CONFIDENCE_OFFSET) / _CONFIDENCE_SLOPE, 0.0)
        self._local = threading.local()

    def locate(self, image: Image) -> Iterator[_Detection]:
        height, width = image.shape[:2]
        scale = min(_LONGER_SIDE / max(height, width), _ENLARGE_MAX)
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        shrinks = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), size, interpolation=shrinks)
        boxes, margins, _ = self._detector.run(grey, 0, self._margin_min)
        for box, margin in zip(boxes, margins, strict=True):
            edges = (box.left(), box.top(), box.right() + 1, box.bottom() + 1)
            left, top, right, bottom = (edge / scale for edge in edges)
            yield self._describe(image, (left, top, right, bottom), margin)

    @property
    def _detector(self) -> Any:
        if not hasattr(self._local, "detector"):
            self._local.detector = self._dlib.get_frontal_face_detector()
        return self._local.detector

    def _describe(self, image: Image, box: Edges, margin: float) -> _Detection:
        # dlib copies the array it is given for each call, so it is given no more than needed.
        left, top, right, bottom = (round(edge) for edge in box)
        x0, y0 = max(2 * left - right, 0), max(2 * top - bottom, 0)
        around = image[y0 : 2 * bottom - top, x0 : 2 * right - left]
        rgb = cv2.cvtColor(around, cv2.COLOR_BGR2RGB)
        inside = self._dlib.rectangle(left - x0, top - y0, right - x0 - 1, bottom - y0 - 1)
        shape = self._predict(rgb, inside)
        points = [(point.x + x0, point.y + y0) for point in shape.parts()]
        chip = self._dlib.get_face_chip(rgb, shape, size=CHIP_SIDE)
        return _Detection(image, box, margin, _marks(points), chip)


def _marks(points: Sequence[Point]) -> dict[str, Point]:
    """dlib's five points are the two corners of each eye, viewer's right eye first, and the
    base of the nose. An eye is put in the middle of its corners."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3), nose = points
    return {
        "eyeLeft": ((x2 + x3) / 2, (y2 + y3) / 2),
        "eyeRight": ((x0 + x1) / 2, (y0 + y1) / 2),
        "nose": nose,
    }


def _face(found: _Detection, embedding: NDArray[np.float32]) -> Face:
    box = box_in(found.image, found.box)
    return Face(
        box=box,
        confidence=confidence(found.margin),
        landmarks=landmarks_in(found.image, found.marks),
        pose=pose_from_eyes_and_nose(found.marks, nose_mm=_NOSE_MM),
        quality=measure_quality(found.image, box),
        embedding=embedding,
    )


def confidence(margin: float) -> float:
    """0 to 100: how likely a detection of this margin is a face."""
    return 100.0 / (1.0 + math.exp(-_CONFIDENCE_SLOPE * margin - _CONFIDENCE_OFFSET))


def _models_folder() -> Path:
    # The package is found, not imported: importing it needs pkg_resources, which is gone.
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
