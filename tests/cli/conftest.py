"""One live daemon for all commands that need no more than one, and a shell for them."""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest
from typer.testing import CliRunner, Result

from streamproc.cli.main import app
from streamproc.errors import StreamprocError
from tests.conftest import CREDENTIALS, DaemonProcess

Shell: TypeAlias = Callable[..., Result]


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """With the dlib engine; what a test makes there it names after itself."""
    process = DaemonProcess(tmp_path_factory.mktemp("cli") / "data", "--engine", "dlib").start()
    yield process
    process.kill()


@pytest.fixture
def shell(daemon: DaemonProcess) -> Shell:
    """Run `streamproc ...` in this process, its output not a terminal."""

    def run(*arguments: object, **environment: str) -> Result:
        clean = dict.fromkeys(("COLUMNS", "FORCE_COLOR", "NO_COLOR"))
        return CliRunner(env=clean).invoke(
            app,
            [str(argument) for argument in arguments],
            env={"AWS_ENDPOINT_URL": daemon.url, **CREDENTIALS, **environment},
        )

    return run


@pytest.fixture(scope="session")
def said() -> Callable[[Result], list[str]]:
    """The lines of a command that has succeeded."""

    def lines(result: Result) -> list[str]:
        assert result.exit_code == 0, (result.output, result.exception)
        return result.stdout.splitlines()

    return lines


@pytest.fixture(scope="session")
def refusal() -> Callable[[Result], str]:
    """What main() prints as one line before it exits with 1."""

    def words(result: Result) -> str:
        assert isinstance(result.exception, StreamprocError), (result.output, result.exception)
        return str(result.exception)

    return words
