"""streamproc models: what there is, the licence before the weights, and damage by name."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from streamproc.cli.models import models
from streamproc.engines import install
from streamproc.engines import models as registry
from streamproc.engines.models import MODELS
from streamproc.engines.packs import KNOWN_PACKS, models_folder
from streamproc.errors import EngineError


def run(*arguments: object) -> Result:
    wide = {"COLUMNS": "200", "TERM": "dumb"}
    return CliRunner(env=wide).invoke(models, [str(argument) for argument in arguments])


def lines_of(result: Result) -> dict[str, str]:
    """By first word."""
    return {line.split()[0]: line for line in result.output.splitlines() if line.strip()}


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> str:
    """A model of eleven bytes, which nobody publishes as it is."""
    content = b"eleven byte"
    model = replace(
        MODELS["nsfw_mobilenet_v2"],
        name="toy",
        file="toy.onnx",
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
    )
    monkeypatch.setitem(registry.MODELS, "toy", model)
    return "toy"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder that has the toy under its own name."""
    folder = tmp_path / "stick"
    folder.mkdir()
    (folder / "toy.onnx").write_bytes(b"eleven byte")
    return folder


def error_of(result: Result) -> str:
    assert isinstance(result.exception, EngineError), result.exception
    return str(result.exception)


def test_list_shows_every_pack_whether_it_is_here_and_the_licence(tmp_path: Path) -> None:
    (models_folder(tmp_path) / "buffalo_s").mkdir(parents=True)
    result = run("list", "--models-dir", tmp_path)
    lines = lines_of(result)
    assert result.exit_code == 0
    assert set(KNOWN_PACKS) <= set(lines)
    assert " damaged " in lines["buffalo_s"]  # its folder is empty
    assert " no " in lines["buffalo_l"]
    assert "pip install 'streamproc[offline]'" in lines["dlib"]
    assert "non-commercial" in result.output


def test_list_shows_every_model_with_its_licence_and_what_needs_it(
    toy: str, tmp_path: Path
) -> None:
    (tmp_path / "toy.onnx").write_bytes(b"eleven bytf")
    lines = lines_of(run("list", "--models-dir", tmp_path))
    assert set(MODELS) <= set(lines)
    assert " damaged " in lines[toy]
    assert " no " in lines["yolox_nano_coco"]
    assert "Apache-2.0" in lines["yolox_nano_coco"]
    assert "LabelDetection, PersonTracking" in lines["yolox_nano_coco"]


def test_json_says_the_same(toy: str, tmp_path: Path) -> None:
    (models_folder(tmp_path) / "buffalo_s").mkdir(parents=True)
    (tmp_path / "toy.onnx").write_bytes(b"eleven bytf")
    result = run("list", "--models-dir", tmp_path, "--json")
    found = {each["Name"]: each for each in json.loads(result.stdout)["Models"]}
    assert found.keys() == {*KNOWN_PACKS, "dlib", *MODELS}
    assert found["buffalo_s"]["Damaged"]  # its folder is empty
    assert (found[toy]["Installed"], found[toy]["Damaged"]) == (True, True)
    assert found["yolox_nano_coco"]["NeededBy"] == ["LabelDetection", "PersonTracking"]


def test_a_whole_model_is_listed_as_installed(toy: str, copy: Path) -> None:
    assert " yes " in lines_of(run("list", "--models-dir", copy))[toy]


def test_the_terms_of_the_data_behind_a_licence_are_said() -> None:
    assert "FER2013" in run("list").output


@pytest.mark.parametrize("given", ["", "toy.onnx"])
def test_a_model_is_installed_from_a_copy_and_shows_its_licence(
    toy: str, copy: Path, tmp_path: Path, given: str
) -> None:
    """Without --accept-license: that is for weights that are not free to use."""
    result = run("install", toy, "--from", copy / given, "--models-dir", tmp_path / "models")
    assert result.exit_code == 0, result.exception
    assert "MIT, https://github.com/GantMan/nsfw_model" in result.output
    assert (tmp_path / "models" / "toy.onnx").read_bytes() == b"eleven byte"


def test_a_model_that_nobody_publishes_names_the_way_to_install_a_copy(
    toy: str, tmp_path: Path
) -> None:
    result = run("install", toy, "--models-dir", tmp_path)
    assert "run: streamproc models install toy --from FILE" in error_of(result)


