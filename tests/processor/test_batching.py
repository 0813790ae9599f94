"""Packets wait for each other, but none waits whose picture may be analysed."""

import random
from collections.abc import Iterable, Iterator

import pytest

from streamproc.decode.sampling import Sampler
from streamproc.model.media import (
    Fragment,
    FragmentEnded,
    FragmentFailed,
    FragmentStarted,
    MediaEvent,
    Packet,
    Track,
    TrackKind,
)
from streamproc.processor.batching import PACKETS_WAITING_MAX, Batching

START_S = 1_700_000_000.0
SOUND, VIDEO = Track(1, TrackKind.AUDIO, "A_AAC"), Track(2, TrackKind.VIDEO, "V_MPEG4/ISO/AVC")


def started(at_s: float = START_S) -> FragmentStarted:
    return FragmentStarted(Fragment("1", at_s, at_s, 0, (SOUND, VIDEO)))


def packet(offset_ms: int, track: int = 2) -> Packet:
    return Packet(track, offset_ms * 1_000_000, offset_ms == 0, b"coded")


def batches(
    events: Iterable[MediaEvent], sampler: Sampler, *, delay: int = 0
) -> Iterator[list[int]]:
    """Offsets in milliseconds of the packets decoded together. A decoder that reorders gives a
    picture out so many packets later."""
    batching = Batching(sampler)
    together: list[int] = []
    inside: list[int] = []
    for event in events:
        if isinstance(event, Packet):
            together.append(event.offset_ns // 1_000_000)
        if not batching.is_due(event):
            continue
        if together:
            yield together
        for offset_ms in together:
            inside = sorted([*inside, offset_ms])
            if len(inside) > delay:
                sampler.wants(START_S + inside.pop(0) / 1000)
        together = []
    assert not together


def second(fps: int) -> list[MediaEvent]:
    packets = [packet(round(number * 1000 / fps)) for number in range(fps)]
    return [started(), *packets, FragmentEnded("1", complete=True)]


def test_the_picture_that_counts_finds_the_decoder_idle() -> None:
    assert list(batches(second(30), Sampler(5))) == [
        [0], [33, 67, 100, 133, 167],
        [200], [233, 267, 300, 333, 367],
        [400], [433, 467, 500, 533, 567],
        [600], [633, 667, 700, 733, 767],
        [800], [833, 867, 900, 933, 967],
    ]  # fmt: skip


@pytest.mark.parametrize("fps", [5, 10, 30])
def test_a_camera_that_is_sampled_whole_is_decoded_packet_by_packet(fps: int) -> None:
    assert all(len(together) == 1 for together in batches(second(fps), Sampler(fps)))


def test_however_seldom_is_analysed_a_batch_is_short() -> None:
    found = list(batches(second(60), Sampler(0.1)))
    assert max(map(len, found)) == PACKETS_WAITING_MAX
    assert sum(map(len, found)) == 60


@pytest.mark.parametrize("seed", range(20))
def test_at_any_distances_no_picture_that_counts_waits_for_the_next(seed: int) -> None:
    chance = random.Random(seed)
    offsets = sorted(chance.sample(range(1, 4000), 60))
    alone = Sampler(5)
    wanted = [offset for offset in offsets if alone.wants(START_S + offset / 1000)]
    events: list[MediaEvent] = [started(), *map(packet, offsets)]
    events.append(FragmentEnded("1", complete=True))
    ends = [together[-1] for together in batches(events, Sampler(5))]
    assert set(wanted) <= set(ends)


@pytest.mark.parametrize("delay", [1, 2, 3])
def test_a_picture_that_comes_out_later_gets_the_packet_that_brings_it_out_at_once(
    delay: int,
) -> None:
    """I0 P B B P B B: whichever opens a slot, the decoder holds it for so many packets."""
    shown = [offset * 33 for offset in range(40)]
    groups = [shown[at : at + 3] for at in range(1, 40, 3)]
    coded = [0, *(offset for group in groups for offset in (group[-1], *group[:-1]))]
    events: list[MediaEvent] = [started(), *map(packet, coded)]
    events.append(FragmentEnded("1", complete=True))
    alone, inside, bringing_out = Sampler(5), list[int](), set[int]()
    for offset in coded:
        inside = sorted([*inside, offset])
        if len(inside) > delay and alone.wants(START_S + inside.pop(0) / 1000):
            bringing_out.add(offset)
    ends = {together[-1] for together in batches(events, Sampler(5), delay=delay)}
    assert bringing_out <= ends
    assert len(ends) < len(coded)


def test_sound_wakes_nobody() -> None:
    events: list[MediaEvent] = [started(), packet(0), packet(0, track=1), packet(40)]
    sampler = Sampler(1)
    batching = Batching(sampler)
    assert [batching.is_due(event) for event in events[:2]] == [True, True]
    sampler.wants(START_S)
    assert not any(batching.is_due(packet(ms, track=1)) for ms in range(100))
    assert not batching.is_due(packet(40))


@pytest.mark.parametrize(
    "event",
    [
        started(),
        FragmentEnded("1", complete=True),
        FragmentEnded("1", complete=False),
        FragmentFailed("1", 3002, ""),
    ],
)
def test_what_begins_and_ends_fragments_never_waits(event: MediaEvent) -> None:
    sampler = Sampler(0.1)
    batching = Batching(sampler)
    batching.is_due(started())
    sampler.wants(START_S)
    assert not batching.is_due(packet(0))
    assert batching.is_due(event)


@pytest.mark.parametrize("jump_s", [-86_400.0, -0.5, 86_400.0])
def test_a_producer_whose_clock_steps_keeps_nothing_back(jump_s: float) -> None:
    sampler = Sampler(5)
    batching = Batching(sampler)
    batching.is_due(started())
    assert batching.is_due(packet(0))
    sampler.wants(START_S)
    batching.is_due(started(START_S + jump_s))
    assert batching.is_due(packet(0))
