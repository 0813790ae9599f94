"""The data folder: one daemon at a time, and the file that says where it answers.

Two daemons on one folder would corrupt each other's idea of the truth.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streamproc.errors import StreamprocError

_ENDPOINT = "endpoint"


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Make the folder and hold it while the block runs.

    The kernel lets the lock go when the process ends, however it ends. Raises
    StreamprocError if another process holds it or the folder cannot be used.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StreamprocError(
            f"the data folder {folder} cannot be used ({error.strerror}); "
            "choose another with --data-dir"
        ) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
            raise StreamprocError(
                f"the data folder {folder} belongs to a running streamproc (process {owner}); "
                "stop it, or choose another folder with --data-dir"
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


@contextmanager
def announced(folder: Path, url: str) -> Iterator[None]:
    """While the block runs, endpoint_of(folder) is this URL."""
    file = folder / _ENDPOINT
    # Renamed into place: a reader sees the whole URL or nothing.
    draft = folder / f"{_ENDPOINT}.new"
    draft.write_text(url + "\n")
    draft.replace(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def endpoint_of(folder: Path) -> str | None:
    """The URL of the daemon that runs on this data folder, None until it answers."""
    try:
        return (folder / _ENDPOINT).read_text().strip()
    except FileNotFoundError:
        return None
