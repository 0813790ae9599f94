"""Networks of the registry's names and shapes whose answers are known, as files that pass for
the registry's. The toy mesh sees a face wherever its window is not black."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

from streamproc.engines import models
from streamproc.engines.face_mesh import LANDMARKS
from streamproc.engines.packs import file_sha256

WINDOW = 256  # pixels of the mesh's input, of which the face's box takes two thirds

POINTS = {"eyeLeft": (88, 98), "eyeRight": (168, 98), "nose": (128, 130), "chinBottom": (128, 212)}
"""Where the toy mesh has them in its window; the brows and the base of the nose, which the band
of the eyes is cut by, lie between the eyes."""

BLINKS, JAW_OPEN, SMILES = 0.065, 0.54, 0.75  # coefficients
SHARES = (0.05, 0.0, 0.1, 0.2, 0.25, 0.1, 0.3)  # of the seven emotions
GLASSES = -2.0  # a logit


def install(folder: Path, *names: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write these models there, and have the registry expect them."""
    for name in names:
        model = models.MODELS[name]
        onnx.save(_TOYS[name], folder / model.file)
        digest = file_sha256(folder / model.file)
        monkeypatch.setitem(models.MODELS, name, replace(model, sha256=digest))
    return folder


def _mesh() -> onnx.ModelProto:
    points = np.zeros((478, 3), np.float32)
    points[:, :2] = (128, 110)
    points[[70, 98]], points[[300, 327]] = (100, 90, 0), (156, 120, 0)
    for name, place in POINTS.items():
        points[LANDMARKS[name], :2] = place
    nodes = [
        *_constant("input", "Identity"),
        helper.make_node("ReduceMax", ["input"], ["brightest"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Sub", ["brightest", "dim"], ["Identity_1"]),
    ]
    outputs = {"Identity": [1434], "Identity_1": [1]}
    return _model(
        nodes, [1, 256, 256, 3], outputs, {"Identity": points.ravel(), "dim": np.float32(0.01)}
    )


def _blendshapes() -> onnx.ModelProto:
    coefficients = np.zeros(52, np.float32)
    coefficients[[9, 10]], coefficients[25], coefficients[[44, 45]] = BLINKS, JAW_OPEN, SMILES
    return _constant_model([1, 146, 2], [52], coefficients)


def _constant_model(
    shape: list[int | str], answer_shape: list[int], answer: ArrayLike
) -> onnx.ModelProto:
    values = {"answer": np.array(answer, np.float32)}
    return _model(_constant("input", "answer"), shape, {"answer": answer_shape}, values)


def _constant(given: str, answer: str) -> list[onnx.NodeProto]:
    """Whatever is given, the value of this name; a network must use its input."""
    return [
        helper.make_node("ReduceMax", [given], [f"{answer}_any"], keepdims=0),
        helper.make_node("Mul", [f"{answer}_any", "nought"], [f"{answer}_nought"]),
        helper.make_node("Add", [f"{answer}_value", f"{answer}_nought"], [answer]),
    ]


def _model(
    nodes: list[onnx.NodeProto],
    shape: list[int | str],
    outputs: Mapping[str, list[int]],
    values: Mapping[str, ArrayLike],
) -> onnx.ModelProto:
    constants = [numpy_helper.from_array(np.zeros((), np.float32), "nought")]
    for name, value in values.items():
        stored = f"{name}_value" if name in outputs else name
        constants.append(numpy_helper.from_array(np.asarray(value, np.float32), stored))
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, size)
            for name, size in outputs.items()
        ],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


_TOYS = {
    "mediapipe_face_landmarks": _mesh(),
    "mediapipe_face_blendshapes": _blendshapes(),
    "emotion_fer2013": _constant_model(["n", 64, 64, 1], [4, 7], [SHARES] * 4),
    "glasses_mobilenetv3s": _constant_model([1, 64, 128, 3], [1, 1], [[GLASSES]]),
}
