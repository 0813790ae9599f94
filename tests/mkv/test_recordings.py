"""What real recordings hold, however they are cut into pieces."""

from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamproc.mkv.fragments import FragmentParser
from streamproc.mkv.splitter import ClusterClosed, ProducerSplitter
from streamproc.model.media import (
    FragmentEnded,
    FragmentStarted,
    MediaEvent,
    Packet,
    TrackKind,
)
from tests.mkv.documents import bytewise, chunked, collect, cut_at, structure_bytewise

pytestmark = pytest.mark.testdata


class Recording(NamedTuple):
    file: str
    fragments: int
    packets: int
    complete: int


RECORDINGS = (
    Recording("output_get_media.mkv", 5, 300, 5),
    Recording("output_get_media_sparse_fragments.mkv", 3, 180, 3),
    Recording("output-get-media-non-increasing-timecode.mkv", 12, 358, 11),
    Recording("test_mixed_tags.mkv", 10, 100, 10),
    Recording("empty-mkv-with-tags.mkv", 0, 0, 0),
    Recording("test_tags_empty_cluster.mkv", 0, 0, 0),
    Recording("vogels_480.mkv", 9, 2334, 9),
)


@pytest.fixture(params=RECORDINGS, ids=lambda recording: recording.file)
def recording(request: pytest.FixtureRequest) -> Recording:
    assert isinstance(request.param, Recording)
    return request.param


@pytest.fixture
def data(testdata: Path, recording: Recording) -> bytes:
    return (testdata / "kvs" / recording.file).read_bytes()


def events_of(testdata: Path, file: str) -> list[MediaEvent]:
    events, error = collect(FragmentParser(), chunked((testdata / "kvs" / file).read_bytes()))
    assert not error
    return events


def test_every_fragment_and_packet_is_found(data: bytes, recording: Recording) -> None:
    events, error = collect(FragmentParser(), chunked(data))
    ended = [event for event in events if isinstance(event, FragmentEnded)]
    assert not error
    assert sum(isinstance(event, FragmentStarted) for event in events) == recording.fragments
    assert sum(isinstance(event, Packet) for event in events) == recording.packets
    assert sum(event.complete for event in ended) == recording.complete
    assert len(ended) == recording.fragments


def test_any_split_gives_the_same_events(data: bytes) -> None:
    whole = collect(FragmentParser(), [data])
    assert collect(FragmentParser(), chunked(data)) == whole
    assert collect(FragmentParser(), structure_bytewise(data)) == whole


def test_byte_by_byte_gives_the_same_events(data: bytes) -> None:
    start = data[:150_000]  # more than the longest document header, and many blocks
    assert collect(FragmentParser(), bytewise(start)) == collect(FragmentParser(), [start])


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(cuts=st.lists(st.integers(0, 1 << 32), max_size=200))
def test_random_cuts_give_the_same_events(data: bytes, cuts: list[int]) -> None:
    places = [cut % (len(data) + 1) for cut in cuts]
    assert collect(FragmentParser(), cut_at(data, places)) == collect(FragmentParser(), [data])


def test_numbers_timestamps_and_tokens_are_those_of_the_recording(testdata: Path) -> None:
    events = events_of(testdata, "output_get_media.mkv")
    fragments = [event.fragment for event in events if isinstance(event, FragmentStarted)]
    ended = [event for event in events if isinstance(event, FragmentEnded)]
    assert [
        (f.number, f.server_timestamp, f.producer_timestamp, f.timecode_ns) for f in fragments
    ] == [
        ("91343852333181432392682062607743920146159169392", 1511852109.126, 1511852108.513, 0),
        (
            "91343852333181432397633822764885441725874549018",
            1511852110.915,
            1511852110.513,
            2_000_000_000,
        ),
        (
            "91343852333181432402585582922026963247510532162",
            1511852112.487,
            1511852112.513,
            4_000_000_000,
        ),
        (
            "91343852333181432407537343079168484595829378270",
            1511852113.414,
            1511852114.513,
            6_000_000_000,
        ),
        (
            "91343852333181432412489103236310005892133364608",
            1511852114.147,
            1511852116.513,
            8_000_000_000,
        ),
    ]
    assert [end.millis_behind_now for end in ended] == [15858, 14155, 12940, 12414, 12093]
    assert [end.continuation_token for end in ended] == [f.number for f in fragments]
    assert ("COMPATIBLE_BRANDS", "isomavc1mp42") in fragments[4].tags


