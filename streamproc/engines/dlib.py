"""The dlib engine: for machines with nothing to download, and for commercial use.

Its weights come with the face_recognition_models package and are in the public domain. What
dlib does not measure (mouth, age, gender) is absent.
"""

from collections.abc import Sequence

import numpy as np
import onnxruntime

from streamproc.engines.base import Sighting, step_by_step
from streamproc.engines.dlib_locator import Locator, marks_of, models_folder
from streamproc.engines.dlib_resnet import DIMENSION, build_resnet
from streamproc.engines.packs import file_sha256, model_version
from streamproc.engines.pose import pose_from_eyes_and_nose
from streamproc.engines.quality import measure_quality
from streamproc.engines.ratios import box_in, landmarks_in
from streamproc.engines.runtime import (
    inference_threads,
    quiet_fallback,
    require_in_use,
    require_providers,
    session_options,
)
from streamproc.engines.similarity import calibration_of
from streamproc.model.engine import EngineInfo
from streamproc.model.face import Edges, Embedding, Face
from streamproc.model.media import Image
from streamproc.settings import EngineConfig

LICENCE = "dlib weights: public domain"

# Below the eyes and in front of them, where dlib's nose point (under the nose) lies in a mean
# face: chosen so that pitch and yaw agree on average with a 3-D mesh on LFW.
_NOSE_MM = (45.0, 30.0)

_BATCH_MAX = 16
"""Faces embedded in one run; bounds the memory that a picture of a crowd takes."""


class DlibEngine:
    """Raises EngineError, with the remedy, if the packages or their weights are missing."""

    def __init__(self, config: EngineConfig) -> None:
        require_providers(config.providers)
        models = models_folder()
        self._locator = Locator(models, config.detection_confidence_min)
        resnet = models / "dlib_face_recognition_resnet_model_v1.dat"
        network = build_resnet(resnet)
        options = session_options(inference_threads(config.threads))
        with quiet_fallback():
            self._resnet = onnxruntime.InferenceSession(
                network, options, providers=config.providers
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
            licence=LICENCE,
            calibration=self._calibration.evidence,
        )

    def analyse(
        self,
        images: Sequence[Image],
        *,
        attributes: bool = False,  # noqa: ARG002 (it has none)
        embeddings: bool = True,
    ) -> list[list[Face]]:
        """The faces of each picture, largest first, each with its embedding if wanted."""
        return step_by_step(self, images, attributes=False, embeddings=embeddings)

    def find(self, image: Image, *, region: Edges | None = None) -> list[Sighting]:
        """A region costs as much as the whole picture: dlib sees only faces that it sees whole."""
        found = self._locator.locate(image, region)
        return sorted(found, key=lambda one: one.area, reverse=True)

    @property
    def looks_at_regions(self) -> bool:
        return False

    def crop(self, image: Image, sighting: Sighting) -> Image:
        return self._locator.chip(image, sighting)

    def embed(self, crops: Sequence[Image]) -> list[Embedding]:
        vectors: list[Embedding] = []
        for start in range(0, len(crops), _BATCH_MAX):
            rgb = np.stack(crops[start : start + _BATCH_MAX])[..., ::-1]
            batch = np.ascontiguousarray(rgb.transpose(0, 3, 1, 2), np.float32)
            (found,) = self._resnet.run(None, {"chips": batch})
            vectors += list(found / np.linalg.norm(found, axis=1, keepdims=True))
        return vectors

    def describe(
        self,
        image: Image,
        sighting: Sighting,
        embedding: Embedding | None,
        *,
        attributes: bool = False,  # noqa: ARG002 (it has none)
    ) -> Face:
        box, marks = box_in(image, sighting.box), marks_of(sighting.points)
        return Face(
            box=box,
            confidence=sighting.confidence,
            landmarks=landmarks_in(image, marks),
            pose=pose_from_eyes_and_nose(marks, nose_mm=_NOSE_MM),
            quality=measure_quality(image, box),
            embedding=embedding,
        )

    def similarity(self, cosine: float) -> float:
        return self._calibration.similarity(cosine)

    def cosine(self, similarity: float) -> float:
        return self._calibration.cosine(similarity)
