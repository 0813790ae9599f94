"""Every stream of the embedded Kinesis Video service, and the folder they live in.

The service's one object: operations look their stream up here. Knows accounts, regions and
names; knows nothing of HTTP.
"""

import asyncio
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

from sqlalchemy.exc import SQLAlchemyError

from streamproc.aio import to_its_end
from streamproc.clock import Clock
from streamproc.db import Database
from streamproc.errors import StoreDamaged, StoreUnavailable
from streamproc.local.kinesis_video.archive import Archive, Limits
from streamproc.local.kinesis_video.store import StreamInfo, StreamStore, VersionChanged
from streamproc.local.kinesis_video.stream import VideoStream
from streamproc.local.kinesis_video.tables import METADATA, REVISIONS
from streamproc.model.arn import video_stream_arn
from streamproc.settings import MediaConfig, VideoConfig

log = logging.getLogger(__name__)

SWEEP_S: Final = 10.0


class VideoStreams:
    """Built by open(), left by aclose(). public_url is what GetDataEndpoint answers; it may be
    set once the server knows its port."""

    def __init__(
        self, folder: Path, database: Database, config: VideoConfig, account_id: str, clock: Clock
    ) -> None:
        self.config = config
        self.media = MediaConfig()
        self.clock = clock
        self.public_url = ""
        self.store = StreamStore(database)
        self._folder = folder
        self._database = database
        self._account_id = account_id
        self._streams: dict[tuple[str, str], VideoStream] = {}
        self._sweeping: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        folder: Path,
        config: VideoConfig,
        account_id: str,
        clock: Clock,
        *,
        public_url: str = "",
        media: MediaConfig = MediaConfig(),
    ) -> Self:
        """Open the folder, made if missing, and mend what a crash left.

        Raises StoreDamaged if its database cannot be read.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        database = await Database.open_file(folder / "video.db", METADATA, REVISIONS)
        streams = cls(folder, database, config, account_id, clock)
        streams.media = media
        streams.public_url = public_url
        try:
            for info, blocks in await streams.store.load():
                await streams._add(info, blocks)
            await asyncio.to_thread(streams._remove_strays)
        except BaseException:
            await database.close()
            raise
        streams._sweeping = asyncio.create_task(streams._sweep_for_ever())
        return streams

    async def aclose(self) -> None:
        """Let everyone go, store what is whole, close the files."""
        for stream in self._streams.values():
            stream.end()
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        for stream in self._streams.values():
            await stream.settle()
        await self._database.close()

    def find(self, region: str, name: str) -> VideoStream | None:
        return self._streams.get((region, name))

    def names(self, region: str) -> list[str]:
        """Sorted."""
        return sorted(name for home, name in self._streams if home == region)

    def arn(self, info: StreamInfo) -> str:
        return video_stream_arn(info.region, self._account_id, info.name, info.created_ms)

    async def create(
        self,
        region: str,
        name: str,
        retention_hours: int,
        tags: Mapping[str, str],
        **optional: str | None,
    ) -> VideoStream:
        """optional: device_name, media_type, kms_key_id. Raises StreamExists, TooManyStreams."""
        # On disk and not here, a stream could be neither found nor made again.
        return await to_its_end(self._create(region, name, retention_hours, tags, **optional))

    async def _create(
        self,
        region: str,
        name: str,
        retention_hours: int,
        tags: Mapping[str, str],
        **optional: str | None,
    ) -> VideoStream:
        created_ms = int(self.clock.now() * 1000)
        info = await self.store.create(
            region,
            name,
            created_ms,
            retention_hours,
            tags,
            streams_max=self.config.streams_max,
            **optional,
        )
        return await self._add(info, 0)

    async def change(self, stream: VideoStream, version: str, **values: Any) -> None:
        """Set columns of a stream. What a shorter retention no longer keeps is gone on return.

        Raises VersionChanged if version is not the stream's.
        """
        async with stream.changing:
            stream.info = await self.store.change(stream.info.id, version, **values)
            stream.archive.limits = Limits.of(self.config, stream.info.retention_hours)
        await stream.archive.sweep()

    async def delete(self, stream: VideoStream, version: str | None) -> None:
        """Delete a stream with everything in it; None deletes any version.

        Raises VersionChanged if version is not the stream's.
        """
        async with stream.changing:
            if stream.is_over:
                raise VersionChanged(f"Stream {stream.info.name} is being deleted already.")
            await self.store.delete(stream.info.id, version)
            del self._streams[stream.info.region, stream.info.name]
            stream.end()
        await stream.archive.remove()

    async def sweep(self) -> None:
        """Free what no stream keeps any more; one that cannot be swept holds up no other."""
        for stream in list(self._streams.values()):
            try:
                await stream.archive.sweep()
            except (OSError, SQLAlchemyError, StoreUnavailable, StoreDamaged) as error:
                log.warning(
                    "stream %s could not be swept, trying again: %s", stream.info.name, error
                )
            stream.pulse.beat()  # followers look at their age

    async def _sweep_for_ever(self) -> None:
        while True:
            await self.clock.sleep(SWEEP_S)
            await self.sweep()

    async def _add(self, info: StreamInfo, blocks: int) -> VideoStream:
        archive = await Archive.open(
            self._database,
            info.id,
            # By our own number: . and .. are legal names.
            self._folder / "streams" / str(info.id),
            self.config.segment_bytes,
            Limits.of(self.config, info.retention_hours),
            self.clock,
        )
        stream = VideoStream(info, blocks, self.store, archive, self.config, self.clock)
        self._streams[info.region, info.name] = stream
        return stream

    def _remove_strays(self) -> None:
        """Folders of streams that are no more: a deletion was cut short."""
        parent = self._folder / "streams"
        parent.mkdir(exist_ok=True, mode=0o700)
        known = {str(stream.info.id) for stream in self._streams.values()}
        for folder in parent.iterdir():
            if folder.name.isdecimal() and folder.name not in known:
                shutil.rmtree(folder)
