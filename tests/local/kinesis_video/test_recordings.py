"""Real recordings pass through unchanged."""

import re
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from streamproc.local.kinesis_video.documents import closing, opening
from streamproc.mkv.fragments import FragmentParser
from streamproc.model.media import FragmentEnded, FragmentStarted
from tests.local.kinesis_video.support import VideoService, clusters_of, events_of, header_of

EBML = re.compile(b"\x1a\x45\xdf\xa3", re.DOTALL)


class Recorded(NamedTuple):
    """One whole document of a GetMedia recording, taken apart."""

    header: bytes  # the producer's
    number: str
    server_ms: int
    producer_ms: int
    timecode_ms: int
    media: bytes  # Cluster and what the producer sent behind it
    behind_ms: int


def recorded(file: Path) -> list[Recorded]:
    body = file.read_bytes()
    starts = [match.start() for match in re.finditer(EBML, body)]
    found = []
    for start, end in pairwise([*starts, len(body)]):
        document = body[start:end]
        events = FragmentParser().feed(document)
        first, last = events[0], events[-1]
        if not (isinstance(first, FragmentStarted) and isinstance(last, FragmentEnded)):
            continue  # the recording was cut here
        fragment = first.fragment
        assert fragment.server_timestamp is not None
        assert fragment.producer_timestamp is not None
        assert last.millis_behind_now is not None
        server_ms = round(fragment.server_timestamp * 1000)
        producer_ms = round(fragment.producer_timestamp * 1000)
        tags = opening(b"", fragment.number, server_ms, producer_ms)
        header, found_tags, rest = document.partition(tags)
        assert found_tags, "our tags are not the service's, byte for byte"
        behind = closing(fragment.number, last.millis_behind_now)
        assert rest.endswith(behind)
        media = rest.removesuffix(behind)
        timecode_ms = fragment.timecode_ns // 1_000_000
        found.append(
            Recorded(
                header,
                fragment.number,
                server_ms,
                producer_ms,
                timecode_ms,
                media,
                last.millis_behind_now,
            )
        )
    return found


@pytest.mark.parametrize(
    ("name", "documents", "sessions"),
    [
        ("output_get_media.mkv", 5, 1),
        ("output-get-media-non-increasing-timecode.mkv", 11, 2),
        ("test_mixed_tags.mkv", 10, 1),
    ],
)
async def test_what_the_service_once_sent_comes_out_again(
    video: VideoService, testdata: Path, name: str, documents: int, sessions: int
) -> None:
    """Pushed again as its producer did, a recording gives the same documents but for numbers,
    server timestamps and the time of reading."""
    recording = recorded(testdata / "kvs" / name)
    assert len(recording) == documents
    await video.create()
    pushed = 0
    session: list[Recorded] = []
    for document, following in pairwise([*recording, None]):
        assert document is not None
        session.append(document)
        if following is None or following.timecode_ms <= document.timecode_ms:
            start_ms = session[0].producer_ms - session[0].timecode_ms
            await video.push(
                session[0].header,
                *(one.media for one in session),
                x_amzn_producer_start_timestamp=f"{start_ms / 1000:.3f}",
            )
            session, pushed = [], pushed + 1
    assert pushed == sessions
    numbers = [fragment["FragmentNumber"] for fragment in await video.list_fragments()]
    events = events_of(await video.media_of(numbers))
    again = [event.fragment for event in events if isinstance(event, FragmentStarted)]
    assert [round((each.producer_timestamp or 0) * 1000) for each in again] == [
        document.producer_ms for document in recording
    ]
    async with video.follow(start="EARLIEST") as follower:
        ends = [await follower.ended() for _ in recording]
    expected = b"".join(
        opening(
            document.header if name != "test_mixed_tags.mkv" else recording[0].header,
            fragment.number,
            round((fragment.server_timestamp or 0) * 1000),
            document.producer_ms,
        )
        + document.media
        + closing(fragment.number, end.millis_behind_now or 0)
        for document, fragment, end in zip(recording, again, ends, strict=True)
    )
    assert follower.raw == expected


async def test_a_producers_own_recording_keeps_every_byte(
    video: VideoService, testdata: Path
) -> None:
    """FFmpeg's Clusters have a size, and audio beside the video."""
    recording = (testdata / "kvs" / "vogels_480.mkv").read_bytes()
    await video.create()
    numbers = await video.push(recording)
    clusters = clusters_of(recording)
    assert len(numbers) == len(clusters) > 1
    async with video.follow(start="EARLIEST") as follower:
        assert await follower.numbers(len(numbers)) == numbers
    header = header_of(recording)
    assert follower.raw.count(header) == len(numbers)
    assert all(follower.raw.count(cluster) == 1 for cluster in clusters)
