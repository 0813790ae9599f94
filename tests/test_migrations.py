"""A data folder of an earlier version opens, whole, and one that cannot be is left as it was."""

import ast
import logging
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, MetaData, String, Table

from streamproc.access import keys as key_store
from streamproc.api import tag_store
from streamproc.api.tag_store import TagStore
from streamproc.clock import FakeClock
from streamproc.collection import schema as collection_schema
from streamproc.collection.service import CollectionService
from streamproc.db import Database, Revisions
from streamproc.db.revisions import VERSION_TABLE, closing_engine, copies, prepare
from streamproc.db.upgrade import scripts_of, upgrade
from streamproc.errors import StoreDamaged, StoreUnavailable
from streamproc.events import schema as event_schema
from streamproc.jobs import schema as job_schema
from streamproc.jobs.store import JobStore
from streamproc.local.kinesis_data import store as data_store
from streamproc.local.kinesis_data.streams import DataStreams
from streamproc.local.kinesis_video import tables as video_tables
from streamproc.local.kinesis_video.streams import VideoStreams
from streamproc.model.engine import EngineInfo
from streamproc.model.job import Aggregation, JobStatus
from streamproc.processor import store as processor_store
from streamproc.processor.store import ProcessorStore
from streamproc.settings import DataConfig, VideoConfig
from tests.small_disk import small_disk

FIRST_RELEASE = Path(__file__).parent / "data" / "first_release"
REGION, ACCOUNT = "us-east-1", "000000000000"
TOY = EngineInfo("fake", "toy", "1.4", 4, ("CPU",), "Apache-2.0")


@dataclass(frozen=True)
class History:
    """Of one store: what its file is called, and how its schema came about."""

    file: str
    metadata: MetaData
    revisions: Revisions


HISTORIES = [
    History("processors.db", processor_store.metadata, processor_store.REVISIONS),
    History("collections.db", collection_schema.metadata, collection_schema.REVISIONS),
    History("jobs.db", job_schema.metadata, job_schema.REVISIONS),
    History("tags.db", tag_store.metadata, tag_store.REVISIONS),
    History("data.db", data_store.metadata, data_store.REVISIONS),
    History("video/video.db", video_tables.METADATA, video_tables.REVISIONS),
]
LATER = [
    History("keys.db", key_store._metadata, key_store._REVISIONS),
    History("events.db", event_schema.metadata, event_schema.REVISIONS),
]
"""Stores that the first release did not have."""

old_stores = pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.file)
every_store = pytest.mark.parametrize(
    "history", HISTORIES + LATER, ids=lambda history: history.file
)


@pytest.fixture
def old_folder(tmp_path: Path) -> Path:
    """A data folder as the first release left it, a row in every table."""
    folder = tmp_path / "data"
    for kept in FIRST_RELEASE.rglob("*"):
        if kept.is_file():
            made = folder / kept.relative_to(FIRST_RELEASE)
            made.parent.mkdir(parents=True, exist_ok=True)
            if kept.suffix == ".sql":
                run_sql(made.with_suffix(".db"), kept.read_text())
            else:
                made.write_bytes(kept.read_bytes())
    return folder


