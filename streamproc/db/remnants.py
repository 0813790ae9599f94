"""Bytes of rows between the rows: what secure_delete does not reach.

SQLite zeros a row where it lies when it is deleted. Where it moves rows from page to page before
that, as pages are filled and emptied, an old place of a row may stay in the unallocated part of a
page. Knows the layout of a page (https://www.sqlite.org/fileformat.html#b_tree_pages) and of the
write-ahead log (#the_write_ahead_log), which it only ever reads. What is found is overwritten where
it lies: SQLite gives no meaning to what a page has there, and VACUUM, which would do it too, copies
the whole file twice for one page. Knows no connections; whoever calls keeps writers away.
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

    salt: int  # random in a new log, so that one of another process's is not taken for ours

    @property
    def next(self) -> "LogLife":
        """What follows once the log has been cut: SQLite counts up by one, or takes another salt
        at random where a connection writes first that has never seen the log begin anew."""
        return LogLife((self.salt + 1) % _WORD)


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
        page_bytes, salt = (int.from_bytes(header[at : at + 4]) for at in (8, 16))
        pages: set[int] = set()
        frame = file.read(_FRAME_HEADER_BYTES)
        # What lies behind with other salts is of an earlier life.
        while len(frame) == _FRAME_HEADER_BYTES and frame[8:16] == header[16:24]:
            pages.add(int.from_bytes(frame[:4]))
            file.seek(page_bytes, 1)
            frame = file.read(_FRAME_HEADER_BYTES)
    return LogLife(salt), frozenset(pages)


def pages_with_remnants(file: BinaryIO, pages: Collection[int] | None = None) -> list[int]:
    """The pages of a database file, by number from 1 on, that have a part of a row outside the
    rows of their table. Blocks.

    file is the caller's to keep open: closing it would take away the locks of all connections
    of this process (https://www.sqlite.org/howtocorrupt.html, section 2.2), and whoever closes
    the database next would delete its log as its last user.

    pages are all that can have gained one since there was none. That holds for a file that one
    process writes, so it is used for large files only, which are.
    """
    if file.seek(0, os.SEEK_END) <= _SMALL_BYTES:
        pages = None
    size = _page_bytes(file)
    found = _all_pages(file, size) if pages is None else _these_pages(file, size, pages)
    return [number for number, page in found if _remnant(number, page)]


def wipe(file: BinaryIO, pages: Collection[int]) -> None:
    """Zeros over what pages_with_remnants() found, on the disk when this returns. Blocks.

    The log has to be empty and no writer may begin, in any process: what a page is in the file is
    what it is. Readers see no difference. What connections hold of these pages in memory is as it
    was, until a commit makes them read anew.
    """
    size = _page_bytes(file)
    for number, page in _these_pages(file, size, pages):
        if remnant := _remnant(number, page):
            file.seek((number - 1) * size + remnant.start)
            zeros = memoryview(bytes(len(remnant)))
            while zeros:
                zeros = zeros[file.write(zeros) :]
    os.fsync(file.fileno())


def _page_bytes(file: BinaryIO) -> int:
    file.seek(0)
    size = int.from_bytes(file.read(_FILE_HEADER_BYTES)[16:18])
    return 65536 if size == 1 else size


def _all_pages(file: BinaryIO, size: int) -> Iterator[tuple[int, bytes]]:
    """Every page that may be a leaf of a table, with its number."""
    file.seek(0)
    number = 0
    while part := file.read(_PART_BYTES):
        for at in range(0, len(part), size):
            number += 1
            # A page of other kinds begins with a page number: 0 in files below 64 GiB.
            if part[at] == _LEAF:
                yield number, part[at : at + size]


def _these_pages(file: BinaryIO, size: int, pages: Collection[int]) -> Iterator[tuple[int, bytes]]:
    for number in sorted(pages):
        file.seek((number - 1) * size)
        if page := file.read(size):  # else the file has been made shorter since
            yield number, page


def _remnant(number: int, page: bytes) -> range:
    """The bytes of a page between the places of its rows and its rows, if any of a row is there;
    empty if not, and if this is no leaf of a table. Page 1 has no rows but the schema's."""
    if number == 1 or page[0] != _LEAF:
        return range(0)
    rows = int.from_bytes(page[3:5])
    content = int.from_bytes(page[5:7]) or 65536
    places = _LEAF_HEADER_BYTES
    end = places + 2 * rows
    unallocated = page[end:content]
    if unallocated == _ZEROS[: len(unallocated)]:  # many times as fast as looking for its ends
        return range(0)
    if len(unallocated.strip(b"\0")) < _REMNANT_BYTES:
        return range(0)
    # A page that only begins as a leaf does: a row that is there is never taken for one that was.
    bounds = range(content, len(page))
    are_rows = all(int.from_bytes(page[at : at + 2]) in bounds for at in range(places, end, 2))
    return range(end, content) if are_rows and content <= len(page) else range(0)
