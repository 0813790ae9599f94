"""What the page shows beside events: small wholes, each sent again once it has changed.

A topic is read once for all tabs of a region, and only while one is open. Who is slow finds the
newest when they come back for it; nothing waits for them, and nothing is kept of what they
missed. Knows how topics are read and kept; knows no HTTP.
"""

import asyncio
import json
import logging
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from streamproc.aio import of_its_own
from streamproc.clock import Clock
from streamproc.errors import StoreDamaged, StoreUnavailable
from streamproc.gateway.calls import Calls
from streamproc.gateway.dispatch import BoundService, RequestContext
from streamproc.gateway.errors import ServiceError
from streamproc.gateway.rest import build_reply
from streamproc.model.caller import Right
from streamproc.web.sse import Bell, message

log = logging.getLogger(__name__)

Read: TypeAlias = Callable[[str], Awaitable[bytes]]
"""JSON of a region, on one line. Raises whatever goes wrong."""

# A large snapshot is sent less often: this much of one topic to one tab.
_BYTES_PER_S_MAX: Final = 100_000


@dataclass(frozen=True, slots=True)
class Topic:
    """One kind of snapshot; name is that of its messages."""

    name: str
    right: Right  # who has it may see this
    read: Read
    every_s: float = 1.0


def operation_topic(
    name: str,
    service: BoundService,
    operation: str,
    *,
    account_id: str,
    every_s: float = 1.0,
    **members: Any,
) -> Topic:
    """What an operation of the API answers, as its clients would read it. members are those of
    the request. Whoever may call it may see this."""
    model = service.model.operation_model(operation)
    calls = Calls()

    async def read(region: str) -> bytes:
        request_id = str(uuid.uuid4())
        # As anyone: rights are asked for when a tab opens, and a snapshot is for all tabs.
        context = RequestContext(service.name, operation, region, account_id, request_id)
        output = await calls.perform(service, model, dict(members), context)
        # Of a thousand processors it takes a tenth of a second, in which nobody else would turn.
        reply = await asyncio.to_thread(build_reply, model, service.protocol, output, request_id)
        body = reply.body
        assert isinstance(body, bytes)
        return body

    return Topic(name, Right(f"rekognition:{operation}", "*"), read, every_s)


def listing_topic(
    name: str, action: str, member: str, read: Callable[[str], Sequence[Mapping[str, Any]]]
) -> Topic:
    """What no operation lists: {member: what read gives of a region}, for whoever may do
    action."""

    async def listed(region: str) -> bytes:
        return json.dumps({member: read(region)}, separators=(",", ":")).encode()

    return Topic(name, Right(action, "*"), listed)


def trouble(name: str, words: str) -> bytes:
    """The message that tells why nothing comes of a topic."""
    return message("trouble", json.dumps({"Topic": name, "Message": words}).encode())


class Board:
    """The newest snapshots of one region, for as long as somebody looks."""

    def __init__(self, region: str, topics: Iterable[Topic], clock: Clock) -> None:
        self.bell = Bell()  # is rung for every change
        self._region = region
        self._clock = clock
        self._newest: dict[str, tuple[int, bytes]] = {}  # by topic: which version, and its message
        self._troubles: dict[str, str] = {}
        self._tasks = [of_its_own(self._keep(topic)) for topic in topics]

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    def news(self, names: Iterable[str], sent: dict[str, int]) -> bytes:
        """The messages of these topics that are newer than sent, which is brought up to
        them."""
        pieces = []
        for name in names:
            version, text = self._newest.get(name, (0, b""))
            if version > sent.get(name, 0):
                sent[name] = version
                pieces.append(text)
        return b"".join(pieces)

    async def _keep(self, topic: Topic) -> None:
        while True:
            text = await self._message(topic)
            version, known = self._newest.get(topic.name, (0, b""))
            if text != known:
                self._newest[topic.name] = version + 1, text
                self.bell.ring()
            await self._clock.sleep(max(topic.every_s, len(text) / _BYTES_PER_S_MAX))

    async def _message(self, topic: Topic) -> bytes:
        try:
            data = await topic.read(self._region)
        except Exception as error:  # of one topic; the page shows the others
            return trouble(topic.name, self._told(topic.name, error))
        self._troubles.pop(topic.name, None)
        return message(topic.name, data)

    def _told(self, name: str, error: Exception) -> str:
        """The error in words; logged once, not every second."""
        is_told = isinstance(error, ServiceError | StoreUnavailable | StoreDamaged)
        words = str(error) if is_told else "Internal error; the server's log has its cause."
        if self._troubles.get(name) != words:
            self._troubles[name] = words
            log.error("the console's %s: %s", name, words, exc_info=None if is_told else error)
        return words
