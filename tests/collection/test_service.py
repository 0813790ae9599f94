"""Collections kept in SQL and searched through FAISS, seen from outside."""

import asyncio
import itertools
import random
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import AsyncMock, Mock

import numpy as np
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from streamproc.collection.index import VectorIndex
from streamproc.collection.indexes import Indexes
from streamproc.collection.schema import CollectionInfo
from streamproc.collection.service import CollectionService
from streamproc.db import Database
from streamproc.errors import (
    CollectionExists,
    CollectionNotFound,
    FaceNotFound,
    ModelMismatch,
    PermanentFailure,
    StoreDamaged,
    StoreUnavailable,
    TransientFailure,
)
from streamproc.model.image_id import image_id_of
from streamproc.model.processor import ProcessorSpec
from tests.cancellation import cut_at
from tests.collection.conftest import OpenService
from tests.collection.vectors import (
    CIRCLES,
    DIMENSION,
    REGION,
    at_cosine,
    face_at,
    face_ids,
    unit,
)


async def test_a_collection_is_described_as_it_was_created(service: CollectionService) -> None:
    team = await service.describe(REGION, "team")
    assert team.arn == "arn:aws:rekognition:eu-west-1:123456789012:collection/team"
    assert (team.model_version, team.pack, team.face_count) == ("1.8", "squares", 0)
    assert team.created_at == 1_700_000_000.0


async def test_ids_are_unique_per_region_and_case_sensitive(service: CollectionService) -> None:
    with pytest.raises(CollectionExists, match="The collection id: team already exists"):
        await service.create(REGION, "team")
    await service.create(REGION, "Team")
    await service.create("us-east-1", "team")
    listed = await service.list_collections(REGION, 0, 10)
    assert [collection.collection_id for collection in listed] == ["team", "Team"]


async def test_any_legal_id_is_only_a_name(service: CollectionService) -> None:
    for collection_id in (".", "..", "__init__.py", "a" * 255):
        await service.create(REGION, collection_id)
        assert (await service.describe(REGION, collection_id)).collection_id == collection_id


async def test_listing_goes_on_behind_a_collection_that_was_deleted(
    service: CollectionService,
) -> None:
    for number in range(4):
        await service.create(REGION, f"c{number}")
    page = await service.list_collections(REGION, 0, 3)
    await service.delete(REGION, page[-1].collection_id)
    rest = await service.list_collections(REGION, page[-1].key, 3)
    assert [collection.collection_id for collection in rest] == ["c2", "c3"]


async def test_every_operation_on_an_unknown_collection_says_so(
    service: CollectionService,
) -> None:
    calls = (
        service.describe(REGION, "nobody"),
        service.delete(REGION, "nobody"),
        service.add_faces(REGION, "nobody", "digest", None, [face_at(unit(1))]),
        service.list_faces(REGION, "nobody", None, 10),
        service.delete_faces(REGION, "nobody", ["x"]),
        service.search(REGION, "nobody", unit(1), threshold=80),
        service.search_by_face_id(REGION, "nobody", "x", threshold=80, limit=1),
    )
    for call in calls:
        with pytest.raises(CollectionNotFound, match="The collection id: nobody does not exist"):
            await call


async def test_an_added_face_is_found_when_the_call_returns(service: CollectionService) -> None:
    for axis in range(DIMENSION):
        embedding = unit(*np.eye(DIMENSION)[axis])
        [added] = await service.add_faces(
            REGION, "team", f"digest{axis}", f"person{axis}", [face_at(embedding)]
        )
        [match] = await service.search(REGION, "team", embedding, threshold=80)
        assert match.face == added
        assert match.face.external_image_id == f"person{axis}"
        assert match.similarity == pytest.approx(100)
    assert (await service.describe(REGION, "team")).face_count == DIMENSION
    figures = await service.figures()
    assert (figures.faces, figures.indexes) == (DIMENSION, 1)
    assert figures.collections >= 1
    assert figures.index_bytes > 0
    assert figures.search_seconds.count == DIMENSION


async def test_a_deleted_face_is_gone_when_the_call_returns(service: CollectionService) -> None:
    added = await service.add_faces(
        REGION, "team", "digest", None, [face_at(unit(1)), face_at(at_cosine(0.9), left=0.6)]
    )
    first, second = face_ids(added)
    assert face_ids(await service.search(REGION, "team", unit(1), threshold=50)) == [first, second]
    assert await service.delete_faces(REGION, "team", [first, "unknown"]) == [first]
    assert face_ids(await service.search(REGION, "team", unit(1), threshold=50)) == [second]
    assert (await service.describe(REGION, "team")).face_count == 1


