"""The sink loses nothing and keeps the order, whatever Kinesis Data does."""

import asyncio
import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamproc.errors import PermanentFailure
from streamproc.model.record import Entry
from streamproc.sink.fake import (
    Accept,
    Hang,
    LoseAnswer,
    Outcome,
    Page,
    RefuseAll,
    RefuseSome,
    Unreachable,
)
from streamproc.sink.kinesis import RECORD_BYTES_MAX

THROTTLED = RefuseAll("ProvisionedThroughputExceededException", "Rate exceeded")
HEALING: list[Outcome] = [
    THROTTLED,
    RefuseAll("InternalFailure", "try later"),
    RefuseAll("ThrottlingException", ""),
    RefuseAll("503", "Service Unavailable"),
    RefuseAll("ExpiredTokenException", "The security token is expired"),
    Unreachable(),
    LoseAnswer(),
    Page(),
    RefuseSome(frozenset({0})),
    RefuseSome(frozenset({0}), "InternalFailure", "Internal service failure"),
]


def numbered(count: int, key: Callable[[int], str]) -> list[Entry]:
    return [Entry(str(number).encode(), key(number)) for number in range(count)]


def as_read(entries: list[Entry]) -> list[tuple[str, bytes]]:
    return [(entry.partition_key, entry.data) for entry in entries]


def first_arrivals(stored: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    return list(dict.fromkeys(stored))


async def test_records_of_one_key_arrive_one_by_one_in_order(open_bench: Any) -> None:
    entries = numbered(20, lambda _: "cam")
    async with open_bench() as bench:
        await bench.put_all(entries)
        await bench.sink.drain()
        assert bench.kinesis.stored == as_read(entries)
        assert bench.kinesis.requests == [[record] for record in as_read(entries)]
        assert bench.delivered == entries
        assert bench.reports == []


async def test_records_of_different_keys_share_a_request_after_a_short_wait(
    open_bench: Any,
) -> None:
    entries = numbered(7, str)
    async with open_bench(
        partition_key="random", records_per_batch_max=5, wait_ms_max=20.0
    ) as bench:
        await bench.put_all(entries[:3])
        await bench.clock.advance(0.019)
        assert bench.kinesis.requests == []
        await bench.clock.advance(0.001)
        assert [len(request) for request in bench.kinesis.requests] == [3]
        await bench.put_all(entries)
        await bench.clock.advance(0.02)
        assert [len(request) for request in bench.kinesis.requests] == [3, 5, 2]


async def test_a_record_of_a_processor_waits_for_nobody(open_bench: Any) -> None:
    async with open_bench(partition_key="processor", wait_ms_max=1000.0) as bench:
        await bench.sink.put(Entry(b"now", "cam"))
        await bench.sink.drain()  # the clock stands still
        assert bench.clock.monotonic() == 0.0


@pytest.mark.parametrize("outcome", HEALING, ids=repr)
async def test_passing_trouble_is_told_retried_and_taken_back(
    open_bench: Any, outcome: Outcome
) -> None:
    entries = numbered(3, lambda _: "cam")
    async with open_bench([outcome]) as bench:
        await bench.put_all(entries)
        await bench.until_done(bench.sink.drain())
        assert first_arrivals(bench.kinesis.stored) == as_read(entries)
        assert bench.delivered == entries
        told, well = bench.reports
        assert told.startswith("Kinesis Data stream faces: ")
        assert told.endswith("; trying again")
        assert well == ""


async def test_only_refused_records_are_sent_again(open_bench: Any) -> None:
    entries = numbered(4, str)
    outcomes = [RefuseSome(frozenset({1, 3})), RefuseSome(frozenset({0}))]
    async with open_bench(outcomes, partition_key="random") as bench:
        await bench.put_all(entries)
        await bench.until_done(bench.sink.drain())
        places = [[int(data) for _, data in request] for request in bench.kinesis.requests]
        assert places == [[0, 1, 2, 3], [1, 3], [1]]
        figures = bench.figures
        assert figures.errors_total.total() == 3  # two records of the first call, one of the next
        assert figures.seconds.read().count == 3
        assert (figures.records_total, figures.bytes_total) == (4, 4 * 2)
        assert len(bench.kinesis.stored) == 4  # no duplicates


async def test_delivery_is_told_up_to_the_oldest_record_under_way(open_bench: Any) -> None:
    entries = numbered(3, str)
    async with open_bench(
        [RefuseSome(frozenset({1}))], partition_key="random", wait_ms_max=0.0, roll=1.0
    ) as bench:
        await bench.put_all(entries)
        await bench.clock.advance(0.0)
        assert len(bench.kinesis.stored) == 2
        assert bench.delivered == entries[:1]
        await bench.clock.advance(1.0)
        assert bench.delivered == entries


async def test_a_lost_answer_makes_a_duplicate_not_a_swap(open_bench: Any) -> None:
    entries = numbered(3, lambda _: "cam")
    async with open_bench([Accept(), LoseAnswer()]) as bench:
        await bench.put_all(entries)
        await bench.until_done(bench.sink.drain())
        assert [int(data) for _, data in bench.kinesis.stored] == [0, 1, 1, 2]
        assert bench.delivered == entries


async def test_pauses_double_up_to_the_longest(open_bench: Any) -> None:
    async with open_bench([THROTTLED] * 8, roll=1.0, backoff_s_max=3.0) as bench:
        await bench.sink.put(Entry(b"", "cam"))
        attempts_at: list[int] = []
        for tenth in range(200):
            attempts_at += [tenth] * (len(bench.kinesis.requests) - len(attempts_at))
            await bench.clock.advance(0.1)
        pauses = [b - a for a, b in itertools.pairwise(attempts_at)]
        assert pauses == pytest.approx([1, 2, 4, 8, 16, 30, 30, 30], abs=1)
        told = "Rate exceeded (ProvisionedThroughputExceededException); trying again"
        assert bench.reports == [f"Kinesis Data stream faces: {told}"] * 8 + [""]


async def test_it_never_gives_up_on_passing_trouble(open_bench: Any) -> None:
    entries = numbered(2, lambda _: "cam")
    async with open_bench([Unreachable()] * 500) as bench:
        await bench.put_all(entries)
        await bench.until_done(bench.sink.drain())
        assert bench.kinesis.stored == as_read(entries)


async def test_put_waits_while_the_queue_is_full(open_bench: Any) -> None:
    entries = numbered(5, lambda _: "cam")
    async with open_bench([THROTTLED], roll=1.0, records_queued_max=3) as bench:
        await bench.put_all(entries[:3])
        waiting = asyncio.ensure_future(bench.put_all(entries[3:]))
        await bench.clock.advance(0.05)
        assert not waiting.done()
        assert bench.sink.queued == 3
        await bench.until_done(waiting)
        await bench.sink.drain()
        assert bench.kinesis.stored == as_read(entries)


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (
            RefuseAll("ResourceNotFoundException", "Stream faces not found"),
            "Stream faces under account 111122223333 not found",
        ),
        (RefuseAll("AccessDeniedException", "no"), "Access denied to Kinesis Data"),
        (RefuseAll("UnrecognizedClientException", "no"), "Access denied to Kinesis Data"),
        (
            RefuseAll("InvalidArgumentException", "record too large"),
            "Kinesis Data refused records for stream faces: record too large "
            "(InvalidArgumentException)",
        ),
    ],
)
async def test_what_no_retry_heals_is_raised_and_stays(
    open_bench: Any, outcome: Outcome, message: str
) -> None:
    async with open_bench([Unreachable(), outcome]) as bench:
        await bench.sink.put(Entry(b"", "cam"))
        for call in (
            bench.sink.drain,
            bench.sink.drain,
            partial(bench.sink.put, Entry(b"", "cam")),
        ):
            with pytest.raises(PermanentFailure) as failure:
                await bench.until_done(call())
            assert str(failure.value) == message
        assert len(bench.kinesis.requests) == 2
        assert bench.delivered == []


