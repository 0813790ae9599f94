"""Stored videos of every kind that people upload."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from streamproc.decode import stored
from streamproc.decode.pixels import Converter, upright
from streamproc.model.media import Image
from streamproc.model.video import VideoFrame, VideoMetadata
from tests.decode.clips import film, in_annex_b
from tests.decode.movies import CORNERS, corners, movie
from tests.decode.watching import EVERY_FRAME, opened, refused, times_ms, watched, written


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

    def counted(frame: av.VideoFrame, converter: Converter) -> Image:
        converted.append(frame)
        return upright(frame, converter)

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
