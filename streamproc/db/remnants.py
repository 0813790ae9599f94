"""Bytes of rows between the rows: what secure_delete does not reach.

SQLite zeros a row where it lies when it is deleted. Where it moves rows from page to page before
that, as pages are filled and emptied, an old place of a row may stay in the unallocated part of a
page. Knows the layout of a page (https://www.sqlite.org/fileformat.html#b_tree_pages) and of the
write-ahead log (#the_write_ahead_log), which it only ever reads; VACUUM is what removes what is
found.
"""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

_LEAF: Final = 0x0D  # of a table; indexes and inner pages hold keys, no blobs
_LEAF_HEADER_BYTES: Final = 8
_FILE_HEADER_BYTES: Final = 100
_REMNANT_BYTES: Final = 32  # places of rows that were, 2 bytes each, lie in the same part
_ZEROS: Final = bytes(65536)
_PART_BYTES: Final = 1024 * 1024
_SMALL_BYTES: Final = 16 * 1024 * 1024
"""What takes some ten milliseconds to look at is looked at whole."""

_LOG_HEADER_BYTES: Final = 32
_FRAME_HEADER_BYTES: Final = 24
_WORD: Final = 2**32


@dataclass(frozen=True, slots=True)
class LogLife:
    """One life of the log: from where it begins at its first frame to where it does so again."""

    sequence: int
    salt: int  # random in a new log, so that one of another process's is not taken for ours

    @property
    def next(self) -> "LogLife":
        """What follows once the log has been cut: SQLite counts both up by one."""
        return LogLife((self.sequence + 1) % _WORD, (self.salt + 1) % _WORD)


def read_log(wal: Path) -> tuple[LogLife | None, frozenset[int]]:
    """A write-ahead log's life and the pages, from 1 on, that transactions have written in it;
    None where the log is empty or missing. Blocks."""
    try:
        file = wal.open("rb")
    except FileNotFoundError:
        return None, frozenset()
    with file:
        header = file.read(_LOG_HEADER_BYTES)
        if len(header) < _LOG_HEADER_BYTES:
            return None, frozenset()
        page_bytes, sequence, salt = (int.from_bytes(header[at : at + 4]) for at in (8, 12, 16))
        pages: set[int] = set()
        frame = file.read(_FRAME_HEADER_BYTES)
        # What lies behind with other salts is of an earlier life.
        while len(frame) == _FRAME_HEADER_BYTES and frame[8:16] == header[16:24]:
            pages.add(int.from_bytes(frame[:4]))
            file.seek(page_bytes, 1)
            frame = file.read(_FRAME_HEADER_BYTES)
    return LogLife(sequence, salt), frozenset(pages)


def has_remnants(file: BinaryIO, pages: Collection[int] | None = None) -> bool:
    """Whether any table of a database file may have a part of a row outside its rows. Blocks.

    file is the caller's to keep open: closing it would take away the locks of all connections
    of this process (https://www.sqlite.org/howtocorrupt.html, section 2.2), and whoever closes
    the database next would delete its log as its last user.

    pages, by number from 1 on, are all that can have gained one since there was none. That holds
    for a file that one process writes, so it is used for large files only, which are.
    """
    if file.seek(0, os.SEEK_END) <= _SMALL_BYTES:
        pages = None
    file.seek(0)
    size = int.from_bytes(file.read(_FILE_HEADER_BYTES)[16:18])
    size = 65536 if size == 1 else size
    found = _all_pages(file, size) if pages is None else _these_pages(file, size, pages)
    return any(_has_remnant(page, first) for page, first in found)


def _all_pages(file: BinaryIO, size: int) -> Iterator[tuple[bytes, bool]]:
    """Every page, and whether it is the first of the file."""
    file.seek(0)
    is_first = True
    while part := file.read(_PART_BYTES):
        for at in range(0, len(part), size):
            # A page of other kinds begins with a page number: 0 in files below 64 GiB.
            if part[at] == _LEAF or is_first:
                yield part[at : at + size], is_first
            is_first = False


def _these_pages(file: BinaryIO, size: int, pages: Collection[int]) -> Iterator[tuple[bytes, bool]]:
    for number in sorted(pages):
        file.seek((number - 1) * size)
        if page := file.read(size):  # else the file has been made shorter since
            yield page, number == 1


def _has_remnant(page: bytes, is_first: bool) -> bool:
    start = _FILE_HEADER_BYTES if is_first else 0
    if page[start] != _LEAF:
        return False
    rows = int.from_bytes(page[start + 3 : start + 5])
    content = int.from_bytes(page[start + 5 : start + 7]) or 65536
    unallocated = page[start + _LEAF_HEADER_BYTES + 2 * rows : content]
    if unallocated == _ZEROS[: len(unallocated)]:  # many times as fast as looking for its ends
        return False
    return len(unallocated.strip(b"\0")) >= _REMNANT_BYTES
