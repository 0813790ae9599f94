"""The fragments of one stream that are on disk: files and index, kept in step.

The order of writing is file, then index: a row is proof of its bytes. What a crash leaves
behind is mended by open(). Blocking work happens on threads. Knows nothing of fragments that
are still arriving, nor of who reads.
"""

import asyncio
import logging
import shutil
import sqlite3
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from streamproc.clock import Clock
from streamproc.db import Database
from streamproc.errors import StoreDamaged, StoreUnavailable
from streamproc.local.kinesis_video.index import FragmentIndex, Origin, Place, StoredFragment
from streamproc.local.kinesis_video.segments import SegmentFiles
from streamproc.local.kinesis_video.store import StreamGone
from streamproc.settings import VideoConfig

log = logging.getLogger(__name__)

CHUNK_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What a stream may keep."""

    age_ms: int
    bytes_max: int

    @classmethod
    def of(cls, config: VideoConfig, retention_hours: int) -> "Limits":
        """Without retention a stream is a buffer: a few minutes, a few hundred megabytes."""
        if retention_hours:
            return cls(retention_hours * 3_600_000, config.bytes_per_stream_max)
        bytes_max = min(config.unretained_bytes_max, config.bytes_per_stream_max)
        return cls(round(config.unretained_s * 1000), bytes_max)


class Archive:
    """limits may be replaced at any time; they hold from the next look on."""

    def __init__(
        self, index: FragmentIndex, files: SegmentFiles, folder: Path, limits: Limits, clock: Clock
    ) -> None:
        self.limits = limits
        self._index = index
        self._files = files
        self._folder = folder
        self._clock = clock
        self._writing = asyncio.Lock()
        self._kept = 0
        self._oldest_ms: int | None = None  # server timestamp; None where nothing is kept
        self._is_gone = False

    @classmethod
    async def open(
        cls,
        database: Database,
        stream_id: int,
        folder: Path,
        segment_bytes: int,
        limits: Limits,
        clock: Clock,
    ) -> "Archive":
        """Mend what a crash left: cut bytes that no row knows, forget rows without bytes."""
        index = FragmentIndex(database, stream_id)
        files = SegmentFiles(folder, segment_bytes)
        archive = cls(index, files, folder, limits, clock)
        dropped, ends = await index.drop_missing(await asyncio.to_thread(files.sizes))
        if dropped:
            log.warning(
                "%d fragments of the archive in %s have lost their bytes and are forgotten; "
                "was a file removed, or was the disk full?",
                dropped,
                folder,
            )
        await asyncio.to_thread(files.recover, ends)
        archive._kept = await index.bytes_kept()
        archive._oldest_ms = await index.oldest_ms()
        return archive

    async def add(
        self,
        number: str,
        data: bytes | bytearray,
        *,
        header: bytes,
        server_ms: int,
        producer_ms: int,
        length_ms: int,
        durable: bool,
    ) -> StoredFragment:
        """Keep a whole fragment; if durable, it survives the power cut that comes next.

        Raises OSError, StoreUnavailable or StoreDamaged where the disk refuses, StreamGone
        after remove().
        """
        async with self._writing:
            if self._is_gone:
                raise StreamGone("The stream has been deleted.")
            place = await asyncio.to_thread(self._files.append, data, durable=durable)
            fragment = StoredFragment(number, server_ms, producer_ms, length_ms, header, place)
            try:
                await self._index.add(fragment)
            except sqlite3.IntegrityError:  # the stream's own row went while its last fragment came
                raise StreamGone("The stream has been deleted.") from None
            except (sqlite3.Error, StoreUnavailable, StoreDamaged):
                await asyncio.to_thread(self._files.abandon, place)
                raise
            self._kept += place.size
            if self._oldest_ms is None or server_ms < self._oldest_ms:  # clocks are set back
                self._oldest_ms = server_ms
            if self._kept > self.limits.bytes_max:
                try:
                    await self._expire()
                # This fragment is on disk all the same.
                except (OSError, SQLAlchemyError, StoreUnavailable, StoreDamaged) as error:
                    log.warning("old fragments in %s could not be freed: %s", self._folder, error)
        return fragment

    async def sweep(self) -> None:
        """Forget what the limits no longer keep; delete segments that hold nothing else."""
        async with self._writing:
            has_expired = self._oldest_ms is not None and self._oldest_ms < self._cutoff_ms()
            if (has_expired or self._kept > self.limits.bytes_max) and not self._is_gone:
                await self._expire()

    async def remove(self) -> None:
        """Delete every byte; the rows went with the stream's own."""
        async with self._writing:
            self._is_gone = True
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def after(self, number: str) -> StoredFragment | None:
        """The first fragment behind a number ("" for the oldest of all)."""
        return await self._index.after(number, self._cutoff_ms())

    async def begun_by(self, origin: Origin, instant_ms: int) -> StoredFragment | None:
        return await self._index.begun_by(origin, instant_ms, self._cutoff_ms())

    async def begun_after(self, origin: Origin, instant_ms: int) -> StoredFragment | None:
        return await self._index.begun_after(origin, instant_ms, self._cutoff_ms())

    async def within(
        self, span: tuple[Origin, int, int], after: str, limit: int
    ) -> list[StoredFragment]:
        return await self._index.within(span, after, limit, self._cutoff_ms())

    async def find(self, number: str) -> StoredFragment | None:
        return await self._index.find(number, self._cutoff_ms())

    async def read(self, place: Place, start: int = 0) -> AsyncGenerator[bytes, None]:
        """A fragment's bytes from an offset on, in chunks.

        Raises FileNotFoundError if they have been swept away.
        """
        offset, end = place.offset + start, place.offset + place.size
        while offset < end:
            size = min(CHUNK_BYTES, end - offset)
            # A file is opened for each chunk: one kept open would be lost where a reader that
            # leaves cancels its opening.
            chunk = await asyncio.to_thread(self._files.read, place.segment, offset, size)
            if not chunk:
                raise FileNotFoundError(f"segment {place.segment} ends at byte {offset}")
            offset += len(chunk)
            yield chunk

    async def _expire(self) -> None:
        self._kept, emptied = await self._index.expire(
            self._cutoff_ms(), self._kept, self.limits.bytes_max
        )
        await asyncio.to_thread(self._files.remove, emptied)
        self._oldest_ms = await self._index.oldest_ms()

    def _cutoff_ms(self) -> int:
        return int(self._clock.now() * 1000) - self.limits.age_ms
