"""The real world of a camera: its feed, its streams, and the processor that looks at them.

The only module that joins cameras/ports.py to kvs, to the Kinesis services and to the
supervisor. Embedded services are reached without a wire, others as AWS's. Decides nothing about
media, or about when a processor is made.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from streamproc.access.internal import internal_caller
from streamproc.aws import AwsClients
from streamproc.cameras.ports import ExistingProcessor, Feed
from streamproc.cameras.view import Camera, CameraStatus, FeedView
from streamproc.clock import Clock
from streamproc.config import Config
from streamproc.errors import CollectionNotFound, ConfigError, TransientFailure
from streamproc.model.processor import ProcessorKey, ProcessorSpec
from streamproc.processor.state import IllegalTransition, ProcessorState
from streamproc.processor.supervisor import ProcessorExists, Supervisor, UnknownProcessor
from streamproc.settings import CameraConfig

if TYPE_CHECKING:  # FAISS and FFmpeg, which a daemon without cameras need not wait for
    from streamproc.collection.service import CollectionService
    from streamproc.kvs.acks import Ack
    from streamproc.kvs.camera_url import SourceUrl
    from streamproc.kvs.live import CameraFeed, Target

_ACTIVE_POLLS, _ACTIVE_POLL_S = 60, 1.0  # a new stream takes AWS some seconds
_CONFIG: Final[dict[str, Any]] = {"connect_timeout": 10.0, "retries": {"max_attempts": 0}}


class CameraWorld:
    """Implements cameras.ports.World."""

    def __init__(
        self,
        config: Config,
        clients: AwsClients,
        supervisor: Supervisor,
        collections: "CollectionService",
        clock: Clock,
        *,
        ready: Callable[[], Awaitable[None]],
    ) -> None:
        """clients are the cameras' own: embedded services know them as camera_caller(). ready
        returns once collections may be asked. Raises ConfigError, which names the key, if a
        camera's URL cannot be one, or not be read, or two cameras have the same stream."""
        self._clients = clients
        self._supervisor = supervisor
        self._collections = collections
        self._clock = clock
        self._ready = ready
        self._settings = config.cameras.root
        self._sources = {name: _source(name, camera) for name, camera in self._settings.items()}
        self._role = internal_caller(config.server.account_id).arn
        self._making: dict[str, asyncio.Lock] = {}
        self._video_arns: dict[str, str] = {}
        self.cameras: Sequence[Camera] = [
            _camera(name, camera, self._sources[name].shown, config.server.region)
            for name, camera in self._settings.items()
        ]
        _require_a_stream_each(self.cameras)

    def feed(self, camera: Camera) -> Feed:
        from streamproc.kvs.live import CameraFeed, FeedOptions
        from streamproc.kvs.producer import put_media

        settings = self._settings[camera.name]
        is_embedded = self._clients.is_embedded("kinesis-video-media")
        find_target = self._inside_target if is_embedded else self._outside_target
        options = FeedOptions(transport=settings.transport, transcode=settings.transcode)
        return _CameraFeed(
            CameraFeed(
                self._sources[camera.name],
                camera.stream,
                partial(find_target, camera),
                options,
                clock=self._clock,
                put=self._put_inside if is_embedded else put_media,
            )
        )

    async def video_stream(self, camera: Camera) -> str:
        async with self._open("kinesisvideo", camera) as client:
            arn = await self._video_stream(client, camera)
        self._video_arns[camera.name] = arn
        return arn

    def video_arn(self, camera: Camera) -> str:
        return self._video_arns.get(camera.name, "")

    async def data_stream(self, camera: Camera) -> str:
        async with self._open("kinesis", camera) as client:
            return await self._data_stream(client, camera)

    async def has_collection(self, camera: Camera) -> bool:
        await self._ready()
        try:
            await self._collections.describe(camera.region, camera.collection)
        except CollectionNotFound:
            return False
        return True

    def role_arn(self, camera: Camera) -> str:
        return camera.role_arn or self._role

    def processor(self, key: ProcessorKey) -> ExistingProcessor | None:
        try:
            view = self._supervisor.describe(key)
        except UnknownProcessor:
            return None
        # Whatever happens to a processor changes this time.
        is_new = view.state is ProcessorState.STOPPED and view.updated_at == view.created_at
        return ExistingProcessor(view.spec, was_started=not is_new)

    async def create_processor(self, spec: ProcessorSpec) -> None:
        with suppress(ProcessorExists):
            await self._supervisor.create(spec)

    async def start_processor(self, key: ProcessorKey) -> None:
        with suppress(UnknownProcessor, IllegalTransition):
            await self._supervisor.start(key)

    @asynccontextmanager
    async def _open(self, service: str, camera: Camera) -> AsyncIterator[Any]:
        """A client; what goes wrong with it is a TransientFailure."""
        from streamproc.kvs.failures import TROUBLE

        async with AsyncExitStack() as stack:
            try:
                client = await stack.enter_async_context(
                    self._clients.open(service, camera.region, **_CONFIG)
                )
                yield client
            except TROUBLE as error:
                raise TransientFailure(_words(service, error)) from error

    async def _video_stream(self, client: Any, camera: Camera) -> str:
        async def describe() -> tuple[str, str]:
            info = (await client.describe_stream(StreamName=camera.stream))["StreamInfo"]
            return info["StreamARN"], info["Status"]

        async def create() -> None:
            await client.create_stream(
                StreamName=camera.stream, DataRetentionInHours=camera.retention_hours
            )

        return await self._made(
            f"video stream {camera.stream} of {camera.region}", describe, create
        )

    async def _data_stream(self, client: Any, camera: Camera) -> str:
        async def describe() -> tuple[str, str]:
            answer = await client.describe_stream_summary(StreamName=camera.data_stream)
            summary = answer["StreamDescriptionSummary"]
            return summary["StreamARN"], summary["StreamStatus"]

        async def create() -> None:
            await client.create_stream(StreamName=camera.data_stream, ShardCount=1)

        return await self._made(
            f"data stream {camera.data_stream} of {camera.region}", describe, create
        )

    async def _made(
        self,
        what: str,
        describe: Callable[[], Awaitable[tuple[str, str]]],
        create: Callable[[], Awaitable[None]],
    ) -> str:
        """ARN of a stream that is ACTIVE. A camera's feed and its processor's arrangement ask for
        the same one at the same time."""
        async with self._making.setdefault(what, asyncio.Lock()):
            return await self._made_alone(what, describe, create)

    async def _made_alone(
        self,
        what: str,
        describe: Callable[[], Awaitable[tuple[str, str]]],
        create: Callable[[], Awaitable[None]],
    ) -> str:
        found = await _if_there(describe)
        if found is None:
            try:
                await create()
            except ClientError as refusal:  # somebody else was faster
                if _code(refusal) != "ResourceInUseException":
                    raise
            found = await _if_there(describe)
        for _ in range(_ACTIVE_POLLS):
            if found is not None and found[1] in {"ACTIVE", "UPDATING"}:
                return found[0]
            await self._clock.sleep(_ACTIVE_POLL_S)
            found = await _if_there(describe)
        status = found[1] if found is not None else "not there yet"
        raise TransientFailure(f"{what} is {status}, not ACTIVE")

    async def _inside_target(self, camera: Camera) -> "Target":
        from botocore.credentials import Credentials

        from streamproc.kvs.live import Target

        await self.video_stream(camera)
        # There is no wire: neither address nor signature.
        return Target("", camera.region, Credentials("inside", "inside"))

    async def _outside_target(self, camera: Camera) -> "Target":
        from streamproc.kvs.live import Target

        await self.video_stream(camera)
        async with self._open("kinesisvideo", camera) as client:
            answer = await client.get_data_endpoint(StreamName=camera.stream, APIName="PUT_MEDIA")
            credentials = await self._clients.credentials()
        return Target(answer["DataEndpoint"], camera.region, credentials)

    async def _put_inside(
        self,
        endpoint_url: str,  # noqa: ARG002 (as kvs.producer.put_media is called)
        stream: str,
        body: AsyncIterator[bytes],
        *,
        region: str,
        on_ack: "Callable[[Ack], None] | None" = None,
        **_: Any,
    ) -> None:
        from streamproc.kvs.inside_producer import put_media_inside

        async with self._clients.open("kinesis-video-media", region) as client:
            await put_media_inside(client, stream, body, on_ack=on_ack)


