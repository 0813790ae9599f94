"""streamproc audit as an operator uses it."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from streamproc.audit.folder import segments
from streamproc.audit.log import record_now
from streamproc.cli.main import app
from streamproc.errors import AuditBroken, StreamprocError

AT = 1_700_000_000.0


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    for number in range(10):
        event = "DeleteFaces" if number % 2 else "SearchFaces"
        details = {"CollectionId": "people", "FaceIds": [f"face-{number}"]}
        record_now(tmp_path, "arn:aws:iam::1:user/ada", event, details, AT + number * 3600)
    return tmp_path


def audit(command: str, data_dir: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["audit", command, "--data-dir", str(data_dir), *options])


def test_verify_prints_the_head_to_be_noted_and_finds_it_again(data_dir: Path) -> None:
    result = audit("verify", data_dir)
    assert result.exit_code == 0, result.output
    assert "10 lines, number 1 to 10: whole and unchanged." in result.stdout
    noted = result.stdout.split("Head: ")[1].strip()
    assert audit("verify", data_dir, "--expect", noted).exit_code == 0
    result = audit("verify", data_dir, "--expect", "0" * 63 + "1")
    assert isinstance(result.exception, AuditBroken)


def test_a_changed_line_is_one_line_and_exit_code_1(run_cli: Any, data_dir: Path) -> None:
    segment = segments(data_dir / "audit")[0]
    segment.write_bytes(segment.read_bytes().replace(b"face-4", b"face-5"))
    done = run_cli("audit", "verify", "--data-dir", str(data_dir))
    assert done.returncode == 1
    assert "broken at line 5" in done.stderr
    assert done.stderr.count("\n") == 1


def test_show_selects_by_time_and_event(data_dir: Path) -> None:
    shown = audit("show", data_dir, "--event", "DeleteFaces", "--since", "2023-11-15T04:00")
    assert [line.split("  ")[:3] for line in shown.stdout.splitlines()] == [
        ["2023-11-15T05:13:20.000Z", "DeleteFaces", "arn:aws:iam::1:user/ada"],
        ["2023-11-15T07:13:20.000Z", "DeleteFaces", "arn:aws:iam::1:user/ada"],
    ]
    assert "FaceIds=face-7" in shown.stdout


def test_show_json_is_the_lines_as_they_are(data_dir: Path) -> None:
    shown = audit("show", data_dir, "--json", "--limit", "3")
    [segment] = segments(data_dir / "audit")
    written = [json.loads(line) for line in segment.read_text().splitlines()]
    assert [json.loads(line) for line in shown.stdout.splitlines()] == written[:3]


def test_what_a_terminal_would_obey_is_not_shown(data_dir: Path) -> None:
    record_now(data_dir, "\x1b[2J", "SearchFaces", {"CollectionId": "\x07"}, AT)
    shown = audit("show", data_dir).stdout
    assert "\x1b" not in shown
    assert "\x07" not in shown


@pytest.mark.parametrize("command", ["verify", "show"])
def test_no_log_is_one_line(tmp_path: Path, command: str) -> None:
    result = audit(command, tmp_path)
    assert isinstance(result.exception, StreamprocError)
    assert "--data-dir" in str(result.exception)


def test_a_time_that_is_none_is_one_line(data_dir: Path) -> None:
    result = audit("show", data_dir, "--since", "yesterday")
    assert isinstance(result.exception, StreamprocError)
    assert "yesterday" in str(result.exception)
