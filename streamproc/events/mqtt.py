"""An MQTT broker as the target of an outlet: every event, what is retained, and the last will.

Publishes with QoS 1 and takes the broker's PUBACK for its yes. Between two connections nothing is
kept here: what waits is in the event log. How topics and payloads look is mqtt_messages.py's, how
a broker is reached mqtt_connection.py's.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from streamproc.events.home_assistant import Discovery
from streamproc.events.mqtt_connection import connected, in_words, obey_cancellation
from streamproc.events.mqtt_messages import (
    OFFLINE,
    ONLINE,
    Message,
    Retained,
    Status,
    Topics,
    event_message,
)
from streamproc.events.ports import CursoredLog, NotTaken
from streamproc.model.event import Event, EventKind
from streamproc.model.processor import ProcessorKey
from streamproc.settings import MqttConfig

if TYPE_CHECKING:
    import aiomqtt

_GOODBYE_S = 2.0
"""How long the end of the daemon waits for a broker to hear of it."""


class VisitLog(CursoredLog, Protocol):
    async def open_visits(self) -> Sequence[Event]:
        """Of each visit that is open on disk one event, no older than the newest_id that was read
        before."""
        ...


class MqttTarget:
    """Implements ports.Target."""

    kind = "mqtt"
    connects = True

    def __init__(
        self,
        config: MqttConfig,
        events: VisitLog,
        statuses: Callable[[], Iterable[Status]],
        *,
        console_url: str = "",
    ) -> None:
        """statuses: of every processor that exists, as it is now."""
        self._config = config
        self._events = events
        self._statuses = statuses
        self._topics = Topics(config.topic_prefix)
        self._discovery = (
            Discovery(config.home_assistant_prefix, self._topics, config.topic_prefix, console_url)
            if config.home_assistant
            else None
        )

    def wants(self, event: Event) -> bool:  # noqa: ARG002
        return True

    @asynccontextmanager
    async def open(self) -> AsyncIterator["MqttSession"]:
        import aiomqtt

        topic = self._topics.availability
        will = aiomqtt.Will(topic, OFFLINE, qos=1, retain=True)
        async with connected(self._config, will) as client:
            session = MqttSession(
                client, self._topics, self._discovery, self._events, self._statuses
            )
            try:
                await session.begin()
                yield session
            finally:
                # The will is for those who leave without a word; whoever says goodbye has to.
                client.timeout = _GOODBYE_S
                with contextlib.suppress(aiomqtt.MqttError):
                    await client.publish(topic, OFFLINE, qos=1, retain=True)


class MqttSession:
    """Implements ports.Session."""

    def __init__(
        self,
        client: "aiomqtt.Client",
        topics: Topics,
        discovery: Discovery | None,
        events: VisitLog,
        statuses: Callable[[], Iterable[Status]],
    ) -> None:
        self._client = client
        self._topics = topics
        self._discovery = discovery
        self._events = events
        self._statuses = statuses
        self._retained = Retained((), ())
        self._telling = asyncio.Lock()  # of retained topics
        self._told_id = 0  # retained topics tell of everything up to this event
        self._next_id: int | None = None  # of the event that follows the one delivered last

    async def begin(self) -> None:
        """Say that we are there, and how everything stands."""
        await self.publish(Message(self._topics.availability, ONLINE, retain=True))
        await self._tell_standing()

    async def attend(self) -> None:
        """Hear what the broker retains of processors that are no more, and make it forget them;
        raises NotTaken when the connection is lost."""
        with in_words():
            await self._client.subscribe(self._topics.every_status, qos=0)
            obey_cancellation()
            async for message in self._client.messages:
                key = self._topics.processor_of(message.topic.value)
                if not (message.retain and message.payload and key):
                    continue
                async with self._telling:
                    if key not in self._retained:
                        await self._forget(key)
        raise NotTaken("the broker has ended the connection")

    async def deliver(self, event: Event) -> None:
        async with self._telling:
            if self._next_id is not None and event.id != self._next_id:
                await self._tell_standing()  # some were passed over
            await self.publish(event_message(event, self._topics))
            self._next_id = event.id + 1
            if event.id > self._told_id:
                await self._tell_change(event)

    async def publish(self, message: Message) -> None:
        """Return with the broker's PUBACK. Raises NotTaken."""
        with in_words():
            await self._client.publish(
                message.topic, message.payload.encode(), qos=1, retain=message.retain
            )
        obey_cancellation()

    async def _tell_standing(self) -> None:
        # In this order: what happens in between is told once more, and nothing is missed.
        self._told_id = self._events.newest_id
        visits = await self._events.open_visits()
        self._retained = Retained(self._statuses(), visits)
        for key in self._retained.processors:
            await self._introduce(key)

    async def _tell_change(self, event: Event) -> None:
        key = (event.region, event.processor)
        is_new = key not in self._retained
        self._retained.apply(event)
        self._told_id = event.id
        if key not in self._retained:
            await self._forget(key)
        elif is_new:
            await self._introduce(key)
        elif event.kind is not EventKind.UPDATE or event.body.get("Change") == "identified":
            await self._publish_all(self._retained.messages(key, self._topics))

    async def _introduce(self, key: ProcessorKey) -> None:
        if self._discovery is not None:
            await self.publish(self._discovery.announced(key))
        await self._publish_all(self._retained.messages(key, self._topics))

    async def _forget(self, key: ProcessorKey) -> None:
        if self._discovery is not None:
            await self.publish(self._discovery.removed(key))
        await self._publish_all(
            Message(topic, "", retain=True) for topic in self._topics.retained(key)
        )

    async def _publish_all(self, messages: Iterable[Message]) -> None:
        for message in messages:
            await self.publish(message)
