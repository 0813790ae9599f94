"""When the frames of a stored video are shown, counted from its start. Pure.

Files are cut, joined and repaired: times begin anywhere, are missing, or start again on the
way. Arithmetic is exact, so that a millisecond is never lost to rounding.
"""

from fractions import Fraction

_RESTART_S = Fraction(1, 2)
"""A step back by more than this is a recording that was joined on; less is an unclean time."""


class Timeline:
    """Places one frame after the other. Media time never steps back."""

    def __init__(self, begin_s: Fraction, frame_s: Fraction) -> None:
        """begin_s: the file's time at which it starts. frame_s: how long a frame is shown
        where it does not say so itself."""
        self.reached_s = Fraction(0)  # the end of the frame that ends last
        self._frame_s = frame_s
        self._shift_s = -begin_s
        self._last_s: Fraction | None = None

    def place(self, shown_s: Fraction | None, duration_s: Fraction = Fraction(0)) -> Fraction:
        """Seconds from the start for the next frame in the order of presentation.

        shown_s is its time as the file counts, None where it has none.
        """
        last_s = self._last_s
        if shown_s is None:
            at_s = self.reached_s
        else:
            if last_s is not None and last_s - (shown_s + self._shift_s) > _RESTART_S:
                self._shift_s = self.reached_s - shown_s
            at_s = shown_s + self._shift_s
        self._last_s = max(at_s, last_s or Fraction(0))
        self.reached_s = max(self.reached_s, self._last_s + (duration_s or self._frame_s))
        return self._last_s

    def skip(self, frames: int) -> None:
        """So many frames without a time were lost: what follows must not move up."""
        self.reached_s += frames * self._frame_s
