"""Keys: kept privately, known to a running daemon at once, and gone when they are revoked."""

import asyncio
import re
import shutil
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from streamproc.access.internal import internal_caller
from streamproc.access.keyring import LAST_USED_S, WATCH_S, KeyRing
from streamproc.access.keys import AccessKey, KeyStore, UnknownKey
from streamproc.access.presets import preset
from streamproc.clock import FakeClock
from streamproc.errors import StreamprocError
from streamproc.model.caller import Right

ADMIN, VIEWER = preset("admin", []), preset("viewer", [])
ACCOUNT = "111122223333"
DELETE = Right("rekognition:DeleteCollection", "arn:aws:rekognition:eu-west-1:1:collection/people")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.db"


@pytest.fixture
async def store(file: Path, clock: FakeClock) -> AsyncIterator[KeyStore]:
    """As the command line opens it, beside the daemon."""
    store = await KeyStore.open(file, clock)
    yield store
    await store.aclose()


@pytest.fixture
async def ring(file: Path, clock: FakeClock) -> AsyncIterator[KeyRing]:
    """As the daemon has it."""
    ring = await KeyRing.open(file, ACCOUNT, clock)
    yield ring
    await ring.aclose()


async def one(store: KeyStore, key_id: str) -> AccessKey:
    return next(key for key in await store.all_keys() if key.id == key_id)


def folder_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_a_key_looks_like_aws_s_and_comes_back(store: KeyStore) -> None:
    new = await store.create("ann", ADMIN)
    assert re.fullmatch("AKIA[A-Z2-7]{16}", new.id)
    assert re.fullmatch("[0-9A-Za-z]{40}", new.secret)
    assert (new.token, new.expires_at) == ("", None)
    key = await one(store, new.id)
    assert (key.name, key.secret, key.policy) == ("ann", new.secret, ADMIN)
    assert key.has_token("")
    assert not key.has_token("any")


async def test_a_temporary_key_has_a_token_of_which_only_the_hash_is_kept(
    store: KeyStore, clock: FakeClock, tmp_path: Path
) -> None:
    new = await store.create("job", VIEWER, lifetime_s=60)
    assert re.fullmatch("ASIA[A-Z2-7]{16}", new.id)
    key = await one(store, new.id)
    assert key.has_token(new.token)
    assert not key.has_token("")
    assert not key.has_token(new.token[:-1])
    assert new.token.encode() not in folder_bytes(tmp_path)
    assert key.is_good(clock.now() + 59)
    assert not key.is_good(clock.now() + 60)


async def test_only_the_owner_reads_the_files(store: KeyStore, tmp_path: Path) -> None:
    await store.create("ann", ADMIN)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"keys.db": 0o600, "keys.db-wal": 0o600, "keys.db-shm": 0o600}


async def test_a_secret_is_in_no_text_of_a_key(store: KeyStore, ring: KeyRing) -> None:
    new = await store.create("ann", ADMIN, lifetime_s=60)
    known = await ring.find(new.id)
    assert known is not None
    text = f"{new!r} {await one(store, new.id)!r} {known!r} {known.caller!r} {ring!r}"
    assert new.secret not in text
    assert new.token not in text


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ü", "a" * 65, "AKIAIOSFODNN7EXAMPLE", "a\n"])
async def test_a_name_is_one_that_iam_would_take(store: KeyStore, name: str) -> None:
    with pytest.raises(StreamprocError, match="1 to 64"):
        await store.create(name, ADMIN)


async def test_a_name_has_one_lasting_key_and_any_temporary_ones(store: KeyStore) -> None:
    await store.create("ann", ADMIN)
    await store.create("ann", ADMIN, lifetime_s=60)
    await store.create("ann", ADMIN, lifetime_s=60)
    with pytest.raises(StreamprocError, match="streamproc keys rotate ann"):
        await store.create("ann", ADMIN)
    await store.revoke("ann")
    await store.create("ann", ADMIN)


