"""Figures of the engine, its threads and who waits for them; and of the search behind it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client.metrics_core import Metric

from streamproc.collection.figures import CollectionFigures
from streamproc.engines.scheduler import Scheduler
from streamproc.metrics.figure import gauge, histogram
from streamproc.model.engine import EngineInfo
from streamproc.model.histogram import Buckets

ENGINE: Final = gauge(
    "streamproc_engine_info",
    "1, with what runs in its labels; absent while the models load.",
    "engine",
    "pack",
    "model_version",
    "providers",
)
THREADS: Final = gauge("streamproc_engine_threads", "Inference threads.")
BUSY: Final = gauge("streamproc_engine_threads_busy", "Inference threads at work.")
QUEUE: Final = gauge(
    "streamproc_engine_queue_length", "Pieces of work that wait for a thread.", "work"
)
WAITED: Final = histogram(
    "streamproc_engine_waiting_seconds", "How long work waited for a thread.", "work"
)
WORKED: Final = histogram(
    "streamproc_engine_working_seconds", "How long work was on a thread.", "work"
)
COLLECTIONS: Final = gauge("streamproc_collections", "Collections, of all regions.")
FACES: Final = gauge("streamproc_collection_faces", "Faces in all collections.")
INDEXES: Final = gauge("streamproc_indexes_held", "Search indexes held in memory.")
INDEX_BYTES: Final = gauge("streamproc_index_bytes", "Memory of those indexes.")
SEARCH: Final = histogram(
    "streamproc_search_seconds", "How long an index was searched for the faces of one picture."
)
FIGURES: Final = (
    ENGINE, THREADS, BUSY, QUEUE, WAITED, WORKED, COLLECTIONS, FACES, INDEXES, INDEX_BYTES, SEARCH,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class EngineView:
    """The scheduler as it stood, read on its loop. By work: live or stored."""

    info: EngineInfo | None  # None while the models load
    threads: int
    busy: int
    queued: dict[str, int]
    waiting: dict[str, Buckets]
    working: dict[str, Buckets]

    @classmethod
    def of(cls, scheduler: Scheduler, info: EngineInfo | None) -> "EngineView":
        rings = {"live": scheduler.figures.live, "stored": scheduler.figures.stored}
        return cls(
            info,
            scheduler.threads,
            scheduler.busy,
            {work: scheduler.queued(background=work == "stored") for work in rings},
            {work: ring.waiting.read() for work, ring in rings.items()},
            {work: ring.working.read() for work, ring in rings.items()},
        )


def families(view: EngineView) -> Iterator[Metric]:
    if view.info is not None:
        info = view.info
        labels = (info.name, info.pack, info.model_version, ",".join(info.providers))
        yield ENGINE.of([(labels, 1)])
    yield THREADS.one(view.threads)
    yield BUSY.one(view.busy)
    yield QUEUE.of(((work,), queued) for work, queued in view.queued.items())
    yield WAITED.spread(((work,), buckets) for work, buckets in view.waiting.items())
    yield WORKED.spread(((work,), buckets) for work, buckets in view.working.items())


def search_families(view: CollectionFigures) -> Iterator[Metric]:
    yield COLLECTIONS.one(view.collections)
    yield FACES.one(view.faces)
    yield INDEXES.one(view.indexes)
    yield INDEX_BYTES.one(view.index_bytes)
    yield SEARCH.spread([((), view.search_seconds)])
