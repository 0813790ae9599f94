"""One file into a data folder, all of it or nothing.

Everything is read into a folder beside the one that is wanted and compared with the manifest;
only then it takes its name, in one step. A daemon can start on neither of the two meanwhile.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from streamproc.backup.archive import ArchiveReader, Manifest
from streamproc.backup.make import Progress, note
from streamproc.data_folder import locked_folder
from streamproc.disk import bring_to_disk
from streamproc.errors import BackupError


def restore_backup(
    file: Path, data_dir: Path, *, force: bool, told: Progress
) -> tuple[Manifest, Path | None]:
    """The backup's manifest, and where what was there has gone.

    Raises BackupError, with nothing changed; StreamprocError if a daemon runs in the folder.
    """
    data_dir = data_dir.expanduser().resolve()
    with _explained(data_dir), ExitStack() as stack:
        source = stack.enter_context(file.open("rb"))
        if data_dir.exists():
            stack.enter_context(locked_folder(data_dir))
            if _holds_anything(data_dir) and not force:
                raise BackupError(
                    f"{data_dir} is not empty; choose another folder, or --force, which moves "
                    "it aside"
                )
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        staged = stack.enter_context(_staging(data_dir))
        stack.enter_context(locked_folder(staged))
        manifest = _unpack(ArchiveReader(source), staged, file.stat().st_size, told)
        if data_dir.exists() and os.geteuid() == 0:
            _give(staged, data_dir.stat())
        note(staged, "restore", "RestoreBackup", {"MadeAt": manifest.made_at})
        moved_to = _make_way(data_dir)
        staged.rename(data_dir)
        bring_to_disk(data_dir.parent)
    return manifest, moved_to


def _unpack(reader: ArchiveReader, staged: Path, total: int, told: Progress) -> Manifest:
    done = 0

    def copied(count: int) -> None:
        nonlocal done
        done += count
        told(name, done, total)

    for name, _ in reader:
        path = staged / name  # from a fixed set of names: archive.py
        for folder in reversed(Path(name).parents):
            (staged / folder).mkdir(exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            reader.copy_to(name, out, copied)
            out.flush()
            os.fsync(out.fileno())
    manifest = reader.check()
    for folder in (staged, *(path for path in staged.rglob("*") if path.is_dir())):
        bring_to_disk(folder)
    return manifest


def _give(staged: Path, owner: os.stat_result) -> None:
    """Root restores for whoever had the folder."""
    for path in (staged, *staged.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)


def _holds_anything(folder: Path) -> bool:
    return any(entry.name != "lock" for entry in folder.iterdir())


def _make_way(data_dir: Path) -> Path | None:
    """Free the name of the folder; where it has gone if there was something in it."""
    if not data_dir.exists():
        return None
    if _holds_anything(data_dir):
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        return data_dir.rename(data_dir.with_name(f"{data_dir.name}.before-{stamp}"))
    (data_dir / "lock").unlink(missing_ok=True)
    data_dir.rmdir()
    return None


@contextmanager
def _staging(data_dir: Path) -> Iterator[Path]:
    """A folder on the same file system; gone when the block ends, unless it was renamed."""
    folder = Path(tempfile.mkdtemp(prefix=f".{data_dir.name}.restoring-", dir=data_dir.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _explained(data_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = error.filename or data_dir
        raise BackupError(
            f"nothing was restored: {what}: {error.strerror or error}. A folder that is a mount "
            "point cannot be replaced; restore into a new one inside it"
        ) from error
