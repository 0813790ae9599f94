"""A pack's networks, loaded by InsightFace's own classes and made faster where we know how.

A faster form computes the same numbers, is tried beside the published one on this machine, and
is left aside if it does not. Knows what a pack must hold; knows nothing of pictures.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from insightface.app import FaceAnalysis
from insightface.model_zoo.model_license import inspect_model_package_license
from numpy.typing import NDArray

from streamproc.engines.doubling import double_by_factor
from streamproc.engines.packs import NON_COMMERCIAL, remedy, require_whole
from streamproc.engines.prelu import spell_out_prelu
from streamproc.engines.runtime import (
    CPU,
    inference_threads,
    quiet_fallback,
    require_in_use,
    session_options,
)
from streamproc.engines.scrfd import Scrfd
from streamproc.engines.scrfd_heads import split_heads
from streamproc.errors import EngineError
from streamproc.settings import EngineConfig

log = logging.getLogger(__name__)

_TASKS = ("detection", "recognition", "genderage")

_SPED_UP_BYTES_MAX = 64 * 1024 * 1024
"""Larger networks are left alone: they would be held several times while they are loaded."""


@dataclass(frozen=True, slots=True)
class Models:
    detector: Scrfd
    recogniser: Any  # InsightFace's ArcFaceONNX
    attributes: Any | None  # InsightFace's Attribute, where the pack has one


def load_models(folder: Path, config: EngineConfig) -> Models:
    """Raises EngineError, with the remedy, if the pack lacks a network or one is damaged."""
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
        app.prepare(ctx_id=0)
        models = app.models
    except AssertionError:
        pass  # InsightFace's way to say that there is no detector; told in our words below
    except Exception as error:  # a damaged file raises whatever its reader raises
        require_whole(folder)
        raise EngineError(f"pack {folder} cannot be loaded: {error}; {remedy(folder)}") from None
    for task in ("detection", "recognition"):
        if task not in models:
            require_whole(folder)
            raise EngineError(f"pack {folder} has no {task} model; {remedy(folder)}")
    published, recogniser = models["detection"], models["recognition"]
    if not published.use_kps:
        raise EngineError(
            f"the detector of pack {folder} gives no landmarks to align faces by; {remedy(folder)}"
        )
    require_in_use((model.session for model in models.values()), config.providers)
    try:
        detector = _detector(published, config, options)
        if config.providers == [CPU]:
            _speed_up(recogniser, options)
    except Exception as error:  # ONNX Runtime's own classes share no base but this
        raise EngineError(f"pack {folder} does not run: {error}; {remedy(folder)}") from None
    return Models(detector, recogniser, models.get("genderage"))


def licence_of(folder: Path) -> str:
    """What the pack's own licence file says; where it has none, InsightFace's general terms."""
    inspection = inspect_model_package_license(folder)
    if inspection.defaulted:
        return NON_COMMERCIAL
    return f"InsightFace weights: {inspection.grant or inspection.message}"


def _detector(published: Any, config: EngineConfig, options: onnxruntime.SessionOptions) -> Scrfd:
    as_published = Scrfd(published, config.detection_confidence_min)
    if config.providers != [CPU] or _is_large(published):
        return as_published
    noise = np.random.default_rng(1).integers(0, 256, (96, 128, 3), np.uint8)
    expected = as_published.candidates(noise, 0.0)
    try:
        model = onnx.load(published.model_file)
        double_by_factor(model)
        if (heads := split_heads(model, as_published.levels)) is None:
            return as_published
        session = _session(model, options)
        faster = Scrfd(published, config.detection_confidence_min, session, heads)
        found = faster.candidates(noise, 0.0)
    except Exception as error:  # a network made otherwise than those we know
        _tell_slower(published, error)
        return as_published
    if all(_agree(ours, theirs) for ours, theirs in zip(found, expected, strict=True)):
        return faster
    _tell_slower(published, "it differs")
    return as_published


def _speed_up(recogniser: Any, options: onnxruntime.SessionOptions) -> None:
    if _is_large(recogniser):
        return
    batch = recogniser.input_shape[0]
    count = batch if isinstance(batch, int) else 2
    faces = list(np.random.default_rng(1).integers(0, 256, (count, 112, 112, 3), np.uint8))
    published = recogniser.session
    expected = recogniser.get_feat(faces)
    try:
        model = onnx.load(recogniser.model_file)
        if not spell_out_prelu(model):
            return
        recogniser.session = _session(model, options)
        found = recogniser.get_feat(faces)
    except Exception as error:  # as above
        _tell_slower(recogniser, error)
        recogniser.session = published
        return
    if not _agree(found, expected):
        _tell_slower(recogniser, "it differs")
        recogniser.session = published


def _tell_slower(model: Any, why: object) -> None:
    log.warning("%s runs as published, slower; its faster form: %s", model.model_file, why)


def _is_large(model: Any) -> bool:
    return Path(model.model_file).stat().st_size > _SPED_UP_BYTES_MAX


def _session(
    model: onnx.ModelProto, options: onnxruntime.SessionOptions
) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=[CPU])


def _agree(ours: NDArray[np.float32], published: NDArray[np.float32]) -> bool:
    """A build of ONNX Runtime that computes it otherwise must not make strangers of friends."""
    scale = float(np.abs(published).max())
    return ours.shape == published.shape and np.allclose(ours, published, atol=1e-3 * scale)
