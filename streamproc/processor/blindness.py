"""Says so when video comes and no picture of it can be analysed, with what is seen of it.

Pure: time is handed in. Told of what comes as it passes, and reads what the decoder and the others
have counted. That nothing comes at all is silence.py's.
"""

from dataclasses import replace

from streamproc.model.media import MediaEvent, Packet
from streamproc.processor.ports import Report
from streamproc.processor.video_times import VideoTimes
from streamproc.processor.view import Counters


class BlindnessWatch:
    """Counts the time since a frame was sampled, as far as video came in it.

    A pause counts for half of silence_s at most: a camera that comes back after an hour is not
    blind yet. Where frames are far apart by the rate, two of them may be missing.
    """

    def __init__(self, silence_s: float, counters: Counters, report: Report) -> None:
        self._silence_s = silence_s
        self._counters = counters
        self._report = report
        self._times = VideoTimes()
        self._last: float | None = None  # monotonic, when something came
        self._told_s = 0.0  # blind for how long, when it was told last; 0.0 where it was not
        self._begin()

    def _begin(self) -> None:
        self._blind_s = 0.0
        self._count_afresh()

    def _count_afresh(self) -> None:
        self._counted_from_s = self._blind_s
        self._packets = 0  # of video
        self._keyframes = 0
        self._first_s = self._newest_s = 0.0  # the least and the greatest media time
        self._before = replace(self._counters)

    def sampled(self) -> None:
        """A frame goes to analysis."""
        self._begin()
        if self._told_s:
            self._told_s = 0.0
            self._report("")

    def follow(self, event: MediaEvent) -> None:
        """This came, and is no repetition."""
        at_s = self._times.of(event)
        if at_s is None or not isinstance(event, Packet):
            return
        self._first_s = at_s if self._packets == 0 else min(self._first_s, at_s)
        self._newest_s = at_s if self._packets == 0 else max(self._newest_s, at_s)
        self._packets += 1
        self._keyframes += event.keyframe

    def came(self, now: float, fps: float) -> None:
        """Something came, by this monotonic time, and was decoded as far as it is meant to be.
        Tells once it has been too long, and again whenever as much more time has passed."""
        if self._last is not None:
            self._blind_s += min(now - self._last, self._silence_s / 2)
        self._last = now
        patience_s = max(self._silence_s, 2 / fps)
        halfway_s = self._told_s + patience_s / 2
        if self._counted_from_s < halfway_s <= self._blind_s:
            self._count_afresh()  # what came at first may have been well
        if self._blind_s >= self._told_s + patience_s:
            self._told_s = self._blind_s
            self._report(self._words(fps))

    def _words(self, fps: float) -> str:
        counters, before = self._counters, self._before
        corrupt = counters.frames_corrupt_total - before.frames_corrupt_total
        refused = counters.packets_undecodable_total - before.packets_undecodable_total
        passed_over = counters.packets_passed_over_total - before.packets_passed_over_total
        undelivered = counters.fragments_failed_total - before.fragments_failed_total
        since = f"for {self._blind_s:.0f} s"
        if self._packets == 0 and undelivered:
            return (
                f"No video could be delivered {since}: the video stream failed to deliver "
                f"{undelivered} fragments. The daemon's log has its error codes."
            )
        if self._packets == 0:
            return (
                f"Data has come {since}, but no new video in it: does the producer send the "
                "camera's pictures, or its sound alone?"
            )
        if self._keyframes == 0:
            return (
                f"Video has come {since}, but no keyframe, and decoding can begin at nothing "
                "else: let the camera send one every second or two (its keyframe interval, or GOP)."
            )
        decoded = counters.frames_decoded_total - before.frames_decoded_total
        if decoded or (self._newest_s - self._first_s) * fps < 1.0:
            return (
                f"Video has come {since}, but its timestamps stand still or repeat, so there is "
                "nothing new to analyse: let the producer date each picture."
            )
        if not (corrupt or refused) and passed_over > self._packets / 2:
            return (
                f"Video has come {since}, but it was late and passed over: give the machine less "
                "to do, by fewer processors or a lower processors.analysis_fps."
            )
        return (
            f"Video has come {since}, but no picture of it could be decoded: of the last "
            f"{self._packets} packets {refused} were refused, and {corrupt} gave damaged pictures. "
            "If another player shows it well, start the producer again; if not, mend the camera's "
            "way to it (TCP instead of UDP) or the camera's encoder."
        )
