"""What PutRecords costs and meets with, all data streams of the daemon together."""

from collections import Counter
from typing import Final

from streamproc.model.histogram import WORK_S, Histogram

_CODES_MAX: Final = 32
"""Codes come from outside: what names one more is counted as OTHER."""

OTHER: Final = "other"
TIMEOUT: Final = "timeout"
_EXPECTED: Final = (TIMEOUT, "ProvisionedThroughputExceededException", "InternalFailure")


class SinkFigures:
    """Counted by every sink, read by whoever wants to know. For one event loop."""

    def __init__(self) -> None:
        self.seconds = Histogram(WORK_S)  # of calls that were answered, well or not
        self.records_total = 0  # acknowledged
        self.bytes_total = 0  # theirs, keys included
        # By code: calls, and records refused in one. What may be expected is there from the
        # beginning, for what appears with its first value has no rate then.
        self.errors_total: Counter[str] = Counter(dict.fromkeys(_EXPECTED, 0))

    def acknowledged(self, records: int, size: int) -> None:
        self.records_total += records
        self.bytes_total += size

    def failed(self, code: str, count: int = 1) -> None:
        """A call, or as many records of one, met with this: AWS's code, TIMEOUT, or the name of
        an exception."""
        if code not in self.errors_total and len(self.errors_total) >= _CODES_MAX:
            code = OTHER
        self.errors_total[code] += count