class _CameraFeed:
    """Implements cameras.ports.Feed."""

    def __init__(self, feed: "CameraFeed") -> None:
        self._feed = feed

    async def run(self, stop: asyncio.Event) -> None:
        await self._feed.run(stop)

    def view(self) -> FeedView:
        view = self._feed.view()
        facts = view.facts
        return FeedView(
            status=CameraStatus(view.status.value),
            message=view.message,
            codec=facts.codec if facts else "",
            width=facts.width if facts else 0,
            height=facts.height if facts else 0,
            fps=facts.fps if facts else None,
            transcoding=facts.transcoding if facts else False,
            bytes_per_second=view.bytes_per_second,
            bytes_total=view.bytes_total,
            fragments_total=view.fragments_received_total,
            last_fragment_at=view.last_fragment_timestamp,
            reconnects_total=view.reconnects_total,
            packets_dropped_total=view.packets_dropped_total + view.pictures_dropped_total,
        )


def _camera(name: str, settings: CameraConfig, shown: str, region: str) -> Camera:
    return Camera(
        name=name,
        region=settings.region or region,
        url=shown,
        stream=settings.stream or name,
        retention_hours=settings.retention_hours,
        collection=settings.collection,
        data_stream=settings.data_stream or f"{name}-faces",
        face_match_threshold=settings.face_match_threshold,
        role_arn=settings.role_arn,
    )


