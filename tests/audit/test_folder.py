"""Lines that are written are kept, whoever writes and whatever ends the writer."""

import fcntl
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from streamproc.audit.folder import LogFolder, segments
from streamproc.audit.head import read_head
from streamproc.audit.line import Entry
from streamproc.audit.verify import read_lines, verify
from streamproc.errors import AuditBroken, StoreUnavailable

ENTRY = Entry(1_700_000_000.0, "anonymous", "SearchFaces", {"Matched": 1})


def test_files_are_their_owners_alone(folder: Path, write: Any) -> None:
    write(1)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("name", ["lock", "head.new", "000000000001.jsonl"])
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_link_gives_nobody_a_file_of_root(
    folder: Path, write: Any, tmp_path: Path, name: str, link: Any
) -> None:
    """Whoever owns the folder could put one in it, and wait until root runs a command."""
    write(0)
    os.chown(folder, 12345, 12345)
    of_root = tmp_path / "shadow"
    of_root.write_text("root's alone")
    (folder / name).unlink(missing_ok=True)
    link(of_root, folder / name)
    with pytest.raises(StoreUnavailable):
        write(1)
    assert (of_root.stat().st_uid, of_root.read_text()) == (0, "root's alone")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_writes_stays_the_folder_owner_s(folder: Path, write: Any) -> None:
    write(0)
    for file in (folder, *folder.iterdir()):
        os.chown(file, 12345, 12345)
    write(1)
    assert {file.stat().st_uid for file in folder.iterdir()} == {12345}


def test_two_writers_take_turns_in_one_chain(folder: Path, write: Any) -> None:
    one, other = write(0, segment_bytes=2000), write(0, segment_bytes=2000)
    for _ in range(10):
        one.append([ENTRY, ENTRY], sync=False)
        other.append([ENTRY], sync=True)
    one.sync()
    assert verify(folder).last.number == 30
    assert len(segments(folder)) > 1


WRITER = """
import sys
from pathlib import Path
from streamproc.audit.folder import LogFolder
from streamproc.audit.line import Entry
log = LogFolder(Path(sys.argv[1]), segment_bytes=20_000)
log.create()
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[2])):
    log.append([Entry(0.0, sys.argv[3], "SearchFaces", {"Number": number})], sync=False)
    print(number, flush=True)
"""


def writer(folder: Path, count: int, who: str) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(count), who],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def test_processes_that_write_at_once_make_one_chain(folder: Path) -> None:
    processes = [writer(folder, 200, f"writer {number}") for number in range(3)]
    for process in processes:
        process.communicate(b"go\n", timeout=60)
    assert verify(folder).last.number == 600
    for number in range(3):
        mine = [line for line in read_lines(folder) if line.who == f"writer {number}"]
        assert [line.details["Number"] for line in mine] == list(range(200))


def test_kill_9_loses_no_line_that_was_answered(folder: Path, write: Any) -> None:
    process = writer(folder, 1_000_000, "victim")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"go\n")
    process.stdin.flush()
    for _ in range(300):
        answered = process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate(timeout=60)
    answered = (rest.split(b"\n")[:-1] or [answered])[-1]
    write(1)
    verify(folder)
    kept = [line.details["Number"] for line in read_lines(folder) if line.who == "victim"]
    assert kept[: int(answered) + 1] == list(range(int(answered) + 1))


def test_a_line_that_was_cut_is_told_and_owned_up_to(folder: Path, write: Any) -> None:
    log = write(5)
    log.append([ENTRY], sync=False)  # not yet known to be on disk: the head is behind
    segment = segments(folder)[0]
    os.truncate(segment, segment.stat().st_size - 40)
    verified = verify(folder)
    assert (verified.last.number, verified.torn_bytes > 0) == (5, True)
    write(2)
    assert verify(folder).torn_bytes == 0
    owning = list(read_lines(folder))[5]
    assert (owning.number, owning.event) == (6, "TornLine")
    assert owning.details["Bytes"] == verified.torn_bytes + len(" <torn>\n")


@pytest.mark.parametrize("left", range(1, 60, 7))
def test_a_repair_that_is_cut_itself_is_repaired(folder: Path, write: Any, left: int) -> None:
    log = write(3)
    log.append([ENTRY], sync=False)
    segment = segments(folder)[0]
    os.truncate(segment, segment.stat().st_size - 1)  # all of it but its newline
    with segment.open("ab") as file:
        file.write((b" <torn>\n" + b'{"number":4,"time":"2023-11-14T22:13:20.250Z","who":')[:left])
    write(1)
    verify(folder)
    assert [line.event for line in read_lines(folder)][3:] == ["TornLine", "DeleteFaces"]


