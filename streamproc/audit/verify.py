"""Is the audit log whole? Every line in its place, each the sequel of the one before.

Reads; changes nothing. What the chain alone cannot tell is that lines at its very end were cut
off: the head tells of those who forgot it, a hash that was noted elsewhere tells of the others.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streamproc.audit.folder import LogFolder
from streamproc.audit.head import Head, decode_head
from streamproc.audit.line import GENESIS, LINE_BYTES_MAX, TORN, Line, decode, is_torn, owns_up_to
from streamproc.errors import AuditBroken

_TORN_MAX: Final = 2 * LINE_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Verified:
    """What a log that is whole is."""

    first: int  # number of the first line; 1 unless older segments are archived
    before: str  # the hash of the line before it
    last: Head
    torn_bytes: int  # at the very end: the next line will own up to them


@dataclass(frozen=True, slots=True)
class _Raw:
    """A line's bytes and where they are."""

    data: bytes
    segment: Path
    row: int  # from 1

    def __str__(self) -> str:
        return f"row {self.row} of {self.segment}"


class _Chain:
    """Takes line after line."""

    def __init__(self, first: int) -> None:
        self._expected_first = first
        self.first = first
        self.before = GENESIS
        self.last: Head | None = None
        self._unread: list[_Raw] = []  # may be what a writer left that was cut
        self._unread_bytes = 0

    def add(self, raw: _Raw) -> Line | None:
        """The line if it is whole and in its place. Raises AuditBroken."""
        line = decode(raw.data)
        if line is None or (self._unread and line.event != TORN):
            self._unread.append(raw)
            self._unread_bytes += len(raw.data)
            if self._unread_bytes > _TORN_MAX:
                raise self._damaged(raw)
            return None
        if (line.event == TORN or self._unread) and not owns_up_to(line, self._torn()):
            raise self._damaged(raw)
        self._check_place(raw, line)
        self._unread.clear()
        self._unread_bytes = 0
        self.last = Head(line.number, line.hash)
        return line

    def close(self) -> int:
        """Bytes that the last writer left that was cut. Raises AuditBroken if it is more than
        that."""
        torn = self._torn()
        if torn and not is_torn(torn):
            raise self._damaged(self._unread[0])
        return len(torn)

    def _torn(self) -> bytes:
        return b"".join(raw.data for raw in self._unread)

    def _check_place(self, raw: _Raw, line: Line) -> None:
        if self.last is None:
            self._check_first(raw, line)
            return
        expected = self.last.number + 1
        if line.number != expected:
            raise AuditBroken(
                f"the audit log is broken at line {expected}: {raw} has number {line.number}; "
                "lines were removed, added or moved"
            )
        if line.previous != self.last.hash:
            raise AuditBroken(
                f"the audit log is broken at line {line.number} ({raw}): it does not follow "
                f"from line {self.last.number}; one of the two was changed"
            )

    def _check_first(self, raw: _Raw, line: Line) -> None:
        first = self._expected_first
        if line.number != first or (line.number == 1 and line.previous != GENESIS):
            raise AuditBroken(
                f"the audit log begins with line {line.number} ({raw}), not with line {first}; "
                f"if older segments are archived, say so: --from {line.number}"
            )
        self.first, self.before = line.number, line.previous

    def _damaged(self, raw: _Raw) -> AuditBroken:
        raw = self._unread[0] if self._unread else raw
        number = self.last.number + 1 if self.last else self._expected_first
        return AuditBroken(
            f"the audit log is broken at line {number}: {raw} is not as it was written"
        )


def verify(folder: Path, first: int = 1, expected: str = "") -> Verified:
    """Read everything. first: the number of the line that the log should begin with; expected:
    a hash that one of its lines should have, noted earlier.

    Raises AuditBroken, naming the line.
    """
    segments, noted = LogFolder(folder).snapshot()
    if noted is None:
        raise AuditBroken(f"{folder / 'head'} is missing; lines may be missing with it")
    head = decode_head(folder, noted)
    chain = _Chain(first)
    is_there = not expected
    for raw in _raw_lines(segments):
        line = chain.add(raw)
        if line is None:
            continue
        is_there = is_there or expected in {line.hash, line.previous}
        if line.number == head.number and line.hash != head.hash:
            raise AuditBroken(
                f"the audit log is broken at line {line.number} ({raw}): its hash is "
                f"{line.hash}, and the head noted {head.hash}"
            )
    torn = chain.close()
    last = chain.last or Head()
    if head.number > last.number:
        raise AuditBroken(
            f"the audit log ends with line {last.number}, and line {head.number} was on disk "
            f"before: lines {last.number + 1} to {head.number} are missing"
        )
    if not is_there:
        raise AuditBroken(f"no line of the audit log has the hash {expected}: lines are missing")
    return Verified(chain.first, chain.before, last, torn)


def read_lines(folder: Path) -> Iterator[Line]:
    """Every line that can be read, oldest first; whether they are as written is verify()'s."""
    segments, _ = LogFolder(folder).snapshot()
    for raw in _raw_lines(segments):
        if (line := decode(raw.data)) is not None:
            yield line


def _raw_lines(segments: list[tuple[Path, int]]) -> Iterator[_Raw]:
    for segment, size in segments:
        with segment.open("rb") as file:
            row = 0
            while size > 0:
                # A bound: a file without newlines must not become one string.
                data = file.readline(min(size, _TORN_MAX))
                if not data:
                    break
                size -= len(data)
                row += 1
                yield _Raw(data, segment, row)
