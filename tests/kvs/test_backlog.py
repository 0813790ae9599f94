"""What waits for a stream: bounded, whole groups of pictures, and sent again until it is there."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from streamproc.kvs.backlog import PACKET_BYTES, Backlog
from streamproc.kvs.coded import CodedPacket
from streamproc.model.media import Track, TrackKind

TRACK = Track(1, TrackKind.VIDEO, "V_MPEG4/ISO/AVC", b"", 160, 120)


def packet(keyframe: bool, size: int = 10) -> CodedPacket:
    return CodedPacket(TRACK, 0.0, 0.1, keyframe, bytes(size))


def filled(groups: int, *, seconds_max: float = 100.0, bytes_max: int = 100_000) -> Backlog:
    """Groups of ten packets of 10 bytes, 0.1 s apart."""
    backlog = Backlog(seconds_max, bytes_max)
    for number in range(groups * 10):
        backlog.put(number / 10, packet(number % 10 == 0))
    return backlog


async def taken(backlog: Backlog, count: int) -> list[int]:
    numbers = []
    for _ in range(count):
        placed = await backlog.take()
        assert placed is not None
        numbers.append(placed.number)
    return numbers


async def test_packets_leave_in_order() -> None:
    backlog = filled(2)
    assert await taken(backlog, 20) == list(range(20))
    assert backlog.is_empty


async def test_the_oldest_groups_are_dropped_and_counted() -> None:
    backlog = filled(5, seconds_max=2.95)
    assert (backlog.groups_dropped_total, backlog.packets_dropped_total) == (2, 20)
    assert (await taken(backlog, 1)) == [20]
    backlog = filled(5, bytes_max=25 * (10 + PACKET_BYTES))
    assert backlog.groups_dropped_total == 3
    assert (await taken(backlog, 1)) == [30]


async def test_packets_of_nothing_are_bounded_as_well() -> None:
    backlog = Backlog(100.0, 1_000_000)
    for number in range(100_000):
        backlog.put(0.0, packet(keyframe=number % 10 == 0, size=0))
    assert len(backlog._packets) < 4_000


async def test_a_group_that_alone_is_too_long_goes_to_its_end() -> None:
    backlog = Backlog(1.0, 100_000)
    for number in range(30):
        backlog.put(number / 10, packet(number in {0, 25}))
    assert await taken(backlog, 1) == [12]
    assert backlog.packets_dropped_total == 25


async def test_what_is_not_confirmed_is_sent_again_from_a_keyframe() -> None:
    backlog = filled(3)
    await taken(backlog, 25)
    backlog.confirm(10)
    backlog.rewind()
    assert await taken(backlog, 1) == [10]
    backlog.confirm(15)  # the stream has half of this group
    backlog.rewind()
    assert await taken(backlog, 1) == [10]


async def test_what_the_stream_has_is_forgotten() -> None:
    backlog = filled(2)
    await taken(backlog, 20)
    backlog.confirm(20)
    backlog.rewind()
    assert backlog.is_empty
    assert backlog.packets_dropped_total == 0


async def test_room_made_of_what_was_sent_is_no_loss() -> None:
    backlog = filled(2, seconds_max=2.0)
    await taken(backlog, 20)
    for number in range(20, 40):
        backlog.put(number / 10, packet(number % 10 == 0))
    assert backlog.packets_dropped_total == 0
    assert await taken(backlog, 20) == list(range(20, 40))


async def test_media_that_is_refused_is_passed_over() -> None:
    backlog = filled(3)
    await taken(backlog, 12)
    backlog.pass_over()
    assert await taken(backlog, 1) == [20]
    assert backlog.packets_dropped_total == 20


async def test_a_pause_ends_the_reader_and_wants_a_keyframe() -> None:
    backlog = filled(1)
    backlog.pause()
    await taken(backlog, 10)
    assert await backlog.take() is None
    backlog.put(2.0, packet(False))
    assert backlog.is_empty
    backlog.put(2.1, packet(True))
    assert await taken(backlog, 1) == [10]


async def test_a_reader_waits_for_what_comes() -> None:
    backlog = Backlog(10, 1000)
    task = asyncio.create_task(backlog.wait())
    await asyncio.sleep(0)
    assert not task.done()
    backlog.put(0, packet(True))
    assert await asyncio.wait_for(task, 60)
    backlog.close()
    await taken(backlog, 1)
    assert not await backlog.wait()


@given(st.lists(st.sampled_from(["key", "put", "take", "confirm", "rewind", "pause", "pass"])))
def test_it_is_bounded_and_begins_on_keyframes_whatever_happens(steps: list[str]) -> None:
    async def play() -> None:
        backlog = Backlog(1.0, 12 * (10 + PACKET_BYTES))
        at_s, last, put, sent = 0.0, -1, 0, set[int]()
        begins = True
        for step in steps:
            at_s += 0.1
            if step in {"key", "put"}:
                backlog.put(at_s, packet(step == "key"))
                put += 1
            elif step == "take" and not backlog.is_empty:
                placed = await backlog.take()
                assert placed is not None
                if begins or placed.number != last + 1:
                    assert placed.packet.keyframe
                begins, last = False, placed.number
                sent.add(placed.number)
            elif step == "confirm":
                backlog.confirm(last + 1)
            elif step == "rewind":
                backlog.rewind()
                begins = True
            elif step == "pause":
                backlog.pause()
            elif step == "pass":
                backlog.pass_over()
                begins = True
            assert backlog.waiting_s <= 1.0
            assert len(sent) + backlog.packets_dropped_total <= put + len(sent)

    asyncio.run(play())