def run_sql(file: Path, script: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(script)


def query(file: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(statement).fetchall()


def version_of(file: Path) -> str:
    [(version,)] = query(file, f"SELECT version_num FROM {VERSION_TABLE}")
    return str(version)


# --- the stores we ship --------------------------------------------------------------------


@every_store
def test_tables_and_history_agree(history: History, tmp_path: Path) -> None:
    """Fails where a column was added and its revision forgotten."""
    grown = tmp_path / "grown.db"
    upgrade(grown, history.revisions, None, None)
    with closing_engine(grown) as engine, engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, history.metadata) == []
    assert version_of(grown) == history.revisions.head


@every_store
def test_a_history_is_one_line_in_the_order_of_its_files(history: History) -> None:
    scripts = scripts_of(history.revisions)
    walked = [script.revision for script in scripts.walk_revisions()]
    assert walked[::-1] == history.revisions.names
    assert scripts.get_heads() == [history.revisions.head]


@every_store
def test_a_new_file_is_made_at_the_head(history: History, tmp_path: Path) -> None:
    made, grown = tmp_path / "made.db", tmp_path / "grown.db"
    prepare(made, history.metadata, history.revisions)
    upgrade(grown, history.revisions, None, None)
    assert version_of(made) == history.revisions.head
    listed = "SELECT type, name, tbl_name FROM sqlite_master ORDER BY name"
    assert query(made, listed) == query(grown, listed)
    assert not copies(made)


@every_store
def test_a_step_uses_no_code_that_goes_on_changing(history: History) -> None:
    for script in history.revisions.folder.glob("*.py"):
        for node in ast.walk(ast.parse(script.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                first = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
                assert str(first).split(".")[0] in {"sqlalchemy", "alembic"}, script


@old_stores
def test_a_file_of_the_first_release_is_brought_to_the_head(
    history: History, old_folder: Path
) -> None:
    file = old_folder / history.file
    tables = [table.name for table in history.metadata.sorted_tables]
    before = {name: query(file, f'SELECT count(*) FROM "{name}"') for name in tables}
    assert [(0,)] not in before.values(), "the old folder has a row in every table"
    prepare(file, history.metadata, history.revisions)
    assert version_of(file) == history.revisions.head
    assert {name: query(file, f'SELECT count(*) FROM "{name}"') for name in tables} == before
    with closing_engine(file) as engine, engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), history.metadata) == []


async def test_an_old_folder_answers_through_the_stores(old_folder: Path) -> None:
    clock = FakeClock()

    processors = await ProcessorStore.open(old_folder / "processors.db")
    [row] = await processors.load()
    assert (row.spec.name, row.sampled_at) == ("cam", None)
    assert row.checkpoint == "91343852333181432392682062602723634920273409157"
    await processors.aclose()

    collections = await CollectionService.open(
        old_folder / "collections.db",
        TOY,
        lambda cosine: cosine * 100,
        lambda similarity: similarity / 100,
        ACCOUNT,
        clock,
    )
    face = np.array([1, 0, 0, 0], np.float32)
    [match] = await collections.search(REGION, "people", face, threshold=90)
    assert match.face.external_image_id == "eileen"
    assert (await collections.celebrity(REGION, "eileen")).name == "Eileen Collins"
    await collections.aclose()

    tags = await TagStore.open(old_folder / "tags.db", 50)
    arn = f"arn:aws:rekognition:{REGION}:{ACCOUNT}:streamprocessor/cam"
    assert await tags.of(arn) == {"site": "door"}
    await tags.aclose()

    streams = await DataStreams.open(old_folder / "data.db", DataConfig(), ACCOUNT, clock)
    [shard] = streams.find(REGION, "faces").shards
    records = await streams.store.read(shard, 1, 10, 1000)
    assert [record.data for record in records] == [b'{"a":1}', b'{"a":2}']
    await streams.aclose()

    video = await VideoStreams.open(old_folder / "video", VideoConfig(), ACCOUNT, clock)
    stream = video.find(REGION, "cam")
    assert stream is not None
    fragment = await stream.archive.after("")
    assert fragment is not None
    chunks = [chunk async for chunk in stream.archive.read(fragment.place)]
    assert (fragment.header, b"".join(chunks)) == (b"header", b"cluster bytes")
    await video.aclose()

    jobs = await JobStore.open(old_folder / "jobs.db", clock, 86_400.0)
    assert (await jobs.get(REGION, "a" * 64)).status is JobStatus.SUCCEEDED
    [item] = await jobs.page("a" * 64, Aggregation.TIMESTAMPS, by_key=False, offset=0, limit=10)
    assert item == {"Timestamp": 200, "Face": {"Confidence": 99.0, "Eyes": "open"}}
    await jobs.aclose()


def test_an_old_folder_answers_through_the_daemon(
    start_daemon: Callable[..., Any], old_folder: Path
) -> None:
    daemon = start_daemon(name=old_folder.name)
    rekognition = daemon.client("rekognition")
    [processor] = rekognition.list_stream_processors()["StreamProcessors"]
    assert (processor["Name"], processor["Status"]) == ("cam", "STOPPED")
    [face] = rekognition.list_faces(CollectionId="people")["Faces"]
    assert face["ExternalImageId"] == "eileen"
    assert daemon.client("kinesis").list_streams()["StreamNames"] == ["faces"]
    [stream] = daemon.client("kinesisvideo").list_streams()["StreamInfoList"]
    assert stream["StreamName"] == "cam"


def test_a_folder_that_is_up_to_date_does_not_pay_for_alembic(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from streamproc.processor.store import ProcessorStore\n"
        "async def main():\n"
        "    for _ in range(2):\n"
        f"        await (await ProcessorStore.open(Path({str(tmp_path / 'p.db')!r}))).aclose()\n"
        "asyncio.run(main())\n"
        "assert 'alembic' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


# --- a history of three --------------------------------------------------------------------

NAMES = MetaData()
Table("n", NAMES, Column("first", String, nullable=False))
STEPS = {
    "r0001_first.py": ("0001", None, "op.execute('CREATE TABLE IF NOT EXISTS n (full VARCHAR)')"),
    "r0002_split.py": (
        "0002", "0001",
        "op.add_column('n', sa.Column('first', sa.String()))\n"
        "    op.execute(\"UPDATE n SET first = substr(full, 1, instr(full, ' ') - 1)\")",
    ),
    "r0003_drop.py": (
        "0003", "0002",
        "with op.batch_alter_table('n') as table:\n"
        "        table.alter_column('first', nullable=False)\n"
        "        table.drop_column('full')",
    ),
}  # fmt: skip


@pytest.fixture
def toy(tmp_path: Path) -> Callable[[int], Revisions]:
    """A history of so many revisions."""

    def revisions(count: int) -> Revisions:
        folder = tmp_path / "revisions"
        folder.mkdir(exist_ok=True)
        for file, (revision, down, step) in list(STEPS.items())[:count]:
            (folder / file).write_text(
                "import sqlalchemy as sa\nfrom alembic import op\n"
                f"revision = {revision!r}\ndown_revision = {down!r}\n"
                f"def upgrade():\n    {step}\n"
            )
        return Revisions(folder)

    return revisions


@pytest.fixture
def old_file(tmp_path: Path) -> Path:
    file = tmp_path / "n.db"
    run_sql(file, "CREATE TABLE n (full VARCHAR); INSERT INTO n VALUES ('Eileen Collins')")
    return file


async def test_data_is_carried_through_every_revision_and_a_copy_is_kept(
    toy: Callable[[int], Revisions], old_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        database = await Database.open_file(old_file, NAMES, toy(3))
    assert query(old_file, "SELECT * FROM n") == [("Eileen",)]
    assert version_of(old_file) == "0003"
    [copy] = copies(old_file)
    assert query(copy, "SELECT * FROM n") == [("Eileen Collins",)]
    assert copy.stat().st_mode & 0o777 == 0o600
    assert f"to 0003; as it was before, it is kept in {copy}" in caplog.text
    await database.forget()
    assert not copies(old_file)
    await database.close()


def test_only_the_copy_of_the_last_upgrade_is_kept(
    toy: Callable[[int], Revisions], old_file: Path
) -> None:
    prepare(old_file, NAMES, toy(1))
    assert not copies(old_file), "to be given a version changes nothing"
    prepare(old_file, NAMES, toy(2))
    assert [copy.name for copy in copies(old_file)] == ["n.db.before-0002"]
    prepare(old_file, NAMES, toy(3))
    assert [copy.name for copy in copies(old_file)] == ["n.db.before-0003"]


def test_an_upgrade_that_fails_leaves_the_file_as_it_was(
    toy: Callable[[int], Revisions], old_file: Path
) -> None:
    prepare(old_file, NAMES, toy(1))
    run_sql(old_file, "INSERT INTO n VALUES (NULL)")  # which the third revision cannot take
    revisions = toy(3)
    for _ in range(2):
        with pytest.raises(StoreDamaged, match=rf"{old_file}.*NOT NULL"):
            prepare(old_file, NAMES, revisions)
        assert version_of(old_file) == "0001"
        assert query(old_file, "SELECT * FROM n") == [("Eileen Collins",), (None,)]


def test_a_crash_in_the_middle_of_an_upgrade_leaves_the_file_as_it_was(
    toy: Callable[[int], Revisions], old_file: Path, tmp_path: Path
) -> None:
    prepare(old_file, NAMES, toy(1))
    revisions = toy(3)
    last = revisions.folder / "r0003_drop.py"
    whole = last.read_text()
    last.write_text(whole + "\n    import os\n    os._exit(9)\n")
    script = (
        "import sys\nfrom pathlib import Path\nfrom sqlalchemy import MetaData\n"
        "from streamproc.db.revisions import Revisions, prepare\n"
        "prepare(Path(sys.argv[1]), MetaData(), Revisions(Path(sys.argv[2])))\n"
    )
    command = [sys.executable, "-c", script, str(old_file), str(revisions.folder)]
    assert subprocess.run(command, check=False, timeout=120).returncode == 9
    assert version_of(old_file) == "0001"
    assert query(old_file, "SELECT * FROM n") == [("Eileen Collins",)]
    last.write_text(whole)
    prepare(old_file, NAMES, revisions)
    assert query(old_file, "SELECT * FROM n") == [("Eileen",)]


def test_a_file_of_a_newer_version_is_refused_untouched(
    toy: Callable[[int], Revisions], old_file: Path
) -> None:
    prepare(old_file, NAMES, toy(1))
    run_sql(old_file, f"UPDATE {VERSION_TABLE} SET version_num = '0099'")
    before = old_file.read_bytes()
    with pytest.raises(StoreDamaged, match=r"made by a newer one. Run that version, or restore"):
        prepare(old_file, NAMES, toy(3))
    assert old_file.read_bytes() == before


def test_without_room_for_the_copy_nothing_is_upgraded(
    toy: Callable[[int], Revisions], tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        file = disk.folder / "n.db"
        run_sql(file, "CREATE TABLE n (full VARCHAR); INSERT INTO n VALUES ('Eileen Collins')")
        prepare(file, NAMES, toy(1))
        disk.fill()
        with pytest.raises(StoreUnavailable, match=rf"{file}.*free space"):
            prepare(file, NAMES, toy(3))
        disk.free()
        assert version_of(file) == "0001"
        assert [left.name for left in disk.folder.iterdir()] == ["n.db"]
        prepare(file, NAMES, toy(3))
        assert query(file, "SELECT * FROM n") == [("Eileen",)]
