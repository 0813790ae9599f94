"""Packs are found and checked; what is wrong is named with what mends it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from streamproc.engines.load import check_engine, load_engine
from streamproc.engines.packs import (
    check_pack,
    file_sha256,
    find_pack,
    model_version,
    models_folder,
    require_whole,
)
from streamproc.errors import EngineError
from streamproc.settings import EngineConfig

DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut short": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "a web page": lambda path: path.write_text("<html>404 not found</html>"),
}


@pytest.mark.parametrize("file", ["detector.onnx", "recogniser.onnx", "genderage.onnx"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named(toy_pack: Path, file: str, damage: str) -> None:
    DAMAGES[damage](toy_pack / file)
    with pytest.raises(EngineError) as caught:
        load_engine(EngineConfig(pack=str(toy_pack)))
    assert str(toy_pack / file) in str(caught.value)
    assert "damaged" in str(caught.value)
    assert "--engine dlib" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("file", "task"), [("detector.onnx", "detection"), ("recogniser.onnx", "recognition")]
)
def test_a_pack_without_a_model_says_which(toy_pack: Path, file: str, task: str) -> None:
    (toy_pack / file).unlink()
    with pytest.raises(EngineError, match=f"has no {task} model"):
        load_engine(EngineConfig(pack=str(toy_pack)))


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=f"{tmp_path} holds no ONNX files"):
        load_engine(EngineConfig(pack=str(tmp_path)))


def test_a_detector_without_landmarks_is_refused(toy_pack: Path) -> None:
    detector = onnx.load(toy_pack / "detector.onnx")
    del detector.graph.output[6:]
    onnx.save(detector, toy_pack / "detector.onnx")
    with pytest.raises(EngineError, match="no landmarks"):
        load_engine(EngineConfig(pack=str(toy_pack)))


def test_a_real_model_that_is_cut_short_is_named(mbf_folder: Path, tmp_path: Path) -> None:
    for file in mbf_folder.iterdir():
        shutil.copyfile(file, tmp_path / file.name)
    recogniser = tmp_path / "mbf_arcface_y1.onnx"
    DAMAGES["cut short"](recogniser)
    with pytest.raises(EngineError, match=f"{recogniser} is damaged"):
        load_engine(EngineConfig(pack=str(tmp_path)))


def test_a_known_pack_must_hold_its_files_and_no_others_by_their_names(
    toy_pack: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "buffalo_sc"
    folder.mkdir()
    shutil.copyfile(toy_pack / "detector.onnx", folder / "det_500m.onnx")
    troubles = {check.path.name: check.trouble for check in check_pack(folder)}
    assert "SHA-256" in troubles["det_500m.onnx"]
    assert troubles["w600k_mbf.onnx"] == "is missing"
    with pytest.raises(EngineError, match="models install buffalo_sc --accept-license --force"):
        require_whole(folder)


def test_a_whole_pack_has_no_trouble(toy_pack: Path) -> None:
    assert [check.trouble for check in check_pack(toy_pack)] == ["", "", ""]
    require_whole(toy_pack)


def test_a_pack_without_files_is_found_out_by_a_look(toy_pack: Path, tmp_path: Path) -> None:
    check_engine(EngineConfig(pack=str(toy_pack)))
    with pytest.raises(EngineError, match="holds no ONNX files; put whole files there"):
        check_engine(EngineConfig(pack=str(tmp_path)))
    folder = models_folder(tmp_path) / "buffalo_sc"
    config = EngineConfig(pack="buffalo_sc", models_dir=tmp_path)
    with pytest.raises(EngineError, match="buffalo_sc is not installed"):
        check_engine(config)
    folder.mkdir(parents=True)
    with pytest.raises(EngineError, match=r"det_500m.onnx is missing; run: streamproc models"):
        check_engine(config)


@pytest.mark.parametrize("pack", ["./nowhere", "/nowhere/at/all", "~/nowhere"])
def test_a_path_that_is_no_folder_is_refused(pack: str, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="is no folder"):
        find_pack(pack, tmp_path)


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"bufallo.*buffalo_sc, buffalo_s"):
        find_pack("bufallo", tmp_path)


def test_an_installed_pack_comes_before_a_folder_of_that_name_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = models_folder(tmp_path) / "buffalo_sc"
    installed.mkdir(parents=True)
    (tmp_path / "here" / "buffalo_sc").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert find_pack("buffalo_sc", tmp_path) == installed
    installed.rmdir()
    assert find_pack("buffalo_sc", tmp_path) == Path("buffalo_sc")


def test_a_pack_that_its_archive_nested_is_found(tmp_path: Path) -> None:
    inner = models_folder(tmp_path) / "antelopev2" / "antelopev2"
    inner.mkdir(parents=True)
    assert find_pack("antelopev2", tmp_path) == inner


def test_a_model_version_is_digits_and_dots_and_stable(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"abc")
    sha256 = file_sha256(tmp_path / "weights")
    assert model_version(sha256) == "1.3128432319"  # 0xba7816bf, SHA-256's own test vector
