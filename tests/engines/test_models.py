"""The registry of models: every entry complete, and no file handed out that is another."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from streamproc.engines import models
from streamproc.engines.models import MODELS, require_model, trouble_of
from streamproc.engines.packs import file_sha256
from streamproc.errors import EngineError
from streamproc.settings import AnalysisConfig


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a model "toy", whole."""
    sha256 = hashlib.sha256(b"weights").hexdigest()
    toy = replace(MODELS["yolox_nano_coco"], name="toy", file="toy.onnx", sha256=sha256, bytes=7)
    monkeypatch.setitem(models.MODELS, "toy", toy)
    path = tmp_path / "toy.onnx"
    path.write_bytes(b"weights")
    return path


@pytest.mark.parametrize("name", MODELS)
def test_every_model_says_whose_it_is_and_what_needs_it(name: str) -> None:
    model = MODELS[name]
    assert model.name == name
    assert model.file.endswith(".onnx")
    assert len(model.sha256) == 64
    assert model.bytes > 0
    assert model.licence
    assert model.task
    assert model.needed_by
    assert model.source.startswith("https://")
    assert model.url == "" or model.url.startswith("https://")


def test_no_two_models_share_a_file() -> None:
    assert len({model.file for model in MODELS.values()}) == len(MODELS)


@pytest.mark.testdata
@pytest.mark.parametrize("name", MODELS)
def test_the_registry_describes_the_files_of_the_test_data(testdata: Path, name: str) -> None:
    folder = testdata / "models" / "analysis"
    path = require_model(name, folder)
    assert path == folder / MODELS[name].file
    assert path.stat().st_size == MODELS[name].bytes


def test_a_whole_file_is_handed_out(installed: Path) -> None:
    assert require_model("toy", installed.parent) == installed


def test_a_missing_model_names_its_file_and_the_command(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="is not installed") as caught:
        require_model("yolox_nano_coco", tmp_path / "my models")
    assert str(tmp_path / "my models" / "yolox_nano_coco.onnx") in str(caught.value)
    assert "run: streamproc models install yolox_nano_coco" in str(caught.value)
    assert f"--models-dir '{tmp_path}/my models'" in str(caught.value)


def test_the_command_is_as_short_as_it_can_be() -> None:
    """No --from where the publisher has the file, no --models-dir where it is the usual one."""
    usual = AnalysisConfig().models_dir
    published = models.remedy(MODELS["yolox_nano_coco"], usual)
    assert published == "run: streamproc models install yolox_nano_coco"
    converted = models.remedy(MODELS["nsfw_mobilenet_v2"], usual)
    assert converted.endswith("run: streamproc models install nsfw_mobilenet_v2 --from FILE")


@pytest.mark.parametrize("content", [b"", b"weight", b"weightz", b"<html>"])
def test_a_file_with_another_hash_is_refused(installed: Path, content: bytes) -> None:
    installed.write_bytes(content)
    with pytest.raises(EngineError, match=r"SHA-256 differs.*streamproc models install toy"):
        require_model("toy", installed.parent)


def test_a_file_is_read_once_until_it_changes(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def counted(path: Path) -> str:
        read.append(path)
        return file_sha256(path)

    monkeypatch.setattr(models, "file_sha256", counted)
    for _ in range(3):
        require_model("toy", installed.parent)
    assert read == [installed]
    installed.write_bytes(b"Weights")
    os.utime(installed, ns=(1, 1))  # on a clock that does not tick between two writes
    with pytest.raises(EngineError, match="SHA-256"):
        require_model("toy", installed.parent)
    assert read == [installed, installed]


def test_an_unknown_model_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="'yolo'; known are yolox_nano_coco"):
        require_model("yolo", tmp_path)


def test_a_file_that_cannot_be_read_is_trouble_in_words(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(models, "file_sha256", refuse)
    assert trouble_of(MODELS["toy"], installed.parent) == "cannot be read (Permission denied)"
