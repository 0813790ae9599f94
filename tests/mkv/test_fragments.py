"""What FragmentParser promises its consumers, on documents written here."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamproc.errors import MkvError
from streamproc.mkv.ebml import Id, element, id_bytes, size_bytes, uint_bytes
from streamproc.mkv.fragments import FragmentParser
from streamproc.mkv.writer import SEGMENT_HEADER, MkvWriter, aws_tags
from streamproc.model.media import (
    Fragment,
    FragmentEnded,
    FragmentFailed,
    FragmentStarted,
    MediaEvent,
    Packet,
)
from tests.mkv.documents import (
    AUDIO,
    BLOCKS,
    VIDEO,
    bytewise,
    closing_tags,
    collect,
    cut_at,
    get_media_body,
    get_media_document,
    header,
    number_of,
    open_cluster,
    opening_tags,
    sdk_body,
    sized_cluster,
)

PACKETS = [
    Packet(track, offset_ms * 1_000_000, keyframe, payload)
    for track, offset_ms, keyframe, payload in BLOCKS
]
CLUSTERS = pytest.mark.parametrize(
    "cluster", [open_cluster(), sized_cluster()], ids=["open", "sized"]
)


def parse(*pieces: bytes) -> list[MediaEvent]:
    events, error = collect(FragmentParser(), pieces)
    assert not error
    return events


def ends(events: list[MediaEvent]) -> list[FragmentEnded]:
    return [event for event in events if isinstance(event, FragmentEnded)]


def fragments(events: list[MediaEvent]) -> list[Fragment]:
    return [event.fragment for event in events if isinstance(event, FragmentStarted)]


def test_a_get_media_body_becomes_fragments_and_packets() -> None:
    assert parse(get_media_body()) == [
        FragmentStarted(
            Fragment(
                number=number_of(1),
                server_timestamp=1511852101.126,
                producer_timestamp=2.5,
                timecode_ns=2_000_000_000,
                tracks=(VIDEO,),
                tags=(("door", "front"),),
            )
        ),
        *PACKETS,
        FragmentEnded(number_of(1), True, 15858, number_of(1), (("seen", "cat"),)),
        FragmentStarted(
            Fragment(number_of(2), 1511852102.126, 4.5, 4_000_000_000, (VIDEO,)),
        ),
        *PACKETS,
        FragmentEnded(number_of(2), True, 15858, number_of(2)),
    ]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cuts=st.lists(st.integers(0, len(get_media_body()))))
def test_any_split_gives_the_same_events(cuts: list[int]) -> None:
    body = get_media_body()
    assert parse(*cut_at(body, cuts)) == parse(body)


@pytest.mark.parametrize("body", [get_media_body(), sdk_body()], ids=["service", "producer"])
def test_byte_by_byte_gives_the_same_events(body: bytes) -> None:
    assert parse(*bytewise(body)) == parse(body)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_kind_of_buffer_may_be_fed_and_reused(kind: type) -> None:
    body = bytearray(get_media_body())
    parser = FragmentParser()
    events = parser.feed(kind(body))
    body[:] = bytes(len(body))
    assert events == parse(get_media_body())


def test_a_fragment_starts_at_its_timecode_and_a_packet_leaves_with_its_last_byte() -> None:
    writer = MkvWriter()
    parser = FragmentParser()
    assert parser.feed(header() + opening_tags(1)) == []
    (started,) = parser.feed(writer.cluster(40))
    assert isinstance(started, FragmentStarted)
    block = writer.block(*BLOCKS[0])
    assert parser.feed(block[:-1]) == []
    assert parser.feed(block[-1:]) == [PACKETS[0]]


def test_closing_tags_end_the_fragment_without_the_next_document() -> None:
    parser = FragmentParser()
    parser.feed(header() + opening_tags(1) + open_cluster())
    assert parser.feed(closing_tags(1)) == [FragmentEnded(number_of(1), True, 15858, number_of(1))]
    assert parser.close() == []


@CLUSTERS
def test_without_any_closing_tags_the_next_document_completes_a_fragment(cluster: bytes) -> None:
    body = header() + opening_tags(1) + cluster + header() + opening_tags(2) + cluster
    first, last = ends(parse(body))
    assert first == FragmentEnded(number_of(1), complete=True)
    assert last.complete is (cluster == sized_cluster())  # only a stated size proves the end


def test_an_open_cluster_without_the_usual_closing_tags_was_given_up() -> None:
    given_up = header() + opening_tags(2) + open_cluster()
    body = get_media_document(1, open_cluster()) + given_up + get_media_document(3, open_cluster())
    assert [end.complete for end in ends(parse(body))] == [True, False, True]


def test_a_sized_cluster_is_whole_even_where_the_stream_is_cut_behind_it() -> None:
    cut = header() + opening_tags(2) + sized_cluster()
    body = get_media_document(1, open_cluster()) + cut
    assert [end.complete for end in ends(parse(body))] == [True, True]
    assert [end.complete for end in ends(parse(body + closing_tags(2)[:9]))] == [True, True]


@CLUSTERS
def test_the_end_of_the_input_inside_a_cluster_cuts_the_fragment(cluster: bytes) -> None:
    *_, end = parse((header() + opening_tags(1) + cluster)[:-1])
    assert end == FragmentEnded(number_of(1), complete=False)


def test_an_element_behind_an_open_cluster_shows_that_it_is_whole() -> None:
    body = header() + opening_tags(1) + open_cluster() + element(Id.CUES, b"")
    assert ends(parse(body)) == [FragmentEnded(number_of(1), complete=True)]


def test_every_cluster_of_a_producers_recording_is_a_fragment() -> None:
    events = parse(sdk_body())
    assert [(f.number, f.timecode_ns, f.producer_timestamp) for f in fragments(events)] == [
        ("", 0, None),
        ("", 2_000_000_000, None),
    ]
    assert [event for event in events if isinstance(event, Packet)] == PACKETS * 2
    assert [fragment.tags for fragment in fragments(events)] == [(("zone", "7"),)] * 2
    assert [end.complete for end in ends(events)] == [True, True]
    assert ends(events)[0].tags == (("zone", "8"),)


def test_a_recording_that_just_stops_leaves_its_last_open_cluster_incomplete() -> None:
    events = parse(header() + open_cluster(0) + open_cluster(2000))
    assert [end.complete for end in ends(events)] == [True, False]


def test_a_merged_document_keeps_each_fragments_tags() -> None:
    merged = header() + aws_tags([("site", "north")])
    for index in (1, 2, 3):
        merged += opening_tags(index) + open_cluster() + closing_tags(index)
    events = parse(merged)
    assert [fragment.number for fragment in fragments(events)] == [number_of(i) for i in (1, 2, 3)]
    assert [end.continuation_token for end in ends(events)] == [number_of(i) for i in (1, 2, 3)]
    assert {fragment.tags for fragment in fragments(events)} == {(("site", "north"),)}


def test_a_merged_document_without_closing_tags_completes_each_at_the_next_tags() -> None:
    merged = header() + b"".join(opening_tags(i) + open_cluster() for i in (1, 2))
    assert [(end.number, end.complete) for end in ends(parse(merged))] == [
        (number_of(1), True),
        (number_of(2), False),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        header(),
        header() + opening_tags(1),
        header() + opening_tags(1) + element(Id.CLUSTER),
        header() + opening_tags(1) + id_bytes(Id.CLUSTER) + b"\xff" + closing_tags(1),
        header() + aws_tags([("only", "tags")]) + element(Id.VOID, bytes(5)),
    ],
)
def test_documents_without_media_say_nothing(body: bytes) -> None:
    assert parse(body) == []


def error_document(*pairs: tuple[str, str]) -> bytes:
    names = [(f"AWS_KINESISVIDEO_{name}", value) for name, value in pairs]
    ebml = element(Id.EBML, element(Id.DOC_TYPE, b"matroska"))
    return ebml + SEGMENT_HEADER + aws_tags(names)


@pytest.mark.parametrize(
    ("tags", "failed"),
    [
        (
            [("ERROR_CODE", "FRAGMENT_NOT_FOUND"), ("ERROR_ID", "3000"), ("FRAGMENT_NUMBER", "91")],
            FragmentFailed("91", 3000, "FRAGMENT_NOT_FOUND"),
        ),
        ([("ERROR_ID", "5000")], FragmentFailed("", 5000, "")),
        (
            [("EXCEPTION_ERROR_CODE", "STREAM_READ_ERROR"), ("ERROR_ID", "soon")],
            FragmentFailed("", None, "STREAM_READ_ERROR"),
        ),
        (  # more digits than Python turns into a number
            [("ERROR_CODE", "INTERNAL_ERROR"), ("ERROR_ID", "5" * 5000)],
            FragmentFailed("", None, "INTERNAL_ERROR"),
        ),
        ([("EXCEPTION_MESSAGE", "gone")], FragmentFailed("", None, "gone")),
    ],
)
def test_an_error_document_is_a_failed_fragment(
    tags: list[tuple[str, str]], failed: FragmentFailed
) -> None:
    body = get_media_document(1, open_cluster()) + error_document(*tags)
    assert parse(body)[-2:] == [ends(parse(body))[0], failed]


def test_an_error_document_ends_the_fragment_before_it() -> None:
    body = get_media_document(1, open_cluster()) + header() + opening_tags(2) + open_cluster()
    *_, end, failed = parse(body + error_document(("ERROR_ID", "4500")))
    assert end == FragmentEnded(number_of(2), complete=False)
    assert failed == FragmentFailed("", 4500, "")


def test_the_archives_longer_tag_names_are_understood() -> None:
    tags = aws_tags(
        [
            ("AWS_KINESISVIDEO_FRAGMENT_NUMBER", "91"),
            ("AWS_KINESISVIDEO_SERVER_SIDE_TIMESTAMP", "5.000"),
            ("AWS_KINESISVIDEO_PRODUCER_SIDE_TIMESTAMP", "4.999"),
        ]
    )
    (fragment,) = fragments(parse(header() + tags + open_cluster()))
    assert (fragment.server_timestamp, fragment.producer_timestamp) == (5.0, 4.999)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FRAGMENT_NUMBER", "0x12"),
        ("FRAGMENT_NUMBER", "9" * 129),
        ("SERVER_TIMESTAMP", "nan"),
        ("PRODUCER_TIMESTAMP", "1e3"),
        ("MILLIS_BEHIND_NOW", "1_000"),
    ],
)
def test_a_service_tag_of_another_form_is_refused(name: str, value: str) -> None:
    with pytest.raises(MkvError, match=f"AWS_KINESISVIDEO_{name} is '{value}'"):
        FragmentParser().feed(header() + aws_tags([(f"AWS_KINESISVIDEO_{name}", value)]))


def test_tracks_may_change_with_the_document() -> None:
    second = header(AUDIO) + opening_tags(2) + open_cluster()
    events = parse(get_media_document(1, open_cluster()) + second)
    assert [fragment.tracks for fragment in fragments(events)] == [(VIDEO,), (AUDIO,)]


def test_the_time_scale_of_the_document_counts() -> None:
    info = element(Id.INFO, element(Id.TIMECODE_SCALE, uint_bytes(100_000)))
    events = parse(header() + info + opening_tags(1) + open_cluster(30))
    assert fragments(events)[0].timecode_ns == 3_000_000
    assert events[2] == Packet(1, 3_300_000, False, b"delta")
    empty = element(Id.INFO, element(Id.TIMECODE_SCALE))  # an empty element has its default
    assert fragments(parse(header() + empty + open_cluster(30)))[0].timecode_ns == 30_000_000


def test_a_timecode_of_no_bytes_is_zero() -> None:
    (fragment,) = fragments(parse(header() + element(Id.CLUSTER, element(Id.TIMECODE))))
    assert fragment.timecode_ns == 0


def test_a_block_of_a_group_is_a_keyframe_if_it_refers_to_none() -> None:
    block = element(Id.BLOCK, b"\x81\x00\x07\x00", b"data")
    groups = element(Id.BLOCK_GROUP, block) + element(
        Id.BLOCK_GROUP, block, element(Id.REFERENCE_BLOCK, b"\xff")
    )
    cluster = element(Id.CLUSTER, element(Id.TIMECODE, b"\0"), groups, element(Id.BLOCK_GROUP))
    assert parse(header() + cluster)[1:3] == [
        Packet(1, 7_000_000, True, b"data"),
        Packet(1, 7_000_000, False, b"data"),
    ]


def test_a_laced_block_is_several_packets() -> None:
    laced = element(Id.SIMPLE_BLOCK, b"\x82\x00\x05\x84", b"\x01", b"abcdef")
    assert parse(header() + MkvWriter().cluster(0) + laced)[1:3] == [
        Packet(2, 5_000_000, True, b"abc"),
        Packet(2, 5_000_000, True, b"def"),
    ]


def test_void_and_crc_may_stand_anywhere() -> None:
    void, crc = element(Id.VOID, bytes(9)), element(Id.CRC_32, bytes(4))
    writer = MkvWriter()
    opening = header()
    at = opening.index(id_bytes(Id.INFO))
    body = void + opening[:at] + crc + void + opening[at:] + void + opening_tags(1)
    body += writer.cluster(0) + void + writer.block(*BLOCKS[0]) + void + crc + closing_tags(1)
    assert [type(event) for event in parse(body)] == [FragmentStarted, Packet, FragmentEnded]


@pytest.mark.parametrize("length", range(1, 9))
def test_an_unknown_size_may_have_any_width(length: int) -> None:
    unknown = ((1 << 7 * length + 1) - 1).to_bytes(length, "big")
    opening = header().replace(SEGMENT_HEADER, id_bytes(Id.SEGMENT) + unknown)
    cluster = id_bytes(Id.CLUSTER) + unknown + open_cluster()[12:]
    assert [type(e) for e in parse(opening + cluster + closing_tags(1))] == [
        FragmentStarted,
        *[Packet] * 3,
        FragmentEnded,
    ]


def test_a_sized_segment_ends_an_open_cluster_and_its_fragment() -> None:
    opening = header()
    at = opening.index(SEGMENT_HEADER)
    content = opening[at + 12 :] + open_cluster()
    document = opening[:at] + element(Id.SEGMENT, content)
    parser = FragmentParser()
    assert parser.feed(document)[-1] == FragmentEnded("", complete=True)
    assert parser.feed(document)[-1] == FragmentEnded("", complete=True)


def test_what_stood_before_a_break_is_told_first_and_then_every_call_refuses() -> None:
    parser = FragmentParser()
    body = get_media_document(1, open_cluster()) + header() + opening_tags(2) + open_cluster()
    events = parser.feed(body + b"\x00 no element")
    assert events[:-1] == parse(body)[:-1]
    assert events[-1] == FragmentEnded(number_of(2), complete=False)
    message = f"Byte {len(body)} is 0x00, which opens no Matroska element"
    with pytest.raises(MkvError, match=message):
        parser.feed(b"")
    with pytest.raises(MkvError, match=message):
        parser.feed(header())
    with pytest.raises(MkvError, match=message):
        parser.close()


def test_close_is_final() -> None:
    parser = FragmentParser()
    parser.feed(header() + open_cluster())
    assert parser.close() == [FragmentEnded("", complete=False)]
    assert parser.close() == []
    with pytest.raises(ValueError, match="after close"):
        parser.feed(b"")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>", "claims|stands outside|opens no"),
        (b'{"Message": "no"}', "stands outside of a Segment"),
        (element(Id.EBML, element(Id.DOC_TYPE, b"mp4")), "DocType is 'mp4'"),
        (element(Id.EBML, element(Id.EBML_MAX_ID_LENGTH, b"\5")), "EBMLMaxIDLength is 5"),
        (element(Id.EBML, element(Id.EBML_MAX_SIZE_LENGTH, b"\x09")), "EBMLMaxSizeLength is 9"),
        (header() + element(Id.INFO, element(Id.TIMECODE_SCALE, b"\0")), "TimecodeScale is 0"),
        (header() + element(Id.TRACKS, element(Id.TRACK_ENTRY)), "no TrackNumber"),
        (header() + element(Id.TAGS, b"\x73\x73\x90abc"), "claims 16 bytes, but its parent ends"),
        (header() + element(Id.TAGS, b"\x73\x73\xffabc"), "claims an unknown size"),
        (header() + element(Id.TAGS, b"\x73"), "cut by its parent's end"),
        (header() + id_bytes(Id.TAGS) + b"\xff", "has an unknown size, which only"),
        (header() + b"\x08\x80", "opens no Matroska element"),
        (header() + b"\xec\x00", "size of more than 8 bytes"),
        (header() + element(Id.CLUSTER, element(Id.TIMECODE, bytes(9))), "has 9 bytes; 8 are"),
        (header() + MkvWriter().cluster(0) + element(Id.TIMECODE, b"\1"), "A second Timecode"),
        (header() + element(Id.CLUSTER, MkvWriter().block(*BLOCKS[0])), "precedes its Cluster's"),
        (header() + element(Id.CLUSTER, b"\xa3\x89"), "but its parent 0x1F43B675 ends at"),
        (header() + element(Id.CLUSTER, opening_tags(1)), "cannot be inside 0x1F43B675"),
        (header() + MkvWriter().cluster(0) + element(Id.SIMPLE_BLOCK, b"\x81\0\0"), "no room"),
        (header() + MkvWriter().cluster(0) + element(Id.SIMPLE_BLOCK), "no room for a head"),
    ],
)
def test_broken_structure_is_named_with_its_place(body: bytes, message: str) -> None:
    for pieces in ([body], bytewise(body)):
        _, error = collect(FragmentParser(), pieces)
        assert error, "no MkvError"
        with pytest.raises(MkvError, match=message):
            raise MkvError(error)
        assert any(letter.isdigit() for letter in error)


def test_an_element_too_large_to_hold_is_refused_by_its_claim_alone() -> None:
    opening = header() + MkvWriter().cluster(0)
    claim = id_bytes(Id.SIMPLE_BLOCK) + size_bytes(1005) + b"\x81\0\0\x80"
    events, error = collect(FragmentParser(element_bytes_max=1000), [opening, claim])
    assert [type(event) for event in events] == [FragmentStarted, FragmentEnded]
    assert f"Element 0xA3 at byte {len(opening)} has 1005 bytes, above" in error
    assert "element_bytes_max 1000" in error
