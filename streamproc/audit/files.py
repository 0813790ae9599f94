"""Files of the audit log: made for their owner alone, appended to. Blocking."""

import errno
import os
import stat
from pathlib import Path

from streamproc.disk import bring_to_disk


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


def make_folder(folder: Path) -> None:
    """Made for its owner alone if it is missing, and on disk."""
    if not folder.exists():
        folder.mkdir(parents=True, mode=0o700)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            _own_like(folder.parent, handle)
        finally:
            os.close(handle)
        bring_to_disk(folder.parent)


def open_owned(path: Path, flags: int) -> int:
    """Made if it is missing, and its owner's alone; never through a link."""
    handle = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        _own_like(path.parent, handle)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _own_like(folder: Path, handle: int) -> None:
    """What root makes belongs to whom the folder belongs to: the daemon must be able to go on
    after a command that root has run. But that owner must not be given another's file, by a link
    that lay in wait for root."""
    if os.geteuid() != 0:
        return
    owner, found = folder.stat(), os.fstat(handle)
    if found.st_uid == owner.st_uid:
        return
    if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
        raise OSError(errno.EMLINK, "a file in it is a link to a file of somebody else")
    os.chown(handle, owner.st_uid, owner.st_gid)
