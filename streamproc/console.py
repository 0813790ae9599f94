"""The console, joined: what its page is shown, and where each of that comes from.

Whatever the API answers is shown as the API answers it. Knows the parts; what a tab is, or a
stream, is web's affair.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from streamproc import __version__
from streamproc.audit.log import Audit
from streamproc.clock import Clock
from streamproc.config import Config
from streamproc.events.outlet import OutletView
from streamproc.gateway.dispatch import BoundService
from streamproc.model.processor import ProcessorKey
from streamproc.processor.supervisor import Supervisor, UnknownProcessor
from streamproc.web.feed import Feed, Log
from streamproc.web.guard import Guard
from streamproc.web.live import LiveViews
from streamproc.web.pages import Pages
from streamproc.web.routes import Console
from streamproc.web.snapshots import Topic, listing_topic, operation_topic

_JOBS_SHOWN = 50
_PROCESSORS_SHOWN = 1000


class Visits(Protocol):
    """The event service, as far as it is shown."""

    @property
    def log(self) -> Log: ...

    def open_visits(self, region: str | None = None) -> Sequence[Mapping[str, Any]]: ...


class Told(Protocol):
    """Whoever tells others of events."""

    def views(self) -> Sequence[OutletView]: ...


async def open_console(
    config: Config,
    guard: Guard,
    api: BoundService,
    supervisor: Supervisor,
    views: LiveViews,
    audit: Audit,
    clock: Clock,
    *,
    events: Visits | None = None,
    outlets: Told | None = None,
) -> Console:
    """api is Rekognition as it is served. events is None where no events are kept."""
    about = {
        "Version": __version__,
        "AuthRequired": config.auth.required,
        "FacePicturesKeptHours": config.events.face_pictures_kept_hours,
        "EventsKeptDays": config.events.kept_days,
        "Live": True,
    }
    topics = _topics(api, config.server.account_id, events, outlets)
    feed = Feed(topics, events.log if events is not None else None, clock, about)

    def exists(key: ProcessorKey) -> bool:
        try:
            supervisor.describe(key)
        except UnknownProcessor:
            return False
        return True

    return Console(
        guard,
        await asyncio.to_thread(Pages.load),
        feed,
        views,
        audit,
        exists=exists,
        account_id=config.server.account_id,
        streams_max=config.console.streams_max,
    )


def _topics(
    api: BoundService, account_id: str, events: Visits | None, outlets: Told | None
) -> list[Topic]:
    operations: list[tuple[str, str, float, dict[str, Any]]] = [
        ("processors", "ListStreamprocProcessors", 1.0, {"MaxResults": _PROCESSORS_SHOWN}),
        ("cameras", "ListStreamprocCameras", 1.0, {}),
        ("jobs", "ListStreamprocJobs", 2.0, {"MaxResults": _JOBS_SHOWN}),
        ("health", "DescribeStreamproc", 5.0, {}),
    ]
    topics = [
        operation_topic(name, api, operation, account_id=account_id, every_s=every_s, **members)
        for name, operation, every_s, members in operations
    ]
    if events is not None:
        visits = events.open_visits
        topics.append(
            listing_topic("present", "rekognition:ListStreamprocEvents", "Visits", visits)
        )
    if outlets is not None:
        told = outlets.views

        def listed(_region: str) -> list[dict[str, Any]]:
            return [_members(view) for view in told()]

        topics.append(listing_topic("outlets", "rekognition:DescribeStreamproc", "Outlets", listed))
    return topics


def _members(view: OutletView) -> dict[str, Any]:
    """delivered_total becomes DeliveredTotal."""
    return {
        "".join(map(str.capitalize, name.split("_"))): value for name, value in asdict(view).items()
    }
