"""PutMedia without a wire keeps the promise of PutMedia over one."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from functools import partial

import pytest

from streamproc.kvs.acks import Ack, PutMediaError
from streamproc.kvs.inside_producer import put_media_inside
from tests.cameras.conftest import Inside
from tests.local.kinesis_video.support import HEADER, REGION, cluster, eventually


async def body(
    chunks: Sequence[bytes], *, then: Exception | None = None, forever: bool = False
) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
    if then is not None:
        raise then
    if forever:
        await asyncio.Event().wait()


async def put(inside: Inside, media: AsyncIterator[bytes], acks: list[Ack] | None = None) -> None:
    # Without a retention nothing is persisted, and nothing told to be.
    await inside.world.video_stream(replace(inside.door, retention_hours=1))
    async with asyncio.timeout(60), inside.client("kinesis-video-media") as client:
        await put_media_inside(
            client, "door", media, on_ack=acks.append if acks is not None else None
        )


async def test_every_fragment_is_acknowledged(inside: Inside) -> None:
    acks: list[Ack] = []
    await put(inside, body([HEADER, *(cluster(1000 * number) for number in range(3))]), acks)
    told = [ack.event_type for ack in acks]
    assert told.count("RECEIVED") == told.count("PERSISTED") == 3


async def test_media_that_is_refused_is_an_error_with_its_name(inside: Inside) -> None:
    with pytest.raises(PutMediaError) as caught:
        await put(inside, body([b"this is no Matroska at all, and long enough to tell"]))
    assert caught.value.code == "INVALID_MKV_DATA"


async def test_a_stream_that_is_not_there_is_told(inside: Inside) -> None:
    async with inside.client("kinesis-video-media") as client:
        with pytest.raises(PutMediaError) as caught:
            await put_media_inside(client, "none", body([HEADER]))
    assert caught.value.code == "ResourceNotFoundException"


async def test_what_the_body_raises_passes_through(inside: Inside) -> None:
    with pytest.raises(RuntimeError, match="unplugged"):
        await put(inside, body([HEADER, cluster(0)], then=RuntimeError("unplugged")))


async def test_a_cancelled_session_frees_its_place(inside: Inside) -> None:
    for _ in range(5):  # a stream takes two producers at once
        acks: list[Ack] = []
        task = asyncio.create_task(put(inside, body([HEADER, cluster(0)], forever=True), acks))
        await eventually(partial(list, acks))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_stream_that_is_deleted_ends_the_session(inside: Inside) -> None:
    acks: list[Ack] = []
    deleted = asyncio.Event()

    async def media() -> AsyncIterator[bytes]:
        yield HEADER + cluster(0)
        await deleted.wait()
        yield cluster(1000)
        await asyncio.Event().wait()

    task = asyncio.create_task(put(inside, media(), acks))
    await eventually(partial(list, acks))
    stream = inside.video.streams.find(REGION, "door")
    assert stream is not None
    await inside.video.streams.delete(stream, None)
    deleted.set()
    with pytest.raises(PutMediaError) as caught:
        await task
    assert caught.value.code == "STREAM_NOT_ACTIVE"
