"""A consumer of a data stream that outlives the daemon it reads from.

Reads everything once, in the stream's order, with the plain AWS client, and goes on where it
was when the daemon comes back. Knows the record's members; judges nothing.
"""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from tests.chaos.film import number_in
from tests.chaos.ledger import Arrival, Key

UNREACHABLE = (BotoCoreError, ClientError, HTTPClientError, aiohttp.ClientError, OSError)
"""What a client meets while the daemon is away, on its way up or in trouble."""


@dataclass(frozen=True)
class Place:
    """How far a consumer has come."""

    arrivals: int
    after: dict[str, str]


class Consumer:
    """clock_stepped_s: how far the daemon's clock is ahead, for the time of arrival."""

    def __init__(
        self, kinesis: Any, stream: str, clock_stepped_s: Callable[[], float], poll_s: float = 0.5
    ) -> None:
        self.arrivals: list[Arrival] = []
        self.keys: set[Key] = set()
        self.fresh_at = 0.0  # epoch seconds; when the data stream took the newest new record
        self._kinesis = kinesis
        self._stream = stream
        self._clock_stepped_s = clock_stepped_s
        self._poll_s = poll_s
        self._iterator = ""
        self._after: dict[str, str] = {"ShardIteratorType": "TRIM_HORIZON"}
        self._reading = asyncio.Lock()
        self._read_until = 0.0  # everything that arrived before was read

    async def run(self) -> None:
        while True:
            try:
                await self.read()
            except UNREACHABLE:
                self._iterator = ""
            await asyncio.sleep(self._poll_s)

    async def read(self) -> None:
        """Everything there is. Raises UNREACHABLE."""
        async with self._reading:
            began = time.time()
            while await self._read_once():
                pass
            self._read_until = began

    def begin_again(self) -> None:
        """The stream is another one of the same name."""
        self._iterator = ""
        self._after = {"ShardIteratorType": "TRIM_HORIZON"}

    def place(self) -> Place:
        return Place(len(self.arrivals), self._after)

    def return_to(self, place: Place) -> None:
        """Forget what was read behind it, and read on from there."""
        del self.arrivals[place.arrivals :]
        self.keys = {arrival.key for arrival in self.arrivals}
        self._iterator, self._after = "", place.after

    async def _read_once(self) -> bool:
        if not self._iterator:
            answer = await self._kinesis.get_shard_iterator(
                StreamName=self._stream, ShardId="shardId-000000000000", **self._after
            )
            self._iterator = answer["ShardIterator"]
        answer = await self._kinesis.get_records(ShardIterator=self._iterator)
        for record in answer["Records"]:
            arrived_at = record["ApproximateArrivalTimestamp"].timestamp()
            self._take(json.loads(record["Data"]), arrived_at - self._clock_stepped_s())
            self._after = {
                "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                "StartingSequenceNumber": record["SequenceNumber"],
            }
        self._iterator = answer["NextShardIterator"]
        return bool(answer["Records"])

    def _take(self, record: dict[str, Any], at: float) -> None:
        video = record["InputInformation"]["KinesisVideo"]
        offset_ms = round(video["FrameOffsetInSeconds"] * 1000)
        # Around a step of the daemon's clock its stamps may be off; these two limits are not.
        at = min(max(at, self._read_until), time.time())
        key = (int(video["FragmentNumber"]), offset_ms)
        media_ms = round(video["ProducerTimestamp"] * 1000) + offset_ms
        self.arrivals.append(Arrival(key, number_in(record), media_ms, record.get("RecordId"), at))
        if key not in self.keys:
            self.keys.add(key)
            self.fresh_at = at
