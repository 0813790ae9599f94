"""What the daemon says of itself: what runs, what could, and whether all is well."""

import asyncio
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from streamproc import __version__
from streamproc.api.service import ApiServices, rekognition
from streamproc.config import Config
from streamproc.engines.models import MODELS, is_installed
from streamproc.engines.packs import KNOWN_PACKS, NON_COMMERCIAL, models_folder
from streamproc.errors import EngineError
from streamproc.gateway.dispatch import RequestContext
from streamproc.health import failing
from streamproc.model.engine import EngineInfo

_DLIB = ("dlib", "face_recognition_models")


@rekognition.operation("DescribeStreamproc")
async def describe_streamproc(
    services: ApiServices,
    request: dict[str, Any],  # noqa: ARG001 (it has no members)
    context: RequestContext,  # noqa: ARG001 (it is the same in every region)
) -> dict[str, Any]:
    config = services.config
    checks = await services.health.checks()
    return {
        "Version": __version__,
        "Ready": not failing(checks, vital=True),
        "UptimeSeconds": round(services.health.uptime_s, 3),
        **_engine(_info(services), config),
        "Models": await asyncio.to_thread(lambda: list(_models(config))),
        "Checks": [
            {"Name": check.name, "Ok": check.ok, "Message": check.message} for check in checks
        ],
        "DataFolderBytesFree": await asyncio.to_thread(_free, config.storage.data_dir),
        "FacePicturesKeptHours": config.events.face_pictures_kept_hours,
    }


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


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free
