"""Events and face pictures through the API of a live daemon."""

import asyncio
import base64
import contextlib
import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from streamproc.clock import SystemClock
from streamproc.events.log import EventLog
from streamproc.events.pictures import FacePictures, Owner
from streamproc.events.schema import Draft
from streamproc.model.event import EventKind

REGION = "us-east-1"
VISITS = [f"00000000-0000-4000-8000-{number:012}" for number in range(6)]
ARN = f"arn:aws:{{}}:{REGION}:000000000000:stream/{{}}"
ROLE = "arn:aws:iam::000000000000:role/any"


def ask(url: str, operation: str, **request: Any) -> dict[str, Any]:
    """What an operation of our own answers; SDKs do not know it."""
    asked = urllib.request.Request(
        url,
        json.dumps(request).encode(),
        {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"RekognitionService.{operation}",
        },
    )
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return dict(json.load(answer))


def refusal(url: str, operation: str, **request: Any) -> dict[str, Any]:
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(url, operation, **request)
    return dict(json.loads(refused.value.read()))


async def past(folder: Path) -> None:
    """What an earlier daemon has told."""
    log = await EventLog.open(folder / "events.db", SystemClock(), kept_s=1e9, kept_max=10**6)
    drafts = []
    for number, visit_id in enumerate(VISITS):
        body = {
            "VisitId": visit_id,
            "Person": {"Name": f"unknown-{number}", "Known": False},
            "BoundingBox": {"Left": 0.5, "Top": 0.25, "Width": 0.125, "Height": 0.25},
            "FirstSeen": "2026-11-22T10:00:00.000Z",
            "LastSeen": "2026-11-22T10:00:00.200Z",
            "Frames": 2,
        }
        name = "gate" if number % 2 else "door"
        drafts.append(Draft(EventKind.ENTER, REGION, name, 1_763_805_600.2, body))
    await log.append(drafts)
    await log.append([Draft(EventKind.STATE, "eu-west-1", "far", 1.0, {"Status": "RUNNING"})])
    await log.aclose()
    pictures = FacePictures(folder / "faces-seen", 3600.0, time.time)
    await keep(pictures, VISITS[0], Owner(REGION), b"\xff\xd8stranger")


