"""Jobs as a user runs them: boto3 against a live daemon, videos in a folder or in S3."""

import contextlib
import json
import threading
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeAlias, cast

import av
import cv2
import numpy as np
import pytest
from moto.server import ThreadedMotoServer

from streamproc.model.media import Image
from tests.conftest import DaemonFactory, DaemonProcess, aws_client, wait_until

BUCKET = "clips"
JOB_TIMEOUT_S = 240.0  # the machine may be busy with others
LISTS = {
    "FaceDetection": "Faces",
    "FaceSearch": "Persons",
    "PersonTracking": "Persons",
    "LabelDetection": "Labels",
    "ContentModeration": "ModerationLabels",
    "CelebrityRecognition": "Celebrities",
}
KINDS = tuple(LISTS)
OPERATION = {
    "FaceDetection": "face_detection",
    "FaceSearch": "face_search",
    "PersonTracking": "person_tracking",
    "LabelDetection": "label_detection",
    "ContentModeration": "content_moderation",
    "CelebrityRecognition": "celebrity_recognition",
}
Answer: TypeAlias = dict[str, Any]


@dataclass
class Studio:
    """A daemon, its client, and the folder that stands for the bucket "clips"."""

    daemon: DaemonProcess
    folder: Path
    rekognition: Any = field(init=False)

    def __post_init__(self) -> None:
        self.connect()

    def connect(self) -> None:
        self.rekognition = self.daemon.client("rekognition")

    def start(self, kind: str, name: str, bucket: str = BUCKET, **members: Any) -> str:
        call = getattr(self.rekognition, f"start_{OPERATION[kind]}")
        video = {"S3Object": {"Bucket": bucket, "Name": name}}
        return str(call(**{"Video": video, **members})["JobId"])

    def get(self, kind: str, job_id: str, **members: Any) -> Answer:
        return dict(getattr(self.rekognition, f"get_{OPERATION[kind]}")(JobId=job_id, **members))

    def wait(self, kind: str, job_id: str) -> Answer:
        """The first page once the job has ended."""

        def ended() -> Answer | None:
            answer = self.get(kind, job_id)
            return answer if answer["JobStatus"] != "IN_PROGRESS" else None

        return cast("Answer", wait_until(ended, JOB_TIMEOUT_S, lambda: self.daemon.log[-3000:]))

    def items(self, kind: str, job_id: str, **members: Any) -> list[Answer]:
        """Every item of every page."""
        found: list[Answer] = []
        token: dict[str, str] = {}
        while True:
            page = self.get(kind, job_id, **members, **token)
            found += page[LISTS[kind]]
            if "NextToken" not in page:
                return found
            token = {"NextToken": page["NextToken"]}

    def run(self, kind: str, name: str, **members: Any) -> list[Answer]:
        """Start a job, see it succeed, and return what it found."""
        job_id = self.start(kind, name, **members)
        answer = self.wait(kind, job_id)
        assert answer["JobStatus"] == "SUCCEEDED", answer.get("StatusMessage")
        return self.items(kind, job_id)

    def refused(self, kind: str, name: str, **members: Any) -> str:
        """Start a job, see it fail, and return why."""
        answer = self.wait(kind, self.start(kind, name, **members))
        assert answer["JobStatus"] == "FAILED"
        assert not answer[LISTS[kind]]
        return str(answer["StatusMessage"])

    def enrol(self, picture: Image, external_id: str, collection: str = "people") -> None:
        encoded = cv2.imencode(".png", picture)[1].tobytes()
        answer = self.rekognition.index_faces(
            CollectionId=collection, ExternalImageId=external_id, MaxFaces=1,
            Image={"Bytes": encoded},
        )  # fmt: skip
        assert len(answer["FaceRecords"]) == 1, external_id


