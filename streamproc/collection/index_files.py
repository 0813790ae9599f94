"""What a large index keeps on disk, so that it need not be made again: two files.

    <key>.codes    header · centroids · a record for each place: key, sums, code
    <key>.vectors  float32, one row for each place; a last part may be empty

The database stays the truth, and nothing here is believed unseen. The header has a checksum and
names the collection and its generation, or none while a change is under way; the words of a
record add up to a constant and include the sum of its vector's words, and each is checked before
it is used. What does not hold raises IndexDamaged, and whoever meets that removes the files.
A vector that is deleted is overwritten where it lies; sync() brings that to the disk. Vectors stay
in the system's cache, not in memory of ours, and are never mapped, so that a full or failing disk
is an OSError. Knows nothing of FAISS, SQL or similarity; not safe beside a change.
"""

import ctypes
import os
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_MAGIC: Final = b"spindex1"
_HEADER: Final = struct.Struct("<8sII16sIqQ")  # magic, dimension, code, identity, centroids' CRC
_PAGE: Final = 4096
_TOTAL: Final = 0x9E3779B9  # any constant but 0, to which a page of zeros adds up
_PLACES_MORE: Final = 4096  # the least that a file of vectors grows by; sparse until written
_RWF_NOWAIT: Final = 8  # of <linux/fs.h>: what is not in the system's cache is not waited for

CHANGING: Final = -1
"""The generation of files in which a change is under way, or was when all ended."""


class IndexDamaged(Exception):
    """The files are not what they should be, or not this collection's."""


