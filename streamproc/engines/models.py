"""Every model file beside the face packs: what it is for, whose it is, whether it is whole.

Knows names, licences, hashes and one flat folder. Runs nothing and downloads nothing: fetching
is install.py's. A file whose SHA-256 is another's is never handed out.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from streamproc.engines.packs import file_sha256
from streamproc.errors import EngineError
from streamproc.settings import AnalysisConfig


@dataclass(frozen=True, slots=True)
class Model:
    """One file, exactly."""

    name: str
    file: str  # its name in the folder
    task: str
    licence: str
    commercial: bool  # whether that licence allows commercial use
    source: str  # the page of those who made it
    url: str  # of this very file; "" where only another format is published
    sha256: str
    bytes: int
    needed_by: Sequence[str]  # what cannot be told without it
    remark: str = ""  # what the licence does not say and who chooses should know


MODELS: Mapping[str, Model] = {
    model.name: model
    for model in (
        Model(
            name="yolox_nano_coco",
            file="yolox_nano_coco.onnx",
            task="boxes of the 80 COCO classes",
            licence="Apache-2.0",
            commercial=True,
            source="https://github.com/Megvii-BaseDetection/YOLOX",
            url="https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/yolox_nano.onnx",
            sha256="695e750a5d5754bb5a8d5325643b59282191a7e7a564e435a415fd3c578eab14",
            bytes=3_660_092,
            needed_by=("LabelDetection", "PersonTracking"),
        ),
        Model(
            name="nsfw_mobilenet_v2",
            file="nsfw_mobilenet_v2.onnx",
            task="drawing, hentai, neutral, porn or sexy",
            licence="MIT",
            commercial=True,
            source="https://github.com/GantMan/nsfw_model",
            url="",
            sha256="132c219a1de62ccae169140faec50cc5c626fc12269092b6cd2b0f882015d619",
            bytes=2_762_661,
            needed_by=("ContentModeration",),
            remark="learned from pictures that were collected from the web",
        ),
        Model(
            name="emotion_fer2013",
            file="emotion_fer2013_mini_xception.onnx",
            task="seven emotions of a face",
            licence="MIT",
            commercial=True,
            source="https://github.com/oarriaga/face_classification",
            url="",
            sha256="57fadf707ba0c147bc2815558cf5bbf2272c8eb0f48bf089613a55d30ca21739",
            bytes=825_931,
            needed_by=("Emotions",),
            remark="code and weights are MIT; they learned from FER2013, whose faces were found by "
            "image search, have no licence of their own, and were given to those who accepted the "
            "terms of a research contest (arXiv 1307.0414)",
        ),
        Model(
            name="mediapipe_face_landmarks",
            file="mediapipe_face_landmarks_478.onnx",
            task="mesh of 478 points on a face",
            licence="Apache-2.0",
            commercial=True,
            source="https://ai.google.dev/edge/mediapipe/solutions/vision/face_landmarker",
            url="",
            sha256="b52ca5bb6ceca00d9173c6e063a4ba57a3ded6881d07ee3b4c336cb3343a3e86",
            bytes=2_567_225,
            needed_by=("Landmarks beyond five", "Smile", "EyesOpen", "MouthOpen", "Eyeglasses"),
        ),
        Model(
            name="mediapipe_face_blendshapes",
            file="mediapipe_face_blendshapes_52.onnx",
            task="52 movements of a face, from its mesh",
            licence="Apache-2.0",
            commercial=True,
            source="https://ai.google.dev/edge/mediapipe/solutions/vision/face_landmarker",
            url="",
            sha256="0e4a0cbe4adec98a9bdd29094002a510f80d54ac0f0c77f60efbc0579c3edab1",
            bytes=992_548,
            needed_by=("Smile", "EyesOpen", "MouthOpen"),
        ),
        Model(
            name="glasses_mobilenetv3s",
            file="glasses_mobilenetv3s.onnx",
            task="glasses or none",
            licence="Apache-2.0",
            commercial=True,
            source="https://github.com/SlinkoIgor/glasses_detector",
            url="",
            sha256="e2883f2b48c28f89c4ca791d060abf5a1354b818de98c4e61c28040b89660da0",
            bytes=2_078_837,
            needed_by=("Eyeglasses",),
            remark="the licence came with the file; we found none in the repository of its author, "
            "who is the one to ask before a business is built on it",
        ),
    )
}


def find_model(name: str) -> Model:
    """Raises EngineError, with the known names, if there is none of this name."""
    if name not in MODELS:
        raise EngineError(f"there is no model {name!r}; known are {', '.join(MODELS)}")
    return MODELS[name]


def is_installed(model: Model, models_dir: Path) -> bool:
    """Whether there is a file of its name; not whether it is whole."""
    return (models_dir / model.file).is_file()


def trouble_of(model: Model, models_dir: Path) -> str:
    """What is wrong with the installed file: "" if nothing, else the end of a sentence."""
    path = models_dir / model.file
    try:
        if not path.is_file():
            return "is not installed"
        if sha256_of(path) != model.sha256:
            return "is damaged or another file (its SHA-256 differs)"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return ""


def require_model(name: str, models_dir: Path) -> Path:
    """The whole file of a model. Nothing is downloaded.

    Reads all of it once per process and state of the file. Raises EngineError, with the
    command that mends it, if it is missing or its SHA-256 is not the registry's.
    """
    model = find_model(name)
    path = models_dir / model.file
    if trouble := trouble_of(model, models_dir):
        raise EngineError(f"model {name} {trouble}: {path}; {remedy(model, models_dir)}")
    return path


def remedy(model: Model, models_dir: Path) -> str:
    """The command that puts a whole file there."""
    if not model.url:
        return copy_remedy(model, models_dir)
    return f"run: streamproc models install {model.name}{_option(models_dir)}"


def copy_remedy(model: Model, models_dir: Path) -> str:
    """The same for who has the file from elsewhere."""
    command = f"streamproc models install {model.name} --from FILE{_option(models_dir)}"
    return f"with a copy of {model.file} run: {command}"


def _option(models_dir: Path) -> str:
    if models_dir == AnalysisConfig().models_dir:
        return ""
    return f" --models-dir {shlex.quote(str(models_dir))}"


def sha256_of(path: Path) -> str:
    """Hexadecimal. A file that has not changed since is not read again."""
    state = path.stat()
    return _sha256(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=64)
def _sha256(path: Path, mtime_ns: int, size: int) -> str:  # noqa: ARG001 (they are the key)
    return file_sha256(path)
