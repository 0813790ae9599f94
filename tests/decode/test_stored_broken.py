"""Files that are no videos, are damaged or mean harm: words, or the frames that there are."""

import random
import re
import struct
from io import BytesIO
from pathlib import Path

import av
import pytest
from PIL import Image as Pillow

from streamproc.decode.picture_size import PIXELS_MAX
from streamproc.errors import MediaError, UnsupportedCodec
from streamproc.model.video import VideoFrame
from tests.decode.clips import film
from tests.decode.movies import movie, sound_only
from tests.decode.watching import EVERY_FRAME, NAME, opened, refused, times_ms, watched, written


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


def _alias(file: Path) -> bytes:
    """A data reference to another file, as a classic Mac OS alias: all that FFmpeg follows."""
    path = f"disk{file}".replace("/", ":").encode()
    places = struct.pack(">HH", 2, len(path)) + path + bytes(len(path) % 2)
    name = bytes([len(file.name)]) + file.name.encode().ljust(63, b"\0")
    levels = struct.pack(">hh", 1, 1)  # both in the same folder
    disk = b"\4" + b"disk".ljust(27, b"\0")
    entry = bytes(14) + disk + bytes(12) + name + bytes(16) + levels + bytes(16) + places
    entry += b"\xff\xff\0\0"
    return struct.pack(">I4s", 8 + len(entry), b"alis") + entry


def test_an_mp4_does_not_read_its_pictures_from_another_file(tmp_path: Path) -> None:
    secret = movie(tmp_path / "secret.mp4")
    data = bytearray(secret.read_bytes())
    begin, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    data[begin:end] = bytes(end - begin)
    own, alias = b"\0\0\0\x0curl \0\0\0\1", _alias(secret)
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        at = data.index(box) - 4
        [size] = struct.unpack_from(">I", data, at)
        struct.pack_into(">I", data, at, size + len(alias) - len(own))
    path = written(tmp_path / "a.mp4", bytes(data).replace(own, alias))
    with av.open(str(path), options={"enable_drefs": "1"}) as container:
        assert len(list(container.decode(video=0))) == 25, "it would be read if it were allowed"
    assert refused(path).startswith(f"{NAME} has no frames")


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
        r"V_MPEG9/\?\[31m/X": mkv.replace(b"V_MPEG4/ISO/AVC", b"V_MPEG9/\x1b[31m/X"),
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


def test_a_video_that_is_taken_away_while_it_is_read_is_told(tmp_path: Path) -> None:
    path = movie(tmp_path / "a.mkv")
    frames = opened(path).frames(EVERY_FRAME)
    next(frames)
    path.unlink()
    with pytest.raises(MediaError, match=f"^{NAME} cannot be read to its end: No such file"):
        list(frames)


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
    assert words.startswith(f"nothing of {NAME} can be decoded: its h264 video is damaged")


HEADERS = {  # what a header ends with
    "a.mkv": (b"\x1f\x43\xb6\x75", {}),
    "live.mkv": (b"\x1f\x43\xb6\x75", {"live": "1"}),
    "a.mp4": (b"mdat", {"movflags": "faststart"}),
    "fragmented.mp4": (b"moof", {"movflags": "frag_keyframe+empty_moov"}),
    "a.avi": (b"movi", {}),
}


@pytest.mark.parametrize("file", HEADERS)
def test_a_header_without_a_frame_is_told_for_what_it_is(tmp_path: Path, file: str) -> None:
    until, muxer = HEADERS[file]
    data = movie(tmp_path / file, muxer=muxer).read_bytes()
    header = data[: data.index(until) + len(until)]
    assert refused(written(tmp_path / "header", header)).startswith(f"{NAME} has no frames")


def test_a_video_without_frames_is_refused(tmp_path: Path) -> None:
    path = movie(tmp_path / "a.mp4", frames=0, muxer={"movflags": "empty_moov"})
    assert refused(path).startswith(f"{NAME} has no frames: its h264 video is empty")


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
    assert f"at most {PIXELS_MAX} are decoded (media.picture_pixels_max)" in words

    jpeg = movie(tmp_path / "a.avi", frames=3, encoder="mjpeg", pixels="yuvj420p").read_bytes()
    start_of_frame = b"\xff\xc0\x00\x11\x08"
    inside = jpeg.replace(
        start_of_frame + struct.pack(">HH", 96, 160),
        start_of_frame + struct.pack(">HH", 30_000, 30_000),
    )
    assert inside != jpeg
    assert f"more than {PIXELS_MAX} pixels" in refused(written(tmp_path / "b.avi", inside))


MANY = struct.pack(">I", 50_000_000)  # FFmpeg's index of so many takes 3 GB


def with_long_size(data: bytes, tag: bytes) -> bytes:
    at = data.index(tag)
    return data[: at - 4] + b"\0\0\0\1" + tag + bytes(4) + data[at - 4 : at] + data[at + 4 :]


def test_samples_that_an_mp4_only_claims_to_have_take_no_memory(tmp_path: Path) -> None:
    whole = movie(tmp_path / "a.mp4").read_bytes()
    parts = movie(tmp_path / "b.mp4", muxer={"movflags": "frag_keyframe+empty_moov"}).read_bytes()
    sizes, run = whole.index(b"stsz"), parts.index(b"trun")
    sized = whole[: sizes + 8] + b"\0\0\0\1" + MANY + whole[sizes + 16 :]
    bombs = [
        sized,
        sized.replace(b"moov", b"free"),  # where FFmpeg finds it all the same
        with_long_size(sized, b"stsz"),
        whole + bytes([0, 16, 0, 0]) + b"free" + bytes(2**20 - 30) + sized[sizes - 4 :],
        parts[: run + 8] + MANY + parts[run + 12 :],
        whole.replace(b"elst" + bytes(4) + b"\0\0\0\1", b"elst" + bytes(4) + MANY),
    ]
    for data in bombs:
        assert data not in (whole, parts)
        words = refused(written(tmp_path / "c.mp4", data))
        assert "pictures and sounds; streamproc reads up to 16000000" in words


