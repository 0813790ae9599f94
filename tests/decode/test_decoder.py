"""The decoder against FFmpeg's own reading of the same film as a whole file."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from streamproc.decode.decoder import BREAK, Picture, VideoDecoder
from streamproc.errors import MediaError, UnsupportedCodec
from streamproc.mkv.fragments import FragmentParser
from streamproc.model.media import (
    FragmentEnded,
    FragmentFailed,
    FragmentStarted,
    MediaEvent,
    Packet,
    Track,
    TrackKind,
)
from tests.decode.clips import (
    Shown,
    checksum,
    film,
    fragments,
    in_annex_b,
)

START_S = 1_700_000_000.0


def decoding(events: Iterable[MediaEvent], decoder: VideoDecoder) -> Iterator[Picture]:
    for event in events:
        yield from decoder.feed(event)
    yield from decoder.flush()


def decode(events: Iterable[MediaEvent], decoder: VideoDecoder | None = None) -> list[Picture]:
    return list(decoding(events, decoder or VideoDecoder()))


def shown(pictures: Iterable[Picture], start_s: float = START_S) -> tuple[Shown, ...]:
    return tuple(
        (round((picture.timestamp - start_s) * 1000), checksum(picture.image()))
        for picture in pictures
    )


@pytest.mark.parametrize("encoder", ["libx264", "libx265"])
@pytest.mark.parametrize("b_frames", [0, 2])
class TestEveryFrame:
    def test_is_shown_as_from_the_whole_file(self, encoder: str, b_frames: int) -> None:
        clip = film(encoder, b_frames=b_frames)
        decoder = VideoDecoder()
        assert shown(decode(fragments(clip), decoder)) == clip.shown
        assert decoder.frames_total == len(clip.shown)
        assert decoder.corrupt_total == decoder.undecodable_total == decoder.skipped_total == 0

    def test_is_shown_even_if_fragments_begin_between_keyframes(
        self, encoder: str, b_frames: int
    ) -> None:
        clip = film(encoder, b_frames=b_frames)
        assert shown(decode(fragments(clip, every=7))) == clip.shown
        untagged = fragments(clip, every=7, producer_s=None)
        assert shown(decode(untagged), start_s=0) == clip.shown

    def test_belongs_to_its_own_fragment(self, encoder: str, b_frames: int) -> None:
        clip = film(encoder, b_frames=b_frames)
        for picture in decode(fragments(clip)):
            producer_timestamp = picture.fragment.producer_timestamp
            assert producer_timestamp is not None
            assert 0 <= picture.offset_s < 0.4  # keyframes are 10 frames, 0.4 s, apart
            assert picture.timestamp == producer_timestamp + picture.offset_s

    @pytest.mark.parametrize("sets", ["in CodecPrivate", "in band", "as a record"])
    @pytest.mark.parametrize("short_codes", [False, True])
    def test_is_shown_behind_start_codes(
        self, encoder: str, b_frames: int, sets: str, short_codes: bool
    ) -> None:
        clip = film(encoder, b_frames=b_frames)
        other = in_annex_b(clip, short_codes=short_codes, in_band=sets == "in band")
        if sets == "as a record":
            other = replace(other, track=clip.track)
        assert shown(decode(fragments(other))) == clip.shown

    def test_is_shown_behind_lengths_if_parameter_sets_are_annex_b(
        self, encoder: str, b_frames: int
    ) -> None:
        clip = film(encoder, b_frames=b_frames)
        private = in_annex_b(clip).track.codec_private
        other = replace(clip, track=replace(clip.track, codec_private=private))
        assert shown(decode(fragments(other))) == clip.shown


def test_a_frame_without_reordering_is_there_at_once() -> None:
    decoder = VideoDecoder()
    for event in fragments(film()):
        pictures = list(decoder.feed(event))
        assert len(pictures) == isinstance(event, Packet)


def test_last_frames_of_a_reordered_fragment_come_with_the_next() -> None:
    decoder = VideoDecoder()
    clip = film(b_frames=2)
    late = [
        picture.fragment.number
        for event in fragments(clip)
        for picture in decoder.feed(event)
        if isinstance(event, Packet) and event.keyframe
    ]
    numbers = [e.fragment.number for e in fragments(clip) if isinstance(e, FragmentStarted)]
    assert late
    assert set(late) <= set(numbers[:-1])
    assert {picture.fragment.number for picture in decoder.flush()} == {numbers[-1]}


def test_timecodes_may_start_again_from_one_fragment_to_the_next() -> None:
    clip = film(b_frames=2)
    second = fragments(clip, sequence=1001, producer_s=START_S + 1000)
    pictures = decode([*fragments(clip), *second])
    assert shown(pictures[: len(clip.shown)]) == clip.shown
    assert shown(pictures[len(clip.shown) :], START_S + 1000) == clip.shown


def test_another_resolution_loses_no_frame() -> None:
    small, large = film(b_frames=2), film(b_frames=2, size=(320, 240))
    later = fragments(large, sequence=5, producer_s=START_S + 1.6)
    pictures = decode([*fragments(small), *later])
    assert shown(pictures[:40]) == small.shown
    assert shown(pictures[40:], START_S + 1.6) == large.shown
    assert {(p.width, p.height) for p in pictures[40:]} == {(320, 240)}


def test_another_resolution_in_band_loses_no_frame() -> None:
    small = in_annex_b(film(), in_band=True)
    large = in_annex_b(film(size=(320, 240)), in_band=True)
    later = fragments(large, sequence=5, producer_s=START_S + 1.6)
    pictures = decode([*fragments(small), *later])
    assert [(p.width, p.height) for p in pictures] == [(160, 120)] * 40 + [(320, 240)] * 40


def test_another_codec_loses_no_frame() -> None:
    first, second = film(b_frames=2), film("libx265", b_frames=2)
    later = fragments(second, sequence=5, producer_s=START_S + 1.6)
    pictures = decode([*fragments(first), *later])
    assert shown(pictures[:40]) == first.shown
    assert shown(pictures[40:], START_S + 1.6) == second.shown


def test_decoding_begins_at_a_keyframe() -> None:
    clip = film()
    decoder = VideoDecoder()
    pictures = decode(fragments(replace(clip, packets=clip.packets[3:]), every=50), decoder)
    assert shown(pictures, START_S) == clip.shown[10:]
    assert decoder.skipped_total == 7


def test_a_producer_that_flags_no_keyframe_is_read_all_the_same() -> None:
    for encoder in ("libx264", "libx265"):
        clip = film(encoder)
        packets = tuple(replace(packet, keyframe=False) for packet in clip.packets[3:])
        for unflagged in (replace(clip, packets=packets), in_annex_b(clip, in_band=True)):
            coded = replace(
                unflagged, packets=tuple(replace(p, keyframe=False) for p in unflagged.packets)
            )
            pictures = decode(fragments(coded, every=50))
            assert shown(pictures) == clip.shown[-len(pictures) :]
            assert len(pictures) in {30, 40}


@pytest.mark.parametrize("end", [FragmentEnded("1", complete=False), FragmentFailed("1", 3002, "")])
def test_after_a_lost_end_decoding_waits_for_a_keyframe(end: MediaEvent) -> None:
    clip = film(b_frames=2)
    events = list(fragments(clip, every=50))
    broken = [*events[:8], end, *events[12:]]  # packets 7 to 10 are lost, keyframe 10 with them
    pictures = shown(decode(broken))
    assert pictures[:7] == tuple(sorted(pictures[:7]))
    assert set(pictures[:7]) <= set(clip.shown)  # nothing that the codec held is lost
    assert pictures[7:] == clip.shown[20:]


@pytest.mark.parametrize("tagged", [True, False])
def test_a_missing_fragment_is_noticed(tagged: bool) -> None:
    clip = film(frames=100, keyframe_every=50)
    events = list(fragments(clip, every=30, producer_s=START_S if tagged else None))
    numbers = [index for index, event in enumerate(events) if isinstance(event, FragmentStarted)]
    gap = numbers[1], numbers[2]
    # Without fragment numbers only the clock tells: move what follows by 3 s.
    rest = events[gap[1] :] if tagged else list(map(_moved_3_s, events[gap[1] :]))
    decoder = VideoDecoder()
    pictures = shown(decode([*events[: gap[0]], *rest], decoder), START_S if tagged else 0)
    assert pictures[:30] == clip.shown[:30]
    assert decoder.skipped_total == 40  # frames 60 to 99 lean on the lost keyframe 50
    assert pictures[30:] == ()


def _moved_3_s(event: MediaEvent) -> MediaEvent:
    if not isinstance(event, FragmentStarted):
        return event
    timecode_ns = event.fragment.timecode_ns + 3_000_000_000
    return FragmentStarted(replace(event.fragment, timecode_ns=timecode_ns))


@pytest.mark.parametrize("encoder", ["libx264", "libx265"])
@pytest.mark.parametrize("flagged", [True, False])
def test_whether_decoding_may_begin_is_seen_in_the_packet_not_in_its_flag(
    encoder: str, flagged: bool
) -> None:
    clip = film(encoder, b_frames=2)
    decoder = VideoDecoder()
    for event in fragments(clip):
        if isinstance(event, Packet):
            assert decoder.opens(replace(event, keyframe=flagged)) == event.keyframe
            assert not decoder.opens(replace(event, track=2))
            assert not decoder.opens(replace(event, payload=b""))
            assert not VideoDecoder().opens(event)  # knows no track yet
        decoder.feed(event)


@pytest.mark.parametrize("encoder", ["libx264", "libx265"])
@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("flagged", [True, False])
def test_keyframes_alone_are_there_at_once(encoder: str, b_frames: int, flagged: bool) -> None:
    clip = film(encoder, b_frames=b_frames)
    decoder = VideoDecoder()
    pictures = []
    for event in fragments(clip):
        if not isinstance(event, Packet):
            assert decoder.feed(event) == []
        elif event.keyframe:
            brought_out = [
                *decoder.feed(replace(event, keyframe=flagged)),
                *decoder.feed(BREAK),
            ]
            assert len(brought_out) == 1
            pictures += brought_out
    assert shown(pictures) == clip.shown[::10]
    assert decoder.skipped_total == decoder.undecodable_total == decoder.corrupt_total == 0
    assert decoder.flush() == []


@pytest.mark.parametrize("encoder", ["libx264", "libx265"])
@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("packets", range(0, 20, 3))
def test_decoding_all_goes_on_at_the_next_keyframe(
    encoder: str, b_frames: int, packets: int
) -> None:
    clip = film(encoder, b_frames=b_frames)
    decoder = VideoDecoder()
    pictures: list[Picture] = []
    fed = left_out = 0
    for event in fragments(clip):
        if isinstance(event, Packet) and packets <= fed < packets + 5:
            pictures += decoder.feed(event if event.keyframe else BREAK)
            pictures += decoder.feed(BREAK)
            left_out += not event.keyframe
        else:
            pictures += decoder.feed(event)
        fed += isinstance(event, Packet)
    pictures += decoder.flush()
    times = shown(pictures)
    assert times == tuple(sorted(times))
    assert set(times) <= set(clip.shown)
    assert len(times) == 40 - left_out - decoder.skipped_total
    resumed = -(-(packets + 5) // 10) * 10
    assert times[resumed - 40 :] == clip.shown[resumed:]
    assert 4 <= left_out <= 5
    assert decoder.undecodable_total == decoder.corrupt_total == 0


def test_empty_packets_are_passed_over() -> None:
    clip = film()
    events = [
        event
        for whole in fragments(clip)
        for event in ([Packet(1, 0, True, b""), whole] if isinstance(whole, Packet) else [whole])
    ]
    assert shown(decode(events)) == clip.shown


def test_a_damaged_packet_costs_its_group_of_pictures_at_most() -> None:
    clip = film()
    packets = list(clip.packets)
    packets[14] = replace(packets[14], payload=packets[14].payload[: len(packets[14].payload) // 2])
    decoder = VideoDecoder()
    pictures = shown(decode(fragments(replace(clip, packets=tuple(packets))), decoder))
    assert decoder.undecodable_total + decoder.corrupt_total >= 1
    assert pictures[:14] == clip.shown[:14]
    assert pictures[-20:] == clip.shown[-20:]


@pytest.mark.parametrize("encoder", ["libx264", "libx265"])
@pytest.mark.parametrize("seed", range(6))
def test_noise_in_the_packets_never_stops_decoding(encoder: str, seed: int) -> None:
    chance = random.Random(seed)
    clip = film(encoder, b_frames=2)
    noisy = []
    for index, packet in enumerate(clip.packets):
        payload = bytearray(packet.payload)
        for _ in range(chance.randrange(0, 4) if index < 30 else 0):
            payload[chance.randrange(len(payload))] = chance.randrange(256)
        noisy.append(replace(packet, payload=bytes(payload)))
    pictures = shown(decode(fragments(replace(clip, packets=tuple(noisy)))))
    assert pictures[-10:] == clip.shown[-10:]


def test_parameter_sets_that_ffmpeg_refuses_may_stand_in_the_packets_too() -> None:
    whole = film("libx265")
    cut = replace(whole.track, codec_private=whole.track.codec_private[:30])
    clip = replace(in_annex_b(whole, in_band=True), track=cut)
    assert shown(decode(fragments(clip))) == clip.shown


def test_other_tracks_are_left_alone() -> None:
    clip = film()
    audio = Track(2, TrackKind.AUDIO, "A_AAC")
    second = replace(clip.track, number=3)
    events: list[MediaEvent] = []
    for event in fragments(clip):
        if isinstance(event, FragmentStarted):
            tracks = (audio, clip.track, second)
            events.append(FragmentStarted(replace(event.fragment, tracks=tracks)))
        else:
            events.append(event)
            if isinstance(event, Packet):
                events += [Packet(2, 0, True, b"sound"), Packet(3, 0, True, b"another camera")]
    decoder = VideoDecoder()
    assert shown(decode(events, decoder)) == clip.shown
    assert decoder.undecodable_total == 0


def test_a_stream_without_video_says_what_it_carries() -> None:
    with pytest.raises(MediaError, match=r"^the stream carries no video track, only A_AAC audio$"):
        decode([_started(Track(1, TrackKind.AUDIO, "A_AAC"))])
    with pytest.raises(MediaError, match=r"^the stream carries no video track$"):
        decode([_started()])


def test_another_codec_is_named() -> None:
    vp9 = Track(1, TrackKind.VIDEO, "V_VP9")
    words = r"^video codec V_VP9 is not supported; streamproc reads H\.264 and H\.265$"
    with pytest.raises(UnsupportedCodec, match=words):
        decode([_started(vp9)])
    mjpg = Track(1, TrackKind.VIDEO, "V_MS/VFW/FOURCC", bytes(16) + b"MJPG" + bytes(20))
    with pytest.raises(UnsupportedCodec, match="V_MS/VFW/FOURCC MJPG"):
        decode([_started(mjpg)])


def _started(*tracks: Track) -> FragmentStarted:
    [event, *_] = fragments(film())
    assert isinstance(event, FragmentStarted)
    return FragmentStarted(replace(event.fragment, tracks=tracks))


@pytest.mark.parametrize("codec_id", ["V_MPEG/ISO/AVC", "V_MPEG4/ISO/AVC"])
def test_both_spellings_of_the_codec_are_read(codec_id: str) -> None:
    clip = film()
    track = replace(clip.track, codec_id=codec_id)
    assert shown(decode(fragments(replace(clip, track=track)))) == clip.shown


@pytest.mark.parametrize(
    ("encoder", "pixels", "size", "full_range"),
    [
        ("libx264", "yuv420p", (160, 120), False),
        ("libx264", "yuv420p", (160, 120), True),
        ("libx264", "yuv444p", (161, 121), False),
        ("libx264", "yuv420p10le", (162, 90), False),
        ("libx265", "yuv420p10le", (162, 90), True),
    ],
)
def test_pictures_are_bgr_whatever_the_codec_stores(
    encoder: str, pixels: str, size: tuple[int, int], full_range: bool
) -> None:
    colour = (30, 90, 220)
    clip = film(encoder, frames=4, size=size, pixels=pixels, colour=colour, full_range=full_range)
    for picture in decode(fragments(clip)):
        image = picture.image()
        assert image.dtype == np.uint8
        assert image.shape == (size[1], size[0], 3) == (picture.height, picture.width, 3)
        assert image.flags.c_contiguous
        assert image.flags.writeable
        assert np.abs(image.reshape(-1, 3).mean(axis=0) - colour).max() < 5


def test_a_pause_costs_nothing_where_nothing_is_held_back() -> None:
    clip = film()
    decoder = VideoDecoder()
    pictures: list[Picture] = []
    for event in fragments(clip, every=7):  # most fragments lean on the one before
        pictures += [*decoder.feed(event), *decoder.flush()]
    assert shown(pictures) == clip.shown


def test_a_pause_brings_out_what_is_held_back() -> None:
    clip = film(b_frames=2)
    decoder = VideoDecoder()
    pictures: list[Picture] = []
    for event in fragments(clip):
        pictures += decoder.feed(event)
        if isinstance(event, FragmentEnded):
            pictures += decoder.flush()
            assert pictures[-1].fragment.number == event.number
    assert shown(pictures) == clip.shown


def test_decoding_goes_on_after_a_flush() -> None:
    clip = film(b_frames=2)
    decoder = VideoDecoder()
    assert shown(decode(fragments(clip), decoder)) == clip.shown
    again = fragments(clip, sequence=5)
    assert shown(decode(again, decoder)) == clip.shown


RECORDINGS = {
    "output_get_media.mkv": 300,
    "output_get_media_sparse_fragments.mkv": 180,
    "output-get-media-non-increasing-timecode.mkv": 358,
    "vogels_480.mkv": 909,
}


@pytest.mark.parametrize(("name", "frames"), RECORDINGS.items())
def test_recordings_are_shown_frame_for_frame(testdata: Path, name: str, frames: int) -> None:
    path = testdata / "kvs" / name
    parser = FragmentParser()
    events = [*parser.feed(path.read_bytes()), *parser.close()]
    decoder = VideoDecoder()
    compared = 0
    with av.open(str(path)) as container:
        whole = container.decode(video=0)
        for picture, frame in zip(decoding(events, decoder), whole, strict=True):
            if compared % 5 == 0:  # the pixels of all of them take ten seconds
                assert (picture.image() == frame.to_ndarray(format="bgr24")).all()
            compared += 1
    assert compared == decoder.frames_total == frames
    assert decoder.undecodable_total == 0


def test_a_payload_that_does_not_decode_is_refused_by_its_codec(testdata: Path) -> None:
    parser = FragmentParser()
    events = parser.feed((testdata / "kvs" / "test_mixed_tags.mkv").read_bytes())
    with pytest.raises(UnsupportedCodec, match="MJPG"):
        decode(events)
