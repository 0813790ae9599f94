"""The composition root: builds everything from Config, serves, and drains in order.

The only module besides the command line that names concrete classes.
"""

import asyncio
import importlib
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from streamproc import __version__
from streamproc.access.internal import camera_caller, internal_caller
from streamproc.access.keyring import KeyRing
from streamproc.api import ApiServices, rekognition
from streamproc.api.pictures import PictureSource
from streamproc.api.tag_store import TagStore
from streamproc.audit.log import open_audit
from streamproc.audited import AuditedJobWorld, AuditedWorld
from streamproc.aws import AwsClients
from streamproc.camera_world import CameraWorld
from streamproc.cameras.service import Cameras
from streamproc.clock import Clock, SystemClock
from streamproc.config import Config
from streamproc.console import open_console
from streamproc.data_folder import announced, locked_folder
from streamproc.engines.base import FaceEngine
from streamproc.engines.load import check_engine, load_detailed
from streamproc.engines.scheduler import Scheduler
from streamproc.event_world import open_events, open_outlets_of, tell_of_what_changed
from streamproc.gateway.app import build_app
from streamproc.gateway.door import OpenDoor
from streamproc.gateway.figures import CallFigures
from streamproc.gateway.inside import InsideServices
from streamproc.gateway.server import Server
from streamproc.gateway.signature_door import SignatureDoorkeeper
from streamproc.health import Health
from streamproc.heap import resume_collector, return_freed_memory
from streamproc.job_world import StoredVideoWorld
from streamproc.jobs.runner import JobRunner
from streamproc.listening import open_door
from streamproc.loading import Late, Loading, StartAbandoned, load_beside
from streamproc.local import kinesis_data, kinesis_video
from streamproc.logs import configure_logging
from streamproc.metrics.routes import add_routes
from streamproc.metrics.sources import Sources
from streamproc.objects.store import ObjectStore
from streamproc.processor.supervisor import Supervisor
from streamproc.self_checks import add_checks, tell_of_the_end
from streamproc.sink.figures import SinkFigures
from streamproc.watchdog import Systemd, fed
from streamproc.watching import Watching
from streamproc.web.guard import Guard
from streamproc.web.live import LiveViews
from streamproc.world import KinesisWorld

if TYPE_CHECKING:
    from streamproc.collection.service import CollectionService

log = logging.getLogger(__name__)


async def run(config: Config) -> None:
    """Serve until SIGINT or SIGTERM. Raises StreamprocError if it cannot start."""
    return_freed_memory()
    configure_logging(config.logging)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    systemd = Systemd()
    try:
        async with serving(config, stop=stop) as url:
            resume_collector()
            # Not earlier, though it answers already: a service that is ready has what it needs.
            systemd.tell("READY=1", f"STATUS=answers on {url}")
            await stop.wait()
            systemd.tell("STOPPING=1", "STATUS=draining jobs and processors")
            log.info("stopping: draining jobs and processors")
    except StartAbandoned:
        log.info("stopped before the models were loaded")
    else:
        log.info("stopped")


