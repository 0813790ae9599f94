"""Read every shard of a data stream, as any consumer of Kinesis would. Knows nothing of records."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from botocore.exceptions import ClientError

_ROUND_S = 0.25
"""Kinesis allows five reads a second from a shard."""

_TOO_FAST = {"ProvisionedThroughputExceededException", "LimitExceededException"}


async def read_records(
    client: Any, stream_name: str, *, from_start: bool
) -> AsyncGenerator[dict[str, Any], None]:
    """Records of all shards in order of arrival, until every shard is closed and read.

    client is an aiobotocore client of Kinesis. Without from_start only what arrives from now on
    is read. Raises what botocore raises, such as for a stream that does not exist.
    """
    loop = asyncio.get_running_loop()
    start = "TRIM_HORIZON" if from_start else "LATEST"
    names = await _list(client, stream_name, from_start=from_start)
    shards = [_Shard(client, stream_name, name, start) for name in names]
    seen = {shard.shard_id for shard in shards}
    for shard in shards:
        await shard.open()
    while shards:
        began = loop.time()
        batches = await asyncio.gather(*(shard.read() for shard in shards))
        records = [record for batch in batches for record in batch]
        for record in sorted(records, key=lambda each: each["ApproximateArrivalTimestamp"]):
            yield record
        # A shard that was split or merged names those that go on where it ended.
        children = {child for shard in shards for child in shard.children} - seen
        seen |= children
        shards = [shard for shard in shards if not shard.is_over]
        shards += [_Shard(client, stream_name, child, "TRIM_HORIZON") for child in sorted(children)]
        await asyncio.sleep(max(0.0, began + _ROUND_S - loop.time()))


class _Shard:
    """A place in one shard."""

    def __init__(self, client: Any, stream_name: str, shard_id: str, start: str) -> None:
        self.shard_id = shard_id
        self.children: list[str] = []
        self.is_over = False
        self._client = client
        self._stream_name = stream_name
        self._position: dict[str, str] = {"ShardIteratorType": start}
        self._iterator: str | None = None

    async def open(self) -> None:
        answer = await self._client.get_shard_iterator(
            StreamName=self._stream_name, ShardId=self.shard_id, **self._position
        )
        self._iterator = answer["ShardIterator"]

    async def read(self) -> list[dict[str, Any]]:
        try:
            if self._iterator is None:
                await self.open()
            answer = await self._client.get_records(ShardIterator=self._iterator)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "ExpiredIteratorException":
                self._iterator = None
            elif code not in _TOO_FAST:
                raise
            return []  # the next round tries again
        self._iterator = answer.get("NextShardIterator")
        self.is_over = self._iterator is None
        self.children = [child["ShardId"] for child in answer.get("ChildShards") or ()]
        records: list[dict[str, Any]] = answer["Records"]
        if records:
            self._position = {
                "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                "StartingSequenceNumber": records[-1]["SequenceNumber"],
            }
        return records


async def _list(client: Any, stream_name: str, *, from_start: bool) -> list[str]:
    """Where to begin: the eldest shards there are, or those that are still written to."""
    shards: dict[str, dict[str, Any]] = {}
    request: dict[str, str] = {"StreamName": stream_name}
    while request:
        answer = await client.list_shards(**request)
        shards |= {shard["ShardId"]: shard for shard in answer["Shards"]}
        token = answer.get("NextToken")
        request = {"NextToken": token} if token else {}
    if not from_start:
        return [n for n, s in shards.items() if "EndingSequenceNumber" not in _range(s)]
    return [
        name
        for name, shard in shards.items()
        if shard.get("ParentShardId") not in shards
        and shard.get("AdjacentParentShardId") not in shards
    ]


def _range(shard: dict[str, Any]) -> dict[str, str]:
    sequence_numbers: dict[str, str] = shard["SequenceNumberRange"]
    return sequence_numbers