def test_an_hour_of_uncompressed_sound_is_not_too_much(tmp_path: Path) -> None:
    path = movie(tmp_path / "a.mov", sound_ms=(0, 1000), sound_encoder="pcm_s16le")
    assert len(watched(path)) == 25
    data = path.read_bytes()
    samples = struct.pack(">I", 48_128)
    assert data.count(samples) >= 2  # of stts and stsz
    hour = data.replace(samples, struct.pack(">I", 48_000 * 3600))
    large = written(tmp_path / "b.mov", hour)
    with large.open("r+b") as file:
        file.truncate(48_000 * 3600 * 2)  # nothing but a hole
    assert len(watched(large)) == 25


def _with_chunks_of(data: bytes, samples: int, table: int) -> bytes:
    """Every run of chunks of this table has so many samples each."""
    at = [found.end() for found in re.finditer(b"stsc", data)][table]
    [runs] = struct.unpack_from(">I", data, at + 4)
    spoilt = bytearray(data)
    for run in range(runs):
        struct.pack_into(">I", spoilt, at + 8 + 12 * run + 4, samples)
    return bytes(spoilt)


@pytest.mark.parametrize("samples", [200_000_000, 2_000_000_000])
def test_chunks_of_sound_that_only_claim_to_be_huge_take_no_memory(
    tmp_path: Path, samples: int
) -> None:
    """FFmpeg counts them by the chunk, and would make 1 GB of index of these 200 kB."""
    data = movie(tmp_path / "a.mov", sound_ms=(0, 1000), sound_encoder="pcm_s16le").read_bytes()
    bomb = _with_chunks_of(data, samples, 1)
    for spoilt in (bomb, bomb.replace(b"moov", b"free"), with_long_size(bomb, b"stco")):
        words = refused(written(tmp_path / "b.mov", spoilt))
        assert "pictures and sounds; streamproc reads up to 16000000" in words


def test_a_table_of_chunks_in_no_order_counts_as_the_most_it_can_mean(tmp_path: Path) -> None:
    data = movie(tmp_path / "a.mov", sound_ms=(0, 1000), sound_encoder="pcm_s16le").read_bytes()
    bomb = bytearray(_with_chunks_of(data, 2_000_000_000, 1))
    at = bomb.rindex(b"stsc") + 12  # the first run begins behind all others
    bomb[at : at + 4] = struct.pack(">I", 1_000_000)
    assert "pictures and sounds" in refused(written(tmp_path / "b.mov", bytes(bomb)))


@pytest.mark.parametrize("track", [2**31, 2**32 - 1])
def test_a_track_with_a_number_that_ffmpeg_counts_up_to_is_refused(
    tmp_path: Path, track: int
) -> None:
    data = movie(tmp_path / "a.mp4", muxer={"movflags": "frag_keyframe+empty_moov"}).read_bytes()
    at = data.index(b"tkhd") + 16
    spoilt = data[:at] + struct.pack(">I", track) + data[at + 4 :]
    for bomb in (spoilt, with_long_size(spoilt, b"tkhd")):
        words = refused(written(tmp_path / "b.mp4", bomb))
        assert "has a track numbered above 2147483647" in words


WORDS = [b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\1", b"\xff" * 8]


def spoiled(data: bytes, chance: random.Random) -> bytes:
    """Bytes changed, cut out, doubled or cut off, half of the time in the header."""
    spoilt = bytearray(data)
    for _ in range(chance.choice([1, 2, 4, 16])):
        at = chance.randrange(min(1500, len(spoilt)) if chance.random() < 0.5 else len(spoilt))
        match chance.randrange(5):
            case 0:
                spoilt[at] ^= 1 << chance.randrange(8)
            case 1:
                word = chance.choice(WORDS)
                spoilt[at : at + len(word)] = word
            case 2:
                del spoilt[at : at + chance.randrange(1, 400)]
            case 3:
                begin = chance.randrange(len(spoilt))
                spoilt[at:at] = spoilt[begin : begin + chance.randrange(1, 2000)]
            case 4 if chance.random() < 0.3:
                del spoilt[at + 1 :]
        spoilt += bytes(not spoilt)
    return bytes(spoilt)


@pytest.mark.parametrize("file", ["a.mp4", "part.mp4", "a.mkv", "live.mkv", "a.ts", "a.avi"])
def test_damage_anywhere_ends_in_words_or_in_frames(tmp_path: Path, file: str) -> None:
    muxer = {"part.mp4": {"movflags": "frag_keyframe+empty_moov"}, "live.mkv": {"live": "1"}}
    data = movie(tmp_path / file, frames=12, muxer=muxer.get(file)).read_bytes()
    told = []
    for seed in range(40):
        path = written(tmp_path / "spoilt", spoiled(data, random.Random(seed)))
        frames: list[int] = []
        words = ""
        try:
            frames.extend(frame.timestamp_ms for frame in opened(path).frames(EVERY_FRAME))
        except MediaError as error:
            words = str(error)
        assert frames == sorted(frames)
        assert len(frames) < 100
        assert words.isprintable()
        told.append(words)
    assert "" in told, "some can be read all the same"
    assert all(NAME in words for words in told if words)
    assert len(set(told)) > 3
