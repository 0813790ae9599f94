"""Where figures are read from. Knows the parts of the daemon; knows nothing of Prometheus."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from streamproc.cameras.view import CameraView
from streamproc.engines.scheduler import Scheduler
from streamproc.gateway.figures import CallFigures
from streamproc.health import Health
from streamproc.jobs.runner import JobRunner
from streamproc.model.engine import EngineInfo
from streamproc.processor.supervisor import Supervisor
from streamproc.sink.figures import SinkFigures

if TYPE_CHECKING:  # it brings FAISS; and what only a scrape needs
    from streamproc.collection.service import CollectionService
    from streamproc.events.outlet import OutletView
    from streamproc.metrics.outputs import EventFigures


def _none() -> tuple[()]:
    return ()


@dataclass(frozen=True, slots=True)
class Sources:
    """What the daemon hands over. collections and engine raise EngineError while the models
    load."""

    supervisor: Supervisor
    scheduler: Scheduler
    engine: Callable[[], EngineInfo]
    collections: "CollectionService"
    jobs: JobRunner
    sink: SinkFigures
    calls: CallFigures
    health: Health
    data_dir: Path
    events: "EventFigures | None" = None  # None where no events are kept
    outlets: Callable[[], "Sequence[OutletView]"] = field(default=_none)
    cameras: Callable[[], Sequence[CameraView]] = field(default=_none)
