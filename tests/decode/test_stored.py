"""Stored videos of every kind that people upload, and what is told of those that are broken."""

import contextlib
import random
import struct
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image as Pillow

from streamproc.decode import stored
from streamproc.decode.container import PIXELS_MAX
from streamproc.decode.pixels import upright
from streamproc.decode.stored import StoredVideo
from streamproc.errors import MediaError, UnsupportedCodec
from streamproc.model.media import Image
from streamproc.model.video import VideoFrame, VideoMetadata
from tests.decode.clips import film, in_annex_b
from tests.decode.movies import CORNERS, corners, movie, sound_only

NAME = "s3://clips/clip"
EVERY_FRAME = 25.0  # what movies have a second


def opened(path: Path) -> StoredVideo:
    return StoredVideo(path, NAME)


def watched(path: Path, fps: float = EVERY_FRAME) -> list[VideoFrame]:
    return list(opened(path).frames(fps))


def times_ms(path: Path, fps: float = EVERY_FRAME) -> list[int]:
    return [frame.timestamp_ms for frame in watched(path, fps)]


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def refused(path: Path) -> str:
    """What is told of a file of which no frame can be had, neither at once nor later."""
    with pytest.raises(MediaError) as told:
        watched(path)
    assert NAME in str(told.value)
    assert str(path) not in str(told.value)
    return str(told.value)


def shows_the_corners(frame: VideoFrame) -> bool:
    seen = corners(frame.image)
    return all(np.abs(np.subtract(seen[at], CORNERS[at], dtype=int)).max() < 30 for at in CORNERS)


# --- what is read ----------------------------------------------------------------------------


def test_a_video_tells_what_its_container_says(tmp_path: Path) -> None:
    video = opened(movie(tmp_path / "a.mp4", frames=50, size=(160, 96)))
    assert video.metadata == VideoMetadata(
        codec="h264",
        format="QuickTime / MOV",
        duration_ms=2000,
        frame_rate=25.0,
        frame_width=160,
        frame_height=96,
        color_range="LIMITED",
    )


def test_frames_are_sampled_by_media_time(tmp_path: Path) -> None:
    path = movie(tmp_path / "a.mp4", frames=50)
    assert times_ms(path, fps=2) == [0, 520, 1000, 1520]
    assert times_ms(path, fps=5) == list(range(0, 2000, 200))
    assert times_ms(path) == list(range(0, 2000, 40))
    assert times_ms(path, fps=1000) == list(range(0, 2000, 40))


def test_only_sampled_frames_are_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    converted: list[av.VideoFrame] = []

    def counted(frame: av.VideoFrame) -> Image:
        converted.append(frame)
        return upright(frame)

    monkeypatch.setattr(stored, "upright", counted)
    assert len(watched(movie(tmp_path / "a.mp4", frames=50), fps=2)) == len(converted) == 4


