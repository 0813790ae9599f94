"""The file that a backup is: a plain tar, its last member a manifest of all others.

Any tar can read it; we read it ourselves, because nothing in a file that comes from elsewhere
may become a path, a link or an unbounded read. Member names are those that a data folder has,
and no others. The manifest's hashes tell damage; they do not tell a forger, who can write both.
"""

import hashlib
import json
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO, Final, TypeAlias

from streamproc import __version__
from streamproc.errors import BackupError

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
CHUNK_BYTES: Final = 1024 * 1024
_BLOCK: Final = 512
_MANIFEST_BYTES_MAX: Final = 64 * 1024 * 1024
_NAME: Final = re.compile(
    r"[a-z][a-z_]{0,30}\.db"
    r"|video/video\.db"
    r"|video/streams/[0-9]{1,12}/[0-9]{8,12}\.segment"
    r"|audit/([0-9]{12}\.jsonl|head)",
    re.ASCII,
)

Told: TypeAlias = Callable[[int], None]
"""Told how many more bytes are copied."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of a backup."""

    name: str  # below the data folder
    size: int  # bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds."""

    streamproc: str  # version that made it
    made_at: str  # UTC, ISO 8601
    video: bool  # with recordings
    files: tuple[Listed, ...]
    format: int = FORMAT


def is_member(name: str) -> bool:
    """Whether a backup may have a member of this name, the manifest aside."""
    return _NAME.fullmatch(name) is not None


class ArchiveWriter:
    """Members one after the other, then finish()."""

    def __init__(self, file: BinaryIO, *, video: bool, now: float) -> None:
        self._file = file
        self._now = now
        self._video = video
        self._files: list[Listed] = []

    def add(self, name: str, source: BinaryIO, size: int, told: Told) -> None:
        """The first size bytes of the source. Raises BackupError if it has fewer."""
        assert is_member(name), name
        self._begin(name, size)
        digest, copied = copy(source, self._file, size, told)
        if copied < size:
            raise BackupError(f"{name} became shorter while it was copied; run the backup again")
        self._pad(size)
        self._files.append(Listed(name, size, digest))

    def finish(self) -> Manifest:
        made_at = datetime.fromtimestamp(self._now, UTC).isoformat(timespec="seconds")
        manifest = Manifest(__version__, made_at, self._video, tuple(self._files))
        data = json.dumps(asdict(manifest), indent=1).encode()
        self._begin(MANIFEST, len(data))
        self._file.write(data)
        self._pad(len(data))
        self._file.write(bytes(2 * _BLOCK))
        return manifest

    def _begin(self, name: str, size: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode, member.mtime = size, 0o600, int(self._now)
        # GNU: sizes beyond 8 GiB fit into the one header block.
        self._file.write(member.tobuf(tarfile.GNU_FORMAT))

    def _pad(self, size: int) -> None:
        self._file.write(bytes(-size % _BLOCK))


class ArchiveReader:
    """for name, size in reader: reader.copy_to(...), each once; then manifest is there."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = 0
        self._copied: dict[str, Listed] = {}
        self.manifest: Manifest | None = None

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """Raises BackupError for anything that a backup has not, before it is looked at."""
        while self.manifest is None:
            member = self._next()
            if member.name == MANIFEST:
                self.manifest = self._read_manifest(member.size)
                return
            if not is_member(member.name) or member.type != tarfile.REGTYPE:
                raise BackupError(
                    f"the archive has a member {member.name[:200]!r}, which no backup has; "
                    "nothing of it is restored"
                )
            if member.name in self._copied:
                raise BackupError(f"the archive has {member.name} twice")
            self._size = member.size
            yield member.name, member.size

    def copy_to(self, name: str, target: BinaryIO, told: Told) -> None:
        """Raises BackupError if the archive ends before the member does."""
        digest, copied = copy(self._file, target, self._size, told)
        if copied < self._size:
            raise BackupError(f"the archive ends within {name}: it was cut")
        self._file.read(-self._size % _BLOCK)
        self._copied[name] = Listed(name, self._size, digest)

    def check(self) -> Manifest:
        """The manifest, once all that was copied is what it says. Raises BackupError."""
        manifest = self.manifest
        assert manifest is not None
        listed = {item.name: item for item in manifest.files}
        for name in sorted(listed.keys() | self._copied.keys()):
            if name not in self._copied:
                raise BackupError(f"the archive lacks {name}, which its manifest lists")
            if self._copied[name] != listed.get(name):
                raise BackupError(f"{name} is not what the manifest says: the archive is damaged")
        return manifest

    def _next(self) -> tarfile.TarInfo:
        block = self._file.read(_BLOCK)
        try:
            # Not tarfile's own reading, which obeys long names, links and sizes of others.
            member = tarfile.TarInfo.frombuf(block, "ascii", "strict")
            if member.size < 0:
                raise tarfile.HeaderError(f"a size of {member.size} bytes")
            return member
        except (tarfile.HeaderError, UnicodeDecodeError):
            what = "ends before its manifest: it was cut" if len(block) < _BLOCK else "is damaged"
            if not self._copied:
                what = "is no backup of streamproc, or is damaged"
            raise BackupError(f"the archive {what}") from None

    def _read_manifest(self, size: int) -> Manifest:
        if size > _MANIFEST_BYTES_MAX:
            raise BackupError(f"the manifest has {size} bytes; the archive is damaged")
        data = self._file.read(size)
        try:
            members: dict[str, Any] = json.loads(data)
            if members["format"] != FORMAT:
                raise BackupError(
                    f"the backup has format {members['format']}, made by streamproc "
                    f"{members.get('streamproc')}; this is {__version__}, which reads {FORMAT}"
                )
            files = tuple(Listed(**item) for item in members.pop("files"))
            return Manifest(files=files, **members)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise BackupError("the archive's manifest is damaged") from None


def copy(source: BinaryIO, target: BinaryIO, size: int, told: Told) -> tuple[str, int]:
    """Copy up to size bytes; their SHA-256, and how many there were."""
    digest, left = hashlib.sha256(), size
    while left and (chunk := source.read(min(left, CHUNK_BYTES))):
        target.write(chunk)
        digest.update(chunk)
        left -= len(chunk)
        told(len(chunk))
    return digest.hexdigest(), size - left
