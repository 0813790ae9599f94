"""SCRFD's last layers, computed only where a face is.

Pure: a graph in, a smaller graph and what was taken out of it. For every cell of three grids
SCRFD computes a score, and with two wide convolutions the edges and the five points of a face
that would be there: a fifth of the whole network's time, nearly all of it for cells that hold
none. Here they become a small product at the few cells whose score is high.

The scores need every cell, but ONNX Runtime computes in blocks of eight channels, and a
convolution of 3 × 3 into two of them is a tenth of what is left. In the graph each of the nine
weights has channels of its own instead, which fill the blocks of a convolution of 1 × 1; the nine
are added up here.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import onnx
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from streamproc.engines.graphs import add_constant, constants_of, drop_unused, makers_of

Floats: TypeAlias = NDArray[np.float32]
Cells: TypeAlias = NDArray[np.intp]

_LAST = ("Transpose", "Reshape", "Sigmoid")
"""What SCRFD does to the results of its last convolutions."""

_PLAIN = {
    "kernel_shape": [3, 3], "pads": [1] * 4, "strides": [1, 1], "dilations": [1, 1], "group": 1,
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """The n anchors of a grid that score enough, row by row; lengths in units of its stride."""

    scores: Floats  # (n,), 0 to 1
    rows: Cells  # (n,)
    columns: Cells  # (n,)
    edges: Floats  # (n, 4): from the cell's corner to left, top, right and bottom
    points: Floats  # (n, 10): x and y of each, from there


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """What SCRFD computes of one grid's features: a convolution of 3 × 3 each for scores, edges
    and points, of which the last two are asked cell by cell."""

    score_bias: Floats  # (anchors,)
    weights: Floats  # (9 * channels, filters), of edges and points
    bias: Floats  # (filters,)
    edges: int  # filters that are edges; the others are points

    def hits(self, shares: Floats, features: Floats, score_min: float) -> Hits | None:
        """None if no anchor scores this much, 0 to 1. shares as logits() takes them; features:
        shape (channels, height, width)."""
        logits = self.logits(shares)
        found = logits >= _logit(score_min)
        if not found.any():
            return None
        rows, columns, anchors = np.nonzero(found.transpose(1, 2, 0))
        each = np.arange(len(rows)), anchors
        edges, points = (
            both.reshape(len(rows), len(self.score_bias), -1)[each]
            for both in self.at(features, rows, columns)
        )
        # exp() of a float32 ends at 88.
        scores = 1 / (1 + np.exp(-logits[anchors, rows, columns].clip(-80, 80)))
        return Hits(scores, rows, columns, edges, points)

    def logits(self, shares: Floats) -> Floats:
        """Scores before the sigmoid, shape (anchors, height, width), from what each cell has to
        give to each of its neighbours: shape (9 * anchors, height + 2, width + 2), as there is a
        cell more on every side, which gives nothing."""
        given = shares.reshape(3, 3, len(self.score_bias), *shares.shape[1:])
        *which, height, width = given.shape
        down, across, anchor, row, column = given.strides
        # What comes from the neighbour below lies a row lower, and so on: a view of all nine.
        met = as_strided(
            given,
            (*which, height - 2, width - 2),
            (down + row, across + column, anchor, row, column),
        )
        logits: Floats = np.add.reduce(met, axis=(0, 1))
        logits += self.score_bias[:, None, None]
        return logits

    def at(self, features: Floats, rows: Cells, columns: Cells) -> tuple[Floats, Floats]:
        """Edges and points, of shapes (n, filters of each), for n cells of features of shape
        (channels, height, width)."""
        height, width = features.shape[1:]
        y, x = rows[:, None] + (-1, 0, 1), columns[:, None] + (-1, 0, 1)
        around = features[:, y.clip(0, height - 1)[:, :, None], x.clip(0, width - 1)[:, None]]
        inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None]
        around = (around * inside).swapaxes(0, 1).reshape(len(rows), -1)
        both = around @ self.weights + self.bias
        return both[:, : self.edges], both[:, self.edges :]


def split_heads(model: onnx.ModelProto, strides: int) -> list[Head] | None:
    """Take the last convolutions out of a SCRFD with so many strides.

    The model, changed in place, then gives what Head.logits() adds up, stride by stride, and then
    the features, stride by stride; what is returned says what to compute of them. None, and the
    model stays as it is, if its heads are of another kind.
    """
    graph = model.graph
    makers, constants = makers_of(graph), constants_of(graph)
    outputs = [output.name for output in graph.output]
    found = [
        _convolution_of(name, at < strides, makers, constants) for at, name in enumerate(outputs)
    ]
    convolutions = [one for one in found if one is not None]
    if len(outputs) != 3 * strides or len(convolutions) != 3 * strides:
        return None
    levels = [convolutions[level::strides] for level in range(strides)]
    features = [scores.input[0] for scores, _, _ in levels]
    if features != [edges.input[0] for _, edges, _ in levels]:
        return None
    if features != [points.input[0] for _, _, points in levels]:
        return None
    heads = [_head(scores, edges, points, constants) for scores, edges, points in levels]
    shares = [_spread(graph, scores, constants) for scores, _, _ in levels]
    del graph.output[:]
    graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in shares + features
    )
    drop_unused(graph)
    return heads


def _convolution_of(
    output: str,
    is_score: bool,
    makers: Mapping[str, onnx.NodeProto],
    constants: Mapping[str, onnx.TensorProto],
) -> onnx.NodeProto | None:
    """The plain 3 × 3 convolution whose result, laid out otherwise, is this output; a score's
    goes through one sigmoid on its way."""
    node, sigmoids = makers.get(output), 0
    while node is not None and node.op_type in _LAST:
        sigmoids += node.op_type == "Sigmoid"
        node = makers.get(node.input[0])
    if node is None or node.op_type != "Conv" or len(node.input) != 3 or sigmoids != is_score:
        return None
    if any(name not in constants for name in node.input[1:]):
        return None
    set_to = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    return node if all(set_to.get(name) == value for name, value in _PLAIN.items()) else None


def _head(
    scores: onnx.NodeProto,
    edges: onnx.NodeProto,
    points: onnx.NodeProto,
    constants: Mapping[str, onnx.TensorProto],
) -> Head:
    weights, bias = (
        [numpy_helper.to_array(constants[node.input[at]]) for node in (edges, points)]
        for at in (1, 2)
    )
    both = np.concatenate([one.reshape(len(one), -1) for one in weights])
    return Head(
        numpy_helper.to_array(constants[scores.input[2]]),
        np.ascontiguousarray(both.T),
        np.concatenate(bias),
        len(bias[0]),
    )


def _spread(
    graph: onnx.GraphProto, scores: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]
) -> str:
    """Add the convolution that gives what each cell adds to its neighbours' scores; its output."""
    weights = numpy_helper.to_array(constants[scores.input[1]])  # (anchors, channels, 3, 3)
    spread = weights.transpose(2, 3, 0, 1).reshape(-1, weights.shape[1], 1, 1)
    output = f"{scores.output[0]}/shares"
    inputs = [scores.input[0], add_constant(graph, f"{output}/weights", spread)]
    graph.node.append(helper.make_node("Conv", inputs, [output], kernel_shape=[1, 1], pads=[1] * 4))
    return output


def _logit(score: float) -> float:
    """The inverse of the sigmoid; infinite at 0 and 1."""
    return math.log(score / (1 - score)) if 0 < score < 1 else math.copysign(math.inf, score - 0.5)
