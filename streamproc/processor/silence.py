"""Says so when no video comes. Knows a clock and how long is too long; what comes, and from
where, it never sees."""

from streamproc.clock import Clock
from streamproc.processor.ports import Report


class SilenceWatch:
    """Told when we begin to wait for the source and when something came. Only waiting counts:
    a reader that is busy itself does not listen."""

    def __init__(self, silence_s: float, clock: Clock, report: Report) -> None:
        self._silence_s = silence_s
        self._clock = clock
        self._report = report
        self._since: float | None = None  # monotonic; None while we do not listen
        self._is_told = False

    def listening(self) -> None:
        if self._since is None:
            self._since = self._clock.monotonic()

    def heard(self) -> None:
        self._since = None
        if self._is_told:
            self._is_told = False
            self._report("")

    async def run(self) -> None:
        """Watch for ever; tell once silence_s have passed, and again whenever as much more has."""
        while True:
            since = self._since
            quiet_s = 0.0 if since is None else self._clock.monotonic() - since
            # A clock may wake a sleeper a hair too early.
            if quiet_s >= self._silence_s - 0.001:
                self._is_told = True
                self._report(
                    f"No video has come for {quiet_s:.0f} s: is the camera on, and does it send "
                    "to this stream?"
                )
            await self._clock.sleep(self._silence_s - quiet_s % self._silence_s)
