"""A real recording of Kinesis Video, through the embedded service and byte for byte.

kvs/output-get-media-non-increasing-timecode.mkv: 12 fragments of 960×720, 8 or 9 people in a
lobby; its timecodes restart and its last fragment is cut. Needs the test data.
"""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from aiohttp import web

from streamproc.mkv.fragments import FragmentParser
from streamproc.model.media import FragmentEnded, FragmentStarted, Packet

FPS = 5.0
Told: TypeAlias = tuple[str, float, float, float]


@pytest.fixture(scope="module")
def recording(testdata: Path) -> bytes:
    return (testdata / "kvs" / "output-get-media-non-increasing-timecode.mkv").read_bytes()


@pytest.fixture
def recorded_rig(testdata: Path, rig_with: Any) -> Any:
    return rig_with("--pack", str(testdata / "models" / "mbf_arcface"))


def due_records(
    recording: bytes, slot_of: Callable[[int, float], int]
) -> list[tuple[str, float, float, float]]:
    """(number, server time, producer time, offset) of every frame that is to be sampled.

    The first frame of each slot of 1/FPS seconds of media time, in presentation order.
    """
    parser = FragmentParser()
    due: list[Told] = []
    last_slot: int | None = None
    fragment, offsets = None, list[int]()
    for event in [*parser.feed(recording), *parser.close()]:
        if isinstance(event, FragmentStarted):
            fragment, offsets = event.fragment, []
        elif isinstance(event, Packet):
            offsets.append(event.offset_ns)
        elif isinstance(event, FragmentEnded):
            assert fragment is not None
            assert fragment.producer_timestamp is not None
            assert fragment.server_timestamp is not None
            for offset_ns in sorted(offsets):
                start_ms = round(fragment.producer_timestamp * 1000)
                slot = slot_of(start_ms + offset_ns // 1_000_000, FPS)
                if slot != last_slot:
                    due.append(
                        (
                            fragment.number,
                            fragment.server_timestamp,
                            fragment.producer_timestamp,
                            float(np.float32(round(offset_ns / 1e9, 3))),
                        )
                    )
                last_slot = slot
    return due


def told(record: dict[str, Any]) -> Told:
    video = record["InputInformation"]["KinesisVideo"]
    return (
        video["FragmentNumber"], video["ServerTimestamp"], video["ProducerTimestamp"],
        video["FrameOffsetInSeconds"],
    )  # fmt: skip


@pytest.fixture
def get_media_server(recording: bytes, serve_in_thread: Any) -> Iterator[str]:
    """A Kinesis Video that serves one recording, byte for byte, and then stays silent."""
    served = asyncio.Event()

    async def get_data_endpoint(request: web.Request) -> web.Response:
        return web.json_response({"DataEndpoint": f"http://{request.host}"})

    async def get_media(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "video/webm"})
        await response.prepare(request)
        if not served.is_set():
            served.set()
            for at in range(0, len(recording), 10_007):
                await response.write(recording[at : at + 10_007])
        await asyncio.sleep(3600)
        return response

    app = web.Application()
    app.router.add_post("/getDataEndpoint", get_data_endpoint)
    app.router.add_post("/describeStream", get_data_endpoint)
    app.router.add_post("/getMedia", get_media)
    with serve_in_thread(app) as url:
        yield url


def test_served_byte_for_byte_each_sampled_frame_gives_its_record(
    recording: bytes,
    testdata: Path,
    rig_with: Any,
    get_media_server: str,
    slot_of: Any,
) -> None:
    rig = rig_with(
        "--pack", str(testdata / "models" / "mbf_arcface"),
        "--set", f"endpoints.kinesisvideo={get_media_server}",
    )  # fmt: skip
    rig.kinesis.create_stream(StreamName="cam", ShardCount=1)
    data = rig.kinesis.describe_stream_summary(StreamName="cam")["StreamDescriptionSummary"]
    video = "arn:aws:kinesisvideo:us-east-1:000000000000:stream/lobby/1517530000000"
    rig.create(video, data["StreamARN"])
    rig.start()
    due = due_records(recording, slot_of)
    assert len({number for number, *_ in due}) == 12
    records = rig.wait_until(lambda: len(got := rig.records()) >= len(due) and got, 90.0)
    assert [told(record) for record in records] == due
    assert sum(len(record["FaceSearchResponse"]) for record in records) > 3 * len(records)


def test_pushed_through_the_embedded_service_each_sampled_frame_gives_its_record(
    recording: bytes, recorded_rig: Any, run_cli: Any, testdata: Path, slot_of: Any
) -> None:
    rig = recorded_rig
    video, data = rig.streams()
    rig.create(video, data)
    rig.start()
    file = testdata / "kvs" / "output-get-media-non-increasing-timecode.mkv"
    sent = run_cli(
        "put-media", str(file), "--stream", "cam", "--fast", "--endpoint-url", rig.daemon.url
    )
    assert sent.returncode == 0, sent.stderr
    # What the service holds is what is due.
    archive = rig.daemon.client("kinesis-video-archived-media")
    fragments = archive.list_fragments(StreamName="cam")["Fragments"]
    assert len(fragments) >= 11
    numbers = sorted((item["FragmentNumber"] for item in fragments), key=int)
    stored = archive.get_media_for_fragment_list(StreamName="cam", Fragments=numbers)
    due = due_records(stored["Payload"].read(), slot_of)
    records = rig.wait_until(lambda: len(got := rig.records()) >= len(due) and got, 90.0)
    assert [told(record) for record in records] == due
    assert {told(record)[0] for record in records} == set(numbers)
