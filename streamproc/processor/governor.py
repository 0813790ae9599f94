"""One rate of analysis for all cameras that share a machine, by how late they are. Pure.

Every processor of live video tells how far behind it is, and gets the rate to go on with: the
same for all, so that none pays for another. What counts is the median, the lower of two: one
camera that is late alone (its data stream is slow, its pictures are huge) has its own pace
(pace.py). Backlogs do not tell, and are not told.

- Down quickly: further behind than behind_s_high, the rate falls by a step, at twice as much by
  three; then settle_s must pass, and no more is taken away while the cameras catch up well.
- Up carefully: no further behind than behind_s_low for calm_s, the rate rises by step, on trial.
  If lateness comes back before that time has passed again, the calm that is asked for before the
  next trial is twice as long, up to calm_s_max; a trial that goes well halves it. So a rate that
  is one step too high, such as the first at which more than keyframes are decoded, is tried ever
  more seldom.
- Who has told nothing for silent_s, or two frames at this rate, does not count; when nobody is
  left, nothing is remembered.
"""

from dataclasses import dataclass
from statistics import median_low


@dataclass(frozen=True, slots=True)
class GovernorPolicy:
    """Times in seconds; step is the share of a rate that the next lower one is."""

    behind_s_high: float = 0.25
    behind_s_low: float = 0.1
    settle_s: float = 0.5
    calm_s: float = 3.0
    calm_s_max: float = 160.0
    silent_s: float = 5.0
    step: float = 0.7


class Governor:
    """fps is the rate for everyone, in frames per media second: fps_min to fps_max."""

    def __init__(
        self, fps_max: float, fps_min: float, policy: GovernorPolicy = GovernorPolicy()
    ) -> None:
        self._fps_max = fps_max
        self._fps_min = min(fps_min, fps_max)
        self._policy = policy
        self._told: dict[str, tuple[float, float]] = {}  # by processor: when, how far behind
        self._forget()

    def _forget(self) -> None:
        self.fps = self._fps_max
        self._calm_s = self._policy.calm_s
        self._calm_since: float | None = None
        self._changed: float | None = None
        self._behind_s = 0.0  # when it was looked at last, or when the rate was changed
        self._is_trial = False  # the rate was raised, and has not proved itself

    @property
    def is_reduced(self) -> bool:
        return self.fps < self._fps_max

    def told(self, who: str, behind_s: float, now: float) -> float:
        """A processor of live video is so far behind, at this monotonic time. Returns fps."""
        self._told[who] = (now, behind_s)
        behind_s = self._median_s(now)
        if behind_s > self._policy.behind_s_high:
            self._calm_since = None
            self._lower(behind_s, now)
        elif behind_s > self._policy.behind_s_low:
            self._calm_since = None
        elif self._calm_since is None:
            self._calm_since = now
        elif now - self._calm_since >= self._calm_s:
            self._raise(now)
        return self.fps

    def left(self, who: str) -> None:
        """This processor is at rest, or no longer live."""
        self._told.pop(who, None)
        if not self._told:
            self._forget()

    def _median_s(self, now: float) -> float:
        oldest = now - max(self._policy.silent_s, 2 / self.fps)
        return median_low(behind_s for at, behind_s in self._told.values() if at >= oldest)

    def _lower(self, behind_s: float, now: float) -> None:
        if self._changed is not None and now - self._changed < self._policy.settle_s:
            return
        is_catching_up = behind_s < self._policy.step * self._behind_s
        self._behind_s, self._changed = behind_s, now
        if is_catching_up:
            return
        steps = 3 if behind_s > 2 * self._policy.behind_s_high else 1
        if self._is_trial:
            self._calm_s = min(2 * self._calm_s, self._policy.calm_s_max)
            self._is_trial = False
        self.fps = max(self._fps_min, self.fps * self._policy.step**steps)

    def _raise(self, now: float) -> None:
        if self._is_trial:
            self._calm_s = max(self._calm_s / 2, self._policy.calm_s)
        self._is_trial = self.is_reduced
        self.fps = min(self.fps / self._policy.step, self._fps_max)
        self._changed = self._calm_since = now
        self._behind_s = 0.0
