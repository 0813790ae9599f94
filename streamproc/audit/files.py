"""Files of the audit log: made for their owner alone, appended to, brought to disk. Blocking."""

import os
from pathlib import Path


def append_bytes(segment: Path, chunk: bytes, *, sync: bool) -> None:
    handle = open_owned(segment, os.O_WRONLY | os.O_APPEND)
    try:
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(handle, rest) :]
        if sync:
            os.fdatasync(handle)
    finally:
        os.close(handle)


def open_owned(path: Path, flags: int) -> int:
    """Made if it is missing, and its owner's alone."""
    handle = os.open(path, flags | os.O_CREAT, 0o600)
    try:
        own_like(path.parent, handle)
    except BaseException:
        os.close(handle)
        raise
    return handle


def own_like(folder: Path, made: int | Path) -> None:
    """What root makes belongs to whom the folder belongs to: the daemon must be able to go on
    after a command that root has run."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(made, owner.st_uid, owner.st_gid)


def bring_to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
