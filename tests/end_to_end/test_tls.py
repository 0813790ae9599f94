"""HTTPS from one's own certificate files, with clients that trust one's own authority."""

import http.client
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
import trustme
from botocore.config import Config
from botocore.exceptions import SSLError

START = Callable[..., Any]


class Site:
    """A certificate of one's own authority, in files that a daemon serves from."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.authority = trustme.CA()
        self.certificate, self.key = folder / "site.pem", folder / "site.key"
        self.trusted = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(self.trusted)
        self.renew()

    def renew(self, *names: str) -> None:
        """Another certificate, put in place as a renewal would."""
        issued = self.authority.issue_cert(*(names or ("127.0.0.1",)))
        for pem, file in (
            (issued.cert_chain_pems[0], self.certificate),
            (issued.private_key_pem, self.key),
        ):
            draft = file.with_suffix(".new")
            draft.touch(mode=0o600)
            draft.write_bytes(pem.bytes())
            draft.replace(file)

    @property
    def options(self) -> list[str]:
        return [
            "--set", f"tls.certificate_file={self.certificate}",
            "--set", f"tls.private_key_file={self.key}",
        ]  # fmt: skip

    def connect(self, url: str) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self.trusted))
        made = http.client.HTTPSConnection(urlsplit(url).netloc, context=context, timeout=60)
        made.connect()
        return made


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site")


def client(service: str, url: str, verify: Any) -> Any:
    return boto3.client(
        service, endpoint_url=url, region_name="us-east-1", verify=verify,
        aws_access_key_id="test", aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=60),
    )  # fmt: skip


def serial(connection: http.client.HTTPSConnection) -> str:
    assert isinstance(connection.sock, ssl.SSLSocket)
    shown = connection.sock.getpeercert()
    assert shown
    return str(shown["serialNumber"])


def is_served(connection: http.client.HTTPConnection) -> bool:
    headers = {
        "X-Amz-Target": "RekognitionService.ListCollections",
        "Content-Type": "application/x-amz-json-1.1",
    }
    connection.request("POST", "/", b"{}", headers)
    answer = connection.getresponse()
    return answer.status == 200 and "CollectionIds" in json.loads(answer.read())


def test_clients_speak_https_and_processors_do_not_care(
    site: Site, start_daemon: START, wait_until: Any, clip: Path, eileen_png: bytes, tmp_path: Path
) -> None:
    """From the video of a camera to the record of a match, the command line included."""
    daemon = start_daemon(*site.options, "--set", "processors.start_at=earliest")
    assert daemon.url.startswith("https://127.0.0.1:")
    rekognition, video, kinesis = (
        client(name, daemon.url, str(site.trusted))
        for name in ("rekognition", "kinesisvideo", "kinesis")
    )
    with pytest.raises(SSLError):
        client("rekognition", daemon.url, verify=True).list_collections()
    video_arn = video.create_stream(StreamName="cam", DataRetentionInHours=1)["StreamARN"]
    answer = video.get_data_endpoint(StreamName="cam", APIName="PUT_MEDIA")
    assert answer["DataEndpoint"] == daemon.url
    kinesis.create_stream(StreamName="out", ShardCount=1)
    data_arn = kinesis.describe_stream_summary(StreamName="out")["StreamDescriptionSummary"][
        "StreamARN"
    ]
    rekognition.create_collection(CollectionId="people")
    rekognition.index_faces(CollectionId="people", Image={"Bytes": eileen_png})

    def put_media(**environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "streamproc", "put-media", str(clip), "--stream", "cam",
             "--endpoint-url", daemon.url],
            capture_output=True, text=True, timeout=90, check=False,
            env={**os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
                 "NO_COLOR": "1", **environment},
        )  # fmt: skip

    refused = put_media()
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    done = put_media(AWS_CA_BUNDLE=str(site.trusted))
    assert done.returncode == 0, done.stderr

    rekognition.create_stream_processor(
        Name="cam",
        Input={"KinesisVideoStream": {"Arn": video_arn}},
        Output={"KinesisDataStream": {"Arn": data_arn}},
        Settings={"FaceSearch": {"CollectionId": "people", "FaceMatchThreshold": 90.0}},
        RoleArn="arn:aws:iam::000000000000:role/any",
    )
    rekognition.start_stream_processor(Name="cam")
    shard = kinesis.list_shards(StreamName="out")["Shards"][0]["ShardId"]

    def matched() -> bool:
        iterator = kinesis.get_shard_iterator(
            StreamName="out", ShardId=shard, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        records = kinesis.get_records(ShardIterator=iterator)["Records"]
        return any(b"Similarity" in record["Data"] for record in records)

    wait_until(matched, 60.0, lambda: rekognition.describe_stream_processor(Name="cam"))


def test_a_renewed_certificate_is_served_and_no_connection_lost(
    site: Site, start_daemon: START
) -> None:
    daemon = start_daemon(*site.options)
    before = site.connect(daemon.url)
    assert is_served(before)
    site.renew()
    after = site.connect(daemon.url)
    assert serial(after) != serial(before)
    assert is_served(after)
    assert is_served(before)
    site.certificate.write_text("broken")
    still = site.connect(daemon.url)
    assert serial(still) == serial(after)
    assert daemon.log.count("the certificate in use stays") == 1
    for connection in (before, after, still):
        connection.close()


def test_old_tls_and_plain_http_get_nothing(site: Site, start_daemon: START) -> None:
    daemon = start_daemon(*site.options)
    where = urlsplit(daemon.url)
    plain = http.client.HTTPConnection(where.netloc, timeout=60)
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        is_served(plain)
    plain.close()
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname = False
    old.verify_mode = ssl.CERT_NONE
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match=r"TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    refused = http.client.HTTPSConnection(where.netloc, context=old, timeout=60)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        refused.connect()
    current = site.connect(daemon.url)
    assert is_served(current)
    current.close()
    assert "Traceback" not in daemon.log


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--host", "0.0.0.0"], "auth.required"),
        (["--host", "0.0.0.0", "--set", "auth.required=true"], "streamproc keys create"),
        (["--set", "tls.certificate_file=/nowhere/site.pem"], "/nowhere/site.pem cannot be read"),
    ],
)
def test_a_daemon_that_would_be_open_to_all_does_not_start(
    tmp_path: Path, run_cli: Callable[..., Any], options: list[str], words: str
) -> None:
    told = run_cli("serve", "--port", "0", "--data-dir", str(tmp_path / "data"), *options)
    assert told.returncode == 1
    lines = [line for line in told.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, told.stderr
    assert words in lines[0]
