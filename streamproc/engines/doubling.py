"""Grids doubled in width and height, said as a factor and not as a size.

Pure: a graph in, a graph out that computes the same numbers for inputs whose sides are multiples
of SCRFD's coarsest stride. As exported it works out from the shapes of its grids to what size the
coarser is to grow. ONNX Runtime stays in the blocked layout (NCHWc) in which it runs convolutions
only where the factor is a constant; and the dozen nodes that work out sizes fall away.
"""

import numpy as np
import onnx

from streamproc.engines.graphs import add_constant, drop_unused

_SIZES = 3  # the input of Resize that says how large; the one before it says how many times
_OPSET_MIN = 11  # the first in which Resize has these inputs


def double_by_factor(model: onnx.ModelProto) -> int:
    """Make every Resize to a size one that doubles; how many there were. The model is changed in
    place. That it doubled before is the caller's to know: a graph where it did not fails."""
    opset = next((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), 0)
    resized = [
        node
        for node in model.graph.node
        if opset >= _OPSET_MIN and node.op_type == "Resize" and len(node.input) == _SIZES + 1
    ]
    for node in resized:
        twice = np.array([1, 1, 2, 2], np.float32)
        node.input[_SIZES - 1] = add_constant(model.graph, f"{node.output[0]}/twice", twice)
        del node.input[_SIZES:]
    if resized:
        drop_unused(model.graph)
    return len(resized)
