"""SCRFD's last layers, computed only where a face is.

Pure: a graph in, a smaller graph and what was taken out of it. For every cell of three grids
SCRFD computes a score, and with two wide convolutions the edges and the five points of a face
that would be there: a fifth of the whole network's time, nearly all of it for cells that hold
none. Here they become a small product at the few cells whose score is high.
"""

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """What SCRFD computes of one grid's features for edges and points: two convolutions of
    3 × 3, beside each other, asked cell by cell."""

    weights: Floats  # (9 * channels, filters)
    bias: Floats  # (filters,)
    edges: int  # filters that are edges; the others are points

    def at(
        self, features: Floats, rows: NDArray[np.intp], columns: NDArray[np.intp]
    ) -> tuple[Floats, Floats]:
        """Edges and points, of shapes (n, filters of each), for n cells of features of shape
        (channels, height, width)."""
        height, width = features.shape[1:]
        y, x = rows[:, None] + (-1, 0, 1), columns[:, None] + (-1, 0, 1)
        around = features[:, y.clip(0, height - 1)[:, :, None], x.clip(0, width - 1)[:, None]]
        inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None]
        around = (around * inside).swapaxes(0, 1).reshape(len(rows), 1, -1)
        # One product per cell: a single large one would wake OpenBLAS's threads, which then spin.
        both = (around @ self.weights)[:, 0] + self.bias
        return both[:, : self.edges], both[:, self.edges :]


def split_heads(model: onnx.ModelProto, strides: int) -> list[Head] | None:
    """Take the edges' and the points' convolutions out of a SCRFD with so many strides.

    The model, changed in place, then gives each stride's scores and then each one's features;
    what is returned says what to compute of them, for each stride. None, and the model stays as
    it is, if its heads are of another kind.
    """
    graph = model.graph
    makers = {output: node for node in graph.node for output in node.output}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    outputs = [output.name for output in graph.output]
    convolutions = [_convolution_of(name, makers, constants) for name in outputs[strides:]]
    found = [one for one in convolutions if one is not None]
    if len(outputs) != 3 * strides or len(found) != 2 * strides:
        return None
    edges, points = found[:strides], found[strides:]
    features = [node.input[0] for node in edges]
    if features != [node.input[0] for node in points]:
        return None
    heads = [_head(one, other, constants) for one, other in zip(edges, points, strict=True)]
    del graph.output[strides:]
    graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in features
    )
    _drop_unused(graph)
    return heads


def _convolution_of(
    output: str, makers: dict[str, onnx.NodeProto], constants: dict[str, onnx.TensorProto]
) -> onnx.NodeProto | None:
    """The plain 3 × 3 convolution whose result, laid out otherwise, is this output."""
    node = makers.get(output)
    while node is not None and node.op_type in ("Transpose", "Reshape"):
        node = makers.get(node.input[0])
    if node is None or node.op_type != "Conv" or len(node.input) != 3:
        return None
    if any(name not in constants for name in node.input[1:]):
        return None
    set_to = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    plain = {
        "kernel_shape": [3, 3], "pads": [1] * 4, "strides": [1, 1], "dilations": [1, 1], "group": 1,
    }  # fmt: skip
    return node if all(set_to.get(name) == value for name, value in plain.items()) else None


def _head(
    edges: onnx.NodeProto, points: onnx.NodeProto, constants: dict[str, onnx.TensorProto]
) -> Head:
    weights, bias = (
        [numpy_helper.to_array(constants[node.input[at]]) for node in (edges, points)]
        for at in (1, 2)
    )
    both = np.concatenate([one.reshape(len(one), -1) for one in weights])
    return Head(np.ascontiguousarray(both.T), np.concatenate(bias), len(bias[0]))


def _drop_unused(graph: onnx.GraphProto) -> None:
    used = {output.name for output in graph.output}
    nodes: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if used.intersection(node.output):
            nodes.append(node)
            used.update(node.input)
    del graph.node[:]
    graph.node.extend(reversed(nodes))
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
