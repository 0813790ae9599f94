"""A whole daemon in this process, over painted faces, in which every request needs a key."""

import asyncio
import json
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config as ClientConfig

from streamproc.access.keys import KeyStore, NewKey
from streamproc.clock import SystemClock
from streamproc.config import load_config
from streamproc.daemon import serving
from streamproc.engines.fake import FakeEngine

T = TypeVar("T")
ACCOUNT = "000000000000"
REGION = "us-east-1"
_CHECKING_NOTHING = ClientConfig(retries={"total_max_attempts": 1}, parameter_validation=False)
_SESSION = boto3.Session()  # loading the models once is most of the cost of a client


class Policed:
    """Makes keys with a policy, and clients that sign with them."""

    def __init__(self, folder: Path, url: str, loop: asyncio.AbstractEventLoop) -> None:
        self.folder = folder
        self.url = url
        self._loop = loop
        self._names = count()
        self._clients: dict[tuple[str, str], Any] = {}
        self._store = self.run(KeyStore.open(folder / "keys.db", SystemClock()))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def key(self, *statements: dict[str, Any]) -> NewKey:
        """A new key that has these statements as its policy."""
        policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        return self.run(self._store.create(f"user{next(self._names)}", policy))

    def revoke(self, key: NewKey) -> None:
        self.run(self._store.revoke(key.id))

    def client(self, service: str, key: NewKey) -> Any:
        if (service, key.id) not in self._clients:
            self._clients[service, key.id] = _SESSION.client(
                service,
                endpoint_url=self.url,
                region_name=REGION,
                aws_access_key_id=key.id,
                aws_secret_access_key=key.secret,
                config=_CHECKING_NOTHING,
            )
        return self._clients[service, key.id]

    def close(self) -> None:
        self.run(self._store.aclose())


@contextmanager
def policed_daemon(folder: Path, **tables: Any) -> Iterator[Policed]:
    """Serve on a thread of its own, since boto3 blocks."""
    config = load_config(
        None,
        {
            "server": {"port": 0},
            "auth": {"required": True},
            "storage": {"data_dir": str(folder)},
            **tables,
        },
    )
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    daemon = serving(config, engine=FakeEngine())
    try:
        url = asyncio.run_coroutine_threadsafe(daemon.__aenter__(), loop).result(60)
        policed = Policed(folder, url, loop)
        try:
            yield policed
        finally:
            policed.close()
            leaving = daemon.__aexit__(None, None, None)
            asyncio.run_coroutine_threadsafe(leaving, loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()
