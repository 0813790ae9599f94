"""Deletion that is real: when the call has answered, no byte of the vectors is on the disk."""

import asyncio
import gc
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import faiss
import numpy as np
import pytest
from sqlalchemy import text

from streamproc.cli.demo_video import EILEEN
from streamproc.collection.index import VectorIndex
from streamproc.collection.service import CollectionService
from tests.collection.conftest import OpenService
from tests.collection.vectors import DIMENSION, REGION, SQUARES, face_at, face_ids, nearest, unit

_WINDOW = 32


def traces(folder: Path, vectors: list[bytes]) -> set[str]:
    """The files that hold any 32 bytes in a row of any of the vectors."""
    found = set()
    for file in folder.rglob("*"):
        if file.is_file():
            held = file.read_bytes()
            windows = (
                vector[start : start + _WINDOW]
                for vector in vectors
                for start in range(len(vector) - _WINDOW + 1)
            )
            if any(window in held for window in windows):
                found.add(file.name)
    return found


def stored_vectors(database: Path) -> list[bytes]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return [row[0] for row in connection.execute("SELECT embedding FROM faces")]


@pytest.fixture(scope="session")
def portrait() -> bytes:
    return bytes(cv2.imencode(".png", EILEEN.portrait())[1].tobytes())


@pytest.mark.parametrize("exact_faces_max", [2048, 1])
def test_a_deleted_face_is_nowhere_in_the_data_folder(
    start_daemon: Callable[..., Any],
    wait_until: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    portrait: bytes,
    exact_faces_max: int,
) -> None:
    """Neither in the database nor, where the collection is large, in the files of its index."""
    monkeypatch.setenv("STREAMPROC_FACES__EXACT_FACES_MAX", str(exact_faces_max))
    daemon = start_daemon()
    rekognition = daemon.client("rekognition")
    rekognition.create_collection(CollectionId="people")

    def enrolled() -> tuple[list[str], list[bytes]]:
        """One face under two names."""
        ids = []
        for name in ("eileen", "collins"):
            [record] = rekognition.index_faces(
                CollectionId="people", ExternalImageId=name, Image={"Bytes": portrait}
            )["FaceRecords"]
            ids.append(record["Face"]["FaceId"])
            found = rekognition.search_faces_by_image(
                CollectionId="people", Image={"Bytes": portrait}
            )
            assert len(found["FaceMatches"]) == len(ids)
        vectors = list(set(stored_vectors(daemon.data_dir / "collections.db")))
        assert {len(vector) for vector in vectors} == {128 * 4}
        if exact_faces_max == 1:
            wait_until(lambda: "1.vectors" in traces(daemon.data_dir, vectors), 60)
        assert traces(daemon.data_dir, vectors), "the search for traces finds nothing"
        return ids, vectors

    ids, vectors = enrolled()
    rekognition.delete_faces(CollectionId="people", FaceIds=ids)
    assert traces(daemon.data_dir, vectors) == set()

    _, vectors = enrolled()
    rekognition.delete_collection(CollectionId="people")
    daemon.kill()  # nothing that runs after the answer can help
    assert traces(daemon.data_dir, vectors) == set()


@pytest.fixture
def vectors() -> list[np.ndarray[Any, np.dtype[np.float32]]]:
    chance = np.random.default_rng(4)
    return [
        vector / np.linalg.norm(vector)
        for vector in chance.standard_normal((160, 128)).astype(np.float32)
    ]


async def test_of_many_faces_just_the_deleted_ones_are_gone(
    open_service: OpenService, tmp_path: Path, vectors: list[Any]
) -> None:
    """Pages of the database are split, merged and used again between the deletions."""
    service = await open_service(info=replace(SQUARES, dimension=128))
    await service.create(REGION, "team")
    ids: list[str] = []
    for number, vector in enumerate(vectors):
        ids += face_ids(
            await service.add_faces(REGION, "team", str(number), None, [face_at(vector)])
        )
        if number % 10 == 9:
            await service.delete_faces(REGION, "team", ids[number - 9 : number : 2])
            await service.delete_faces(REGION, "team", ids[number // 2 : number // 2 + 1])
    kept = {face.face_id for face in await service.list_faces(REGION, "team", None, 4096)}
    held = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    for face_id, vector in zip(ids, vectors, strict=True):
        written = vector.tobytes()
        parts = [written[start : start + _WINDOW] in held for start in (0, 101, 250, 480)]
        assert parts == [face_id in kept] * 4


async def test_a_reader_is_waited_for(service: CollectionService, tmp_path: Path) -> None:
    vector = unit(1, 2, 3, 4, 5, 6, 7, 8)
    [face] = await service.add_faces(REGION, "team", "one", None, [face_at(vector)])
    async with service._store._database.read() as reading:
        await reading.execute(text("BEGIN"))
        await reading.execute(text("SELECT count(*) FROM faces"))
        deleting = asyncio.create_task(service.delete_faces(REGION, "team", [face.face_id]))
        async with asyncio.timeout(60):
            while await service.list_faces(REGION, "team", None, 10):
                pass
        assert await service.search(REGION, "team", vector, threshold=0) == []
        assert not deleting.done()
        assert traces(tmp_path, [vector.tobytes()])
    assert await deleting == [face.face_id]
    assert traces(tmp_path, [vector.tobytes()]) == set()


async def test_a_deletion_that_a_crash_cut_short_is_completed_at_the_next_start(
    open_service: OpenService, tmp_path: Path
) -> None:
    vector = unit(1, 2, 3, 4, 5, 6, 7, 8)
    service = await open_service()
    collection = await service.create(REGION, "team")
    [face] = await service.add_faces(REGION, "team", "one", None, [face_at(vector)])
    await service._store.remove(collection, [face.face_id])  # and no answer yet
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for file in tmp_path.glob("collections*"):
        (crashed / file.name).write_bytes(file.read_bytes())
    assert traces(crashed, [vector.tobytes()])
    again = await open_service(folder=crashed)
    assert traces(crashed, [vector.tobytes()]) == set()
    assert await again.list_faces(REGION, "team", None, 10) == []


def test_the_index_overwrites_what_it_removes() -> None:
    index = VectorIndex(DIMENSION)
    many = np.stack([unit(number, 1) for number in range(1, 11)])
    index.load(range(10), many, 0)
    memory = faiss.rev_swig_ptr(index._flat.get_xb(), 10 * DIMENSION).reshape(10, DIMENSION)
    index.step(1, remove=[2, 3, 9])
    assert (memory[:7] == many[[0, 1, 4, 5, 6, 7, 8]]).all()
    assert (memory[7:] == 0).all()
    gc.collect()
    assert [key for key, _ in nearest(index, unit(5, 1), 0.999999, 10)] == [4]
