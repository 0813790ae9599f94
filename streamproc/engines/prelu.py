"""PRelu spelled out in operators that ONNX Runtime runs fast on a CPU.

Pure: a graph in, a graph out that computes the same numbers. ONNX Runtime has no PRelu for the
blocked layout (NCHWc) in which it runs convolutions: it unpacks its input, works element by
element and packs it again, which takes about half the time of MobileFaceNet. With slope s,

    PRelu(x) = Relu(x) - s Relu(-x)

whose products by channel are written as BatchNormalization of mean 0, variance 1 and epsilon 0:
that one it runs in the blocked layout. One of the two terms is always 0 and nothing is rounded
that PRelu does not round.
"""

from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

_OPSET_MIN = 9  # the first in which BatchNormalization has the inputs and attributes used here


def spell_out_prelu(model: onnx.ModelProto) -> int:
    """Replace every PRelu that has a constant slope per channel of a picture; how many there
    were. The model is changed in place."""
    opset = next((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), 0)
    if opset < _OPSET_MIN:
        return 0
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    replaced = 0
    for node in graph.node:
        slope = constants.get(node.input[1]) if node.op_type == "PRelu" else None
        if slope is None or len(slope.dims) != 3 or tuple(slope.dims[1:]) != (1, 1):
            nodes.append(node)
            continue
        nodes += _spelled(graph, node, numpy_helper.to_array(slope).reshape(-1))
        replaced += 1
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return replaced


def _spelled(
    graph: onnx.GraphProto, node: onnx.NodeProto, slope: NDArray[np.floating]
) -> Iterator[onnx.NodeProto]:
    source, (result,) = node.input[0], node.output
    name = f"{result}/prelu"
    ones = np.ones_like(slope)

    def constant(what: str, values: NDArray[np.floating]) -> str:
        graph.initializer.append(numpy_helper.from_array(values, f"{name}/{what}"))
        return f"{name}/{what}"

    zero, one = constant("zero", np.zeros_like(slope)), constant("one", ones)

    def times(what: str, values: NDArray[np.floating], factor: str, product: str) -> onnx.NodeProto:
        inputs = [factor, constant(what, values), zero, zero, one]
        return helper.make_node("BatchNormalization", inputs, [product], epsilon=0.0)

    yield helper.make_node("Relu", [source], [f"{name}/above"])
    yield times("minus_one", -ones, source, f"{name}/turned")
    yield helper.make_node("Relu", [f"{name}/turned"], [f"{name}/below"])
    yield times("minus_slope", -slope, f"{name}/below", f"{name}/sloped")
    yield helper.make_node("Add", [f"{name}/above", f"{name}/sloped"], [result])
