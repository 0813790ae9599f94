"""PRelu in other words: the same numbers."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from streamproc.engines import insightface_models
from streamproc.engines.insightface import InsightFaceEngine
from streamproc.engines.prelu import spell_out_prelu
from streamproc.settings import EngineConfig


def outputs(model: onnx.ModelProto, pictures: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (result,) = session.run(None, {session.get_inputs()[0].name: pictures})
    return np.asarray(result)


def assert_same(ours: np.ndarray, published: np.ndarray) -> None:
    """But for rounding."""
    np.testing.assert_allclose(ours, published, rtol=0, atol=5e-6 * np.abs(published).max())


def two_layers(slope: np.ndarray, opset: int = 13) -> onnx.ModelProto:
    """A convolution and a PRelu, twice, as in a face network."""
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=(16, channels, 3, 3)).astype(np.float32) for channels in (3, 16)]
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["picture", "w0"], ["a"], pads=[1] * 4),
            helper.make_node("PRelu", ["a", "slope"], ["b"]),
            helper.make_node("Conv", ["b", "w1"], ["c"], pads=[1] * 4),
            helper.make_node("PRelu", ["c", "slope"], ["out"]),
        ],
        "two layers",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["N", 3, 12, 12])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", 16, 12, 12])],
        [
            numpy_helper.from_array(weights[0], "w0"),
            numpy_helper.from_array(weights[1], "w1"),
            numpy_helper.from_array(slope.astype(np.float32), "slope"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


PICTURES = np.random.default_rng(2).normal(size=(3, 3, 12, 12)).astype(np.float32)


@pytest.mark.parametrize("opset", [9, 11, 13, 17])
def test_slopes_of_any_sign_and_size_give_the_same_numbers(opset: int) -> None:
    slope = np.linspace(-1.6, 2.4, 16).reshape(16, 1, 1)
    model = two_layers(slope, opset)
    before = outputs(model, PICTURES)
    assert spell_out_prelu(model) == 2
    onnx.checker.check_model(model)
    assert not [node for node in model.graph.node if node.op_type == "PRelu"]
    assert_same(outputs(model, PICTURES), before)


def read_by(*readers: onnx.NodeProto, groups: int) -> onnx.ModelProto:
    """A PRelu of slopes on both sides of 1, and what reads it, the last of which is told."""
    chance = np.random.default_rng(3)
    slope = np.array([0.2, 1.0, 1.7, -0.4, 1 + 1e-9, 2.4, 0.9999999, 1.2]).reshape(8, 1, 1)
    constants = {
        "slope": slope,
        "first": chance.normal(size=(8, 3, 3, 3)),
        "second": chance.normal(size=(16, 8 // groups, 1, 1)),
        "third": chance.normal(size=(16, 8 // groups, 1, 1)),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["picture", "first"], ["a"]),
            helper.make_node("PRelu", ["a", "slope"], ["b"]),
            *readers,
        ],
        "read",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["N", 3, 12, 12])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", "C", 10, 10])],
        [
            numpy_helper.from_array(one.astype(np.float32), name)
            for name, one in constants.items()
            if name in {"slope", "first"}.union(*(node.input for node in readers))
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_a_sign_is_taken_back_in_the_weights_of_whatever_convolution_reads_it(groups: int) -> None:
    second = helper.make_node("Conv", ["b", "second"], ["c"], group=groups)
    third = helper.make_node("Conv", ["b", "third"], ["d"], group=groups)
    model = read_by(second, third, helper.make_node("Add", ["c", "d"], ["out"]), groups=groups)
    before = outputs(model, PICTURES)
    assert spell_out_prelu(model) == 1
    assert len([node for node in model.graph.node if node.op_type == "BatchNormalization"]) == 2
    assert_same(outputs(model, PICTURES), before)


def test_where_something_else_reads_it_the_sign_is_taken_back_before() -> None:
    conv = helper.make_node("Conv", ["b", "second"], ["c"])
    mean = helper.make_node("ReduceMean", ["b"], ["d"], keepdims=1)
    model = read_by(conv, mean, helper.make_node("Add", ["c", "d"], ["out"]), groups=1)
    before = outputs(model, PICTURES)
    assert spell_out_prelu(model) == 1
    assert_same(outputs(model, PICTURES), before)


def test_a_slope_that_is_not_one_per_channel_is_left_alone() -> None:
    model = two_layers(np.full((1,), 0.25))
    before = model.SerializeToString()
    assert spell_out_prelu(model) == 0
    assert model.SerializeToString() == before


@pytest.mark.testdata
def test_a_real_recogniser_gives_the_same_embeddings(testdata: Path) -> None:
    model = onnx.load(testdata / "models" / "mbf_arcface" / "mbf_arcface_y1.onnx")
    faces = np.random.default_rng(3).uniform(0, 255, (4, 3, 112, 112)).astype(np.float32)
    before = outputs(model, faces)
    assert spell_out_prelu(model) == 33
    after = outputs(model, faces)
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4 * np.abs(before).max())


@pytest.mark.testdata
def test_a_faster_form_that_differs_is_not_used(
    testdata: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def spoil(model: onnx.ModelProto) -> int:
        weights = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
        doubled = numpy_helper.to_array(weights) * np.float32(2)
        weights.CopyFrom(numpy_helper.from_array(doubled, weights.name))
        return 1

    image = np.random.default_rng(4).integers(0, 256, (112, 112, 3), np.uint8)
    config = EngineConfig(pack=str(testdata / "models" / "mbf_arcface"))
    honest = InsightFaceEngine(config)._recogniser.get_feat([image])
    monkeypatch.setattr(insightface_models, "spell_out_prelu", spoil)
    guarded = InsightFaceEngine(config)._recogniser.get_feat([image])
    np.testing.assert_allclose(guarded, honest, rtol=1e-4, atol=1e-4)
    assert "runs as published" in caplog.text
