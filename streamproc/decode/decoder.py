"""From packets to pictures: H.264 and H.265 through one lasting FFmpeg context per track.

Packets are decoded as they arrive, not fragment by fragment: a picture is there as soon as
the codec gives it out. Where the encoder reorders (B-frames) that is a few packets later, so
the last pictures of a live fragment come while the next one is fed, each with its own
fragment. Knows nothing of networks, sampling or faces. Synchronous; one thread at a time.
"""

from dataclasses import dataclass, field
from typing import TypeAlias, cast

import av

from streamproc.decode.picture_size import PIXELS_MAX, PicturesTooLarge
from streamproc.decode.pixels import Converter
from streamproc.decode.track import VideoTrack, first_video_track
from streamproc.model.media import (
    Fragment,
    FragmentEnded,
    FragmentFailed,
    FragmentStarted,
    Image,
    MediaEvent,
    Packet,
)

_Origin: TypeAlias = tuple[Fragment, float]
"""Where a picture belongs: its fragment and its offset there in seconds."""

BREAK = FragmentEnded("", complete=False)
"""To a decoder: give out what you hold, and go on at a keyframe."""

_GAP_S = 2.0
"""Media time missing between two fragments, from which on frames are taken to be lost."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded frame, still in the codec's own pixel format."""

    fragment: Fragment
    offset_s: float  # from the fragment's Cluster timecode; may be negative
    timestamp: float  # media time in seconds; producer time where the fragment has one
    width: int  # pixels
    height: int
    _frame: av.VideoFrame = field(repr=False)
    _converter: Converter = field(repr=False)

    def image(self) -> Image:
        """Convert to BGR, on any thread. Costs about 0.35 ms at 1280x720: ask only for what will
        be analysed."""
        return self._converter.to_bgr(self._frame)


class VideoDecoder:
    """Decodes the first video track of a stream, across fragments.

    Begins at a keyframe, and looks for one again after a fragment that ended early, failed or
    is missing: in between, FFmpeg would give out pictures full of artefacts without a word.
    Pictures of more than pixels_max pixels, as coded, are refused before they are allocated: the
    rest of the fragment is lost. If no picture comes before the next such refusal, it was no
    damage, and is raised.

    Whoever wants keyframes alone feeds nothing else, and BREAK behind each, which brings it out.
    """

    def __init__(self, *, pixels_max: int = PIXELS_MAX) -> None:
        self._pixels_max = pixels_max
        self._converter = Converter()
        self.frames_total = 0  # pictures given out
        self.corrupt_total = 0  # pictures dropped because FFmpeg says they are damaged
        self.undecodable_total = 0  # packets that FFmpeg refused
        self.skipped_total = 0  # packets passed over in wait of a keyframe
        self._fragment: Fragment | None = None
        self._reached_s = 0.0  # latest media time fed so far
        self._track: VideoTrack | None = None
        self._waiting = True
        self._refused_size = False  # and no picture has come since

    def feed(self, event: MediaEvent) -> list[Picture]:
        """Pictures that this event brings out, in presentation order.

        Raises MediaError if the stream carries no video or too large pictures, UnsupportedCodec
        if it carries video that is neither H.264 nor H.265.
        """
        match event:
            case FragmentStarted(fragment):
                return self._open(fragment)
            case Packet():
                return self._decode(event)
            case FragmentFailed() | FragmentEnded(complete=False):
                return self._resync()
            case FragmentEnded():
                return []  # the codec goes on: what it still holds comes with the next packets

    def opens(self, packet: Packet) -> bool:
        """Whether decoding may begin with this packet, by what is in it and not by its flag.
        Asked before it is fed, when the start of its fragment has been."""
        track = self._track
        return (
            track is not None
            and packet.track == track.number
            and track.opens_decoding(packet.payload)
        )

    @property
    def holds_pictures(self) -> bool:
        """Whether something went in that did not come out yet, or never will. Asked between two
        events."""
        return self._track is not None and self._track.held > 0

    def flush(self) -> list[Picture]:
        """Give out what the codec still holds, at the end of a stream or when it pauses.

        If there was something, decoding resumes at the next keyframe; if not, it just goes on.
        """
        return self._resync() if self.holds_pictures else []

    def _resync(self) -> list[Picture]:
        """What comes next does not lean on what was before."""
        self._waiting = True
        return [] if self._track is None else self._pictures(self._track.drain())

    def _open(self, fragment: Fragment) -> list[Picture]:
        description = first_video_track(fragment.tracks)
        pictures: list[Picture] = []
        if self._fragment is not None and not self._continues(self._fragment, fragment):
            pictures += self._resync()
        if self._track is None or not self._track.serves(description):
            pictures += self._resync()
            self._track = None
        self._fragment = fragment
        self._reached_s = start_s(fragment)
        try:
            self._track = self._track or VideoTrack(description, self._pixels_max)
        except PicturesTooLarge as error:
            self._refuse(error)
        else:
            self._track.number = description.number
        return pictures

    def _continues(self, previous: Fragment, fragment: Fragment) -> bool:
        """Whether the codec may go on from one fragment into the next. If in doubt, no: that
        costs frames only where a fragment does not open on a keyframe."""
        before, now = _sequence(previous.number), _sequence(fragment.number)
        if before is not None and now is not None:
            return now == before + 1
        return -_GAP_S < start_s(fragment) - self._reached_s < _GAP_S

    def _decode(self, packet: Packet) -> list[Picture]:
        track, fragment = self._track, self._fragment
        # To FFmpeg an empty packet means the end of the stream.
        if track is None or fragment is None or packet.track != track.number or not packet.payload:
            return []
        opens = packet.keyframe or (self._waiting and track.opens_decoding(packet.payload))
        if self._waiting and not opens:
            self.skipped_total += 1
            return []
        self._waiting = False
        offset_s = packet.offset_ns / 1e9
        self._reached_s = max(self._reached_s, start_s(fragment) + offset_s)
        try:
            frames = track.decode(packet.payload, opens, (fragment, offset_s))
        except PicturesTooLarge as error:
            self._refuse(error)
            return []
        except (av.FFmpegError, OverflowError):
            self.undecodable_total += 1
            return []
        return self._pictures(frames)

    def _refuse(self, error: PicturesTooLarge) -> None:
        """Raises it the second time in a row."""
        if self._refused_size:
            raise error
        self._refused_size = True
        self.undecodable_total += 1
        self._track, self._waiting = None, True  # with all that FFmpeg holds

    def _pictures(self, frames: list[av.VideoFrame]) -> list[Picture]:
        pictures = []
        for frame in frames:
            if frame.is_corrupt:
                self.corrupt_total += 1
                continue
            self.frames_total += 1
            self._refused_size = False
            fragment, offset_s = cast("_Origin", frame.opaque)
            timestamp = start_s(fragment) + offset_s
            size = frame.width, frame.height
            pictures.append(Picture(fragment, offset_s, timestamp, *size, frame, self._converter))
        return pictures


def start_s(fragment: Fragment) -> float:
    """The media time at which a fragment begins."""
    if fragment.producer_timestamp is not None:
        return fragment.producer_timestamp
    return fragment.timecode_ns / 1e9


def _sequence(number: str) -> int | None:
    """The running number inside a fragment number, None where it is built in another way.

    Observed, not documented: bit 156 is set, bits 92 to 155 count the stream's fragments.
    """
    value = int(number) if number.isascii() and number.isdecimal() else 0
    return value >> 92 & (1 << 64) - 1 if value.bit_length() == 157 else None
