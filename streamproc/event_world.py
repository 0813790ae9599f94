"""Events, joined: what tells of them, and whom they are told.

Knows the event service, the outlets and the supervisor; what an event is, or a broker, is the
affair of streamproc/events.
"""

from collections.abc import Callable
from contextlib import AsyncExitStack

from streamproc.clock import Clock
from streamproc.config import Config
from streamproc.errors import ConfigError
from streamproc.events.mqtt_messages import Status
from streamproc.events.outlet import Outlets
from streamproc.events.outlets import open_outlets
from streamproc.events.service import EventService, remove_pictures
from streamproc.processor.supervisor import Supervisor


async def open_events(
    config: Config, similarity: Callable[[float], float], clock: Clock, stack: AsyncExitStack
) -> EventService | None:
    """None where no events are kept; then no pictures are left either. Closed by the stack."""
    if not config.events.enabled:
        await remove_pictures(config.storage.data_dir)
        return None
    events = await EventService.open(config.storage.data_dir, config.events, clock, similarity)
    stack.push_async_callback(events.aclose)
    return events


async def open_outlets_of(
    config: Config, events: EventService | None, supervisor: Supervisor, url: str, clock: Clock
) -> Outlets:
    """None are in it where no events are kept. Raises ConfigError if some are configured then."""
    if events is None:
        if config.mqtt.url or config.webhooks.root:
            raise ConfigError("[mqtt] and [webhooks] tell of events: events.enabled must be true")
        return Outlets(())

    def statuses() -> list[Status]:
        return [
            Status(*view.spec.key, view.state.value, view.message, view.updated_at)
            for view in supervisor.views()
        ]

    console_url = f"{url.rstrip('/')}/console/" if config.console.enabled else ""
    return await open_outlets(
        config.mqtt, config.webhooks, events.log, clock, statuses=statuses, console_url=console_url
    )


def tell_of_what_changed(events: EventService | None, supervisor: Supervisor) -> None:
    """What became of processors without a word, when a daemon ended before it was told."""
    if events is not None:
        statuses = [(view.spec, view.state.value, view.message) for view in supervisor.views()]
        events.go_on(statuses, supervisor.is_busy)
