"""A camera, opened: coded packets of its video, as it sends them.

Blocking, for a thread. Knows RTSP, HTTP and files through FFmpeg, and what has to be transcoded.
Knows nothing of streams, of wall-clock time, nor of trying again.
"""

import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from types import TracebackType
from typing import Literal, Protocol, Self, TypeAlias

import av
from av.stream import Discard

from streamproc.errors import MediaError
from streamproc.kvs.camera_failures import CameraRefused, CameraUnreachable, in_words
from streamproc.kvs.camera_url import SourceKind, SourceUrl, parse_source
from streamproc.kvs.coded import CODEC_IDS, CodedPacket, Conformer, Facts
from streamproc.kvs.live_clock import Pacer
from streamproc.kvs.pictures import Part, whole_pictures
from streamproc.kvs.tracks import codec_name, left_out, video_stream
from streamproc.kvs.transcoding import PIXELS_MAX, Latest, TimedPicture, encoded, require_size

Transport: TypeAlias = Literal["tcp", "udp"]

KEYFRAME_TIMEOUT_S = 30.0
"""So long nothing that can be shown may come. Cameras that save bandwidth send a keyframe every
10 s or so."""

_TICKS = 90_000
_FRAME_S = Fraction(1, 25)  # where a source tells neither durations nor a rate
_LEAD_MAX = 6  # packets, more than any camera reorders
_FPS_MAX = 240  # above this it is the clock's rate that is told, not the pictures'
# What a remote playlist or page may lead FFmpeg to; never to a file of this machine.
_PROTOCOLS = {
    SourceKind.RTSP: "rtsp,rtsps,rtp,srtp,udp,tcp,tls",
    SourceKind.HTTP: "http,https,tcp,tls,crypto",
}
_UNTIMED = {"mpjpeg", "mjpeg", "h264", "hevc"}  # formats whose times FFmpeg makes up
_STILLS = {"image2", "jpeg_pipe", "png_pipe", "webp_pipe", "bmp_pipe", "gif_pipe"}


