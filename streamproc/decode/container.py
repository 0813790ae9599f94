"""A stored file as FFmpeg opens it: which containers, which track, how long, and the words for
what is wrong with it.

What people upload is not to be trusted. FFmpeg also reads playlists, scripts and session
descriptions, which name other files or addresses to read: only containers that carry their
own media are let in. And a few bytes of header may claim gigabytes of picture: that is refused
before a picture is allocated. Knows nothing of time, sampling or pixels.
"""

import re
import threading
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import av.logging
from av.stream import Disposition

from streamproc.decode.mp4_claims import check_claims
from streamproc.decode.picture_size import (
    CODECS,
    announced,
    check_context,
    check_size,
    configured,
    ffmpeg_options,
)
from streamproc.decode.track import printable
from streamproc.errors import MediaError, UnsupportedCodec
from streamproc.mkv import nal
from streamproc.mkv.fragments import FragmentParser
from streamproc.model.media import FragmentStarted, TrackKind

_BARE = {"h264", "hevc", "m4v", "obu", "mjpeg", "mpegvideo"}  # no container at all
COUNTED = _BARE | {"avi"}
"""Files that hold no times of presentation; FFmpeg's guesses are out of order where the codec
reorders. Their frames are evenly spaced."""

# FFmpeg's names of demuxers. The audio formats are here so that they are told for what they are.
_CONTAINERS = (
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,mxf,nut,dv,rm,ivf,yuv4mpegpipe,"
    "h264,hevc,m4v,obu,mjpeg,mp3,wav,flac,aac"
)
_READS = "MP4, QuickTime, Matroska, WebM, AVI, MPEG-TS, FLV, ASF, Ogg and some more"
_OPTIONS = {
    "format_whitelist": _CONTAINERS,
    "protocol_whitelist": "file",
    "enable_drefs": "0",  # tracks of MP4 that lie in another file
}
_HEAD_BYTES = 64 * 1024
_PROBED_BYTES = 5_000_000  # FFmpeg's default of probesize
_SCAN_BYTES = 1024 * 1024
_EBML, _DOC_TYPE_BYTES = b"\x1a\x45\xdf\xa3", 64
_DOCUMENT = re.compile(re.escape(_EBML) + b".{1,%d}(matroska|webm)" % _DOC_TYPE_BYTES, re.DOTALL)
_STREAM_LINE = r"Stream #0:{}\b.*?: Video: (\w+).*?(?:\((\S+) / 0x[0-9A-F]+\))?,"
_log_level = threading.Lock()


def open_container(path: Path, name: str, pixels_max: int) -> av.container.InputContainer:
    """Raises MediaError, which calls the file by this name, if it is no media file.

    FFmpeg looks into some pictures already here, but into none of more than pixels_max pixels.
    """
    if not path.is_file():
        raise MediaError(f"{name} is not a file" if path.exists() else f"{name} does not exist")
    try:
        check_claims(path, name)
        _check_announced(path, name, pixels_max)
        options = {**_OPTIONS, **ffmpeg_options(pixels_max)}
        # Absolute, so that no part of the name is taken for a protocol.
        return av.open(str(path.absolute()), "r", options=options, metadata_errors="replace")
    except (av.FFmpegError, OSError) as error:
        raise MediaError(_why_not(path, name, error)) from None


def _check_announced(path: Path, name: str, pixels_max: int) -> None:
    """Raises MediaError if pictures that FFmpeg would look into are too large as coded: that is
    no part of its own limit. A file that cannot be opened passes."""
    whose = f"{name} cannot be decoded: its"
    options = {**_OPTIONS, "codec_whitelist": "none"}  # look into none
    try:
        with av.open(str(path.absolute()), "r", options=options, metadata_errors="replace") as file:
            framing = {}
            for stream in file.streams.video:
                codec = cast("av.VideoCodecContext | None", stream.codec_context)
                if codec is not None and codec.name in CODECS:
                    private = codec.extradata or b""
                    framing[stream.index] = codec.name, nal.length_size(codec.name, private)
                    for size in configured(codec.name, private):
                        check_size(size, pixels_max, whose)
            read = 0
            for packet in file.demux():
                if packet.stream_index in framing:
                    codec_name, length_size = framing[packet.stream_index]
                    for size in announced(codec_name, bytes(packet), length_size):
                        check_size(size, pixels_max, whose)
                read += packet.size
                if read > _PROBED_BYTES or not framing:
                    return
    except av.FFmpegError:
        return  # it will say so again


