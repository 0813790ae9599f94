"""What others may see of a processor: its status, its figures and its troubles."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from streamproc.model.processor import ProcessorSpec
from streamproc.processor.ports import Report
from streamproc.processor.state import ProcessorState

RETRIED: Final = frozenset(
    {"opening", "video stream", "data stream", "analysis", "checkpoint", "state", "events"}
)
"""The parts of a processor that try again and say so each time; the others tell of what is."""


@dataclass(slots=True)
class Counters:
    """Figures of one run, from Start on."""

    frames_decoded_total: int = 0
    frames_sampled_total: int = 0
    frames_analysed_total: int = 0
    faces_total: int = 0
    matches_total: int = 0
    records_total: int = 0  # built
    records_delivered_total: int = 0  # acknowledged by the data stream
    frames_corrupt_total: int = 0  # dropped by the decoder as damaged
    packets_undecodable_total: int = 0
    packets_passed_over_total: int = 0  # not decoded: nobody would have looked, or too late
    fragments_failed_total: int = 0  # the video stream could not deliver them
    gaps_total: int = 0  # jumps to live, or towards it
    gap_s_total: float = 0.0  # video skipped by them
    fps: float = 0.0  # frames analysed per media second, at present
    frames_in_hand: int = 0  # from analysis until the sink has the record: 0 or 1
    lag_s: float = 0.0  # age of the frame sampled last, where the stream tells

    @property
    def records_undelivered(self) -> int:
        return self.records_total - self.records_delivered_total


@dataclass(frozen=True, slots=True)
class ProcessorView:
    """A processor as it stood when it was asked for. Times are seconds since the epoch."""

    spec: ProcessorSpec
    state: ProcessorState
    message: str  # why it FAILED, what is being retried, or ""
    created_at: float
    updated_at: float  # of the last change of state
    counters: Counters
    retries_total: Mapping[str, int] = field(default_factory=dict)
    """By part, of RETRIED: how often it had to try again in this run."""


class Notices:
    """What several parts have to report at once, as one text."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._retries: Counter[str] = Counter()

    @property
    def retries_total(self) -> Mapping[str, int]:
        """By part, of RETRIED: how often it has told of trouble."""
        return dict(self._retries)

    @property
    def text(self) -> str:
        return " ".join(text for text in self._texts.values() if text)

    def slot(self, part: str, *, instead_of: Sequence[str] = ()) -> Report:
        """Where one part reports; "" takes its last report back. What it reports is so instead of
        what those parts reported."""

        def report(text: str) -> None:
            self._texts[part] = text
            if text:
                self._texts.update(dict.fromkeys(instead_of, ""))
            if text and part in RETRIED:
                self._retries[part] += 1

        return report

    def clear(self) -> None:
        self._texts.clear()
