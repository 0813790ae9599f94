"""streamproc doctor: what would run, and the command that mends what would not."""

import json
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner, Result

from streamproc.cli.doctor import doctor, examine
from streamproc.config import load_config

app = Typer()
app.command()(doctor)


def run(*arguments: object) -> Result:
    wide = {"COLUMNS": "400", "TERM": "dumb"}
    return CliRunner(env=wide).invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_ENGINE__MODELS_DIR", str(tmp_path))
    monkeypatch.setenv("STREAMPROC_ANALYSIS__MODELS_DIR", str(tmp_path))


def test_an_engine_that_runs_is_described_and_the_exit_code_is_0() -> None:
    result = run("--engine", "dlib")
    assert result.exit_code == 0, result.output
    (line,) = [line for line in result.output.splitlines() if line.startswith("engine ")]
    assert "ok" in line
    for word in ("CPUExecutionProvider", "128 dimensions", "measured", "public domain"):
        assert word in line


def test_an_engine_that_cannot_run_names_its_remedy_and_the_exit_code_is_1() -> None:
    result = run()
    assert result.exit_code == 1
    (line,) = [line for line in result.output.splitlines() if line.startswith("engine ")]
    assert "models install buffalo_sc --accept-license" in line
    assert "or dlib" in result.output  # which runs, and is shown


def test_json_says_the_same() -> None:
    result = run("--engine", "dlib", "--json")
    assert result.exit_code == 0, result.output
    found = {each["Name"]: each for each in json.loads(result.stdout)["Findings"]}
    assert found["engine"]["Ok"] is True
    assert "public domain" in found["engine"]["Message"]
    assert found["python"]["Ok"] is None


def test_packages_are_listed_with_their_versions() -> None:
    output = run("--engine", "dlib").output
    for package in ("av", "insightface", "onnxruntime", "faiss-cpu", "dlib-bin"):
        assert any(line.startswith(package) for line in output.splitlines())


def test_a_package_that_is_missing_names_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import PackageNotFoundError, version

    def without_dlib(name: str) -> str:
        if name.startswith("dlib"):
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr("streamproc.cli.doctor.version", without_dlib)
    line = next(line for line in run().output.splitlines() if line.startswith("dlib-bin"))
    assert "pip install 'streamproc[offline]'" in line


def test_a_data_folder_that_cannot_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    config = load_config(overrides={"storage": {"data_dir": tmp_path / "state"}})
    data = next(finding for finding in examine(config) if finding.what == "data")
    assert data.well is False
    assert "--data-dir" in data.words


def test_every_model_that_is_missing_says_what_it_costs_and_its_command(tmp_path: Path) -> None:
    """Which is no failure: an analysis that nobody asks for needs no model."""
    result = run("--engine", "dlib")
    (line,) = [line for line in result.output.splitlines() if "yolox_nano_coco " in line]
    assert "is not installed, so no LabelDetection, PersonTracking" in line
    assert "run: streamproc models install yolox_nano_coco" in line
    assert result.exit_code == 0


def test_a_model_that_is_damaged_is_marked(tmp_path: Path) -> None:
    (tmp_path / "yolox_nano_coco.onnx").write_bytes(b"<html>")
    config = load_config(overrides={"analysis": {"models_dir": tmp_path}})
    found = {finding.what.strip(): finding for finding in examine(config)}
    assert found["yolox_nano_coco"].well is False
    assert "SHA-256 differs" in found["yolox_nano_coco"].words
    assert found["emotion_fer2013"].well is None


def test_the_broker_is_tried_and_webhooks_are_listed_without_their_secrets(tmp_path: Path) -> None:
    file = tmp_path / "streamproc.toml"
    file.write_text(
        '[mqtt]\nurl = "mqtt://127.0.0.1:9"\nusername = "cam"\npassword = "s3cret"\n'
        '[webhooks.bell]\nurl = "https://example.org/s3cret"\nsecret = "s3cret"\n'
    )
    output = run("--engine", "dlib", "--config", file).output
    lines = {line.split("  ")[0]: line for line in output.splitlines()}
    assert "no answer from the broker at mqtt://127.0.0.1:9" in lines["mqtt"]
    assert "https://example.org/***, enter, exit, state; signed" in lines["webhook bell"]
    assert "s3cret" not in output
