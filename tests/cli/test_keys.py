"""streamproc keys, as somebody at a shell uses it."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from streamproc.access.keys import AccessKey, KeyStore
from streamproc.audit.verify import verify
from streamproc.cli.access import refused
from streamproc.cli.main import app
from streamproc.clock import SystemClock

Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def keys(folder: Path) -> Run:
    """Run `streamproc keys ...` on the folder."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["keys", *arguments, "--data-dir", str(folder)])

    return run


def exports(text: str) -> dict[str, str]:
    return dict(re.findall(r"^export (\w+)=(\S+)$", text, re.MULTILINE))


def kept(folder: Path) -> list[AccessKey]:
    async def read() -> list[AccessKey]:
        store = await KeyStore.open(folder / "keys.db", SystemClock())
        try:
            return await store.all_keys()
        finally:
            await store.aclose()

    return asyncio.run(read())


def audit_lines(folder: Path) -> list[dict[str, Any]]:
    texts = [path.read_text() for path in sorted((folder / "audit").glob("*.jsonl"))]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def test_create_prints_lines_to_paste_and_nothing_else(keys: Run, folder: Path) -> None:
    done = keys("create", "ann", "--policy", "admin")
    assert done.exit_code == 0, done.output
    told = exports(done.stdout)
    [key] = kept(folder)
    assert told == {"AWS_ACCESS_KEY_ID": key.id, "AWS_SECRET_ACCESS_KEY": key.secret}
    assert all(line.startswith("export ") for line in done.stdout.splitlines())
    assert "not shown again" in done.stderr
    assert folder.stat().st_mode & 0o077 == 0


def test_a_shell_can_take_them_as_they_are(keys: Run, folder: Path) -> None:
    done = keys("create", "ann", "--expires", "12h")
    shell = f'{done.stdout}\nprintf \'%s %s\' "$AWS_SECRET_ACCESS_KEY" "$AWS_SESSION_TOKEN"'
    printed = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True)
    secret, token = printed.stdout.split()
    [key] = kept(folder)
    assert key.secret == secret
    assert key.has_token(token)
    assert key.expires_at == pytest.approx(key.created_at + 12 * 3600)


def test_without_a_word_a_key_may_only_look(keys: Run, folder: Path) -> None:
    keys("create", "ann")
    [key] = kept(folder)
    actions = json.loads(key.policy)["Statement"][0]["Action"]
    assert "rekognition:Describe*" in actions
    assert not any("Delete" in action or "Create" in action for action in actions)


def test_a_camera_may_write_to_its_stream(keys: Run, folder: Path) -> None:
    assert keys("create", "cam", "--policy", "camera", "--stream", "front-door").exit_code == 0
    [key] = kept(folder)
    [statement] = json.loads(key.policy)["Statement"]
    assert statement["Resource"] == ["arn:aws:kinesisvideo:*:*:stream/front-door/*"]


