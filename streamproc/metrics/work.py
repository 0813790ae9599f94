"""Figures of what comes in: requests, cameras that the daemon reads, jobs on stored video."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client.metrics_core import Metric

from streamproc.cameras.view import CameraStatus, CameraView
from streamproc.gateway.figures import CallFigures
from streamproc.jobs.runner import JobFigures
from streamproc.metrics.figure import counter, gauge, histogram
from streamproc.model.histogram import Buckets

_OPERATION: Final = ("service", "operation")
REQUESTS: Final = counter(
    "streamproc_http_requests_total",
    "Requests to the API by HTTP status; service and operation are unknown where nobody serves "
    "what was asked for.",
    *_OPERATION,
    "status",
)
REQUEST_SECONDS: Final = histogram(
    "streamproc_http_request_seconds",
    "How long the answer took; of a stream (PutMedia, GetMedia) its head, so until the first byte.",
    *_OPERATION,
)

_CAMERA: Final = ("region", "camera")
CAMERA_STATUS: Final = gauge(
    "streamproc_camera_status",
    "1 for its status, 0 for the others.",
    *_CAMERA,
    "status",
)
CAMERA_BYTES: Final = counter(
    "streamproc_camera_bytes_total", "Bytes of coded video that came from it.", *_CAMERA
)
CAMERA_FRAGMENTS: Final = counter(
    "streamproc_camera_fragments_total", "Fragments that its video stream has.", *_CAMERA
)
CAMERA_RECONNECTS: Final = counter(
    "streamproc_camera_reconnects_total", "Times that it was opened again.", *_CAMERA
)
CAMERA_DROPPED: Final = counter(
    "streamproc_camera_packets_dropped_total",
    "Packets dropped while its stream was out of reach, or the encoder behind.",
    *_CAMERA,
)
CAMERA_LAST: Final = gauge(
    "streamproc_camera_last_fragment_timestamp_seconds",
    "When its stream got the last fragment, since the epoch; absent before the first.",
    *_CAMERA,
)

JOBS: Final = gauge("streamproc_jobs", "Stored-video jobs that are kept.", "status")
JOBS_WAITING: Final = gauge("streamproc_jobs_waiting", "Those that wait for their turn.")
JOB_PROGRESS: Final = gauge(
    "streamproc_job_progress_ratio", "How far a running job is, 0 to 1.", "job", "kind"
)
FIGURES: Final = (
    REQUESTS, REQUEST_SECONDS, CAMERA_STATUS, CAMERA_BYTES, CAMERA_FRAGMENTS,
    CAMERA_RECONNECTS, CAMERA_DROPPED, CAMERA_LAST, JOBS, JOBS_WAITING, JOB_PROGRESS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CallsView:
    """The gateway's figures as they stood, read on its loop."""

    answers_total: Mapping[tuple[str, str, int], int]
    seconds: Mapping[tuple[str, str], Buckets]

    @classmethod
    def of(cls, figures: CallFigures) -> "CallsView":
        seconds = {of: spread.read() for of, spread in figures.seconds.items()}
        return cls(dict(figures.answers_total), seconds)


def call_families(view: CallsView) -> Iterator[Metric]:
    yield REQUESTS.of(
        ((service, operation, str(status)), count)
        for (service, operation, status), count in view.answers_total.items()
    )
    yield REQUEST_SECONDS.spread(view.seconds.items())


def camera_families(views: Sequence[CameraView]) -> Iterator[Metric]:
    yield CAMERA_STATUS.of(
        ((*_of(view), status.value), float(view.status is status))
        for view in views
        for status in CameraStatus
    )
    yield CAMERA_BYTES.of((_of(view), view.bytes_total) for view in views)
    yield CAMERA_FRAGMENTS.of((_of(view), view.fragments_total) for view in views)
    yield CAMERA_RECONNECTS.of((_of(view), view.reconnects_total) for view in views)
    yield CAMERA_DROPPED.of((_of(view), view.packets_dropped_total) for view in views)
    yield CAMERA_LAST.of(
        (_of(view), view.last_fragment_at) for view in views if view.last_fragment_at is not None
    )


def job_families(view: JobFigures) -> Iterator[Metric]:
    yield JOBS.of(((status.value,), count) for status, count in view.by_status.items())
    yield JOBS_WAITING.one(view.waiting)
    yield JOB_PROGRESS.of(((job.id, job.kind.value), job.progress) for job in view.running)


def _of(view: CameraView) -> tuple[str, str]:
    return (view.region, view.name)
