"""The InsightFace engine: SCRFD finds faces, ArcFace recognises them, on ONNX Runtime.

InsightFace's own classes load the pack and run each network; this module decides at which
sizes to look, cuts the faces out, embeds all of a call in few batches, and says what it saw
in our own values. Knows nothing of threads beyond being called by several at once: ONNX
sessions allow it, and SCRFD's caches only ever gain entries.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from insightface.app import FaceAnalysis
from insightface.app.common import Face as InsightFace
from insightface.model_zoo.model_license import inspect_model_package_license
from numpy.typing import NDArray

from streamproc.engines.align import crop_face
from streamproc.engines.packs import (
    NON_COMMERCIAL,
    file_sha256,
    find_pack,
    model_version,
    remedy,
    require_whole,
)
from streamproc.engines.pose import Point, pose_from_five_points
from streamproc.engines.prelu import spell_out_prelu
from streamproc.engines.quality import measure_quality
from streamproc.engines.ratios import box_in, landmarks_in
from streamproc.engines.runtime import (
    CPU,
    inference_threads,
    quiet_fallback,
    require_in_use,
    require_providers,
    session_options,
)
from streamproc.engines.similarity import calibration_of
from streamproc.errors import EngineError
from streamproc.model.engine import EngineInfo
from streamproc.model.face import Edges, Face, overlap
from streamproc.model.media import Image
from streamproc.settings import EngineConfig

log = logging.getLogger(__name__)

# SCRFD gives its five points in this order; "left" is the viewer's.
LANDMARKS = ("eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight")

_TASKS = ("detection", "recognition", "genderage")
_BATCH_MAX = 32
"""Faces embedded in one run; bounds the memory that a picture of a crowd takes."""

_SPED_UP_BYTES_MAX = 64 * 1024 * 1024

_SAME_FACE = 0.4  # intersection over union, as InsightFace's own suppression has it

_STRIDE = 32  # of SCRFD's coarsest layer: inputs are multiples of it


@dataclass(slots=True)
class _Detection:
    """A face on its way through the engine; pixels."""

    image: Image
    box: Edges
    score: float
    points: NDArray[np.float32]  # (5, 2)


class InsightFaceEngine:
    """A pack, loaded. Raises EngineError, with the remedy, if it cannot run as configured."""

    def __init__(self, config: EngineConfig) -> None:
        require_providers(config.providers)
        folder = find_pack(config.pack, config.models_dir)
        models = _load(folder, config)
        self._detector = models["detection"]
        self._recogniser = models["recognition"]
        self._attributes = models.get("genderage")
        self._sizes = sorted(config.detection_sizes, reverse=True)
        if self._detector.static_input_size is not None:
            self._sizes = self._sizes[:1]  # it looks at one size, whatever it is asked
        self._side: int = self._recogniser.input_size[0]
        batch = self._recogniser.input_shape[0]
        self._batch_max = batch if isinstance(batch, int) else _BATCH_MAX
        dimension = self._rehearse(folder)
        sha256 = file_sha256(Path(self._recogniser.model_file))
        self._calibration = calibration_of(sha256, dimension)
        self.info = EngineInfo(
            name="insightface",
            pack=folder.name,
            model_version=model_version(sha256),
            dimension=dimension,
            providers=tuple(self._recogniser.session.get_providers()),
            licence=_licence(folder),
            calibration=self._calibration.evidence,
        )

    def analyse(
        self, images: Sequence[Image], *, attributes: bool = False, embeddings: bool = True
    ) -> list[list[Face]]:
        """The faces of each picture, largest first, each with its embedding if wanted; with
        attributes, age and gender too if the pack can tell them: one more network per face."""
        detections = [list(self._detect(image)) for image in images]
        everyone = [face for faces in detections for face in faces]
        vectors = self._embed(everyone) if embeddings else repeat(None)
        found = [
            [self._face(face, next(vectors), attributes) for face in faces] for faces in detections
        ]
        return [sorted(faces, key=lambda face: face.box.area, reverse=True) for faces in found]

    def similarity(self, cosine: float) -> float:
        return self._calibration.similarity(cosine)

    def cosine(self, similarity: float) -> float:
        return self._calibration.cosine(similarity)

    def _detect(self, image: Image) -> Iterator[_Detection]:
        """What the finest size shows, then what only the coarser ones do.

        InsightFace prefers the higher score, which is often the coarse one's; its landmarks
        are coarse as well, and a face that is turned is then cut out askew.
        """
        kept: list[Edges] = []
        for side in self._sizes:
            if (size := input_size(image, side)) is None:
                continue
            boxes, points = self._detector.detect(image, input_size=[size])
            fresh = [
                _Detection(image, tuple(box[:4].tolist()), float(box[4]), five)
                for box, five in zip(boxes, points, strict=True)
                if all(overlap(tuple(box[:4].tolist()), other) <= _SAME_FACE for other in kept)
            ]
            kept += [face.box for face in fresh]
            yield from fresh

    def _embed(self, faces: Sequence[_Detection]) -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(faces), self._batch_max):
            batch = faces[start : start + self._batch_max]
            crops = [crop_face(face.image, face.points, self._side) for face in batch]
            vectors = self._recogniser.get_feat(crops)
            yield from vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def _face(
        self, found: _Detection, embedding: NDArray[np.float32] | None, attributes: bool
    ) -> Face:
        box = box_in(found.image, found.box)
        points: dict[str, Point] = dict(zip(LANDMARKS, found.points.tolist(), strict=True))
        age, gender = self._age_and_gender(found) if attributes else (None, None)
        return Face(
            box=box,
            confidence=min(found.score * 100.0, 100.0),
            landmarks=landmarks_in(found.image, points),
            pose=pose_from_five_points(points),
            quality=measure_quality(found.image, box),
            embedding=embedding,
            age=age,
            gender=gender,
        )

    def _age_and_gender(self, found: _Detection) -> tuple[int | None, str | None]:
        if self._attributes is None:
            return None, None
        gender, age = self._attributes.get(found.image, InsightFace(bbox=np.array(found.box)))
        return max(int(age), 0), "Male" if gender == 1 else "Female"

    def _rehearse(self, folder: Path) -> int:
        """Run every network once, so that what is wrong shows now; returns the dimension."""
        black = np.zeros((max(self._sizes),) * 2 + (3,), np.uint8)
        corners = np.array([(30, 40), (80, 40), (55, 65), (35, 90), (75, 90)], np.float32)
        probe = _Detection(black, (0.0, 0.0, 112.0, 112.0), 1.0, corners)
        try:
            list(self._detect(black))
            vectors = self._recogniser.get_feat([crop_face(black, corners, self._side)])
            self._age_and_gender(probe)
        except Exception as error:  # ONNX Runtime's own classes share no base but this
            raise EngineError(f"pack {folder} does not run: {error}; {remedy(folder)}") from None
        return int(vectors.shape[1])


def input_size(image: Image, side: int) -> tuple[int, int] | None:
    """Width and height of the detector's input for a picture scaled to this longer side.

    InsightFace would pad to a square; of that only the part that holds the picture is worth
    computing. None if the picture is so narrow that nothing would be left of it.
    """
    height, width = image.shape[:2]
    scale = side / max(height, width)
    shorter = int(min(height, width) * scale)
    if shorter < 1:
        return None
    padded = -(-shorter // _STRIDE) * _STRIDE
    return (side, padded) if width >= height else (padded, side)


def _load(folder: Path, config: EngineConfig) -> dict[str, Any]:
    options = session_options(inference_threads(config.threads))
    models: dict[str, Any] = {}
    try:
        with quiet_fallback():
            app = FaceAnalysis(
                name=str(folder),  # always a folder: a name would be downloaded
                allowed_modules=list(_TASKS),
                providers=config.providers,
                sess_options=options,
                # One dynamic session serves every size; one session per size costs memory.
                static_shape_sessions=False,
            )
        app.prepare(ctx_id=0, det_thresh=config.detection_confidence_min / 100.0)
        models = app.models
        if config.providers == [CPU] and "recognition" in models:
            _speed_up(models["recognition"], options)
    except AssertionError:
        pass  # InsightFace's way to say that there is no detector; told in our words below
    except Exception as error:  # a damaged file raises whatever its reader raises
        require_whole(folder)
        raise EngineError(f"pack {folder} cannot be loaded: {error}; {remedy(folder)}") from None
    for task in ("detection", "recognition"):
        if task not in models:
            require_whole(folder)
            raise EngineError(f"pack {folder} has no {task} model; {remedy(folder)}")
    if not models["detection"].use_kps:
        raise EngineError(
            f"the detector of pack {folder} gives no landmarks to align faces by; {remedy(folder)}"
        )
    require_in_use((model.session for model in models.values()), config.providers)
    return models


def _speed_up(recogniser: Any, options: onnxruntime.SessionOptions) -> None:
    """The same network, the same numbers, in half the time.

    Measured with MobileFaceNet. Large networks are left alone: they would be held several
    times while they are loaded.
    """
    if Path(recogniser.model_file).stat().st_size > _SPED_UP_BYTES_MAX:
        return
    model = onnx.load(recogniser.model_file)
    if not spell_out_prelu(model):
        return
    faces = np.random.default_rng(1).integers(0, 256, (2, 112, 112, 3), np.uint8)
    published = recogniser.session
    before = recogniser.get_feat(list(faces))
    recogniser.session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=[CPU]
    )
    # A build of ONNX Runtime that computes it otherwise must not make strangers of friends.
    if not np.allclose(recogniser.get_feat(list(faces)), before, atol=1e-3 * np.abs(before).max()):
        log.warning("%s runs as published, slower: its faster form differs", recogniser.model_file)
        recogniser.session = published


def _licence(folder: Path) -> str:
    inspection = inspect_model_package_license(folder)
    if inspection.defaulted:
        return NON_COMMERCIAL
    return f"InsightFace weights: {inspection.grant or inspection.message}"
