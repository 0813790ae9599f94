"""The embedded Kinesis Data service: which streams exist, and what works on them meanwhile.

The database is the truth; the streams in memory are a copy that changes after it, so that
finding a stream, and finding that it has nothing new, costs no query. Knows nothing of
requests; stream_operations.py and record_operations.py speak AWS.
"""

import asyncio
import bisect
import logging
from collections.abc import Collection, Coroutine, Mapping
from pathlib import Path
from typing import Any, Self

from sqlalchemy.exc import SQLAlchemyError

from streamproc.aio import to_its_end
from streamproc.clock import Clock
from streamproc.errors import StoreDamaged, StoreUnavailable
from streamproc.gateway.errors import LimitExceeded, ResourceInUse, ResourceNotFound
from streamproc.local.kinesis_data.append import Appender
from streamproc.local.kinesis_data.shards import Stream
from streamproc.local.kinesis_data.store import Store
from streamproc.local.kinesis_data.tokens import Tokens
from streamproc.settings import DataConfig

log = logging.getLogger(__name__)
SWEEP_INTERVAL_S = 60.0
TAGS_MAX = 50  # AddTagsToStream


class DataStreams:
    """Every data stream of this daemon, in all regions of one account."""

    def __init__(
        self,
        store: Store,
        streams: list[Stream],
        tokens: Tokens,
        config: DataConfig,
        account_id: str,
        clock: Clock,
    ) -> None:
        self.store = store
        self.tokens = tokens
        self.config = config
        self.account_id = account_id
        self.clock = clock
        self.appender = Appender(store.database, clock)
        self._streams = {(stream.region, stream.name): stream for stream in streams}
        self._by_shard_key = {shard.key: stream for stream in streams for shard in stream.shards}
        self._changing = asyncio.Lock()
        self._sweeper = asyncio.create_task(self._sweep_forever())

    @classmethod
    async def open(cls, path: Path, config: DataConfig, account_id: str, clock: Clock) -> Self:
        """Open the SQLite file, or make it; its folder must exist. Raises StoreDamaged."""
        store = await Store.open(path)
        try:
            streams = await store.load(account_id)
            tokens = Tokens(await store.secret())
        except BaseException:
            await store.close()
            raise
        return cls(store, streams, tokens, config, account_id, clock)

    async def aclose(self) -> None:
        """Finish what is being written, then close the file."""
        self._sweeper.cancel()
        await asyncio.wait({self._sweeper})
        await self.store.close()

    def now_ms(self) -> int:
        return round(self.clock.now() * 1000)

    def find(self, region: str, name: str) -> Stream:
        """Raises ResourceNotFound."""
        try:
            return self._streams[region, name]
        except KeyError:
            raise not_found(name, self.account_id) from None

    def stream_of_shard(self, shard_key: int) -> Stream | None:
        """None where the stream is deleted."""
        return self._by_shard_key.get(shard_key)

    def page(self, region: str, after: str, limit: int) -> tuple[list[Stream], bool]:
        """Streams behind a name, by name, and whether there are more."""
        names = sorted(name for stream_region, name in self._streams if stream_region == region)
        start = bisect.bisect_right(names, after)
        chosen = names[start : start + limit]
        return [self._streams[region, name] for name in chosen], start + limit < len(names)

    async def create(
        self,
        region: str,
        name: str,
        *,
        shard_count: int,
        mode: str,
        record_bytes_max: int,
        tags: Mapping[str, str],
    ) -> None:
        """Raises ResourceInUse, LimitExceeded."""
        check_tag_count(tags)
        async with self._changing:
            if (region, name) in self._streams:
                raise ResourceInUse(
                    f"Stream {name} under account {self.account_id} already exists."
                )
            open_shards = sum(
                len(stream.shards) for stream in self._streams.values() if stream.region == region
            )
            if open_shards + shard_count > self.config.shards_max:
                raise LimitExceeded(
                    "This request would exceed the shard limit for the account "
                    f"{self.account_id} in {region}. Current shard count for the account: "
                    f"{open_shards}. Limit: {self.config.shards_max}. Number of additional "
                    f"shards that would have resulted from this request: {shard_count}. Delete "
                    "a stream, or raise data.shards_max in the configuration."
                )
            making = self.store.create(
                region=region,
                account_id=self.account_id,
                name=name,
                created_ms=self.now_ms(),
                mode=mode,
                retention_hours=self.config.retention_hours,
                record_bytes_max=record_bytes_max,
                tags=dict(tags),
                shard_count=shard_count,
            )
            # On disk and not here, a stream could be neither found nor made again.
            await to_its_end(self._take_in(making))

    async def _take_in(self, making: Coroutine[Any, Any, Stream]) -> None:
        stream = await making
        self._streams[stream.region, stream.name] = stream
        self._by_shard_key.update((shard.key, stream) for shard in stream.shards)

    async def delete(self, stream: Stream) -> None:
        """Gone for every caller when this returns; its records leave the disk a little later."""
        async with self._changing:
            if self._streams.get((stream.region, stream.name)) is not stream:
                raise not_found(stream.name, self.account_id)
            await self.store.delete(stream)
            del self._streams[stream.region, stream.name]
            for shard in stream.shards:
                del self._by_shard_key[shard.key]

    async def set_retention(self, stream: Stream, hours: int) -> None:
        async with self._changing:
            await self.store.update(stream, retention_hours=hours)
            stream.retention_hours = hours
        await self._sweep_stream(stream)

    async def set_record_bytes_max(self, stream: Stream, record_bytes_max: int) -> None:
        async with self._changing:
            await self.store.update(stream, record_bytes_max=record_bytes_max)
            stream.record_bytes_max = record_bytes_max

    async def change_tags(
        self, stream: Stream, *, add: Mapping[str, str] = {}, remove: Collection[str] = ()
    ) -> None:
        """Raises LimitExceeded."""
        async with self._changing:
            tags = {**stream.tags, **add}
            tags = {key: value for key, value in tags.items() if key not in remove}
            check_tag_count(tags)
            await self.store.update(stream, tags=tags)
            stream.tags = tags

    async def sweep(self) -> int:
        """Remove records past retention and those of deleted streams; return how many."""
        total = await self.store.sweep_orphans()
        for stream in list(self._streams.values()):
            total += await self._sweep_stream(stream)
        return total

    async def _sweep_stream(self, stream: Stream) -> int:
        before_ms = self.now_ms() - stream.retention_hours * 3_600_000
        return sum([await self.store.sweep(shard, before_ms) for shard in stream.shards])

    async def _sweep_forever(self) -> None:
        while True:
            await self.clock.sleep(SWEEP_INTERVAL_S)
            try:
                await self.sweep()
            except (StoreUnavailable, StoreDamaged) as error:
                log.warning("the retention sweep of the data streams will try again: %s", error)
            except SQLAlchemyError:
                log.exception("the retention sweep of the data streams failed; it will try again")


def not_found(name: str, account_id: str) -> ResourceNotFound:
    return ResourceNotFound(f"Stream {name} under account {account_id} not found.")


def check_tag_count(tags: Mapping[str, str]) -> None:
    """Raises LimitExceeded."""
    if len(tags) > TAGS_MAX:
        raise LimitExceeded(f"A stream has at most {TAGS_MAX} tags; this would make {len(tags)}.")
