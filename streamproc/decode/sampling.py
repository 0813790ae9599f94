"""Which frames are analysed: the first of every slot of media time. Pure."""

import math

_TIMECODE_ROUNDING_S = 0.0015
"""Timecodes are whole milliseconds, rounded or cut. Without this much tolerance a frame that
was meant to open a slot falls just before it, and a 30 fps stream sampled at 30 fps loses
every third frame. The half keeps whole milliseconds off the edges of slots, where the last bit
of a float would decide."""

KEYFRAME_SLACK = 0.95
"""Where only keyframes are decoded, one that comes by this share of a slot early is its frame:
an encoder's clock and ours differ, and a keyframe a second would sometimes fall into the same
second as the one before."""


class Sampler:
    """Passes the first frame of every 1/fps seconds of media time.

    fps may change at any time. Media time may step back (a producer that starts again): a slot
    is new whenever it differs from the last one.

    Which frames pass depends on fps, their times and the one that passed last, and on nothing
    else: handed passed, the media time of that one, a new sampler goes on as the old one would.

    While keyframes_only, there are no others: then one passes, too, that comes nearly a slot
    (KEYFRAME_SLACK) behind the one before. A stream whose keyframes are as far apart as slots is
    so analysed at each of them, wherever in its slot they are. A new sampler does not know that
    this was so: going on in the middle of such a stream, it may pass one frame that the old one
    would not have, before it is told.
    """

    def __init__(self, fps: float, passed: float | None = None) -> None:
        """Raises ValueError if fps is not above 0."""
        self.fps = fps
        self.keyframes_only = False
        self._passed = passed

    @property
    def fps(self) -> float:
        return self._fps

    @fps.setter
    def fps(self, value: float) -> None:
        if not value > 0:
            raise ValueError(f"fps {value} must be above 0")
        self._fps = value

    def wants(self, timestamp: float) -> bool:
        """Whether the frame at this media time, in seconds, is to be analysed."""
        if not self.is_new(timestamp):
            return False
        self._passed = timestamp
        return True

    def is_new(self, timestamp: float) -> bool:
        """Whether a frame at this media time would open a slot. Asking changes nothing."""
        if self._passed is None or self._slot(timestamp) != self._slot(self._passed):
            return True
        return self.keyframes_only and (timestamp - self._passed) * self._fps >= KEYFRAME_SLACK

    def _slot(self, timestamp: float) -> int:
        return math.floor((timestamp + _TIMECODE_ROUNDING_S) * self._fps)
