"""A data folder into one file, while a daemon works in it or not.

Every database is copied at one moment of its own, through SQLite's backup API. What makes the
copies belong together is their order; whoever relies on something is copied before it:

    processors   a checkpoint is saved once its records are in data and its video is in the
                 index, so neither copy that comes later lacks what the checkpoint is ahead of
    events       on disk before their frames' records, so before the checkpoint: who was told
                 of is not told of again by frames that are read again
    jobs         name collections
    collections  faces with the people they are: one database, one moment
    tags         of what the databases before have
    data         a record's fragment was numbered before it; the copy of the index, later, knows
                 that the number is taken, and no other fragment will ever be given it
    video        the index, then the segments as far as it refers to them: bytes are on disk
                 before their row
    the rest     keys: one that was revoked meanwhile is revoked
    audit        last: what a copy holds was written down before

So a daemon on the copy has everything that was acknowledged when the backup began, and perhaps
some of what came while it ran: records again (recognisable by their RecordId), never a gap.
"""

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from streamproc.audit.folder import LogFolder, whole_lines
from streamproc.audit.log import operator, record_now
from streamproc.backup.archive import ArchiveWriter, Manifest, is_member
from streamproc.errors import AuditBroken, BackupError, StoreUnavailable

ORDER: Final = (
    "processors.db", "events.db", "jobs.db", "collections.db", "tags.db", "data.db",
)  # fmt: skip

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told what is copied, how many bytes are done, and of how many in all."""


def make_backup(
    data_dir: Path, target: Path, *, with_video: bool, told: Progress
) -> tuple[Path, Manifest]:
    """Write the file, or nothing. target: a file that is not there, or a folder.

    Raises BackupError.
    """
    if not (data_dir / ORDER[0]).is_file():
        raise BackupError(f"there is no streamproc data in {data_dir}; name it with --data-dir")
    now = time.time()
    file = _target(data_dir, target, now)
    with _explained(file), _workshop(file) as workshop:
        note(data_dir, "backup", "MakeBackup", {"File": file.name, "Video": with_video})
        draft = workshop / "draft.tar"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            copying = _Copying(data_dir, workshop, ArchiveWriter(out, video=with_video, now=now))
            manifest = copying.run(with_video, told)
            out.flush()
            os.fsync(out.fileno())
        _publish(draft, file)
    return file, manifest


class _Copying:
    def __init__(self, data_dir: Path, workshop: Path, archive: ArchiveWriter) -> None:
        self._data_dir = data_dir
        self._workshop = workshop
        self._archive = archive
        self._name = ""
        self._done = 0

    def run(self, with_video: bool, told: Progress) -> Manifest:
        total = _bytes_of(self._data_dir, with_video)

        def copied(count: int) -> None:
            self._done += count
            told(self._name, self._done, total)

        self._copied = copied
        others = {path.name for path in self._data_dir.glob("*.db")} - set(ORDER)
        others = set(filter(is_member, others))
        for name in ORDER:
            self._database(name)
        if (self._data_dir / "video" / "video.db").is_file():
            self._video(with_video)
        for name in sorted(others):
            self._database(name)
        if (self._data_dir / "audit").is_dir():
            self._audit()
        return self._archive.finish()

    def _database(self, name: str) -> None:
        source = self._data_dir / name
        if source.is_file():
            copy = self._workshop / "copy.db"
            copy_database(source, copy)
            self._add(name, copy, copy.stat().st_size)
            copy.unlink()

    def _video(self, with_video: bool) -> None:
        index = self._workshop / "video.db"
        copy_database(self._data_dir / "video" / "video.db", index)
        with closing(sqlite3.connect(index, isolation_level=None)) as database:
            if with_video:
                self._segments(database)
            else:
                database.execute("DELETE FROM video_fragments")
                database.execute("DELETE FROM video_headers")
                database.execute("VACUUM")
        self._add("video/video.db", index, index.stat().st_size)

    def _segments(self, index: sqlite3.Connection) -> None:
        """Those that the copied index refers to; it forgets those that were swept since."""
        ends = index.execute(
            'SELECT stream_id, segment, MAX("offset" + size) FROM video_fragments GROUP BY 1, 2'
        ).fetchall()
        for stream_id, segment, end in ends:
            name = f"video/streams/{stream_id}/{segment:08d}.segment"
            try:
                self._add(name, self._data_dir / name, end)
            except FileNotFoundError:
                index.execute(
                    "DELETE FROM video_fragments WHERE stream_id = ? AND segment = ?",
                    (stream_id, segment),
                )

    def _audit(self) -> None:
        segments, head = LogFolder(self._data_dir / "audit").snapshot()
        for segment, size in segments:
            self._add(f"audit/{segment.name}", segment, whole_lines(segment, size))
        if head is not None:
            self._archive.add("audit/head", BytesIO(head), len(head), self._copied)

    def _add(self, name: str, path: Path, size: int) -> None:
        self._name = name
        with path.open("rb") as source:
            self._archive.add(name, source, size, self._copied)


def note(data_dir: Path, command: str, event: str, details: dict[str, Any]) -> None:
    """A line of the audit log, where one is kept: somebody has all faces now."""
    if (data_dir / "audit").is_dir():
        # On a disk that is full, or of a log that is broken, a backup is needed most.
        with suppress(StoreUnavailable, AuditBroken):
            record_now(data_dir, operator(command), event, details, time.time())


def copy_database(source: Path, target: Path) -> None:
    """One moment of it, whoever writes meanwhile. Raises BackupError if it is damaged."""
    try:
        with (
            # Not read-only: what a killed daemon left in the write-ahead log is part of it.
            closing(sqlite3.connect(f"file:{quote(str(source))}?mode=rw", uri=True)) as original,
            closing(sqlite3.connect(target, isolation_level=None)) as copy,
        ):
            original.execute("PRAGMA busy_timeout=30000")
            original.backup(copy)  # in one step: one read transaction, which no writer waits for
            copy.execute("PRAGMA journal_mode=DELETE")
            [verdict] = copy.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise BackupError(f"{source} cannot be copied to {target.parent}: {error}") from error
    if verdict != "ok":
        raise BackupError(
            f"{source} is damaged ({verdict.splitlines()[0]}); a copy of it would not be a backup. "
            "Stop the daemon and restore an earlier one"
        )


def _target(data_dir: Path, target: Path, now: float) -> Path:
    if target.is_dir():
        stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
        target = target / f"streamproc-{stamp}.tar"
    if target.exists() or target.is_symlink():
        raise BackupError(f"{target} exists; a backup overwrites nothing, choose another name")
    if target.resolve().is_relative_to(data_dir.resolve()):
        raise BackupError(f"{target} is inside the data folder; choose a place on another disk")
    return target


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = error.filename or file
        raise BackupError(f"no backup was made: {what}: {error.strerror or error}") from error


@contextmanager
def _workshop(file: Path) -> Iterator[Path]:
    """A folder beside the file, nobody else's; gone when the block ends."""
    folder = Path(tempfile.mkdtemp(prefix=".streamproc-backup-", dir=file.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _publish(draft: Path, file: Path) -> None:
    """Give the whole file its name, unless somebody else has taken it meanwhile."""
    try:
        os.link(draft, file)
    except FileExistsError:
        raise BackupError(f"{file} exists by now; a backup overwrites nothing") from None
    except OSError:  # a file system without hard links
        draft.rename(file)
    handle = os.open(file.parent, os.O_RDONLY)
    try:
        with suppress(OSError):  # not every file system can
            os.fsync(handle)
    finally:
        os.close(handle)


def _bytes_of(data_dir: Path, with_video: bool) -> int:
    """About what there is to copy."""
    patterns = ["*.db", "video/video.db", "audit/*.jsonl"]
    patterns += ["video/streams/*/*.segment"] if with_video else []
    total = 0
    for pattern in patterns:
        for path in data_dir.glob(pattern):
            with suppress(FileNotFoundError):
                total += path.stat().st_size
    return total
