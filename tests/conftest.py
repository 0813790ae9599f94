"""Fixtures that every folder of tests may use: real material, and a live daemon."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import boto3
import pytest
from botocore.config import Config

from streamproc.data_folder import endpoint_of

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 60.0
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


@pytest.fixture(scope="session")
def testdata() -> Path:
    """The folder of real recordings, photos and models; the test is skipped without it."""
    folder = Path(os.environ.get("STREAMPROC_TESTDATA", ROOT.parent / "shared" / "testdata"))
    if not (folder / "README.md").is_file():
        pytest.skip(f"no test data at {folder}; set STREAMPROC_TESTDATA to its folder")
    return folder


class DaemonProcess:
    """`streamproc serve` in a process of its own, on a free port."""

    def __init__(self, data_dir: Path, *options: str) -> None:
        self.data_dir = data_dir
        self._options = options
        self._log = data_dir.parent / f"{data_dir.name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> "DaemonProcess":
        (self.data_dir / "endpoint").unlink(missing_ok=True)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streamproc", "serve", "--port", "0",
                 "--data-dir", str(self.data_dir), *self._options],
                stderr=log, stdout=log, env={**os.environ, **CREDENTIALS},
            )  # fmt: skip
        wait_until(lambda: self._answers(), START_TIMEOUT_S, lambda: self.log)
        self.url = endpoint_of(self.data_dir) or ""
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the daemon ended: {self.log}"
        return endpoint_of(self.data_dir) is not None

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def kill(self) -> None:
        """kill -9: nothing of the daemon's own runs after this."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        """SIGTERM, as systemd would; returns the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def client(self, service: str, region: str = "us-east-1") -> Any:
        return aws_client(service, self.url, region)


def aws_client(service: str, url: str, region: str = "us-east-1") -> Any:
    """A plain boto3 client; one attempt, so that a wrong answer is not retried away."""
    return boto3.client(
        service, endpoint_url=url, region_name=region,
        aws_access_key_id="test", aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=30),
    )  # fmt: skip


def wait_until(
    condition: Callable[[], Any], timeout_s: float = 20.0, explain: Callable[[], Any] = str
) -> Any:
    """Ask until the answer is true; the timeout is a failure, never a pass."""
    deadline = time.monotonic() + timeout_s
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {explain()}"
        time.sleep(0.03)
    return answer


DaemonFactory: TypeAlias = Callable[..., DaemonProcess]


@pytest.fixture
def start_daemon(tmp_path: Path) -> Iterator[DaemonFactory]:
    """Start daemons that end with the test. Options are those of `streamproc serve`."""
    with _daemons(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def start_shared_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonFactory]:
    """The same for a whole module, where starting costs more than the test."""
    with _daemons(tmp_path_factory.mktemp("daemon")) as start:
        yield start


@contextlib.contextmanager
def _daemons(folder: Path) -> Iterator[DaemonFactory]:
    running: list[DaemonProcess] = []

    def start(*options: str, name: str = "data", engine: str = "dlib") -> DaemonProcess:
        engine_options = ("--engine", engine) if engine else ()
        daemon = DaemonProcess(folder / name, *engine_options, *options)
        running.append(daemon)
        return daemon.start()

    try:
        yield start
    finally:
        for daemon in running:
            if daemon.process is not None and daemon.process.poll() is None:
                daemon.process.kill()
                daemon.process.wait(10)


@pytest.fixture(name="wait_until")
def _wait_until() -> Callable[..., Any]:
    return wait_until


@pytest.fixture(name="aws_client")
def _aws_client() -> Callable[..., Any]:
    return aws_client


@pytest.fixture
def run_cli() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run `streamproc ...` as a user would and return what it printed."""

    def run(*arguments: str, timeout_s: float = 90.0) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "streamproc", *arguments],
            capture_output=True, text=True, timeout=timeout_s, check=False,
            env={**os.environ, **CREDENTIALS, "NO_COLOR": "1", "COLUMNS": "120"},
        )  # fmt: skip

    return run
