"""streamproc jobs: what is being done, what was found, and the pictures that show it.

Most of it against a small server in Rekognition's protocol, which can be made to answer
anything; the last tests with a live daemon, whose answers are the real ones.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import skimage.data
from botocore.session import get_session
from botocore.validate import ParamValidator
from typer.testing import CliRunner, Result

from streamproc.cli.drawing import GREEN
from streamproc.cli.job_findings import KINDS, Mark, Summary, clock
from streamproc.cli.jobs import jobs
from streamproc.cli.jobs_pictures import draw_marks, spread, write_frames
from streamproc.errors import StreamprocError
from tests.decode.clips import film

BOX = {"Left": 0.25, "Top": 0.25, "Width": 0.5, "Height": 0.5}
FACE = {"BoundingBox": BOX, "Confidence": 99.9}
MATCHED = {"Similarity": 97.25, "Face": {"FaceId": "f" * 36, "ExternalImageId": "alice"}}
DOG = {"Name": "Dog", "Confidence": 80.0, "Parents": [{"Name": "Animal"}]}
ALICE = {"Id": "a1", "Name": "Alice", "Confidence": 96.0, "Urls": ["example.org/alice"]}

ITEMS: dict[str, list[dict[str, Any]]] = {
    "StartFaceDetection": [
        {"Timestamp": 0, "Face": FACE},
        {
            "Timestamp": 40,
            "Face": {
                **FACE,
                "Gender": {"Value": "Female", "Confidence": 99.0},
                "AgeRange": {"Low": 30, "High": 40},
                "Emotions": [
                    {"Type": "SAD", "Confidence": 8.0},
                    {"Type": "HAPPY", "Confidence": 90.0},
                ],
                "Eyeglasses": {"Value": True, "Confidence": 90.0},
                "EyesOpen": {"Value": False, "Confidence": 90.0},
            },
        },
    ],
    "StartFaceSearch": [
        {"Timestamp": 0, "Person": {"Index": 0, "Face": FACE}, "FaceMatches": [MATCHED]},
        {"Timestamp": 0, "Person": {"Index": 1, "Face": FACE}, "FaceMatches": []},
        {"Timestamp": 400, "Person": {"Index": 0, "Face": FACE}, "FaceMatches": [MATCHED]},
    ],
    "StartPersonTracking": [
        {"Timestamp": 0, "Person": {"Index": 0, "BoundingBox": BOX, "Face": FACE}},
        {"Timestamp": 0, "Person": {"Index": 1, "BoundingBox": BOX}},
        {"Timestamp": 40, "Person": {"Index": 2, "Face": FACE}},
        {"Timestamp": 80, "Person": {"Index": 2}},
    ],
    "StartLabelDetection": [
        {
            "Timestamp": 0,
            "Label": {**DOG, "Instances": [{"BoundingBox": BOX, "Confidence": 80.0}] * 2},
        },
        {
            "Timestamp": 0,
            "Label": {"Name": "Animal", "Confidence": 80.0, "Parents": [], "Instances": []},
        },
    ],
    "StartContentModeration": [
        {
            "Timestamp": 200,
            "ModerationLabel": {"Name": "Nudity", "ParentName": "Suggestive", "Confidence": 70.0},
        },
    ],
    "StartCelebrityRecognition": [
        {"Timestamp": 0, "Celebrity": {**ALICE, "Face": FACE}},
    ],
}
SEGMENTS: dict[str, list[dict[str, Any]]] = {
    "StartLabelDetection": [
        {
            "Timestamp": 0,
            "StartTimestampMillis": 0,
            "EndTimestampMillis": 900,
            "DurationMillis": 900,
            "Label": DOG,
        },
        {
            "Timestamp": 65_000,
            "StartTimestampMillis": 65_000,
            "EndTimestampMillis": 66_000,
            "DurationMillis": 1000,
            "Label": DOG,
        },
    ],
    "StartContentModeration": ITEMS["StartContentModeration"],
}
API = {api.replace("Start", "Get"): api for api in KINDS}


def job(job_id: str, api: str = "StartFaceSearch", **members: Any) -> dict[str, Any]:
    return {
        "JobId": job_id.ljust(64, "0"),
        "API": api,
        "JobStatus": "SUCCEEDED",
        "Progress": 1.0,
        "Video": {"S3Object": {"Bucket": "films", "Name": "visit.mp4"}},
        "CreationTimestamp": time.time() - 120,
        **members,
    }


class Peer:
    """Answers with pages of two."""

    def __init__(self) -> None:
        self.url = ""
        self.jobs: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.before: Callable[[str], None] = lambda _: None

    def answer(self, operation: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.asked.append(operation)
        self.before(operation)
        if operation == "ListStreamprocJobs":
            return 200, self._page("Jobs", self.jobs, request)
        api = API[operation]
        segments = request.get("AggregateBy") == "SEGMENTS"
        page = self._page(KINDS[api].listed, (SEGMENTS if segments else ITEMS)[api], request)
        metadata = {"Codec": "h264", "DurationMillis": 66_000, "FrameRate": 25.0}
        page["VideoMetadata"] = {**metadata, "FrameWidth": 320, "FrameHeight": 240}
        return 200, {**page, "JobStatus": "SUCCEEDED"}

    def _page(self, name: str, found: list[Any], request: dict[str, Any]) -> dict[str, Any]:
        start = int(request.get("NextToken", 0))
        more = {"NextToken": str(start + 2)} if len(found) > start + 2 else {}
        return {name: found[start : start + 2], **more}


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            operation = self.headers["X-Amz-Target"].removeprefix("RekognitionService.")
            assert "/rekognition/aws4_request" in self.headers["Authorization"]
            status, content = peer.answer(operation, json.loads(body))
            answer = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    peer.url = f"http://127.0.0.1:{server.server_port}"
    yield peer
    server.shutdown()
    server.server_close()


def run(peer: Peer, *arguments: object, columns: int = 240) -> Result:
    wide = {"COLUMNS": str(columns), "TERM": "dumb", "AWS_ENDPOINT_URL": peer.url}
    return CliRunner(env=wide).invoke(jobs, [str(argument) for argument in arguments])


def error_of(result: Result) -> str:
    assert isinstance(result.exception, StreamprocError), result.exception
    return str(result.exception)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds, a frame every 40 ms."""
    file = tmp_path_factory.mktemp("films") / "visit.mp4"
    file.write_bytes(film(frames=50, size=(320, 240), container="mp4").file)
    return file


