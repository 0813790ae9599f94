"""Real recordings through a running processor: every sampled frame, where the recording has it."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from streamproc.clock import SystemClock
from streamproc.decode.sampling import Sampler
from streamproc.mkv.fragments import FragmentParser
from streamproc.model.media import FragmentStarted, MediaEvent, Packet, TrackKind
from streamproc.model.processor import ProcessorSpec
from streamproc.processor import reader
from streamproc.processor.fake import ScriptedWorld
from streamproc.processor.supervisor import Supervisor
from streamproc.settings import ProcessorsConfig, SinkConfig

RECORDINGS = {
    "output_get_media.mkv": 300,
    "output_get_media_sparse_fragments.mkv": 180,
    "output-get-media-non-increasing-timecode.mkv": 358,
}


def sampled(events: list[MediaEvent], fps: float) -> Iterator[tuple[str, float]]:
    """(fragment number, offset in seconds) of every frame to be analysed, from the packets."""
    sampler = Sampler(fps)
    for start, opening in enumerate(events):
        if not isinstance(opening, FragmentStarted):
            continue
        fragment = opening.fragment
        video = {track.number for track in fragment.tracks if track.kind is TrackKind.VIDEO}
        offsets = []
        for event in events[start + 1 :]:
            if isinstance(event, FragmentStarted):
                break
            if isinstance(event, Packet) and event.track in video:
                offsets.append(event.offset_ns / 1e9)
        for offset_s in sorted(offsets):
            assert fragment.producer_timestamp is not None
            if sampler.wants(fragment.producer_timestamp + offset_s):
                yield fragment.number, offset_s


@pytest.mark.testdata
@pytest.mark.parametrize(("file", "frames"), RECORDINGS.items())
async def test_a_recording_gives_one_record_per_sampled_frame(
    testdata: Path,
    tmp_path: Path,
    spec: ProcessorSpec,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    frames: int,
) -> None:
    monkeypatch.setattr(reader, "SILENCE_S", 0.05)
    parser = FragmentParser()
    events = parser.feed((testdata / "kvs" / file).read_bytes()) + parser.close()
    expected = list(sampled(events, 5.0))
    world = ScriptedWorld()
    await world.stream.append(*events)
    supervisor = await Supervisor.open(
        tmp_path / "processors.db",
        world,
        ProcessorsConfig(start_at="earliest"),
        SinkConfig(),
        SystemClock(),
    )
    named = replace(spec, name=file)
    await supervisor.create(named)
    await supervisor.start(named.key)
    async with asyncio.timeout(60):
        while (  # noqa: ASYNC110 (no one event tells)
            len(world.data.entries) < len(expected)
            or supervisor.describe(named.key).counters.frames_decoded_total < frames
        ):
            await asyncio.sleep(0.02)
    counters = supervisor.describe(named.key).counters
    await supervisor.aclose()

    videos = [record["InputInformation"]["KinesisVideo"] for record in world.data.records]
    found = [(video["FragmentNumber"], video["FrameOffsetInSeconds"]) for video in videos]
    assert [number for number, _ in found] == [number for number, _ in expected]
    assert [offset for _, offset in found] == pytest.approx(
        [offset for _, offset in expected], abs=0.001
    )
    starts = {
        event.fragment.number: event.fragment
        for event in events
        if isinstance(event, FragmentStarted)
    }
    for video in videos:
        fragment = starts[video["FragmentNumber"]]
        assert video["ServerTimestamp"] == fragment.server_timestamp
        assert video["ProducerTimestamp"] == fragment.producer_timestamp
    assert counters.frames_decoded_total == frames
    assert counters.fps == 5.0  # however old the recording is
    assert counters.gaps_total == 0
