"""kill -9 in the middle of every kind of job: it runs again, and ends as if nothing had been."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import wait_until
from tests.end_to_end.stored_video.conftest import (
    KINDS,
    LISTS,
    Peers,
    Studio,
    on_grey,
    read_photo,
    render,
)

pytestmark = pytest.mark.testdata

ROLE = "arn:aws:iam::123456789012:role/any"
EXTRA: dict[str, dict[str, Any]] = {
    "FaceDetection": {"FaceAttributes": "ALL"},
    "FaceSearch": {"CollectionId": "people"},
    "LabelDetection": {"MinConfidence": 30.0},
    "ContentModeration": {"MinConfidence": 0.0},
}


def moving(file: Path, testdata: Path, seconds: int = 10) -> Path:
    """Obama's portrait and a bus, drifting, so that no two frames are alike."""
    photos = testdata / "photos"
    pictures = [
        on_grey(read_photo(photos / name), 640, 480)
        for name in ("face_recognition/obama.jpg", "objects/fastestdet_1.jpg")
    ]
    shown = []
    for number in range(seconds * 10):
        base = pictures[number // 10 % 2].copy()
        base[:, : number % 10 * 2] = 60
        shown.append(base)
    return render(file, shown)


def start_all(studio: Studio, topic: str, name: str) -> dict[str, str]:
    return {
        kind: studio.start(
            kind, name, NotificationChannel={"SNSTopicArn": topic, "RoleArn": ROLE},
            **EXTRA.get(kind, {}),
        )
        for kind in KINDS
    }  # fmt: skip


def caught_in_the_middle(
    studio: Studio, jobs: dict[str, str], list_jobs: Callable[[Studio], dict[str, dict[str, Any]]]
) -> bool:
    """Wait until every one of them looks at frames; False if one has ended by then."""

    def seen() -> str:
        listed = list_jobs(studio)
        mine = [listed[job_id] for job_id in jobs.values()]
        if any(job["JobStatus"] != "IN_PROGRESS" for job in mine):
            return "ended"
        # The first twentieth is for opening.
        return "caught" if all(job["Progress"] > 0.06 for job in mine) else ""

    return bool(wait_until(seen, 120.0) == "caught")


def test_killed_in_the_middle_every_kind_ends_as_it_would_have(
    open_real_studio: Callable[..., Studio], testdata: Path, tmp_path: Path, peers: Peers,
    run_cli: Any, list_jobs: Callable[[Studio], dict[str, dict[str, Any]]],
) -> None:  # fmt: skip
    studio = open_real_studio(
        "--set", f"endpoints.sns={peers.url}", "--set", "jobs.running_max=6",
        # All look at as many frames, so that their turns keep them side by side.
        "--set", "jobs.label_fps=5", "--set", "jobs.moderation_fps=5",
    )  # fmt: skip
    moving(studio.folder / "moving.mp4", testdata)
    photos = testdata / "photos" / "face_recognition"
    studio.rekognition.create_collection(CollectionId="people")
    studio.enrol(read_photo(photos / "obama2.jpg"), "obama")
    folder = tmp_path / "stars"
    folder.mkdir()
    (folder / "obama.jpg").write_bytes((photos / "obama2.jpg").read_bytes())
    (folder / "manifest.toml").write_text(
        'celebrities = true\n[[people]]\nname = "Barack Obama"\nphotos = ["obama.jpg"]\n'
    )
    applied = run_cli("collections", "apply", str(folder), "--endpoint-url", studio.daemon.url)
    assert applied.returncode == 0, applied.stdout + applied.stderr
    topic, queue = peers.topic()

    undisturbed = start_all(studio, topic, "moving.mp4")
    expected = {}
    for kind, job_id in undisturbed.items():
        assert studio.wait(kind, job_id)["JobStatus"] == "SUCCEEDED"
        expected[kind] = studio.items(kind, job_id)
        assert expected[kind], kind
    assert len(peers.hear(queue, len(KINDS))) == len(KINDS)

    for _ in range(5):
        killed = start_all(studio, topic, "moving.mp4")
        if caught_in_the_middle(studio, killed, list_jobs):
            break
        # One ended before another began, on a busy machine: let them end, and start again.
        peers.hear(queue, len(KINDS))
    else:
        pytest.fail("six jobs were never in the middle at once")
    studio.daemon.kill()
    studio.daemon.start()
    studio.connect()

    # Until it has run to its end again, nothing of it is shown.
    for kind, job_id in killed.items():
        answer = studio.get(kind, job_id)
        assert answer["JobStatus"] == "SUCCEEDED" or not answer[LISTS[kind]]
    for kind, job_id in killed.items():
        answer = studio.wait(kind, job_id)
        assert answer["JobStatus"] == "SUCCEEDED", (kind, answer.get("StatusMessage"))
        assert studio.items(kind, job_id) == expected[kind], kind
    notices = peers.hear(queue, len(KINDS))
    assert sorted(notice["JobId"] for notice in notices) == sorted(killed.values())
