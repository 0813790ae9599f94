"""ONNX graphs about to be changed: what is where, and what nothing needs any more. Pure."""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper


def makers_of(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    """The node that each value comes from."""
    return {output: node for node in graph.node for output in node.output}


def constants_of(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    return {tensor.name: tensor for tensor in graph.initializer}


def add_constant(graph: onnx.GraphProto, name: str, values: NDArray[np.generic]) -> str:
    """Its name, for a node's inputs."""
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
    return name


def drop_unused(graph: onnx.GraphProto) -> None:
    """Nodes and constants that no output comes from; nodes stand in the order of their use."""
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
