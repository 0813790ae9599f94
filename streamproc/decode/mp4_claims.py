"""How many pictures and sounds the header of an MP4 file claims, before FFmpeg believes it.

FFmpeg's index has a row for each of them, about 60 bytes, even where one number in the header
stands for millions: a file of kilobytes could take all memory. Tables are looked for by their
tags wherever in the header they are, as FFmpeg's reader takes them wherever they are. Knows
nothing of what they mean (ISO/IEC 14496-12, 8.6.1, 8.6.6, 8.7.3 and 8.8.8).
"""

import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from streamproc.errors import MediaError

SAMPLES_MAX = 16_000_000
"""Three days at 60 frames a second; about 1 GB of index."""

_BOXES_MAX = 5_000_000  # a fragment for every frame of a day
_BLOCK_BYTES = 1024 * 1024
_HEADERS = set(b"moov moof hoov free meta udta trak traf edts mdia minf stbl cmov".split())
"""Boxes at the top of a file in which FFmpeg finds tables; free, where an editor hid moov."""

# Behind a tag: its size where that is a long one, then version and flags.
_BODY = rb"(?:(?<=\0\0\0\x01....).{8})?.{4}"
_TABLE = re.compile(
    rb"(?P<sizes>stsz|stz2)%b.{4}(?P<samples>.{4})"
    rb"|stts%b\0\0\0\x01(?P<single>.{4})\0\0\0\x01"  # every sample lasts one tick: PCM
    rb"|trun%b(?P<run>.{4})"
    rb"|elst%b(?P<edits>.{4})"
    rb"|(?P<packed>cmov.{4}dcom)" % ((_BODY,) * 4),
    re.DOTALL,
)
_SIZE_BYTES, _TABLE_BYTES = 4, 32  # before a tag, and from a tag on, at the most


def check_claims(path: Path, name: str) -> None:
    """Raises MediaError, which calls the file by this name. Any other kind of file passes."""
    claimed, fragments, edits = [], 0, 1
    single: set[int] = set()
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        for table in _tables(file, size, name):
            if table["packed"]:
                raise MediaError(f"{name} has a compressed header (cmov); convert it first")
            if table["sizes"]:
                claimed.append(_number(table["samples"]))
            elif table["single"]:
                single.add(_number(table["single"]))
            elif table["run"]:
                fragments += _number(table["run"])
            else:
                edits = max(edits, _number(table["edits"]))
    # Of PCM, whose samples have a byte or more, FFmpeg's index has a row for a thousand only.
    rows = [count for count in claimed if count not in single or count > size]
    total = sum(rows) * edits + fragments
    if total > SAMPLES_MAX:
        raise MediaError(
            f"{name} says that it has {total} pictures and sounds; streamproc reads up to "
            f"{SAMPLES_MAX}"
        )


def _tables(file: BinaryIO, size: int, name: str) -> Iterator[re.Match[bytes]]:
    for begin, end in _headers(file, size, name):
        searched = begin
        while searched < end:
            file.seek(searched)
            block = file.read(min(_BLOCK_BYTES, end - searched))
            for table in _TABLE.finditer(block):
                # What is cut by an end of this block is whole in another.
                if _SIZE_BYTES <= table.start() < _BLOCK_BYTES - _TABLE_BYTES:
                    yield table
            searched += _BLOCK_BYTES - _TABLE_BYTES - _SIZE_BYTES


def _headers(file: BinaryIO, size: int, name: str) -> Iterator[tuple[int, int]]:
    """Where the boxes at the top of the file that may hold tables begin and end."""
    at = 0
    for _ in range(_BOXES_MAX):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return
        length, kind = struct.unpack_from(">I4s", head)
        if length == 1 and len(head) == 16:
            [length] = struct.unpack_from(">Q", head, 8)
        end = min(size, at + length) if length else size
        if kind in _HEADERS:
            yield at, end
        if end < at + 8:
            return
        at = end
    raise MediaError(f"{name} is in more than {_BOXES_MAX} pieces; convert it first")


def _number(big_endian: bytes) -> int:
    return int.from_bytes(big_endian)