def test_blocks_carry_their_offset_and_open_on_a_keyframe(testdata: Path) -> None:
    events = events_of(testdata, "output_get_media.mkv")
    first = [event for event in events[1:61] if isinstance(event, Packet)]
    assert len(first) == 60
    assert [packet.keyframe for packet in first] == [True] + [False] * 59
    assert first[0].offset_ns == 0
    assert first[-1].offset_ns == 1_967_000_000
    assert first[0].payload[4] & 31 == 9  # behind its 4-byte length, an access unit delimiter


def test_the_track_is_described(testdata: Path) -> None:
    event = events_of(testdata, "output_get_media.mkv")[0]
    assert isinstance(event, FragmentStarted)
    (track,) = event.fragment.tracks
    assert (track.number, track.kind, track.codec_id) == (1, TrackKind.VIDEO, "V_MPEG4/ISO/AVC")
    assert (track.width, track.height) == (640, 360)
    assert len(track.codec_private) == 54
    assert track.codec_private.startswith(bytes.fromhex("014d401e03010027"))


def test_timecodes_may_restart_and_the_last_fragment_may_be_cut(testdata: Path) -> None:
    events = events_of(testdata, "output-get-media-non-increasing-timecode.mkv")
    fragments = [event.fragment for event in events if isinstance(event, FragmentStarted)]
    assert [fragment.timecode_ns // 1_000_000 for fragment in fragments][:4] == [
        10014,
        0,
        1001,
        2003,
    ]
    assert fragments[0].producer_timestamp == 1517530105.907
    assert fragments[1].producer_timestamp == 1517530112.387
    assert [int(f.number) for f in fragments] == sorted(int(f.number) for f in fragments)
    ended = [event for event in events if isinstance(event, FragmentEnded)]
    assert len(ended[0].tags) == 54
    assert ended[-1] == FragmentEnded(fragments[-1].number, complete=False)


def test_producer_tags_belong_to_the_document_they_stand_in(testdata: Path) -> None:
    events = events_of(testdata, "test_mixed_tags.mkv")
    tags = tuple((f"testTag_{i}", f"testTag_{i}_Value") for i in range(5))
    fragments = [event.fragment for event in events if isinstance(event, FragmentStarted)]
    assert [fragment.tags for fragment in fragments] == [tags] + [()] * 9
    assert [event.tags for event in events if isinstance(event, FragmentEnded)] == [tags] * 10
    assert [fragment.producer_timestamp for fragment in fragments] == [5.0 * i for i in range(10)]
    assert [fragment.timecode_ns for fragment in fragments] == [5 * 10**9 * i for i in range(10)]
    (track,) = fragments[0].tracks
    assert (track.name, track.codec_id) == ("test track", "V_MS/VFW/FOURCC")  # NUL-padded there
    packets = [event for event in events if isinstance(event, Packet)]
    assert {len(packet.payload) for packet in packets} == {100}
    assert max(packet.offset_ns for packet in packets) == 4_500_000_000


def test_a_producer_recording_has_fragments_without_numbers(testdata: Path) -> None:
    events = events_of(testdata, "vogels_480.mkv")
    fragments = [event.fragment for event in events if isinstance(event, FragmentStarted)]
    assert {(f.number, f.server_timestamp, f.producer_timestamp) for f in fragments} == {
        ("", None, None)
    }
    assert [track.kind for track in fragments[0].tracks] == [TrackKind.VIDEO, TrackKind.AUDIO]
    video = [event for event in events if isinstance(event, Packet) and event.track == 1]
    assert len(video) == 909


def test_a_producer_recording_can_be_put(testdata: Path) -> None:
    data = (testdata / "kvs" / "vogels_480.mkv").read_bytes()
    whole, error = collect(ProducerSplitter(), chunked(data))
    assert not error
    assert sum(isinstance(piece, ClusterClosed) for piece in whole) == 9