class IndexFiles:
    """The two files of one collection, open for as long as its index lives."""

    def __init__(
        self, stem: Path, identity: bytes, dimension: int, code_bytes: int, centroids_size: int
    ) -> None:
        """identity: 16 bytes that no other collection has."""
        self._codes_path = stem.with_suffix(".codes")
        self._vectors_path = stem.with_suffix(".vectors")
        self._codes = self._vectors = -1
        self._identity = identity
        self._dimension = dimension
        words = -(-code_bytes // 4)
        self._record = np.dtype(
            [("key", "<i8"), ("sum", "<u4"), ("check", "<u4"), ("code", "u1", (4 * words,))]
        )
        self._code_bytes = code_bytes
        self._centroids_bytes = 4 * centroids_size
        self._records_at = _PAGE + -(-self._centroids_bytes // _PAGE) * _PAGE
        self._centroids_crc = 0
        self._places = 0  # that there is room for
        self._sums: NDArray[np.uint32] = np.empty(0, np.uint32)

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return self._sums.nbytes

    def create(self, centroids: NDArray[np.float32]) -> None:
        """Empty files, over any others; changing until told otherwise. Raises OSError."""
        self._codes_path.parent.mkdir(mode=0o700, exist_ok=True)
        for path in (self._codes_path, self._vectors_path):
            path.unlink(missing_ok=True)  # somebody who gave up may still write to the old ones
        self._open(os.O_RDWR | os.O_CREAT | os.O_EXCL)
        data = centroids.astype("<f4").tobytes()
        self._centroids_crc = zlib.crc32(data)
        self.state(CHANGING, 0)
        _write(self._codes, data, _PAGE)
        self._make_room(0)

    def open(self) -> tuple[int, NDArray[np.float32], NDArray[np.int64], NDArray[np.uint8]]:
        """(generation, centroids, keys, codes). Raises IndexDamaged, OSError."""
        self._open(os.O_RDWR)
        generation, count = self._read_header()
        centroids = os.pread(self._codes, self._centroids_bytes, _PAGE)
        if zlib.crc32(centroids) != self._centroids_crc:
            raise IndexDamaged("the centroids are not what the header says")
        size = count * self._record.itemsize
        data = _read(self._codes, size, self._records_at)
        if len(data) < size or os.fstat(self._vectors).st_size < self._at(count):
            raise IndexDamaged("the files are cut short")
        words = np.frombuffer(data, "<u4").reshape(count, self._record.itemsize // 4)
        if (words.sum(axis=1, dtype=np.uint32) != _TOTAL).any():
            raise IndexDamaged("a record is not what was written")
        records = np.frombuffer(data, self._record)
        keys = records["key"].astype(np.int64)
        if len(np.unique(keys)) < count:
            raise IndexDamaged("a face has two places")
        os.posix_fadvise(self._vectors, 0, self._at(count), os.POSIX_FADV_WILLNEED)
        self._sums = records["sum"].astype(np.uint32)
        self._make_room(count)
        codes = np.ascontiguousarray(records["code"][:, : self._code_bytes])
        return generation, np.frombuffer(centroids, "<f4").astype(np.float32), keys, codes

    def state(self, generation: int, count: int) -> None:
        """Say what the files hold now. Raises OSError."""
        header = _HEADER.pack(
            _MAGIC, self._dimension, self._code_bytes, self._identity, self._centroids_crc,
            generation, count,
        )  # fmt: skip
        _write(self._codes, header + zlib.crc32(header).to_bytes(4, "little"), 0)

    def write(
        self,
        place: int,
        keys: Sequence[int] | NDArray[np.int64],
        codes: NDArray[np.uint8],
        vectors: NDArray[np.float32],
    ) -> None:
        """Into this place and those behind it, over what is there. Raises OSError."""
        end = place + len(vectors)
        self._make_room(end)
        vectors = np.ascontiguousarray(vectors, "<f4")
        sums = _sums(vectors)
        records = np.zeros(len(vectors), self._record)
        records["key"], records["sum"] = keys, sums
        records["code"][:, : self._code_bytes] = codes
        words = records.view("<u4").reshape(len(vectors), -1)
        records["check"] = np.uint32(_TOTAL) - words.sum(axis=1, dtype=np.uint32)
        self._sums[place:end] = sums
        _write(self._vectors, vectors.data, self._at(place))
        _write(self._codes, records.data, self._records_at + place * self._record.itemsize)

    def erase(self, place: int, end: int) -> None:
        """Zeros in the places from the one to before the other. Raises OSError."""
        _write(self._vectors, bytes(self._at(end) - self._at(place)), self._at(place))
        size = self._record.itemsize
        _write(self._codes, bytes((end - place) * size), self._records_at + place * size)

    def rows(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of these places. Raises IndexDamaged, OSError."""
        rows = np.empty((len(places), self._dimension), np.float32)
        for row, place in zip(rows, places.tolist(), strict=True):
            _read_into(self._vectors, row, self._at(place))
        if (_sums(rows) != self._sums[places]).any():
            raise IndexDamaged("a vector is not what was written")
        return rows

    def sync(self) -> None:
        """Return once all is on the disk. Raises OSError."""
        os.fsync(self._vectors)
        os.fsync(self._codes)

    def close(self) -> None:
        for handle in (self._codes, self._vectors):
            if handle >= 0:
                os.close(handle)
        self._codes = self._vectors = -1

    def __del__(self) -> None:
        self.close()  # where a caller left while a thread was at work here

    def generation(self) -> int:
        """What open() would find. Raises IndexDamaged, OSError."""
        self._open(os.O_RDWR)
        try:
            return self._read_header()[0]
        finally:
            self.close()

    def _open(self, flags: int) -> None:
        self._codes = os.open(self._codes_path, flags, 0o600)
        self._vectors = os.open(self._vectors_path, flags, 0o600)

    def _read_header(self) -> tuple[int, int]:
        """(generation, count)."""
        data = os.pread(self._codes, _HEADER.size + 4, 0)
        header = data[: _HEADER.size]
        if zlib.crc32(header).to_bytes(4, "little") != data[_HEADER.size :] or not header:
            raise IndexDamaged("the header is not what was written")
        magic, dimension, code_bytes, identity, crc, generation, count = _HEADER.unpack(header)
        if (magic, dimension, code_bytes) != (_MAGIC, self._dimension, self._code_bytes):
            raise IndexDamaged("the files have another format")
        if identity != self._identity:
            raise IndexDamaged("the files are another collection's")
        if generation == CHANGING:
            raise IndexDamaged("a change was under way when the files were left")
        self._centroids_crc = crc
        return generation, count

    def _make_room(self, count: int) -> None:
        """Grow the file and the sums for at least this many places."""
        places = self._places
        if places and count <= places:
            return
        places = max(count, places + max(places // 4, _PLACES_MORE))
        if os.fstat(self._vectors).st_size < self._at(places):
            os.ftruncate(self._vectors, self._at(places))
        self._places = places
        sums = np.zeros(places, np.uint32)
        sums[: len(self._sums)] = self._sums
        self._sums = sums

    def _at(self, place: int) -> int:
        return place * self._dimension * 4


def _sums(rows: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Of each row's words."""
    sums: NDArray[np.uint32] = rows.view(np.uint32).sum(axis=1, dtype=np.uint32)
    return sums


def _read(handle: int, size: int, at: int) -> bytes:
    """As much as there is."""
    parts: list[bytes] = []
    while size and (part := os.pread(handle, size, at)):
        parts.append(part)
        size, at = size - len(part), at + len(part)
    return b"".join(parts)


class _IoVec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


def _cached_reader() -> Callable[..., int] | None:
    """preadv2(2), called with the interpreter's lock held: os.pread gives it up, and would wait for
    it after each of some hundred rows, where all of them together take half a millisecond."""
    try:
        reader = ctypes.PyDLL(None).preadv2
    except (AttributeError, OSError):  # not Linux, or an older C library
        return None
    reader.argtypes = (
        ctypes.c_int, ctypes.POINTER(_IoVec), ctypes.c_int, ctypes.c_int64, ctypes.c_int,
    )  # fmt: skip
    reader.restype = ctypes.c_ssize_t
    return reader


_read_cached: Final = _cached_reader()


def _read_into(handle: int, row: NDArray[np.float32], at: int) -> None:
    """From the system's cache, or else from the disk with the interpreter's lock given up."""
    vector = _IoVec(row.ctypes.data, row.nbytes)
    if _read_cached and _read_cached(handle, vector, 1, at, _RWF_NOWAIT) == row.nbytes:
        return
    if os.preadv(handle, [row.data], at) < row.nbytes:
        raise IndexDamaged("the file of vectors is cut short")


def _write(handle: int, data: Any, at: int) -> None:
    left = memoryview(data).cast("B")
    while left:
        written = os.pwrite(handle, left, at)
        left, at = left[written:], at + written
