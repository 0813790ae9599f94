"""What is written here is what the service writes and what others can read."""

from io import BytesIO
from pathlib import Path

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamproc.mkv.fragments import FragmentParser
from streamproc.mkv.writer import SEGMENT_HEADER, MkvWriter, aws_tags
from streamproc.model.media import FragmentStarted, Packet, Track, TrackKind
from tests.mkv.documents import AUDIO, VIDEO, chunked, collect

NUMBER = "91343852333181432392682062607743920146159169392"


def test_aws_tags_are_laid_out_as_the_service_does() -> None:
    tags = [
        ("AWS_KINESISVIDEO_FRAGMENT_NUMBER", NUMBER),
        ("AWS_KINESISVIDEO_SERVER_TIMESTAMP", "1511852109.126"),
        ("AWS_KINESISVIDEO_PRODUCER_TIMESTAMP", "1511852108.513"),
    ]
    # Sizes as recorded: Tags 235, Tag 229 without Targets, SimpleTags 91, 59 and 61.
    expected = (
        bytes.fromhex("1254C367 100000EB 7373 100000E5"),
        bytes.fromhex("67C8 1000005B 45A3 10000020"),
        b"AWS_KINESISVIDEO_FRAGMENT_NUMBER",
        bytes.fromhex("4487 1000002F"),
        NUMBER.encode(),
        bytes.fromhex("67C8 1000003B 45A3 10000021"),
        b"AWS_KINESISVIDEO_SERVER_TIMESTAMP",
        bytes.fromhex("4487 1000000E"),
        b"1511852109.126",
        bytes.fromhex("67C8 1000003D 45A3 10000023"),
        b"AWS_KINESISVIDEO_PRODUCER_TIMESTAMP",
        bytes.fromhex("4487 1000000E"),
        b"1511852108.513",
    )
    assert aws_tags(tags) == b"".join(expected)


@pytest.mark.testdata
def test_aws_tags_equal_the_recordings_own(testdata: Path) -> None:
    data = (testdata / "kvs" / "output_get_media.mkv").read_bytes()
    opening = aws_tags(
        [
            ("AWS_KINESISVIDEO_FRAGMENT_NUMBER", NUMBER),
            ("AWS_KINESISVIDEO_SERVER_TIMESTAMP", "1511852109.126"),
            ("AWS_KINESISVIDEO_PRODUCER_TIMESTAMP", "1511852108.513"),
        ]
    )
    closing = aws_tags(
        [
            ("AWS_KINESISVIDEO_MILLIS_BEHIND_NOW", "15858"),
            ("AWS_KINESISVIDEO_CONTINUATION_TOKEN", NUMBER),
        ]
    )
    assert data[916 : 916 + len(opening)] == opening
    assert data[547754 : 547754 + len(closing)] == closing
    assert data[47:59] == SEGMENT_HEADER


packets = st.lists(
    st.builds(
        Packet,
        track=st.sampled_from([1, 2]),
        offset_ns=st.integers(-32_768, 32_767).map(lambda ms: ms * 1_000_000),
        keyframe=st.booleans(),
        payload=st.binary(max_size=300),
    ),
    max_size=10,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fragments=st.lists(st.tuples(st.integers(0, 1 << 60), packets), max_size=4))
def test_what_is_written_is_read_back(fragments: list[tuple[int, list[Packet]]]) -> None:
    writer = MkvWriter()
    body = writer.header([VIDEO, AUDIO])
    for timecode_ms, sent in fragments:
        body += writer.cluster(timecode_ms)
        for packet in sent:
            rel_ms = packet.offset_ns // 1_000_000
            body += writer.block(packet.track, rel_ms, packet.keyframe, packet.payload)
        body += writer.tags([("room", "blue")])
    events, error = collect(FragmentParser(), chunked(body, 100))
    assert not error
    started = [event.fragment for event in events if isinstance(event, FragmentStarted)]
    assert [fragment.timecode_ns for fragment in started] == [
        timecode_ms * 1_000_000 for timecode_ms, _ in fragments
    ]
    assert {fragment.tracks for fragment in started} <= {(VIDEO, AUDIO)}
    assert [event for event in events if isinstance(event, Packet)] == [
        packet for _, sent in fragments for packet in sent
    ]


def test_ffmpeg_reads_what_is_written() -> None:
    track = Track(1, TrackKind.VIDEO, "V_MJPEG", b"", 64, 48, "camera")
    writer = MkvWriter()
    body = writer.header([track])
    for second in range(3):
        body += writer.cluster(1000 * second)
        body += b"".join(writer.block(1, 500 * i, True, b"payload %d" % i) for i in range(2))
        body += writer.tags([("second", str(second))])
    with av.open(BytesIO(body), "r") as container:
        (stream,) = container.streams.video
        assert (stream.codec_context.width, stream.codec_context.height) == (64, 48)
        read = [(p.pts, bytes(p), p.is_keyframe) for p in container.demux(stream) if p.size]
    assert read == [
        (500 * (2 * second + i), b"payload %d" % i, True) for second in range(3) for i in range(2)
    ]


@pytest.mark.parametrize(
    ("rel_ms", "fits"), [(-32_769, False), (-32_768, True), (32_767, True), (32_768, False)]
)
def test_a_block_beyond_the_range_of_its_cluster_is_refused(rel_ms: int, fits: bool) -> None:
    if fits:
        assert MkvWriter().block(1, rel_ms, True, b"x")
    else:
        with pytest.raises(ValueError, match=f"rel_ms {rel_ms} .* open a new Cluster"):
            MkvWriter().block(1, rel_ms, True, b"x")


def test_wrong_tracks_and_timecodes_are_refused() -> None:
    for tracks in ([], [VIDEO, VIDEO], [Track(0, TrackKind.VIDEO, "V_TEST")]):
        with pytest.raises(ValueError, match="give each its own number"):
            MkvWriter().header(tracks)
    with pytest.raises(ValueError, match="timecode_ms -1 is negative"):
        MkvWriter().cluster(-1)
