"""How a camera's way into its stream stands, for people and for numbers. Values, and the pure
rules of when a camera is tried again. Knows nothing of how it is read or sent."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from streamproc.aio import backoff_seconds
from streamproc.kvs.coded import Facts


class FeedStatus(StrEnum):
    CONNECTING = "CONNECTING"  # for the first time
    LIVE = "LIVE"
    RETRYING = "RETRYING"  # it may heal by itself
    REFUSED = "REFUSED"  # a person has to change something; tried again now and then


@dataclass(frozen=True, slots=True)
class FeedView:
    """One instant of one feed. Counters rise for as long as the feed runs."""

    status: FeedStatus
    message: str  # in a person's words; "" while all is well
    facts: Facts | None  # None before the camera answered for the first time
    bytes_per_second: float  # of coded video, over the last seconds
    bytes_total: int
    fragments_received_total: int  # acknowledged by the stream
    fragments_persisted_total: int
    last_fragment_timestamp: float | None  # when the last fragment acknowledged began, epoch s
    reconnects_total: int  # times the camera was opened again after it had been live
    sessions_total: int  # of PutMedia
    groups_dropped_total: int  # groups of pictures, while the stream could not be reached
    packets_dropped_total: int
    packets_before_keyframe_total: int  # nothing could have decoded them
    pictures_dropped_total: int  # the encoder was too slow for them
    waiting_s: float  # video that has not been sent yet


QUICK_FOR_S = 300.0
"""So long a camera that is gone is tried often: it was moved, or starts anew."""

_FIRST_WAIT_S, _QUICK_CAP_S, _CAP_S = 0.25, 4.0, 30.0
_REFUSED_WAIT_S, _REFUSED_SPREAD_S = 60.0, 30.0


def retry_wait_s(
    attempt: int, down_s: float, *, is_refused: bool, roll: Callable[[], float]
) -> float:
    """How long to wait before a camera is tried again, in seconds.

    attempt counts from 0, down_s is how long it has been gone. Quick ones are at most 4.25 s
    apart, so that a camera is back within 10 s of its own start. A refusal is repeated seldom:
    cameras lock out who comes with a wrong password again and again.
    """
    if is_refused:
        return _REFUSED_WAIT_S + _REFUSED_SPREAD_S * roll()
    cap_s = _QUICK_CAP_S if down_s < QUICK_FOR_S else _CAP_S
    return _FIRST_WAIT_S + backoff_seconds(attempt, base_s=0.5, cap_s=cap_s, roll=roll)


class Rate:
    """Bytes per second over the last window_s seconds."""

    def __init__(self, window_s: float = 10.0) -> None:
        self._window_s = window_s
        self._slots: deque[tuple[int, int]] = deque()  # a second, and its bytes
        self._since_s: float | None = None

    def add(self, size: int, now_s: float) -> None:
        self._since_s = now_s if self._since_s is None else self._since_s
        second = int(now_s)
        if self._slots and self._slots[-1][0] == second:
            size += self._slots.pop()[1]
        self._slots.append((second, size))
        self._expire(now_s)

    def per_second(self, now_s: float) -> float:
        self._expire(now_s)
        if self._since_s is None:
            return 0.0
        length_s = min(self._window_s, max(1.0, now_s - self._since_s))
        return sum(size for _, size in self._slots) / length_s

    def _expire(self, now_s: float) -> None:
        while self._slots and self._slots[0][0] <= now_s - self._window_s:
            self._slots.popleft()
