"""What the kernel says of a process: CPU time and memory. Linux, /proc."""

import os
from dataclasses import dataclass
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    cpu_s: float  # user and system, of all threads, since the process began
    resident_mb: float
    proportional_mb: float  # resident, pages shared with other processes counted in part


def usage(pid: int) -> Usage:
    """Raises ProcessLookupError or FileNotFoundError once the process is gone."""
    folder = Path(f"/proc/{pid}")
    return Usage(
        cpu_s(pid),
        _kilobytes((folder / "status").read_text(), "VmRSS") / 1024,
        _kilobytes((folder / "smaps_rollup").read_text(), "Pss") / 1024,
    )


def cpu_s(pid: int) -> float:
    """User and system time so far, to a hundredth of a second."""
    return parse_cpu_s(Path(f"/proc/{pid}/stat").read_text())


def resident_mb(pid: int) -> float:
    return _kilobytes(Path(f"/proc/{pid}/status").read_text(), "VmRSS") / 1024


def parse_cpu_s(stat: str) -> float:
    """utime and stime of proc_pid_stat(5), fields 14 and 15; the name before them may hold
    anything, spaces and brackets included."""
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def _kilobytes(text: str, name: str) -> int:
    for line in text.splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise ProcessLookupError(f"the kernel tells no {name}: the process has ended")
