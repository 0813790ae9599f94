"""The GetMedia loop against a service on a real socket that misbehaves by script."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.session import AioSession

from streamproc.aws import AwsClients
from streamproc.clock import SystemClock
from streamproc.errors import PermanentFailure
from streamproc.kvs import consumer
from streamproc.kvs.consumer import KinesisVideoSource, open_source
from streamproc.mkv.fragments import FragmentParser
from streamproc.model.media import (
    FragmentEnded,
    FragmentFailed,
    FragmentStarted,
    MediaEvent,
    Packet,
)
from streamproc.model.position import AfterFragment, StartAt, StartPosition
from streamproc.processor.ports import MediaSource
from streamproc.settings import AwsConfig, EndpointsConfig
from tests.kvs.getmedia import (
    SPEC,
    START_S,
    Document,
    End,
    KinesisVideo,
    Refusal,
    Session,
    clients,
    document,
    error_document,
    online,
    quick,
)

DOCUMENTS = [document(sequence) for sequence in range(1, 5)]
SIZE = len(DOCUMENTS[0].data)
ALL = [each.number for each in DOCUMENTS]


class Patience(SystemClock):
    """Waits for nothing and remembers how long it should have."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.eighth = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) == 8:
            self.eighth.set()
        await asyncio.sleep(0)


@dataclass
class Reading:
    source: KinesisVideoSource
    clock: Patience
    reports: list[str] = field(default_factory=list)

    async def until(
        self,
        enough: Callable[[list[MediaEvent]], bool],
        position: StartPosition = StartAt.EARLIEST,
    ) -> list[MediaEvent]:
        seen: list[MediaEvent] = []
        async with asyncio.timeout(60), aclosing(self.source.events(position)) as events:
            async for event in events:
                seen.append(event)
                if enough(seen):
                    break
        return seen

    async def all_complete(
        self, position: StartPosition = StartAt.EARLIEST, last: str = ALL[-1]
    ) -> list[MediaEvent]:
        return await self.until(lambda seen: last in completed(seen), position)


@asynccontextmanager
async def reading(
    service: KinesisVideo, read_timeout_s: float = 60, stall_s: float = 60
) -> AsyncIterator[Reading]:
    reports: list[str] = []

    def report(text: str) -> None:
        """What is tried again and again is told each time; tests look at what is new."""
        if reports[-1:] != [text]:
            reports.append(text)

    clock = Patience()
    access = clients(service.url, read_timeout_s=read_timeout_s)
    async with open_source(
        access, SPEC, report, clock, roll=lambda: 1.0, stall_s=stall_s
    ) as source:
        yield Reading(source, clock, reports)


def completed(events: Sequence[MediaEvent]) -> list[str]:
    return [e.number for e in events if isinstance(e, FragmentEnded) and e.complete]


def types(service: KinesisVideo) -> list[str]:
    return [selector["StartSelectorType"] for selector in service.selectors]


def whole_fragments(events: Sequence[MediaEvent]) -> dict[str, list[bytes]]:
    """The payloads of every fragment that ended complete, and a check that events nest."""
    found: dict[str, list[bytes]] = {}
    number, payloads = None, list[bytes]()
    for event in events:
        match event:
            case FragmentStarted(fragment):
                assert number is None
                number, payloads = fragment.number, []
            case Packet():
                payloads.append(event.payload)
            case FragmentEnded():
                assert event.number == number
                if event.complete:
                    assert event.number not in found
                    found[event.number] = payloads
                number = None
    return found


def payloads_of(documents: Sequence[Document]) -> dict[str, list[bytes]]:
    parser = FragmentParser()
    return whole_fragments(parser.feed(b"".join(each.data for each in documents)))


async def test_sessions_that_end_are_resumed_behind_the_last_fragment() -> None:
    script = [Session(stop_at=SIZE * n) for n in (1, 2)]
    async with online(KinesisVideo(DOCUMENTS, [*script])) as service, reading(service) as reader:
        source: MediaSource = reader.source  # it is one, says mypy
        assert source is reader.source
        events = await reader.all_complete()
    assert whole_fragments(events) == payloads_of(DOCUMENTS)
    assert completed(events) == ALL
    numbers = [selector.get("AfterFragmentNumber") for selector in service.selectors]
    assert numbers == [None, ALL[0], ALL[2]]
    assert service.endpoint_calls == 1
    assert reader.reports == []


