"""Files of the audit log: made for their owner alone, appended to. Blocking."""

import errno
import os
import stat
from pathlib import Path

from streamproc.disk import bring_to_disk


class KeptFile:
    """A file that stays open between uses, for as long as its path leads to it: opening it each
    time takes four times as long as looking. Closed with its last reference."""

    def __init__(self, path: Path, flags: int) -> None:
        """flags: how open_owned() opens it."""
        self.path = path
        self._flags = flags
        self._name = str(path)
        self._handle: int | None = None
        self._opened = (0, 0)  # device and inode

    def handle(self) -> int:
        """Of the file that the path leads to now; made if it is missing."""
        if self._handle is None or self._found() != self._opened:
            self._close()
            self._handle = open_owned(self.path, self._flags)
            self._opened = _identity(os.fstat(self._handle))
        return self._handle

    def append(self, chunk: bytes, *, sync: bool) -> None:
        handle = self.handle()
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(handle, rest) :]
        if sync:
            os.fdatasync(handle)

    def _found(self) -> tuple[int, int] | None:
        try:
            return _identity(os.lstat(self._name))
        except FileNotFoundError:
            return None

    def _close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __del__(self) -> None:
        self._close()


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


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
