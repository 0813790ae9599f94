"""What is done with faces is written down before anybody hears of it, and faces are not."""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from streamproc.audit.line import Line
from streamproc.audit.verify import read_lines, verify
from streamproc.config import load_config
from streamproc.daemon import serving
from streamproc.engines.fake import FakeEngine

PROCESSOR = "arn:aws:rekognition:us-east-1:000000000000:streamprocessor/cam"


def lines_of(rig: Any, event: str = "") -> list[Line]:
    lines = read_lines(rig.daemon.data_dir / "audit")
    return [line for line in lines if not event or line.event == event]


def receipt(rig: Any, answer: dict[str, Any]) -> Line:
    """The line of an answer's request, the last if there are two."""
    request_id = answer["ResponseMetadata"]["RequestId"]
    return [line for line in lines_of(rig) if line.details.get("RequestId") == request_id][-1]


def send(rig: Any, clip: Path, run_cli: Any) -> None:
    sent = run_cli("put-media", str(clip), "--stream", "cam", "--fast",
                   "--endpoint-url", rig.daemon.url)  # fmt: skip
    assert sent.returncode == 0, sent.stderr


def recognised(rig: Any) -> list[dict[str, Any]]:
    return [
        record
        for record in rig.records()
        if any(face["MatchedFaces"] for face in record["FaceSearchResponse"])
    ]


def watch(rig: Any) -> None:
    video, data = rig.streams()
    rig.create(video, data)
    rig.start()


@pytest.fixture
def calm_rig(rig_with: Any) -> Any:
    """Looks at one frame of a second."""
    rates = ("processors.analysis_fps=1", "processors.analysis_fps_min=1")
    return rig_with(*(word for rate in rates for word in ("--set", rate)), engine="dlib")


def test_everything_done_with_faces_has_its_line_and_no_line_has_a_face(
    calm_rig: Any, eileen_png: bytes, clip: Path, run_cli: Any, wait_until: Any
) -> None:
    rig = calm_rig
    rekognition, picture = rig.rekognition, {"Bytes": eileen_png}

    indexed = rekognition.index_faces(
        CollectionId="people", ExternalImageId="Eileen-Collins", Image=picture
    )
    face = indexed["FaceRecords"][0]["Face"]
    enrolled = receipt(rig, indexed)
    assert (enrolled.event, enrolled.who) == ("IndexFaces", "anonymous")
    assert enrolled.details["Stage"] == "done"
    assert enrolled.details["CollectionId"] == "people"
    assert enrolled.details["FaceIds"] == [face["FaceId"]]
    assert enrolled.details["ImageId"] == face["ImageId"]

    found = receipt(rig, rekognition.search_faces_by_image(CollectionId="people", Image=picture))
    [match] = found.details["Matches"]
    assert (found.event, match["FaceId"]) == ("SearchFacesByImage", face["FaceId"])
    assert match["Similarity"] > 90
    searched = receipt(rig, rekognition.search_faces(CollectionId="people", FaceId=face["FaceId"]))
    assert (searched.details["FaceId"], searched.details["Matched"]) == (face["FaceId"], 0)
    compared = receipt(rig, rekognition.compare_faces(SourceImage=picture, TargetImage=picture))
    assert (compared.event, compared.details["Matched"]) == ("CompareFaces", 1)

    watch(rig)
    send(rig, clip, run_cli)
    wait_until(lambda: len(rig.records()) >= 6, 120)
    recorded = [record["RecordId"] for record in recognised(rig)]
    delivered = lines_of(rig, "MatchDelivered")  # six seconds may touch a seventh: that comes later
    assert [line.details["RecordId"] for line in delivered][: len(recorded)] == recorded
    assert {line.who for line in delivered} == {PROCESSOR}
    assert delivered[0].details["Matches"][0]["FaceId"] == face["FaceId"]
    rig.rekognition.stop_stream_processor(Name="cam")

    deleted = rekognition.delete_faces(CollectionId="people", FaceIds=[face["FaceId"]])
    gone = receipt(rig, deleted)
    assert (gone.event, gone.details["Stage"]) == ("DeleteFaces", "done")
    assert gone.details["FaceIds"] == [face["FaceId"]]
    again = rekognition.delete_faces(CollectionId="people", FaceIds=[face["FaceId"]])
    assert receipt(rig, again).details["FaceIds"] == []  # the receipt tells what it did
    dropped = receipt(rig, rekognition.delete_collection(CollectionId="people"))
    assert (dropped.event, dropped.details["FaceCount"]) == ("DeleteCollection", 0)

    data_dir = str(rig.daemon.data_dir)
    done: subprocess.CompletedProcess[str] = run_cli("audit", "verify", "--data-dir", data_dir)
    assert "whole and unchanged" in done.stdout, done.stderr
    shown = run_cli("audit", "show", "--data-dir", data_dir, "--event", "IndexFaces", "--json")
    stages = [json.loads(line)["details"]["Stage"] for line in shown.stdout.splitlines()]
    assert stages == ["asked", "done"]

    folder = rig.daemon.data_dir / "audit"
    rig.daemon.kill()
    assert verify(folder).last.number == len(lines_of(rig))
    written = b"".join(file.read_bytes() for file in folder.glob("*.jsonl"))
    for word in (b"Eileen", b"BoundingBox", b"Embedding", b"Landmark", b"Confidence", b".mp4"):
        assert word not in written


