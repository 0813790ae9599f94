"""Media times of the packets that are decoded, told from a stream's events as they pass. Pure."""

from streamproc.decode.decoder import start_s
from streamproc.model.media import FragmentStarted, MediaEvent, Packet, TrackKind


class VideoTimes:
    """Follows the events of a stream, in order."""

    def __init__(self) -> None:
        self._video: int | None = None  # number of the track that is decoded
        self._start_s = 0.0

    def of(self, event: MediaEvent) -> float | None:
        """The media time, in seconds, of a packet of the first video track; None of all else."""
        match event:
            case Packet() if event.track == self._video:
                return self._start_s + event.offset_ns / 1e9
            case FragmentStarted(fragment):
                videos = (
                    track.number for track in fragment.tracks if track.kind is TrackKind.VIDEO
                )
                self._video = next(videos, None)
                self._start_s = start_s(fragment)
        return None
