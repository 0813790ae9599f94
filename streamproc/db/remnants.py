"""Bytes of rows between the rows: what secure_delete does not reach.

SQLite zeros a row where it lies when it is deleted. Where it moves rows from page to page before
that, as pages are filled and emptied, an old place of a row may stay in the unallocated part of a
page. Knows the layout of a page (https://www.sqlite.org/fileformat.html#b_tree_pages), which it
only ever reads; VACUUM is what removes what is found.
"""

from pathlib import Path
from typing import Final

_LEAF: Final = 0x0D  # of a table; indexes and inner pages hold keys, no blobs
_LEAF_HEADER_BYTES: Final = 8
_FILE_HEADER_BYTES: Final = 100
_REMNANT_BYTES: Final = 32  # places of rows that were, 2 bytes each, lie in the same part


def has_remnants(path: Path) -> bool:
    """Whether any table of a database file may have a part of a row outside its rows. Blocks."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(_FILE_HEADER_BYTES)[16:18])
        size = 65536 if size == 1 else size
        file.seek(0)
        start = _FILE_HEADER_BYTES  # of the first page
        while page := file.read(size):
            # A page of other kinds begins with a page number: 0 in files below 64 GiB.
            if page[start] == _LEAF and len(_unallocated(page, start)) >= _REMNANT_BYTES:
                return True
            start = 0
    return False


def _unallocated(page: bytes, start: int) -> bytes:
    """From the first byte to the last that is no zero; the page's header begins at start."""
    rows = int.from_bytes(page[start + 3 : start + 5])
    content = int.from_bytes(page[start + 5 : start + 7]) or 65536
    return page[start + _LEAF_HEADER_BYTES + 2 * rows : content].strip(b"\0")
