"""Segment files: the bytes of a stream's fragments, one behind another, append-only.

One folder per stream, one file per segment, named by its number. Blocking and for one thread
at a time, except read(), which any thread may call. Knows files; what in them is worth keeping
is the index's affair.
"""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

from streamproc.local.kinesis_video.index import Place

_SUFFIX: Final = ".segment"


class SegmentFiles:
    """The folder is made on the first append."""

    def __init__(self, folder: Path, segment_bytes: int) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._segment = 1
        self._end = 0

    def append(self, data: bytes | bytearray, *, durable: bool) -> Place:
        """Write behind the last bytes; if durable, they are on disk when this returns.

        After an error nothing counts as written: the next append begins at the same byte.
        """
        if self._end and self._end + len(data) > self._segment_bytes:
            self._segment, self._end = self._segment + 1, 0
        if not self._end:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._path(self._segment), os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            _write(descriptor, data, self._end)
            if durable:
                os.fdatasync(descriptor)
        except OSError:
            # On a full disk, half a fragment would take the room that others need.
            os.ftruncate(descriptor, self._end)
            raise
        finally:
            os.close(descriptor)
        if not self._end:  # durable or not: the file's next fragment may be
            for folder in (self._folder, self._folder.parent):
                _sync_folder(folder)
        place = Place(self._segment, self._end, len(data))
        self._end += len(data)
        return place

    def abandon(self, place: Place) -> None:
        """Give back what append() wrote last: its row could not be written.

        The place is not used again: after a crash, the row of a commit that was in doubt may
        come to light, and must not find another fragment's bytes.
        """
        self._segment, self._end = place.segment + 1, 0
        if place.offset:
            os.truncate(self._path(place.segment), place.offset)
        else:
            self._path(place.segment).unlink(missing_ok=True)

    def read(self, segment: int, offset: int, size: int) -> bytes:
        """Up to size bytes; fewer only at the end of the file.

        Raises FileNotFoundError if the segment has been removed.
        """
        with self._path(segment).open("rb", buffering=0) as file:
            return os.pread(file.fileno(), size, offset)

    def sizes(self) -> dict[int, int]:
        """Every segment on disk with its size in bytes."""
        files = self._folder.glob(f"*{_SUFFIX}") if self._folder.is_dir() else ()
        return {int(path.stem): path.stat().st_size for path in files}

    def recover(self, ends: dict[int, int]) -> None:
        """Cut every segment off where its last indexed fragment ends; remove those without."""
        sizes = self.sizes()
        self.remove(set(sizes) - set(ends))
        for segment, end in ends.items():
            if sizes[segment] > end:
                os.truncate(self._path(segment), end)
        self._segment = max(ends, default=1)
        self._end = ends.get(self._segment, 0)

    def remove(self, segments: Collection[int]) -> None:
        """Delete segments; if the current one is among them, the next append opens another."""
        for segment in segments:
            self._path(segment).unlink(missing_ok=True)
        if self._segment in segments:
            self._segment, self._end = self._segment + 1, 0

    def _path(self, segment: int) -> Path:
        return self._folder / f"{segment:08d}{_SUFFIX}"


def _write(descriptor: int, data: bytes | bytearray, offset: int) -> None:
    with memoryview(data) as rest:
        written = 0
        while written < len(rest):
            written += os.pwrite(descriptor, rest[written:], offset + written)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