def video_stream(
    container: av.container.InputContainer, name: str, pixels_max: int
) -> av.VideoStream:
    """The first video track that is no cover picture, ready to decode on one thread.

    Raises MediaError if there is none or if its pictures are too large, UnsupportedCodec if
    this FFmpeg cannot decode it.
    """
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            break
    else:
        kinds = ", ".join(sorted({str(stream.type) for stream in container.streams}))
        what = kinds.replace("video", "a cover picture")
        raise MediaError(f"{name} has no video track{', only ' + what if what else ''}")
    codec = cast("av.VideoCodecContext | None", stream.codec_context)
    if codec is None:  # FFmpeg knows no decoder for it
        raise UnsupportedCodec(
            f"{name} is {_codec_name(container, stream.index)} video, which streamproc cannot "
            f"decode; convert it to H.264 first"
        )
    check_context(codec, pixels_max, f"{name} cannot be decoded: its")
    # Live video comes first: a job may not take every core for one file.
    codec.thread_count = 1
    codec.options = {**ffmpeg_options(pixels_max)}  # for those that the pictures themselves say
    return stream


def begin_s(container: av.container.InputContainer, stream: av.VideoStream) -> Fraction:
    """The file's own time at which it starts to be shown.

    That is where its first track begins, so a picture that comes after the sound keeps its
    delay. Sound before 0 is what its decoder needs to get going, and is not heard.
    """
    sounds = [_start_s(sound) for sound in container.streams.audio]
    begins = [max(start, Fraction(0)) for start in sounds if start is not None]
    return min([_start_s(stream) or Fraction(0), *begins])


def said_duration_s(container: av.container.InputContainer, begin: Fraction) -> Fraction | None:
    """How long the container says it plays, None where it does not say: what FFmpeg tells of
    bare streams is a guess from their size."""
    if not container.duration or container.format.name in _BARE:
        return None
    duration_s = Fraction(container.duration, av.time_base)
    if "matroska" in container.format.name:
        duration_s -= max(begin, Fraction(0))  # it counts from time 0, not from its first frame
    return duration_s if duration_s > 0 else None


def said_end_s(stream: av.VideoStream, begin: Fraction) -> Fraction | None:
    """When this track ends, from the start, where it says so itself."""
    if not stream.duration or not stream.time_base or stream.container.format.name in _BARE:
        return None
    start_s = _start_s(stream)
    delay_s = Fraction(0) if start_s is None else start_s - begin
    return delay_s + stream.duration * stream.time_base


def goes_on(path: Path, name: str, position: int) -> bool:
    """Whether another Matroska document begins at or behind this byte of the file. Raises
    MediaError if the file was taken away meanwhile."""
    overlap = len(_EBML) + _DOC_TYPE_BYTES
    tail = b""
    try:
        with path.open("rb") as file:
            file.seek(position)
            while block := file.read(_SCAN_BYTES):
                tail = tail[-overlap:] + block
                if _DOCUMENT.search(tail):
                    return True
    except OSError as error:
        raise MediaError(f"{name} cannot be read to its end: {error.strerror}") from None
    return False


def _start_s(stream: av.stream.Stream) -> Fraction | None:
    if stream.start_time is None or stream.time_base is None:
        return None
    return stream.start_time * stream.time_base


def _why_not(path: Path, name: str, error: av.FFmpegError | OSError) -> str:
    if isinstance(error, PermissionError):
        return f"{name} may not be read"
    if not isinstance(error, av.FFmpegError):  # nothing was read yet
        return f"{name} cannot be read: {error.strerror}"
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        return f"{name} is empty"
    if isinstance(error, EOFError) or _DOCUMENT.match(head):
        return (
            f"{name} has no frames that can be read; it was cut off behind its header, or damaged"
        )
    if head[4:8] == b"ftyp":
        return (
            f"{name} is an MP4 file without its index (moov) and cannot be played; it was cut "
            "off, or is damaged"
        )
    return f"{name} is not a video that streamproc reads; it reads {_READS}"


def _codec_name(container: av.container.InputContainer, index: int) -> str:
    """What FFmpeg calls the codec of this stream, or else the tag that the file has for it, of
    which only what can be printed."""
    # Of a stream that it cannot decode, PyAV tells nothing; FFmpeg's own summary does.
    with _log_level:
        level = av.logging.get_level()
        av.logging.set_level(av.logging.INFO)
        try:
            summary = str(container.dumps_format())  # type: ignore[attr-defined] # in no stub
        finally:
            av.logging.set_level(level)
    found = re.search(_STREAM_LINE.format(index), summary)
    codec, tag = found.groups() if found else ("none", None)
    if codec != "none":
        return str(codec)
    return printable(tag or _matroska_codec_id(Path(container.name)) or "unknown")


def _matroska_codec_id(path: Path) -> str:
    """Matroska's own name for a codec that FFmpeg has none for."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    try:
        events = FragmentParser().feed(head)
    except MediaError:
        return ""
    for event in events:
        if isinstance(event, FragmentStarted):
            for track in event.fragment.tracks:
                if track.kind is TrackKind.VIDEO:
                    return track.codec_id
    return ""
