"""A folder that stands for a bucket: keys are paths in it, with "/" between their parts.

Names come from whoever may call the API, and files may come from yet others. Whether a name lies
in the folder is decided on the path that its links lead to; that path is then walked from the
folder down, part by part, and follows no link any more, so nobody can put one in its way
meanwhile. Anything but a regular file is no object. Knows nothing of S3.
"""

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from streamproc.errors import ObjectUnavailable
from streamproc.model.video import ObjectRef
from streamproc.objects.info import ObjectInfo, check_size

_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


class FolderBucket:
    """One bucket. ObjectStore says what its methods promise."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def describe(self, ref: ObjectRef) -> ObjectInfo:
        return ObjectInfo(await asyncio.to_thread(self._size_of, ref), "")

    @asynccontextmanager
    async def fetch(self, ref: ObjectRef, progress: Callable[[float], None]) -> AsyncIterator[Path]:
        opening = asyncio.ensure_future(asyncio.to_thread(self._open, ref))
        try:
            descriptor, path = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_opened)  # the thread cannot be called back
            raise
        try:
            progress(1.0)
            yield _path_to(descriptor, path)
        finally:
            os.close(descriptor)

    async def read(self, ref: ObjectRef, bytes_max: int) -> bytes:
        return await asyncio.to_thread(self._read, ref, bytes_max)

    def _size_of(self, ref: ObjectRef) -> int:
        descriptor, _ = self._open(ref)
        try:
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)

    def _read(self, ref: ObjectRef, bytes_max: int) -> bytes:
        descriptor, _ = self._open(ref)
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(bytes_max + 1)  # it may be growing: do not trust its size
            size_bytes = max(len(data), os.fstat(file.fileno()).st_size)
        check_size(ref, size_bytes, bytes_max)
        return data

    def _open(self, ref: ObjectRef) -> tuple[int, Path]:
        """A descriptor of the object, and where it was found. Raises ObjectUnavailable."""
        folder, path = self._find(ref)
        try:
            descriptor = _open_below(folder, path)
        except OSError as error:
            raise _unavailable(ref, error) from None
        if descriptor is None:
            raise ObjectUnavailable(f"{ref} is not a file")
        return descriptor, path

    def _find(self, ref: ObjectRef) -> tuple[Path, Path]:
        """The bucket's folder and the path of the object in it, links followed."""
        if ref.version:
            raise ObjectUnavailable(
                f"{ref} does not exist: bucket {ref.bucket} is a folder, which keeps no "
                "versions; leave Version out"
            )
        parts = ref.name.split("/")
        if not {"", ".", ".."}.isdisjoint(parts):
            raise ObjectUnavailable(
                f"{ref} cannot be read: bucket {ref.bucket} is a folder, in which no part of a "
                'name between "/" may be empty, "." or ".."'
            )
        try:
            folder = self._folder.resolve(strict=True)
        except (OSError, RuntimeError):
            raise ObjectUnavailable(
                f"{ref} cannot be read: the folder that [buckets] names for {ref.bucket} "
                "does not exist or may not be entered"
            ) from None
        try:
            path = folder.joinpath(*parts).resolve(strict=True)
        except (OSError, RuntimeError, ValueError) as error:  # ValueError: NUL, half a surrogate
            raise _unavailable(ref, error) from None
        if not path.is_relative_to(folder):
            raise ObjectUnavailable(
                f"{ref} cannot be read: it is a link that leads out of the bucket's folder"
            )
        return folder, path


def _open_below(folder: Path, path: Path) -> int | None:
    """A descriptor of the regular file at a path without links in it; None if it is none.

    What is not regular is not opened either: that would wait for a pipe's other end, or start
    a device. Raises OSError, also where a part has become a link since.
    """
    if path == folder:
        return None
    *folders, name = path.relative_to(folder).parts
    here = os.open(folder, _FOLDER)
    try:
        for part in folders:
            below = os.open(part, _FOLDER, dir_fd=here)
            os.close(here)
            here = below
        if not stat.S_ISREG(os.stat(name, dir_fd=here, follow_symlinks=False).st_mode):
            return None
        descriptor = os.open(name, _FILE, dir_fd=here)
    finally:
        os.close(here)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def _path_to(descriptor: int, found: Path) -> Path:
    """A path that opens the very file that is open; where there is no /proc, as it was found."""
    path = Path(f"/proc/self/fd/{descriptor}")
    return path if path.exists() else found


def _close_opened(opening: "asyncio.Future[tuple[int, Path]]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        os.close(opening.result()[0])


def _unavailable(ref: ObjectRef, error: Exception) -> ObjectUnavailable:
    number = error.errno if isinstance(error, OSError) else None
    if number in {errno.ENOENT, errno.ENOTDIR}:
        return ObjectUnavailable(f"{ref} does not exist")
    if number in {errno.EACCES, errno.EPERM}:
        return ObjectUnavailable(f"{ref} may not be read by the user that streamproc runs as")
    if number == errno.ENAMETOOLONG:
        return ObjectUnavailable(f"{ref} does not exist: no file may have so long a name")
    if number == errno.ENXIO:  # a socket, or a device without a driver
        return ObjectUnavailable(f"{ref} is not a file")
    if number is None or number == errno.ELOOP:
        return ObjectUnavailable(f"{ref!r} does not exist: no file can have this name")
    return ObjectUnavailable(f"{ref} cannot be read: {os.strerror(number)}")
