"""Memory that a thread uses again, picture after picture.

A block as large as a picture that is allocated for each is mapped, zeroed and given back each time
(heap.py says why), which costs more than what is computed in it.
"""

import math
import threading
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

_T = TypeVar("_T", bound=np.generic)


class Scratch(threading.local):
    """Each thread sees blocks of its own. Whoever keeps one of these bounds what it asks for: a
    block grows, and does not shrink again."""

    def __init__(self) -> None:
        self._blocks: dict[tuple[str, type], NDArray[Any]] = {}

    def block(self, name: str, shape: tuple[int, ...], dtype: type[_T]) -> NDArray[_T]:
        """An array of this shape, of whatever was left in it: good until this thread asks for
        the same name again."""
        size = math.prod(shape)
        held = self._blocks.get((name, dtype))
        if held is None or held.size < size:
            held = self._blocks[name, dtype] = np.empty(size, dtype)
        block: NDArray[_T] = held[:size].reshape(shape)
        return block
