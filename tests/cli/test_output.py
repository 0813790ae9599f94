"""How things are shown: for people, for pipes, for programs."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text
from typer.main import get_command

from streamproc.cli import output
from streamproc.cli.main import app
from streamproc.cli.nearest import unknown
from streamproc.errors import StreamprocError

ROOT = Path(__file__).resolve().parent.parent.parent


def test_a_pipe_gets_whole_lines_without_colour_or_trailing_blanks(
    capsys: Any, monkeypatch: Any
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    shown = output.table("name", "words", "n", right=("n",), fold=("words",))
    shown.add_row("a" * 200, "long " * 100, "7")
    shown.add_row(Text("b", "red"), "", "")
    output.show(shown)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].split() == ["a" * 200, *["long"] * 100, "7"]
    assert lines[2] == "b"


def test_json_is_one_document_and_its_times_are_text(capsys: Any) -> None:
    output.print_json(
        {
            "CreationTimestamp": 1_700_000_000.25,
            "Timestamp": 1200,
            "At": datetime(2026, 1, 2, tzinfo=UTC),
            "Faces": [{"LastFragmentTimestamp": 0}],
            "Name": "Jürgen\x1b[2J",
        }
    )
    text = capsys.readouterr().out
    assert text.isascii()
    assert json.loads(text) == {
        "CreationTimestamp": "2023-11-14T22:13:20.250Z",
        "Timestamp": 1200,
        "At": "2026-01-02T00:00:00.000Z",
        "Faces": [{"LastFragmentTimestamp": "1970-01-01T00:00:00.000Z"}],
        "Name": "Jürgen\x1b[2J",
    }


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_long_list_is_part_of_one_document(count: int, capsys: Any) -> None:
    items = ({"Timestamp": number} for number in range(count))
    output.print_json_with({"JobId": "1", "VideoMetadata": {}}, "Faces", items)
    assert json.loads(capsys.readouterr().out) == {
        "JobId": "1",
        "VideoMetadata": {},
        "Faces": [{"Timestamp": number} for number in range(count)],
    }


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-3, "0 s"), (59.4, "59 s"), (60, "1 min"), (7200, "2 h"), (86_400 * 3, "3 d")],
)
def test_an_age_has_one_unit(seconds: float, words: str) -> None:
    assert output.age(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2e9, "2.0 GB")]
)
def test_a_size_is_told_in_powers_of_a_thousand(count: float, words: str) -> None:
    assert output.size(count) == words


def test_what_is_watched_goes_on_through_trouble(capsys: Any) -> None:
    answers: list[str | StreamprocError] = ["first", StreamprocError("nothing answers"), "second"]

    def draw() -> str:
        answer = answers.pop(0)
        if isinstance(answer, StreamprocError):
            raise answer
        return answer

    output.redraw(draw, 0.0, lambda: not answers)
    assert "second" in capsys.readouterr().out
    answers += [StreamprocError("nothing answers")]
    with pytest.raises(StreamprocError):  # but not before it has begun
        output.redraw(draw, 0.0)


@pytest.mark.parametrize(
    ("name", "existing", "words"),
    [
        ("dor", ["door", "yard"], "there is no processor dor; did you mean door?"),
        ("DOOR", ["door", "doors"], "there is no processor DOOR; did you mean door or doors?"),
        ("x", [], "there is no processor x, nor any other; make one"),
        ("x", ["door", "yard"], "there is no processor x; there is door and yard"),
        ("x", ["one", "two", "three", "four"], "there is no processor x; make one"),
    ],
)
def test_an_unknown_name_leads_on(name: str, existing: list[str], words: str) -> None:
    assert str(unknown("processor", name, existing, "make one")) == words


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--version"], 0, ""),
        (["processors", "--endpoint-url", "http://127.0.0.1:9"], 1, "streamproc serve"),
        (["processors", "--nonsense"], 2, "No such option"),
    ],
)
def test_exit_codes_are_as_documented(arguments: list[str], code: int, words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "streamproc", *arguments],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_every_list_and_show_has_json_and_the_page_names_its_document() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text()
    found = set()
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        for verb, each in getattr(command, "commands", {"": command}).items():
            options = {option for parameter in each.params for option in parameter.opts}
            if verb in {"list", "show"} or "--json" in options:
                assert "--json" in options, f"{name} {verb}"
                found.add(f"{name} {verb}".strip())
    named = set(re.findall(r"^\| `([a-z]+(?: list| show| --follow)?)", page, re.MULTILINE))
    grouped = {f"{name} list" for name in named if f"{name} list" in found}
    assert named - {"events --follow"} | grouped >= found - {"cameras check"}