def test_what_a_torn_line_hides_cannot_be_changed_later(folder: Path, write: Any) -> None:
    log = write(1)
    log.append([ENTRY], sync=False)
    segment = segments(folder)[0]
    os.truncate(segment, segment.stat().st_size - 40)
    write(1)
    segment.write_bytes(segment.read_bytes().replace(b'"Matched":1', b'"Matched":2'))
    with pytest.raises(AuditBroken, match="line 2"):
        verify(folder)


def test_a_claim_of_torn_bytes_that_are_not_there_is_refused(folder: Path, write: Any) -> None:
    log = write(1)
    details = {"Bytes": 0, "SHA256": ""}
    log.append([Entry(0.0, "streamproc", "TornLine", details)], sync=True)
    with pytest.raises(AuditBroken, match="line 2"):
        verify(folder)


@contextmanager
def full_disk(room: Path) -> Iterator[None]:
    """No file of this process may grow beyond this one, and a little."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room.stat().st_size + 100, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_said_and_healed(folder: Path, write: Any) -> None:
    log = write(5)
    with full_disk(segments(folder)[0]):
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="make room"):
                log.append([ENTRY], sync=True)
    assert verify(folder).torn_bytes == 100
    log.append([ENTRY], sync=True)
    log.sync()
    assert verify(folder).last.number == 7
    assert [line.event for line in read_lines(folder)][5:] == ["TornLine", "SearchFaces"]


def test_a_log_that_is_moved_away_is_not_begun_anew_in_mid_run(folder: Path, write: Any) -> None:
    log = write(2)
    away = folder.rename(folder.parent / "away")
    with pytest.raises(StoreUnavailable, match="put the folder back"):
        log.append([ENTRY], sync=True)
    away.rename(folder)
    log.append([ENTRY], sync=True)
    assert verify(folder).last.number == 3


def test_a_file_that_was_put_in_a_segment_s_place_gets_the_next_line(
    folder: Path, write: Any
) -> None:
    log = write(2)
    (segment,) = segments(folder)
    copy = segment.with_suffix(".copy")
    copy.write_bytes(segment.read_bytes())
    copy.replace(segment)
    log.append([ENTRY], sync=True)
    assert verify(folder).last.number == 3


def test_writers_take_turns_when_their_lock_was_removed_meanwhile(folder: Path, write: Any) -> None:
    one = write(1)
    (folder / "lock").unlink()
    other = write(1)
    for writer in (one, other, one):
        writer.append([ENTRY], sync=False)
    with (folder / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # let go of by both
    assert verify(folder).last.number == 5


def test_a_log_that_is_shortened_in_mid_run_is_noticed(folder: Path, write: Any) -> None:
    log = write(2)
    log.append([ENTRY], sync=False)
    segment = segments(folder)[0]
    lines = segment.read_bytes().splitlines(keepends=True)
    os.truncate(segment, len(b"".join(lines[:2])))
    with pytest.raises(AuditBroken, match="a moment ago"):
        log.append([ENTRY], sync=True)


def test_the_head_is_never_ahead_of_what_is_on_disk(folder: Path, write: Any) -> None:
    log = write(2)
    log.append([ENTRY], sync=False)
    head = read_head(folder)
    assert head is not None
    assert head.number == 2
    log.sync()
    head = read_head(folder)
    assert head is not None
    assert head.number == 3


def test_a_segment_begun_and_still_empty_is_gone_on_with(folder: Path, write: Any) -> None:
    write(3)
    (folder / "000000000004.jsonl").touch()
    write(1)
    assert [segment.stem for segment in segments(folder)] == ["000000000001", "000000000004"]
    assert verify(folder).last.number == 4


def test_a_head_cut_by_a_lesser_file_system_is_told(folder: Path, write: Any) -> None:
    write(1)
    (folder / "head").write_bytes(b"")
    with pytest.raises(AuditBroken, match="head is damaged"):
        LogFolder(folder).create()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files for others")
def test_what_root_writes_beside_a_daemon_belongs_to_the_daemon(folder: Path, write: Any) -> None:
    os.chown(folder.parent, 12345, 12345)
    write(1)
    write(1)
    for path in (folder, *folder.iterdir()):
        assert path.stat().st_uid == 12345, path
