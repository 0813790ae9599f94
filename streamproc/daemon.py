"""The composition root: builds everything from Config, serves, and drains in order.

The only module besides the command line that names concrete classes.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from streamproc import __version__
from streamproc.access.internal import internal_key
from streamproc.access.keyring import KeyRing
from streamproc.api import ApiServices, rekognition
from streamproc.api.pictures import PictureSource
from streamproc.api.tag_store import TagStore
from streamproc.audit.log import open_audit
from streamproc.audited import AuditedJobWorld, AuditedWorld
from streamproc.aws import AwsClients, EmbeddedCredentials
from streamproc.clock import Clock, SystemClock
from streamproc.collection.service import CollectionService
from streamproc.config import Config
from streamproc.data_folder import announced, locked_folder
from streamproc.engines.base import FaceEngine
from streamproc.engines.detailed import DetailedEngine
from streamproc.engines.face_attributes import FaceAttributes
from streamproc.engines.load import load_engine
from streamproc.engines.scheduler import Scheduler
from streamproc.errors import EngineError
from streamproc.gateway.app import build_app
from streamproc.gateway.server import Server
from streamproc.gateway.signature_door import SignatureDoorkeeper
from streamproc.heap import return_freed_memory
from streamproc.job_world import StoredVideoWorld
from streamproc.jobs.runner import JobRunner
from streamproc.listening import open_doors
from streamproc.local import kinesis_data, kinesis_video
from streamproc.logs import configure_logging
from streamproc.objects.store import ObjectStore
from streamproc.processor.supervisor import Supervisor
from streamproc.watchdog import Systemd, fed
from streamproc.world import KinesisWorld

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
    async with serving(config) as url:
        systemd.tell("READY=1", f"STATUS=answers on {url}")
        await stop.wait()
        systemd.tell("STOPPING=1", "STATUS=draining jobs and processors")
        log.info("stopping: draining jobs and processors")
    log.info("stopped")


@asynccontextmanager
async def serving(
    config: Config, *, clock: Clock | None = None, engine: FaceEngine | None = None
) -> AsyncIterator[str]:
    """Everything up, from the block's start to its end; yields the base URL.

    clock and engine stand in for the real ones where tests need to break them.
    """
    folder = config.storage.data_dir
    clock = clock or SystemClock()
    account_id = config.server.account_id
    async with AsyncExitStack() as stack:
        stack.enter_context(locked_folder(folder))
        internal = EmbeddedCredentials.random()
        keyring = await _open_keyring(config, clock, internal, stack)
        usable_keys = keyring.usable_keys if keyring else 0
        doors = stack.enter_context(open_doors(config, usable_keys))
        public_url = doors.public_url

        if engine is None:
            engine = await asyncio.to_thread(_load_engine, config)
        scheduler = Scheduler(engine, threads=config.engine.threads)
        stack.push_async_callback(scheduler.aclose)
        await stack.enter_async_context(fed(Systemd(), scheduler.stuck, clock))
        clients = AwsClients(config.endpoints, config.aws, doors.private_url, credentials=internal)
        objects = ObjectStore(config.buckets.root, clients)
        audit = await open_audit(folder, clock, enabled=config.audit.enabled)
        stack.push_async_callback(audit.aclose)
        collections = await CollectionService.open(
            folder / "collections.db",
            engine.info,
            engine.similarity,
            engine.cosine,
            account_id,
            clock,
            index_bytes_max=config.faces.index_bytes_max,
        )
        stack.push_async_callback(collections.aclose)
        tags = await TagStore.open(folder / "tags.db", config.processors.tags_max)
        stack.push_async_callback(tags.aclose)
        data = await kinesis_data.DataStreams.open(
            folder / "data.db", config.data, account_id, clock
        )
        stack.push_async_callback(data.aclose)
        video = await kinesis_video.VideoStreams.open(
            folder / "video", config.video, account_id, clock,
            public_url=public_url, media=config.media,
        )  # fmt: skip
        stack.push_async_callback(video.aclose)
        scratch = folder / "scratch"
        job_world = StoredVideoWorld(
            config, clients, objects, collections, engine, scheduler, scratch
        )
        jobs = await JobRunner.open(
            folder / "jobs.db",
            AuditedJobWorld(job_world, audit, account_id),
            config.jobs,
            scratch,
            clock,
            media=config.media,
        )
        stack.push_async_callback(jobs.aclose)
        world = KinesisWorld(config, clients, collections, scheduler, clock)
        supervisor = await Supervisor.open(
            folder / "processors.db",
            AuditedWorld(world, audit, account_id),
            config.processors,
            config.sink,
            clock,
            media=config.media,
            account_id=account_id,
        )
        stack.push_async_callback(supervisor.aclose)

        app = build_app(
            [
                rekognition.bind(
                    ApiServices(
                        supervisor=supervisor,
                        collections=collections,
                        scheduler=scheduler,
                        tags=tags,
                        images=PictureSource(config.faces, objects),
                        objects=objects,
                        jobs=jobs,
                        config=config,
                        audit=audit,
                    )
                ),
                kinesis_data.service.bind(data),
                kinesis_video.control.bind(video),
                kinesis_video.media.bind(video),
                kinesis_video.archived.bind(video),
            ],
            account_id=account_id,
            region=config.server.region,
            request_bytes_max=config.server.request_bytes_max,
            body_timeout_s=config.server.body_timeout_s,
            door=SignatureDoorkeeper(keyring, clock, config.auth.clock_skew_s) if keyring else None,
        )
        server = Server(app, config.server)
        stack.push_async_callback(server.aclose)
        await server.start()
        server.listen(doors.private, is_private=True)
        tls = doors.certificate.context if doors.certificate else None
        server.listen(doors.public, tls=tls)
        # Last in, first out: both drain while the streams and models they use still answer.
        stack.push_async_callback(supervisor.drain)
        stack.push_async_callback(jobs.drain)
        await supervisor.resume_all()
        await jobs.resume()

        stack.enter_context(announced(folder, public_url))
        info = engine.info
        log.info(
            "streamproc %s answers on %s; engine %s, pack %s (%s), %s; data in %s",
            __version__, public_url, info.name, info.pack, ", ".join(info.providers),
            info.licence, folder,
        )  # fmt: skip
        yield public_url


async def _open_keyring(
    config: Config, clock: Clock, internal: EmbeddedCredentials, stack: AsyncExitStack
) -> KeyRing | None:
    """None where signatures are not verified."""
    if not config.auth.required:
        return None
    account_id = config.server.account_id
    own = internal_key(internal.access_key_id, internal.secret_access_key, account_id)
    keyring = await KeyRing.open(config.storage.data_dir / "keys.db", account_id, clock, [own])
    stack.push_async_callback(keyring.aclose)
    return keyring


def _load_engine(config: Config) -> FaceEngine:
    """The engine, with the attribute models that are installed. A damaged one is reported, and
    keeps nobody from watching cameras."""
    engine = load_engine(config.engine)
    models_dir, providers = config.analysis.models_dir, config.engine.providers
    try:
        attributes = FaceAttributes(models_dir, providers, config.engine.threads)
    except EngineError as error:
        log.error("face attributes are off: %s", error)
        return engine
    return DetailedEngine(engine, attributes)