def test_install_all_takes_what_a_folder_has_and_says_what_it_has_not(
    toy: str, copy: Path, tmp_path: Path
) -> None:
    result = run("install", "all", "--from", copy, "--models-dir", tmp_path / "models")
    assert result.exit_code == 0, result.exception
    assert [file.name for file in (tmp_path / "models").iterdir()] == ["toy.onnx"]
    assert "yolox_nano_coco" in result.output.splitlines()[-1]


@pytest.mark.parametrize("options", [[], ["--from", "."]])
def test_install_all_of_nothing_is_an_error(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "--from" in error_of(run("install", "all", *options, "--models-dir", tmp_path))


def test_the_six_files_of_the_test_data_are_those_of_the_registry(
    testdata: Path, tmp_path: Path
) -> None:
    source = testdata / "models" / "analysis"
    assert run("install", "all", "--from", source, "--models-dir", tmp_path).exit_code == 0
    result = run("verify", "--models-dir", tmp_path)
    assert result.exit_code == 0
    assert result.output.count("whole") == 6


def test_verify_names_the_first_damaged_model_and_its_remedy(
    toy: str, copy: Path, tmp_path: Path
) -> None:
    assert run("verify", toy, "--models-dir", copy).exit_code == 0
    (copy / "toy.onnx").write_bytes(b"eleven bytf")
    (copy / "yolox_nano_coco.onnx").write_bytes(b"<html>")
    error = error_of(run("verify", "--models-dir", copy))
    assert "yolox_nano_coco" in error
    assert "SHA-256" in error
    assert "run: streamproc models install yolox_nano_coco" in error
    assert "not installed" in error_of(run("verify", toy, "--models-dir", tmp_path))


def test_install_shows_the_licence_and_refuses_until_it_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reach(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr("urllib.request.urlopen", reach)
    result = run("install", "buffalo_sc", "--models-dir", tmp_path)
    assert "non-commercial research" in result.output
    assert "models install buffalo_sc --accept-license" in error_of(result)
    assert list(tmp_path.iterdir()) == []


def test_install_without_a_network_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "_url", lambda name: f"http://nowhere.invalid/{name}.zip")
    result = run("install", "buffalo_sc", "--accept-license", "--models-dir", tmp_path)
    assert "cannot be reached" in error_of(result)
    assert list(tmp_path.iterdir()) == []


def test_install_of_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    result = run("install", "bufallo", "--accept-license", "--models-dir", tmp_path)
    assert "buffalo_sc" in error_of(result)
    assert "yolox_nano_coco" in error_of(result)


def test_a_pack_is_installed_from_a_folder_once_its_licence_is_accepted(
    copy: Path, tmp_path: Path
) -> None:
    """The licence is that of the weights, wherever they come from."""
    options = ("buffalo_sc", "--from", copy, "--models-dir", tmp_path / "models")
    assert "--accept-license" in error_of(run("install", *options))
    refused = run("install", *options, "--accept-license")
    assert "det_500m.onnx is missing" in error_of(refused)
    assert not list((tmp_path / "models").rglob("*.onnx"))


def test_verify_names_each_file_and_what_is_wrong(tmp_path: Path) -> None:
    folder = models_folder(tmp_path) / "buffalo_sc"
    folder.mkdir(parents=True)
    (folder / "det_500m.onnx").write_bytes(b"<html>")
    result = run("verify", "--models-dir", tmp_path)
    assert "det_500m.onnx" in result.output
    assert "SHA-256 differs" in result.output
    assert "w600k_mbf.onnx" in result.output
    assert "is missing" in result.output
    assert "models install buffalo_sc --accept-license --force" in error_of(result)


def test_a_folder_is_named_as_it_is_whatever_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "[red]cheap[" / "blue]"
    folder.mkdir(parents=True)
    result = run("verify", folder)
    assert str(folder) in result.output
    assert "cannot be used" in error_of(result)


def test_verify_with_nothing_installed_says_how_to_install(tmp_path: Path) -> None:
    assert "models install" in error_of(run("verify", "--models-dir", tmp_path))


def test_verify_of_a_whole_pack_succeeds(testdata: Path, tmp_path: Path) -> None:
    result = run("verify", testdata / "models" / "mbf_arcface", "--models-dir", tmp_path)
    assert result.exit_code == 0
    assert result.output.count("whole") == 3


def test_the_licence_names_the_way_around_it() -> None:
    from streamproc.cli.models import LICENCE

    assert "--engine dlib" in LICENCE
    assert Console().render_str(LICENCE).plain == LICENCE  # nothing in it reads as markup
