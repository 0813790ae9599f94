"""Installing packs and models: whole and in one step, or not at all and in one line."""

import hashlib
import io
import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from streamproc.engines import install, models, packs
from streamproc.engines.install import copy_model, copy_pack, install_model, install_pack
from streamproc.engines.models import MODELS, Model, require_model
from streamproc.engines.packs import Pack, models_folder
from streamproc.errors import EngineError


class Publisher(BaseHTTPRequestHandler):
    """Serves one archive, well or badly."""

    archive: ClassVar[bytes] = b""
    status: ClassVar[int] = 200
    missing_bytes: ClassVar[int] = 0
    silence_s: ClassVar[float] = 0.0
    raw: ClassVar[bytes] = b""  # instead of a reply in HTTP

    def do_GET(self) -> None:
        time.sleep(self.silence_s)
        if self.silence_s:
            return  # who asked has gone
        if self.raw:
            self.wfile.write(self.raw)
            return
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.archive)))
        self.end_headers()
        self.wfile.write(self.archive[: len(self.archive) - self.missing_bytes])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def publisher(toy_pack: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Publisher]]:
    """The toy pack is published as "toys", nested as InsightFace's antelopev2 is."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in toy_pack.iterdir():
            archive.write(file, f"toys/{file.name}")
        archive.writestr("../../outside.onnx", b"")
        archive.writestr("toys/README.txt", "not for us")
    handler = type("Handler", (Publisher,), {"archive": buffer.getvalue()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = False  # so that closing waits for them
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    sha256 = hashlib.sha256((toy_pack / "recogniser.onnx").read_bytes()).hexdigest()
    toys = Pack("toys", "toys", 1, {"recogniser.onnx": sha256})
    monkeypatch.setitem(packs.KNOWN_PACKS, "toys", toys)
    monkeypatch.setattr(
        install, "_url", lambda name: f"http://127.0.0.1:{server.server_port}/{name}.zip"
    )
    yield handler
    server.shutdown()
    server.server_close()


def quiet(done: int, total: int) -> None:
    pass


def without_outside(archive: bytes) -> bytes:
    source, buffer = zipfile.ZipFile(io.BytesIO(archive)), io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as clean:
        for member in source.infolist():
            if "outside" not in member.filename:
                clean.writestr(member, source.read(member))
    return buffer.getvalue()


def test_a_pack_is_installed_whole_and_flat(publisher: type[Publisher], tmp_path: Path) -> None:
    publisher.archive = without_outside(publisher.archive)
    told: list[tuple[int, int]] = []
    folder = install_pack("toys", tmp_path, lambda done, total: told.append((done, total)))
    assert folder == models_folder(tmp_path) / "toys"
    assert {file.name for file in folder.iterdir()} == {
        "detector.onnx",
        "recogniser.onnx",
        "genderage.onnx",
    }
    assert told[-1] == (len(publisher.archive), len(publisher.archive))
    assert [path.name for path in models_folder(tmp_path).iterdir()] == ["toys"]


def test_an_archive_writes_nothing_outside_its_folder(
    publisher: type[Publisher], tmp_path: Path
) -> None:
    """Its empty outside.onnx comes to lie inside, where it is found to be no model."""
    root = tmp_path / "deep" / "root"
    with pytest.raises(EngineError, match=r"outside\.onnx is damaged"):
        install_pack("toys", root, quiet)
    assert not list(tmp_path.rglob("outside.onnx"))


def test_what_is_there_is_replaced_only_when_told(
    publisher: type[Publisher], tmp_path: Path
) -> None:
    publisher.archive = without_outside(publisher.archive)
    old = models_folder(tmp_path) / "toys" / "old.onnx"
    old.parent.mkdir(parents=True)
    old.touch()
    with pytest.raises(EngineError, match="--force"):
        install_pack("toys", tmp_path, quiet)
    assert old.exists()
    install_pack("toys", tmp_path, quiet, force=True)
    assert not old.exists()


def test_a_link_to_a_pack_elsewhere_is_replaced_and_not_followed(
    publisher: type[Publisher], tmp_path: Path
) -> None:
    publisher.archive = without_outside(publisher.archive)
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "old.onnx").touch()
    target = models_folder(tmp_path) / "toys"
    target.parent.mkdir()
    target.symlink_to(shared)
    assert install_pack("toys", tmp_path, quiet, force=True) == target
    assert not target.is_symlink()
    assert (target / "recogniser.onnx").is_file()
    assert [file.name for file in shared.iterdir()] == ["old.onnx"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"status": 404}, "answered 404"),
        ({"missing_bytes": 1000}, "ended after|broke off"),
        ({"archive": b"<html>moved</html>"}, "no whole archive"),
        ({"silence_s": 1.0}, "cannot be reached.*timed out"),
        ({"raw": b"Please log in\r\n\r\n"}, "cannot be reached.*Please log in"),
        ({"raw": b"HTTP/1.0 200 OK\r\nContent-Length: many\r\n\r\n"}, "no whole archive"),
    ],
)
def test_a_download_that_fails_says_why_and_leaves_nothing(
    publisher: type[Publisher],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: dict[str, object],
    words: str,
) -> None:
    if "silence_s" in fault:
        monkeypatch.setattr(install, "_TIMEOUT_S", 0.3)
    publisher.archive = without_outside(publisher.archive)
    for name, value in fault.items():
        setattr(publisher, name, value)
    root = tmp_path / "root"
    with pytest.raises(EngineError, match=words) as caught:
        install_pack("toys", root, quiet)
    assert "\n" not in str(caught.value)
    assert not [path for path in root.rglob("*") if path.is_file()]
    assert not (models_folder(root) / "toys").exists()


def test_a_file_that_is_not_the_published_one_is_refused(
    publisher: type[Publisher], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.archive = without_outside(publisher.archive)
    pack = Pack("toys", "toys", 1, {"recogniser.onnx": "0" * 64})
    monkeypatch.setitem(packs.KNOWN_PACKS, "toys", pack)
    with pytest.raises(EngineError, match=r"recogniser\.onnx.*SHA-256"):
        install_pack("toys", tmp_path, quiet)
    assert list(models_folder(tmp_path).iterdir()) == []


def test_without_a_network_it_fails_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    monkeypatch.setattr(install, "_url", lambda name: f"http://nowhere.invalid/{name}.zip")
    with pytest.raises(EngineError, match=r"cannot be reached.*--engine dlib") as caught:
        install_pack("buffalo_sc", tmp_path / "root", quiet)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "root").exists()


def test_the_address_is_insightface_s_own() -> None:
    assert install._url("buffalo_sc").startswith("https://github.com/deepinsight/insightface/")
    assert install._url("buffalo_sc").endswith("/buffalo_sc.zip")


def test_an_unknown_pack_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="buffalo_sc, buffalo_s"):
        install_pack("bufallo", tmp_path, quiet)


WEIGHTS = b"weights" * 1000


@pytest.fixture
def toy_model(publisher: type[Publisher], monkeypatch: pytest.MonkeyPatch) -> Model:
    """The publisher serves the whole file of "toy"."""
    publisher.archive = WEIGHTS
    model = replace(
        MODELS["yolox_nano_coco"],
        name="toy",
        file="toy.onnx",
        url=install._url("toy"),
        sha256=hashlib.sha256(WEIGHTS).hexdigest(),
        bytes=len(WEIGHTS),
    )
    monkeypatch.setitem(models.MODELS, "toy", model)
    return model


def test_a_model_is_downloaded_whole_and_counted(toy_model: Model, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    folder = tmp_path / "made"
    path = install_model("toy", folder, lambda done, total: told.append((done, total)))
    assert path == folder / "toy.onnx" == require_model("toy", folder)
    assert told[-1] == (len(WEIGHTS), len(WEIGHTS))
    assert list(folder.iterdir()) == [path]


def test_a_whole_model_is_not_fetched_again_and_a_damaged_one_is_replaced(
    toy_model: Model, publisher: type[Publisher], tmp_path: Path
) -> None:
    path = install_model("toy", tmp_path, quiet)
    publisher.status = 500
    assert install_model("toy", tmp_path, quiet) == path
    publisher.status = 200
    path.write_bytes(b"scribble")
    assert install_model("toy", tmp_path, quiet).read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"archive": b"WEIGHTS" * 1000}, "SHA-256"),
        ({"archive": WEIGHTS * 2}, "more than 7000 bytes"),
        ({"archive": b"<html>moved</html>"}, "SHA-256"),
        ({"missing_bytes": 10}, "ended after|broke off"),
        ({"status": 404}, "answered 404.*models install toy --from FILE --models-dir "),
    ],
)
def test_a_model_that_is_not_the_known_file_changes_nothing(
    toy_model: Model,
    publisher: type[Publisher],
    tmp_path: Path,
    fault: dict[str, object],
    words: str,
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    old = folder / toy_model.file
    old.write_bytes(b"what was here")
    for name, value in fault.items():
        setattr(publisher, name, value)
    with pytest.raises(EngineError, match=words) as caught:
        install_model("toy", folder, quiet)
    assert "\n" not in str(caught.value)
    assert old.read_bytes() == b"what was here"
    assert list(folder.iterdir()) == [old]


def test_a_model_is_copied_from_a_file_of_any_name_or_from_its_folder(
    toy_model: Model, tmp_path: Path
) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / "renamed.bin").write_bytes(WEIGHTS)
    copy_model("toy", stick / "renamed.bin", tmp_path / "one")
    (stick / "renamed.bin").rename(stick / "toy.onnx")
    copy_model("toy", stick, tmp_path / "two")
    assert (tmp_path / "one" / "toy.onnx").read_bytes() == WEIGHTS
    assert (tmp_path / "two" / "toy.onnx").read_bytes() == WEIGHTS


def test_a_wrong_copy_of_a_model_is_refused_by_its_hash(toy_model: Model, tmp_path: Path) -> None:
    (tmp_path / "toy.onnx").write_bytes(b"other")
    with pytest.raises(EngineError, match=r"toy\.onnx is damaged or not the file.*SHA-256"):
        copy_model("toy", tmp_path, tmp_path / "models")
    with pytest.raises(EngineError, match=r"there is no file .*nowhere"):
        copy_model("toy", tmp_path / "nowhere", tmp_path / "models")
    assert not list((tmp_path / "models").iterdir())


def test_a_folder_that_cannot_be_written_is_named(toy_model: Model, tmp_path: Path) -> None:
    (tmp_path / "models").touch()  # a file where the folder should be
    with pytest.raises(EngineError, match=r"cannot be stored in .*models.*--models-dir"):
        install_model("toy", tmp_path / "models", quiet)


def test_a_pack_is_copied_from_its_folder_its_parent_or_its_archive(
    toy_pack: Path, publisher: type[Publisher], tmp_path: Path
) -> None:
    parent = tmp_path / "parent"
    parent.mkdir()
    (parent / "toys").symlink_to(toy_pack)
    archive = tmp_path / "toys.zip"
    archive.write_bytes(without_outside(publisher.archive))
    for number, source in enumerate((toy_pack, parent, archive)):
        folder = copy_pack("toys", source, tmp_path / str(number))
        assert (folder / "recogniser.onnx").is_file()


def test_a_file_that_is_no_archive_is_refused(toy_pack: Path, tmp_path: Path) -> None:
    (tmp_path / "pack.zip").write_bytes(b"<html>")
    with pytest.raises(EngineError, match=r"pack\.zip is no whole archive"):
        copy_pack("buffalo_sc", tmp_path / "pack.zip", tmp_path / "models")
    with pytest.raises(EngineError, match="neither a file nor a folder"):
        copy_pack("buffalo_sc", tmp_path / "nowhere", tmp_path / "models")
