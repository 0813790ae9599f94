"""Records to a Kinesis data stream: none lost, in order, whatever the service does.

What a consumer may rely on: every record arrives at least once, and the first arrivals of
one partition key are in the order they were put. Accumulator says why a batch therefore never
holds two records of a key; a processor that puts all its records under one key sends them
one by one. An answer that is lost makes a duplicate of the newest record, never a swap.

The client's own retries resend whole calls only; what a call refuses in part is resent here.
Knows PutRecords; knows nothing of what the records mean.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Self

from botocore.exceptions import ClientError

from streamproc.aio import backoff_seconds
from streamproc.clock import Clock, SystemClock
from streamproc.errors import OutOfReach, PermanentFailure
from streamproc.model.arn import Arn
from streamproc.model.record import Entry
from streamproc.settings import SinkConfig
from streamproc.sink.accumulator import Accumulator, BatchPolicy, Item, entry_bytes
from streamproc.sink.failures import (
    SERVICE_TROUBLE,
    StreamMissing,
    code_of,
    describe,
    permanent_failure,
)
from streamproc.sink.figures import TIMEOUT, SinkFigures

RECORD_BYTES_MAX = 10 * 1024 * 1024  # UpdateMaxRecordSize goes no higher


class KinesisSink:
    """A RecordSink, open between `async with` and its end. One request is under way at a time.

    client is an aiobotocore "kinesis" client of the stream's region. Leaving the context stops
    sending at once; drain() first where the rest matters. A failure is raised by every put()
    and drain() that follows it.

    delivered is called, on the loop, with records that are stored, in the order they were put;
    report with what is wrong, in a person's words, while sending is tried again, and with ""
    when it is well; before_send is awaited before each request, and what it raises is a failure.
    """

    def __init__(
        self,
        client: Any,
        stream_arn: str,
        config: SinkConfig,
        delivered: Callable[[Sequence[Entry]], None],
        report: Callable[[str], None],
        clock: Clock | None = None,
        roll: Callable[[], float] = random.random,
        before_send: Callable[[], Awaitable[None]] | None = None,
        figures: SinkFigures | None = None,
    ) -> None:
        self._client = client
        self._stream_arn = stream_arn
        self._arn = Arn.parse(stream_arn)
        self._config = config
        self._delivered = delivered
        self._report = report
        self._clock = clock or SystemClock()
        self._roll = roll
        self._before_send = before_send
        self._figures = figures or SinkFigures()
        self._is_known = False  # the stream has been there since we opened
        self._accumulator = Accumulator(_policy(config))
        self._put_total = 0
        self._delivered_total = 0
        self._failure: Exception | None = None
        self._reported = ""
        self._changed = asyncio.Condition()
        self._sender: asyncio.Task[None] | None = None

    async def check(self) -> None:
        """Raise PermanentFailure if the stream is not there, or if we have no credentials.

        That should show when a processor starts, not with its first face. A role may have the
        right to put and none to describe, so a refusal says nothing yet: the first PutRecords
        will tell.
        """
        try:
            await self._client.describe_stream_summary(StreamARN=self._stream_arn)
        except SERVICE_TROUBLE as error:
            failure = permanent_failure(error, self._arn.name, self._arn.account)
            refused = isinstance(error, ClientError) and not isinstance(failure, StreamMissing)
            if failure is not None and not refused:
                raise failure from error
        else:
            self._is_known = True

    @property
    def queued(self) -> int:
        """Records that are put and not yet delivered."""
        return len(self._accumulator)

    async def __aenter__(self) -> Self:
        self._sender = asyncio.create_task(self._send_forever(), name=f"sink {self._arn.name}")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._sender is not None
        self._sender.cancel()
        await asyncio.wait({self._sender})
        await self._fail(RuntimeError(f"the sink of stream {self._arn.name} is closed"))

    async def put(self, entry: Entry) -> None:
        """Queue one record; waits while records_queued_max are not delivered.

        Raises PermanentFailure for a record that no stream takes (more than 10 MiB) and for
        what no retry heals. Whether a stream takes more than 1 MiB is the stream's to say.
        """
        size = entry_bytes(entry)
        if size > RECORD_BYTES_MAX:
            raise PermanentFailure(
                f"A record of {size} bytes cannot go to stream {self._arn.name}: Kinesis Data "
                f"takes at most {RECORD_BYTES_MAX}"
            )
        async with self._changed:
            await self._wait_until(lambda: self.queued < self._config.records_queued_max)
            self._accumulator.add(entry, self._clock.monotonic())
            self._put_total += 1
            self._changed.notify_all()

    async def drain(self) -> None:
        """Return once everything put so far is delivered. Raises PermanentFailure."""
        async with self._changed:
            target = self._put_total
            await self._wait_until(lambda: self._delivered_total >= target)

    async def _wait_until(self, condition: Callable[[], bool]) -> None:
        await self._changed.wait_for(lambda: self._failure is not None or condition())
        if self._failure is not None:
            raise self._failure

    async def _fail(self, error: Exception) -> None:
        async with self._changed:
            self._failure = self._failure or error
            self._changed.notify_all()

    async def _send_forever(self) -> None:
        try:
            while True:
                async with self._changed:
                    await self._changed.wait_for(lambda: self.queued > 0)
                wait_s = self._accumulator.due_in(self._clock.monotonic())
                if wait_s > 0:
                    await self._clock.sleep(wait_s)
                await self._send_until_whole()
        except Exception as error:
            # Whatever it is, those who put must hear of it: nobody else watches this task.
            await self._fail(error)

    async def _send_until_whole(self) -> None:
        """Send batches until one is stored completely."""
        attempt = 0
        while True:
            if self._before_send is not None:
                await self._before_send()
            began = self._clock.monotonic()
            trouble = await self._send(self._accumulator.batch())
            if not trouble:
                return self._tell("")
            self._tell(f"Kinesis Data stream {self._arn.name}: {trouble}; trying again")
            pause_s = backoff_seconds(attempt, cap_s=self._config.backoff_s_max, roll=self._roll)
            # From begin to begin: a request that hung has waited long enough already.
            await self._clock.sleep(max(0.0, pause_s - (self._clock.monotonic() - began)))
            attempt += 1

    async def _send(self, batch: list[Item]) -> str:
        """Send one batch; return what went wrong, or "". Raises what no retry heals."""
        records = [
            {"Data": item.entry.data, "PartitionKey": item.entry.partition_key} for item in batch
        ]
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._config.timeout_s):
                answer = await self._client.put_records(StreamARN=self._stream_arn, Records=records)
        except TimeoutError:
            self._figures.failed(TIMEOUT)
            return f"no answer within sink.timeout_s = {self._config.timeout_s:g} s"
        except SERVICE_TROUBLE as error:
            self._figures.failed(code_of(error))
            failure = permanent_failure(error, self._arn.name, self._arn.account)
            if failure is None:
                return describe(error)
            if not self._may_come_back(failure):
                raise failure from error
            return str(failure)
        self._figures.seconds.observe(self._clock.monotonic() - began)
        told = answer.get("Records", [])
        if len(told) != len(batch):  # clients read a proxy's page as an answer without members
            return (
                f"PutRecords answers with {len(told)} results for {len(batch)} records; is "
                "endpoints.kinesis right, and no proxy in between?"
            )
        results = list(zip(batch, told, strict=True))  # results keep request order
        await self._acknowledge([item for item, result in results if not result.get("ErrorCode")])
        refused = [result for _, result in results if result.get("ErrorCode")]
        if not refused:
            return ""
        for result in refused:
            self._figures.failed(str(result["ErrorCode"]))
        first = refused[0]
        return (
            f"{len(refused)} of {len(batch)} records refused, {first.get('ErrorMessage', '')} "
            f"({first['ErrorCode']})"
        )

    async def _acknowledge(self, items: list[Item]) -> None:
        if items:
            self._is_known = True
            self._figures.acknowledged(len(items), sum(entry_bytes(item.entry) for item in items))
        entries = self._accumulator.acknowledge(items)
        if not entries:
            return
        self._delivered(entries)
        async with self._changed:
            self._delivered_total += len(entries)
            self._changed.notify_all()

    def _may_come_back(self, failure: PermanentFailure) -> bool:
        """Whether a retry may mend what counts as permanent where nothing ever worked."""
        if isinstance(failure, StreamMissing):
            return self._is_known
        return isinstance(failure, OutOfReach) and self._delivered_total > 0

    def _tell(self, text: str) -> None:
        if text or self._reported:
            self._reported = text
            self._report(text)


def _policy(config: SinkConfig) -> BatchPolicy:
    # Under one key a record never has company, so waiting for it would be delay for nothing.
    wait_ms = 0.0 if config.partition_key == "processor" else config.wait_ms_max
    return BatchPolicy(config.records_per_batch_max, config.bytes_per_batch_max, wait_ms / 1000)