async def test_a_rotated_key_overlaps_with_the_new_one(store: KeyStore, clock: FakeClock) -> None:
    first = await store.create("ann", VIEWER)
    second, old = await store.rotate("ann", keep_s=3600)
    assert old.id == first.id
    assert second.id != first.id
    assert (await one(store, second.id)).policy == VIEWER
    now = clock.now()
    kept = await one(store, first.id)
    assert kept.is_good(now + 3599)
    assert not kept.is_good(now + 3600)
    third, old = await store.rotate(second.id, keep_s=0)
    assert not (await one(store, second.id)).is_good(now)
    assert (await one(store, third.id)).is_good(now)


async def test_what_is_not_there_cannot_be_changed(store: KeyStore) -> None:
    temporary = await store.create("job", VIEWER, lifetime_s=60)
    with pytest.raises(UnknownKey, match="keys create job"):
        await store.rotate(temporary.id, keep_s=0)
    await store.revoke("job")
    for change in (store.revoke("job"), store.find("nobody"), store.set_policy("nobody", ADMIN)):
        with pytest.raises(UnknownKey, match="keys list"):
            await change


async def test_of_a_revoked_key_no_secret_is_left_in_any_file(
    store: KeyStore, ring: KeyRing, tmp_path: Path
) -> None:
    new = await store.create("ann", ADMIN)
    assert await ring.find(new.id)
    assert new.secret.encode() in folder_bytes(tmp_path)
    await store.revoke(new.id)
    assert new.secret.encode() not in folder_bytes(tmp_path)


# --- beside a running daemon -------------------------------------------------------------


async def test_the_very_next_request_knows_of_every_change(store: KeyStore, ring: KeyRing) -> None:
    """However fast one change follows another: times of files have ticks."""
    for number in range(20):
        name = f"user{number}"
        new = await store.create(name, VIEWER)
        known = await ring.find(new.id)
        assert known is not None
        assert known.secret == new.secret
        caller = known.caller
        assert caller.arn == f"arn:aws:iam::{ACCOUNT}:user/{name}"
        assert "not authorized to perform: rekognition:DeleteCollection" in caller.refusal(DELETE)
        await store.set_policy(new.id, ADMIN)
        assert await ring.find(new.id)
        assert caller.refusal(DELETE) == ""
        await store.revoke(name)
        assert await ring.find(new.id) is None
        assert not caller.is_valid
        assert new.id in caller.refusal(DELETE)


