"""The real world of stored-video jobs: objects, models, collections, topics.

The only module that joins jobs/ports.py to objects, engines and collection. Decides which
analysis belongs to which kind of job; decides nothing about frames or results.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from streamproc.aws import AwsClients
from streamproc.config import Config
from streamproc.engines.base import FaceEngine
from streamproc.engines.models import require_model
from streamproc.engines.scheduler import Scheduler
from streamproc.errors import StreamprocError, TransientFailure
from streamproc.jobs.analyses.celebrities import Celebrities
from streamproc.jobs.analyses.face_detection import FaceDetection
from streamproc.jobs.analyses.face_search import FaceSearch
from streamproc.jobs.analyses.labels import Labels
from streamproc.jobs.analyses.moderation import Moderation
from streamproc.jobs.ports import Analysis, Notice
from streamproc.model.detection import Detection
from streamproc.model.face import Face
from streamproc.model.job import JobKind, JobSpec
from streamproc.model.media import Image
from streamproc.objects.store import ObjectStore

if TYPE_CHECKING:
    from streamproc.collection.service import CollectionService
    from streamproc.engines.nsfw import NsfwClassifier
    from streamproc.engines.yolox import YoloxDetector

T = TypeVar("T")


class _Once(Generic[T]):
    """A model that is loaded when it is first asked for, whichever threads ask."""

    def __init__(self, load: Callable[[], T]) -> None:
        self._load = load
        self._loading = Lock()
        self._loaded: T | None = None

    def __call__(self) -> T:
        if self._loaded is None:
            with self._loading:
                if self._loaded is None:
                    self._loaded = self._load()
        return self._loaded


class StoredVideoModels:
    """The models beside the face engine, each loaded when the first job needs it; at once from
    then on. Both raise EngineError if theirs is not installed."""

    def __init__(self, config: Config) -> None:
        models_dir = config.analysis.models_dir
        options = (config.engine.providers, config.engine.threads)

        def detector() -> "YoloxDetector":
            from streamproc.engines.yolox import YoloxDetector

            return YoloxDetector(require_model("yolox_nano_coco", models_dir), *options)

        def classifier() -> "NsfwClassifier":
            from streamproc.engines.nsfw import NsfwClassifier

            return NsfwClassifier(require_model("nsfw_mobilenet_v2", models_dir), *options)

        self.detector, self.classifier = _Once(detector), _Once(classifier)


class BackgroundVision:
    """Implements jobs.ports.Vision for one job: behind live work on the scheduler's threads."""

    def __init__(self, scheduler: Scheduler, models: StoredVideoModels, owner: str) -> None:
        self._scheduler = scheduler
        self._models = models
        self._owner = owner

    async def faces(
        self, image: Image, *, attributes: bool = False, embeddings: bool = True
    ) -> list[Face]:
        return await self._scheduler.analyse(
            image, self._owner, attributes=attributes, embeddings=embeddings, background=True
        )

    async def objects(self, image: Image) -> list[Detection]:
        return await self._run(partial(self._models.detector().detect, image))

    async def moderation(self, image: Image) -> Mapping[str, float]:
        return await self._run(partial(self._models.classifier().classify, image))

    async def _run(self, work: Callable[[], T]) -> T:
        return await self._scheduler.run(work, self._owner, background=True)


class StoredVideoWorld:
    """Implements jobs.ports.JobWorld."""

    def __init__(
        self,
        config: Config,
        clients: AwsClients,
        objects: ObjectStore,
        collections: "CollectionService",
        engine: FaceEngine,
        scheduler: Scheduler,
        scratch: Path,
    ) -> None:
        self._config = config
        self._clients = clients
        self._objects = objects
        self._collections = collections
        self._engine = engine
        self._scheduler = scheduler
        self._scratch = scratch
        self._models = StoredVideoModels(config)

    def analysis(self, job_id: str, spec: JobSpec) -> Analysis[Any]:
        settings = self._config.jobs
        vision = BackgroundVision(self._scheduler, self._models, f"job {job_id}")
        match spec.kind:
            case JobKind.FACE_DETECTION:
                return FaceDetection(spec, vision, settings.face_fps)
            case JobKind.FACE_SEARCH:
                return FaceSearch(
                    spec, vision, self._collections, settings.face_fps, self._engine.cosine
                )
            case JobKind.CELEBRITY_RECOGNITION:
                return Celebrities(
                    spec, vision, self._collections, settings.face_fps, self._engine.cosine,
                    settings.celebrity_similarity_min,
                )  # fmt: skip
            case JobKind.PERSON_TRACKING:
                self._models.detector()
                # Its tracker brings libraries that take seconds and a hundred megabytes.
                from streamproc.jobs.analyses.person_tracking import PersonTracking

                return PersonTracking(spec, vision, settings.person_fps)
            case JobKind.LABEL_DETECTION:
                version = self._models.detector().version
                return Labels(spec, vision, settings.label_fps, version)
            case JobKind.CONTENT_MODERATION:
                version = self._models.classifier().version
                return Moderation(spec, vision, settings.moderation_fps, version)

    def video(
        self, spec: JobSpec, fetched: Callable[[float], None]
    ) -> AbstractAsyncContextManager[Path]:
        return self._objects.fetch(spec.video, spec.region, self._scratch, fetched)

    async def publish(self, notice: Notice) -> None:
        topic = notice.topic_arn
        # A FIFO topic takes no message without these (SNS API reference, Publish).
        fifo = (
            {"MessageGroupId": notice.job_id, "MessageDeduplicationId": notice.job_id}
            if topic.endswith(".fifo")
            else {}
        )
        try:
            async with self._clients.open(
                "sns", notice.region, role_arn=notice.role_arn, connect_timeout=5,
                retries={"max_attempts": 0},  # a topic that was slow to say yes hears each
            ) as sns:  # fmt: skip
                await sns.publish(TopicArn=topic, Message=notice.message, **fifo)
        except (ClientError, BotoCoreError, StreamprocError) as error:
            raise TransientFailure(str(error)) from error
