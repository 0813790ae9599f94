"""The dlib engine: for machines with nothing to download, and for commercial use.

Its weights come with the face_recognition_models package and are in the public domain. What
dlib does not measure (mouth, age, gender) is absent.
"""

from collections.abc import Iterator, Sequence
from itertools import repeat

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from streamproc.engines.dlib_locator import Located, Locator, models_folder
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
from streamproc.model.face import Face
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
        located = [list(self._locator.locate(image)) for image in images]
        chips = [face.chip for faces in located for face in faces]
        vectors = self._embed(chips) if embeddings else repeat(None)
        found = [[_face(face, next(vectors)) for face in faces] for faces in located]
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


def _face(located: Located, embedding: NDArray[np.float32] | None) -> Face:
    box = box_in(located.image, located.box)
    return Face(
        box=box,
        confidence=located.confidence,
        landmarks=landmarks_in(located.image, located.marks),
        pose=pose_from_eyes_and_nose(located.marks, nose_mm=_NOSE_MM),
        quality=measure_quality(located.image, box),
        embedding=embedding,
    )