@pytest.mark.parametrize(
    ("file", "encoder", "pixels", "codec", "container"),
    [
        ("a.mp4", "libx264", "yuv420p", "h264", "QuickTime / MOV"),
        ("a.mov", "libx264", "yuv422p", "h264", "QuickTime / MOV"),
        ("a.mkv", "libx264", "yuv444p", "h264", "Matroska / WebM"),
        ("a.mkv", "libx264", "yuv420p10le", "h264", "Matroska / WebM"),
        ("a.ts", "libx264", "yuv420p", "h264", "MPEG-TS (MPEG-2 Transport Stream)"),
        ("a.flv", "libx264", "yuv420p", "h264", "FLV (Flash Video)"),
        ("a.avi", "libx264", "yuv420p", "h264", "AVI (Audio Video Interleaved)"),
        ("a.h264", "libx264", "yuv420p", "h264", "raw H.264 video"),
        ("a.mp4", "libx265", "yuv420p", "hevc", "QuickTime / MOV"),
        ("a.webm", "libvpx-vp9", "yuv420p", "vp9", "Matroska / WebM"),
        ("a.webm", "libvpx-vp9", "yuva420p", "vp9", "Matroska / WebM"),
        ("a.mp4", "libsvtav1", "yuv420p", "av1", "QuickTime / MOV"),
        ("a.avi", "mpeg4", "yuv420p", "mpeg4", "AVI (Audio Video Interleaved)"),
        ("a.avi", "mjpeg", "yuvj420p", "mjpeg", "AVI (Audio Video Interleaved)"),
        ("a.mpg", "mpeg2video", "yuv420p", "mpeg2video", "MPEG-PS (MPEG-2 Program Stream)"),
        ("a.mkv", "ffv1", "yuva420p", "ffv1", "Matroska / WebM"),
        ("a.mov", "png", "rgba", "png", "QuickTime / MOV"),
        ("a.mov", "prores_ks", "yuv422p10le", "prores", "QuickTime / MOV"),
    ],
)
def test_any_codec_and_pixel_format_will_do(
    tmp_path: Path, file: str, encoder: str, pixels: str, codec: str, container: str
) -> None:
    path = movie(tmp_path / file, encoder=encoder, pixels=pixels)
    metadata = opened(path).metadata
    assert (metadata.codec, metadata.format) == (codec, container)
    frames = watched(path)
    assert [frame.timestamp_ms for frame in frames] == list(range(0, 1000, 40))
    assert all(shows_the_corners(frame) for frame in frames)
    image = frames[0].image
    assert image.shape == (96, 160, 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert image.flags.writeable


@pytest.mark.parametrize("pixels", ["gray", "gray10le"])
def test_grey_video_is_grey(tmp_path: Path, pixels: str) -> None:
    for frame in watched(movie(tmp_path / "a.mkv", pixels=pixels)):
        assert (frame.image == frame.image[:, :, :1]).all()
        seen = corners(frame.image)
        assert seen["bottom left"][0] < seen["top left"][0] < seen["bottom right"][0]


@pytest.mark.parametrize(
    ("encoder", "pixels", "full_range", "told"),
    [
        ("libx264", "yuv420p", False, "LIMITED"),
        ("libx264", "yuv420p", True, "FULL"),
        ("mjpeg", "yuvj420p", False, "FULL"),
        ("ffv1", "bgra", False, ""),
    ],
)
def test_the_colour_range_is_told(
    tmp_path: Path, encoder: str, pixels: str, full_range: bool, told: str
) -> None:
    path = movie(tmp_path / "a.mkv", encoder=encoder, pixels=pixels, full_range=full_range)
    assert opened(path).metadata.color_range == told
    assert shows_the_corners(watched(path)[0])


@pytest.mark.parametrize("size", [(175, 97), (161, 121), (99, 241)])
@pytest.mark.parametrize("encoder", ["libvpx-vp9", "ffv1"])
def test_odd_sizes_are_read(tmp_path: Path, encoder: str, size: tuple[int, int]) -> None:
    path = movie(tmp_path / "a.mkv", frames=3, size=size, encoder=encoder)
    metadata = opened(path).metadata
    assert (metadata.frame_width, metadata.frame_height) == size
    for frame in watched(path):
        assert frame.image.shape == (size[1], size[0], 3)
        assert shows_the_corners(frame)


# Where the corners come from when a picture is turned counter-clockwise, or mirrored first.
TURNS = {
    (90, False, False): ("top right", "bottom right", "top left", "bottom left"),
    (180, False, False): ("bottom right", "bottom left", "top right", "top left"),
    (270, False, False): ("bottom left", "top left", "bottom right", "top right"),
    (0, True, False): ("top right", "top left", "bottom right", "bottom left"),
    (0, False, True): ("bottom left", "bottom right", "top left", "top right"),
}


@pytest.mark.parametrize("file", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize(("turn", "sources"), TURNS.items())
def test_frames_are_upright(
    tmp_path: Path, file: str, turn: tuple[float, bool, bool], sources: tuple[str, ...]
) -> None:
    path = movie(tmp_path / file, frames=3, size=(160, 96), turn=turn)
    metadata = opened(path).metadata
    on_its_side = turn[0] in {90, 270}
    assert (metadata.frame_width, metadata.frame_height) == ((160, 96), (96, 160))[on_its_side]
    for frame in watched(path):
        assert frame.image.shape == (metadata.frame_height, metadata.frame_width, 3)
        assert frame.image.flags.c_contiguous
        seen = corners(frame.image)
        for at, source in zip(CORNERS, sources, strict=True):
            assert np.abs(np.subtract(seen[at], CORNERS[source], dtype=int)).max() < 30


def test_a_size_that_changes_on_the_way_is_followed(tmp_path: Path) -> None:
    small, large = in_annex_b(film(), in_band=True), in_annex_b(film(size=(320, 240)), in_band=True)
    coded = b"".join(packet.payload for clip in (small, large) for packet in clip.packets)
    path = written(tmp_path / "a.h264", coded)
    shapes = [frame.image.shape for frame in watched(path)]
    assert shapes == [(120, 160, 3)] * 40 + [(240, 320, 3)] * 40
    assert opened(path).metadata.frame_width == 160


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    path = movie(tmp_path / "a.mp4", cover=True)
    assert opened(path).metadata.codec == "h264"
    assert len(watched(path)) == 25


def test_titles_in_any_encoding_do_no_harm(tmp_path: Path) -> None:
    data = movie(tmp_path / "a.mkv").read_bytes()
    assert b"Lavf" in data
    assert (
        len(watched(written(tmp_path / "b.mkv", data.replace(b"Lavf", b"\xe4\xf6\xfc\xff")))) == 25
    )


# --- time ------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["a.mp4", "a.mkv"])
def test_frames_keep_their_own_time_where_the_rate_varies(tmp_path: Path, file: str) -> None:
    irregular = [0, 40, 500, 510, 1900, 2000, 2400]
    path = movie(tmp_path / file, times_ms=irregular)
    assert times_ms(path, fps=1000) == irregular
    assert times_ms(path, fps=5) == [0, 500, 1900, 2000, 2400]


def test_milliseconds_are_rounded_down(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=Fraction(30000, 1001))
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(30):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1001, 30000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    assert times_ms(path, fps=120) == [number * 1001 // 30 for number in range(30)]
    assert opened(path).metadata.frame_rate == pytest.approx(29.97, abs=0.001)


@pytest.mark.parametrize("file", ["a.ts", "a.mkv"])
def test_time_begins_with_the_video_wherever_the_file_begins(tmp_path: Path, file: str) -> None:
    path = movie(tmp_path / file, times_ms=list(range(10_000, 12_000, 40)))
    assert times_ms(path) == list(range(0, 2000, 40))
    assert opened(path).metadata.duration_ms == 2000


@pytest.mark.parametrize(("file", "begin_ms"), [("a.mkv", 10_000), ("a.mp4", 0)])
def test_a_picture_that_comes_after_the_sound_keeps_its_delay(
    tmp_path: Path, file: str, begin_ms: int
) -> None:
    late = list(range(begin_ms + 500, begin_ms + 2500, 40))
    path = movie(tmp_path / file, times_ms=late, sound_ms=(begin_ms, begin_ms + 3000))
    assert times_ms(path) == list(range(500, 2500, 40))


@pytest.mark.parametrize("container", ["avi", "h264"])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_frames_without_times_are_counted(tmp_path: Path, container: str, b_frames: int) -> None:
    clip = film(container=container, b_frames=b_frames)
    path = written(tmp_path / "a", clip.file)
    assert times_ms(path) == list(range(0, 1600, 40))
    assert opened(path).metadata.duration_ms == 1600


@pytest.mark.parametrize("file", ["a.mp4", "a.mkv"])
def test_a_sound_may_outlast_the_picture(tmp_path: Path, file: str) -> None:
    path = movie(tmp_path / file, sound_ms=(0, 10_000))
    assert len(watched(path)) == 25
    assert opened(path).metadata.duration_ms == pytest.approx(10_000, abs=50)


def test_a_recording_that_does_not_say_how_long_it_is_is_measured(tmp_path: Path) -> None:
    video = opened(movie(tmp_path / "a.mkv", frames=50, muxer={"live": "1"}))
    assert video.metadata.duration_ms == 2000
    half = next(frame for frame in video.frames(EVERY_FRAME) if frame.timestamp_ms == 1000)
    assert half is not None
    assert video.progress == pytest.approx(0.5)


def test_joined_recordings_play_on(tmp_path: Path) -> None:
    first, second = movie(tmp_path / "a.mkv"), movie(tmp_path / "b.mkv")
    path = written(tmp_path / "c.mkv", first.read_bytes() + second.read_bytes())
    assert times_ms(path) == list(range(0, 2000, 40))
    assert opened(path).metadata.duration_ms == 2000


@pytest.mark.parametrize("count", [2, 3, 12])
def test_joined_live_recordings_play_on(tmp_path: Path, count: int) -> None:
    live = movie(tmp_path / "a.mkv", muxer={"live": "1"})  # as GetMedia sends fragments
    path = written(tmp_path / "b.mkv", live.read_bytes() * count)
    assert times_ms(path) == list(range(0, count * 1000, 40))
    assert opened(path).metadata.duration_ms == count * 1000


def test_joined_recordings_that_cannot_be_read_to_the_end_are_refused(tmp_path: Path) -> None:
    whole = movie(tmp_path / "a.mkv").read_bytes()
    words = refused(written(tmp_path / "b.mkv", whole * 5))
    assert "holds several recordings behind each other, of which only the first 2.0 s" in words


# --- what is broken --------------------------------------------------------------------------


def _picture(kind: str) -> bytes:
    file = BytesIO()
    Pillow.new("RGB", (64, 64)).save(file, kind)
    return file.getvalue()


NO_VIDEOS = {
    "text": b"Dear all,\nplease find attached\n" * 200,
    "JPEG": _picture("JPEG"),
    "PNG": _picture("PNG"),
    "noise": random.Random(1).randbytes(50_000),
    "zeros": bytes(50_000),
    "EBML and no more": b"\x1a\x45\xdf\xa3",
}


@pytest.mark.parametrize("data", NO_VIDEOS.values(), ids=NO_VIDEOS)
def test_what_is_no_video_is_refused(tmp_path: Path, data: bytes) -> None:
    words = refused(written(tmp_path / "clip.mp4", data))
    assert words.startswith(f"{NAME} is not a video that streamproc reads; it reads MP4, ")


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    assert refused(written(tmp_path / "a.mp4", b"")) == f"{NAME} is empty"
    assert refused(tmp_path / "b.mp4") == f"{NAME} does not exist"
    assert refused(tmp_path) == f"{NAME} is not a file"


@pytest.mark.parametrize("scheme", ["file:", ""])
def test_a_playlist_does_not_open_other_files(tmp_path: Path, scheme: str) -> None:
    movie(tmp_path / "secret.ts")
    secret = f"{scheme}{tmp_path / 'secret.ts'}"
    playlists = {
        "a.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n",
        "a.ffconcat": f"ffconcat version 1.0\nfile {secret}\n",
        "b.ffconcat": "ffconcat version 1.0\nfile secret.ts\n",
        "a.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=video 5004 RTP/AVP 96\n",
    }
    for name, text in playlists.items():
        assert "is not a video" in refused(written(tmp_path / name, text.encode()))


@pytest.mark.parametrize("file", ["a.m4a", "a.mka"])
def test_sound_alone_is_refused(tmp_path: Path, file: str) -> None:
    assert refused(sound_only(tmp_path / file)) == f"{NAME} has no video track, only audio"


def test_sound_with_a_cover_picture_is_refused(tmp_path: Path) -> None:
    words = refused(sound_only(tmp_path / "a.mp4", cover=True))
    assert words == f"{NAME} has no video track, only audio, a cover picture"


def test_a_codec_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    mp4, mkv = film(container="mp4").file, film().file
    unknown = {
        "evc": mp4.replace(b"avc1", b"evc1"),  # known to FFmpeg by name, not built in
        "zzzz": mp4.replace(b"avc1", b"zzzz"),
        "V_MPEG9/ISO/XYZ": mkv.replace(b"V_MPEG4/ISO/AVC", b"V_MPEG9/ISO/XYZ"),
        "ZZZZ": film(container="avi").file.replace(b"H264", b"ZZZZ"),
    }
    for codec, data in unknown.items():
        words = f"^{NAME} is {codec} video, which streamproc cannot decode"
        with pytest.raises(UnsupportedCodec, match=words):
            opened(written(tmp_path / "a", data))
    assert av.logging.get_level() is None  # as it was


def _long(path: Path) -> bytes:
    """Ten seconds; MP4 with its index in front."""
    movie(path, frames=250, muxer={"movflags": "faststart"} if path.suffix == ".mp4" else {})
    return path.read_bytes()


@pytest.mark.parametrize("file", ["a.mp4", "a.mkv"])
def test_a_video_that_was_cut_off_is_read_and_then_refused(tmp_path: Path, file: str) -> None:
    data = _long(tmp_path / file)
    frames = opened(written(tmp_path / "cut", data[: len(data) * 6 // 10])).frames(EVERY_FRAME)
    seen: list[VideoFrame] = []
    with pytest.raises(MediaError, match=r"ends after \d\.\d s, but says that it has 10\.0 s"):
        seen.extend(frames)
    assert 100 < len(seen) < 200


def test_an_mp4_without_its_index_is_told_from_other_rubbish(tmp_path: Path) -> None:
    data = movie(tmp_path / "a.mp4").read_bytes()
    words = refused(written(tmp_path / "b.mp4", data[: len(data) // 2]))
    assert "without its index (moov)" in words
    assert "cut off" in words


def test_zeros_where_the_end_should_be_are_no_end(tmp_path: Path) -> None:
    data = _long(tmp_path / "a.mp4")
    half = len(data) // 2
    words = refused(written(tmp_path / "b.mp4", data[:half] + bytes(len(data) - half)))
    assert "says that it has 10.0 s" in words


@pytest.mark.parametrize("file", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("at", [0.3, 0.5, 0.7])
def test_damage_on_the_way_costs_a_few_frames(tmp_path: Path, file: str, at: float) -> None:
    data = bytearray(_long(tmp_path / file))
    begin = int(len(data) * at)
    data[begin : begin + 400] = random.Random(3).randbytes(400)
    video = opened(written(tmp_path / "b", bytes(data)))
    frames = [frame.timestamp_ms for frame in video.frames(EVERY_FRAME)]
    assert 100 < len(frames) < 250  # Matroska may lose the rest of a Cluster
    assert frames == sorted(frames)
    assert frames[0] == 0
    assert frames[-1] == 9960
    # Of what Matroska loses together with its framing, FFmpeg says nothing.
    assert video.corrupt_total + video.undecodable_total > 0 or file == "a.mkv"
    assert video.progress == 1


def test_damage_at_the_beginning_leaves_the_rest(tmp_path: Path) -> None:
    data = bytearray(_long(tmp_path / "a.mp4"))
    begin = data.index(b"mdat") + 4
    data[begin : begin + 60] = random.Random(3).randbytes(60)
    frames = times_ms(written(tmp_path / "b.mp4", bytes(data)))
    assert frames == list(range(400, 10_000, 40))  # from the next keyframe on


def test_a_video_of_which_nothing_decodes_is_refused(tmp_path: Path) -> None:
    data = bytearray(_long(tmp_path / "a.mp4"))
    begin = data.index(b"mdat") + 4
    data[begin:] = random.Random(3).randbytes(len(data) - begin)
    words = refused(written(tmp_path / "b.mp4", bytes(data)))
    assert words.startswith(f"nothing of {NAME} can be decoded: its h264 video is empty or damaged")


def test_a_video_without_frames_is_refused(tmp_path: Path) -> None:
    path = movie(tmp_path / "a.mp4", frames=0, muxer={"movflags": "empty_moov"})
    assert refused(path).startswith(f"nothing of {NAME} can be decoded: its h264 video is empty")


def _saying(data: bytes, duration_ms: float) -> bytes:
    """A Matroska file with another Duration."""
    at = data.index(b"\x44\x89\x88") + 3
    return data[:at] + struct.pack(">d", duration_ms) + data[at + 8 :]


def test_a_container_that_says_too_much_is_taken_for_cut_off(tmp_path: Path) -> None:
    data = _long(tmp_path / "a.mkv")
    words = refused(written(tmp_path / "b.mkv", _saying(data, 60_000)))
    assert "ends after 10.0 s, but says that it has 60.0 s" in words


def test_a_container_that_says_too_little_is_read_to_its_end(tmp_path: Path) -> None:
    path = written(tmp_path / "b.mkv", _saying(_long(tmp_path / "a.mkv"), 3000))
    assert len(watched(path)) == 250
    assert opened(path).metadata.duration_ms == 10_000


def test_pictures_that_claim_to_be_huge_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    prores = movie(tmp_path / "a.mov", frames=1, encoder="prores_ks", pixels="yuv422p10le")
    sized = struct.pack(">HH", 160, 96), struct.pack(">HH", 30_000, 30_000)
    header = prores.read_bytes().replace(*sized)
    words = refused(written(tmp_path / "b.mov", header))
    assert "30000x30000 pixels" in words
    assert f"up to {PIXELS_MAX} pixels" in words

    jpeg = movie(tmp_path / "a.avi", frames=3, encoder="mjpeg", pixels="yuvj420p").read_bytes()
    start_of_frame = b"\xff\xc0\x00\x11\x08"
    inside = jpeg.replace(
        start_of_frame + struct.pack(">HH", 96, 160),
        start_of_frame + struct.pack(">HH", 30_000, 30_000),
    )
    assert inside != jpeg
    assert f"more than {PIXELS_MAX} pixels" in refused(written(tmp_path / "b.avi", inside))


@pytest.mark.parametrize("file", ["a.mp4", "a.mkv", "a.ts", "a.avi"])
@pytest.mark.parametrize("seed", range(4))
def test_damage_anywhere_ends_in_words_or_in_frames(tmp_path: Path, file: str, seed: int) -> None:
    chance = random.Random(seed)
    data = bytearray(movie(tmp_path / file).read_bytes())
    for _ in range(20):
        data[chance.randrange(len(data))] = chance.randrange(256)
    path = written(tmp_path / "b", bytes(data[: chance.randrange(len(data) // 2, len(data))]))
    frames: list[int] = []
    with contextlib.suppress(MediaError):
        frames.extend(frame.timestamp_ms for frame in opened(path).frames(EVERY_FRAME))
    assert frames == sorted(frames)


# --- its life --------------------------------------------------------------------------------


def test_progress_goes_from_nothing_to_all(tmp_path: Path) -> None:
    video = opened(movie(tmp_path / "a.mp4", frames=50))
    assert video.progress == 0
    reached = [video.progress for _ in video.frames(5)]
    assert reached == pytest.approx([at / 2000 for at in range(0, 2000, 200)])
    assert video.progress == 1


def test_frames_begin_anew_with_every_call(tmp_path: Path) -> None:
    video = opened(movie(tmp_path / "a.mp4"))
    first = video.frames(EVERY_FRAME)
    assert [next(first).timestamp_ms, next(first).timestamp_ms] == [0, 40]
    assert [frame.timestamp_ms for frame in video.frames(5)] == list(range(0, 1000, 200))
    assert list(first) == []


def test_a_video_may_be_closed_twice_and_in_the_middle(tmp_path: Path) -> None:
    video = opened(movie(tmp_path / "a.mp4"))
    frames = video.frames(EVERY_FRAME)
    next(frames)
    video.close()
    video.close()
    assert list(frames) == []
    opened(tmp_path / "a.mp4").close()


# --- real recordings -------------------------------------------------------------------------

RECORDINGS = {
    # file: frames sampled 5 times a second, of a video that says …
    "videos/facenet_pytorch_video.mp4": (
        21,
        VideoMetadata("h264", "QuickTime / MOV", 4212, 25.0, 1920, 1080, "LIMITED"),
    ),
    "videos/one-by-one-person-detection.mp4": (
        697,
        VideoMetadata("h264", "QuickTime / MOV", 139_400, 10.0, 768, 432, "LIMITED"),
    ),
    "kvs/vogels_480.mkv": (
        152,
        VideoMetadata("h264", "Matroska / WebM", 30_400, 30_000 / 1001, 640, 480, "LIMITED"),
    ),
    "kvs/output_get_media.mkv": (
        50,
        VideoMetadata("h264", "Matroska / WebM", 10_000, 30.0, 640, 360, "LIMITED"),
    ),
    "kvs/output_get_media_sparse_fragments.mkv": (
        30,
        VideoMetadata("h264", "Matroska / WebM", 10_000, 30.0, 640, 360, "LIMITED"),
    ),
    "kvs/output-get-media-non-increasing-timecode.mkv": (
        60,
        VideoMetadata("h264", "Matroska / WebM", 11_949, 30_000 / 1001, 960, 720, "LIMITED"),
    ),
}


@pytest.mark.testdata
@pytest.mark.parametrize("file", RECORDINGS)
def test_real_recordings_are_read_whole(testdata: Path, file: str) -> None:
    sampled, metadata = RECORDINGS[file]
    video = opened(testdata / file)
    assert video.metadata == metadata
    frames = [frame.timestamp_ms for frame in video.frames(5)]
    assert len(frames) == sampled
    assert frames == sorted(frames)
    assert video.corrupt_total == video.undecodable_total == 0
