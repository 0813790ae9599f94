"""Where the next GetMedia begins, so that nothing is missed and little is read twice. Pure.

Source: "StartSelector" of GetMedia in the Kinesis Video Streams developer guide. Amazon's own
consumer resumes by fragment number too, not by continuation token.
"""

from datetime import UTC, datetime
from typing import Any

from streamproc.model.media import (
    Fragment,
    FragmentEnded,
    FragmentFailed,
    FragmentStarted,
    MediaEvent,
)
from streamproc.model.position import AfterFragment, FromServerTime, StartAt, StartPosition


class Cursor:
    """Follows the events of a stream and knows where to go on after a break."""

    def __init__(self, position: StartPosition) -> None:
        self.position = position
        self._open: Fragment | None = None
        self._complete: Fragment | None = None
        self._cut = ""  # the number of the fragment that ended incomplete just now
        self._damaged: str | None = None  # the fragment that was damaged last time, "" if unknown
        self._damaged_reads = 0  # in a row

    def selector(self) -> dict[str, Any]:
        """The StartSelector of the next GetMedia."""
        match self.position:
            case AfterFragment(number):
                return {"StartSelectorType": "FRAGMENT_NUMBER", "AfterFragmentNumber": number}
            case FromServerTime(timestamp):
                start = datetime.fromtimestamp(timestamp, UTC)
                return {"StartSelectorType": "SERVER_TIMESTAMP", "StartTimestamp": start}
            case StartAt():
                return {"StartSelectorType": self.position.name}

    def take(self, event: MediaEvent) -> None:
        match event:
            case FragmentStarted(fragment):
                self._start(fragment)
            case FragmentEnded(number, complete=True):
                self._complete, self._open, self._damaged = self._open, None, None
                if number:
                    self.position = AfterFragment(number)
            case FragmentEnded(number):
                self._cut, self._open = number, None
            case FragmentFailed(number):
                self._fail(number)

    def _start(self, fragment: Fragment) -> None:
        self._open, self._cut = fragment, ""
        # Now is over once it has begun: if this fragment is cut, it is to be read again.
        if self.position is StartAt.NOW and fragment.server_timestamp is not None:
            self.position = FromServerTime(fragment.server_timestamp)

    def _fail(self, number: str) -> None:
        """The service cannot deliver a fragment: go on behind it."""
        if number and self.position != AfterFragment(number):
            self.position = AfterFragment(number)
        else:
            self.forget_number()

    def forget_number(self) -> None:
        """The fragment that we read behind is not known any more: begin with what there is.

        It is older than all that is kept, so no fragment is lost and none comes twice.
        """
        if isinstance(self.position, AfterFragment):
            done = self._complete
            if done is None or done.server_timestamp is None:
                self.position = StartAt.EARLIEST
            else:
                self.position = FromServerTime(done.server_timestamp)

    def skip_damage(self, reads_max: int) -> bool:
        """The media broke: read the fragment again, or skip it if that has happened reads_max
        times in a row.

        Where the damage hides the fragment's number there is nothing to go on behind, and
        reading goes on live. Returns whether something was skipped.
        """
        if self._damaged != self._cut:
            self._damaged, self._damaged_reads = self._cut, 0
        self._damaged_reads += 1
        if self._damaged_reads < reads_max:
            return False
        self._damaged = None
        self.position = AfterFragment(self._cut) if self._cut else StartAt.NOW
        return True
