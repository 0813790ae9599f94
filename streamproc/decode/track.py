"""One video track: which codec it is in, its FFmpeg context, and the framing of its packets.

Knows nothing of fragments, of order or of loss.
"""

from typing import cast

import av

from streamproc.decode.picture_size import (
    announced,
    check_context,
    check_size,
    configured,
    ffmpeg_options,
)
from streamproc.errors import MediaError, UnsupportedCodec
from streamproc.mkv import nal
from streamproc.model.media import Track, TrackKind

_WHOSE = "the stream's"
_TOLD_MAX = 8  # tracks that are named where none of them is video


class VideoTrack:
    """A codec context and the framing that its packets need. Raises PicturesTooLarge if those
    that the track announces have more than pixels_max pixels, as coded."""

    def __init__(self, track: Track, pixels_max: int) -> None:
        self.number = track.number
        self.held = 0  # pictures that went in and did not come out, or never will
        self._codec = _codec_of(track)
        self._private = track.codec_private
        self._pixels_max = pixels_max
        for size in configured(self._codec, track.codec_private):
            check_size(size, pixels_max, _WHOSE)
        self._context, accepted = _open_context(self._codec, track.codec_private, pixels_max)
        self._annex_b = nal.is_annex_b(accepted)
        self._length_size = nal.length_size(self._codec, accepted)
        self._reframe = False

    def serves(self, track: Track) -> bool:
        return _codec_of(track) == self._codec and track.codec_private == self._private

    def opens_decoding(self, payload: bytes) -> bool:
        return nal.opens_decoding(self._codec, self._units(payload))

    def decode(self, payload: bytes, opens: bool, origin: object) -> list[av.VideoFrame]:
        """Frames that come out now, each with the origin it went in with as its opaque.

        Raises av.FFmpegError or OverflowError if the packet is damaged; the next may be fed
        all the same. Raises PicturesTooLarge, after which nothing may be. opens: decoding may
        begin here.
        """
        for size in announced(self._codec, payload, self._length_size):
            check_size(size, self._pixels_max, _WHOSE)
        if opens:
            self._reframe = self._is_framed_otherwise(payload)
        if self._reframe:
            units = self._units(payload)
            payload = (
                nal.with_start_codes(units)
                if self._annex_b
                else nal.with_lengths(units, self._length_size)
            )
            if not payload:
                return []
        coded = av.Packet(payload)
        # The origin travels through the codec with its picture, whatever the order on the other
        # side. Timecodes could not do that: they repeat and step back between fragments.
        coded.opaque = origin
        try:
            frames = self._context.decode(coded)
        finally:
            check_context(self._context, self._pixels_max, _WHOSE)
        self.held += 1 - len(frames)
        return frames

    def drain(self) -> list[av.VideoFrame]:
        """Frames that are still inside. Afterwards the context knows no earlier frame."""
        self.held = 0
        if not self._context.is_open:
            return []
        try:
            frames = self._context.decode(None)
        except av.FFmpegError:
            frames = []
        self._context.flush_buffers()
        return frames

    def _is_framed_otherwise(self, payload: bytes) -> bool:
        """Whether packets are framed in the other way than the parameter sets, which FFmpeg
        takes for the framing of both. Producers do both, some with the other's CodecPrivate."""
        if nal.is_length_prefixed(payload, self._length_size):
            return self._annex_b
        if nal.has_start_code(payload):
            return not self._annex_b
        return self._reframe

    def _units(self, payload: bytes) -> list[bytes]:
        if nal.is_length_prefixed(payload, self._length_size) or not nal.has_start_code(payload):
            return nal.units_by_length(payload, self._length_size)
        return nal.units_by_start_code(payload)


def first_video_track(tracks: tuple[Track, ...]) -> Track:
    """The track we decode. Raises MediaError or UnsupportedCodec, in a person's words."""
    for track in tracks:
        if track.kind is TrackKind.VIDEO:
            _codec_of(track)
            return track
    named = [f"{printable(track.codec_id)} {track.kind}" for track in tracks[:_TOLD_MAX]]
    others = ", ".join([*named, "..."][: len(tracks)])
    raise MediaError(f"the stream carries no video track{', only ' + others if others else ''}")


def _codec_of(track: Track) -> str:
    codec = nal.CODECS.get(track.codec_id)
    if codec is None:
        name = track.codec_id
        if name == "V_MS/VFW/FOURCC":  # a BITMAPINFOHEADER, whose biCompression is the real name
            name += f" {track.codec_private[16:20].decode('ascii', 'replace')}"
        raise UnsupportedCodec(
            f"video codec {printable(name)} is not supported; streamproc reads H.264 and H.265"
        )
    return codec


def printable(name: str) -> str:
    """What media calls itself, for a message: any letters may be in it, any number of them."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:64])


def _open_context(
    codec: str, codec_private: bytes, pixels_max: int
) -> tuple[av.VideoCodecContext, bytes]:
    """A context and the parameter sets it took."""
    try:
        return _new_context(codec, codec_private, pixels_max), codec_private
    except av.FFmpegError:
        # The packets may carry good parameter sets themselves.
        return _new_context(codec, b"", pixels_max), b""


def _new_context(codec: str, codec_private: bytes, pixels_max: int) -> av.VideoCodecContext:
    context = cast("av.VideoCodecContext", av.CodecContext.create(codec, "r"))
    if codec_private:
        context.extradata = codec_private
    # Many streams share the machine; and threads by frame would hold pictures back.
    context.thread_count = 1
    context.copy_opaque = True
    context.options = {**ffmpeg_options(pixels_max)}
    context.open()
    return context
