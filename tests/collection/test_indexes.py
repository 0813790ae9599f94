"""Collections that grow past what is searched exactly, and shrink again: seen from outside."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from numpy.typing import NDArray

from streamproc.collection import index_maker
from streamproc.collection.coded import CodedIndex
from streamproc.collection.codes import Codes
from streamproc.collection.index import VectorIndex
from streamproc.collection.index_files import IndexDamaged, IndexFiles
from streamproc.collection.index_maker import IndexMaker
from streamproc.collection.service import CollectionService
from streamproc.collection.stored_vectors import StoredVectors
from streamproc.errors import CollectionNotFound, StoreUnavailable
from streamproc.model.face import Face, IndexedFace
from tests.cancellation import cut_at
from tests.collection.conftest import OpenService
from tests.collection.crowd import CROWD_DIMENSION, people, photos
from tests.collection.vectors import REGION, SQUARES, face_at, face_ids

OpenLarge = Callable[..., Awaitable[CollectionService]]

EXACT_MAX = 40
INFO = replace(SQUARES, dimension=CROWD_DIMENSION)


@pytest.fixture
def open_large(open_service: OpenService) -> OpenLarge:
    """Opens the service on one database; collections of more than EXACT_MAX faces are large."""

    async def open_(index_bytes_max: int = 1 << 30) -> CollectionService:
        return await open_service(
            info=INFO, exact_faces_max=EXACT_MAX, index_bytes_max=index_bytes_max
        )

    return open_


def held_up(
    work: Callable[..., Any],
) -> tuple[threading.Event, threading.Event, Callable[..., Any]]:
    """When it has begun, what lets it go on, and the work that does so."""
    begun, go = threading.Event(), threading.Event()

    def slow(*args: Any) -> Any:
        begun.set()
        go.wait()
        return work(*args)

    return begun, go, slow


def faces_of(vectors: NDArray[np.float32]) -> list[Face]:
    return [face_at(vector, left=number * 0.3) for number, vector in enumerate(vectors)]


async def grown(service: CollectionService, count: int, where: str = "team") -> list[str]:
    """The ids of people(count) in a new collection, which is now of its kind."""
    await service.create(REGION, where)
    added = await service.add_faces(REGION, where, "all", None, faces_of(people(count)))
    await settled(service, where)
    return face_ids(added)


async def settled(service: CollectionService, where: str = "team") -> None:
    """Every change of kind that was begun has ended."""
    await service.search(REGION, where, people(1)[0], threshold=50)
    while service._indexes._changing:
        await asyncio.wait(service._indexes._changing.values())


async def caught_up(service: CollectionService) -> None:
    """What a crash had left behind is as the database is."""
    assert service._indexes._catching_up is not None
    await service._indexes._catching_up


async def found(
    service: CollectionService, vector: NDArray[np.float32], where: str = "team"
) -> list[str]:
    return face_ids(await service.search(REGION, where, vector, threshold=60))


async def agrees(service: CollectionService, ids: list[str], gone: set[int]) -> bool:
    """Whether photos find whom they show, and nobody who is gone."""
    count = len(ids)
    for number, photo in enumerate(photos(people(count))):
        if (ids[number] in await found(service, photo)) == (number in gone):
            return False
    return True


def kind(service: CollectionService) -> type:
    [index] = service._indexes._indexes.values()
    return type(index)


def index_files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("indexes/*"))


async def test_a_collection_that_grows_changes_its_index_and_no_search_notices(
    open_large: OpenLarge, tmp_path: Path
) -> None:
    service = await open_large()
    await service.create(REGION, "team")
    ids: list[str] = []
    kinds = set()
    for number, vector in enumerate(people(2 * EXACT_MAX)):
        ids += face_ids(
            await service.add_faces(REGION, "team", str(number), None, [face_at(vector)])
        )
        assert await found(service, vector) == [ids[-1]]
        assert await found(service, people(1)[0]) == [ids[0]]
        kinds.add(kind(service))
    await settled(service)
    assert kind(service) is CodedIndex
    assert kinds == {VectorIndex, CodedIndex}
    assert index_files(tmp_path) == ["1.codes", "1.vectors"]
    assert await agrees(service, ids, set())


async def test_while_the_index_is_changed_the_old_one_answers(
    open_large: OpenLarge, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go, slow = held_up(CodedIndex.load)
    service = await open_large()
    await service.create(REGION, "team")
    await service.search(REGION, "team", people(1)[0], threshold=50)
    monkeypatch.setattr(CodedIndex, "load", slow)
    added = await service.add_faces(REGION, "team", "all", None, faces_of(people(50)))
    await asyncio.to_thread(begun.wait)
    assert await found(service, people(50)[7]) == face_ids(added[7:8])
    more = asyncio.create_task(
        service.add_faces(REGION, "team", "more", None, faces_of(people(1, seed=9)))
    )
    go.set()
    [newcomer] = await more
    await settled(service)
    assert kind(service) is CodedIndex
    assert await found(service, people(1, seed=9)[0]) == [newcomer.face_id]


async def test_a_collection_that_shrinks_is_searched_exactly_again(
    open_large: OpenLarge, tmp_path: Path
) -> None:
    service = await open_large()
    ids = await grown(service, 60)
    await service.delete_faces(REGION, "team", ids[10:45])
    await settled(service)
    assert kind(service) is CodedIndex, "a few more or less do not change it to and fro"
    await service.delete_faces(REGION, "team", ids[45:])
    await settled(service)
    assert kind(service) is VectorIndex
    assert index_files(tmp_path) == []
    assert await agrees(service, ids, set(range(10, 60)))


async def test_a_large_index_is_not_made_again_at_a_start(
    open_large: OpenLarge, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await open_large()
    ids = await grown(service, 60)
    await service.delete_faces(REGION, "team", ids[3:6])
    monkeypatch.setattr(StoredVectors, "of", Mock(side_effect=AssertionError("read again")))
    again = await open_large()  # the first one was never closed
    assert await agrees(again, ids, {3, 4, 5})
    assert kind(again) is CodedIndex


async def test_files_that_are_behind_catch_up_with_what_came_and_went(
    open_large: OpenLarge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await open_large()
    ids = await grown(service, 60)
    collection = await service.describe(REGION, "team")
    await service._store.remove(collection, ids[:20])  # and a crash before the index heard
    newcomer = people(1, seed=9)
    await service._store.add(collection, "picture", None, faces_of(newcomer))
    monkeypatch.setattr(StoredVectors, "of", Mock(side_effect=AssertionError("read again")))
    again = await open_large()
    await caught_up(again)
    held = (tmp_path / "indexes" / "1.vectors").read_bytes()
    for number, vector in enumerate(people(60)):
        assert (vector.tobytes() in held) == (number >= 20)
    assert await agrees(again, ids, set(range(20)))
    assert len(await found(again, newcomer[0])) == 1


async def left_behind(
    open_large: OpenLarge,
) -> tuple[CollectionService, NDArray[np.float32], tuple[IndexedFace, ...]]:
    """A collection to which 23 people were added that its index does not have, and their faces."""
    service = await open_large()
    await grown(service, 60)
    collection = await service.describe(REGION, "team")
    newcomers = people(23, seed=9)
    added = await service._store.add(collection, "picture", None, faces_of(newcomers))
    return service, newcomers, added.faces


async def test_an_index_catches_up_in_parts_of_bounded_memory(
    open_large: OpenLarge, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, newcomers, faces = await left_behind(open_large)
    parts: list[int] = []
    change = CodedIndex.change

    def cut_short(self: CodedIndex, generation: int, keys: Sequence[int], *more: Any) -> None:
        parts.append(len(keys))
        if len(parts) == 3:
            raise OSError(5, "Input/output error")
        change(self, generation, keys, *more)

    monkeypatch.setattr(index_maker, "PART_FACES", 10)
    monkeypatch.setattr(CodedIndex, "change", cut_short)
    again = await open_large()
    await caught_up(again)
    for newcomer, face in zip(newcomers, faces, strict=True):
        assert (await found(again, newcomer))[0] == face.face_id
    assert max(parts) == 10


async def test_a_crash_while_an_index_catches_up_leaves_it_behind(
    open_large: OpenLarge, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, newcomers, faces = await left_behind(open_large)
    collection = await service.describe(REGION, "team")
    monkeypatch.setattr(index_maker, "PART_FACES", 10)
    some, read = StoredVectors.some, 0

    async def crashing(*args: Any) -> Any:
        nonlocal read
        read += 1
        if read == 2:
            raise RuntimeError("the power went")
        return await some(*args)

    with monkeypatch.context() as crash:
        crash.setattr(StoredVectors, "some", crashing)
        with pytest.raises(RuntimeError, match="the power went"):
            await service._indexes._maker.opened(collection)
    monkeypatch.setattr(StoredVectors, "of", Mock(side_effect=AssertionError("made again")))
    again = await open_large()
    for newcomer, face in zip(newcomers, faces, strict=True):
        assert (await found(again, newcomer))[0] == face.face_id


async def test_answers_do_not_wait_for_an_index_that_is_behind_and_nobody_asks_for(
    open_large: OpenLarge, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    service = await open_large()
    ids = await grown(service, 60)
    others = await grown(service, 60, "others")
    await service._store.remove(await service.describe(REGION, "team"), ids[:20])
    begun, go, slow = held_up(CodedIndex.change)
    monkeypatch.setattr(CodedIndex, "change", slow)
    again = await open_large()
    await asyncio.to_thread(begun.wait)
    assert await found(again, people(1)[0], "others") == others[:1]
    go.set()
    await caught_up(again)
    held = (tmp_path / "indexes" / "1.vectors").read_bytes()
    assert not any(vector.tobytes() in held for vector in people(20))
    [in_memory] = again._indexes._indexes.values()
    assert in_memory is await again._indexes.of(await again.describe(REGION, "others"))


@pytest.mark.parametrize("name", ["1.codes", "1.vectors"])
@pytest.mark.parametrize("harm", ["flipped", "emptied", "missing"])
async def test_damaged_files_are_made_again_and_never_believed(
    open_large: OpenLarge, tmp_path: Path, name: str, harm: str
) -> None:
    service = await open_large()
    ids = await grown(service, 60)
    await service.aclose()
    path = tmp_path / "indexes" / name
    data = path.read_bytes()
    if harm == "missing":
        path.unlink()
    else:
        middle = len(data) // 2 if name == "1.codes" else 30 * 4 * CROWD_DIMENSION + 9
        flipped = data[:middle] + bytes([data[middle] ^ 0x40]) + data[middle + 1 :]
        path.write_bytes(flipped if harm == "flipped" else b"")
    again = await open_large()
    assert await agrees(again, ids, set())


async def test_files_of_a_collection_that_is_no_more_are_removed(
    open_large: OpenLarge, tmp_path: Path
) -> None:
    service = await open_large()
    await grown(service, 60)
    await service.delete(REGION, "team")
    assert index_files(tmp_path) == []
    (tmp_path / "indexes" / "1.codes").write_bytes(b"x")
    (tmp_path / "indexes" / "left.vectors").write_bytes(b"x")
    await open_large()
    assert index_files(tmp_path) == []


async def test_deletion_reaches_the_files_of_an_index_that_is_not_in_memory(
    open_large: OpenLarge, tmp_path: Path
) -> None:
    await grown(await open_large(), 60)
    again = await open_large()
    ids = face_ids(await again.list_faces(REGION, "team", None, 100))
    await again.delete_faces(REGION, "team", ids[:30])
    held = (tmp_path / "indexes" / "1.vectors").read_bytes()
    assert sum(vector.tobytes() in held for vector in people(60)) == 30


async def test_an_index_that_cannot_be_written_is_no_loss(
    open_large: OpenLarge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await open_large()
    ids = await grown(service, 60)
    full = OSError(28, "No space left on device")
    with monkeypatch.context() as disk:
        disk.setattr(IndexFiles, "write", Mock(side_effect=full))
        [newcomer] = await service.add_faces(
            REGION, "team", "late", None, faces_of(people(1, seed=9))
        )
        with pytest.raises(StoreUnavailable, match="No space left on device"):
            await found(service, people(1)[0])
        assert await service.delete_faces(REGION, "team", ids[:1]) == ids[:1]
        assert index_files(tmp_path) == []
    assert await agrees(service, ids, {0})
    assert await found(service, people(1, seed=9)[0]) == [newcomer.face_id]


async def test_a_collection_stays_exact_while_its_files_cannot_be_written(
    open_large: OpenLarge, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await open_large()
    await service.create(REGION, "team")
    await service.search(REGION, "team", people(1)[0], threshold=50)
    with monkeypatch.context() as disk:
        disk.setattr(IndexFiles, "create", Mock(side_effect=OSError(28, "No space left on device")))
        added = await service.add_faces(REGION, "team", "all", None, faces_of(people(50)))
        await settled(service)
        assert kind(service) is VectorIndex
        assert await agrees(service, face_ids(added), set())


async def test_a_warm_search_asks_the_database_nothing(
    open_large: OpenLarge, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await open_large()
    ids = await grown(service, 60)
    await agrees(service, ids, set())
    monkeypatch.setattr(service._store, "_rows", Mock(side_effect=AssertionError("asked")))
    assert await agrees(service, ids, set())


async def test_a_collection_deleted_while_it_is_searched_is_missed_at_once(
    open_large: OpenLarge,
) -> None:
    service = await open_large()
    ids = await grown(service, 60)
    assert await found(service, people(1)[0]) == ids[:1]
    await service.delete(REGION, "team")
    with pytest.raises(CollectionNotFound):
        await found(service, people(1)[0])


async def test_several_faces_are_searched_at_once(open_large: OpenLarge) -> None:
    service = await open_large()
    ids = await grown(service, 60)
    three = list(photos(people(60))[[5, 0, 59]])
    matches = await service.search_all(REGION, "team", three, threshold=60, limit=1)
    assert [face_ids(each) for each in matches] == [[ids[5]], [ids[0]], [ids[59]]]
    assert await service.search_all(REGION, "team", [], threshold=60) == []


async def test_an_index_given_up_while_it_is_made_writes_nothing_after_a_deletion(
    open_large: OpenLarge, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    begun, go, slow = held_up(CodedIndex.load)
    service = await open_large()
    await service.create(REGION, "team")
    await service.add_faces(REGION, "team", "all", None, faces_of(people(50)))
    monkeypatch.setattr(CodedIndex, "load", slow)
    searching = asyncio.create_task(service.search(REGION, "team", people(1)[0], threshold=50))
    await asyncio.to_thread(begun.wait)
    searching.cancel()
    deleting = asyncio.create_task(service.delete(REGION, "team"))
    go.set()
    await asyncio.gather(searching, return_exceptions=True)
    await deleting
    assert index_files(tmp_path) == []


@pytest.mark.parametrize("late", [False, True])
async def test_callers_that_give_up_leave_a_large_index_in_step(
    open_large: OpenLarge, late: bool
) -> None:
    service = await open_large()
    ids = await grown(service, 60)
    for wait in range(0, 40, 3):
        deleting = service.delete_faces(REGION, "team", ids[wait : wait + 1])
        await cut_at(deleting, wait, late=late)
    left = set(face_ids(await service.list_faces(REGION, "team", None, 100)))
    gone = {number for number, face_id in enumerate(ids) if face_id not in left}
    assert gone
    assert await agrees(service, ids, gone)


async def test_a_disk_that_keeps_nothing_is_told(
    open_large: OpenLarge, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await open_large()
    await grown(service, 60)
    with monkeypatch.context() as disk:
        disk.setattr(IndexFiles, "rows", Mock(side_effect=IndexDamaged("not what was written")))
        with pytest.raises(StoreUnavailable, match="check the disk"):
            await found(service, people(1)[0])
    assert len(await found(service, people(1)[0])) == 1


async def test_a_search_outlives_the_eviction_of_its_index(
    open_large: OpenLarge, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await open_large(index_bytes_max=1)  # the one used last, and no other
    ids = {name: await grown(service, 60, name) for name in ("team", "others")}
    begun, go, slow = held_up(Codes.nearest)
    with monkeypatch.context() as held:
        held.setattr(Codes, "nearest", slow)
        searching = asyncio.create_task(found(service, people(1)[0]))
        await asyncio.to_thread(begun.wait)
    assert await found(service, people(1)[0], "others") == ids["others"][:1]
    [others] = service._indexes._indexes.values()
    go.set()
    assert await searching == ids["team"][:1]
    assert list(service._indexes._indexes.values()) == [others], "it was opened again"


async def test_searches_go_on_while_their_indexes_are_evicted(
    open_large: OpenLarge, caplog: pytest.LogCaptureFixture
) -> None:
    service = await open_large(index_bytes_max=1)
    ids = {name: await grown(service, 60, name) for name in ("team", "others", "third")}

    async def search(name: str) -> None:
        for number, photo in enumerate(photos(people(20))):
            assert ids[name][number] in await found(service, photo, name)

    await asyncio.gather(*(search(name) for name in ids for _ in range(3)))
    assert "made again" not in caplog.text


def refuse(disk: pytest.MonkeyPatch) -> None:
    """Index files can neither be written nor removed."""
    refused = OSError(30, "Read-only file system")
    disk.setattr(IndexFiles, "state", Mock(side_effect=refused))
    disk.setattr(IndexMaker, "sweep", Mock(side_effect=refused))


async def test_what_is_deleted_is_forgotten_though_index_files_cannot_be_removed(
    open_large: OpenLarge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await open_large()
    ids = await grown(service, 60)
    with monkeypatch.context() as disk:
        refuse(disk)
        for _ in range(2):  # nobody hears yes while a vector may be left
            with pytest.raises(StoreUnavailable, match=r"Read-only file system.*delete again"):
                await service.delete_faces(REGION, "team", ids[:5])
        database = b"".join(path.read_bytes() for path in tmp_path.glob("collections*"))
        assert not any(vector.tobytes() in database for vector in people(5))
    assert await service.delete_faces(REGION, "team", ids[:5]) == []
    assert index_files(tmp_path) == []
    assert await agrees(service, ids, set(range(5)))


async def test_a_deleted_collection_is_forgotten_though_its_files_cannot_be_removed(
    open_large: OpenLarge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await open_large()
    await grown(service, 60)
    with monkeypatch.context() as disk:
        refuse(disk)
        with pytest.raises(StoreUnavailable, match="files of an index cannot be removed"):
            await service.delete(REGION, "team")
        database = b"".join(path.read_bytes() for path in tmp_path.glob("collections*"))
        assert not any(vector.tobytes() in database for vector in people(60))
        await open_large()  # a start is no worse off
    with pytest.raises(CollectionNotFound):
        await service.delete(REGION, "team")
    assert index_files(tmp_path) == []