def render(file: Path, pictures: Sequence[Image], fps: int = 10, codec: str = "libx264") -> Path:
    """Write pictures of one size as a video, fps of them a second."""
    height, width = pictures[0].shape[:2]
    with av.open(file, "w") as container:
        stream = cast("av.VideoStream", container.add_stream(codec, rate=fps))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, fps)
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file


def slideshow(file: Path, photos: Sequence[Path], seconds_each: int = 1, fps: int = 10) -> Path:
    """Photos one after the other, each as it is in the middle of a grey 1280 x 1024."""
    shown: list[Image] = []
    for photo in photos:
        shown += [on_grey(read_photo(photo))] * (seconds_each * fps)
    return render(file, shown, fps)


def on_grey(picture: Image, width: int = 1280, height: int = 1024) -> Image:
    """The picture, scaled down where it is too large, in the middle of a grey one."""
    rows, columns = picture.shape[:2]
    scale = min(1.0, width / columns, height / rows)
    size = (int(columns * scale), int(rows * scale))
    scaled = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    canvas = np.full((height, width, 3), 128, np.uint8)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    canvas[top : top + size[1], left : left + size[0]] = scaled
    return canvas


def read_photo(photo: Path) -> Image:
    picture = cv2.imread(str(photo))
    assert picture is not None, photo
    return np.asarray(picture, np.uint8)


@dataclass(frozen=True)
class Peers:
    """moto's S3, SNS and SQS: what AWS would be."""

    url: str

    def client(self, service: str) -> Any:
        return aws_client(service, self.url)

    def topic(self, name: str = "AmazonRekognition-jobs") -> tuple[str, str]:
        """(topic, queue that hears it)"""
        topic = self.client("sns").create_topic(Name=name)["TopicArn"]
        sqs = self.client("sqs")
        queue = sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        self.client("sns").subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"]
        )
        return topic, queue

    def hear(self, queue: str, count: int) -> list[Answer]:
        """Wait for this many messages, and see that no more are there."""
        found: list[Answer] = []

        def enough() -> bool:
            found.extend(self.heard(queue))
            return len(found) >= count

        wait_until(enough, JOB_TIMEOUT_S, lambda: found)
        return found + self.heard(queue)

    def heard(self, queue: str) -> list[Answer]:
        """The messages that are in the queue now, taken out of it, as consumers parse them."""
        found: list[Answer] = []
        sqs = self.client("sqs")
        while messages := sqs.receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=0
        ).get("Messages", []):
            for message in messages:
                found.append(json.loads(json.loads(message["Body"])["Message"]))
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return found


@pytest.fixture(scope="module")
def peers() -> Iterator[Peers]:
    moto = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    moto.start()
    try:
        yield Peers("http://{}:{}".format(*moto.get_host_and_port()))
    finally:
        moto.stop()


