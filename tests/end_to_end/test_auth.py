"""A daemon that verifies signatures: with a key everything works, without one nothing does."""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

Key = dict[str, str]
REGION = "us-east-1"
ROLE = "arn:aws:iam::000000000000:role/any"
KEYLESS = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("AWS_", "STREAMPROC_"))
} | {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
Command = Callable[..., "subprocess.CompletedProcess[str]"]


def streamproc(*arguments: str, key: Key | None = None) -> "subprocess.CompletedProcess[str]":
    """The command line, with these credentials in its environment or with none."""
    return subprocess.run(
        [sys.executable, "-m", "streamproc", *arguments],
        capture_output=True, text=True, timeout=120, check=False,
        env={**KEYLESS, **(key or {}), "NO_COLOR": "1", "COLUMNS": "200"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def daemon(start_shared_daemon: Any) -> Any:
    return start_shared_daemon(
        "--set", "auth.required=true", "--set", "processors.start_at=earliest",
        "--set", "processors.analysis_fps_min=5", "--set", "processors.lag_max_s=600",
        engine="dlib",
    )  # fmt: skip


@pytest.fixture(scope="module")
def make_key(daemon: Any) -> Callable[..., Key]:
    """streamproc keys create, beside the running daemon."""

    def make(name: str, *options: str) -> Key:
        done = streamproc("keys", "create", name, *options, "--data-dir", str(daemon.data_dir))
        assert done.returncode == 0, done.stderr
        return dict(re.findall(r"^export (\w+)=(\S+)$", done.stdout, re.MULTILINE))

    return make


@pytest.fixture(scope="module")
def admin(make_key: Callable[..., Key]) -> Key:
    return make_key("admin", "--policy", "admin")


def client(daemon: Any, service: str, key: Key) -> Any:
    """boto3 as it comes, retries and all."""
    return boto3.client(
        service, endpoint_url=daemon.url, region_name=REGION,
        aws_access_key_id=key["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=key["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=key.get("AWS_SESSION_TOKEN"),
    )  # fmt: skip


def refusal(call: Callable[..., Any], **members: Any) -> str:
    """The code that a call is refused with, at the first attempt."""
    with pytest.raises(ClientError) as refused:
        call(**members)
    metadata = refused.value.response["ResponseMetadata"]
    assert metadata["RetryAttempts"] == 0, "boto3 took the refusal for a passing trouble"
    assert metadata["HTTPStatusCode"] in (400, 403)
    return str(refused.value.response["Error"]["Code"])


def test_a_processor_runs_end_to_end(
    daemon: Any, admin: Key, clip: Path, eileen_png: bytes, wait_until: Any, read_all: Any
) -> None:
    """boto3 for three services, put-media for the fourth, and the daemon's own key between."""
    rekognition, kinesis, video = (
        client(daemon, service, admin) for service in ("rekognition", "kinesis", "kinesisvideo")
    )
    rekognition.create_collection(CollectionId="people")
    rekognition.index_faces(
        CollectionId="people", ExternalImageId="eileen", Image={"Bytes": eileen_png}
    )
    video_arn = video.create_stream(StreamName="cam", DataRetentionInHours=24)["StreamARN"]
    kinesis.create_stream(StreamName="cam", ShardCount=1)
    data_arn = kinesis.describe_stream_summary(StreamName="cam")["StreamDescriptionSummary"]
    rekognition.create_stream_processor(
        Name="cam",
        Input={"KinesisVideoStream": {"Arn": video_arn}},
        Output={"KinesisDataStream": {"Arn": data_arn["StreamARN"]}},
        Settings={"FaceSearch": {"CollectionId": "people", "FaceMatchThreshold": 80.0}},
        RoleArn=ROLE,
    )
    rekognition.start_stream_processor(Name="cam")
    sent = streamproc(
        "put-media", str(clip), "--stream", "cam", "--fast", "--endpoint-url", daemon.url, key=admin
    )
    assert sent.returncode == 0, sent.stderr
    found = wait_until(
        lambda: [record for record in read_all(kinesis, "cam") if _names(record)],
        60.0,
        lambda: rekognition.describe_stream_processor(Name="cam"),
    )
    assert _names(found[0]) == {"eileen"}
    rekognition.stop_stream_processor(Name="cam")


def _names(record: dict[str, Any]) -> set[str]:
    return {
        match["Face"]["ExternalImageId"]
        for face in record["FaceSearchResponse"]
        for match in face["MatchedFaces"]
    }


def test_a_camera_s_key_writes_to_its_stream_and_does_nothing_else(
    daemon: Any, admin: Key, make_key: Callable[..., Key], clip: Path
) -> None:
    for stream in ("porch", "garden"):
        client(daemon, "kinesisvideo", admin).create_stream(
            StreamName=stream, DataRetentionInHours=1
        )
    camera = make_key("porch-camera", "--policy", "camera", "--stream", "porch")

    def put(stream: str) -> "subprocess.CompletedProcess[str]":
        return streamproc(
            "put-media", str(clip), "--stream", stream, "--fast", "--no-create",
            "--endpoint-url", daemon.url, key=camera,
        )  # fmt: skip

    sent = put("porch")
    assert sent.returncode == 0, sent.stderr
    refused = put("garden")
    assert refused.returncode == 1
    assert "AccessDeniedException" in refused.stderr
    assert "user/porch-camera is not authorized to perform: kinesisvideo:" in refused.stderr
    rekognition = client(daemon, "rekognition", camera)
    assert refusal(rekognition.list_collections) == "AccessDeniedException"


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("rekognition", "list_collections"),
        ("kinesis", "list_streams"),
        ("kinesisvideo", "list_streams"),
    ],
)
def test_each_service_refuses_whoever_has_no_good_key(
    daemon: Any, admin: Key, make_key: Callable[..., Key], service: str, operation: str
) -> None:
    def call(key: Key) -> Callable[..., Any]:
        return getattr(client(daemon, service, key), operation)  # type: ignore[no-any-return]

    assert call(admin)()["ResponseMetadata"]["HTTPStatusCode"] == 200
    temporary = make_key("guest", "--policy", "admin", "--expires", "1h")
    assert call(temporary)()["ResponseMetadata"]["HTTPStatusCode"] == 200

    wrong_secret = admin | {"AWS_SECRET_ACCESS_KEY": "x" * 40}
    assert refusal(call(wrong_secret)) == "InvalidSignatureException"
    unknown = admin | {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE"}
    assert refusal(call(unknown)) == "UnrecognizedClientException"
    embedded = {"AWS_ACCESS_KEY_ID": "embedded", "AWS_SECRET_ACCESS_KEY": "embedded"}
    assert refusal(call(embedded)) == "UnrecognizedClientException"
    without_token = {k: v for k, v in temporary.items() if k != "AWS_SESSION_TOKEN"}
    assert refusal(call(without_token)) == "UnrecognizedClientException"
    other_token = temporary | {"AWS_SESSION_TOKEN": "another"}
    assert refusal(call(other_token)) == "UnrecognizedClientException"


def test_an_unsigned_request_is_refused(daemon: Any) -> None:
    target = "RekognitionService.ListCollections"
    headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
    request = urllib.request.Request(daemon.url + "/", b"{}", headers)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=60)
    with refused.value as answer:
        assert answer.status == 403
        assert json.load(answer)["__type"] == "MissingAuthenticationTokenException"


def test_a_revoked_key_opens_nothing_from_the_next_request_on(
    daemon: Any, make_key: Callable[..., Key]
) -> None:
    key = make_key("leaver", "--policy", "admin")
    rekognition = client(daemon, "rekognition", key)
    rekognition.list_collections()
    folder = ("--data-dir", str(daemon.data_dir))
    assert streamproc("keys", "revoke", "leaver", *folder).returncode == 0
    assert refusal(rekognition.list_collections) == "UnrecognizedClientException"


def test_a_policy_that_is_changed_counts_from_the_next_request_on(
    daemon: Any, make_key: Callable[..., Key]
) -> None:
    rekognition = client(daemon, "rekognition", make_key("intern"))
    rekognition.list_collections()
    assert refusal(rekognition.create_collection, CollectionId="c") == "AccessDeniedException"
    folder = ("--data-dir", str(daemon.data_dir))
    assert streamproc("keys", "policy", "intern", "admin", *folder).returncode == 0
    rekognition.create_collection(CollectionId="c")


def test_the_aws_cli_comes_in_with_a_key(daemon: Any, admin: Key) -> None:
    aws = Path(__file__).resolve().parent.parent.parent / ".venv-awscli" / "bin" / "aws"
    if not aws.exists():
        pytest.skip("aws-cli is not installed beside the project; `make test` installs it")

    def run(key: Key) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(aws), "rekognition", "list-collections", "--endpoint-url", daemon.url,
             "--region", REGION, "--output", "json"],
            capture_output=True, text=True, timeout=90, check=False, env={**KEYLESS, **key},
        )  # fmt: skip

    done = run(admin)
    assert done.returncode == 0, done.stderr
    assert "CollectionIds" in json.loads(done.stdout)
    refused = run(admin | {"AWS_SECRET_ACCESS_KEY": "x" * 40})
    assert "InvalidSignatureException" in refused.stderr


@pytest.mark.parametrize("command", [("tail", "cam"), ("jobs", "list")])
def test_a_command_without_a_key_says_how_to_get_one(
    daemon: Any, admin: Key, command: tuple[str, ...]
) -> None:
    refused = streamproc(*command, "--endpoint-url", daemon.url, "--region", REGION)
    assert refused.returncode == 1
    assert "streamproc keys create" in refused.stderr
    assert admin["AWS_SECRET_ACCESS_KEY"] not in refused.stderr


def test_no_secret_is_in_the_log(daemon: Any, admin: Key) -> None:
    assert admin["AWS_SECRET_ACCESS_KEY"] not in daemon.log
