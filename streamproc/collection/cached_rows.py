"""Many rows of a file, read at once from the system's cache.

A row costs less than a microsecond there, so what is around the call counts: preadv2(2) is called
with the interpreter's lock held (os.pread gives it up, and would wait for it after each of some
hundred rows), and where each row goes is worked out for all of them together. What is not in the
cache is read from the disk with the lock given up. Nothing is mapped, so that a full or failing
disk is an OSError. Knows nothing of what the rows are.
"""

import ctypes
import os
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

_RWF_NOWAIT: Final = 8  # of <linux/fs.h>: what is not in the system's cache is not waited for
_IOVEC_BYTES: Final = 16  # of <sys/uio.h>: address, size


def read_rows(handle: int, places: NDArray[np.int64], rows: NDArray[np.float32]) -> bool:
    """Fill rows, of shape (len(places), dimension), from these places of a file of such rows.

    False if the file is too short. Raises OSError.
    """
    size = rows.shape[1] * rows.itemsize
    vectors = np.empty((len(places), 2), np.uint64)
    vectors[:, 0] = rows.ctypes.data + size * np.arange(len(places), dtype=np.uint64)
    vectors[:, 1] = size
    vector = vectors.ctypes.data
    for number, at in enumerate((places * size).tolist()):
        is_read = _read_cached and _read_cached(handle, vector, 1, at, _RWF_NOWAIT) == size
        if not is_read and os.preadv(handle, [rows[number].data], at) < size:
            return False
        vector += _IOVEC_BYTES
    return True


def _cached_reader() -> Callable[..., int] | None:
    try:
        reader = ctypes.PyDLL(None).preadv2
    except (AttributeError, OSError):  # not Linux, or an older C library
        return None
    reader.argtypes = (
        ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_int64, ctypes.c_int,
    )  # fmt: skip
    reader.restype = ctypes.c_ssize_t
    return reader


_read_cached: Final = _cached_reader()
