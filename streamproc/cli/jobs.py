"""streamproc jobs: what is being done with stored videos, and what was found in them.

A client like any other: the list is an operation of our own, the results come through the Get
operations, page by page. Words for results are job_findings.py's, tables job_tables.py's, pictures
jobs_pictures.py's.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from streamproc.cli import completion
from streamproc.cli.access import (
    CLIENT_CONFIG,
    DEFAULT_ENDPOINT_URL,
    Access,
    EndpointUrl,
    Region,
    find_access,
    plain_words,
)
from streamproc.cli.job_tables import Job, described, finding_table, job_table, shortest
from streamproc.cli.output import (
    AsJson,
    plain,
    print_json,
    print_json_with,
    redraw,
    say,
    show,
    waiting,
)
from streamproc.cli.own_operations import listed
from streamproc.errors import StreamprocError

if TYPE_CHECKING:
    from streamproc.cli.job_findings import Item, Kind, Mark, Summary

jobs = typer.Typer(help="See the jobs on stored videos, and what they found.")

_REDRAW_S = 1.0

Watch = Annotated[
    bool, typer.Option("--watch", help="Redraw until no job is in progress, or Ctrl-C.")
]
Most = Annotated[int, typer.Option("--most", min=1, help="The newest so many.")]


@jobs.callback(invoke_without_command=True)
def _jobs(
    context: typer.Context,
    watch: Watch = False,
    most: Most = 50,
    as_json: AsJson = False,
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
) -> None:
    if context.invoked_subcommand is None:
        list_jobs(watch, most, as_json, endpoint_url, region)


@jobs.command("list")
def list_jobs(
    watch: Watch = False,
    most: Most = 50,
    as_json: AsJson = False,
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
) -> None:
    """The jobs of the region, newest first, and how far they are."""
    access = asyncio.run(find_access(endpoint_url, region))
    found: list[Job] = []

    def draw() -> RenderableType:
        found[:] = asyncio.run(_all_jobs(access))
        return job_table(found, most, time.time())

    def all_done() -> bool:
        return all(job["JobStatus"] != "IN_PROGRESS" for job in found)

    if as_json:
        print_json({"Jobs": asyncio.run(_all_jobs(access))[:most]})
    elif watch:
        redraw(draw, _REDRAW_S, all_done)
    else:
        show(draw())


@jobs.command("show")
def show_job(
    job: Annotated[
        str,
        typer.Argument(
            help="Its id, or as much of it as tells it from others.",
            autocompletion=completion.jobs,
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Folder for annotated frames.")] = None,
    most: Annotated[int, typer.Option(min=1, help="So many frames, spread evenly.")] = 50,
    video: Annotated[
        Path | None, typer.Option(help="The job's video, where it is not read from its bucket.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file of the daemon: where its buckets are.")
    ] = None,
    as_json: AsJson = False,
    endpoint_url: EndpointUrl = DEFAULT_ENDPOINT_URL,
    region: Region = None,
) -> None:
    """What a job found; with --out also as pictures, one per moment."""
    access = asyncio.run(find_access(endpoint_url, region))
    view = _one(asyncio.run(_all_jobs(access)), job)
    if as_json:
        _print_json(access, view)
        return
    say(f"job {view['JobId']}")
    show(job_table([view], 1, time.time()))
    if view["JobStatus"] != "SUCCEEDED":
        if out is not None:
            raise StreamprocError(
                f"job {view['JobId']} is {view['JobStatus']}: there is nothing to draw"
            )
        return
    with plain_words(endpoint_url):
        results = _Results(access, view)
        summary = results.summary()
        show("", plain(described(results.metadata)), finding_table(results.kind, summary))
        if out is not None and summary.items:
            _draw(access, results, out, most, video, config)


@dataclass
class _Results:
    """The results of one job, read again whenever they are asked for: a long video's would not
    fit into memory."""

    access: Access
    job: Job

    def __post_init__(self) -> None:
        import boto3
        from botocore.config import Config

        from streamproc.cli.job_findings import KINDS

        credentials, endpoint_url = self.access.credentials, self.access.endpoint_url
        self.kind: Kind = KINDS[self.job["API"]]
        self.metadata: Mapping[str, Any] = {}
        self._client: Any = boto3.client(
            "rekognition",
            endpoint_url=None if endpoint_url == "aws" else endpoint_url,
            region_name=self.access.region,
            aws_access_key_id=credentials.access_key,
            aws_secret_access_key=credentials.secret_key,
            aws_session_token=credentials.token,
            config=Config(**CLIENT_CONFIG),
        )

    def items(self, **options: str) -> "Iterator[Item]":
        """In order of time, from all pages."""
        request = {"JobId": self.job["JobId"], **options}
        while True:
            page = getattr(self._client, self.kind.method)(**request)
            self.metadata = page.get("VideoMetadata") or {}
            yield from page.get(self.kind.listed, ())
            if not page.get("NextToken"):
                return
            request["NextToken"] = page["NextToken"]

    def summary(self) -> "Summary":
        from streamproc.cli.job_findings import Summary

        summary = Summary(self.kind)
        options = {"AggregateBy": "SEGMENTS"} if self.kind.segments else {}
        for item in self.items(**options):
            summary.add(item)
        return summary


async def _all_jobs(access: Access) -> list[Job]:
    """Newest first."""
    found = await listed(access, "ListStreamprocJobs", "Jobs")
    return sorted(found, key=lambda job: float(job["CreationTimestamp"]), reverse=True)


def _print_json(access: Access, job: Job) -> None:
    """The job, and what the Get operation answers of it if it has succeeded."""
    if job["JobStatus"] != "SUCCEEDED":
        print_json(job)
        return
    with plain_words(access.endpoint_url):
        results = _Results(access, job)
        items = results.items()
        first = next(items, None)  # after which the metadata is known
        found = [] if first is None else chain([first], items)
        print_json_with({**job, "VideoMetadata": results.metadata}, results.kind.listed, found)


def _one(found: Sequence[Job], prefix: str) -> Job:
    """Raises StreamprocError if no job or more than one has an id that begins so."""
    meant = [job for job in found if job["JobId"].startswith(prefix.lower())]
    if not meant:
        raise StreamprocError(f"there is no job {prefix}; run: streamproc jobs")
    if len(meant) > 1:
        some = ", ".join(job["JobId"][: shortest(found)] for job in meant[:5])
        raise StreamprocError(f"{len(meant)} jobs begin with {prefix!r}: {some}; give more of it")
    return meant[0]


def _draw(
    access: Access,
    results: _Results,
    out: Path,
    most: int,
    video: Path | None,
    config: Path | None,
) -> None:
    from streamproc.cli.jobs_pictures import spread, video_of, write_frames

    timestamps = sorted({item["Timestamp"] for item in results.items()})
    chosen = spread(timestamps, most)
    wanted, marks = set(chosen), defaultdict[int, "list[Mark]"](list)
    for item in results.items():
        if item["Timestamp"] in wanted:
            marks[item["Timestamp"]] += results.kind.marks(item)

    def write(path: Path, name: str) -> int:
        with waiting("Drawing …") as tell:
            return write_frames(
                path, name, marks, out, lambda n: tell(f"Drawing … {n} of {len(chosen)}")
            )

    if video is not None:
        written = write(video, str(video))
    else:
        place = results.job["Video"]["S3Object"]
        # Drawn outside of the loop, and of any thread: Ctrl-C ends it at once.
        with TemporaryDirectory(prefix="streamproc-") as scratch, asyncio.Runner() as runner:
            source = video_of(results.job["Video"], access.region, config, Path(scratch))
            path = runner.run(source.__aenter__())
            try:
                written = write(path, f"s3://{place['Bucket']}/{place['Name']}")
            finally:
                runner.run(source.__aexit__(None, None, None))
    rest = f", of {len(timestamps)} moments with results" if len(timestamps) > len(chosen) else ""
    say(f"{written} frames in {out}{rest}")
    if written < len(chosen):
        say(f"{len(chosen) - written} moments have no frame in this video")
