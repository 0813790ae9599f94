"""The head: number and hash of the last line that is known to be on disk.

The chain of lines cannot tell that lines at its end were cut off; the head tells it, of those
who forgot the head. It is written after its line is on disk, so no crash puts it ahead of the
lines. Blocking.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streamproc.audit.files import open_owned
from streamproc.audit.line import GENESIS
from streamproc.errors import AuditBroken

REMEDY: Final = (
    "find out how far with: streamproc audit verify; then move the folder away, and keep it, to "
    "begin a new log"
)


@dataclass(frozen=True, slots=True)
class Head:
    """The last line that is known to be on disk."""

    number: int = 0
    hash: str = GENESIS


def read_head(folder: Path) -> Head | None:
    """None if there is none. Raises AuditBroken if it is no head."""
    data = head_bytes(folder)
    return None if data is None else decode_head(folder, data)


def decode_head(folder: Path, data: bytes) -> Head:
    """Raises AuditBroken if it is no head."""
    try:
        members = json.loads(data)
        return Head(int(members["number"]), str(members["hash"]))
    except (ValueError, KeyError, TypeError):
        raise AuditBroken(f"{folder / 'head'} is damaged; {REMEDY}") from None


def head_bytes(folder: Path) -> bytes | None:
    try:
        return (folder / "head").read_bytes()
    except FileNotFoundError:
        return None


def write_head(folder: Path, head: Head) -> None:
    """Replaced at once and for good: after a power cut it is the old one or the new one."""
    draft = folder / "head.new"
    data = json.dumps({"number": head.number, "hash": head.hash}).encode() + b"\n"
    handle = open_owned(draft, os.O_WRONLY)
    try:
        os.ftruncate(handle, 0)
        os.write(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)
    draft.replace(folder / "head")


def check_head(folder: Path, last: Head) -> None:
    """The head is written after its line is on disk, so no crash puts it ahead of the lines."""
    head = read_head(folder)
    if head is None:
        raise AuditBroken(f"{folder / 'head'} is missing; {REMEDY}")
    if head.number > last.number or (head.number == last.number and head != last):
        raise AuditBroken(
            f"the audit log in {folder} ends with line {last.number}, and its line {head.number} "
            f"was on disk before ({head.hash}); {REMEDY}"
        )