def test_a_policy_comes_from_a_file_and_is_checked(keys: Run, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    statement = {"Effect": "Allow", "Action": "kinesis:*", "Resource": "*"}
    file.write_text(json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    assert keys("create", "ann", "--policy", str(file)).exit_code == 0
    assert kept(folder)[0].policy == file.read_text()
    file.write_text('{"Version": "2012-10-17", "Statement": {"Effect": "Perhaps"}}')
    refused = keys("create", "bob", "--policy", str(file))
    assert refused.exit_code == 1
    assert "Perhaps" in str(refused.exception)
    assert len(kept(folder)) == 1


def test_list_tells_everything_but_secrets(keys: Run, folder: Path) -> None:
    for name in ("ann", "bob"):
        keys("create", name)
    keys("create", "job", "--expires", "1h")
    keys("revoke", "bob")
    listed = keys("list").stdout
    assert "ann" in listed
    assert "job" in listed
    assert "bob" not in listed
    everything = keys("list", "--all").stdout
    assert "bob" in everything
    assert "revoked" in everything
    for key in kept(folder):
        assert key.id in everything
        assert not key.secret or key.secret not in everything


def test_json_tells_no_secret_either(keys: Run, folder: Path) -> None:
    secret = exports(keys("create", "ann", "--expires", "1h").stdout)["AWS_SECRET_ACCESS_KEY"]
    text = keys("list", "--json").stdout
    (found,) = json.loads(text)["AccessKeys"]
    assert (found["UserName"], found["Status"]) == ("ann", "Active")
    assert found["ExpirationTimestamp"].endswith("Z")
    assert found["LastUsedTimestamp"] is None
    assert secret not in text


def test_rotate_replaces_a_key_and_keeps_the_old_one_for_a_while(keys: Run, folder: Path) -> None:
    first = exports(keys("create", "ann").stdout)["AWS_ACCESS_KEY_ID"]
    done = keys("rotate", "ann", "--keep", "30m")
    second = exports(done.stdout)["AWS_ACCESS_KEY_ID"]
    assert f"{first} ends in 30m" in done.stderr
    old, new = kept(folder)
    assert (old.id, new.id, new.expires_at) == (first, second, None)
    assert old.expires_at == pytest.approx(new.created_at + 1800)


def test_a_policy_can_be_read_and_changed(keys: Run, folder: Path) -> None:
    keys("create", "ann")
    assert json.loads(keys("policy", "ann").stdout)["Version"] == "2012-10-17"
    assert keys("policy", "ann", "admin").exit_code == 0
    assert json.loads(kept(folder)[0].policy)["Statement"][0]["Action"] == "*"


def test_every_change_is_a_line_of_the_audit_log(keys: Run, folder: Path) -> None:
    secrets = [exports(keys("create", "ann").stdout)["AWS_SECRET_ACCESS_KEY"]]
    secrets.append(exports(keys("rotate", "ann").stdout)["AWS_SECRET_ACCESS_KEY"])
    keys("policy", "ann", "admin")
    keys("revoke", "ann")
    lines = audit_lines(folder)
    events = [(line["event"], line["details"]["Stage"]) for line in lines]
    assert events == [
        ("CreateAccessKey", "asked"), ("CreateAccessKey", "done"),
        ("RotateAccessKey", "asked"), ("RotateAccessKey", "done"),
        ("PutKeyPolicy", "asked"), ("PutKeyPolicy", "asked"),
        ("PutKeyPolicy", "done"), ("PutKeyPolicy", "done"),
        ("RevokeAccessKey", "done"), ("RevokeAccessKey", "done"),
    ]  # fmt: skip
    assert {line["details"]["UserName"] for line in lines} == {"ann"}
    assert all(line["who"].startswith("streamproc keys, ") for line in lines)
    assert not any(secret in json.dumps(lines) for secret in secrets)
    assert verify(folder / "audit", 1, "").last.number == len(lines)


def test_what_cannot_be_written_down_is_not_done_but_a_key_can_always_be_revoked(
    keys: Run, folder: Path
) -> None:
    keys("create", "ann")
    before = kept(folder)
    (folder / "audit" / "head").unlink()
    for arguments in (["create", "bob"], ["rotate", "ann"], ["policy", "ann", "admin"]):
        done = keys(*arguments)
        assert done.exit_code == 1
        assert "audit" in str(done.exception)
        assert not exports(done.stdout)
        assert kept(folder) == before
    done = keys("revoke", "ann")
    assert "audit" in str(done.exception)
    assert f"revoked {before[0].id}" in done.stdout
    assert kept(folder)[0].revoked_at is not None


def test_a_change_that_fails_is_told_as_failed(keys: Run, folder: Path) -> None:
    keys("create", "ann")
    keys("create", "ann")
    assert [line["details"]["Stage"] for line in audit_lines(folder)][2:] == ["asked", "failed"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create", "a b"], "1 to 64"),
        (["create", "ann", "--policy", "boss"], "neither a preset"),
        (["create", "ann", "--policy", "camera"], "needs the streams"),
        (["create", "ann", "--policy", "admin", "--stream", "x"], "all resources"),
        (["create", "ann", "--expires", "soon"], "--expires soon is no time"),
        (["create", "ann", "--expires", "400d"], "up to a year"),
        (["create", "ann", "--expires", "0s"], "over at once"),
        (["revoke", "nobody"], "no good key nobody"),
        (["rotate", "nobody"], "no good key nobody"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    keys: Run, folder: Path, arguments: list[str], words: str
) -> None:
    folder.mkdir()
    done = keys(*arguments)
    assert done.exit_code == 1
    assert words in str(done.exception)
    assert "\n" not in str(done.exception)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root acts as others")
def test_what_root_does_with_keys_is_its_own_in_the_log_and_the_daemon_s_on_disk(
    run_cli: Any,
) -> None:
    try:
        subprocess.run([sys.executable, "-c", "import streamproc.db"], user=12345, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this Python is root's alone")
    # Not in tmp_path, whose parents are closed to others.
    with TemporaryDirectory() as home:
        folder = Path(home, "data")
        folder.mkdir(0o700)
        for path in (home, folder):
            os.chown(path, 12345, 12345)
        done = run_cli("keys", "create", "ann", "--data-dir", str(folder))
        assert done.returncode == 0, done.stderr
        assert {path.stat().st_uid for path in folder.rglob("*")} == {12345}
        assert audit_lines(folder)[-1]["who"] == "streamproc keys, root"


def test_another_folder_is_not_made_by_looking(keys: Run, folder: Path) -> None:
    done = keys("list")
    assert "--data-dir" in str(done.exception)
    assert not folder.exists()


def test_who_is_refused_hears_how_to_get_a_key() -> None:
    url = "http://127.0.0.1:4600"
    line = refused(url, "UnrecognizedClientException", "The security token is invalid.")
    assert "streamproc keys create" in line
    assert "The security token is invalid. http" in line
    assert refused("aws", "UnrecognizedClientException", "no") == "UnrecognizedClientException: no"
    assert refused(url, "AccessDeniedException", "no") == "AccessDeniedException: no"
