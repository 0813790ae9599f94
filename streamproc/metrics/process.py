"""Figures of the process, of its event loop and of the disk; and whether all is well."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from prometheus_client.gc_collector import GC_COLLECTOR
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import PROCESS_COLLECTOR

from streamproc import __version__
from streamproc.disk import DiskView
from streamproc.health import Check
from streamproc.metrics.figure import gauge

INFO: Final = gauge("streamproc_info", "1, with the version in its label.", "version")
CHECK: Final = gauge(
    "streamproc_check_ok",
    "1 if a health check finds nothing wrong, else 0; vital ones decide on /readyz.",
    "check",
    "vital",
)
LOOP_LAG: Final = gauge(
    "streamproc_loop_lag_seconds",
    "How late the event loop comes to a timer: what every camera and request waits.",
)
DISK_FREE: Final = gauge(
    "streamproc_data_folder_free_bytes", "Free space where the data folder is."
)
DISK_SIZE: Final = gauge(
    "streamproc_data_folder_disk_bytes", "Size of the disk that the data folder is on."
)
DATABASE: Final = gauge(
    "streamproc_database_bytes", "Size of each database file, with what is still to be merged.",
    "database",
)  # fmt: skip
READABLE: Final = gauge(
    "streamproc_figures_readable",
    "0 if the figures of a part could not be read, which are then absent, else 1.",
    "part",
)
FIGURES: Final = (INFO, CHECK, LOOP_LAG, DISK_FREE, DISK_SIZE, DATABASE, READABLE)

_TIMER_S: Final = 0.01


async def loop_lag_s() -> float:
    """How late a timer is that is set now: measured when it is asked for, at no cost else."""
    began = time.perf_counter()
    await asyncio.sleep(_TIMER_S)
    return max(0.0, time.perf_counter() - began - _TIMER_S)


def families(
    checks: Sequence[Check], lag_s: float, readable: Mapping[str, bool]
) -> Iterator[Metric]:
    yield INFO.of([((__version__,), 1)])
    yield CHECK.of(
        ((check.name, "yes" if check.vital else "no"), float(check.ok)) for check in checks
    )
    yield LOOP_LAG.one(lag_s)
    yield READABLE.of(((part,), float(is_read)) for part, is_read in readable.items())
    yield from PROCESS_COLLECTOR.collect()
    yield from GC_COLLECTOR.collect()


def disk_families(view: DiskView) -> Iterator[Metric]:
    yield DISK_FREE.one(view.free)
    yield DISK_SIZE.one(view.size)
    yield DATABASE.of(((name,), size) for name, size in view.databases.items())
