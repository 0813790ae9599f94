"""Pictures that our packages carry, engines, and a pack of toy networks.

The toy pack has InsightFace's layout and real ONNX networks, so that loading, batching and
failing can be tested on any machine; its detector "finds" a face of 64 pixels wherever a
patch of 32 pixels is white.
"""

from pathlib import Path

import numpy as np
import onnx
import pytest
import skimage.data
from insightface.data import get_image
from onnx import TensorProto, helper, numpy_helper

from streamproc.engines.base import FaceEngine
from streamproc.engines.load import load_engine
from streamproc.model.media import Image
from streamproc.settings import EngineConfig


@pytest.fixture(scope="session")
def astronaut() -> Image:
    """Eileen Collins, 512 × 512."""
    rgb = skimage.data.astronaut()  # type: ignore[no-untyped-call]
    return np.ascontiguousarray(rgb[:, :, ::-1])


@pytest.fixture(scope="session")
def six_people() -> Image:
    """Six faces, 1280 × 886."""
    picture: Image = get_image("t1")
    return picture


@pytest.fixture(scope="session")
def filling_face() -> Image:
    """A face that fills its picture, 112 × 112."""
    picture: Image = get_image("Tom_Hanks_54745")
    return picture


@pytest.fixture(scope="session")
def dlib_engine() -> FaceEngine:
    return load_engine(EngineConfig(name="dlib"))


@pytest.fixture(scope="session")
def mbf_folder(testdata: Path) -> Path:
    return testdata / "models" / "mbf_arcface"


@pytest.fixture(scope="session")
def mbf_engine(mbf_folder: Path) -> FaceEngine:
    return load_engine(EngineConfig(pack=str(mbf_folder)))


@pytest.fixture
def toy_pack(tmp_path: Path) -> Path:
    folder = tmp_path / "toys"
    folder.mkdir()
    onnx.save(_detector(), folder / "detector.onnx")
    onnx.save(_recogniser(), folder / "recogniser.onnx")
    onnx.save(_attributes(), folder / "genderage.onnx")
    return folder


def _detector() -> onnx.ModelProto:
    """SCRFD's nine outputs: scores, edges and points at strides 8, 16 and 32. Only stride 32
    ever speaks: a white patch scores 0.98, its edges are one stride away."""
    nodes, constants, outputs = [], [], []
    points = np.array([-0.5, -0.4, 0.5, -0.4, 0.0, 0.1, -0.4, 0.6, 0.4, 0.6])
    for kind, width, bias in (("score", 1, -12.0), ("box", 4, 1.0), ("kps", 10, 0.0)):
        for stride in (8, 16, 32):
            name = f"{kind}_{stride}"
            weights = np.zeros((2 * width, 3, 1, 1), np.float32)
            biases = np.full(2 * width, bias, np.float32)
            if kind == "kps":
                biases[:] = np.tile(points, 2)
            if kind == "score" and stride == 32:
                weights[0] = 16.0 / 3
            constants += [
                numpy_helper.from_array(weights, f"{name}_w"),
                numpy_helper.from_array(biases, f"{name}_b"),
                numpy_helper.from_array(np.array([-1, width], np.int64), f"{name}_shape"),
            ]
            square = [stride, stride]
            nodes += [
                helper.make_node(
                    "AveragePool", ["input"], [f"{name}_p"], kernel_shape=square, strides=square
                ),
                helper.make_node("Conv", [f"{name}_p", f"{name}_w", f"{name}_b"], [f"{name}_c"]),
                helper.make_node("Transpose", [f"{name}_c"], [f"{name}_t"], perm=[0, 2, 3, 1]),
                helper.make_node("Reshape", [f"{name}_t", f"{name}_shape"], [f"{name}_r"]),
                helper.make_node(
                    "Sigmoid" if kind == "score" else "Identity", [f"{name}_r"], [name]
                ),
            ]
            outputs.append(_value(name, ["n", width]))
    return _model(nodes, [_value("input", [1, 3, "h", "w"])], outputs, constants)


def _recogniser() -> onnx.ModelProto:
    """48 dimensions: the mean colours of sixteen parts of the aligned face."""
    nodes = [
        helper.make_node("AveragePool", ["data"], ["p"], kernel_shape=[28, 28], strides=[28, 28]),
        helper.make_node("Flatten", ["p"], ["embedding"]),
    ]
    return _model(nodes, [_value("data", ["n", 3, 112, 112])], [_value("embedding", ["n", 48])])


def _attributes() -> onnx.ModelProto:
    """Female score, male score and age in hundreds of years: always a man of 40 and more."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["data"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Mul", ["f", "zero"], ["z"]),
        helper.make_node("Add", ["z", "answer"], ["fc1"]),
    ]
    constants = [
        numpy_helper.from_array(np.zeros(3, np.float32), "zero"),
        numpy_helper.from_array(np.array([0.1, 0.9, 0.42], np.float32), "answer"),
    ]
    return _model(nodes, [_value("data", ["n", 3, 96, 96])], [_value("fc1", ["n", 3])], constants)


def _value(name: str, shape: list[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    constants: list[onnx.TensorProto] | None = None,
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "toy", inputs, outputs, constants or [])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
