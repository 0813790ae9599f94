"""Finding one face among many: time, recall against exact search, changes, starts, memory.

    python -m benchmarks.search --sizes 10000,100000,1000000

The embeddings are made up, with the spread of real packs (shared test data, README): people are
directions, their photos lie around them, so that two photos of a person have a cosine of 0.68 on
average and 0.46 at the 5th percentile; strangers' cosines have a deviation of 0.1, as if 100 of
512 dimensions were at work. The queries are further photos of people in the collection. Each
size is a collection of its own in a database of its own, opened as the daemon opens it, in fresh
processes.
"""

import asyncio
import json
import multiprocessing
import resource
import sqlite3
import tempfile
import time
import uuid
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Final

import faiss
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.figures import percentile
from streamproc.clock import SystemClock
from streamproc.collection.service import CollectionService
from streamproc.model.engine import EngineInfo
from streamproc.model.face import BoundingBox, Embedding, Face

OUT: Final = Path(__file__).resolve().parent / "out"
DIMENSION: Final = 512
DIRECTIONS: Final = 100  # of DIMENSION, in which faces differ
PHOTOS: Final = 5  # of each person
SAME: Final = (0.68, 0.134)  # mean and deviation of the cosine of two photos
TOP: Final = 10
PART: Final = 50_000
REGION: Final = "eu-west-1"
INFO: Final = EngineInfo("made up", "directions", "1.0", DIMENSION, ("CPU",), "none")
CHANGES: Final = 5

Vectors = NDArray[np.float32]


def people(seed: int, count: int) -> Vectors:
    """Unit vectors of shape (count, DIRECTIONS)."""
    return _unit(np.random.default_rng(seed).standard_normal((count, DIRECTIONS), np.float32))


def photos(seed: int, whom: Vectors) -> Vectors:
    """A photo of each, of shape (len(whom), DIMENSION) and length 1."""
    chance = np.random.default_rng(seed)
    other = _unit(chance.standard_normal(whom.shape, np.float32))
    likeness = np.clip(chance.normal(*SAME, (len(whom), 1)), 0.1, 0.98).astype(np.float32)
    faces: Vectors = (np.sqrt(likeness) * whom + np.sqrt(1 - likeness) * other).astype(np.float32)
    directions = np.random.default_rng(0).standard_normal((DIMENSION, DIRECTIONS))
    basis = np.linalg.qr(directions)[0].astype(np.float32)
    return _unit(_unit(faces) @ basis.T)


