"""streamproc models: what there is, the licence before the weights, and damage by name."""

from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from streamproc.cli.models import models
from streamproc.engines import install
from streamproc.engines.packs import KNOWN_PACKS, models_folder
from streamproc.errors import EngineError


def run(*arguments: object) -> Result:
    wide = {"COLUMNS": "200", "TERM": "dumb"}
    return CliRunner(env=wide).invoke(models, [str(argument) for argument in arguments])


def error_of(result: Result) -> str:
    assert isinstance(result.exception, EngineError), result.exception
    return str(result.exception)


def test_list_shows_every_pack_whether_it_is_here_and_the_licence(tmp_path: Path) -> None:
    (models_folder(tmp_path) / "buffalo_s").mkdir(parents=True)
    result = run("list", "--models-dir", tmp_path)
    lines = {line.split()[0]: line for line in result.output.splitlines() if line.strip()}
    assert result.exit_code == 0
    assert set(KNOWN_PACKS) <= set(lines)
    assert " yes " in lines["buffalo_s"]
    assert " no " in lines["buffalo_l"]
    assert "pip install 'streamproc[offline]'" in lines["dlib"]
    assert "non-commercial" in result.output


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


def test_install_of_an_unknown_pack_lists_the_known_ones(tmp_path: Path) -> None:
    result = run("install", "bufallo", "--accept-license", "--models-dir", tmp_path)
    assert "buffalo_sc" in error_of(result)


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
