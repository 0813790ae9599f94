"""A log that was touched anywhere is found out, and the line is named."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamproc.audit.folder import LogFolder, segments
from streamproc.audit.head import read_head
from streamproc.audit.line import GENESIS, Entry, decode, encode
from streamproc.audit.verify import read_lines, verify
from streamproc.errors import AuditBroken


def test_a_log_that_nobody_touched_is_whole(folder: Path, write: Any) -> None:
    write(20)
    verified = verify(folder)
    assert (verified.first, verified.last.number, verified.torn_bytes) == (1, 20, 0)
    assert verified.before == GENESIS
    assert verified.last == read_head(folder)
    assert [line.details["FaceIds"] for line in read_lines(folder)][:2] == [["face-0"], ["face-1"]]


def test_an_empty_log_is_whole(folder: Path, write: Any) -> None:
    write(0)
    assert verify(folder).last.number == 0


def test_a_hash_is_what_anybody_can_compute(folder: Path, write: Any) -> None:
    write(2)
    first, second = segments(folder)[0].read_text().splitlines()
    members = json.loads(second)
    body = second.replace(f',"hash":"{members["hash"]}"', "")
    assert hashlib.sha256(body.encode()).hexdigest() == members["hash"]
    assert members["previous"] == json.loads(first)["hash"]
    assert members["time"] == "2023-11-14T22:13:20.250Z"


def changed(lines: list[bytes]) -> list[bytes]:
    return [*lines[:9], lines[9].replace(b"face-9", b"face-8"), *lines[10:]]


def rehashed(lines: list[bytes]) -> list[bytes]:
    """Whoever changes a line knows how to hash it."""
    line = decode(lines[9])
    assert line is not None
    forged, _ = encode(Entry(0.0, line.who, line.event, {}), line.number, line.previous)
    return [*lines[:9], forged, *lines[10:]]


def with_a_space(lines: list[bytes]) -> list[bytes]:
    return [*lines[:9], lines[9].replace(b'"who":', b'"who": '), *lines[10:]]


TAMPERED: dict[str, tuple[Callable[[list[bytes]], list[bytes]], int]] = {
    "changed": (changed, 10),
    "changed and hashed again": (rehashed, 11),
    "with a space more": (with_a_space, 10),
    "first changed": (lambda lines: [lines[0].replace(b"face-0", b"face-1"), *lines[1:]], 1),
    "last changed": (lambda lines: [*lines[:-1], lines[-1].replace(b"face", b"FACE")], 20),
    "one missing": (lambda lines: [*lines[:9], *lines[10:]], 10),
    "first missing": (lambda lines: lines[1:], 1),
    "two swapped": (lambda lines: [*lines[:9], lines[10], lines[9], *lines[11:]], 10),
    "one twice": (lambda lines: [*lines[:10], lines[9], *lines[10:]], 11),
    "one inserted": (lambda lines: [*lines[:9], b"{}\n", *lines[9:]], 10),
    "one moved to the end": (lambda lines: [*lines[:9], *lines[10:], lines[9]], 10),
    "an empty line": (lambda lines: [*lines[:9], b"\n", *lines[9:]], 10),
    "newlines gone": (lambda lines: [*lines[:9], lines[9].rstrip(), *lines[10:]], 10),
    "cut at the end": (lambda lines: lines[:-3], 18),
    "cut within a line": (lambda lines: [*lines[:-2], lines[-2][:-5]], 19),
    "all gone": (lambda lines: lines[:0], 1),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_tampering_is_found_and_the_line_is_named(
    folder: Path, write: Any, edit: Any, how: str
) -> None:
    change, number = TAMPERED[how]
    write(20)
    edit(change)
    with pytest.raises(AuditBroken, match=rf"\b(line|lines) {number}\b"):
        verify(folder)


@pytest.mark.parametrize("how", ["last changed", "cut at the end", "cut within a line", "all gone"])
def test_nobody_goes_on_with_a_log_whose_end_was_touched(
    folder: Path, write: Any, edit: Any, how: str
) -> None:
    write(20)
    edit(TAMPERED[how][0])
    before = segments(folder)[-1].read_bytes()
    with pytest.raises(AuditBroken, match="streamproc audit verify"):
        LogFolder(folder).create()
    assert segments(folder)[-1].read_bytes() == before


def test_whoever_cuts_lines_and_mends_the_head_is_found_by_a_hash_noted_elsewhere(
    folder: Path, write: Any, edit: Any
) -> None:
    write(20)
    noted = verify(folder).last.hash
    edit(lambda lines: lines[:-3])
    line = decode(segments(folder)[0].read_bytes().splitlines(keepends=True)[-1])
    assert line is not None
    (folder / "head").write_text(json.dumps({"number": line.number, "hash": line.hash}))
    assert verify(folder).last.number == 17  # the limit of the chain alone
    with pytest.raises(AuditBroken, match=noted):
        verify(folder, expected=noted)


def test_a_hash_noted_earlier_is_found_in_a_log_that_went_on(folder: Path, write: Any) -> None:
    write(5)
    noted = verify(folder).last.hash
    write(5)
    assert verify(folder, expected=noted).last.number == 10


def test_a_missing_head_is_told(folder: Path, write: Any) -> None:
    write(3)
    (folder / "head").unlink()
    with pytest.raises(AuditBroken, match="head is missing"):
        verify(folder)


class TestSegments:
    @pytest.fixture(autouse=True)
    def _written(self, write: Any) -> None:
        write(20, segment_bytes=1000)

    def test_the_chain_goes_on_across_them(self, folder: Path) -> None:
        assert len(segments(folder)) > 3
        assert verify(folder).last.number == 20

    def test_one_missing_in_the_middle_is_found(self, folder: Path) -> None:
        gone = segments(folder)[1]
        gone.unlink()
        with pytest.raises(AuditBroken, match=f"line {int(gone.stem)}"):
            verify(folder)

    def test_the_last_missing_is_found(self, folder: Path) -> None:
        gone = segments(folder)[-1]
        gone.unlink()
        with pytest.raises(AuditBroken, match=f"lines {int(gone.stem)} to 20 are missing"):
            verify(folder)

    def test_the_oldest_may_be_archived_by_who_says_so(self, folder: Path, tmp_path: Path) -> None:
        oldest, second = segments(folder)[:2]
        begin = int(second.stem)
        shutil.move(oldest, tmp_path / oldest.name)
        with pytest.raises(AuditBroken, match=f"--from {begin}"):
            verify(folder)
        verified = verify(folder, first=begin)
        assert verified.first == begin
        archived = decode((tmp_path / oldest.name).read_bytes().splitlines(keepends=True)[-1])
        assert archived is not None
        assert verified.before == archived.hash

    def test_a_writer_goes_on_in_the_newest(self, folder: Path, write: Any) -> None:
        write(3, segment_bytes=1000)
        assert verify(folder).last.number == 23