class Input(Protocol):
    """An open source of live video: a camera, or a webcam."""

    facts: Facts
    packets_before_keyframe_total: int
    """Packets that came before one that could be decoded, and were skipped."""

    @property
    def pictures_dropped_total(self) -> int:
        """Pictures that the encoder was too slow for."""
        ...

    def packets(self) -> Iterator[CodedPacket]:
        """Packets from the first keyframe on, as they come, until the source ends.

        Raises CameraRefused or CameraUnreachable.
        """
        ...

    def stop(self) -> None:
        """From any thread: packets() ends when the source next sends something."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None: ...


def open_input(
    source: SourceUrl | str,
    *,
    transport: Transport = "tcp",
    transcode: bool = False,
    timeout_s: float = 10.0,
    verify_tls: bool = True,
) -> Input:
    """Open a camera (or a file, which then plays like one); a context manager.

    transcode makes H.264 of codecs other than H.264 and H.265; of webcams and MJPEG cameras it
    is made anyway, for they have no other form. Opening, and each wait for data, takes at most
    timeout_s. Raises ConfigError if the URL is none, CameraRefused if a person has to change
    something, and CameraUnreachable if the camera may come back by itself.
    """
    source = parse_source(source) if isinstance(source, str) else source
    if source.kind is SourceKind.FOLDER:
        raise CameraRefused(f"{source} is a folder; name one of its videos, or use put-media")
    if source.kind is SourceKind.WEBCAM:
        from streamproc.kvs.webcam import Webcam

        return Webcam(source)
    return CameraInput(source, transport, transcode, timeout_s, verify_tls)


class CameraInput:
    """Implements Input through FFmpeg. Its packets() can be asked for once."""

    def __init__(
        self,
        source: SourceUrl,
        transport: Transport,
        transcode: bool,
        timeout_s: float,
        verify_tls: bool,
    ) -> None:
        self._source = source
        self._timeout_s = timeout_s
        self.packets_before_keyframe_total = 0
        self._resources = ExitStack()
        self._latest: Latest[TimedPicture] | None = None
        self._is_stopped = False
        began_s = time.monotonic()
        options = _options(source, transport, verify_tls)
        try:
            self._container = av.open(
                source.url, "r", options=options, timeout=timeout_s, metadata_errors="replace"
            )
        except (av.FFmpegError, OSError) as error:
            waited_s = time.monotonic() - began_s
            raise in_words(error, source, timeout_s, waited_s) from None
        self._resources.callback(self._container.close)
        try:
            self._stream = self._chosen(transcode)
        except BaseException:
            self._resources.close()
            raise

    def _chosen(self, transcode: bool) -> av.VideoStream:
        source, container = self._source, self._container
        if source.is_live and container.format.name in _STILLS:
            raise CameraRefused(
                f"{source} is a single picture; look for the camera's RTSP or MJPEG address"
            )
        stream = video_stream(container)
        if stream is None:
            raise CameraRefused(f"{source} has no video, only sound or data")
        codec = codec_name(stream)
        transcoding = codec not in CODEC_IDS
        if transcoding and not (transcode or (codec == "mjpeg" and source.is_live)):
            raise CameraRefused(
                f"{source} sends {codec} video, and Kinesis video streams want H.264 or H.265; "
                "set the camera to H.264, or let it be transcoded here (--transcode; in the "
                "config: transcode = true)"
            )
        size = (stream.codec_context.width, stream.codec_context.height)
        if transcoding:
            try:
                require_size(*size)
            except MediaError as error:
                raise CameraRefused(f"{source}: {error}") from None
            # A small file may unpack to gigabytes: no later picture is decoded either.
            stream.codec_context.options = {"max_pixels": str(PIXELS_MAX)}
        for other in container.streams:
            if other is not stream:
                other.discard = Discard.all
        rate = stream.average_rate or stream.guessed_rate
        fps = float(rate) if rate and 0 < rate <= _FPS_MAX else None
        self.facts = Facts(codec, *size, fps, transcoding, left_out(container, stream))
        return stream

    @property
    def pictures_dropped_total(self) -> int:
        return self._latest.dropped_total if self._latest is not None else 0

    def stop(self) -> None:
        self._is_stopped = True

    def packets(self) -> Iterator[CodedPacket]:
        try:
            if self.facts.transcoding:
                self._latest = Latest(self._pictures())
                yield from encoded(self._latest)
            else:
                yield from self._coded()
        except (av.FFmpegError, OSError) as error:
            raise in_words(error, self._source, self._timeout_s) from None
        except MediaError as error:
            raise CameraRefused(f"{self._source}: {error}") from None

    def _coded(self) -> Iterator[CodedPacket]:
        context = self._stream.codec_context
        conformer = Conformer(
            self.facts.codec, context.extradata or b"", context.width, context.height
        )
        coded_s = time.monotonic()
        is_begun = False
        parts = (
            Part(bytes(packet), pts_s, duration_s, packet.is_keyframe)
            for packet, pts_s, duration_s in self._timed()
        )
        for part in whole_pictures(self.facts.codec, parts):
            coded = None
            if is_begun or part.keyframe:
                coded = conformer.packet(part.payload, part.pts_s, part.duration_s, part.keyframe)
            if coded is not None:
                is_begun = True
                yield coded
                coded_s = time.monotonic()
                continue
            self.packets_before_keyframe_total += 1
            if time.monotonic() - coded_s > KEYFRAME_TIMEOUT_S:
                raise CameraRefused(
                    f"{self._source} sent no keyframe for {KEYFRAME_TIMEOUT_S:.0f} s; set the "
                    "camera's keyframe (I-frame) interval to 1 or 2 s",
                    may_pass=True,
                )

    def _pictures(self) -> Iterator[TimedPicture]:
        with self._resources.pop_all():  # closed on the thread that reads
            shown_s = time.monotonic()
            for packet, pts_s, _ in self._timed():
                at_s = pts_s
                frames = _decoded(packet)
                for frame in frames:
                    if frame.pts is not None and not self._is_untimed:
                        at_s = float(frame.pts * (frame.time_base or Fraction(1)))
                    yield TimedPicture(at_s, frame)
                if frames:
                    shown_s = time.monotonic()
                elif time.monotonic() - shown_s > KEYFRAME_TIMEOUT_S:
                    raise CameraUnreachable(
                        f"{self._source} sent no {self.facts.codec} picture that can be decoded "
                        f"for {KEYFRAME_TIMEOUT_S:.0f} s"
                    )

    @property
    def _is_untimed(self) -> bool:
        return self._source.is_live and self._container.format.name in _UNTIMED

    def _timed(self) -> Iterator[tuple["av.Packet[av.VideoStream]", float, float]]:
        """Packets with their time and length in seconds; without times, arrival counts."""
        base = self._stream.time_base or Fraction(1, _TICKS)
        pacer = None if self._source.kind is SourceKind.RTSP or self._is_untimed else Pacer()
        next_s: float | None = None
        for packet in _led(self._data(), base):
            duration_s = float((packet.duration or 0) * base) or (
                1 / self.facts.fps if self.facts.fps else float(_FRAME_S)
            )
            if self._is_untimed or (packet.pts is None and next_s is None):
                pts_s = time.monotonic()
            else:
                pts_s = float(packet.pts * base) if packet.pts is not None else next_s or 0.0
                next_s = pts_s + duration_s
            due_s = packet.dts * base if packet.dts is not None else pts_s
            if pacer is not None and (wait_s := pacer.wait_s(float(due_s), time.monotonic())):
                time.sleep(wait_s)
            yield packet, pts_s, duration_s

    def _data(self) -> Iterator["av.Packet[av.VideoStream]"]:
        for packet in self._container.demux(self._stream):
            if self._is_stopped:
                return
            if packet.size:
                yield packet

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._latest is not None:
            self._latest.close()
        self._resources.close()


def _decoded(packet: "av.Packet[av.VideoStream]") -> list[av.VideoFrame]:
    """No pictures from a packet that is broken, or too large: the next one may be whole."""
    try:
        return packet.decode()
    except av.FFmpegError:
        return []


def _led(
    packets: Iterator["av.Packet[av.VideoStream]"], base: Fraction
) -> Iterator["av.Packet[av.VideoStream]"]:
    """The packets, the first of them with a time. RTSP gives the first keyframe none: it is the
    picture before the earliest of those that follow."""
    held: list[av.Packet[av.VideoStream]] = []
    for packet in packets:
        held.append(packet)
        if held[0].pts is not None or len(held) == _LEAD_MAX:
            break
    times = [packet.pts for packet in held[1:] if packet.pts is not None]
    if held and held[0].pts is None and times:
        held[0].pts = min(times) - (held[0].duration or round(_FRAME_S / base))
    yield from held
    yield from packets


def _options(source: SourceUrl, transport: Transport, verify_tls: bool) -> dict[str, str]:
    options: dict[str, str] = {}
    if source.kind in _PROTOCOLS:
        options["protocol_whitelist"] = _PROTOCOLS[source.kind]
    if source.kind is SourceKind.RTSP:
        options["rtsp_transport"] = transport
        options["allowed_media_types"] = "video"
    if source.is_encrypted and verify_tls:
        options["tls_verify"] = "1"
        if (authorities := ssl.get_default_verify_paths().cafile) is not None:
            options["ca_file"] = authorities
    return options