@asynccontextmanager
async def serving(
    config: Config,
    *,
    clock: Clock | None = None,
    engine: FaceEngine | None = None,
    stop: asyncio.Event | None = None,
) -> AsyncIterator[str]:
    """Everything up, from the block's start to its end; yields the base URL.

    It answers earlier, while the models load, which takes longest; see loading.py. What forbids
    the start is raised all the same, by then or when they cannot be loaded. stop, set before
    they are, ends it with StartAbandoned.
    clock and engine stand in for the real ones where tests need to break them.
    """
    folder = config.storage.data_dir
    clock = clock or SystemClock()
    account_id = config.server.account_id
    async with AsyncExitStack() as stack:
        stack.enter_context(locked_folder(folder))
        keyring = await _open_keyring(config, clock, stack)
        usable_keys = keyring.usable_keys if keyring else 0
        door = stack.enter_context(open_door(config, usable_keys))
        if engine is None:
            check_engine(config.engine)  # nobody is let in whom it could not serve

        health, calls, sink_figures = Health(), CallFigures(), SinkFigures()
        loading = Loading()
        late_engine = Late[FaceEngine]("the engine is")
        scheduler = Scheduler(late_engine.stand_in, threads=config.engine.threads)
        stack.push_async_callback(scheduler.aclose)
        await stack.enter_async_context(fed(Systemd(), scheduler.stuck, clock))
        data = await kinesis_data.DataStreams.open(
            folder / "data.db", config.data, account_id, clock
        )
        stack.push_async_callback(data.aclose)
        video = await kinesis_video.VideoStreams.open(
            folder / "video", config.video, account_id, clock,
            public_url=door.url, media=config.media,
        )  # fmt: skip
        stack.push_async_callback(video.aclose)
        streams = [
            kinesis_data.service.bind(data),
            kinesis_video.control.bind(video),
            kinesis_video.media.bind(video),
        ]
        caller = internal_caller(account_id)
        inside = InsideServices(streams, account_id=account_id, caller=caller)
        clients = AwsClients(config.endpoints, config.aws, inside=inside)
        objects = ObjectStore(config.buckets.root, clients)
        audit = await open_audit(folder, clock, enabled=config.audit.enabled)
        stack.push_async_callback(audit.aclose)
        late_collections = Late["CollectionService"]("the collections are")
        loaded = await stack.enter_async_context(AsyncExitStack())  # closed after who uses it
        tags = await TagStore.open(folder / "tags.db", config.processors.tags_max)
        stack.push_async_callback(tags.aclose)
        scratch = folder / "scratch"
        job_world = StoredVideoWorld(
            config, clients, objects, late_collections.stand_in, late_engine.stand_in, scheduler,
            scratch,
        )  # fmt: skip
        jobs = await JobRunner.open(
            folder / "jobs.db",
            AuditedJobWorld(job_world, audit, account_id),
            config.jobs,
            scratch,
            clock,
            media=config.media,
        )
        stack.push_async_callback(jobs.aclose)
        world = KinesisWorld(
            config, clients, late_collections.stand_in, scheduler, clock, ready=loading.loaded,
            sink_figures=sink_figures,
        )  # fmt: skip
        views = LiveViews()
        stack.callback(views.close)
        events = await open_events(
            config, lambda cosine: late_engine.stand_in.similarity(cosine), clock, stack
        )
        audited_world = AuditedWorld(world, audit, account_id)
        supervisor = await Supervisor.open(
            folder / "processors.db",
            audited_world,
            config.processors,
            config.sink,
            clock,
            media=config.media,
            account_id=account_id,
            watcher=audited_world.watched_by(Watching(events, views)),
        )
        stack.push_async_callback(supervisor.aclose)
        outlets = await open_outlets_of(config, events, supervisor, door.url, clock)
        stack.push_async_callback(outlets.aclose)
        inside_of_cameras = InsideServices(
            streams, account_id=account_id, caller=camera_caller(account_id)
        )
        camera_world = CameraWorld(
            config, AwsClients(config.endpoints, config.aws, inside=inside_of_cameras),
            supervisor, late_collections.stand_in, clock, ready=loading.loaded,
        )  # fmt: skip
        cameras = Cameras(camera_world.cameras, camera_world, clock)

        doorkeeper = (
            SignatureDoorkeeper(keyring, clock, config.auth.clock_skew_s)
            if keyring
            else OpenDoor(config.server.public_url)
        )
        api = loading.gated(
            rekognition.bind(
                ApiServices(
                    supervisor=supervisor,
                    collections=late_collections.stand_in,
                    scheduler=scheduler,
                    tags=tags,
                    images=PictureSource(config.faces, objects),
                    objects=objects,
                    jobs=jobs,
                    config=config,
                    audit=audit,
                    cameras=cameras,
                    events=events,
                    health=health,
                    views=views,
                )
            )
        )
        app = build_app(
            [
                api,
                *streams,
                kinesis_video.archived.bind(video),
            ],
            account_id=account_id,
            region=config.server.region,
            request_bytes_max=config.server.request_bytes_max,
            body_timeout_s=config.server.body_timeout_s,
            door=doorkeeper,
            figures=calls,
        )
        guard = Guard(doorkeeper, config.server.region)
        if config.console.enabled:
            console = await open_console(
                config, guard, api, supervisor, views, audit, clock, events=events, outlets=outlets
            )
            console.add_to(app)
        figures = Sources(
            supervisor=supervisor,
            scheduler=scheduler,
            engine=lambda: late_engine.stand_in.info,
            collections=late_collections.stand_in,
            jobs=jobs,
            sink=sink_figures,
            calls=calls,
            health=health,
            data_dir=folder,
            cameras=cameras.views,
            events=events.figures if events is not None else None,
            outlets=outlets.views,
        )
        add_checks(health, figures, loading, audit)
        add_routes(app, figures, config.metrics, guard, asks_for_keys=config.auth.required)
        server = Server(app, config.server)
        stack.push_async_callback(server.aclose)
        if events is not None:
            stack.callback(events.log.end)
        await server.start()
        # Before anybody can ask: who were told STOPPED would start it, and it would begin anew.
        await supervisor.resume_all()
        tell_of_what_changed(events, supervisor)
        server.listen(door.listener, tls=door.certificate.context if door.certificate else None)
        outlets.start()
        # Last in, first out: all drain while the streams and models they use still answer.
        stack.push_async_callback(supervisor.drain)
        stack.push_async_callback(jobs.drain)
        stack.push_async_callback(cameras.drain)
        cameras.start()
        stack.enter_context(announced(folder, door.url))
        stack.callback(tell_of_the_end, health)

        with loading.under_way():
            if engine is None:
                load = partial(_load_engine, config)
                engine = await load_beside(load, stop or asyncio.Event())
            late_engine.become(engine)
            collections = await _open_collections(config, engine, clock)
            loaded.push_async_callback(collections.aclose)
            late_collections.become(collections)
        await jobs.resume()
        info = engine.info
        log.info(
            "streamproc %s answers on %s; engine %s, pack %s (%s), %s; data in %s",
            __version__, door.url, info.name, info.pack, ", ".join(info.providers),
            info.licence, folder,
        )  # fmt: skip
        yield door.url


async def _open_keyring(config: Config, clock: Clock, stack: AsyncExitStack) -> KeyRing | None:
    """None where signatures are not verified."""
    if not config.auth.required:
        return None
    account_id = config.server.account_id
    keyring = await KeyRing.open(config.storage.data_dir / "keys.db", account_id, clock)
    stack.push_async_callback(keyring.aclose)
    return keyring


def _load_engine(config: Config) -> FaceEngine:
    # FAISS comes with it: imported here, it keeps nobody waiting who needs neither.
    importlib.import_module("streamproc.collection.service")
    return load_detailed(config.engine, config.analysis.models_dir)


async def _open_collections(
    config: Config, engine: FaceEngine, clock: Clock
) -> "CollectionService":
    from streamproc.collection.service import CollectionService

    return await CollectionService.open(
        config.storage.data_dir / "collections.db",
        engine.info,
        engine.similarity,
        engine.cosine,
        config.server.account_id,
        clock,
        index_bytes_max=config.faces.index_bytes_max,
        exact_faces_max=config.faces.exact_faces_max,
    )
