"""streamproc streams, against a live daemon."""

import json
from pathlib import Path
from typing import Any

from tests.decode.clips import film


def test_both_kinds_are_made_listed_and_deleted(shell: Any, said: Any) -> None:
    assert said(shell("streams", "create", "video", "yard", "--retention-h", 48)) == [
        "created the video stream yard, which keeps 48 hours"
    ]
    said(shell("streams", "create", "data", "yard", "--retention-h", 72))
    rows = [row.split() for row in said(shell("streams"))]
    assert rows[0] == ["kind", "name", "status", "keeps", "size", "age"]
    assert ["video", "yard", "ACTIVE", "2", "d"] in [row[:5] for row in rows]
    assert ["data", "yard", "ACTIVE", "3", "d"] in [row[:5] for row in rows]
    for kind in ("video", "data"):
        assert said(shell("streams", "delete", kind, "yard", "--yes")) == [
            f"deleted the {kind} stream yard"
        ]
    assert "yard" not in shell("streams", "list").stdout


def test_what_a_stream_keeps_is_counted(shell: Any, said: Any, tmp_path: Path, daemon: Any) -> None:
    clip = tmp_path / "clip.mkv"
    clip.write_bytes(film(frames=75).file)  # 3 s
    said(shell("streams", "create", "video", "counted"))
    said(shell("put-media", clip, "--stream", "counted", "--fast"))
    kept = json.loads(shell("streams", "show", "video", "counted", "--json").stdout)
    assert kept["StreamName"] == "counted"
    assert kept["Fragments"] >= 1
    assert abs(kept["LengthInSeconds"] - 3) < 0.2
    fragments = daemon.client("kinesis-video-archived-media").list_fragments(StreamName="counted")
    sizes = [fragment["FragmentSizeInBytes"] for fragment in fragments["Fragments"]]
    assert kept["SizeInBytes"] == sum(sizes)
    shown = said(shell("streams", "show", "video", "counted"))
    assert any(line.startswith("has           3 s in ") for line in shown)
    (row,) = [row for row in said(shell("streams", "--sizes")) if " counted " in row]
    assert "kB" in row


def test_json_is_what_the_services_answer(shell: Any, said: Any, daemon: Any) -> None:
    said(shell("streams", "create", "video", "shape"))
    said(shell("streams", "create", "data", "shape", "--shards", 2))
    found = json.loads(shell("streams", "--json").stdout)
    (video,) = [each for each in found["VideoStreams"] if each["StreamName"] == "shape"]
    (data,) = [each for each in found["DataStreams"] if each["StreamName"] == "shape"]
    told = daemon.client("kinesisvideo").describe_stream(StreamName="shape")["StreamInfo"]
    assert video.keys() == told.keys()
    assert data["OpenShardCount"] == 2
    assert data["StreamCreationTimestamp"].endswith("Z")


def test_nothing_is_deleted_where_nobody_could_be_asked(
    shell: Any, said: Any, refusal: Any
) -> None:
    said(shell("streams", "create", "video", "precious"))
    assert refusal(shell("streams", "delete", "video", "precious")) == (
        "Delete the video stream precious and its recordings? Nobody is there to answer; give --yes"
    )
    assert " precious " in shell("streams").stdout


def test_an_unknown_stream_is_answered_with_the_nearest_of_its_kind(
    shell: Any, said: Any, refusal: Any
) -> None:
    said(shell("streams", "create", "video", "garage"))
    said(shell("streams", "create", "data", "garden"))
    words = refusal(shell("streams", "show", "video", "garag"))
    assert words == "there is no video stream garag; did you mean garage?"
    words = refusal(shell("streams", "delete", "data", "gardn", "-y"))
    assert words == "there is no data stream gardn; did you mean garden?"


def test_a_data_stream_keeps_a_day_at_least(shell: Any, refusal: Any) -> None:
    words = refusal(shell("streams", "create", "data", "brief", "--retention-h", 2))
    assert words == "--retention-h 2: a data stream keeps 24 hours at least"
