"""The unit file: accepted and called safe by systemd, and the daemon works under it."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from streamproc.data_folder import endpoint_of
from tests.end_to_end.conftest import EVERY_FRAME, ROOT, Rig
from tests.hardened import directives

UNIT = ROOT / "config" / "streamproc.service"
EXPOSURE_MAX = 2.0  # of 10; systemd calls what is below 5 OK

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


@needs_systemd
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    unit = tmp_path / "streamproc.service"
    unit.write_text(UNIT.read_text().replace("/opt/streamproc/bin/streamproc", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True
    )
    assert str(unit.name) not in done.stderr, done.stderr


@needs_systemd
def test_systemd_finds_it_safe() -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", str(UNIT)], capture_output=True, text=True
    )
    found = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) < EXPOSURE_MAX, done.stdout


def test_what_the_unit_promises_is_what_the_daemon_does() -> None:
    values = dict(directives(UNIT))
    assert values["Type"] == "notify"
    assert values["NotifyAccess"] == "main"
    assert float(values["TimeoutStopSec"]) > 3 * 10.0, "processors.stop_timeout_s, and reserve"
    assert float(values["RestartSec"]) <= 5
    assert values["Restart"] == "always"


class Hardened:
    """A daemon under the unit's system call filter, with its notifications."""

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder / "data"
        self._log = folder / "log"
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(folder / "notify"))
        self.manager.settimeout(60)
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.hardened", str(UNIT), sys.executable,
                 "-m", "streamproc", "serve", "--engine", "dlib", "--port", "0",
                 "--data-dir", str(self.data_dir), *EVERY_FRAME],
                stdout=log, stderr=log, cwd=ROOT,
                env={**os.environ, "NOTIFY_SOCKET": str(folder / "notify"),
                     "WATCHDOG_USEC": "2000000"},
            )  # fmt: skip

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def url(self) -> str:
        return endpoint_of(self.data_dir) or ""

    def await_told(self, wanted: str) -> None:
        try:
            while wanted not in self.manager.recv(4096).decode():
                pass
        except TimeoutError:
            raise AssertionError(f"{wanted} was not told: {self.log}") from None

    def client(self, service: str) -> Any:
        from tests.conftest import aws_client

        return aws_client(service, self.url)


@needs_systemd
@pytest.mark.skipif(
    not list(Path("/usr/lib").glob("**/libseccomp.so.2")), reason="libseccomp is not installed"
)
def test_it_recognises_people_under_the_units_restrictions(
    tmp_path: Path, clip: Path, eileen_png: bytes, wait_until: Any, run_cli: Any
) -> None:
    daemon = Hardened(tmp_path)
    try:
        daemon.await_told("READY=1")
        rig = Rig(daemon, wait_until)
        rig.rekognition.create_collection(CollectionId="people")
        rig.enrol(eileen_png, "Eileen-Collins")
        rig.create(*rig.streams())
        rig.start()
        fed = run_cli("put-media", str(clip), "--stream", "cam", "--fast",
                      "--endpoint-url", daemon.url)  # fmt: skip
        assert fed.returncode == 0, fed.stderr

        def names() -> set[str]:
            return {
                match["Face"]["ExternalImageId"]
                for record in rig.records()
                for face in record["FaceSearchResponse"]
                for match in face["MatchedFaces"]
            }

        wait_until(lambda: names() == {"Eileen-Collins"}, 60.0, lambda: daemon.log)
        daemon.await_told("WATCHDOG=1")
        daemon.process.terminate()
        daemon.await_told("STOPPING=1")
        assert daemon.process.wait(60) == 0
        assert "Operation not permitted" not in daemon.log
        assert "Traceback" not in daemon.log
    finally:
        daemon.process.kill()
        daemon.process.wait(60)
        daemon.manager.close()
