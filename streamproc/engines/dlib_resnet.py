"""dlib's face recognition network, run by ONNX Runtime.

dlib's own forward pass holds Python's global lock for a tenth of a second per face, which
would stall everything else the daemon does. This module reads the weights from dlib's file
and builds the same network as an ONNX graph: same numbers (a test compares them), about ten
times faster, and the lock is free meanwhile. Knows the network's architecture and dlib's
serialisation of tensors; knows nothing of detection or alignment.

Architecture: a ResNet with 29 convolutions, by Davis King ("High Quality Face Recognition
with Deep Metric Learning", 2017; dlib's dnn_face_recognition_ex example).
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from streamproc.engines.dlib_locator import CHIP_SIDE, REINSTALL
from streamproc.errors import EngineError

DIMENSION = 128

_MEAN_RGB = (122.782, 117.001, 104.298)  # input_rgb_image's average, subtracted before / 256
_STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
"""Per stage: filters, residual blocks, and whether the first block halves the picture."""

_Weights = NDArray[np.float32]


def build_resnet(path: Path) -> bytes:
    """The network as a serialised ONNX model: `chips` of shape (n, 3, 150, 150), RGB, 0 to
    255, give `descriptors` of shape (n, 128), not normalised.

    Raises EngineError if the file is not dlib_face_recognition_resnet_model_v1.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EngineError(f"{path} cannot be read ({error.strerror}); {REINSTALL}") from None
    return bytes(_Graph(_Tensors(path, data)).build().SerializeToString())


class _Tensors:
    """The file's tensors in order of the forward pass."""

    def __init__(self, path: Path, data: bytes) -> None:
        self._path = path
        self._data = data
        self._position = 0

    def next(self, layer: bytes, size: int, *, settings: int = 0) -> _Weights:
        """The parameters of the next layer of this name.

        A layer is its name behind a length, some integer settings, then a tensor: version 2,
        four dimensions and the values as little-endian floats.
        """
        marker = bytes((1, len(layer))) + layer
        start = self._data.find(marker, self._position)
        if start < 0:
            raise self._damaged(f"layer {layer.decode()} is missing")
        integers, start = self._integers(start + len(marker), settings + 5)
        version, *dimensions = integers[settings:]
        if version != 2 or math.prod(dimensions) != size:
            raise self._damaged(f"layer {layer.decode()} has dimensions {dimensions}")
        end = start + 4 * size
        if end > len(self._data):
            raise self._damaged("it is cut short")
        self._position = end
        return np.frombuffer(self._data, "<f4", size, start)

    def _integers(self, position: int, count: int) -> tuple[list[int], int]:
        # dlib packs an integer as a byte that counts, then that many little-endian bytes.
        values = []
        for _ in range(count):
            length = self._data[position] if position < len(self._data) else 0
            if not 1 <= length <= 8:
                raise self._damaged("a dimension cannot be read")
            position += 1
            values.append(int.from_bytes(self._data[position : position + length], "little"))
            position += length
        return values, position

    def _damaged(self, what: str) -> EngineError:
        return EngineError(
            f"{self._path} is not dlib's face recognition network: {what}; {REINSTALL}"
        )


class _Graph:
    """Builds the ONNX graph layer by layer; each method returns the name of its output."""

    def __init__(self, tensors: _Tensors) -> None:
        self._tensors = tensors
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def build(self) -> onnx.ModelProto:
        mean = self._constant(np.array(_MEAN_RGB, np.float32).reshape(1, 3, 1, 1))
        scale = self._constant(np.array(256.0, np.float32))
        x = self._node("Div", self._node("Sub", "chips", mean), scale)
        x = self._node("Relu", self._convolve(x, 3, 32, kernel=7, stride=2))
        x = self._node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
        side, channels = 35, 32
        for filters, blocks, halves in _STAGES:
            for block in range(blocks):
                x, side = self._residual(x, side, channels, filters, halve=halves and block == 0)
                channels = filters
        x = self._node("ReduceMean", x, axes=[2, 3], keepdims=0)
        weights = self._tensors.next(b"fc_2", channels * DIMENSION, settings=2)
        weights = weights.reshape(channels, DIMENSION)
        last = helper.make_node("MatMul", [x, self._constant(weights)], ["descriptors"])
        self._nodes.append(last)
        graph = helper.make_graph(
            self._nodes,
            "dlib_face_recognition_resnet_v1",
            [_tensor("chips", ["n", 3, CHIP_SIDE, CHIP_SIDE])],
            [_tensor("descriptors", ["n", DIMENSION])],
            self._constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)

    def _residual(
        self, x: str, side: int, channels: int, filters: int, *, halve: bool
    ) -> tuple[str, int]:
        inner = self._node("Relu", self._convolve(x, channels, filters, 3, 2 if halve else 1))
        inner = self._convolve(inner, filters, filters, 3, 1)
        if halve:
            x = self._node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
            pooled, convolved = side // 2, (side - 3) // 2 + 1
            # dlib adds tensors of different sizes as if the smaller were filled with zeros.
            x = self._pad(x, filters - channels, max(convolved - pooled, 0))
            inner = self._pad(inner, 0, max(pooled - convolved, 0))
            side = max(pooled, convolved)
        return self._node("Relu", self._node("Add", inner, x)), side

    def _convolve(self, x: str, channels: int, filters: int, kernel: int, stride: int) -> str:
        """A convolution and the affine layer (a frozen batch normalisation) behind it, in one."""
        taps = channels * kernel * kernel
        values = self._tensors.next(b"con_4", filters * taps + filters)
        gamma, beta = self._tensors.next(b"affine_", 2 * filters).reshape(2, filters)
        weights = values[:-filters].reshape(filters, channels, kernel, kernel)
        return self._node(
            "Conv",
            x,
            self._constant(weights * gamma.reshape(-1, 1, 1, 1)),
            self._constant(values[-filters:] * gamma + beta),
            strides=[stride, stride],
            # dlib pads to keep the size, but never where it strides.
            pads=[kernel // 2 if stride == 1 else 0] * 4,
        )

    def _pad(self, x: str, channels: int, pixels: int) -> str:
        if not channels and not pixels:
            return x
        amounts = np.array([0, 0, 0, 0, 0, channels, pixels, pixels], np.int64)
        return self._node("Pad", x, self._constant(amounts))

    def _node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        output = f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def _constant(self, values: NDArray[np.float32] | NDArray[np.int64]) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name


def _tensor(name: str, shape: list[str | int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
