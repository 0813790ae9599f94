"""How many frames a second to analyse, and when to give up and jump to live.

Pure. What counts is not how old the video is but how much older it grows through us: a
recording, a backlog read after a restart or a stream that comes back after an outage are old
without our doing, and nothing of them is skipped. So between two sampled frames

    grown  = wall time that passed - media time that passed
    waited = time spent waiting for the source
    busy   = wall time that passed - waited
    behind = max(0, behind + min(grown, busy - waited))

Reading a backlog faster than real time lets behind fall. Waiting for the source never lets it
rise, and wins back as much: who has nothing to do is not late, whatever delays are on the way.
A machine that is slower than real time may still finish its first backlog at the full rate: what
grows over a backlog is forgiven, and as much as is allowed at all on top, until it has caught up
once.

This is the pace of one processor, which nobody else minds; that of all is governor.py's.
"""

import math
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class RatePolicy:
    """When to change the rate: down one step at a time, and up again only after a calm."""

    fps_max: float
    fps_min: float
    behind_s_high: float  # further behind than this: one step down
    behind_s_low: float  # no further than this, for calm_s: one step up
    settle_s: float = 2.0  # a step down shows its effect for this long before the next
    calm_s: float = 10.0
    step: float = 0.7  # each step is this share of the one above

    @classmethod
    def within(cls, fps_max: float, fps_min: float, lag_s_max: float) -> Self:
        """The usual policy: it forgives a short load, and acts well before lag_s_max."""
        return cls(fps_max, min(fps_min, fps_max), lag_s_max / 5, lag_s_max / 20)

    def next_fps(self, fps: float, behind_s: float, unchanged_s: float) -> float:
        """The rate to go on with; unchanged_s is how long fps has been in force."""
        if behind_s > self.behind_s_high and unchanged_s >= self.settle_s:
            return max(self.fps_min, fps * self.step)
        if behind_s <= self.behind_s_low and unchanged_s >= self.calm_s:
            return min(self.fps_max, fps / self.step)
        return fps


class Pace:
    """Measures how far we fall behind; follows its policy.

    lag_s_max: fallen behind by more than this, is_lost says that live is the only way on.
    has_backlog: reading does not begin at live.
    """

    def __init__(self, policy: RatePolicy, lag_s_max: float, *, has_backlog: bool = False) -> None:
        self._policy = policy
        self._lag_s_max = lag_s_max
        self._forgiven_s = lag_s_max if has_backlog else 0.0
        self._grown_s = 0.0
        self._waited_s = 0.0
        self._last: tuple[float, float] | None = None
        self._changed: float | None = None
        self._fps = policy.fps_max
        self.fps_allowed = math.inf  # by others than our own policy (governor.py)

    @property
    def fps(self) -> float:
        """The rate to go on with, in frames per media second."""
        return min(self._fps, self.fps_allowed)

    @property
    def behind_s(self) -> float:
        return max(0.0, self._grown_s - self._forgiven_s)

    @property
    def is_lost(self) -> bool:
        return self.behind_s > self._lag_s_max

    @property
    def is_reduced(self) -> bool:
        return self.fps < self._policy.fps_max

    def waited(self, seconds: float) -> None:
        """The source had nothing for this long: time that is not ours."""
        self._waited_s += seconds

    def observe(self, now: float, media: float, *, is_backlog: bool = False) -> float:
        """A frame was sampled: now by a monotonic clock, media by its own timestamp.

        is_backlog: it came in before reading began. Returns fps.
        """
        if self._last is not None:
            played = media - self._last[1]
            self._grown_s = self._grown_s_at(now, media)
            if is_backlog:
                self._forgiven_s = self._grown_s + self._lag_s_max
            elif self._waited_s > played / 2 > 0:
                self._forgiven_s = 0.0  # the source is the slower one: this is live
            elif self.is_reduced:
                # Too much for this machine, so it is over: what is won back stays won.
                self._forgiven_s = min(self._forgiven_s, self._grown_s)
        self._last = (now, media)
        self._waited_s = 0.0
        if self._changed is None:
            self._changed = now
        fps = self._policy.next_fps(self._fps, self.behind_s, now - self._changed)
        if fps > self._fps and self._grown_s > self._policy.behind_s_low:
            fps = self._fps  # what was forgiven is made up for first
        if fps != self._fps:
            self._fps, self._changed = fps, now
        return self.fps

    def behind_s_at(self, now: float, media: float) -> float:
        """How far behind a frame of this media time would be, were it sampled now."""
        return max(0.0, self._grown_s_at(now, media) - self._forgiven_s)

    def _grown_s_at(self, now: float, media: float) -> float:
        if self._last is None:
            return self._grown_s
        elapsed, played = now - self._last[0], media - self._last[1]
        busy = elapsed - self._waited_s
        return max(0.0, self._grown_s + min(elapsed - played, busy - self._waited_s))

    def jumped(self) -> None:
        """Reading goes on at live: nothing is behind us any more."""
        self._grown_s = self._forgiven_s = self._waited_s = 0.0
        self._last = self._changed = None  # no calm has been seen there yet
