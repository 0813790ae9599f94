"""Pictures too large for us are refused before memory is taken for them."""

import random
import resource
import struct
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import av
import pytest

from streamproc.decode.decoder import VideoDecoder
from streamproc.decode.picture_size import PIXELS_MAX, announced, configured
from streamproc.decode.stored import StoredVideo
from streamproc.errors import MediaError
from streamproc.mkv.nal import with_lengths
from streamproc.mkv.writer import MkvWriter
from streamproc.model.media import (
    Fragment,
    FragmentEnded,
    FragmentStarted,
    MediaEvent,
    Packet,
    Track,
    TrackKind,
)
from streamproc.settings import MediaConfig
from tests.decode.clips import film, fragments, in_annex_b, parameter_sets
from tests.decode.movies import movie
from tests.decode.parameter_sets import START, h264_key_packet, h264_set, hevc_set
from tests.decode.watching import EVERY_FRAME, NAME, written

H264 = Track(1, TrackKind.VIDEO, "V_MPEG4/ISO/AVC", b"", 160, 96)
HEVC = replace(H264, codec_id="V_MPEGH/ISO/HEVC")


def fragment_of(track: Track, *payloads: bytes) -> Iterator[MediaEvent]:
    yield FragmentStarted(Fragment("", None, None, 0, (track,)))
    for number, payload in enumerate(payloads):
        yield Packet(1, number * 40_000_000, True, payload)
    yield FragmentEnded("", complete=True)


def shown(
    events: Iterable[MediaEvent], decoder: VideoDecoder | None = None
) -> list[tuple[int, int]]:
    decoder = decoder or VideoDecoder()
    pictures = [picture for event in events for picture in decoder.feed(event)]
    return [(p.width, p.height) for p in (*pictures, *decoder.flush())]


def avcc(*units: bytes) -> bytes:
    sets = b"".join(struct.pack(">H", len(unit)) + unit for unit in units)
    return b"\1\x42\0\x3e\xff" + bytes([0xE0 | len(units)]) + sets + b"\0"


def test_the_default_is_the_settings() -> None:
    assert MediaConfig().picture_pixels_max == PIXELS_MAX


@pytest.mark.parametrize("size", [(160, 96), (8192, 4320), (16_384, 16_384)])
@pytest.mark.parametrize(
    "options",
    [
        {}, {"profile": 100}, {"profile": 100, "scaling": True}, {"order_type": 0},
        {"order_type": 1}, {"interlaced": True}, {"shown": (32, 32)},
    ],
    ids=str,
)  # fmt: skip
def test_what_h264_announces_is_read(size: tuple[int, int], options: dict[str, object]) -> None:
    unit = h264_set(*size, **options)  # type: ignore[arg-type]
    assert list(announced("h264", START + unit, 4)) == [size]
    assert list(announced("h264", with_lengths([unit], 2), 2)) == [size]
    assert list(configured("h264", avcc(unit, unit))) == [size, size]


@pytest.mark.parametrize("options", [{}, {"sub_layers": 3}, {"chroma": 3}], ids=str)
def test_what_h265_announces_is_read(options: dict[str, int]) -> None:
    unit = hevc_set(16_384, 12_000, **options)
    assert list(announced("hevc", START[1:] + unit, 4)) == [(16_384, 12_000)]
    assert list(announced("hevc", with_lengths([b"\x40\1vps", unit]), 4)) == [(16_384, 12_000)]


@pytest.mark.parametrize(("codec", "encoder"), [("h264", "libx264"), ("hevc", "libx265")])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p"])
def test_what_encoders_write_is_read(codec: str, encoder: str, pixels: str) -> None:
    clip = film(encoder, size=(322, 178), frames=3, pixels=pixels)
    assert list(configured(codec, clip.track.codec_private)) == [(336, 192)]
    bare = in_annex_b(clip, in_band=True)
    assert [list(announced(codec, packet.payload, 4)) for packet in bare.packets] == [
        [(336, 192)], [], [],
    ]  # fmt: skip


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_damage_announces_nothing_or_something_but_never_fails(codec: str) -> None:
    chance = random.Random(codec)
    whole = h264_set(640, 480, profile=100, scaling=True) if codec == "h264" else hevc_set(640, 480)
    sizes = 0
    for _ in range(1000):
        unit = bytearray(whole)
        if chance.random() < 0.5:
            del unit[chance.randrange(len(whole) + 1) :]
        for _ in range(chance.randrange(4)):
            unit[1:] = unit[1:] or b"x"
            unit[chance.randrange(len(unit))] = chance.randrange(256)
        sizes += len(list(announced(codec, START + bytes(unit), 4)))
        list(configured(codec, bytes(unit)))
        list(configured(codec, avcc(bytes(unit))[: chance.randrange(60)]))
        list(configured(codec, b"\1" + chance.randbytes(chance.randrange(60))))
    assert 0 < sizes < 1000


