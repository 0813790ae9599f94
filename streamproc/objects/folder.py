"""A folder that stands for a bucket: keys are paths in it, with "/" between their parts.

Names come from whoever may call the API. Whether one lies in the folder is decided on the path
that the operating system would really open, links followed; anything but a regular file is no
object. Knows nothing of S3.
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


class FolderBucket:
    """One bucket. ObjectStore says what its methods promise."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def describe(self, ref: ObjectRef) -> ObjectInfo:
        _, size_bytes = await asyncio.to_thread(self._find, ref)
        return ObjectInfo(size_bytes, "")

    @asynccontextmanager
    async def fetch(self, ref: ObjectRef, progress: Callable[[float], None]) -> AsyncIterator[Path]:
        path, _ = await asyncio.to_thread(self._find, ref)
        progress(1.0)
        yield path

    async def read(self, ref: ObjectRef, bytes_max: int) -> bytes:
        return await asyncio.to_thread(self._read, ref, bytes_max)

    def _find(self, ref: ObjectRef) -> tuple[Path, int]:
        """Where the object really lies, and its size."""
        path = self._path_of(ref)
        descriptor = _open(ref, path)
        try:
            return path, os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)

    def _read(self, ref: ObjectRef, bytes_max: int) -> bytes:
        with os.fdopen(_open(ref, self._path_of(ref)), "rb") as file:
            data = file.read(bytes_max + 1)  # it may be growing: do not trust its size
            size_bytes = max(len(data), os.fstat(file.fileno()).st_size)
        check_size(ref, size_bytes, bytes_max)
        return data

    def _path_of(self, ref: ObjectRef) -> Path:
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
        return path


def _open(ref: ObjectRef, path: Path) -> int:
    """A descriptor of a regular file. Neither waits for a pipe's other end nor follows a link
    that was put in place just now."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise _unavailable(ref, error) from None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise ObjectUnavailable(f"{ref} is not a file")


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
