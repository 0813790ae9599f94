"""What is written is there for the next daemon."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from streamproc.errors import StoreDamaged
from streamproc.model.position import AfterFragment, FromServerTime, StartAt
from streamproc.model.processor import ProcessorSpec
from streamproc.processor.checkpoint import Checkpoint
from streamproc.processor.state import ProcessorState
from streamproc.processor.store import ProcessorStore, Row


@pytest.fixture
def row(spec: ProcessorSpec) -> Row:
    return Row(spec, ProcessorState.STOPPED, ProcessorState.STOPPED, "", 10.5, 10.5)


async def reopened(path: Path) -> list[Row]:
    store = await ProcessorStore.open(path)
    try:
        return await store.load()
    finally:
        await store.aclose()


async def test_a_row_comes_back_as_it_was(tmp_path: Path, row: Row) -> None:
    store = await ProcessorStore.open(tmp_path / "p.db")
    unusual = replace(
        row,
        spec=replace(row.spec, name="..", regions_of_interest='[{"Polygon":[]}]'),
        state=ProcessorState.FAILED,
        desired=ProcessorState.RUNNING,
        message="Collection not found",
    )
    await store.insert(row)
    await store.insert(unusual)
    await store.aclose()
    assert await reopened(tmp_path / "p.db") == [unusual, row]


async def test_a_state_is_saved_without_touching_the_checkpoint(tmp_path: Path, row: Row) -> None:
    store = await ProcessorStore.open(tmp_path / "p.db")
    await store.insert(row)
    await store.save_start(replace(row, state=ProcessorState.STARTING, started_at=11.0))
    await store.save_checkpoint(row.key, Checkpoint("91343852333181432", 10.25))
    await store.save_state(replace(row, state=ProcessorState.RUNNING, updated_at=12.0))
    await store.aclose()
    (found,) = await reopened(tmp_path / "p.db")
    assert (found.state, found.updated_at) == (ProcessorState.RUNNING, 12.0)
    assert (found.started_at, found.checkpoint) == (11.0, "91343852333181432")
    assert found.sampled_at == 10.25


async def test_checkpoints_of_many_processors_are_each_their_own(tmp_path: Path, row: Row) -> None:
    """They share transactions where they come at the same time; what is gone takes none along."""
    store = await ProcessorStore.open(tmp_path / "p.db")
    rows = [replace(row, spec=replace(row.spec, name=f"door-{index}")) for index in range(24)]
    for one in rows[1:]:
        await store.insert(one)
    await asyncio.gather(
        *(
            store.save_checkpoint(one.key, Checkpoint(str(index), index / 2))
            for index, one in enumerate(rows)
        )
    )
    await store.aclose()
    found = {one.key: (one.checkpoint, one.sampled_at) for one in await reopened(tmp_path / "p.db")}
    assert found == {one.key: (str(n), n / 2) for n, one in enumerate(rows[1:], start=1)}


async def test_a_start_begins_anew(tmp_path: Path, row: Row) -> None:
    store = await ProcessorStore.open(tmp_path / "p.db")
    await store.insert(row)
    await store.save_checkpoint(row.key, Checkpoint("7", 10.25))
    await store.save_start(replace(row, start_at=StartAt.EARLIEST, started_at=20.0))
    await store.aclose()
    (found,) = await reopened(tmp_path / "p.db")
    assert (found.start_at, found.started_at) == (StartAt.EARLIEST, 20.0)
    assert (found.checkpoint, found.sampled_at) == (None, None)


async def test_deleting_removes_everything(tmp_path: Path, row: Row) -> None:
    store = await ProcessorStore.open(tmp_path / "p.db")
    await store.insert(row)
    await store.delete(row)
    await store.aclose()
    assert await reopened(tmp_path / "p.db") == []


def test_a_restart_goes_on_behind_the_checkpoint_or_where_it_was_started(row: Row) -> None:
    started = replace(row, started_at=20.0)
    assert started.resume_position == FromServerTime(20.0)
    assert replace(started, start_at=StartAt.EARLIEST).resume_position is StartAt.EARLIEST
    assert replace(started, checkpoint="7").resume_position == AfterFragment("7")


async def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "p.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreDamaged, match=r"p\.db"):
        await ProcessorStore.open(tmp_path / "p.db")
