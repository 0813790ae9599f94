"""A region has only so many video streams, and the error is the one that clients know."""

import asyncio
from pathlib import Path

import pytest

from streamproc.clock import FakeClock
from streamproc.local.kinesis_video import VideoStreams
from streamproc.local.kinesis_video.store import StreamExists, TooManyStreams
from streamproc.settings import VideoConfig
from tests.local.kinesis_video.support import VideoService


async def test_a_region_has_only_so_many_streams(tmp_path: Path) -> None:
    config = VideoConfig(streams_max=2)
    streams = await VideoStreams.open(tmp_path, config, "111122223333", FakeClock())
    first = await streams.create("eu-west-1", "a", 0, {})
    await streams.create("eu-west-1", "b", 0, {})
    with pytest.raises(TooManyStreams, match=r"2 streams, as many as may be \(video.streams_max\)"):
        await streams.create("eu-west-1", "c", 0, {})
    with pytest.raises(StreamExists):
        await streams.create("eu-west-1", "a", 0, {})
    await streams.create("us-east-1", "c", 0, {})
    await streams.delete(first, None)
    await streams.create("eu-west-1", "c", 0, {})
    assert streams.names("eu-west-1") == ["b", "c"]
    await streams.aclose()


async def test_one_too_many_is_told_as_the_service_does(video: VideoService) -> None:
    video.streams.config = VideoConfig(streams_max=1)
    control = video.client("kinesisvideo")
    await asyncio.to_thread(control.create_stream, StreamName="a")
    with pytest.raises(control.exceptions.AccountStreamLimitExceededException):
        await asyncio.to_thread(control.create_stream, StreamName="b")