MISSING = RefuseAll("ResourceNotFoundException", "Stream faces not found")
DENIED = RefuseAll("AccessDeniedException", "no")


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (MISSING, "Stream faces under account 111122223333 not found"),
        (DENIED, "Access denied to Kinesis Data"),
    ],
)
async def test_what_was_there_once_is_waited_for(
    open_bench: Any, outcome: Outcome, told: str
) -> None:
    """A stream that is deleted and made anew, a key that is rotated."""
    entries = numbered(3, lambda _: "cam")
    async with open_bench([Accept(), *[outcome] * 200]) as bench:
        await bench.put_all(entries)
        await bench.until_done(bench.sink.drain())
        assert bench.kinesis.stored == as_read(entries)
        trying = f"Kinesis Data stream faces: {told}; trying again"
        assert bench.reports == [trying] * 200 + [""]


async def test_a_stream_that_opening_found_is_waited_for_even_before_the_first_record(
    open_bench: Any,
) -> None:
    async with open_bench([MISSING]) as bench:
        await bench.sink.check()
        await bench.sink.put(Entry(b"", "cam"))
        await bench.until_done(bench.sink.drain())


async def test_a_role_that_may_look_but_never_put_is_not_waited_for(open_bench: Any) -> None:
    async with open_bench([DENIED]) as bench:
        await bench.sink.check()
        await bench.sink.put(Entry(b"", "cam"))
        with pytest.raises(PermanentFailure, match="Access denied"):
            await bench.until_done(bench.sink.drain())


async def test_a_request_that_hangs_is_sent_again_without_a_further_pause(
    open_bench: Any,
) -> None:
    entries = numbered(2, lambda _: "cam")
    async with open_bench([Hang()], timeout_s=0.05, roll=0.0) as bench:
        await bench.put_all(entries)
        async with asyncio.timeout(60):  # the limit is of real time: it is the network's
            while not bench.reports:  # noqa: ASYNC110 (no one event tells)
                await asyncio.sleep(0.01)
        told = "no answer within sink.timeout_s = 0.05 s; trying again"
        assert set(bench.reports) == {f"Kinesis Data stream faces: {told}"}
        await bench.until_done(bench.sink.drain())
        assert bench.kinesis.stored == as_read(entries)


