"""What the daemon says of itself: what runs, what could, and whether all is well."""

import asyncio
from collections.abc import Coroutine, Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any, TypeVar

from streamproc import __version__
from streamproc.api.service import ApiServices, rekognition
from streamproc.config import Config
from streamproc.engines.models import MODELS, is_installed
from streamproc.engines.packs import KNOWN_PACKS, NON_COMMERCIAL, models_folder
from streamproc.errors import EngineError, StreamprocError
from streamproc.gateway.dispatch import RequestContext
from streamproc.health import failing
from streamproc.model.engine import EngineInfo

T = TypeVar("T")

_DLIB = ("dlib", "face_recognition_models")


@rekognition.operation("DescribeStreamproc")
async def describe_streamproc(
    services: ApiServices,
    request: dict[str, Any],  # noqa: ARG001 (it has no members)
    context: RequestContext,  # noqa: ARG001 (it is the same in every region)
) -> dict[str, Any]:
    config = services.config
    health = services.health
    models = health.ask("models", partial(asyncio.to_thread, lambda: list(_models(config))))
    checks, found, disk = await asyncio.gather(
        health.checks(), _if_told(models), _if_told(health.disk(config.storage.data_dir))
    )
    return {
        "Version": __version__,
        "Ready": not failing(checks, vital=True),
        "UptimeSeconds": round(services.health.uptime_s, 3),
        **_engine(_info(services), config),
        "Models": found,
        "Checks": [
            {"Name": check.name, "Ok": check.ok, "Message": check.message} for check in checks
        ],
        "DataFolderBytesFree": disk.free if disk is not None else None,
        "FacePicturesKeptHours": config.events.face_pictures_kept_hours,
    }


async def _if_told(answer: Coroutine[Any, Any, T]) -> T | None:
    """None where a disk hangs or fails: a check tells that, and the member is left out."""
    try:
        return await answer
    except (StreamprocError, OSError):
        return None


def _info(services: ApiServices) -> EngineInfo | None:
    try:
        return services.collections.info
    except EngineError:  # the models are loading
        return None


def _engine(info: EngineInfo | None, config: Config) -> dict[str, Any]:
    """What runs; while it loads, what is going to."""
    if info is None:
        return {"EngineName": config.engine.name}
    return {
        "EngineName": info.name,
        "PackName": info.pack,
        "Licence": info.licence,
        "Providers": list(info.providers),
    }


def _models(config: Config) -> Iterator[dict[str, Any]]:
    """Everything that can be had, as `streamproc models list` has it."""
    packs = models_folder(config.engine.models_dir)
    for pack in KNOWN_PACKS.values():
        installed = (packs / pack.name).is_dir()
        yield _model(pack.name, f"faces: {pack.description}", NON_COMMERCIAL, installed)
    here = all(find_spec(name) is not None for name in _DLIB)
    yield _model("dlib", "faces", "public domain", here)
    for model in MODELS.values():
        licence = model.licence if model.commercial else f"{model.licence}, non-commercial"
        installed = is_installed(model, config.analysis.models_dir)
        yield _model(model.name, f"{', '.join(model.needed_by)}: {model.task}", licence, installed)


def _model(name: str, purpose: str, licence: str, installed: bool) -> dict[str, Any]:
    return {"Name": name, "Purpose": purpose, "Licence": licence, "Installed": installed}
