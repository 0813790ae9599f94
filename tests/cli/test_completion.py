"""What a shell offers behind Tab, asked for as bash does."""

import os
import subprocess
import sys
from typing import Any

from tests.conftest import CREDENTIALS

# The name of the program tells Typer which variable to look at.
PROGRAM = "import sys; sys.argv = ['streamproc']; from streamproc.cli.main import main; main()"


def offered(line: str, url: str) -> list[str]:
    """What bash is told when Tab is pressed at the end of the line."""
    words = line.split(" ")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True, text=True, timeout=90, check=False,
        env={  # as Typer's script for bash sets it
            **os.environ, **CREDENTIALS, "AWS_ENDPOINT_URL": url,
            "_STREAMPROC_COMPLETE": "complete_bash",
            "COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1),
        },
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.split()


def test_names_are_offered_that_the_daemon_knows(shell: Any, said: Any, daemon: Any) -> None:
    said(shell("processors", "create", "tab-door", "--collection", "tab-people"))
    said(shell("streams", "create", "data", "tab-data"))
    expected = {
        "streamproc processors show tab-": ["tab-door"],
        "streamproc processors create x --collection tab-": ["tab-people"],
        "streamproc streams show video tab-": ["tab-door"],
        "streamproc events --processor tab-": ["tab-door"],
        "streamproc tail tab-": ["tab-data", "tab-door-faces"],
    }
    assert {line: offered(line, daemon.url) for line in expected} == expected


def test_nothing_is_offered_and_nothing_said_where_nobody_answers() -> None:
    assert offered("streamproc processors show ", "http://127.0.0.1:9") == []
    assert offered("streamproc processors show ", "nonsense") == []


def test_commands_are_offered() -> None:
    assert offered("streamproc proc", "http://127.0.0.1:9") == ["processors"]
