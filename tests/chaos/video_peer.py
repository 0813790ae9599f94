"""A Kinesis Video that misbehaves on command: GetDataEndpoint and GetMedia of streams that grow
by themselves, one fragment of the film after the other.

Two kinds of trouble: with what a stream holds (twist) and with how it is delivered (disturb).
The stream's ledger says what is due in spite of it.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from aiohttp import web

from tests.chaos.film import FRAGMENT_MS, FRAME_MS, FRAMES, Coded, Film, document, error_document
from tests.chaos.ledger import Ledger

BEGIN_MS = 1_700_000_000_000
_BLOCK = 1000  # fragment numbers that a producer's session takes; a new one begins a new block
MET_S_MAX = 60.0  # until somebody reads what is to go wrong
_BLOCK_ELEMENT = b"\xa3"
_CLUSTER_ID = b"\x1f\x43\xb6\x75"

TWISTS = ("missing", "swapped numbers", "swapped times", "overlap", "new clock", "damaged packet",
          "damaged", "damaged in size", "undeliverable")  # fmt: skip
DISTURBANCES = ("cut", "end", "error", "repeat", "damage", "damage in size")


@dataclass
class Document:
    number: int
    start_ms: int
    data: bytes = field(repr=False)
    damage: str = ""
    is_undeliverable: bool = False


@dataclass
class Order:
    """One thing to go wrong, and whether it has."""

    what: str
    done: asyncio.Event = field(default_factory=asyncio.Event)


class PeerStream:
    """A video stream, and the camera that fills it."""

    def __init__(self, film: Film, chance: random.Random, pace: float) -> None:
        """pace: fragments per second."""
        self.ledger = Ledger()
        self.documents: list[Document] = []
        self.changed = asyncio.Event()
        self._film = film
        self._chance = chance
        self._pause_s = 1 / pace
        self._index = 0  # of the film
        self._sequence = 1
        self._clock_ms = BEGIN_MS
        self._twists: list[Order] = []
        self._disturbances: list[Order] = []
        self._recording = asyncio.Event()
        self._recording.set()

    async def twist(self, what: str) -> None:
        """Return once the stream holds it, and a fragment behind it."""
        assert what in TWISTS
        await self._carried_out(self._twists, Order(what))
        before = len(self.documents)
        async with asyncio.timeout(MET_S_MAX):
            while len(self.documents) == before:
                await self.changed.wait()

    async def disturb(self, what: str) -> None:
        """Return once a reader has met with it."""
        assert what in DISTURBANCES
        await self._carried_out(self._disturbances, Order(what))

    @property
    def is_idle(self) -> bool:
        return not self._recording.is_set()

    def pause(self) -> None:
        self._recording.clear()

    def go_on(self) -> None:
        self._recording.set()

    async def run(self) -> None:
        while True:
            await self._recording.wait()
            order = self._twists.pop(0) if self._twists else Order("")
            self._add(order.what)
            order.done.set()
            changed, self.changed = self.changed, asyncio.Event()
            changed.set()
            await asyncio.sleep(self._pause_s)

    def behind(self, selector: dict[str, str]) -> int:
        """The index of the document that a GetMedia with this selector begins with."""
        match selector["StartSelectorType"]:
            case "EARLIEST":
                return 0
            case "FRAGMENT_NUMBER":
                after = int(selector["AfterFragmentNumber"])
                fits: Callable[[Document], bool] = lambda each: each.number > after  # noqa: E731
            case "SERVER_TIMESTAMP":
                at_ms = float(selector["StartTimestamp"]) * 1000
                fits = lambda each: each.start_ms + FRAGMENT_MS > at_ms  # noqa: E731
            case _:
                return max(len(self.documents) - 1, 0)
        return next((i for i, each in enumerate(self.documents) if fits(each)), len(self.documents))

    async def deliver(self, request: web.Request) -> web.StreamResponse:
        """One GetMedia, for as long as the reader stays and nothing disturbs it."""
        at = self.behind((await request.json())["StartSelector"])
        response = web.StreamResponse(headers={"Content-Type": "video/webm"})
        await response.prepare(request)
        while request.transport is not None and not request.transport.is_closing():
            if at >= len(self.documents):
                with contextlib.suppress(TimeoutError):  # to see whether the reader is there
                    async with asyncio.timeout(1.0):
                        await self.changed.wait()
                continue
            order = self._disturbances.pop(0) if self._disturbances else Order("")
            try:
                if not await self._send(request, response, at, order.what):
                    return response
            except ConnectionError:
                return response
            finally:
                order.done.set()
            at += 1
        return response

    async def _send(
        self, request: web.Request, response: web.StreamResponse, at: int, trouble: str
    ) -> bool:
        """Send one document; whether the session goes on."""
        each = self.documents[at]
        if trouble == "end":
            return False
        if trouble == "error":
            await response.write(error_document(self._film.track, 5000, "INTERNAL_ERROR"))
            return False
        if each.is_undeliverable:
            told = error_document(self._film.track, 4000, "FRAGMENT_NOT_FOUND", str(each.number))
            await response.write(told)
            return False
        if trouble == "cut":
            await response.write(each.data[: self._chance.randrange(1, len(each.data))])
            if request.transport is not None:
                request.transport.abort()
            return False
        if trouble == "repeat" and at > 0:
            await response.write(self.documents[at - 1].data)
        wrong = each.damage or (trouble if trouble.startswith("damage") else "")
        await response.write(damaged(each.data, wrong, self._chance) if wrong else each.data)
        return True

    async def _carried_out(self, orders: list[Order], order: Order) -> None:
        orders.append(order)
        try:
            async with asyncio.timeout(MET_S_MAX):
                await order.done.wait()
        finally:
            if order in orders:
                orders.remove(order)

    def _add(self, twist: str) -> None:
        if twist == "overlap":  # two pictures' time; one would fall into a slot that was had
            self._clock_ms -= 2 * FRAME_MS
        elif twist == "new clock":
            hours = self._chance.choice([-3, -1, 1, 3])
            self._clock_ms += hours * 3_600_000
            self._sequence += _BLOCK - self._sequence % _BLOCK
        if twist.startswith("swapped"):
            self._add_swapped(numbers=twist == "swapped numbers")
            return
        made = self._make(spoilt=twist == "damaged packet")
        if twist == "missing":
            return
        made.is_undeliverable = twist == "undeliverable"
        if twist in ("damaged", "damaged in size"):
            made.damage = twist
        self._publish(made)

    def _add_swapped(self, *, numbers: bool) -> None:
        """Two fragments, of which the later one comes first."""
        earlier, later = self._make(), self._make()
        if not numbers:
            earlier.number, later.number = later.number, earlier.number
            coded = [self._film.fragment(self._index - 2), self._film.fragment(self._index - 1)]
            for made, pictures in zip((earlier, later), coded, strict=True):
                made.data = self._data(made, pictures)
        self._publish(later, self._index - 1)
        self._publish(earlier, self._index - 2)

    def _make(self, *, spoilt: bool = False) -> Document:
        number = 1 << 156 | self._sequence << 92 | self._clock_ms << 28
        made = Document(number, self._clock_ms, b"")
        coded = self._film.fragment(self._index)
        self._spoilt_from = FRAMES
        if spoilt:
            self._spoilt_from = self._chance.randrange(FRAMES)
            coded = tuple(
                replace(each, payload=spoil(each.payload, self._chance))
                if place == self._spoilt_from
                else each
                for place, each in enumerate(coded)
            )
        made.data = self._data(made, coded)
        self._index += 1
        self._sequence += 1
        self._clock_ms += FRAGMENT_MS
        return made

    def _data(self, made: Document, coded: tuple[Coded, ...]) -> bytes:
        return document(self._film.track, str(made.number), made.start_ms, coded)

    def _publish(self, made: Document, index: int | None = None) -> None:
        index = self._index - 1 if index is None else index
        self.documents.append(made)
        for place in range(FRAMES):
            key, media_ms = (made.number, place * FRAME_MS), made.start_ms + place * FRAME_MS
            if made.is_undeliverable:
                continue
            if made.damage or place >= self._spoilt_from:
                self.ledger.allow(key, None, media_ms)
            else:
                self.ledger.due(key, index * FRAMES + place, media_ms)


class VideoPeer:
    """The service, for any number of streams."""

    def __init__(self) -> None:
        self.url = ""
        self.streams: dict[str, PeerStream] = {}

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/getDataEndpoint", self._get_data_endpoint)
        app.router.add_post("/getMedia", self._get_media)
        return app

    async def _get_data_endpoint(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"DataEndpoint": self.url})

    async def _get_media(self, request: web.Request) -> web.StreamResponse:
        name = str((await request.json())["StreamARN"].split("/")[1])
        return await self.streams[name].deliver(request)


def spoil(payload: bytes, chance: random.Random) -> bytes:
    """A coded picture with noise in it; its first unit keeps its length and its kind."""
    kept = 5
    return payload[:kept] + chance.randbytes(len(payload) - kept)


def damaged(whole: bytes, what: str, chance: random.Random) -> bytes:
    """A document that is no Matroska any more, somewhere behind the fragment's number.

    In size: nothing is wrong with any byte, but what claims to be a picture reaches into the
    documents that follow, and what is read behind it may be anything.
    """
    block_at = whole.index(_BLOCK_ELEMENT, whole.index(_CLUSTER_ID))
    size_at = block_at + 1
    if what.endswith("in size"):
        into_the_next = whole[:size_at] + b"\x08\x00\x00\x08\x00" + whole[size_at + 1 :]
        without_its_end = whole[: block_at + 100]
        return chance.choice([into_the_next, without_its_end])
    impossible = whole[:size_at] + b"\x00" + whole[size_at + 1 :]
    enormous = whole[:size_at] + b"\x08\x7f\xff\xff\xff" + whole[size_at + 1 :]
    return chance.choice([impossible, enormous])
