"""A network laid out as SCRFD is, of random weights: what it sees is chance, and the same each
time it is asked."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS, STRIDES = 8, (8, 16, 32)


def toy_scrfd(*, kernel: int = 3, share_features: bool = True) -> onnx.ModelProto:
    """Pooled features, and per stride one convolution each for scores, edges and points."""
    chance = np.random.default_rng(8)
    nodes, constants, outputs = [], [], {}
    for stride in STRIDES:
        square = [stride, stride]
        for suffix in ("", "_b"):
            name = f"features{suffix}_{stride}"
            weights = chance.normal(0, 1, (CHANNELS, 3, 1, 1)).astype(np.float32)
            constants.append(numpy_helper.from_array(weights, f"{name}_w"))
            nodes += [
                helper.make_node("AveragePool", ["input"], [f"{name}_p"], kernel_shape=square,
                                 strides=square),
                helper.make_node("Conv", [f"{name}_p", f"{name}_w"], [f"{name}_c"]),
                helper.make_node("Relu", [f"{name}_c"], [name]),
            ]  # fmt: skip
        for kind, width in (("score", 1), ("box", 4), ("kps", 10)):
            name = f"{kind}_{stride}"
            shape = (2 * width, CHANNELS, kernel, kernel)
            source = "features" if share_features or kind != "kps" else "features_b"
            drawn = chance.normal(0, 0.3, shape), chance.normal(0, 1, 2 * width)
            # Features are not negative, so neither are edges: boxes that no network would give
            # are suppressed one way or another.
            slopes, bias = (np.abs(one) if kind == "box" else one for one in drawn)
            constants += [
                numpy_helper.from_array(slopes.astype(np.float32), f"{name}_w"),
                numpy_helper.from_array(bias.astype(np.float32), f"{name}_b"),
                numpy_helper.from_array(np.array([-1, width], np.int64), f"{name}_shape"),
            ]
            nodes += [
                helper.make_node("Conv", [f"{source}_{stride}", f"{name}_w", f"{name}_b"],
                                 [f"{name}_c"], kernel_shape=[kernel, kernel],
                                 pads=[kernel // 2] * 4, strides=[1, 1], dilations=[1, 1], group=1),
                helper.make_node("Transpose", [f"{name}_c"], [f"{name}_t"], perm=[2, 3, 0, 1]),
            ]  # fmt: skip
            flat = f"{name}_r" if kind == "score" else name
            nodes.append(helper.make_node("Reshape", [f"{name}_t", f"{name}_shape"], [flat]))
            if kind == "score":
                nodes.append(helper.make_node("Sigmoid", [flat], [name]))
            outputs[kind, stride] = _value(name, ["n", width])
    graph = helper.make_graph(
        nodes,
        "toy",
        [_value("input", [1, 3, "h", "w"])],
        [outputs[kind, stride] for kind in ("score", "box", "kps") for stride in STRIDES],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def _value(name: str, shape: list[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
