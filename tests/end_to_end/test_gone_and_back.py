"""Streams that are deleted under a running processor and made anew: it waits, says so, goes on."""

from typing import Any

from tests.end_to_end.films import FRAGMENT, film, plain, put_media


def filmed(rig: Any) -> set[str]:
    """Send three fragments; their numbers."""
    status, acks = put_media(rig.daemon.url, "cam", film(plain(3 * FRAGMENT)))
    assert status == 200
    return {ack["FragmentNumber"] for ack in acks if ack["EventType"] == "PERSISTED"}


def numbers(rig: Any) -> set[str]:
    """The fragments that have records."""
    videos = [record["InputInformation"]["KinesisVideo"] for record in rig.records()]
    return {video["FragmentNumber"] for video in videos}


def message(rig: Any) -> str:
    return str(rig.rekognition.describe_stream_processor(Name="cam").get("StatusMessage", ""))


def test_a_data_stream_that_was_deleted_and_made_anew_gets_every_record(
    rig: Any, wait_until: Any
) -> None:
    video, data = rig.streams()
    rig.create(video, data)
    rig.start()
    first = filmed(rig)
    wait_until(lambda: first <= numbers(rig), 60.0)
    rig.kinesis.delete_stream(StreamName="cam")
    second = filmed(rig)
    told = "Kinesis Data stream cam: Stream cam under account 000000000000 not found; trying again"
    wait_until(lambda: message(rig) == told, 60.0, lambda: message(rig))
    assert rig.status() == "RUNNING"
    rig.kinesis.create_stream(StreamName="cam", ShardCount=1)
    wait_until(lambda: second <= numbers(rig), 60.0, lambda: message(rig))
    wait_until(lambda: message(rig) == "", 60.0, lambda: message(rig))
    identities = [record["RecordId"] for record in rig.records()]
    assert len(set(identities)) == len(identities)


def test_a_processor_that_is_resumed_waits_for_its_data_stream_too(
    rig: Any, wait_until: Any
) -> None:
    video, data = rig.streams()
    rig.create(video, data)
    rig.start()
    first = filmed(rig)
    wait_until(lambda: first <= numbers(rig), 60.0)
    rig.kinesis.delete_stream(StreamName="cam")
    rig.daemon.kill()
    rig.daemon.start()
    rig.connect()
    wait_until(lambda: "Stream cam under account" in message(rig), 60.0, lambda: message(rig))
    second = filmed(rig)
    rig.kinesis.create_stream(StreamName="cam", ShardCount=1)
    wait_until(lambda: second <= numbers(rig), 60.0, lambda: message(rig))
    rig.await_status("RUNNING")
