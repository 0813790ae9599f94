"""How many pictures and sounds the header of an MP4 file claims, before FFmpeg believes it.

FFmpeg's index has a row for each of them, about 60 bytes, even where one number in the header
stands for millions: a file of kilobytes could take all memory. Tables are looked for by their
tags wherever in the header they are, as FFmpeg's reader takes them wherever they are. Knows
nothing of what they mean (ISO/IEC 14496-12, 8.6.1, 8.6.6, 8.7.3 to 8.7.5 and 8.8.8).
"""

import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias

from streamproc.errors import MediaError

SAMPLES_MAX = 16_000_000
"""Three days at 60 frames a second; about 1 GB of index."""

_BOXES_MAX = 5_000_000  # a fragment for every frame of a day
_RUNS_MAX = 5_000_000  # of chunks with as many samples each, in all tables together
_PCM_ROW_MIN = 160  # samples of PCM that make a row of the index, at the least
_BLOCK_BYTES = 1024 * 1024
_HEADERS = set(b"moov moof hoov free meta udta trak traf edts mdia minf stbl cmov".split())
"""Boxes at the top of a file in which FFmpeg finds tables; free, where an editor hid moov."""

# Behind a tag: its size where that is a long one, then version and flags.
_BODY = rb"(?:(?<=\0\0\0\x01....).{8})?.{4}"
_TABLE = re.compile(
    rb"(?P<sizes>stsz|stz2)%b.{4}(?P<samples>.{4})"
    rb"|stts%b\0\0\0\x01(?P<single>.{4})\0\0\0\x01"  # every sample lasts one tick: PCM
    rb"|stsc%b(?P<runs>.{4})"
    rb"|(?:stco|co64)%b(?P<chunks>.{4})"
    rb"|trun%b(?P<run>.{4})"
    rb"|elst%b(?P<edits>.{4})"
    rb"|(?P<track>tkhd(?:(?<=\0\0\0\x01....).{8})?(?:\0.{11}|\x01.{19})[\x80-\xff])"
    rb"|(?P<packed>cmov.{4}dcom)" % ((_BODY,) * 6),
    re.DOTALL,
)
_RUN = struct.Struct(">III")
_SIZE_BYTES, _TABLE_BYTES = 4, 40  # before a tag, and from a tag on, at the most


def check_claims(path: Path, name: str) -> None:
    """Raises MediaError, which calls the file by this name. Any other kind of file passes."""
    claimed, fragments, edits, chunks, runs_total = [], 0, 1, 0, 0
    single: set[int] = set()
    runs: list[_Runs] = []
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        for at, table in _tables(file, size, name):
            if table["packed"]:
                raise MediaError(f"{name} has a compressed header (cmov); convert it first")
            if table["track"]:  # FFmpeg counts up to it, and beyond, for seconds each time
                raise MediaError(f"{name} has a track numbered above {2**31 - 1}; convert it first")
            if table["sizes"]:
                claimed.append(_number(table["samples"]))
            elif table["single"]:
                single.add(_number(table["single"]))
            elif table["runs"]:
                runs.append(_read_runs(file, at, _number(table["runs"])))
                runs_total += len(runs[-1])
                if runs_total > _RUNS_MAX:
                    raise _too_many_pieces(name, _RUNS_MAX)
            elif table["chunks"]:
                chunks = max(chunks, min(_number(table["chunks"]), size // 4))
            elif table["run"]:
                fragments += _number(table["run"])
            else:
                edits = max(edits, _number(table["edits"]))
    # Of PCM, whose samples have a byte or more, FFmpeg's index has a row for a thousand only.
    rows = [count for count in claimed if count not in single or count > size]
    # And there it goes by how many samples the chunks have, whatever their number in all.
    sounds = [_samples(table, chunks) for table in runs]
    rows += [count // _PCM_ROW_MIN for count in sounds if count > size]
    total = sum(rows) * edits + fragments
    if total > SAMPLES_MAX:
        raise MediaError(
            f"{name} says that it has {total} pictures and sounds; streamproc reads up to "
            f"{SAMPLES_MAX}"
        )


_Runs: TypeAlias = list[tuple[int, int, int]]
"""The chunk (from 1) from which on each has so many samples; the third is not looked at."""


def _read_runs(file: BinaryIO, at: int, count: int) -> _Runs:
    file.seek(at)
    body = file.read(min(count, _RUNS_MAX + 1) * _RUN.size)
    return list(_RUN.iter_unpack(body[: len(body) // _RUN.size * _RUN.size]))


def _samples(runs: _Runs, chunks: int) -> int:
    """How many there are in so many chunks: at the most, where the runs are out of order."""
    begins = [begin for begin, _, _ in runs]
    if begins != sorted(begins):
        return max(samples for _, samples, _ in runs) * chunks
    ends = [*begins[1:], chunks + 1]
    spans = zip(runs, ends, strict=False)
    return sum(samples * max(0, end - begin) for (begin, samples, _), end in spans)


def _tables(file: BinaryIO, size: int, name: str) -> Iterator[tuple[int, re.Match[bytes]]]:
    """Each with the place in the file that is behind what matches."""
    for begin, end in _headers(file, size, name):
        searched = begin
        while searched < end:
            file.seek(searched)
            block = file.read(min(_BLOCK_BYTES, end - searched))
            for table in _TABLE.finditer(block):
                # What is cut by an end of this block is whole in another.
                if _SIZE_BYTES <= table.start() < _BLOCK_BYTES - _TABLE_BYTES:
                    yield searched + table.end(), table
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
    raise _too_many_pieces(name, _BOXES_MAX)


def _too_many_pieces(name: str, pieces_max: int) -> MediaError:
    return MediaError(f"{name} is in more than {pieces_max} pieces; convert it first")


def _number(big_endian: bytes) -> int:
    return int.from_bytes(big_endian)