async def test_a_pause_counts_from_the_beginning_of_the_attempt(open_bench: Any) -> None:
    async with open_bench([THROTTLED] * 9, roll=1.0, backoff_s_max=5.0) as bench:
        answer = bench.kinesis.put_records

        async def slow(**call: Any) -> Any:
            await bench.clock.sleep(5.0)
            return await answer(**call)

        bench.kinesis.put_records = slow
        await bench.sink.put(Entry(b"", "cam"))
        await bench.clock.advance(50.1)  # ten attempts of 5 s, and nothing in between
        assert len(bench.delivered) == 1


async def test_before_each_request_somebody_is_asked_and_queueing_goes_on_meanwhile(
    open_bench: Any,
) -> None:
    asked, may_go = list[int](), asyncio.Event()
    async with open_bench([THROTTLED], records_queued_max=10) as bench:

        async def before_send() -> None:
            asked.append(len(bench.delivered))
            await may_go.wait()

        bench.sink._before_send = before_send
        await bench.put_all(numbered(10, lambda _: "cam"))
        await bench.clock.advance(1.0)
        assert (asked, bench.kinesis.requests) == ([0], [])
        may_go.set()
        await bench.until_done(bench.sink.drain())
        # What is acknowledged has been told by then; a second attempt asks again.
        assert asked == [0, *range(10)]


async def test_what_is_raised_before_a_request_is_a_failure(open_bench: Any) -> None:
    async with open_bench() as bench:

        async def before_send() -> None:
            raise PermanentFailure("processors.db is damaged")

        bench.sink._before_send = before_send
        await bench.sink.put(Entry(b"", "cam"))
        with pytest.raises(PermanentFailure, match=r"processors\.db is damaged"):
            await bench.until_done(bench.sink.drain())


async def test_a_put_that_waits_hears_of_the_failure(open_bench: Any) -> None:
    async with open_bench(
        [THROTTLED, RefuseAll("AccessDeniedException")], records_queued_max=1
    ) as bench:
        await bench.sink.put(Entry(b"", "cam"))
        with pytest.raises(PermanentFailure, match="Access denied"):
            await bench.until_done(bench.sink.put(Entry(b"", "cam")))


async def test_an_error_of_ours_is_raised_too(open_bench: Any) -> None:
    async with open_bench() as bench:
        await bench.sink.put(Entry(b"", "cam"))

        async def broken(**_: Any) -> dict[str, Any]:
            raise ZeroDivisionError

        bench.kinesis.put_records = broken
        with pytest.raises(ZeroDivisionError):
            await bench.until_done(bench.sink.drain())


async def test_a_record_that_no_stream_takes_is_refused_at_once(open_bench: Any) -> None:
    async with open_bench() as bench:
        with pytest.raises(PermanentFailure, match=f"{RECORD_BYTES_MAX + 1} bytes .* faces"):
            await bench.sink.put(Entry(bytes(RECORD_BYTES_MAX - 2), "cam"))
        await bench.sink.put(Entry(bytes(RECORD_BYTES_MAX - 3), "cam"))
        await bench.sink.drain()
        assert len(bench.kinesis.stored) == 1


async def test_leaving_does_not_wait_for_an_answer(open_bench: Any) -> None:
    async with open_bench([Hang()]) as bench:
        await bench.put_all(numbered(2, lambda _: "cam"))
        drain = asyncio.ensure_future(bench.sink.drain())
        await bench.clock.advance(0.0)
        assert len(bench.kinesis.requests) == 1
    with pytest.raises(RuntimeError, match="closed"):
        await drain
    assert bench.delivered == []
    with pytest.raises(RuntimeError, match="closed"):
        await bench.sink.put(Entry(b"", "cam"))


OUTCOMES = st.one_of(
    st.just(Accept()),
    st.just(THROTTLED),
    st.just(Unreachable()),
    st.just(LoseAnswer()),
    st.builds(RefuseSome, st.frozensets(st.integers(0, 4), min_size=1)),
)


@given(
    keys=st.lists(st.sampled_from("abc"), max_size=15),
    outcomes=st.lists(OUTCOMES, max_size=25),
    queued_max=st.integers(1, 6),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_whatever_happens_consumers_see_each_key_in_order(
    open_bench: Any, keys: list[str], outcomes: list[Outcome], queued_max: int
) -> None:
    entries = numbered(len(keys), lambda number: keys[number])
    async with open_bench(
        outcomes, partition_key="random", records_queued_max=queued_max, records_per_batch_max=5
    ) as bench:
        await bench.until_done(bench.put_all(entries))
        await bench.until_done(bench.sink.drain())
        seen = first_arrivals(bench.kinesis.stored)
        for key in set(keys):
            assert [r for r in seen if r[0] == key] == [r for r in as_read(entries) if r[0] == key]
        assert bench.delivered == entries
        assert bench.reports[-1:] in ([], [""])
