"""Jobs and what they found, as tables for a terminal. Renders; asks nobody."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table

from streamproc.cli.job_findings import Kind, Summary, clock
from streamproc.cli.output import age, plain, status_text, table, trouble

Job: TypeAlias = Mapping[str, Any]
"""As ListStreamprocJobs answers it."""

_SHORT = 8  # of the 64 digits of a job's id; more where that is not enough


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
    # A terminal of 80 columns has to be enough: only the video's name may take more lines.
    shown = table("job", "what", "video", "status", "age", fold=("video",))
    if more := len(found) - most:
        shown.caption = f"and {more} older; see them with --most {len(found)}" if more > 0 else None
    length = shortest(found)
    reasons: list[RenderableType] = []
    for job in found[:most]:
        place = job["Video"]["S3Object"]
        short_id = job["JobId"][:length]
        shown.add_row(
            short_id,
            job["API"].removeprefix("Start"),
            plain(f"{place['Bucket']}/{place['Name']}"),
            _status(job),
            age(now - float(job["CreationTimestamp"])),
        )
        if message := job.get("StatusMessage"):
            reasons += ["", trouble(f"{short_id}: {message}")]
    return Group(shown, *reasons)


def _status(job: Job) -> RenderableType:
    status = job["JobStatus"]
    if status == "IN_PROGRESS":
        return _bar(float(job.get("Progress", 0)))
    return status_text(status)


def _bar(part: float) -> RenderableType:
    row = Table.grid(padding=(0, 1))
    row.add_row(ProgressBar(total=1.0, completed=part, width=10), f"{part:4.0%}")
    return row


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
    right = ("times", kind.how)
    headings = (kind.what, "times", "when", kind.how, "")
    shown = table(*headings, right=right, fold=(kind.what, "when", ""))
    for finding in summary.findings:
        surely = f"{finding.confidence:.1f}" if finding.confidence else ""
        row = (str(finding.times), finding.when, surely, plain(finding.note))
        shown.add_row(plain(finding.name), *row)
    return shown