async def test_two_changes_within_one_tick_of_the_file_system_are_two(
    store: KeyStore, ring: KeyRing, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has just changed may have changed again without looking different."""
    changed_at, now = 1000.0, 1000.0
    stamp = ((file.stat().st_ino, round(changed_at * 1e9), 4096), None)
    monkeypatch.setattr(ring, "_stamp_now", lambda: stamp)
    monkeypatch.setattr("streamproc.access.keyring.time", SimpleNamespace(time=lambda: now))
    first = await store.create("ann", VIEWER)
    assert await ring.find(first.id)
    second = await store.create("bob", VIEWER)
    assert await ring.find(second.id)
    now += 60.0
    assert await ring.find(first.id)
    third = await store.create("eve", VIEWER)
    assert await ring.find(third.id) is None, "a file that is not told to have changed is not read"


async def test_a_commit_that_its_disk_holds_up_is_seen_all_the_same(
    store: KeyStore, ring: KeyRing, file: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes change the file's time before the disk has them, and only then readers see it."""
    new = await store.create("ann", ADMIN)
    known = await ring.find(new.id)
    assert known is not None
    begun = ((file.stat().st_ino, 0, 4096), None)
    monkeypatch.setattr(ring, "_stamp_now", lambda: begun)
    assert await ring.find(new.id), "read in the middle of a commit"
    await store.set_policy(new.id, VIEWER)
    await clock.advance(WATCH_S)
    async with asyncio.timeout(60):
        while not known.caller.refusal(DELETE):  # noqa: ASYNC110 (it has no event)
            await asyncio.sleep(0.01)


async def test_many_requests_at_once_wait_for_one_reading(store: KeyStore, ring: KeyRing) -> None:
    new = await store.create("ann", ADMIN)
    found = await asyncio.gather(*(ring.find(new.id) for _ in range(50)))
    assert all(found)


async def test_a_key_that_is_not_asked_for_ends_within_a_second(
    store: KeyStore, ring: KeyRing, clock: FakeClock
) -> None:
    """A stream asks nothing; its end hangs on is_valid."""
    new = await store.create("ann", ADMIN)
    known = await ring.find(new.id)
    assert known is not None
    caller = known.caller
    await store.revoke(new.id)
    await clock.advance(WATCH_S)
    async with asyncio.timeout(60):
        while caller.is_valid:  # noqa: ASYNC110 (it has no event)
            await asyncio.sleep(0.01)


async def test_an_expired_key_is_good_no_longer(
    store: KeyStore, ring: KeyRing, clock: FakeClock
) -> None:
    new = await store.create("job", ADMIN, lifetime_s=60)
    known = await ring.find(new.id)
    assert known is not None
    caller = known.caller
    assert (caller.is_valid, ring.usable_keys) == (True, 1)
    await clock.advance(60)
    assert (caller.is_valid, ring.usable_keys) == (False, 0)
    assert caller.refusal(DELETE)
    assert (await ring.find(new.id)) is not None, "so that it can be called expired"


async def test_a_file_that_is_taken_away_leaves_nobody_in(
    store: KeyStore, ring: KeyRing, file: Path
) -> None:
    new = await store.create("ann", ADMIN)
    assert await ring.find(new.id)
    file.rename(file.with_name("elsewhere.db"))
    assert await ring.find(new.id) is None


async def test_a_file_that_is_put_in_place_counts_at_once(
    ring: KeyRing, file: Path, clock: FakeClock, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    elsewhere = await KeyStore.open(other / "keys.db", clock)
    new = await elsewhere.create("ann", ADMIN)
    await elsewhere.aclose()
    assert await ring.find(new.id) is None
    for path in (file, file.with_name("keys.db-wal"), file.with_name("keys.db-shm")):
        path.unlink(missing_ok=True)
    shutil.copy2(other / "keys.db", file)
    assert await ring.find(new.id)


async def test_a_policy_that_cannot_be_read_opens_nothing_and_is_told_once(
    store: KeyStore, ring: KeyRing, caplog: pytest.LogCaptureFixture
) -> None:
    new = await store.create("ann", '{"Version": "2008-10-17"}')
    for _ in range(3):
        await ring.refresh(anyway=True)
        assert await ring.find(new.id) is None
    assert ring.usable_keys == 0
    assert len([record for record in caplog.records if new.id in record.message]) == 1


async def test_last_use_is_written_now_and_then_and_at_the_end(
    store: KeyStore, file: Path, clock: FakeClock
) -> None:
    new = await store.create("ann", ADMIN)
    ring = await KeyRing.open(file, ACCOUNT, clock)
    known = await ring.find(new.id)
    assert known is not None
    used_at = clock.now()
    assert known.caller.is_valid
    assert (await one(store, new.id)).last_used_at is None, "no request waits for the disk"
    async with asyncio.timeout(60):
        while (await one(store, new.id)).last_used_at is None:
            await clock.advance(LAST_USED_S / 10)
            await asyncio.sleep(0.01)
    assert (await one(store, new.id)).last_used_at == used_at
    used_at = clock.now()
    assert known.caller.is_valid
    await ring.aclose()
    assert (await one(store, new.id)).last_used_at == used_at


# --- the daemon's own calls --------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "may"),
    [
        ("kinesisvideo:GetDataEndpoint", True),
        ("kinesisvideo:GetMedia", True),
        ("kinesisvideo:DescribeStream", False),
        ("kinesisvideo:ListFragments", False),
        ("kinesis:PutRecords", True),
        ("kinesis:DescribeStreamSummary", True),
        ("kinesisvideo:PutMedia", False),
        ("kinesisvideo:DeleteStream", False),
        ("kinesis:GetRecords", False),
        ("kinesis:DeleteStream", False),
        ("rekognition:ListFaces", False),
        ("rekognition:IndexFaces", False),
    ],
)
def test_the_daemon_s_own_calls_may_do_what_its_processors_need(action: str, may: bool) -> None:
    caller = internal_caller(ACCOUNT)
    assert caller.is_valid
    refusal = caller.refusal(Right(action, "arn:aws:x:eu-west-1:1:y"))
    assert (refusal == "") is may
    assert may or f"arn:aws:iam::{ACCOUNT}:role/streamproc is not authorized" in refusal
