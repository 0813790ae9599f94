"""What a run of the harness found: a table for people, JSON for machines. Pure."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.chaos.ledger import Verdict

RECOVERY_S_MAX = 10.0

_HEAD = (
    "fault", "injected", "sampled", "arrived", "lost", "duplicated", "stray", "out of order",
    "recovery p50", "max",
)  # fmt: skip


@dataclass
class Row:
    """One fault. troubles: what a person would have had to see to."""

    name: str
    asked: int = 0
    injected: int = 0
    verdict: Verdict = field(default_factory=Verdict)
    recoveries_s: list[float] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    forms: dict[str, int] = field(default_factory=dict)  # how often it took which
    skipped: str = ""  # why it could not be tried here
    cut_short: bool = False  # by --minutes
    recovery_s_max: float = RECOVERY_S_MAX

    @property
    def is_good(self) -> bool:
        if self.skipped:
            return True
        enough = self.injected >= self.asked or (self.cut_short and self.injected > 0)
        slow = max(self.recoveries_s, default=0.0) > self.recovery_s_max
        return enough and not slow and not self.troubles and self.verdict.is_proof

    def cells(self) -> tuple[str, ...]:
        if self.skipped:
            return (self.name, "skipped", *[""] * (len(_HEAD) - 2))
        verdict, times = self.verdict, self.recoveries_s
        return (
            self.name,
            str(self.injected),
            str(verdict.sampled),
            str(verdict.arrived),
            str(verdict.lost),
            str(verdict.duplicated),
            str(verdict.stray),
            str(verdict.out_of_order),
            f"{statistics.median(times):.1f} s" if times else "",
            f"{max(times):.1f} s" if times else "",
        )

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "good": self.is_good}


def table(rows: Sequence[Row]) -> str:
    """Stray: duplicates outside one fragment per crash."""
    cells = [_HEAD, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        first, *rest = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join([row[0].ljust(len(first)), *rest]))
    lines.insert(1, "-" * len(lines[0]))
    for found in rows:
        lines += _words(found)
    return "\n".join(lines)


def _words(row: Row) -> list[str]:
    if row.skipped:
        return [f"{row.name}: skipped: {row.skipped}"]
    words = [f"{row.name}: {note}" for note in row.notes]
    if row.forms:
        forms = ", ".join(f"{form} {count}" for form, count in sorted(row.forms.items()))
        words.insert(0, f"{row.name}: {forms}")
    if row.cut_short:
        words.append(f"{row.name}: {row.injected} of {row.asked}, then --minutes were over")
    if row.is_good:
        return words
    told = [*row.troubles, *row.verdict.examples]
    if row.injected < row.asked and not row.cut_short:
        told.append(f"injected {row.injected} of {row.asked}")
    slow = [time for time in row.recoveries_s if time > row.recovery_s_max]
    told += [f"recovered after {time:.1f} s" for time in slow]
    return words + [f"{row.name}: BAD: {text}" for text in told or ["nothing was sampled"]]
