"""The registry: people of collections, and faces recognised as one of them."""

import sqlite3
from pathlib import Path

import pytest

from streamproc.collection.service import CollectionService
from streamproc.errors import CelebrityNotFound, CollectionNotFound, ModelMismatch
from streamproc.jobs.ports import FaceLibrary
from streamproc.model.person import Celebrity
from tests.collection.conftest import OpenService
from tests.collection.vectors import CIRCLES, REGION, at_cosine, face_at, unit

ANN = Celebrity("ann1", "Ann Ahn", ("www.example.com/ann", "example.org"), "Female")
BOB = Celebrity("bob1", "Bob Böb")


async def enrol(
    service: CollectionService, person: str, cosine: float, collection: str = "team"
) -> None:
    digest = f"{person} {cosine}"
    await service.add_faces(REGION, collection, digest, person, [face_at(at_cosine(cosine))])


async def test_people_come_back_as_they_were_put(
    service: CollectionService, open_service: OpenService
) -> None:
    assert await service.people(REGION, "team") == []
    await service.put_people(REGION, "team", [BOB, ANN])
    assert await (await open_service()).people(REGION, "team") == [BOB, ANN]
    await service.put_people(REGION, "team", [ANN])
    assert await service.people(REGION, "team") == [ANN]
    await service.put_people(REGION, "team", [])
    assert await service.people(REGION, "team") == []


async def test_an_unknown_collection_has_no_people(service: CollectionService) -> None:
    for call in (service.put_people(REGION, "nobody", [ANN]), service.people(REGION, "nobody")):
        with pytest.raises(CollectionNotFound, match="The collection id: nobody does not exist"):
            await call


async def test_people_leave_with_their_collection(service: CollectionService) -> None:
    await service.put_people(REGION, "team", [ANN])
    await service.delete(REGION, "team")
    assert not await service.has_celebrities(REGION)
    with pytest.raises(CelebrityNotFound):
        await service.celebrity(REGION, "ann1")
    await service.create(REGION, "team")
    assert await service.people(REGION, "team") == []


async def test_a_celebrity_is_known_in_its_region_alone(service: CollectionService) -> None:
    await service.put_people(REGION, "team", [ANN])
    assert await service.celebrity(REGION, "ann1") == ANN
    assert await service.has_celebrities(REGION)
    for region, unknown in ((REGION, "ANN1"), (REGION, ""), ("us-east-1", "ann1")):
        with pytest.raises(CelebrityNotFound, match=f"The celebrity id: {unknown} does not exist"):
            await service.celebrity(region, unknown)
    assert not await service.has_celebrities("us-east-1")


async def test_each_person_is_recognised_once_by_the_best_photo(
    service: CollectionService,
) -> None:
    await service.put_people(REGION, "team", [ANN, BOB])
    for person, cosine in (("ann1", 0.8), ("bob1", 0.9), ("ann1", 0.95), ("stranger", 0.99)):
        await enrol(service, person, cosine)
    await service.add_faces(REGION, "team", "unnamed", None, [face_at(unit(1))])
    found = await service.recognise(REGION, unit(1), threshold=70)
    assert [one.celebrity for one in found] == [ANN, BOB]
    assert [one.similarity for one in found] == pytest.approx([95, 90], abs=1e-3)
    assert [one.celebrity for one in await service.recognise(REGION, unit(1), threshold=92)] == [
        ANN
    ]
    assert await service.recognise(REGION, unit(0, 0, 1), threshold=50) == []


async def test_every_collection_with_people_is_searched(service: CollectionService) -> None:
    for collection in ("stars", "guests"):
        await service.create(REGION, collection)
    await service.put_people(REGION, "team", [ANN])
    await service.put_people(REGION, "stars", [Celebrity("ann1", "Ann, elsewhere"), BOB])
    await enrol(service, "ann1", 0.8, "team")
    await enrol(service, "ann1", 0.9, "stars")
    await enrol(service, "bob1", 0.85, "stars")
    await enrol(service, "bob1", 0.99, "guests")  # who has no people
    found = await service.recognise(REGION, unit(1), threshold=50)
    assert [one.celebrity.name for one in found] == ["Ann, elsewhere", "Bob Böb"]
    assert [one.similarity for one in found] == pytest.approx([90, 85], abs=1e-3)
    assert await service.recognise("us-east-1", unit(1), threshold=50) == []


async def test_people_of_another_pack_are_refused_by_name(
    service: CollectionService, open_service: OpenService
) -> None:
    await service.put_people(REGION, "team", [ANN])
    later = await open_service(CIRCLES)
    assert await later.celebrity(REGION, "ann1") == ANN
    with pytest.raises(ModelMismatch, match="collection team was made with pack squares"):
        await later.recognise(REGION, unit(1), threshold=50)


async def test_a_database_from_before_the_registry_opens(
    open_service: OpenService, tmp_path: Path
) -> None:
    service = await open_service()
    await service.create(REGION, "team")
    await service.aclose()
    with sqlite3.connect(tmp_path / "collections.sqlite") as database:
        database.execute("DROP TABLE people")
        database.execute("DROP TABLE alembic_version")
    database.close()
    service = await open_service()
    await service.put_people(REGION, "team", [ANN])
    assert await service.people(REGION, "team") == [ANN]


async def test_the_service_is_the_library_that_jobs_ask(service: CollectionService) -> None:
    library: FaceLibrary = service
    assert not await library.has_celebrities(REGION)
