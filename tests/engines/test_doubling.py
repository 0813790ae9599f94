"""Growing by a factor is growing to a size, where the size is twice as much."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from streamproc.engines.doubling import double_by_factor


def two_grids(opset: int) -> onnx.ModelProto:
    """A coarse grid grown to the size of a fine one and added to it, as in SCRFD's neck."""
    chance = np.random.default_rng(4)
    weights = [chance.normal(size=(16, 3, side, side)).astype(np.float32) for side in (8, 16)]
    nodes = [
        helper.make_node("Conv", ["picture", "w8"], ["fine"], strides=[8, 8]),
        helper.make_node("Conv", ["picture", "w16"], ["coarse"], strides=[16, 16]),
        helper.make_node("Shape", ["fine"], ["shape"]),
        helper.make_node("Resize", ["coarse", "nowhere", "nowhere", "shape"], ["grown"],
                         mode="nearest", nearest_mode="floor",
                         coordinate_transformation_mode="asymmetric"),
        helper.make_node("Add", ["fine", "grown"], ["out"]),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "two grids",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 16, "y", "x"])],
        [
            numpy_helper.from_array(weights[0], "w8"),
            numpy_helper.from_array(weights[1], "w16"),
            numpy_helper.from_array(np.empty(0, np.float32), "nowhere"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def out(model: onnx.ModelProto, height: int, width: int) -> np.ndarray:
    picture = np.random.default_rng(5).normal(size=(1, 3, height, width)).astype(np.float32)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(None, {"picture": picture})[0])


@pytest.mark.parametrize("opset", [11, 13, 17])
@pytest.mark.parametrize(("height", "width"), [(96, 128), (32, 32), (384, 640)])
def test_the_numbers_are_the_same(opset: int, height: int, width: int) -> None:
    model = two_grids(opset)
    before = out(model, height, width)
    assert double_by_factor(model) == 1
    onnx.checker.check_model(model)
    assert "Shape" not in {node.op_type for node in model.graph.node}
    np.testing.assert_allclose(out(model, height, width), before, rtol=1e-6, atol=1e-6)


def test_what_already_has_a_factor_is_left_alone() -> None:
    model = two_grids(13)
    double_by_factor(model)
    before = model.SerializeToString()
    assert double_by_factor(model) == 0
    assert model.SerializeToString() == before


@pytest.mark.testdata
def test_a_real_detector_doubles_twice(testdata: Path) -> None:
    model = onnx.load(testdata / "models" / "mbf_arcface" / "det_500m.onnx")
    assert double_by_factor(model) == 2
    assert not {"Shape", "Gather", "Slice"} & {node.op_type for node in model.graph.node}
