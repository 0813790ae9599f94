"""Where nobody says which engine, the best that can run is taken, and it says why."""

from pathlib import Path

import pytest

from streamproc.engines import choice
from streamproc.engines.choice import choose_engine
from streamproc.engines.packs import KNOWN_PACKS, Pack, models_folder
from streamproc.errors import EngineError


@pytest.fixture
def installed(toy_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder in which the pack "toys" is installed."""
    monkeypatch.setitem(KNOWN_PACKS, "toys", Pack("toys", "toys", 1, {}))
    folder = models_folder(tmp_path) / "toys"
    folder.parent.mkdir()
    toy_pack.rename(folder)
    return tmp_path


def test_an_installed_pack_is_taken(installed: Path) -> None:
    chosen = choose_engine(models_dir=installed)
    assert (chosen.name, chosen.pack) == ("insightface", "toys")
    assert "installed" in chosen.reason
    assert "non-commercial" in chosen.reason


def test_a_pack_that_is_damaged_gives_way_to_dlib_and_is_named(installed: Path) -> None:
    (models_folder(installed) / "toys" / "detector.onnx").write_bytes(b"")
    chosen = choose_engine(models_dir=installed)
    assert chosen.name == "dlib"
    assert "detector.onnx is damaged" in chosen.reason


def test_with_nothing_installed_it_is_dlib_and_says_what_would_change_that(tmp_path: Path) -> None:
    chosen = choose_engine(models_dir=tmp_path)
    assert (chosen.name, chosen.pack) == ("dlib", None)
    assert "models install buffalo_sc --accept-license" in chosen.reason


def test_with_the_licence_accepted_the_smallest_pack_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(choice, "install_pack", lambda name, *_: asked.append(name))
    chosen = choose_engine(models_dir=tmp_path, accept_license=True)
    assert asked == ["buffalo_sc"]
    assert (chosen.name, chosen.pack) == ("insightface", "buffalo_sc")


def test_where_it_cannot_be_fetched_it_is_dlib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: object) -> None:
        raise EngineError("the network is down")

    monkeypatch.setattr(choice, "install_pack", no_network)
    chosen = choose_engine(models_dir=tmp_path, accept_license=True)
    assert chosen.name == "dlib"
    assert "the network is down" in chosen.reason


def test_what_is_asked_for_is_taken_or_refused(toy_pack: Path, tmp_path: Path) -> None:
    assert choose_engine("dlib", models_dir=tmp_path).name == "dlib"
    assert choose_engine(pack=str(toy_pack), models_dir=tmp_path).pack == str(toy_pack)
    with pytest.raises(EngineError, match="is no folder"):
        choose_engine(pack="./nowhere", models_dir=tmp_path)
    with pytest.raises(EngineError, match="no InsightFace pack is installed"):
        choose_engine("insightface", models_dir=tmp_path)
