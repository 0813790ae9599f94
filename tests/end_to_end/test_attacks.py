"""A live daemon that verifies signatures, under every attack of the table: each gets what it
must, whoever has a key is served at once afterwards, and the log has told no secret."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import Credentials

from streamproc.access.keys import KeyStore
from streamproc.access.presets import preset
from streamproc.clock import SystemClock
from tests.conftest import DaemonProcess
from tests.end_to_end.attacks import (
    ATTACKS,
    LIST,
    OPTIONS,
    PUT_MEDIA,
    Attack,
    Call,
    Target,
    buckets,
    make_keys,
    prepare,
)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    folder = tmp_path_factory.mktemp("attacked")
    running = DaemonProcess(folder / "data", "--engine", "dlib", *OPTIONS, *buckets(folder))
    try:
        yield running
    finally:
        if running.process is not None:
            running.stop()


@pytest.fixture(scope="module")
def target(daemon: DaemonProcess) -> Target:
    keys = make_keys(daemon.data_dir)
    made = Target(daemon.start().url, keys)
    prepare(made)
    return made


def change_keys(daemon: DaemonProcess, work: Callable[[KeyStore], Awaitable[Any]]) -> Any:
    """What `streamproc keys` does, beside the daemon."""

    async def run() -> Any:
        store = await KeyStore.open(daemon.data_dir / "keys.db", SystemClock())
        try:
            return await work(store)
        finally:
            await store.aclose()

    return asyncio.run(run())


def test_no_two_attacks_have_one_name() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_gets_what_it_must_and_nobody_else_notices(
    target: Target, attack: Attack
) -> None:
    assert attack.send(target) == attack.due
    assert target.is_well()


def listening_ports(pid: int) -> set[int]:
    """Where a process of this machine accepts connections, told by the kernel."""
    own = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            own.add(str(link.readlink()).removeprefix("socket:[").removesuffix("]"))
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    rows = [line.split() for line in lines]
    return {int(row[1].split(":")[1], 16) for row in rows if row[3] == "0A" and row[9] in own}


def test_the_daemon_has_one_door(daemon: DaemonProcess, target: Target) -> None:
    assert daemon.process is not None
    assert listening_ports(daemon.process.pid) == {target.address[1]}


def test_streams_are_cut_when_the_key_that_opened_them_is_revoked(
    daemon: DaemonProcess, target: Target
) -> None:
    new = change_keys(daemon, lambda store: store.create("watcher", preset("admin", [])))
    key = Credentials(new.id, new.secret)
    body = b'{"StreamName": "door", "StartSelector": {"StartSelectorType": "NOW"}}'
    reading = Call(body, "/getMedia", "", "kinesisvideo").signed(target, key)
    sending = PUT_MEDIA.sign(target, key) | {"Transfer-Encoding": "chunked"}
    with target.connect() as reader, target.connect() as sender:
        reader.sendall(reading)
        sender.sendall(PUT_MEDIA.raw(sending))
        for wire in (reader, sender):
            assert b" 200 " in wire.recv(65536)
        change_keys(daemon, lambda store: store.revoke("watcher"))
        for wire in (reader, sender):
            while wire.recv(65536):
                pass  # until the daemon closes it
    assert target.call(LIST, key) == (403, "UnrecognizedClientException")


def test_after_all_that_the_log_has_no_secret_and_no_mistake_of_ours(
    daemon: DaemonProcess, target: Target
) -> None:
    """Behind the others: whatever they left there, at DEBUG."""
    log = daemon.log
    assert log
    for secret in target.keys.secrets:
        assert secret not in log
    for word in ("Signature=", "Authorization", "Traceback", "Credential="):
        assert word not in log
