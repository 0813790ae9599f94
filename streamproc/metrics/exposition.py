"""One scrape: views are read on the event loop, and turned into text on a thread.

With many processors the text takes longer than a frame may wait. Knows which parts there are and
how the two formats are chosen; knows nothing of HTTP.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

import prometheus_client.exposition as text
import prometheus_client.openmetrics.exposition as openmetrics
from prometheus_client.metrics_core import Metric

from streamproc.collection.figures import CollectionFigures
from streamproc.errors import EngineError, StreamprocError
from streamproc.metrics import engine, outputs, process, processors, work
from streamproc.metrics.engine import EngineView
from streamproc.metrics.figure import Figure
from streamproc.metrics.outputs import EventsView, SinkView
from streamproc.metrics.sources import Sources
from streamproc.metrics.work import CallsView
from streamproc.model.engine import EngineInfo

V = TypeVar("V")

Told: TypeAlias = Callable[[], Iterable[Metric]]
"""Figures of one part, from what was read of it; for a thread."""

PARTS: Final[dict[str, Sequence[Figure]]] = {
    "Processors": processors.FIGURES,
    "Engine, collections and search": engine.FIGURES,
    "Records, events and outlets": outputs.FIGURES,
    "Requests, cameras and jobs": work.FIGURES,
    "The process": process.FIGURES,
}
"""Every figure of our own, by what it is about."""


async def scraped(sources: Sources, accept: str) -> tuple[bytes, str]:
    """Every figure as text, and its content type. accept: the request's header; OpenMetrics for
    who asks for it."""
    parts = await _read(sources)
    return await asyncio.to_thread(_encoded, parts, accept)


async def _read(sources: Sources) -> list[Told]:
    parts: list[Told] = [
        partial(processors.families, sources.supervisor.views()),
        partial(engine.families, EngineView.of(sources.scheduler, _info(sources))),
        partial(outputs.sink_families, SinkView.of(sources.sink)),
        partial(outputs.outlet_families, tuple(sources.outlets())),
        partial(work.call_families, CallsView.of(sources.calls)),
        partial(work.camera_families, tuple(sources.cameras())),
    ]
    if sources.events is not None:
        parts.append(partial(outputs.event_families, EventsView.of(sources.events)))

    health = sources.health

    async def told(
        view: Coroutine[Any, Any, V], families: Callable[[V], Iterable[Metric]]
    ) -> Told | None:
        """Trouble with one part must not hide the others, which may tell why."""
        try:
            return partial(families, await view)
        except (StreamprocError, OSError):
            return None

    # Nobody keeps a scrape waiting: what hangs is asked once, however often it is scraped.
    asked = {
        "collections": told(
            health.ask("figures of collections", partial(_collections, sources)),
            engine.search_families,
        ),
        "jobs": told(health.ask("figures of jobs", sources.jobs.figures), work.job_families),
        "disk": told(health.disk(sources.data_dir), process.disk_families),
    }
    checks, answers = await asyncio.gather(health.checks(), asyncio.gather(*asked.values()))
    readable = {name: part is not None for name, part in zip(asked, answers, strict=True)}
    parts += [part for part in answers if part is not None]
    parts.append(partial(process.families, checks, await process.loop_lag_s(), readable))
    return parts


async def _collections(sources: Sources) -> CollectionFigures:
    """Awaited, since the stand-in raises EngineError where it is asked for figures at all."""
    return await sources.collections.figures()


def _info(sources: Sources) -> EngineInfo | None:
    try:
        return sources.engine()
    except EngineError:  # the models are loading
        return None


class _Collected:
    """What prometheus_client takes for a registry."""

    def __init__(self, parts: Sequence[Told]) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        for part in self._parts:
            yield from part()


def _encoded(parts: Sequence[Told], accept: str) -> tuple[bytes, str]:
    # The client's own choice reads versions out of the header, and breaks at one that is none.
    if "application/openmetrics-text" in accept:
        told = openmetrics.generate_latest(_Collected(parts))  # type: ignore[no-untyped-call]
        return told, openmetrics.CONTENT_TYPE_LATEST
    return text.generate_latest(_Collected(parts)), text.CONTENT_TYPE_PLAIN_0_0_4