def test_without_its_log_nothing_is_done_and_with_it_everything_goes_on(
    calm_rig: Any, eileen_png: bytes, clip: Path, run_cli: Any, wait_until: Any
) -> None:
    rig = calm_rig
    face_id = rig.enrol(eileen_png, "Eileen-Collins")
    watch(rig)
    folder = rig.daemon.data_dir / "audit"
    away = folder.rename(rig.daemon.data_dir / "away")
    with pytest.raises(ClientError, match="cannot be written into the audit log"):
        rig.rekognition.delete_faces(CollectionId="people", FaceIds=[face_id])
    with pytest.raises(rig.rekognition.exceptions.InternalServerError):
        rig.rekognition.search_faces_by_image(CollectionId="people", Image={"Bytes": eileen_png})
    assert len(rig.rekognition.list_faces(CollectionId="people")["Faces"]) == 1
    send(rig, clip, run_cli)

    def message() -> str:
        return str(rig.rekognition.describe_stream_processor(Name="cam").get("StatusMessage"))

    wait_until(lambda: "audit log" in message(), 60, message)
    assert "nothing is lost" in message()
    assert rig.status() == "RUNNING"
    assert not recognised(rig)

    away.rename(folder)
    wait_until(lambda: len(rig.records()) >= 6, 120)
    assert "audit log" not in message()
    assert len(recognised(rig)) > 3
    delivered = {record["RecordId"] for record in recognised(rig)}  # first: more are on their way
    assert delivered <= {line.details["RecordId"] for line in lines_of(rig, "MatchDelivered")}
    assert rig.daemon.stop() == 0
    verify(folder)

    # Nor does a daemon go on with a log that was cut.
    [segment] = folder.glob("*.jsonl")
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(AssertionError, match="streamproc audit verify"):
        rig.daemon.start()


async def test_switched_off_there_is_no_log(tmp_path: Path, aws_client: Any) -> None:
    tables: dict[str, dict[str, Any]] = {
        "audit": {"enabled": False},
        "storage": {"data_dir": tmp_path},
        "server": {"port": 0},
    }
    async with serving(load_config(None, tables), engine=FakeEngine()) as url:
        rekognition = aws_client("rekognition", url)
        await asyncio.to_thread(rekognition.create_collection, CollectionId="people")
        await asyncio.to_thread(rekognition.delete_collection, CollectionId="people")
    assert not (tmp_path / "audit").exists()