def parts(size: int) -> Iterator[Vectors]:
    """The collection, PHOTOS of each person, a part at a time."""
    for start in range(0, size, PART):
        count = min(PART, size - start)
        whom = people(start, -(-count // PHOTOS))
        yield photos(start + 1, np.repeat(whom, PHOTOS, axis=0)[:count])


def queries(size: int, count: int) -> Vectors:
    """Further photos of people of the first part."""
    whom = people(0, -(-min(PART, size) // PHOTOS))
    chosen = np.random.default_rng(7).choice(len(whom), count, replace=count > len(whom))
    return photos(8, whom[chosen])


def open_collections(folder: Path) -> Any:
    """Similarity is 100 times the cosine."""
    return CollectionService.open(
        folder / "collections.db",
        INFO,
        lambda cosine: max(cosine, 0.0) * 100,
        lambda similarity: similarity / 100,
        "123456789012",
        SystemClock(),
    )


async def fill(folder: Path, size: int) -> None:
    """A database with a collection of this size, past add_faces, which would take hours."""
    service = await open_collections(folder)
    await service.create(REGION, "many")
    await service.aclose()
    row = "INSERT INTO faces (collection, face_id, image_id, external_image_id, "
    row += '"left", top, width, height, confidence, embedding) VALUES (1,?,?,?,0,0,1,1,99,?)'
    with closing(sqlite3.connect(folder / "collections.db")) as database:
        number = 0
        for part in parts(size):
            rows = []
            for vector in part:
                number += 1
                face, image = uuid.UUID(int=number), uuid.UUID(int=number + (1 << 64))
                rows.append((str(face), str(image), str(number // PHOTOS), vector.tobytes()))
            database.executemany(row, rows)
        database.execute("UPDATE collections SET face_count = ?, generation = 1", (size,))
        database.commit()


def exact(size: int, count: int) -> dict[str, Any]:
    """What every method is held against: FAISS's flat index, one thread, one query at a time."""
    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(DIMENSION)
    for part in parts(size):
        index.add(part)
    asked = queries(size, count)
    timed = _timed([partial(index.search, query[np.newaxis], TOP) for query in asked[:40]])
    found = [index.search(query[np.newaxis], TOP)[1][0].tolist() for query in asked]
    return {"found": [[place + 1 for place in each] for each in found], **timed}


def built(folder: Path) -> dict[str, Any]:
    """The first search of a collection that has no index yet."""
    return asyncio.run(_first_search(folder))


async def _first_search(folder: Path) -> dict[str, Any]:
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    service = await open_collections(folder)
    try:
        await service.search(REGION, "many", queries(1, 1)[0], threshold=50)
        return {"s": time.perf_counter() - wall_s, "cpu_s": time.process_time() - cpu_s}
    finally:
        await service.aclose()


def used(folder: Path, size: int, count: int) -> dict[str, Any]:
    """A warm start, searches and changes."""
    return asyncio.run(_used(folder, size, count))


async def _used(folder: Path, size: int, count: int) -> dict[str, Any]:
    asked = queries(size, count)
    before_mb = _resident_mb()
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    service = await open_collections(folder)
    try:
        await service.search(REGION, "many", asked[0], threshold=0, limit=TOP)
        start = {"s": time.perf_counter() - wall_s, "cpu_s": time.process_time() - cpu_s}
        [index] = service._indexes._indexes.values()
        searches = [partial(index.search_all, [query], 0.0, TOP) for query in asked]
        _timed(searches[:20])
        timed = _timed(searches)
        found = [[key for key, _ in search()[0]] for search in searches]
        eight = _timed([partial(index.search_all, list(asked[:8]), 0.0, TOP)] * 10)
        whole = []
        for query in [*asked, *asked]:  # the second time, their rows are in memory
            cpu_s = time.process_time()
            await service.search(REGION, "many", query, threshold=0, limit=TOP)
            whole.append((time.process_time() - cpu_s) * 1000)
        searched_mb = _resident_mb()
        return {
            "kind": type(index).__name__,
            "start": start,
            "search": timed,
            "eight_ms": eight["cpu_p50_ms"],
            "service_cpu_p50_ms": percentile(whole[count:], 0.5),
            "found": found,
            "changes": await _changed(service, index),
            "index_mb": index.nbytes / 1e6,
            "resident_before_mb": before_mb,
            "resident_mb": searched_mb,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
            "files_mb": sum(f.stat().st_blocks * 512 for f in folder.glob("indexes/*")) / 1e6,
            "database_mb": (folder / "collections.db").stat().st_size / 1e6,
        }
    finally:
        await service.aclose()


async def _changed(service: CollectionService, index: Any) -> dict[str, Any]:
    """Adds and deletions, each looked for at once."""
    newcomers = photos(5, people(4, CHANGES))
    added, add_ms, delete_ms, step_ms, seen, gone = [], [], [], [], 0, 0
    step = index.step

    def timed_step(*args: Any, **kwargs: Any) -> None:
        at = time.perf_counter()
        step(*args, **kwargs)
        step_ms.append((time.perf_counter() - at) * 1000)

    index.step = timed_step
    for number, vector in enumerate(newcomers):
        face = Face(BoundingBox(0, 0, 1, 1), 99.0, embedding=vector)
        at = time.perf_counter()
        [new] = await service.add_faces(REGION, "many", f"new {number}", None, [face])
        add_ms.append((time.perf_counter() - at) * 1000)
        seen += new.face_id in await _ids(service, vector)
        added.append(new.face_id)
    for number in range(CHANGES):
        at = time.perf_counter()
        await service.delete_faces(REGION, "many", [added[number]])
        delete_ms.append((time.perf_counter() - at) * 1000)
        gone += added[number] not in await _ids(service, newcomers[number])
    return {
        "add_p50_ms": percentile(add_ms, 0.5),
        "delete_p50_ms": percentile(delete_ms, 0.5),
        "index_add_p50_ms": percentile(step_ms[:CHANGES], 0.5),
        "index_delete_p50_ms": percentile(step_ms[CHANGES:], 0.5),
        "visible": f"{seen} of {CHANGES}",
        "gone": f"{gone} of {CHANGES}",
    }


async def _ids(service: CollectionService, embedding: Embedding) -> list[str]:
    found = await service.search(REGION, "many", embedding, threshold=50, limit=TOP)
    return [match.face.face_id for match in found]


def measure(size: int, count: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="search-") as name:
        folder = Path(name)
        asyncio.run(fill(folder, size))
        flat = _apart(exact, size, count)
        build = _apart(built, folder)
        figures = _apart(used, folder, size, count)
    truth, found = flat.pop("found"), figures.pop("found")
    figures["recall_1"] = _share(t[0] == f[0] for t, f in zip(truth, found, strict=True))
    figures["recall_10"] = _share(key in f for t, f in zip(truth, found, strict=True) for key in t)
    return {"faces": size, "flat": flat, "build": build, **figures}


def _apart(work: Callable[..., dict[str, Any]], *args: Any) -> dict[str, Any]:
    """In a process of its own, whose memory is its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(work, *args).result()


def _timed(calls: Sequence[Callable[[], object]]) -> dict[str, float]:
    """Of each call, on this thread."""
    wall, cpu = [], []
    for call in calls:
        wall_s, cpu_s = time.perf_counter(), time.thread_time()
        call()
        cpu.append((time.thread_time() - cpu_s) * 1000)
        wall.append((time.perf_counter() - wall_s) * 1000)
    return {
        "p50_ms": percentile(wall, 0.5),
        "p99_ms": percentile(wall, 0.99),
        "cpu_p50_ms": percentile(cpu, 0.5),
        "cpu_p99_ms": percentile(cpu, 0.99),
    }


def _unit(vectors: Vectors) -> Vectors:
    lengths: Vectors = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / lengths


def _share(hits: Iterator[bool]) -> float:
    values = list(hits)
    return sum(values) / len(values)


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def table_of(results: Sequence[dict[str, Any]]) -> Table:
    table = Table(title=f"one face among many, {DIMENSION} dimensions, top {TOP}")
    titles = (
        "faces", "index", "search ms p50 / p99", "CPU ms p50 / p99", "flat ms", "recall@1", "@10",
        "add / delete ms", "build s", "warm start s", "MB in memory", "on disk",
    )  # fmt: skip
    for title in titles:
        table.add_column(title, justify="right")
    for one in results:
        search, changes = one["search"], one["changes"]
        table.add_row(
            f"{one['faces']:,}",
            one["kind"],
            f"{search['p50_ms']:.2f} / {search['p99_ms']:.2f}",
            f"{search['cpu_p50_ms']:.2f} / {search['cpu_p99_ms']:.2f}",
            f"{one['flat']['cpu_p50_ms']:.1f}",
            f"{one['recall_1']:.3f}",
            f"{one['recall_10']:.3f}",
            f"{changes['add_p50_ms']:.0f} / {changes['delete_p50_ms']:.0f}",
            f"{one['build']['s']:.1f}",
            f"{one['start']['s']:.2f}",
            f"{one['resident_mb'] - one['resident_before_mb']:.0f}",
            f"{one['files_mb']:.0f}",
        )
    return table


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", default="1000,10000,100000,1000000")
    parser.add_argument("--queries", type=int, default=300)
    asked = parser.parse_args()
    results = []
    for size in map(int, asked.sizes.split(",")):
        results.append(measure(size, asked.queries))
        Console().print_json(json.dumps(results[-1]))
    Console(width=160).print(table_of(results))
    OUT.mkdir(exist_ok=True)
    (OUT / "search.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
