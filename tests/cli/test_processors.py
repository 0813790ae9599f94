"""streamproc processors, against a live daemon, and its tables."""

import asyncio
import json
from typing import Any

from rich.console import Console

from streamproc.cli import own_operations
from streamproc.cli.access import find_access
from streamproc.cli.processor_tables import processor_table

ON_LIST = {
    "Name", "Status", "VideoStreamName", "DataStreamName", "CollectionId", "FaceMatchThreshold",
    "FramesAnalysed", "PacketsPassedOver", "Faces", "Matches", "Records", "RecordsDelivered",
    "Gaps", "GapSeconds", "CreationTimestamp", "LastUpdateTimestamp",
}  # fmt: skip


def test_a_processor_from_creation_to_deletion(shell: Any, said: Any) -> None:
    assert said(shell("processors", "create", "life", "--collection", "life-people")) == [
        "made the collection life-people",
        "made the video stream life, which keeps 24 hours",
        "made the data stream life-faces",
        "created processor life",
    ]
    assert said(shell("processors", "start", "life", "--wait")) == ["processor life is RUNNING"]
    heading, *rows = said(shell("processors"))
    assert heading.split() == ["name", "status", "rate", "lag", "faces", "matches", "message"]
    (row,) = [row for row in rows if row.startswith("life ")]
    assert row.split()[:3] == ["life", "RUNNING", "5.0/s"]
    assert not row.endswith(" ")
    shown = said(shell("processors", "show", "life"))
    assert "collection           life-people, from Similarity 70 on" in shown
    assert "data stream          life-faces" in shown
    assert said(shell("processors", "stop", "life", "--wait")) == ["processor life is STOPPED"]
    assert said(shell("processors", "delete", "life")) == ["deleted processor life"]
    assert "life " not in shell("processors", "list").stdout


def test_json_is_what_the_operations_answer(shell: Any, said: Any, daemon: Any) -> None:
    said(shell("processors", "create", "json", "--collection", "people", "--threshold", "91.5"))
    document = json.loads(shell("processors", "list", "--json").stdout)
    (listed,) = [each for each in document["Processors"] if each["Name"] == "json"]
    assert listed.keys() == ON_LIST
    assert listed["FaceMatchThreshold"] == 91.5
    assert listed["CreationTimestamp"].endswith("Z")
    shown = json.loads(shell("processors", "show", "json", "--json").stdout)
    described = daemon.client("rekognition").describe_stream_processor(Name="json")
    assert shown.keys() == listed.keys() | (described.keys() - {"ResponseMetadata"})
    assert shown["Settings"] == described["Settings"]


def test_the_list_comes_in_pages(shell: Any, said: Any, daemon: Any) -> None:
    for name in ("page-1", "page-2"):
        said(shell("processors", "create", name, "--collection", "people"))

    async def pages() -> tuple[list[Any], list[Any]]:
        access = await find_access(daemon.url, "us-east-1")
        operation = ("ListStreamprocProcessors", "Processors")
        one_by_one = await own_operations.listed(access, *operation, {"MaxResults": 1})
        return one_by_one, await own_operations.listed(access, *operation)

    one_by_one, at_once = asyncio.run(pages())
    assert one_by_one == at_once
    assert {"page-1", "page-2"} <= {each["Name"] for each in at_once}


def test_nothing_is_made_that_was_not_asked_for(shell: Any, said: Any, refusal: Any) -> None:
    said(shell("streams", "create", "video", "entrance"))
    arguments = ("processors", "create", "strict", "--no-create", "--collection", "people")
    said(
        shell("processors", "create", "xylophone", "--collection", "people",
              "--data-stream", "xylophones")
    )  # fmt: skip
    assert refusal(shell(*arguments, "--video-stream", "entrence")) == (
        "there is no video stream entrence; did you mean entrance?"
    )
    assert refusal(
        shell(*arguments, "--video-stream", "xylophone", "--data-stream", "xylofone")
    ) == ("there is no data stream xylofone; did you mean xylophones?")
    missing = ("processors", "create", "strict", "--no-create", "--collection", "peple")
    assert refusal(shell(*missing)).startswith("there is no collection peple; did you mean people")


def test_an_unknown_name_is_answered_with_the_nearest(shell: Any, said: Any, refusal: Any) -> None:
    said(shell("processors", "create", "backdoor", "--collection", "people"))
    for command in ("show", "start", "stop", "delete"):
        assert "did you mean backdoor" in refusal(shell("processors", command, "Backdor"))


def test_a_start_that_fails_is_a_failure_in_its_own_words(
    shell: Any, said: Any, refusal: Any, daemon: Any
) -> None:
    said(shell("processors", "create", "blind", "--collection", "gone"))
    daemon.client("rekognition").delete_collection(CollectionId="gone")
    result = shell("processors", "start", "blind", "--wait")
    assert refusal(result) == "processor blind is FAILED, not RUNNING: Collection not found"
    assert result.exit_code == 1


def test_one_that_runs_is_deleted_when_asked_to_stop_it_first(
    shell: Any, said: Any, refusal: Any
) -> None:
    said(shell("processors", "create", "busy", "--collection", "people", "--start", "--wait"))
    assert "it is RUNNING" in refusal(shell("processors", "delete", "busy"))
    assert said(shell("processors", "delete", "busy", "--stop")) == [
        "processor busy is STOPPED",
        "deleted processor busy",
    ]


def test_at_aws_a_role_has_to_be_named(shell: Any, refusal: Any) -> None:
    words = refusal(
        shell("processors", "create", "x", "--collection", "c", "--endpoint-url", "aws")
    )
    assert words.endswith("name it with --role-arn")


def rendered(**options: Any) -> str:
    processors: list[dict[str, Any]] = [
        {"Name": "door", "Status": "RUNNING", "FramesPerSecond": 5.0, "LagSeconds": 0.25,
         "Faces": 1200, "Matches": 7},
        {"Name": "[red]yard\x1b[2J", "Status": "FAILED", "StatusMessage": "Collection not found"},
    ]  # fmt: skip
    console = Console(width=100, **options)
    with console.capture() as captured:
        console.print(processor_table(processors))
    return captured.get()


def test_status_has_a_colour_where_somebody_looks() -> None:
    shown = rendered(force_terminal=True, color_system="standard")
    assert "\x1b[32mRUNNING" in shown
    assert "\x1b[31mFAILED" in shown
    assert "\x1b[31mCollection not found" in shown
    assert "\x1b[32m" not in rendered(force_terminal=True, no_color=True)
    assert "\x1b" not in rendered()


def test_names_are_shown_as_they_are_and_obeyed_by_nobody() -> None:
    lines = rendered().splitlines()
    assert lines[1].split() == ["door", "RUNNING", "5.0/s", "0.2", "s", "1,200", "7"]
    assert "[red]yard\ufffd[2J" in lines[2]