def _require_a_stream_each(cameras: Sequence[Camera]) -> None:
    """Raises ConfigError: two cameras in one stream would throw each other out of it."""
    by_stream: dict[tuple[str, str], str] = {}
    for camera in cameras:
        other = by_stream.setdefault((camera.region, camera.stream), camera.name)
        if other != camera.name:
            raise ConfigError(
                f"config key cameras.{camera.name}.stream: {other} and {camera.name} have the same "
                f"video stream, {camera.stream} of {camera.region}; a stream takes one camera"
            )


def _source(name: str, settings: CameraConfig) -> "SourceUrl":
    """Raises ConfigError, which names the key and shows no password."""
    from streamproc.kvs.camera_url import parse_source

    key, url = f"cameras.{name}.url", settings.url
    if settings.url_file:
        key = f"cameras.{name}.url_file"
        try:
            url = Path(settings.url_file).expanduser().read_text("utf-8-sig").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ConfigError(
                f"config key {key} = {settings.url_file!r} cannot be read: {reason}"
            ) from None
    try:
        return parse_source(str(Path(url).expanduser()) if url.startswith("~") else url)
    except ConfigError as error:
        raise ConfigError(f"config key {key}: {error}") from None


async def _if_there(
    describe: Callable[[], Awaitable[tuple[str, str]]],
) -> tuple[str, str] | None:
    """None for a stream that is not there, or being made by somebody and not to be seen yet."""
    try:
        return await describe()
    except ClientError as error:
        if _code(error) != "ResourceNotFoundException":
            raise
        return None


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _words(service: str, error: Exception) -> str:
    name = "Kinesis Video" if service == "kinesisvideo" else "Kinesis Data"
    if isinstance(error, ClientError):
        details = error.response.get("Error", {})
        return f"{name} answers {details.get('Code')}: {details.get('Message')}"
    if isinstance(error, ResponseParserError):
        return f"{name} gives no usable answer"
    return f"{name} is out of reach: {str(error) or type(error).__name__}"