def test_noise_seldom_looks_like_a_parameter_set() -> None:
    """A packet that is damaged must not stop a processor."""
    chance = random.Random(7)
    noise = (START + b"\x67" + chance.randbytes(40) for _ in range(3000))
    sizes = [size for packet in noise for size in announced("h264", packet, 4)]
    assert sum(width * height > PIXELS_MAX for width, height in sizes) < 10


HUGE = h264_set(16_000, 16_000)
CROPPED = h264_set(16_000, 16_000, (32, 32))  # which FFmpeg's own limit lets pass


@pytest.mark.parametrize("unit", [HUGE, CROPPED], ids=["all of it shown", "a corner shown"])
@pytest.mark.parametrize("where", ["in band", "behind lengths", "CodecPrivate", "avcC"])
def test_a_live_stream_of_huge_pictures_is_refused(unit: bytes, where: str) -> None:
    packet = h264_key_packet(unit)
    track = {
        "CodecPrivate": replace(H264, codec_private=START + unit),
        "avcC": replace(H264, codec_private=avcc(unit)),
    }.get(where, H264)
    if where == "behind lengths":
        packet = with_lengths(packet.split(START)[1:])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(MediaError) as refused:
        shown([*fragment_of(track, packet), *fragment_of(track, packet)])
    assert str(refused.value) == (
        "the stream's pictures have 16000x16000 pixels; at most 35389440 are decoded "
        "(media.picture_pixels_max)"
    )
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB


def test_a_live_stream_of_huge_h265_is_refused() -> None:
    with pytest.raises(MediaError, match="16384x16384 pixels"):
        shown([*fragment_of(HEVC, START + hevc_set(16_384, 16_384))] * 2)


def test_a_live_stream_may_not_grow_huge_on_the_way() -> None:
    decoder = VideoDecoder()
    clip = in_annex_b(film(frames=20), in_band=True)
    assert shown(fragments(clip), decoder)
    with pytest.raises(MediaError, match="16000x16000"):
        shown([*fragment_of(clip.track, h264_key_packet(CROPPED))] * 2, decoder)


@pytest.mark.parametrize("where", ["in band", "CodecPrivate"])
def test_one_fragment_that_claims_to_be_huge_is_damage(where: str) -> None:
    """A flipped bit in a width must not end a processor that runs by itself for years."""
    clip = in_annex_b(film(frames=20), in_band=True)
    track = replace(clip.track, codec_private=START + HUGE) if where != "in band" else clip.track
    decoder = VideoDecoder()
    for _ in range(3):
        bad = fragment_of(track, h264_key_packet(CROPPED), *[clip.packets[1].payload] * 5)
        assert shown(bad, decoder) == []
        assert len(shown(fragments(clip), decoder)) == 20
    assert decoder.undecodable_total == 3


def test_what_ffmpeg_alone_understands_is_refused_behind_the_first_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streamproc.decode.track.announced", lambda *_: iter(()))
    monkeypatch.setattr("streamproc.decode.track.configured", lambda *_: iter(()))
    clip = film(frames=3, size=(322, 178))
    assert len(shown(fragments(clip), VideoDecoder(pixels_max=336 * 192))) == 3
    for pixels_max in (336 * 192 - 1, 1000):
        with pytest.raises(MediaError, match=r"have \d+x\d+ pixels; at most"):
            shown([*fragments(clip)] * 2, VideoDecoder(pixels_max=pixels_max))


