"""A client of server-sent events that knows nothing of ours: the HTML standard's parser, 9.2.6."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Message:
    """One event; a comment is one without a name."""

    name: str
    id: str
    data: Any


class Stream:
    """An open stream, read message by message."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer
        self._received = b""

    async def next(self, *names: str) -> Message:
        """The next message with one of these names, or the next at all; "" is a comment. Fails
        if none comes in time, or the stream ends."""
        async with asyncio.timeout(TIMEOUT_S):
            while (message := await self._message()) is not None:
                if not names or message.name in names:
                    return message
        raise EOFError("the stream has ended")

    async def rest(self) -> list[Message]:
        """What comes until the stream ends, or breaks off."""
        found = []
        async with asyncio.timeout(TIMEOUT_S):
            try:
                while (message := await self._message()) is not None:
                    found.append(message)
            except aiohttp.ClientError:
                pass
        return found

    async def _message(self) -> Message | None:
        while True:
            while b"\n\n" not in self._received:
                if not (data := await self.answer.content.readany()):
                    return None
                self._received += data
            block, _, self._received = self._received.partition(b"\n\n")
            lines = [line.partition(":") for line in block.decode().split("\n")]
            fields = {field: value.removeprefix(" ") for field, _, value in lines}
            if "data" in fields:  # ours are of one line
                name, number = fields.get("event", "message"), fields.get("id", "")
                return Message(name, number, json.loads(fields["data"]))
            if "" in fields:
                return Message("", "", None)


@asynccontextmanager
async def listening(
    session: aiohttp.ClientSession, url: str, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Stream]:
    """Open a stream; it must be one."""
    async with session.get(url, headers=headers, timeout=aiohttp.ClientTimeout()) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.content_type == "text/event-stream"
        yield Stream(answer)
