"""What a fuzzer counts, and the table of it."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

FINDINGS_MAX = 20
_COLUMNS = "{:<9} {:>9} {:>9} {:>9} {:>10} {:>9} {:>8}  {}"


def peak_mb() -> int:
    """Of this program. getrusage's ru_maxrss would be that of who started it, if that is more."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


@dataclass
class Finding:
    """Something that must not happen, and the input that makes it happen."""

    what: str
    reproduction: str


@dataclass
class Tally:
    """Of one fuzzer. Picklable, so that processes can hand theirs in."""

    name: str
    seed: int
    inputs: int = 0
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # by kind of error
    slowest_ms: float = 0.0
    memory_mb: int = 0  # peak of the process under test
    findings: list[Finding] = field(default_factory=list)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """One input."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.inputs += 1
            self.slowest_ms = max(self.slowest_ms, (time.perf_counter() - began) * 1000)

    def refuse(self, error: str) -> None:
        self.refused[error] += 1

    def found(self, what: str, reproduction: str) -> None:
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(Finding(what, reproduction))

    def measure_memory(self) -> None:
        self.memory_mb = max(self.memory_mb, peak_mb())

    def add(self, other: "Tally") -> None:
        self.inputs += other.inputs
        self.accepted += other.accepted
        self.refused += other.refused
        self.slowest_ms = max(self.slowest_ms, other.slowest_ms)
        self.memory_mb = max(self.memory_mb, other.memory_mb)
        for finding in other.findings:
            self.found(finding.what, finding.reproduction)


def merged(tallies: Iterable[Tally]) -> Tally:
    first, *others = tallies
    for other in others:
        first.add(other)
    return first


HEADER = _COLUMNS.format(
    "fuzzer", "inputs", "accepted", "refused", "slowest", "memory", "findings", "refused as"
)


def row(tally: Tally) -> str:
    kinds = ", ".join(f"{name} {count}" for name, count in tally.refused.most_common(6))
    return _COLUMNS.format(
        tally.name, tally.inputs, tally.accepted, tally.refused.total(),
        f"{tally.slowest_ms:.0f} ms", f"{tally.memory_mb} MB", len(tally.findings), kinds,
    )  # fmt: skip