def test_the_limit_is_on_pixels_as_coded() -> None:
    clip = film(frames=3, size=(322, 178))
    assert set(shown(fragments(clip), VideoDecoder(pixels_max=336 * 192))) == {(322, 178)}
    with pytest.raises(MediaError, match="336x192 pixels; at most 64511 are decoded"):
        shown([*fragments(clip)] * 2, VideoDecoder(pixels_max=336 * 192 - 1))


def matroska(codec_private: bytes, *packets: bytes) -> bytes:
    writer = MkvWriter()
    blocks = (writer.block(1, n * 40, True, packet) for n, packet in enumerate(packets))
    track = replace(H264, codec_private=codec_private)
    return writer.header([track]) + writer.cluster(0) + b"".join(blocks)


@pytest.mark.parametrize("unit", [HUGE, CROPPED], ids=["all of it shown", "a corner shown"])
@pytest.mark.parametrize("container", ["matroska", "bare"])
def test_a_stored_video_of_huge_pictures_is_refused(
    tmp_path: Path, unit: bytes, container: str
) -> None:
    packets = [h264_key_packet(unit)] * 10
    data = matroska(START + unit, *packets) if container == "matroska" else b"".join(packets)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(MediaError) as refused:
        StoredVideo(written(tmp_path / "a", data), NAME)
    assert str(refused.value).startswith(f"{NAME} cannot be decoded: its pictures have 16000x16000")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB


def test_a_stored_video_may_not_grow_huge_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However far on that is: here, behind what is looked at when it is opened."""
    monkeypatch.setattr("streamproc.decode.container._PROBED_BYTES", 1)
    clip = in_annex_b(film(frames=20), in_band=True)
    large = h264_key_packet(h264_set(1024, 1024, (32, 32)))
    data = matroska(
        b"".join(START + unit for unit in parameter_sets(film(frames=20).track)),
        *(packet.payload for packet in clip.packets), *[large] * 5,
    )  # fmt: skip
    video = StoredVideo(written(tmp_path / "a.mkv", data), NAME, pixels_max=200_000)
    frames = video.frames(EVERY_FRAME)
    seen: list[int] = []
    with pytest.raises(MediaError, match="1024x1024 pixels; at most 200000"):
        seen.extend(frame.timestamp_ms for frame in frames)
    assert seen == sorted(set(seen))
    assert seen


@pytest.mark.parametrize("file", ["a.mp4", "a.mkv", "a.ts", "a.avi", "a.webm"])
def test_the_limit_of_stored_videos_is_the_callers(tmp_path: Path, file: str) -> None:
    encoder = "libvpx-vp9" if file == "a.webm" else "libx264"
    path = movie(tmp_path / file, size=(320, 192), encoder=encoder)
    assert StoredVideo(path, NAME, pixels_max=320 * 192).metadata.frame_width == 320
    with pytest.raises(MediaError, match=r"320x192 pixels; at most|more than 61439 pixels"):
        StoredVideo(path, NAME, pixels_max=320 * 192 - 1)


def test_many_tracks_are_told_in_few_words() -> None:
    tracks = tuple(Track(n, TrackKind.AUDIO, f"A_\n{n}" * 99) for n in range(1, 1000))
    with pytest.raises(MediaError, match="no video track") as refused:
        shown([FragmentStarted(Fragment("", None, None, 0, tracks))])
    assert len(str(refused.value)) < 1000
    assert str(refused.value).isprintable()


def test_a_codec_that_calls_itself_at_length_is_told_in_few_words() -> None:
    track = Track(1, TrackKind.VIDEO, "V_\x1b[2J" + "x" * 10_000)
    with pytest.raises(MediaError, match="is not supported") as refused:
        shown([FragmentStarted(Fragment("", None, None, 0, (track,)))])
    assert len(str(refused.value)) < 200
    assert str(refused.value).isprintable()


def test_ffmpegs_own_limit_does_not_see_what_is_coded() -> None:
    """Why there is a reader of parameter sets here: were this mended in FFmpeg, it could go."""
    context = av.VideoCodecContext.create("h264", "r")
    context.options = {"max_pixels": "200000"}
    context.open()
    context.decode(av.Packet(h264_key_packet(h264_set(1024, 1024, (32, 32)))))
    assert (context.width, context.coded_width) == (32, 1024)
