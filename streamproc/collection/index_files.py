"""What a large index keeps on disk, so that it need not be made again: two files.

    <key>.codes    header · centroids · a record for each place: key, sums, code
    <key>.vectors  float32, one row for each place; a last part may be empty

The database stays the truth, and nothing here is believed unseen. The header has a checksum and
names the collection and its generation, or none while a change is under way; the words of a
record add up to a constant and include the sum of its vector's words, and each is checked before
it is used. What does not hold raises IndexDamaged, and whoever meets that removes the files.
A vector that is deleted is overwritten where it lies; sync() brings that to the disk. The vectors
of a smaller index are in memory, too; those of a larger one stay in the system's cache
(cached_rows.py). Knows nothing of FAISS, SQL or similarity; not safe beside a change.
"""

import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from streamproc.collection.cached_rows import read_rows

HELD_BYTES_MAX: Final = 64 * 1024 * 1024
"""Vectors up to this size are held in memory, where a search takes a third of the time."""

_MAGIC: Final = b"spindex1"
_HEADER: Final = struct.Struct("<8sII16sIqQ")  # magic, dimension, code, identity, centroids' CRC
_PAGE: Final = 4096
_TOTAL: Final = 0x9E3779B9  # any constant but 0, to which a page of zeros adds up
_PLACES_MORE: Final = 4096  # the least that a file of vectors grows by; sparse until written

_T = TypeVar("_T", bound=np.generic)

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
        self._held: NDArray[np.float32] | None = np.empty((0, dimension), np.float32)

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return self._sums.nbytes + (self._held.nbytes if self._held is not None else 0)

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
        self._sums = records["sum"].astype(np.uint32)
        self._make_room(count)
        if self._held is None:
            os.posix_fadvise(self._vectors, 0, self._at(count), os.POSIX_FADV_WILLNEED)
        else:
            vectors = np.frombuffer(_read(self._vectors, self._at(count), 0), "<f4")
            self._held[:count] = vectors.reshape(count, self._dimension)
            self._require_sums(self._held[:count], slice(count))
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
        if self._held is not None:
            self._held[place:end] = vectors
        _write(self._vectors, vectors.data, self._at(place))
        _write(self._codes, records.data, self._records_at + place * self._record.itemsize)

    def erase(self, place: int, end: int) -> None:
        """Zeros in the places from the one to before the other. Raises OSError."""
        if self._held is not None:
            self._held[place:end] = 0.0
        _write(self._vectors, bytes(self._at(end) - self._at(place)), self._at(place))
        size = self._record.itemsize
        _write(self._codes, bytes((end - place) * size), self._records_at + place * size)

    def rows(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of these places. Raises IndexDamaged, OSError."""
        return self._held[places] if self._held is not None else self._read_rows(places)

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
        self.close()  # not before: a search may be under way that the index's owner has forgotten

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

    def _read_rows(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        rows = np.empty((len(places), self._dimension), np.float32)
        if not read_rows(self._vectors, places, rows):
            raise IndexDamaged("the file of vectors is cut short")
        self._require_sums(rows, places)
        return rows

    def _require_sums(self, rows: NDArray[np.float32], places: NDArray[np.int64] | slice) -> None:
        if (_sums(rows) != self._sums[places]).any():
            raise IndexDamaged("a vector is not what was written")

    def _make_room(self, count: int) -> None:
        """Grow the file and what is in memory for at least this many places."""
        places = self._places
        if places and count <= places:
            return
        places = max(count, places + max(places // 4, _PLACES_MORE))
        if os.fstat(self._vectors).st_size < self._at(places):
            os.ftruncate(self._vectors, self._at(places))
        self._places = places
        self._sums = _grown(self._sums, places)
        if self._held is not None:
            is_small = self._at(places) <= HELD_BYTES_MAX
            self._held = _grown(self._held, places) if is_small else None

    def _at(self, place: int) -> int:
        return place * self._dimension * 4


def _sums(rows: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Of each row's words."""
    sums: NDArray[np.uint32] = rows.view(np.uint32).sum(axis=1, dtype=np.uint32)
    return sums


def _grown(array: NDArray[_T], places: int) -> NDArray[_T]:
    grown = np.zeros((places, *array.shape[1:]), array.dtype)
    grown[: len(array)] = array
    return grown


def _read(handle: int, size: int, at: int) -> bytes:
    """As much as there is."""
    parts: list[bytes] = []
    while size and (part := os.pread(handle, size, at)):
        parts.append(part)
        size, at = size - len(part), at + len(part)
    return b"".join(parts)


def _write(handle: int, data: Any, at: int) -> None:
    left = memoryview(data).cast("B")
    while left:
        written = os.pwrite(handle, left, at)
        left, at = left[written:], at + written
