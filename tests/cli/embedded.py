"""The embedded video and data services on a free port, on a loop and thread of their own.

Commands run in the test's thread, as they do in a shell.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web

from streamproc.clock import SystemClock
from streamproc.gateway.app import build_app
from streamproc.local.kinesis_data import DataStreams
from streamproc.local.kinesis_data import service as data_service
from streamproc.local.kinesis_video import VideoStreams, archived, control, media
from streamproc.settings import DataConfig, VideoConfig

ACCOUNT = "000000000000"


@contextmanager
def embedded_services(folder: Path, port: int = 0) -> Iterator[str]:
    """The base URL of both services."""
    url: list[str] = []
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        data = await DataStreams.open(folder / "data.db", DataConfig(), ACCOUNT, SystemClock())
        video = await VideoStreams.open(folder / "video", VideoConfig(), ACCOUNT, SystemClock())
        services = [data_service.bind(data), *(s.bind(video) for s in (control, media, archived))]
        app = build_app(services, account_id=ACCOUNT, region="us-east-1", request_bytes_max=1 << 25)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        url.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        video.public_url = url[0]
        ready.set()
        await over.wait()
        await video.aclose()
        await runner.cleanup()
        await data.aclose()

    thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
    thread.start()
    try:
        assert ready.wait(30)
        yield url[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(30)
        loop.close()
