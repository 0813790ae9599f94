"""YOLOX, a detector of COCO's everyday objects, on ONNX Runtime.

Knows the network's input (a letterbox with the picture at its top left) and what its raw output
means; knows nothing of what the classes mean to anybody. Safe to call from several threads:
ONNX sessions allow it, and nothing else is kept.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamproc.engines.coco import CLASSES
from streamproc.engines.models import find_model, remedy, sha256_of
from streamproc.engines.packs import model_version
from streamproc.engines.runtime import open_session
from streamproc.errors import EngineError
from streamproc.model.detection import Detection
from streamproc.model.face import BoundingBox
from streamproc.model.media import Image

_STRIDES = (8, 16, 32)
_VALUES = 4 + 1 + len(CLASSES)  # of each cell: centre and size, objectness, classes
_PADDING = 114  # the grey that YOLOX was trained with
_SAME_OBJECT = 0.45  # intersection over union, within a class
_SCORE_MIN = 0.1
_MODEL = find_model("yolox_nano_coco")


class YoloxDetector:
    """A YOLOX network whose input has one fixed size and whose output is not decoded yet, as the
    authors' export gives it without --decode_in_inference."""

    def __init__(self, path: Path, providers: Sequence[str], threads: int) -> None:
        """threads: pictures looked at at once; 0 means one per core.

        Raises EngineError, with the remedy, if the file is no such network or does not run.
        """
        self._session = open_session(path, providers, threads, _remedy(path))
        height, width = self._sides = _input_sides(self._session, path)
        self._grid, self._strides = _cells(height, width)
        self._input = self._session.get_inputs()[0].name
        self._rehearse(path)
        self.version = model_version(sha256_of(path))
        """Digits and dots; changes with the weights."""

    def detect(self, image: Image) -> list[Detection]:
        """The objects of a picture, surest first, boxes cut at its edges; from a confidence of 10.

        The confidence is 100 × objectness × class score: it orders, and is no probability.
        """
        planes, scale = letterbox(image, self._sides)
        (raw,) = self._session.run(None, {self._input: planes})
        return self._detections(raw[0], image, scale)

    def _detections(
        self, cells: NDArray[np.float32], image: Image, scale: float
    ) -> list[Detection]:
        classes = cells[:, 5:].argmax(axis=1)
        scores = cells[:, 4] * np.take_along_axis(cells[:, 5:], classes[:, None], axis=1)[:, 0]
        sure = np.flatnonzero(scores >= _SCORE_MIN)
        classes, scores = classes[sure], scores[sure]
        sizes = np.exp(cells[sure, 2:4]) * self._strides[sure]
        corners = (cells[sure, :2] + self._grid[sure]) * self._strides[sure] - sizes / 2
        kept = cv2.dnn.NMSBoxesBatched(
            np.hstack([corners, sizes]).tolist(),
            scores.tolist(),
            classes.tolist(),
            0.0,
            _SAME_OBJECT,
        )
        boxes = _ratios(corners / scale, (corners + sizes) / scale, image)
        found = [
            Detection(CLASSES[classes[at]], min(float(scores[at]) * 100.0, 100.0), boxes[at])
            for at in kept
            if boxes[at].area > 0  # the rest saw something in the padding
        ]
        return sorted(found, key=lambda detection: detection.confidence, reverse=True)

    def _rehearse(self, path: Path) -> None:
        """Run once, so that what is wrong shows now."""
        height, width = self._sides
        try:
            planes, _ = letterbox(np.zeros((height, width, 3), np.uint8), self._sides)
            (raw,) = self._session.run(None, {self._input: planes})
        except Exception as error:  # ONNX Runtime's own classes share no base but this
            raise EngineError(f"{path} does not run: {error}; {_remedy(path)}") from None
        wanted = (1, len(self._grid), _VALUES)
        if raw.shape != wanted:
            raise EngineError(
                f"{path} gives {_shape(raw.shape)} for a picture of {width}x{height}, and not "
                f"{_shape(wanted)}, as YOLOX does for {len(CLASSES)} classes; {_remedy(path)}"
            )


def letterbox(image: Image, sides: tuple[int, int]) -> tuple[NDArray[np.float32], float]:
    """The network's input, shape (1, 3, height, width), BGR 0 to 255, and the scale at which the
    picture lies in it: as large as fits, at the top left, grey beside it."""
    height, width = image.shape[:2]
    scale = min(sides[0] / height, sides[1] / width)
    shown = (max(1, round(width * scale)), max(1, round(height * scale)))
    padded = np.full((*sides, 3), _PADDING, np.uint8)
    padded[: shown[1], : shown[0]] = cv2.resize(image, shown, interpolation=cv2.INTER_LINEAR)
    planes = np.ascontiguousarray(padded.transpose(2, 0, 1)[None], dtype=np.float32)
    return planes, scale


def _cells(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Column and row of every cell, shape (cells, 2), and its stride, shape (cells, 1), in the
    order of the output: stride by stride, row by row."""
    grids, strides = [], []
    for stride in _STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        grids.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        strides.append(np.full((rows.size, 1), stride))
    return np.vstack(grids).astype(np.float32), np.vstack(strides).astype(np.float32)


def _ratios(
    top_left: NDArray[np.floating], bottom_right: NDArray[np.floating], image: Image
) -> list[BoundingBox]:
    size = np.array([image.shape[1], image.shape[0]], np.float32)
    start, end = np.clip(top_left / size, 0, 1), np.clip(bottom_right / size, 0, 1)
    return [BoundingBox(*box) for box in np.hstack([start, end - start]).tolist()]


def _input_sides(session: Any, path: Path) -> tuple[int, int]:
    """Height and width of the input."""
    inputs = session.get_inputs()
    shape = inputs[0].shape if len(inputs) == 1 else [one.shape for one in inputs]
    match shape:
        case [1, 3, int(height), int(width)] if height % 32 == 0 and width % 32 == 0:
            return height, width
    raise EngineError(
        f"{path} wants {_shape(shape)} as its input, and not one picture of 1x3xHxW with fixed "
        f"sides, multiples of 32; {_remedy(path)}"
    )


def _shape(sides: Sequence[Any]) -> str:
    return "x".join(map(str, sides))


def _remedy(path: Path) -> str:
    return remedy(_MODEL, path.parent)
