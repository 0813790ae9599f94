"""When a live picture was taken, as well as anybody here can know.

Pure. Knows that a camera's clock has its own zero and its own pace, jumps when it is set, and may
not be there at all; and that networks deliver in bursts. Knows nothing of packets.
"""

from collections import deque

_WINDOW_S = 5.0
"""The least delayed picture of so many seconds tells what the delay of the network is not."""

_SLEW = 0.1
"""Of the time that passes: at most so much is the clock turned, for its pictures stay in order."""

_AHEAD_S_MAX, _LATE_S_MAX = 2.0, 5.0
"""Beyond this a camera's clock was set, or a burst is no burst: its time is anchored anew."""

_REORDER_S_MAX = 2.0
"""How far B-frames step back at most."""


class LiveClock:
    """Wall-clock times for the pictures of one live source, through all of its connections.

        at_s = clock.place(pts_s, arrival_s)

    Anchored to the first arrival, and from then on the source's own pace between pictures, turned
    slowly towards the least delayed arrival of the last seconds. A picture is never dated more than
    2 s into the future. A new anchor takes time back only for that, or if the machine's own clock
    was set back.
    """

    def __init__(self) -> None:
        self.reached_s: float | None = None  # the latest time given
        self.anchors_total = 0
        self._offset_s: float | None = None  # of arrival to presentation time
        self._window: deque[tuple[float, float]] = deque()  # arrival, offset; offsets rise
        self._window_since_s = 0.0
        self._last_arrival_s = 0.0

    def reopened(self) -> None:
        """The source was opened anew, and counts from wherever it likes."""
        self._offset_s = None

    def place(self, pts_s: float, arrival_s: float) -> float:
        """Seconds since the epoch. pts_s has any zero; arrival_s is the wall clock's time."""
        if arrival_s < self._last_arrival_s - _REORDER_S_MAX:
            self._offset_s = self.reached_s = None  # this machine's clock was set back
        if self._offset_s is None:
            self._anchor(pts_s, arrival_s)
        else:
            self._turn(pts_s, arrival_s)
        assert self._offset_s is not None
        at_s = pts_s + self._offset_s
        is_back = self.reached_s is not None and at_s < self.reached_s - _REORDER_S_MAX
        if at_s > arrival_s + _AHEAD_S_MAX or is_back:
            self._anchor(pts_s, arrival_s)
            at_s = pts_s + self._offset_s
        self._last_arrival_s = arrival_s
        self.reached_s = at_s if self.reached_s is None else max(self.reached_s, at_s)
        return at_s

    def _anchor(self, pts_s: float, arrival_s: float) -> None:
        at_s = arrival_s
        if self.reached_s is not None:
            at_s = max(arrival_s, min(self.reached_s + 0.001, arrival_s + _AHEAD_S_MAX))
        self._offset_s = at_s - pts_s
        self._window.clear()
        self._window_since_s = arrival_s
        self.anchors_total += 1

    def _turn(self, pts_s: float, arrival_s: float) -> None:
        assert self._offset_s is not None
        observed_s = arrival_s - pts_s
        while self._window and self._window[-1][1] >= observed_s:
            self._window.pop()
        self._window.append((arrival_s, observed_s))
        while self._window[0][0] < arrival_s - _WINDOW_S:
            self._window.popleft()
        error_s = self._window[0][1] - self._offset_s  # below 0: it is dated too late
        is_known = arrival_s - self._window_since_s >= _WINDOW_S
        if error_s > 0 and not is_known:
            return  # a burst's first pictures are delayed, and say nothing yet
        if error_s > _LATE_S_MAX:
            self._anchor(pts_s, arrival_s)
            return
        step_s = _SLEW * max(0.0, arrival_s - self._last_arrival_s)
        self._offset_s += min(step_s, max(-step_s, error_s))


class Pacer:
    """How long to wait with a picture so that a recording plays as a camera would: for sources
    that hand out more than has happened, such as HLS and files. Bursts and jumps begin anew."""

    def __init__(self) -> None:
        self._offset_s: float | None = None

    def wait_s(self, pts_s: float, now_s: float) -> float:
        """now_s is a clock that never goes back."""
        if self._offset_s is None or not -30.0 < pts_s + self._offset_s - now_s < 10.0:
            self._offset_s = now_s - pts_s
        return max(0.0, pts_s + self._offset_s - now_s)
