"""The data stream may be anybody's: moto's Kinesis gets the very same records as ours."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from moto.server import ThreadedMotoServer


def test_moto_s_kinesis_receives_the_same_records(
    rig: Any, clip: Path, eileen_png: bytes, start_daemon: Any, aws_client: Any,
    wait_until: Any, run_cli: Callable[..., Any], read_all: Any,
    every_frame: tuple[str, ...],
) -> None:  # fmt: skip
    rig.enrol(eileen_png, "Eileen-Collins")
    video, data = rig.streams()
    rig.create(video, data)
    rig.start()
    run_cli("put-media", str(clip), "--stream", "cam", "--fast", "--endpoint-url", rig.daemon.url)
    due = len(rig.expected())
    ours = wait_until(lambda: len(got := rig.records()) >= due and got, 60.0)
    # Made anew below under the same name: a record's id is of its processor too.
    rig.rekognition.stop_stream_processor(Name="cam")
    rig.await_status("STOPPED")
    rig.rekognition.delete_stream_processor(Name="cam")
    rig.daemon.stop()

    moto = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    moto.start()
    try:
        peer = "http://{}:{}".format(*moto.get_host_and_port())
        kinesis = aws_client("kinesis", peer)
        kinesis.create_stream(StreamName="cam", ShardCount=1)
        foreign = kinesis.describe_stream_summary(StreamName="cam")["StreamDescriptionSummary"]
        # The same data folder: the same video and the same faces, read from the start again.
        again = type(rig)(
            start_daemon("--set", f"endpoints.kinesis={peer}", *every_frame), wait_until
        )
        again.create(video, foreign["StreamARN"])
        again.start()
        theirs = wait_until(lambda: len(got := read_all(kinesis, "cam")) >= due and got, 60.0)
        again.daemon.stop()
    finally:
        moto.stop()
    assert theirs == ours