async def test_search_gives_every_face_at_or_above_the_threshold_best_first(
    service: CollectionService,
) -> None:
    cosines = [0.70, 0.95, 0.80, 0.7999, 0.99]
    faces = [face_at(at_cosine(cosine), left=i / 5) for i, cosine in enumerate(cosines)]
    await service.add_faces(REGION, "team", "digest", None, faces)
    matches = await service.search(REGION, "team", unit(1), threshold=79.985)
    assert [match.similarity for match in matches] == pytest.approx([99, 95, 80, 79.99], abs=1e-3)
    matches = await service.search(REGION, "team", unit(1), threshold=75, limit=2)
    assert [match.similarity for match in matches] == pytest.approx([99, 95], abs=1e-3)
    assert len(await service.search(REGION, "team", unit(1), threshold=0)) == 5


async def test_a_face_searched_by_id_is_not_its_own_match(service: CollectionService) -> None:
    added = await service.add_faces(
        REGION, "team", "digest", None, [face_at(unit(1)), face_at(at_cosine(0.9), left=0.6)]
    )
    first, second = face_ids(added)
    found = await service.search_by_face_id(REGION, "team", first, threshold=50, limit=1)
    assert face_ids(found) == [second]
    with pytest.raises(FaceNotFound, match="faceId was not found in the collection"):
        await service.search_by_face_id(REGION, "team", "nobody", threshold=50, limit=1)


async def test_the_same_picture_under_the_same_external_id_is_added_once(
    service: CollectionService,
) -> None:
    # The second run of a model on a GPU may move a box a little.
    once = await service.add_faces(REGION, "team", "digest", "ann", [face_at(unit(1), left=0.100)])
    again = await service.add_faces(REGION, "team", "digest", "ann", [face_at(unit(1), left=0.101)])
    assert again == once
    assert once[0].image_id == image_id_of("digest", "ann")
    other = await service.add_faces(REGION, "team", "digest", "bob", [face_at(unit(1))])
    assert other[0].face_id != once[0].face_id
    assert other[0].image_id != once[0].image_id
    unnamed = await service.add_faces(REGION, "team", "digest", None, [face_at(unit(1))])
    assert unnamed[0].external_image_id is None
    assert (await service.describe(REGION, "team")).face_count == 3


async def test_more_faces_of_a_known_picture_join_those_it_gave_before(
    service: CollectionService,
) -> None:
    faces = [face_at(unit(1), left=0.1), face_at(unit(0, 1), left=0.6)]
    [first] = await service.add_faces(REGION, "team", "digest", "pair", faces[:1])
    both = await service.add_faces(REGION, "team", "digest", "pair", faces)
    assert both[0] == first
    assert both[1].image_id == first.image_id
    assert face_ids(await service.search(REGION, "team", unit(0, 1), threshold=90)) == [
        both[1].face_id
    ]


async def test_the_same_picture_at_once_from_many_callers_is_added_once(
    service: CollectionService,
) -> None:
    results = await asyncio.gather(
        *(service.add_faces(REGION, "team", "digest", "ann", [face_at(unit(1))]) for _ in range(10))
    )
    assert len({face_ids(result)[0] for result in results}) == 1
    assert len(await service.search(REGION, "team", unit(1), threshold=90)) == 1


async def test_faces_are_listed_by_id_in_pages_and_by_filter(service: CollectionService) -> None:
    faces = [face_at(unit(1), left=i * 0.3, side=0.1) for i in range(7)]
    added = face_ids(await service.add_faces(REGION, "team", "digest", None, faces))
    first = face_ids(await service.list_faces(REGION, "team", None, 4))
    rest = face_ids(await service.list_faces(REGION, "team", first[-1], 4))
    assert first + rest == sorted(added)
    chosen = await service.list_faces(REGION, "team", None, 10, [added[3], "unknown"])
    assert face_ids(chosen) == [added[3]]


async def test_what_was_added_survives_a_crash(open_service: OpenService) -> None:
    before = await open_service()
    await before.create(REGION, "team")
    [added] = await before.add_faces(REGION, "team", "digest", "ann", [face_at(unit(1))])
    after = await open_service()  # the first one was never closed
    [match] = await after.search(REGION, "team", unit(1), threshold=90)
    assert match.face == added


async def test_another_daemons_changes_are_seen_by_their_generation(
    open_service: OpenService,
) -> None:
    one, other = await open_service(), await open_service()
    await one.create(REGION, "team")
    assert await other.search(REGION, "team", unit(1), threshold=50) == []
    [added] = await one.add_faces(REGION, "team", "digest", None, [face_at(unit(1))])
    assert face_ids(await other.search(REGION, "team", unit(1), threshold=50)) == [added.face_id]
    await one.delete_faces(REGION, "team", [added.face_id])
    assert await other.search(REGION, "team", unit(1), threshold=50) == []


