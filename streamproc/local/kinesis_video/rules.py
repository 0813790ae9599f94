"""What Kinesis Video allows in a PutMedia session. Pure: pieces in, Refused out.

Kept: the limits of size and duration, rising Cluster timecodes, at most 3 tracks, no frame of
an undeclared track, video in every fragment.

Wider than the service, because media that people reasonably send would be refused: a fragment
may be shorter than 1 s (FFmpeg's first and last ones are); only Cluster timecodes must rise,
so a B-frame may reach behind the last frame of the fragment before; a fragment may lack audio
(tracks seldom end together), though not video; producer tags are not counted.
"""

from typing import Final

from streamproc.local.kinesis_video.acks import Refusal, Refused
from streamproc.model.media import Track, TrackKind

TRACKS_MAX: Final = 3
PRODUCER_MS_MAX: Final = 253_402_300_799_999  # the last millisecond of the year 9999


class FragmentRules:
    """One session. Every method raises Refused."""

    def __init__(self, *, bytes_max: int, duration_s_max: float) -> None:
        self._bytes_max = bytes_max
        self._duration_s_max = duration_s_max
        self._tracks: dict[int, Track] = {}
        self._scale_ns = 1_000_000
        self._timecode: int | None = None
        self._bytes = 0
        self._frames: dict[int, tuple[int, int]] = {}  # by track: how many, greatest offset

    def begin_session(self, tracks: tuple[Track, ...], timecode_scale_ns: int) -> None:
        if len(tracks) > TRACKS_MAX:
            raise Refused(
                Refusal.MORE_THAN_ALLOWED_TRACKS_FOUND,
                f"The session declares {len(tracks)} tracks; {TRACKS_MAX} are the most.",
            )
        self._tracks = {track.number: track for track in tracks}
        self._scale_ns = timecode_scale_ns

    def begin_fragment(self, timecode: int, producer_ms: int) -> None:
        if self._timecode is not None and timecode <= self._timecode:
            raise Refused(
                Refusal.FRAGMENT_TIMECODE_LESSER_THAN_PREVIOUS,
                f"Cluster timecode {timecode} follows {self._timecode}; timecodes must rise. "
                "Begin a new session where a recording starts again.",
            )
        if producer_ms > PRODUCER_MS_MAX:
            raise Refused(
                Refusal.INVALID_PRODUCER_TIMESTAMP,
                f"Cluster timecode {timecode} means {producer_ms // 1000} s since the epoch, "
                "which is behind the year 9999; is the timecode type ABSOLUTE by mistake?",
            )
        self._timecode = timecode
        self._bytes = 0
        self._frames = {}

    def data(self, size: int) -> None:
        self._bytes += size
        if self._bytes > self._bytes_max:
            raise Refused(
                Refusal.MAX_FRAGMENT_SIZE_REACHED,
                f"The fragment is larger than {self._bytes_max} bytes; send key frames more "
                "often, or raise video.fragment_bytes_max.",
            )

    def frame(self, track: int, offset: int) -> None:
        """offset is relative to the Cluster's timecode, in units of the scale."""
        if track not in self._tracks:
            declared = ", ".join(map(str, self._tracks)) or "none"
            raise Refused(
                Refusal.TRACK_NUMBER_MISMATCH,
                f"A frame is of track {track}; the tracks declared are: {declared}.",
            )
        seconds = offset * self._scale_ns / 1e9
        if seconds > self._duration_s_max:
            raise Refused(
                Refusal.MAX_FRAGMENT_DURATION_REACHED,
                f"A frame is {seconds:.3f} s behind its fragment's start; {self._duration_s_max} "
                "s are the most. Send key frames more often, or raise "
                "video.fragment_duration_s_max.",
            )
        count, greatest = self._frames.get(track, (0, 0))
        self._frames[track] = (count + 1, max(greatest, offset))

    def end_fragment(self) -> int:
        """Return the fragment's length in milliseconds.

        The last frame lasts as long as the others did on average.
        """
        video = [t.number for t in self._tracks.values() if t.kind is TrackKind.VIDEO]
        missing = [number for number in video if number not in self._frames]
        if missing or not self._frames:
            track = (missing or list(self._tracks))[0]
            raise Refused(
                Refusal.FRAMES_MISSING_FOR_TRACK,
                f"The fragment at timecode {self._timecode} has no frame of track {track}.",
            )
        count, greatest = self._frames[video[0] if video else min(self._frames)]
        length = greatest * count / (count - 1) if count > 1 else 0
        return round(length * self._scale_ns / 1e6)
