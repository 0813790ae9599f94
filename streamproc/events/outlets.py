"""Which outlets there are: what the configuration says, made of parts."""

from collections.abc import Callable, Iterable

from streamproc.clock import Clock
from streamproc.events.log import EventLog
from streamproc.events.mqtt import MqttTarget
from streamproc.events.mqtt_messages import Status
from streamproc.events.outlet import Outlet, Outlets
from streamproc.events.webhooks import WebhookTarget
from streamproc.settings import MqttConfig, WebhooksConfig


async def open_outlets(
    mqtt: MqttConfig,
    webhooks: WebhooksConfig,
    events: EventLog,
    clock: Clock,
    *,
    statuses: Callable[[], Iterable[Status]],
    console_url: str = "",
) -> Outlets:
    """Nothing runs yet. An outlet that is not configured any more loses its place in the log.

    statuses: of every processor that exists, as it is now. Raises StoreUnavailable.
    """
    outlets = [
        Outlet(
            f"webhooks.{name}", WebhookTarget(hook, clock), events, clock,
            waiting_max=hook.events_waiting_max,
        )
        for name, hook in webhooks.root.items()
    ]  # fmt: skip
    if mqtt.url:
        target = MqttTarget(mqtt, events, statuses, console_url=console_url)
        outlets.insert(
            0, Outlet("mqtt", target, events, clock, waiting_max=mqtt.events_waiting_max)
        )
    await events.keep_cursors([outlet.name for outlet in outlets])
    return Outlets(outlets)