async def test_a_collection_made_again_begins_empty(service: CollectionService) -> None:
    [old] = await service.add_faces(REGION, "team", "digest", None, [face_at(unit(1))])
    await service.search(REGION, "team", unit(1), threshold=50)
    await service.delete(REGION, "team")
    await service.create(REGION, "team")
    assert await service.search(REGION, "team", unit(1), threshold=50) == []
    assert await service.list_faces(REGION, "team", None, 10) == []
    with pytest.raises(FaceNotFound):
        await service.search_by_face_id(REGION, "team", old.face_id, threshold=0, limit=1)


async def test_a_collection_of_another_pack_is_refused_with_both_names(
    open_service: OpenService,
) -> None:
    await (await open_service()).create(REGION, "team")
    service = await open_service(CIRCLES)
    calls = (
        service.add_faces(REGION, "team", "digest", None, [face_at(unit(1))]),
        service.search(REGION, "team", unit(1), threshold=50),
        service.search_by_face_id(REGION, "team", "x", threshold=50, limit=1),
    )
    for call in calls:
        with pytest.raises(ModelMismatch, match=r"pack squares .*pack circles "):
            await call
    assert (await service.describe(REGION, "team")).model_version == "1.8"
    await service.delete(REGION, "team")


async def test_indexes_beyond_the_budget_are_dropped_and_built_again(
    open_service: OpenService, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[int] = []
    load = VectorIndex.load

    def counted(self: VectorIndex, *args: Any) -> None:
        built.append(len(self))
        load(self, *args)

    monkeypatch.setattr(VectorIndex, "load", counted)
    service = await open_service(index_bytes_max=100)  # one face each, not two
    for name in ("a", "b"):
        await service.create(REGION, name)
        await service.add_faces(REGION, name, "digest", name, [face_at(unit(1))])
    for _ in range(2):
        for name in ("a", "b", "b"):
            [match] = await service.search(REGION, name, unit(1), threshold=50)
            assert match.face.external_image_id == name
    assert len(built) == 4


async def test_adds_deletes_and_searches_at_once_stay_consistent(
    service: CollectionService,
) -> None:
    chance = random.Random(7)
    alive: set[str] = set()

    async def change(number: int) -> None:
        for step in range(6):
            [added] = await service.add_faces(
                REGION, "team", f"{number}/{step}", None, [face_at(at_cosine(0.9))]
            )
            alive.add(added.face_id)
            assert added.face_id in face_ids(
                await service.search(REGION, "team", unit(1), threshold=50)
            )
            if chance.random() < 0.5:
                alive.discard(added.face_id)
                await service.delete_faces(REGION, "team", [added.face_id])
                assert added.face_id not in face_ids(
                    await service.search(REGION, "team", unit(1), threshold=50)
                )

    await asyncio.gather(*(change(number) for number in range(6)))
    assert set(face_ids(await service.search(REGION, "team", unit(1), threshold=50))) == alive
    assert set(face_ids(await service.list_faces(REGION, "team", None, 1000))) == alive
    assert (await service.describe(REGION, "team")).face_count == len(alive)


@pytest.mark.parametrize("late", [False, True])
async def test_callers_that_give_up_leave_nothing_out_of_step(
    service: CollectionService, late: bool
) -> None:
    await service.search(REGION, "team", unit(1), threshold=50)  # an index is in memory
    for wait in itertools.count():
        adding = service.add_faces(REGION, "team", f"{wait}", None, [face_at(at_cosine(0.9))])
        if not await cut_at(adding, wait, late=late):
            break
    assert wait > 5
    stored = set(face_ids(await service.list_faces(REGION, "team", None, 1000)))
    found = set(face_ids(await service.search(REGION, "team", unit(1), threshold=50)))
    assert found == stored
    assert (await service.describe(REGION, "team")).face_count == len(stored)


class HeldLoad:
    """The building of indexes, kept in the middle."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._begun, self._go = threading.Event(), threading.Event()
        load = VectorIndex.load

        def held(index: VectorIndex, *args: Any) -> None:
            self.count += 1
            self._begun.set()
            self._go.wait()
            load(index, *args)

        monkeypatch.setattr(VectorIndex, "load", held)

    async def begun(self) -> None:
        await asyncio.to_thread(self._begun.wait)

    def go_on(self) -> None:
        self._go.set()


async def test_a_build_is_carried_on_for_whoever_comes_after_the_one_who_gave_up(
    service: CollectionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    [ann] = await service.add_faces(REGION, "team", "one", "ann", [face_at(unit(1))])
    load = HeldLoad(monkeypatch)
    first, second = (
        asyncio.create_task(service.search(REGION, "team", unit(1), threshold=50)) for _ in "ab"
    )
    await load.begun()
    first.cancel()
    [given_up] = await asyncio.gather(first, return_exceptions=True)  # at once: nothing has moved
    assert isinstance(given_up, asyncio.CancelledError)
    load.go_on()
    assert face_ids(await second) == [ann.face_id]
    assert face_ids(await service.search(REGION, "team", unit(1), threshold=50)) == [ann.face_id]
    assert load.count == 1


async def test_what_is_built_of_a_collection_ends_with_it_and_keeps_no_connection(
    service: CollectionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, reading = Database.read, 0

    @asynccontextmanager
    async def counted(self: Database) -> AsyncIterator[AsyncConnection]:
        nonlocal reading
        async with read(self) as connection:
            reading += 1
            try:
                yield connection
            finally:
                reading -= 1

    monkeypatch.setattr(Database, "read", counted)
    load = HeldLoad(monkeypatch)
    searching = asyncio.create_task(service.search(REGION, "team", unit(1), threshold=50))
    await load.begun()
    assert reading == 1
    abandon = Indexes.abandon

    def abandoned(self: Indexes, collection: CollectionInfo) -> None:
        abandon(self, collection)
        load.go_on()  # what is on a thread ends first: nobody may delete under it what it writes

    monkeypatch.setattr(Indexes, "abandon", abandoned)
    await service.delete(REGION, "team")
    with pytest.raises(CollectionNotFound):
        await searching
    assert reading == 0


def processor(collection_id: str) -> ProcessorSpec:
    return ProcessorSpec(REGION, "door", "arn", "arn", collection_id, 80.0, "role")


async def test_a_processor_searches_its_collection(service: CollectionService) -> None:
    await service.add_faces(REGION, "team", "digest", "ann", [face_at(unit(1))])
    async with service.searcher(processor("team"), 80.0) as search:
        [match] = await search.search(at_cosine(0.85))
        assert match.face.external_image_id == "ann"
        assert await search.search(at_cosine(0.75)) == []


async def test_a_processor_fails_in_the_documented_words_when_its_collection_is_gone(
    service: CollectionService, open_service: OpenService
) -> None:
    with pytest.raises(PermanentFailure, match=r"^Collection not found$"):
        async with service.searcher(processor("nobody"), 80.0):
            pytest.fail("opened a collection that does not exist")
    async with service.searcher(processor("team"), 80.0) as search:
        await service.delete(REGION, "team")
        with pytest.raises(PermanentFailure, match=r"^Collection not found$"):
            await search.search(unit(1))
    await service.create(REGION, "team")
    other = await open_service(CIRCLES)
    with pytest.raises(PermanentFailure, match=r"pack squares .*pack circles"):
        async with other.searcher(processor("team"), 80.0):
            pytest.fail("opened a collection of another pack")


@pytest.mark.parametrize(
    ("trouble", "seen_as"),
    [
        (StoreDamaged("collections.db cannot be read; restore it"), PermanentFailure),
        (StoreUnavailable("collections.db cannot be used; free space"), TransientFailure),
    ],
)
async def test_a_processor_hears_whether_trouble_with_the_disk_can_heal(
    service: CollectionService,
    monkeypatch: pytest.MonkeyPatch,
    trouble: Exception,
    seen_as: type[Exception],
) -> None:
    async with service.searcher(processor("team"), 80.0) as search:
        await service.add_faces(REGION, "team", "digest", None, [face_at(unit(0, 1))])
        with monkeypatch.context() as broken:
            broken.setattr(service._store, "get", AsyncMock(side_effect=trouble))
            with pytest.raises(seen_as, match=f"^{trouble}$"):
                await search.search(unit(1))
        assert await search.search(unit(1)) == []


async def test_an_index_whose_building_failed_is_built_by_the_next_search(
    open_service: OpenService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await open_service()
    await service.create(REGION, "team")
    await service.add_faces(REGION, "team", "digest", "ann", [face_at(unit(1))])
    with monkeypatch.context() as broken:
        broken.setattr(VectorIndex, "load", Mock(side_effect=RuntimeError("out of memory")))
        with pytest.raises(RuntimeError):
            await service.search(REGION, "team", unit(1), threshold=80)
    assert len(await service.search(REGION, "team", unit(1), threshold=80)) == 1


async def test_an_index_that_has_missed_a_change_is_built_anew(service: CollectionService) -> None:
    await service.add_faces(REGION, "team", "one", "ann", [face_at(unit(1))])
    assert len(await service.search(REGION, "team", unit(1), threshold=80)) == 1
    collection = await service.describe(REGION, "team")
    await service._store.add(collection, "picture", "bob", [face_at(unit(1))])  # past the index
    assert len(await service.search(REGION, "team", unit(1), threshold=80)) == 2
