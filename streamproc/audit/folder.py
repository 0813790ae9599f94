"""The folder of the audit log: segments, the lock that several processes share, and the head.

    000000000001.jsonl  lines from number 1 on; the next segment is named by its first line
    head                number and hash of the last line that is known to be on disk
    lock                held (flock) while somebody writes

Blocking, for one thread at a time; any number of processes may each have a LogFolder. Files are
only ever appended to. Knows bytes and their place; knows nothing of events.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streamproc.audit.files import KeptFile, make_folder
from streamproc.audit.head import REMEDY, Head, check_head, head_bytes, read_head, write_head
from streamproc.audit.line import (
    LINE_BYTES_MAX,
    TORN_MARK,
    Entry,
    Line,
    decode,
    encode,
    is_torn,
    torn_entry,
)
from streamproc.disk import bring_to_disk
from streamproc.errors import AuditBroken, StoreUnavailable

SEGMENT_BYTES: Final = 64 * 1024 * 1024
SUFFIX: Final = ".jsonl"
_LOOK_BACK: Final = 2 * LINE_BYTES_MAX


@dataclass(frozen=True, slots=True)
class _Tail:
    """Where the next line goes."""

    segment: Path
    end: int  # bytes in the segment
    head: Head  # the last line of all
    torn: bytes = b""  # what is behind it


class LogFolder:
    """Raises StoreUnavailable where the disk refuses (trying again may help), AuditBroken where
    the log is not as it was left."""

    def __init__(self, folder: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        """A segment that has reached segment_bytes gets no more lines."""
        self.folder = folder
        self._name = str(folder)
        self._segment_bytes = segment_bytes
        self._known: _Tail | None = None
        self._lock = KeptFile(folder / "lock", os.O_RDONLY)
        self._segment: KeptFile | None = None  # the one that lines were appended to last

    def create(self) -> None:
        """Make what is missing, and look whether the log can be gone on with."""
        with self._explained():
            make_folder(self.folder)
            with self._locked():
                if not segments(self.folder) and read_head(self.folder) is None:
                    write_head(self.folder, Head())
                self._known = self._look()

    def append(self, entries: Sequence[Entry], *, sync: bool) -> None:
        """Write lines behind the last one; with sync, they are on disk when this returns.

        After an error some of the entries may be in the log all the same.
        """
        with self._explained(), self._locked():
            tail = self._tail()
            self._known = None  # until it is certain again
            if tail.end >= self._segment_bytes and not tail.torn:
                tail = self._next_segment(tail)
            chunk, head = _chunk(tail, entries)
            self._opened(tail.segment).append(chunk, sync=sync)
            if not tail.end:
                bring_to_disk(self.folder)
            self._known = _Tail(tail.segment, tail.end + len(chunk), head)

    def sync(self) -> None:
        """Bring every line so far to disk, and the head up to it."""
        with self._explained(), self._locked():
            tail = self._tail()
            if tail.end:
                bring_to_disk(tail.segment)
            if tail.head != read_head(self.folder):
                write_head(self.folder, tail.head)

    def snapshot(self) -> tuple[list[tuple[Path, int]], bytes | None]:
        """Every segment with its size in bytes, and the bytes of the head, as they are at one
        moment."""
        with self._explained(), self._locked():
            found = [(path, path.stat().st_size) for path in segments(self.folder)]
            return found, head_bytes(self.folder)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # Never made anew with its folder: a log that was moved away must not begin again unseen.
        handle = self._lock.handle()
        fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)

    def _opened(self, segment: Path) -> KeptFile:
        if self._segment is None or self._segment.path != segment:
            self._segment = KeptFile(segment, os.O_WRONLY | os.O_APPEND)
        return self._segment

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreUnavailable(
                f"the audit log in {self.folder} cannot be written "
                f"({error.strerror or error}); make room, or put the folder back"
            ) from error

    def _tail(self) -> _Tail:
        known = self._known
        if known is None or self._has_changed(known):
            found = self._look()  # another process has written, or we begin
            if known is not None and found.head.number < known.head.number:
                raise AuditBroken(
                    f"the audit log in {self.folder} has {found.head.number} lines and had "
                    f"{known.head.number} a moment ago; {REMEDY}"
                )
            self._known = found
            return found
        return known

    def _has_changed(self, known: _Tail) -> bool:
        """Whether another process has written behind it, here or in a segment of its own."""
        if _size(known.segment) != known.end:
            return True
        following = segment_name(known.head.number + 1)
        # Paths as text: as pathlib's they take as long as all the rest of an append.
        return following != known.segment.name and os.access(f"{self._name}/{following}", os.F_OK)

    def _look(self) -> _Tail:
        """Find the last line, and what is behind it."""
        found = segments(self.folder) or [segment_path(self.folder, 1)]
        newest = found.pop()
        line, torn = _last_line(newest)
        if torn and not is_torn(torn):
            raise AuditBroken(f"the last line of {newest} is damaged; {REMEDY}")
        while line is None and found:  # the newest was begun and has no whole line yet
            line, rest = _last_line(older := found.pop())
            if rest:
                raise AuditBroken(f"the last line of {older} is damaged; {REMEDY}")
        head = Head(line.number, line.hash) if line else Head()
        check_head(self.folder, head)
        return _Tail(newest, _size(newest), head, torn)

    def _next_segment(self, tail: _Tail) -> _Tail:
        bring_to_disk(tail.segment)  # what is behind it never has to be looked at again
        return _Tail(segment_path(self.folder, tail.head.number + 1), 0, tail.head)


def segments(folder: Path) -> list[Path]:
    """Oldest first."""
    found = folder.iterdir()
    return sorted(path for path in found if path.suffix == SUFFIX and path.stem.isdecimal())


def segment_name(number: int) -> str:
    return f"{number:012d}{SUFFIX}"


def segment_path(folder: Path, number: int) -> Path:
    return folder / segment_name(number)


def whole_lines(segment: Path, size: int) -> int:
    """How many of its first bytes are lines with their newline."""
    with segment.open("rb") as file:
        file.seek(start := max(0, size - _LOOK_BACK))
        return start + file.read(size - start).rfind(b"\n") + 1


def _size(segment: Path) -> int:
    try:
        return segment.stat().st_size
    except FileNotFoundError:
        return 0


def _last_line(segment: Path) -> tuple[Line | None, bytes]:
    """The last line that is whole, and every byte behind it."""
    if not segment.exists():
        return None, b""
    with segment.open("rb") as file:
        file.seek(max(0, _size(segment) - _LOOK_BACK))
        block = file.read()
    end = block.rfind(b"\n") + 1
    while end:
        begin = block.rfind(b"\n", 0, end - 1) + 1
        line = decode(block[begin:end])
        if line is not None:
            return line, block[end:]
        end = begin
    return None, block


def _chunk(tail: _Tail, entries: Sequence[Entry]) -> tuple[bytes, Head]:
    """The bytes to be appended, and the last line then."""
    chunk = bytearray()
    if tail.torn:
        chunk += TORN_MARK
        entries = [torn_entry(entries[0].at, tail.torn + TORN_MARK), *entries]
    number, digest = tail.head.number, tail.head.hash
    for entry in entries:
        number += 1
        line, digest = encode(entry, number, digest)
        chunk += line
    return bytes(chunk), Head(number, digest)