@pytest.fixture(scope="module")
def daemon(
    start_shared_daemon: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Any:
    folder = tmp_path_factory.getbasetemp() / "own-events"
    folder.mkdir(mode=0o700)
    asyncio.run(past(folder))
    options = ("--set", "events.face_pictures_kept_hours=1", "--set", f"storage.data_dir={folder}")
    return start_shared_daemon(*options, name=str(folder))


def ids(answer: dict[str, Any]) -> list[int]:
    return [event["Id"] for event in answer["Events"]]


def test_the_latest_come_first(daemon: Any) -> None:
    answer = ask(daemon.url, "ListStreamprocEvents", MaxResults=2, Before=7)
    assert ids(answer) == [6, 5]
    assert answer["NewestId"] >= 7
    event = ask(daemon.url, "ListStreamprocEvents", After=0, MaxResults=1)["Events"][0]
    assert event == {
        "Id": 1, "Event": "enter", "At": "2025-11-22T10:00:00.200Z", "Region": REGION,
        "Processor": "door", "VisitId": VISITS[0],
        "Person": {"Name": "unknown-0", "Known": False},
        "BoundingBox": {"Left": 0.5, "Top": 0.25, "Width": 0.125, "Height": 0.25},
        "FirstSeen": "2026-11-22T10:00:00.000Z", "LastSeen": "2026-11-22T10:00:00.200Z",
        "Frames": 2,
    }  # fmt: skip


def test_after_gives_what_came_since_in_order(daemon: Any) -> None:
    assert ids(ask(daemon.url, "ListStreamprocEvents", After=2, MaxResults=3)) == [3, 4, 5]
    assert ids(ask(daemon.url, "ListStreamprocEvents", After=0, Name="gate"))[:3] == [2, 4, 6]


def test_another_regions_events_are_not_told(daemon: Any) -> None:
    assert 7 not in ids(ask(daemon.url, "ListStreamprocEvents", MaxResults=1000))


def test_who_waits_hears_of_the_next_event_and_only_of_what_they_asked(daemon: Any) -> None:
    newest = ask(daemon.url, "ListStreamprocEvents", MaxResults=1)["NewestId"]
    heard: list[Any] = []

    def wait() -> None:
        heard.append(
            ask(daemon.url, "ListStreamprocEvents", After=newest, WaitSeconds=20, Name="second")
        )

    waiting = threading.Thread(target=wait)
    waiting.start()
    for name in ("first", "second"):
        create_processor(daemon, name)
    waiting.join(60)
    [event] = heard[0]["Events"]
    assert (event["Processor"], event["Event"], event["Status"]) == ("second", "state", "STOPPED")


def create_processor(daemon: Any, name: str) -> None:
    daemon.client("rekognition").create_stream_processor(
        Name=name,
        Input={"KinesisVideoStream": {"Arn": ARN.format("kinesisvideo", "cam/1")}},
        Output={"KinesisDataStream": {"Arn": ARN.format("kinesis", "faces")}},
        Settings={"FaceSearch": {"CollectionId": "people", "FaceMatchThreshold": 90.0}},
        RoleArn=ROLE,
    )


def test_a_wait_that_brings_nothing_ends(daemon: Any) -> None:
    newest = ask(daemon.url, "ListStreamprocEvents", MaxResults=1)["NewestId"]
    answer = ask(daemon.url, "ListStreamprocEvents", After=newest, WaitSeconds=1)
    assert answer == {"Events": [], "NewestId": newest}


def test_after_and_before_exclude_each_other(daemon: Any) -> None:
    error = refusal(daemon.url, "ListStreamprocEvents", After=1, Before=5)
    assert error["__type"].endswith("InvalidParameterException")
    assert "After and Before exclude each other" in error["message"]


def test_a_picture_is_given_while_it_is_kept(daemon: Any) -> None:
    answer = ask(daemon.url, "GetStreamprocFacePicture", VisitId=VISITS[0])
    assert base64.b64decode(answer["Picture"]) == b"\xff\xd8stranger"
    error = refusal(daemon.url, "GetStreamprocFacePicture", VisitId=VISITS[1])
    assert error["__type"].endswith("ResourceNotFoundException")
    assert "events.face_pictures_kept_hours" in error["message"]


def test_a_persons_pictures_go_with_their_face(daemon: Any) -> None:
    rekognition = daemon.client("rekognition")
    rekognition.create_collection(CollectionId="people")
    _, png = cv2.imencode(".png", np.ascontiguousarray(astronaut()[:, :, ::-1]))  # type: ignore[no-untyped-call]
    face_ids = []
    for name in ("Eileen", "Collins"):
        indexed = rekognition.index_faces(
            CollectionId="people", ExternalImageId=name, Image={"Bytes": png.tobytes()}
        )
        face_ids.append(indexed["FaceRecords"][0]["Face"]["FaceId"])
    pictures = FacePictures(daemon.data_dir / "faces-seen", 3600.0, time.time)
    for visit_id, face_id in zip(VISITS[2:], face_ids, strict=False):
        asyncio.run(keep(pictures, visit_id, Owner(REGION, "people", face_id), b"\xff\xd8her"))
        assert ask(daemon.url, "GetStreamprocFacePicture", VisitId=visit_id)
    rekognition.delete_faces(CollectionId="people", FaceIds=face_ids[:1])
    refusal(daemon.url, "GetStreamprocFacePicture", VisitId=VISITS[2])
    assert ask(daemon.url, "GetStreamprocFacePicture", VisitId=VISITS[3])
    rekognition.delete_collection(CollectionId="people")
    refusal(daemon.url, "GetStreamprocFacePicture", VisitId=VISITS[3])
    assert ask(daemon.url, "GetStreamprocFacePicture", VisitId=VISITS[0]), "a stranger's stays"


async def keep(pictures: FacePictures, visit_id: str, owner: Owner, jpeg: bytes) -> None:
    pictures.put(visit_id, owner, jpeg)
    await pictures.saved()


def test_where_no_events_are_kept_that_is_said(start_daemon: Callable[..., Any]) -> None:
    daemon = start_daemon("--set", "events.enabled=false")
    assert "events.enabled" in refusal(daemon.url, "ListStreamprocEvents")["message"]
    create_processor(daemon, "door")
    assert not (daemon.data_dir / "events.db").exists()


def test_who_waits_is_answered_when_the_daemon_ends(daemon: Any) -> None:
    """The last one here: it ends the daemon of the others."""
    newest = ask(daemon.url, "ListStreamprocEvents", MaxResults=1)["NewestId"]
    body = json.dumps({"After": newest, "WaitSeconds": 20}).encode()
    client = http.client.HTTPConnection(daemon.url.removeprefix("http://"), timeout=60)
    client.putrequest("POST", "/")
    client.putheader("Content-Type", "application/x-amz-json-1.1")
    client.putheader("X-Amz-Target", "RekognitionService.ListStreamprocEvents")
    client.putheader("Content-Length", str(len(body)))
    client.putheader("Expect", "100-continue")
    client.endheaders()
    assert client.sock.recv(1024).startswith(b"HTTP/1.1 100 "), "somebody looks after us"
    client.send(body)
    assert daemon.stop() == 0
    with contextlib.closing(client):
        assert json.load(client.getresponse()) == {"Events": [], "NewestId": newest}