def pictures(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.mark.parametrize("command", [[], ["list"]])
def test_every_job_is_listed_newest_first_from_all_pages(peer: Peer, command: list[str]) -> None:
    now = time.time()
    peer.jobs = [
        job("aaa1", CreationTimestamp=now - 7300),
        job("bbb2", "StartLabelDetection", CreationTimestamp=now - 10, JobStatus="IN_PROGRESS",
            Progress=0.42),
        job("ccc3", CreationTimestamp=now - 400, JobStatus="FAILED", StatusMessage="no [codec]"),
    ]  # fmt: skip
    head, *lines, empty, reason = run(peer, *command).output.splitlines()
    assert head.split() == ["job", "what", "video", "status", "age"]
    assert [line.split()[0] for line in lines] == ["bbb20000", "ccc30000", "aaa10000"]
    assert "LabelDetection" in lines[0]
    assert "films/visit.mp4" in lines[0]
    assert "42%" in lines[0]
    assert "FAILED" in lines[1]
    assert (empty, reason) == ("", "ccc30000: no [codec]")
    assert "7 min" in lines[1]
    assert "2 h" in lines[2]


def test_ids_are_as_long_as_they_must_be(peer: Peer) -> None:
    peer.jobs = [job("a" * 12 + "1"), job("a" * 12 + "2")]
    ids = [line.split()[0] for line in run(peer).output.splitlines()[1:]]
    assert sorted(ids) == ["a" * 12 + "1", "a" * 12 + "2"]


def test_80_columns_are_enough(peer: Peer) -> None:
    film = {"S3Object": {"Bucket": "recordings-of-2026", "Name": "the/visit/of/the/aunt.mp4"}}
    api = "StartCelebrityRecognition"
    peer.jobs = [
        job("abcdef01", api, Video=film, JobStatus="IN_PROGRESS", Progress=0.5),
        job("abcdef02", api, Video=film),
    ]
    output = run(peer, columns=80).output
    for whole in ("abcdef01", "abcdef02", "CelebrityRecognition", "50%", "SUCCEEDED", "2 min"):
        assert whole in output
    # Nothing of the name is lost, on however many lines.
    names = "".join(line[32:].split("  ")[0].strip() for line in output.splitlines()[1:])
    assert names == "recordings-of-2026/the/visit/of/the/aunt.mp4" * 2


def test_names_that_a_terminal_would_obey_are_shown_harmless(peer: Peer) -> None:
    film = {"S3Object": {"Bucket": "films", "Name": "\x1b[2J[bold].mp4"}}
    peer.jobs = [job("a", Video=film, JobStatus="FAILED", StatusMessage="\x1b]0;title\x07")]
    output = run(peer).output
    assert "films/\ufffd[2J[bold].mp4" in output
    assert "\x1b" not in output
    assert "\x07" not in output


def test_only_the_newest_are_shown_and_how_many_are_not(peer: Peer) -> None:
    peer.jobs = [job(str(number)) for number in range(5)]
    output = run(peer, "--most", "3").output
    assert output.count("visit.mp4") == 3
    assert "and 2 older; see them with --most 5" in output


def test_json_has_every_job_as_it_was_answered(peer: Peer) -> None:
    peer.jobs = [
        job(str(number), CreationTimestamp=1_700_000_000.5 + number) for number in range(3)
    ]
    found = json.loads(run(peer, "--json", "--most", "2").stdout)["Jobs"]
    assert [each["JobId"] for each in found] == [peer.jobs[2]["JobId"], peer.jobs[1]["JobId"]]
    assert found[0]["CreationTimestamp"] == "2023-11-14T22:13:22.500Z"
    assert found[0]["Video"] == peer.jobs[2]["Video"]


@pytest.mark.parametrize("api", KINDS)
def test_json_of_one_job_has_what_was_found_from_all_pages(peer: Peer, api: str) -> None:
    peer.jobs = [job("abc", api)]
    found = json.loads(run(peer, "show", "abc", "--json").stdout)
    assert found["VideoMetadata"]["FrameWidth"] == 320
    assert [item["Timestamp"] for item in found[KINDS[api].listed]] == [
        item["Timestamp"] for item in ITEMS[api]
    ]


def test_json_of_a_job_that_is_not_done_is_the_job(peer: Peer) -> None:
    peer.jobs = [job("abc", JobStatus="FAILED", StatusMessage="no codec")]
    found = json.loads(run(peer, "show", "abc", "--json").stdout)
    assert (found["JobStatus"], found["StatusMessage"]) == ("FAILED", "no codec")


def test_no_jobs_are_words(peer: Peer) -> None:
    assert run(peer).output == "there are no jobs\n"


def test_watch_redraws_until_no_job_is_in_progress(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamproc.cli.jobs._REDRAW_S", 0.0)
    running = job("a", JobStatus="IN_PROGRESS", Progress=0.0)
    peer.jobs = [running]

    def advance(_: str) -> None:
        running["Progress"] += 0.25
        if running["Progress"] == 1.0:
            running["JobStatus"] = "SUCCEEDED"

    peer.before = advance
    result = run(peer, "--watch")
    assert result.exit_code == 0, result.exception
    assert peer.asked == ["ListStreamprocJobs"] * 4
    assert "SUCCEEDED" in result.output


def test_a_refusal_is_one_line(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = {"__type": "com.amazonaws#AccessDeniedException", "Message": "not for you"}
    monkeypatch.setattr(peer, "answer", lambda *_: (400, refusal))
    assert error_of(run(peer)) == "AccessDeniedException: not for you"


@pytest.mark.parametrize("content", [[1], "text"])
def test_a_server_of_another_kind_is_named(
    peer: Peer, monkeypatch: pytest.MonkeyPatch, content: object
) -> None:
    monkeypatch.setattr(peer, "answer", lambda *_: (404, content))
    assert f"{peer.url} answered ListStreamprocJobs with HTTP 404" in error_of(run(peer))


def test_nobody_there_names_the_command() -> None:
    nobody = Peer()
    nobody.url = "http://127.0.0.1:1"
    assert "streamproc serve" in error_of(run(nobody))


def test_who_does_not_answer_in_time_is_not_called_absent(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamproc.cli.own_operations._TIMEOUT_S", 0.5)
    over = threading.Event()

    def wait(_: str) -> None:
        over.wait(60)

    peer.before = wait
    try:
        assert f"{peer.url} has not answered ListStreamprocJobs" in error_of(run(peer))
    finally:
        over.set()


def test_a_job_is_meant_by_as_much_of_its_id_as_tells_it_apart(peer: Peer) -> None:
    peer.jobs = [job("ab1"), job("ab2")]
    assert "2 jobs begin with 'ab'" in error_of(run(peer, "show", "ab"))
    assert "there is no job cd" in error_of(run(peer, "show", "cd"))
    assert "ab1".ljust(64, "0") in run(peer, "show", "AB1").output


@pytest.mark.parametrize("api", KINDS)
def test_the_items_of_these_tests_are_such_as_rekognition_answers(api: str) -> None:
    model = get_session().get_service_model("rekognition")
    shape = model.operation_model(api.replace("Start", "Get")).output_shape
    for items in (ITEMS[api], SEGMENTS.get(api, [])):
        report = ParamValidator().validate({KINDS[api].listed: items}, shape)
        assert not report.has_errors(), report.generate_report()


@pytest.mark.parametrize(
    ("api", "lines"),
    [
        ("StartFaceDetection", [["faces", "2", "0:00.0", "99.9"]]),
        (
            "StartFaceSearch",
            [["0 alice", "2", "0:00.0 - 0:00.4", "97.2"], ["1 unknown", "1", "0:00.0"]],
        ),
        (
            "StartPersonTracking",
            [
                ["0", "1", "0:00.0", "99.9"],
                ["1", "1", "0:00.0"],
                ["2", "2", "0:00.0", "99.9"],
            ],
        ),
        (
            "StartLabelDetection",
            [["Dog", "2", "0:00.0 - 0:00.9, 1:05.0 - 1:06.0", "80.0", "Animal"]],
        ),
        ("StartContentModeration", [["Nudity", "1", "0:00.2", "70.0", "Suggestive"]]),
        ("StartCelebrityRecognition", [["Alice (a1)", "1", "0:00.0", "96.0", "example.org/alice"]]),
    ],
)
def test_a_job_tells_what_it_found(peer: Peer, api: str, lines: list[list[str]]) -> None:
    peer.jobs = [job("a", api)]
    result = run(peer, "show", "a")
    assert result.exit_code == 0, result.exception
    assert "1:06.0 of h264, 320×240 at 25 frames per second" in result.output
    table = [line.split("  ") for line in result.output.splitlines()[6:]]
    assert [[cell.strip() for cell in line if cell.strip()] for line in table] == lines


@pytest.mark.parametrize("api", KINDS)
def test_every_kind_is_drawn(peer: Peer, clip: Path, tmp_path: Path, api: str) -> None:
    peer.jobs = [job("a", api)]
    result = run(peer, "show", "a", "--out", tmp_path / "out", "--video", clip)
    assert result.exit_code == 0, result.exception
    times = sorted({item["Timestamp"] for item in ITEMS[api]})
    assert pictures(tmp_path / "out") == [f"{ms:010d}ms.jpg" for ms in times]
    assert f"{len(times)} frames in {tmp_path / 'out'}" in result.output
    picture = cv2.imread(str(tmp_path / "out" / f"{times[0]:010d}ms.jpg"))
    assert picture is not None
    assert picture.shape == (240, 320, 3)


def test_the_video_comes_from_its_bucket(peer: Peer, clip: Path, tmp_path: Path) -> None:
    config = tmp_path / "streamproc.toml"
    config.write_text(f'[buckets]\nfilms = "{clip.parent}"\n')
    peer.jobs = [job("a")]
    result = run(peer, "show", "a", "--out", tmp_path / "out", "--config", config)
    assert result.exit_code == 0, result.exception
    assert len(pictures(tmp_path / "out")) == 2


def test_a_bucket_that_is_not_known_names_the_other_ways(peer: Peer, tmp_path: Path) -> None:
    peer.jobs = [job("a")]
    error = error_of(run(peer, "show", "a", "--out", tmp_path / "out"))
    assert "--config" in error
    assert "--video" in error
    assert not (tmp_path / "out").exists()


def test_fewer_pictures_than_moments_are_spread_and_said(
    peer: Peer, clip: Path, tmp_path: Path
) -> None:
    peer.jobs = [job("a", "StartPersonTracking")]
    result = run(peer, "show", "a", "--out", tmp_path / "out", "--video", clip, "--most", "2")
    assert pictures(tmp_path / "out") == ["0000000000ms.jpg", "0000000080ms.jpg"]
    assert "2 frames" in result.output
    assert "of 3 moments with results" in result.output


@pytest.mark.parametrize("status", ["IN_PROGRESS", "FAILED"])
def test_a_job_without_results_is_shown_and_cannot_be_drawn(
    peer: Peer, tmp_path: Path, status: str
) -> None:
    peer.jobs = [job("a", JobStatus=status, StatusMessage="Unsupported codec/format")]
    assert "Unsupported codec/format" in run(peer, "show", "a").output
    assert "nothing to draw" in error_of(run(peer, "show", "a", "--out", tmp_path))
    assert peer.asked == ["ListStreamprocJobs"] * 2


def test_a_job_that_found_nothing_says_so(
    peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ITEMS, "StartFaceSearch", [])
    peer.jobs = [job("a")]
    result = run(peer, "show", "a", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.exception
    assert "nothing was found" in result.output


def test_another_video_is_noticed(clip: Path, tmp_path: Path) -> None:
    marks = KINDS["StartFaceDetection"].marks({"Face": FACE})
    with pytest.raises(StreamprocError, match=r"has no frame at 0:00\.0.*--video"):
        write_frames(clip, "clip.mp4", {17: marks}, tmp_path, lambda _: None)
    assert write_frames(clip, "clip.mp4", {17: marks, 80: marks}, tmp_path, lambda _: None) == 1


def test_a_folder_that_cannot_be_written_is_named(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    marks = KINDS["StartFaceDetection"].marks({"Face": FACE})
    with pytest.raises(StreamprocError, match=r"cannot be written .*--out"):
        write_frames(clip, "clip.mp4", {0: marks}, tmp_path / "out", lambda _: None)


@pytest.mark.parametrize(
    ("api", "number", "texts"),
    [
        ("StartFaceDetection", 0, ["99.9"]),
        ("StartFaceDetection", 1, ["99.9 Female 30-40 HAPPY glasses eyes closed"]),
        ("StartFaceSearch", 0, ["#0 alice 97.2"]),
        ("StartFaceSearch", 1, ["#1 unknown"]),
        ("StartPersonTracking", 0, ["#0", ""]),  # the body, and its face without words
        ("StartPersonTracking", 3, ["#2"]),  # neither: words alone
        ("StartLabelDetection", 0, ["Dog 80.0", "Dog 80.0"]),
        ("StartLabelDetection", 1, ["Animal 80.0"]),
        ("StartContentModeration", 0, ["Nudity 70.0"]),
        ("StartCelebrityRecognition", 0, ["Alice 96.0"]),
    ],
)
def test_a_mark_says_who_and_how_surely(api: str, number: int, texts: list[str]) -> None:
    marks = KINDS[api].marks(ITEMS[api][number])
    assert [mark.text for mark in marks] == texts


def test_boxes_stand_where_they_are_and_words_stay_in_the_picture() -> None:
    picture = np.zeros((200, 400, 3), np.uint8)
    at_the_edge = {"Left": 0.5, "Top": 0.0, "Width": 0.4, "Height": 0.5}
    (mark,) = KINDS["StartCelebrityRecognition"].marks(
        {"Celebrity": {**ALICE, "Name": "Zoë Łukasz 李", "BoundingBox": at_the_edge}}
    )
    draw_marks(picture, 0, [mark])
    assert picture[50, 200].any()  # the left side of the box
    assert picture[8, 210].any()  # the plate, moved down into the picture
    assert not picture[50, 300].any()


def test_words_at_the_right_edge_are_moved_into_the_picture() -> None:
    def plate(left: float) -> tuple[int, int]:
        """Where the words above a box begin and end."""
        picture = np.zeros((200, 400, 3), np.uint8)
        box = {"Left": left, "Top": 0.5, "Width": 0.1, "Height": 0.2}
        draw_marks(picture, 0, [Mark("words that are long", box, known=True)])
        columns = np.flatnonzero(picture[85].any(axis=-1))
        return int(columns[0]), int(columns[-1])

    (start, end), (moved_start, moved_end) = plate(0.3), plate(0.9)
    assert moved_end == 399
    assert moved_end - moved_start in {end - start, end - start - 1}  # the edge of the picture


def test_neither_lines_nor_words_cover_words() -> None:
    def drawn(*marks: Mark) -> Any:
        picture = np.zeros((300, 400, 3), np.uint8)
        draw_marks(picture, 0, marks)
        return picture

    box = {"Left": 0.25, "Top": 0.5, "Width": 0.2, "Height": 0.3}
    across = {"Left": 0.3, "Top": 0.3, "Width": 0.5, "Height": 0.3}  # its left side goes through
    one, line = Mark("one", box), Mark("", across, known=True)
    alone, crossed = drawn(one), drawn(one, line)
    rows, columns = slice(132, 149), slice(101, 130)  # the plate above the box
    assert (alone[rows, columns] == crossed[rows, columns]).all()
    twice = drawn(one, Mark("two", box, known=True))
    assert (alone[rows, columns] == twice[rows, columns]).all()
    assert (twice[241:258, 105] == GREEN).all(axis=-1).any()  # below the box, where there is room


def test_words_without_a_box_stand_below_each_other() -> None:
    picture = np.zeros((400, 400, 3), np.uint8)
    (words,) = KINDS["StartContentModeration"].marks(ITEMS["StartContentModeration"][0])
    draw_marks(picture, 0, [words] * 3)
    edge = [bool(pixel.any()) for pixel in picture[:350, 6]]  # above the time at the bottom
    plates = edge[0] + sum(now and not before for before, now in pairwise(edge))
    assert plates == 3


@pytest.mark.parametrize(
    ("most", "chosen"), [(1, [0]), (2, [0, 9]), (4, [0, 3, 6, 9]), (10, [*range(10)])]
)
def test_moments_are_spread_evenly(most: int, chosen: list[int]) -> None:
    assert spread(range(10), most) == chosen


def test_what_a_summary_keeps_does_not_grow_with_the_video() -> None:
    summary = Summary(KINDS["StartFaceDetection"])
    for timestamp_ms in range(0, 3_600_000, 200):
        summary.add({"Timestamp": timestamp_ms, "Face": FACE})
    (finding,) = summary.findings
    assert finding.times == summary.items == 18_000
    assert finding.spans == [(0, 3_599_800)]
    assert finding.when == "0:00.0 - 59:59.8"


def test_many_appearances_are_counted_and_not_all_told() -> None:
    summary = Summary(KINDS["StartFaceDetection"])
    for minute in range(9):
        summary.add({"Timestamp": minute * 60_000, "Face": FACE})
    assert summary.findings[0].when == "0:00.0, 1:00.0, 2:00.0, 3:00.0, and 5 more"


def test_hours_are_shown_where_there_are_any() -> None:
    assert clock(3_599_999) == "59:59.9"
    assert clock(3_661_250) == "1:01:01.2"


@pytest.fixture(scope="module")
def live(
    start_shared_daemon: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Peer, Path]:
    """A daemon without models that has watched an astronaut and failed at labels; and its
    configuration."""
    folder = tmp_path_factory.mktemp("live")
    portrait = skimage.data.astronaut()[:, :, ::-1]  # type: ignore[no-untyped-call]
    with av.open(folder / "visit.mp4", "w") as output:
        stream = output.add_stream("libx264", rate=5)
        stream.width, stream.height = 512, 512
        stream.pix_fmt = "yuv420p"
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(portrait), format="bgr24")
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    config = folder / "streamproc.toml"
    config.write_text(
        f'[buckets]\nfilms = "{folder}"\n[analysis]\nmodels_dir = "{folder / "models"}"\n'
    )
    daemon = start_shared_daemon("--config", str(config))
    rekognition = daemon.client("rekognition")
    video = {"S3Object": {"Bucket": "films", "Name": "visit.mp4"}}
    rekognition.start_face_detection(Video=video, FaceAttributes="ALL")
    rekognition.start_label_detection(Video=video)
    peer = Peer()
    peer.url = daemon.url
    assert run(peer, "--watch").exit_code == 0  # until both have ended
    return peer, config


def test_a_live_daemon_s_jobs_are_listed(live: tuple[Peer, Path]) -> None:
    lines = run(live[0]).output.splitlines()
    found = {line.split()[1]: line for line in lines[1:] if len(line.split()) > 3}
    assert "SUCCEEDED" in found["FaceDetection"]
    assert "FAILED" in found["LabelDetection"]
    assert "models install yolox_nano_coco" in " ".join(" ".join(lines).split())


def test_a_live_daemon_s_findings_are_told_and_drawn(
    live: tuple[Peer, Path], tmp_path: Path
) -> None:
    peer, config = live
    lines = run(peer).output.splitlines()
    (job_id,) = [line.split()[0] for line in lines if "FaceDetection" in line]
    result = run(peer, "show", job_id, "--out", tmp_path / "out", "--config", config)
    assert result.exit_code == 0, result.exception
    assert "0:01.0 of h264, 512×512 at 5 frames per second" in result.output
    (line,) = [line for line in result.output.splitlines() if line.startswith("faces ")]
    assert line.split()[1:5] == ["5", "0:00.0", "-", "0:00.8"]
    assert pictures(tmp_path / "out") == [f"{number * 200:010d}ms.jpg" for number in range(5)]
