"""PRelu spelled out in operators that ONNX Runtime runs fast on a CPU.

Pure: a graph in, a graph out that computes the same numbers but for rounding. ONNX Runtime has no
PRelu for the blocked layout (NCHWc) in which it runs convolutions: it unpacks its input, works
element by element and packs it again, which takes about half the time of MobileFaceNet. With slope
s, where s < 1, and y = (1 - s) x,

    PRelu(x) = Relu(y) + s / (1 - s) y

The product that makes y disappears in the convolution before; the other one, by channel, is
written as BatchNormalization of mean 0, variance 1 and epsilon 0, which runs in the blocked layout
and adds in the same pass. Where s > 1 the same with y = (s - 1) x gives -PRelu(x); the sign is
taken back in the weights of the convolutions behind.
"""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from streamproc.engines.graphs import add_constant, constants_of, drop_unused

_OPSET_MIN = 9  # the first in which BatchNormalization has the inputs and attributes used here

_NEAREST_TO_1 = 2.0**-20
"""A slope nearer to 1 is taken for one so far from it, which changes no more than rounding does."""


def spell_out_prelu(model: onnx.ModelProto) -> int:
    """Replace every PRelu that has a constant slope per channel of a picture; how many there
    were. The model is changed in place."""
    opset = next((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), 0)
    if opset < _OPSET_MIN:
        return 0
    graph = model.graph
    constants = constants_of(graph)
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
    drop_unused(graph)
    return replaced


def _spelled(
    graph: onnx.GraphProto, node: onnx.NodeProto, slope: NDArray[np.floating]
) -> list[onnx.NodeProto]:
    source, (result,) = node.input[0], node.output
    name = f"{result}/prelu"
    slope = slope.astype(np.float64)
    sign = np.where(slope < 1, 1.0, -1.0)
    apart = np.maximum(np.abs(1 - slope), _NEAREST_TO_1)
    spelled = [
        _times(graph, apart, source, f"{name}/y"),
        helper.make_node("Relu", [f"{name}/y"], [f"{name}/above"]),
        _times(graph, sign * slope / apart, f"{name}/y", f"{name}/sloped"),
        helper.make_node("Add", [f"{name}/above", f"{name}/sloped"], [result]),
    ]
    if (sign < 0).any() and not _take_back(graph, result, sign):
        spelled[-1].output[0] = f"{name}/signed"
        spelled.append(_times(graph, sign, f"{name}/signed", result))
    return spelled


def _times(
    graph: onnx.GraphProto, values: NDArray[np.floating], factor: str, product: str
) -> onnx.NodeProto:
    channels = values.astype(np.float32)
    scale, zero, one = (
        add_constant(graph, f"{product}/{what}", constant)
        for what, constant in (
            ("scale", channels),
            ("zero", np.zeros_like(channels)),
            ("one", np.ones_like(channels)),
        )
    )
    inputs = [factor, scale, zero, zero, one]
    return helper.make_node("BatchNormalization", inputs, [product], epsilon=0.0)


def _take_back(graph: onnx.GraphProto, name: str, sign: NDArray[np.floating]) -> bool:
    """Give everything that reads this value weights for channels of these signs; False, and
    nothing is changed, if something other than a convolution does."""
    constants = constants_of(graph)
    readers = [node for node in graph.node if name in node.input]
    if any(output.name == name for output in graph.output) or not all(
        node.op_type == "Conv" and node.input[0] == name and node.input[1] in constants
        for node in readers
    ):
        return False
    for node in readers:
        weights = numpy_helper.to_array(constants[node.input[1]])
        signed = weights * _signs_of_weights(sign, weights.shape).astype(weights.dtype)
        node.input[1] = add_constant(graph, f"{node.output[0]}/signed", signed)
    return True


def _signs_of_weights(sign: NDArray[np.floating], shape: Sequence[int]) -> NDArray[np.floating]:
    """The sign that each of a convolution's weights, of shape (filters, channels of a group, ...),
    meets in its channel."""
    filters, channels = shape[:2]
    groups = sign.reshape(-1, channels)
    return groups.repeat(filters // len(groups), axis=0)[..., None, None]
