"""Cameras that never end: people come and go, sessions are cut and begun again."""

import asyncio
import logging
import random
from pathlib import Path

from botocore.credentials import Credentials

from streamproc.cli.demo_video import render
from streamproc.clock import SystemClock
from streamproc.kvs.acks import PutMediaError
from streamproc.kvs.producer import put_media
from streamproc.kvs.recording import Recording
from streamproc.kvs.remux import Broadcast

log = logging.getLogger(__name__)


class Cameras:
    """One looping recording for every stream, each at its own pace."""

    def __init__(self, url: str, names: list[str], folder: Path, chance: random.Random) -> None:
        self.sessions = 0
        self.cuts = 0
        self._url = url
        self._names = names
        self._clip = folder / "visit.mp4"
        self._chance = chance

    def render(self) -> None:
        """Twenty seconds: three enrolled people and two strangers walk through."""
        if not self._clip.exists():
            render(self._clip)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for name in self._names:
                tasks.create_task(self._film(name))

    async def _film(self, name: str) -> None:
        await asyncio.sleep(self._chance.uniform(0, 5))  # cameras are not in step
        while True:
            session = asyncio.create_task(self._session(name))
            cut = asyncio.create_task(asyncio.sleep(self._chance.uniform(20, 90)))
            self.sessions += 1
            try:
                await asyncio.wait((session, cut), return_when=asyncio.FIRST_COMPLETED)
                self.cuts += not session.done()
            finally:
                session.cancel()
                cut.cancel()
                await asyncio.wait((session, cut))
            if not session.cancelled() and (error := session.exception()):
                log.info("camera %s: %s", name, error)
                await asyncio.sleep(1.0)

    async def _session(self, name: str) -> None:
        broadcast = Broadcast(Recording(self._clip), SystemClock(), loop=True)
        try:
            await put_media(
                self._url,
                name,
                broadcast.session(),
                region="us-east-1",
                credentials=Credentials("soak", "soak"),
            )
        except PutMediaError as error:
            if error.code not in {"SessionEnded", "ConnectionError"}:
                raise