class HeldPeer:
    """An S3 whose one object stops half-way, and an SNS that does not answer; until release()."""

    def __init__(self, body: bytes) -> None:
        self.halfway = threading.Event()  # set when a download hangs
        self.asked = threading.Event()  # set when a publication does
        self._released = threading.Event()
        peer = self

        class Answer(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("ETag", '"1"')
                self.end_headers()

            def do_GET(self) -> None:
                self.do_HEAD()
                with contextlib.suppress(OSError):  # whoever asked has gone meanwhile
                    self.wfile.write(body[: len(body) // 2])
                    peer.halfway.set()
                    peer._released.wait()
                    self.wfile.write(body[len(body) // 2 :])

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                peer.asked.set()
                peer._released.wait()
                answer = b"<PublishResponse><PublishResult/></PublishResponse>"
                with contextlib.suppress(OSError):
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def release(self) -> None:
        self._released.set()

    def close(self) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(60)


@pytest.fixture
def held_peer(tmp_path: Path) -> Iterator[HeldPeer]:
    """Its object, whatever it is called, is two seconds of grey."""
    grey = [np.full((120, 160, 3), 128, np.uint8)] * 20
    peer = HeldPeer(render(tmp_path / "grey.mp4", grey).read_bytes())
    yield peer
    peer.close()


@pytest.fixture
def open_studio(start_daemon: DaemonFactory, tmp_path: Path) -> Callable[..., Studio]:
    """A studio that needs no test data: the dlib engine and no models beside it."""

    def open_(*options: str, engine: str = "dlib", models: Path | None = None) -> Studio:
        folder = tmp_path / BUCKET
        folder.mkdir(exist_ok=True)
        models_dir = models or tmp_path / "no-models"
        daemon = start_daemon(
            "--set", f'buckets.{BUCKET}="{folder}"',
            "--set", f'analysis.models_dir="{models_dir}"', *options, engine=engine,
        )  # fmt: skip
        return Studio(daemon, folder)

    return open_


@pytest.fixture
def open_real_studio(testdata: Path, open_studio: Callable[..., Studio]) -> Callable[..., Studio]:
    """The same with a real InsightFace pack and every model."""

    def open_(*options: str) -> Studio:
        return open_studio(
            "--pack", str(testdata / "models" / "mbf_arcface"), *options,
            engine="insightface", models=testdata / "models" / "analysis",
        )  # fmt: skip

    return open_


@pytest.fixture(scope="module")
def real_studio(
    testdata: Path, start_shared_daemon: DaemonFactory, peers: Peers,
    tmp_path_factory: pytest.TempPathFactory,
) -> Studio:  # fmt: skip
    """One for a whole module, its bucket holding the recordings as well; other buckets and
    topics are moto's."""
    folder = tmp_path_factory.mktemp("bucket")
    for video in (testdata / "videos").glob("*.mp4"):
        (folder / video.name).write_bytes(video.read_bytes())
    daemon = start_shared_daemon(
        "--pack", str(testdata / "models" / "mbf_arcface"),
        "--set", f'buckets.{BUCKET}="{folder}"',
        "--set", f'analysis.models_dir="{testdata / "models" / "analysis"}"',
        "--set", f"endpoints.s3={peers.url}", "--set", f"endpoints.sns={peers.url}",
        engine="insightface",
    )  # fmt: skip
    return Studio(daemon, folder)


@pytest.fixture
def list_jobs() -> Callable[[Studio], dict[str, Answer]]:
    """What `streamproc jobs` is told, by JobId."""

    def listed(studio: Studio) -> dict[str, Answer]:
        request = urllib.request.Request(
            studio.daemon.url, data=b"{}", method="POST",
            headers={
                "X-Amz-Target": "RekognitionService.ListStreamprocJobs",
                "Content-Type": "application/x-amz-json-1.1",
            },
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=60) as answer:
            return {job["JobId"]: job for job in json.load(answer)["Jobs"]}

    return listed


@pytest.fixture(scope="module")
def plain_studio(
    start_shared_daemon: DaemonFactory, tmp_path_factory: pytest.TempPathFactory
) -> Studio:
    """A studio for a whole module that needs no test data and has no models but dlib's."""
    folder = tmp_path_factory.mktemp("bucket")
    daemon = start_shared_daemon(
        "--set", f'buckets.{BUCKET}="{folder}"',
        "--set", f'analysis.models_dir="{folder / "no-models"}"',
        "--set", "jobs.video_bytes_max=10000000",
    )  # fmt: skip
    return Studio(daemon, folder)


@pytest.fixture(scope="module")
def peers_studio(
    start_shared_daemon: DaemonFactory, peers: Peers, tmp_path_factory: pytest.TempPathFactory
) -> Studio:
    """The same, with moto for other buckets and for topics."""
    folder = tmp_path_factory.mktemp("bucket")
    daemon = start_shared_daemon(
        "--set", f'buckets.{BUCKET}="{folder}"',
        "--set", f"endpoints.s3={peers.url}", "--set", f"endpoints.sns={peers.url}",
        name="peers",
    )  # fmt: skip
    return Studio(daemon, folder)
