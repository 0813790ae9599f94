"""Jobs and what they found, as tables for a terminal. Renders; asks nobody."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from streamproc.cli.job_findings import Kind, Summary, clock
from streamproc.cli.terminal import harmless

Job: TypeAlias = Mapping[str, Any]
"""As ListStreamprocJobs answers it."""

_SHORT = 8  # of the 64 digits of a job's id; more where that is not enough
_COLOURS = {"SUCCEEDED": "green", "FAILED": "red"}


def shortest(found: Sequence[Job]) -> int:
    """How many digits of their ids tell these jobs from each other."""
    length = _SHORT
    while len({job["JobId"][:length] for job in found}) < len(found) and length < 64:
        length += 1
    return length


def job_table(found: Sequence[Job], most: int, now: float) -> RenderableType:
    """The first so many, as of now (seconds since the epoch); below, why which of them failed."""
    if not found:
        return "there are no jobs"
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("job", "what", "video", "status", "age"):
        # A terminal of 80 columns has to be enough: only the video's name may take more lines.
        table.add_column(heading, no_wrap=heading != "video", overflow="fold")
    if more := len(found) - most:
        table.caption = f"and {more} older; see them with --most {len(found)}" if more > 0 else None
    length = shortest(found)
    reasons = []
    for job in found[:most]:
        place = job["Video"]["S3Object"]
        short_id = job["JobId"][:length]
        table.add_row(
            short_id,
            job["API"].removeprefix("Start"),
            _plain(f"{place['Bucket']}/{place['Name']}"),
            _status(job),
            _age(now - float(job["CreationTimestamp"])),
        )
        if message := job.get("StatusMessage"):
            reasons.append(
                Text(f"\n{job['JobId'][:length]}: {harmless(message)}", _COLOURS["FAILED"])
            )
    return Group(table, *reasons)


def _status(job: Job) -> RenderableType:
    status = job["JobStatus"]
    if status == "IN_PROGRESS":
        return _bar(float(job.get("Progress", 0)))
    return Text(status, _COLOURS[status])


def _plain(text: str) -> str:
    return escape(harmless(text))


def _bar(part: float) -> RenderableType:
    row = Table.grid(padding=(0, 1))
    row.add_row(ProgressBar(total=1.0, completed=part, width=10), f"{part:4.0%}")
    return row


def _age(seconds: float) -> str:
    for length, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def described(metadata: Mapping[str, Any]) -> str:
    """VideoMetadata in a line."""
    if not metadata:
        return "of a video of which nothing is known"
    size = f"{metadata.get('FrameWidth')}×{metadata.get('FrameHeight')}"
    rate = f"{metadata.get('FrameRate', 0):.2f}".rstrip("0").rstrip(".")
    length = clock(metadata.get("DurationMillis", 0))
    return f"{length} of {metadata.get('Codec')}, {size} at {rate} frames per second"


def finding_table(kind: Kind, summary: Summary) -> RenderableType:
    if not summary.items:
        return "nothing was found"
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in (kind.what, "times", "when", kind.how, ""):
        right = heading in {"times", kind.how}
        table.add_column(heading, justify="right" if right else "left")
    for finding in summary.findings:
        surely = f"{finding.confidence:.1f}" if finding.confidence else ""
        row = (str(finding.times), finding.when, surely, _plain(finding.note))
        table.add_row(_plain(finding.name), *row)
    return table