@pytest.mark.parametrize("end", ["close", "abort"])
async def test_a_session_cut_anywhere_loses_nothing(end: End) -> None:
    async with online(KinesisVideo(DOCUMENTS)) as service, reading(service) as reader:
        for stop_at in range(0, 2 * SIZE + 20, 13):
            service.script = [Session(stop_at, end), Session(SIZE // 2, end)]
            events = await reader.all_complete()
            assert whole_fragments(events) == payloads_of(DOCUMENTS)
            assert completed(events) == ALL
            assert reader.reports[-1:] in ([], [""])


async def test_a_fragment_cut_under_now_is_delivered_again_from_its_start() -> None:
    in_the_last_block = DOCUMENTS[2].data.index(b"3.2")
    service = KinesisVideo(DOCUMENTS, [Session(stop_at=in_the_last_block)], now_from=2)
    async with online(service), reading(service) as reader:
        events = await reader.all_complete(StartAt.NOW)
    assert completed(events) == ALL[2:]
    cut = [e for e in events if isinstance(e, FragmentEnded) and not e.complete]
    assert [e.number for e in cut] == [ALL[2]]
    assert types(service) == ["NOW", "SERVER_TIMESTAMP"]
    assert service.selectors[1]["StartTimestamp"] == START_S + 6


async def test_now_stays_now_until_something_came() -> None:
    service = KinesisVideo(DOCUMENTS, [Session(stop_at=0), Session(stop_at=0)], now_from=3)
    async with online(service), reading(service) as reader:
        await reader.all_complete(StartAt.NOW)
    assert types(service) == ["NOW"] * 3


async def test_a_silent_stream_is_asked_again_without_a_word() -> None:
    script = [Session(stop_at=SIZE, end="hang"), Session(stop_at=0, end="hang")]
    service = KinesisVideo(DOCUMENTS, [*script])
    async with online(service), reading(service, read_timeout_s=1.0) as reader:
        events = await reader.all_complete()
    assert whole_fragments(events) == payloads_of(DOCUMENTS)
    assert reader.reports == []
    assert service.endpoint_calls == 1
    assert set(reader.clock.slept) == {0.1}  # a pause of the camera is no reason to back off


async def test_an_error_document_is_told_and_left_behind() -> None:
    failed = error_document(3002, "WRITE_ERROR", ALL[1])
    service = KinesisVideo(DOCUMENTS, [Session(body=DOCUMENTS[0].data + failed)])
    async with online(service), reading(service) as reader:
        events = await reader.all_complete()
    assert completed(events) == [ALL[0], ALL[2], ALL[3]]
    assert FragmentFailed(ALL[1], 3002, "WRITE_ERROR") in events
    assert sum("WRITE_ERROR" in report for report in reader.reports) == 1
    assert "WRITE_ERROR" in reader.reports[0]
    assert reader.reports[-1] == ""


@pytest.mark.parametrize(
    "answer",
    [
        Session(body=error_document(4000, "FRAGMENT_NOT_FOUND", "77")),
        Session(body=error_document(4000, "FRAGMENT_NOT_FOUND")),
        Refusal(400, "InvalidArgumentException"),
    ],
)
async def test_a_checkpoint_that_expired_costs_nothing_that_is_still_there(
    answer: Session | Refusal,
) -> None:
    async with online(KinesisVideo(DOCUMENTS, [answer])) as service, reading(service) as reader:
        events = await reader.all_complete(AfterFragment("77"))
    assert completed(events) == ALL
    assert types(service) == ["FRAGMENT_NUMBER", "EARLIEST"]


class TestDamage:
    # The id of the second fragment's last block stands 6 bytes before its payload.
    AT = SIZE + DOCUMENTS[1].data.index(b"2.2") - 6

    async def test_that_passes_costs_nothing(self) -> None:
        service = KinesisVideo(DOCUMENTS, [Session(damage_at=self.AT)])
        async with online(service), reading(service) as reader:
            events = await reader.all_complete()
        assert whole_fragments(events) == payloads_of(DOCUMENTS)
        assert "is damaged, reading it again" in reader.reports[0]
        assert reader.reports[-1] == ""

    async def test_that_passes_late_costs_nothing(self) -> None:
        script: list[Session | Refusal] = [
            Session(damage_at=self.AT),
            *2 * [Session(damage_at=self.AT - SIZE)],
        ]
        async with online(KinesisVideo(DOCUMENTS, script)) as service, reading(service) as reader:
            events = await reader.all_complete()
        assert whole_fragments(events) == payloads_of(DOCUMENTS)

    async def test_that_stays_costs_its_fragment(self) -> None:
        script = [Session(damage_at=self.AT), *3 * [Session(damage_at=self.AT - SIZE)]]
        service = KinesisVideo(DOCUMENTS, [*script])
        async with online(service), reading(service) as reader:
            events = await reader.all_complete()
        assert completed(events) == [ALL[0], ALL[2], ALL[3]]
        assert sum("skipping it" in report for report in reader.reports) == 1
        assert "is damaged, skipping it" in reader.reports[-2]

    async def test_that_hides_its_fragment_ends_in_going_live(self) -> None:
        service = KinesisVideo(
            DOCUMENTS, [Session(damage_at=SIZE), *3 * [Session(damage_at=0)]], now_from=2
        )
        async with online(service), reading(service) as reader:
            events = await reader.all_complete()
        assert completed(events) == [ALL[0], ALL[2], ALL[3]]
        assert types(service) == ["EARLIEST", *3 * ["FRAGMENT_NUMBER"], "NOW"]
        assert sum("skipping it" in report for report in reader.reports) == 1


class TestWhatNoRetryHeals:
    NOT_FOUND = Refusal(404, "ResourceNotFoundException")

    @pytest.mark.parametrize(
        ("refusal", "message"),
        [
            (NOT_FOUND, "Stream lobby doesn't exist"),
            (Refusal(404, ""), "Stream lobby doesn't exist"),
            (Refusal(400, "AccessDeniedException"), "Access denied to Kinesis Video"),
            (Refusal(401, "NotAuthorizedException"), "Access denied to Kinesis Video"),
            (Refusal(403, "SomethingElse"), "Access denied to Kinesis Video"),
            (Refusal(403, ""), "Access denied to Kinesis Video"),
        ],
    )
    async def test_shows_at_once(self, refusal: Refusal, message: str) -> None:
        async with online(KinesisVideo([], endpoint_script=[refusal])) as service:
            with pytest.raises(PermanentFailure, match=f"^{message}$"):
                async with reading(service):
                    pass

    async def test_shows_at_the_first_reading_too(self) -> None:
        gone = KinesisVideo(DOCUMENTS, [self.NOT_FOUND])
        async with online(gone) as service, reading(service) as reader:
            with pytest.raises(PermanentFailure, match="Stream lobby doesn't exist"):
                await reader.all_complete()

    async def test_includes_a_role_that_may_not_be_assumed(self) -> None:
        async with online(KinesisVideo([], sts=Refusal(403, "AccessDenied"))) as service:
            with pytest.raises(PermanentFailure, match=r"^Access denied to Role$"):
                async with open_source(with_role(service.url), SPEC, pytest.fail, Patience()):
                    pass

    async def test_includes_a_role_without_a_service_to_assume_it(self) -> None:
        off = AwsClients(
            EndpointsConfig(kinesisvideo="aws", sts="off"), AwsConfig(role="assume"), ""
        )
        with pytest.raises(PermanentFailure, match=r"endpoints\.sts is off"):
            async with open_source(off, SPEC, pytest.fail, Patience()):
                pass

    async def test_includes_credentials_that_are_not_there(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(AioSession, "get_credentials", _none)
        access = AwsClients(EndpointsConfig(kinesisvideo="http://127.0.0.1:9"), AwsConfig(), "")
        with pytest.raises(PermanentFailure, match="there are no AWS credentials; set AWS_ACC"):
            async with open_source(access, SPEC, pytest.fail, Patience()):
                pass

    async def test_includes_a_key_out_of_reach(self) -> None:
        body = error_document(4501, "KMS_KEY_DISABLED", ALL[0])
        service = KinesisVideo(DOCUMENTS, [Session(body=body)])
        async with online(service), reading(service) as reader:
            with pytest.raises(PermanentFailure, match=r"KMS_KEY_DISABLED \(4501\)"):
                await reader.all_complete()

    async def test_does_not_include_what_media_has_come_from(self) -> None:
        """An answer was wrong for a moment; rights and keys are taken, and given back."""
        troubles: list[Session | Refusal] = [
            self.NOT_FOUND,
            Refusal(403, "AccessDeniedException"),
            Session(body=error_document(4501, "KMS_KEY_DISABLED", ALL[1])),
        ]
        for trouble in troubles:
            service = KinesisVideo(DOCUMENTS, [Session(stop_at=SIZE), *[trouble] * 12])
            async with online(service), reading(service) as reader:
                assert completed(await reader.all_complete()) == ALL  # none is left behind
            assert any("trying again" in report for report in reader.reports)
            assert reader.reports[-1] == ""

    async def test_includes_a_stream_that_stays_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Made anew it would have another ARN."""
        monkeypatch.setattr(consumer, "MISSING_S", 0.0)
        service = KinesisVideo(DOCUMENTS, [Session(stop_at=SIZE), self.NOT_FOUND])
        async with online(service), reading(service) as reader:
            with pytest.raises(PermanentFailure, match="Stream lobby doesn't exist"):
                await reader.all_complete()

    @pytest.mark.parametrize("error_id", [4500, 4501, 4502, 4504, 4505, 4506])
    async def test_includes_each_key_error_of_the_first_session(self, error_id: int) -> None:
        service = KinesisVideo([], [Session(body=error_document(error_id, "KMS", ALL[0]))])
        async with online(service), reading(service) as reader:
            with pytest.raises(PermanentFailure, match=rf"KMS \({error_id}\)"):
                await reader.all_complete()

    async def test_does_not_include_credentials_that_ran_out(self) -> None:
        expired = Refusal(401, "NotAuthorizedException")
        service = KinesisVideo(DOCUMENTS, [Session(stop_at=SIZE), expired])
        async with online(service), reading(service) as reader:
            assert completed(await reader.all_complete()) == ALL
        assert service.endpoint_calls == 2  # with new credentials everything is asked anew


async def _none(session: AioSession) -> None:
    return None


def with_role(url: str) -> AwsClients:
    endpoints = EndpointsConfig(kinesisvideo=url, sts=url)
    return quick(AwsClients(endpoints, AwsConfig(role="assume"), embedded_url=""))


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the tests that do not use the embedded endpoint's own."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal(400, "ClientLimitExceededException", "too fast"),
        Refusal(400, "ConnectionLimitExceededException", "too many"),
        Refusal(400, "InvalidEndpointException", "elsewhere"),
        Refusal(500, "InternalFailure", "sorry"),
        Refusal(503, "", "sorry"),
    ],
)
async def test_passing_trouble_is_told_and_waited_out(refusal: Refusal) -> None:
    service = KinesisVideo(DOCUMENTS, [refusal, refusal, Session(stop_at=SIZE)])
    async with online(service), reading(service) as reader:
        events = await reader.all_complete()
    assert completed(events) == ALL
    [told, well] = reader.reports
    assert refusal.message in told
    assert well == ""
    assert reader.clock.slept == pytest.approx([0.2, 0.4, 0.1])
    assert service.endpoint_calls == 3  # the endpoint is asked for again after a failure


@pytest.mark.parametrize(
    ("error_id", "times", "is_left_behind"),
    [
        (3002, 1, True),  # never stored
        (4000, 1, True),  # not kept any more
        (9999, 1, True),  # whatever it means
        (5000, 3, False),  # trouble inside the service
        (5000, 8, True),  # trouble with this one fragment
        (4503, 30, False),  # the key's service does not answer
    ],
)
async def test_each_error_of_a_fragment_is_asked_about_as_often_as_it_is_worth(
    error_id: int, times: int, is_left_behind: bool
) -> None:
    failing = Session(body=error_document(error_id, "WHY", ALL[1]))
    service = KinesisVideo(DOCUMENTS, [Session(stop_at=SIZE), *[failing] * times])
    async with online(service), reading(service) as reader:
        events = await reader.all_complete()
    assert completed(events) == [ALL[0], *([] if is_left_behind else ALL[1:2]), *ALL[2:]]
    assert any(f"WHY ({error_id})" in told or "(WHY)" in told for told in reader.reports)
    assert reader.reports[-1] == ""


class TestBytesThatMakeNoPacket:
    """A block that claims more bytes than ever come, though some always do."""

    HEAD = DOCUMENTS[1].data[: DOCUMENTS[1].data.index(b"2.0") - 6]
    ENDLESS = HEAD + b"\xa3\x01\x00\x00\x00\x00\x7f\xff\xff\x81\x00\x00\x80"

    async def test_do_not_hold_the_stream(self) -> None:
        trickle = Session(body=DOCUMENTS[0].data + self.ENDLESS, end="trickle")
        service = KinesisVideo(DOCUMENTS, [trickle])
        async with online(service), reading(service, stall_s=0.3) as reader:
            events = await reader.all_complete()
        assert completed(events) == ALL
        assert "bytes that make no packet" in reader.reports[0]
        assert "reading it again" in reader.reports[0]

    async def test_cost_their_fragment_if_they_come_again(self) -> None:
        first = Session(body=DOCUMENTS[0].data + self.ENDLESS, end="trickle")
        again = Session(body=self.ENDLESS, end="trickle")
        service = KinesisVideo(DOCUMENTS, [first, again])
        async with online(service), reading(service, stall_s=0.3) as reader:
            events = await reader.all_complete()
        assert completed(events) == [ALL[0], *ALL[2:]]
        assert "skipping it" in reader.reports[-2]

    async def test_count_no_time_in_which_nobody_reads(self) -> None:
        service = KinesisVideo(DOCUMENTS)
        async with online(service), reading(service, stall_s=0.05) as reader:
            seen = []
            async with asyncio.timeout(60), aclosing(reader.source.events(StartAt.EARLIEST)) as it:
                async for event in it:
                    seen.append(event)
                    await asyncio.sleep(0.06 if len(seen) < 5 else 0)
                    if completed(seen) == ALL:
                        break
        assert reader.reports == []


async def test_a_consumer_that_answers_slowly_holds_the_service_back_and_misses_nothing() -> None:
    """Longer than the service is patient with: it ends the session, and reading goes on."""
    large = [document(sequence, packets=60) for sequence in range(1, 5)]
    service = KinesisVideo(large, [Session(stop_at=len(large[0].data) + 900, end="abort")])
    async with online(service), reading(service) as reader:
        seen = []
        async with asyncio.timeout(60), aclosing(reader.source.events(StartAt.EARLIEST)) as it:
            async for event in it:
                seen.append(event)
                await asyncio.sleep(0.3 if len(seen) == 10 else 0)
                if completed(seen) == ALL:
                    break
    assert whole_fragments(seen) == payloads_of(large)


@pytest.mark.parametrize("answer", [{}, {"DataEndpoint": "over there"}, {"DataEndpoint": 5}])
async def test_an_endpoint_that_is_none_is_told_and_asked_for_again(answer: dict[str, Any]) -> None:
    service = KinesisVideo(DOCUMENTS, endpoint_script=[answer, answer])
    async with online(service), reading(service) as reader:
        events = await reader.all_complete()
    assert completed(events) == ALL
    [told, well] = reader.reports
    assert repr(answer.get("DataEndpoint")) in told
    assert "endpoints.kinesisvideo" in told
    assert well == ""


async def test_a_service_out_of_reach_is_told_and_tried_again() -> None:
    async with online(KinesisVideo(DOCUMENTS)) as service:
        pass
    async with reading(service) as reader:
        assert service.url in reader.reports[0]
        task = asyncio.create_task(reader.until(lambda _: False))
        await asyncio.wait_for(reader.clock.eighth.wait(), 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert reader.clock.slept[:8] == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5])
    assert len(reader.reports) == 1


@pytest.mark.parametrize("how", ["closed", "cancelled"])
async def test_a_reader_that_leaves_closes_its_session(how: str) -> None:
    async with online(KinesisVideo(DOCUMENTS)) as service, reading(service) as reader:
        if how == "closed":
            await reader.until(lambda seen: len(completed(seen)) == 2)
        else:
            arrived = asyncio.Event()

            def never(seen: list[MediaEvent]) -> bool:
                if completed(seen) == ALL:
                    arrived.set()
                return False

            task = asyncio.create_task(reader.until(never))
            await asyncio.wait_for(arrived.wait(), 60)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await asyncio.wait_for(service.all_closed.wait(), 60)
        assert service.open_sessions == 0


async def test_a_reader_may_start_anew_while_the_source_is_open() -> None:
    async with online(KinesisVideo(DOCUMENTS, now_from=3)) as service, reading(service) as reader:
        assert completed(await reader.all_complete(last=ALL[0])) == ALL[:1]
        assert completed(await reader.all_complete(StartAt.NOW)) == ALL[3:]
    assert service.endpoint_calls == 1


async def test_a_recording_survives_cuts_byte_for_byte(testdata: Path) -> None:
    recorded = (testdata / "kvs" / "output_get_media.mkv").read_bytes()
    parser = FragmentParser()
    expected = whole_fragments([*parser.feed(recorded), *parser.close()])
    starts = [0, 547_925]
    while (at := recorded.find(b"\x1a\x45\xdf\xa3", starts[-1] + 4)) > 0:
        starts.append(at)
    ends = [*starts[1:], len(recorded)]
    documents = [
        Document(number, index, recorded[a:b])
        for index, (number, a, b) in enumerate(zip(expected, starts, ends, strict=True))
    ]
    cuts = [700_001, 400_000, 3, 900_000]
    script = [Session(stop_at=at, end="abort") for at in cuts]
    async with online(KinesisVideo(documents, [*script])) as service, reading(service) as reader:
        events = await reader.all_complete(last=documents[-1].number)
    assert whole_fragments(events) == expected
