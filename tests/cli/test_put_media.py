"""put-media as a newcomer runs it, against the embedded services on a real socket."""

import asyncio
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import boto3
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from streamproc.aws import AwsClients
from streamproc.cli.put_media import put_media
from streamproc.clock import SystemClock
from streamproc.decode.decoder import Picture, VideoDecoder
from streamproc.errors import MediaError, StreamprocError, UnsupportedCodec
from streamproc.kvs.consumer import open_source
from streamproc.model.media import FragmentStarted
from streamproc.model.position import StartAt
from streamproc.model.processor import ProcessorSpec
from streamproc.settings import AwsConfig, EndpointsConfig
from tests.cli.embedded import embedded_services
from tests.conftest import wait_until
from tests.decode.clips import Clip, checksum, film
from tests.kvs.test_remux import film_in
from tests.peers.http_video import http_video
from tests.peers.rtsp_server import RtspServer, skip_without_rtsp_server

app = typer.Typer()
app.command()(put_media)


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on a machine that has never heard of AWS."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded_services(tmp_path_factory.mktemp("services")) as address:
        yield address


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return save(film(b_frames=2, frames=100), tmp_path / "visit.mkv")


def save(clip: Clip, path: Path) -> Path:
    path.write_bytes(clip.file)
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def failure(result: Result) -> str:
    """What main() prints as one line before it exits with 1."""
    assert isinstance(result.exception, StreamprocError)
    message = str(result.exception)
    assert "\n" not in message
    return message


def service(url: str, name: str) -> Any:
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    return boto3.client(name, endpoint_url=url, region_name="us-east-1", **keys)


def read_back(url: str, stream: str, frames: int) -> list[Picture]:
    """What a processor sees of the stream."""

    async def read() -> list[Picture]:
        arn = service(url, "kinesisvideo").describe_stream(StreamName=stream)["StreamInfo"]
        spec = ProcessorSpec("us-east-1", "watch", arn["StreamARN"], "", "", 0, "")
        clients = AwsClients(EndpointsConfig(), AwsConfig(read_timeout_s=60), url)
        decoder = VideoDecoder()
        pictures: list[Picture] = []
        async with (
            asyncio.timeout(60),
            open_source(clients, spec, pytest.fail, SystemClock()) as source,
            aclosing(source.events(StartAt.EARLIEST)) as events,
        ):
            packets = 0
            async for event in events:
                if not isinstance(event, FragmentStarted):
                    packets += hasattr(event, "payload")
                pictures += decoder.feed(event)
                if packets == frames:
                    break
        return [*pictures, *decoder.flush()]

    return asyncio.run(read())


def test_a_file_becomes_a_stream_frame_for_frame(url: str, file: Path) -> None:
    result = run(file, "--stream", "door", "--endpoint-url", url, "--fast")
    assert result.exit_code == 0, result.output
    # Keyframes are 0.4 s apart and fragments last a second or more: 1.2 + 1.2 + 1.2 + 0.4 s.
    assert "sent 4.0 s of visit.mkv to stream door: 4 fragments received" in result.stdout
    clip = film(b_frames=2, frames=100)
    pictures = read_back(url, "door", len(clip.packets))
    assert [checksum(picture.image()) for picture in pictures] == [sum_ for _, sum_ in clip.shown]
    begin = pictures[0].timestamp
    assert [round((p.timestamp - begin) * 1000) for p in pictures] == [at for at, _ in clip.shown]
    assert abs(begin - time.time()) < 60


def test_an_existing_stream_keeps_what_it_is_sent(url: str, file: Path) -> None:
    video = service(url, "kinesisvideo")
    video.create_stream(StreamName="kept", DataRetentionInHours=1)
    for _ in range(2):
        result = run(file, "--stream", "kept", "--endpoint-url", url, "--fast")
        assert "4 fragments received, 4 persisted" in result.stdout
    archive = service(url, "kinesis-video-archived-media")
    assert len(archive.list_fragments(StreamName="kept")["Fragments"]) == 8


def test_a_file_plays_at_its_own_pace(url: str, tmp_path: Path) -> None:
    short = save(film(frames=25), tmp_path / "short.mkv")
    began = time.monotonic()
    assert run(short, "--stream", "paced", "--endpoint-url", url).exit_code == 0
    assert 0.96 <= time.monotonic() - began < 30


def test_credentials_and_region_of_the_environment_are_used(
    url: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
        "AWS_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": url,
    }.items():
        monkeypatch.setenv(name, value)
    result = run(file, "--stream", "abroad", "--fast")
    assert result.exit_code == 0, result.output
    control = boto3.client("kinesisvideo", endpoint_url=url, region_name="eu-central-1")
    arn = control.describe_stream(StreamName="abroad")["StreamInfo"]["StreamARN"]
    assert arn.startswith("arn:aws:kinesisvideo:eu-central-1:")


def test_a_stream_is_not_created_against_ones_will(url: str, file: Path) -> None:
    result = run(file, "--stream", "absent", "--endpoint-url", url, "--no-create")
    assert failure(result).startswith("there is no video stream absent")
    assert (
        service(url, "kinesisvideo").list_streams(
            StreamNameCondition={"ComparisonOperator": "BEGINS_WITH", "ComparisonValue": "absent"}
        )["StreamInfoList"]
        == []
    )


def test_a_stream_that_is_made_is_told_and_keeps_nothing(url: str, file: Path) -> None:
    result = run(file, "--stream", "fresh", "--endpoint-url", url, "--fast")
    assert "made the video stream fresh, which keeps nothing" in result.stderr
    assert "4 fragments received\n" in result.stdout


def test_the_source_may_come_in_a_file_or_from_standard_input(url: str, file: Path) -> None:
    holds = file.with_suffix(".url")
    holds.write_text(f"\ufeff{file}\r\n", "utf-8")
    words = ("--stream", "given", "--endpoint-url", url, "--fast")
    assert "to stream given" in run("--url-file", holds, *words).stdout
    result = CliRunner().invoke(app, ["--url-file", "-", *words], input=f"{file}\n")
    assert "to stream given" in result.stdout
    assert "give either the source" in failure(run(*words))
    assert "give either the source" in failure(run(file, "--url-file", holds, *words))
    assert "cannot be read: No such file" in failure(run("--url-file", "/no/such", *words))


def test_a_name_that_is_none_is_refused_in_words(url: str, file: Path) -> None:
    assert "front door" in failure(run(file, "--stream", "front door", "--endpoint-url", url))


def test_a_daemon_that_does_not_run_is_said_to(file: Path) -> None:
    message = failure(run(file, "--stream", "door", "--endpoint-url", "http://127.0.0.1:9"))
    assert message.startswith("nothing answers at http://127.0.0.1:9; start it with: streamproc")


def test_a_file_that_will_not_do_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    result = run(tmp_path / "absent.mp4", "--stream", "door", "--endpoint-url", "http://x:1")
    assert isinstance(result.exception, MediaError)
    assert failure(result).endswith("absent.mp4 does not exist")
    picture = tmp_path / "picture.png"
    picture.write_bytes(_png())
    result = run(picture, "--stream", "door", "--endpoint-url", "http://x:1")
    assert isinstance(result.exception, UnsupportedCodec)


def _png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "PNG")
    return buffer.getvalue()


def test_another_codec_is_transcoded_if_asked(url: str, tmp_path: Path) -> None:
    old = tmp_path / "old.mkv"
    old.write_bytes(film_in("mpeg4", frames=30).file)
    refused = run(old, "--stream", "old", "--endpoint-url", url, "--fast")
    assert "--transcode makes H.264 of it on the way" in failure(refused)
    result = run(old, "--stream", "old", "--endpoint-url", url, "--fast", "--transcode")
    assert result.exit_code == 0, result.output
    assert "mpeg4 is transcoded to H.264" in result.stderr
    assert len(read_back(url, "old", 30)) == 30


def test_a_folder_is_its_videos(url: str, tmp_path: Path) -> None:
    folder = tmp_path / "visits"
    folder.mkdir()
    for name in ("b.mkv", "a.mkv"):
        save(film(frames=30), folder / name)
    (folder / "broken.mp4").write_bytes(b"")
    result = run(folder, "--stream", "folder", "--endpoint-url", url, "--fast")
    assert result.exit_code == 0, result.output
    assert "sent 2.4 s of visits to stream folder: 2 fragments received" in result.stdout
    assert "left out: broken.mp4 (" in result.stderr


class TestACamera:
    """put-media with a live source runs until it is told to end."""

    def test_becomes_a_stream_until_ctrl_c(self, url: str, tmp_path: Path) -> None:
        skip_without_rtsp_server()
        clip = save(film(container="mp4", frames=50), tmp_path / "visit.mp4")
        video = service(url, "kinesisvideo")
        video.create_stream(StreamName="live", DataRetentionInHours=1)
        archive = service(url, "kinesis-video-archived-media")
        with RtspServer(clip, user="viewer", password="s3cr3t") as camera:
            process = started(camera.url, "--stream", "live", "--endpoint-url", url)
            try:
                wait_until(lambda: len(archive.list_fragments(StreamName="live")["Fragments"]), 60)
                camera.restart()
                before = len(archive.list_fragments(StreamName="live")["Fragments"])
                wait_until(
                    lambda: (
                        len(archive.list_fragments(StreamName="live")["Fragments"]) > before + 1
                    ),
                    60,
                )
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=60)
            finally:
                process.kill()
                process.wait()
        assert process.returncode == 130
        shown = f"rtsp://viewer:***@127.0.0.1:{camera.port}/cam"
        assert f"{shown} to stream live: live, h264 160x120 at 25 fps" in err
        assert "trying again" in err
        assert out.startswith(f"sent {shown} to stream live: ")
        assert "s3cr3t" not in out + err

    def test_that_needs_it_is_transcoded_and_says_so(self, url: str, tmp_path: Path) -> None:
        clip = film(container="mp4", frames=50).file
        service(url, "kinesisvideo").create_stream(StreamName="web", DataRetentionInHours=1)
        with http_video(tmp_path / "hls", clip) as web:
            process = started(web.at("/mjpeg"), "--stream", "web", "--endpoint-url", url)
            try:
                assert len(read_back(url, "web", 20)) >= 19
                process.send_signal(signal.SIGTERM)
                _, err = process.communicate(timeout=60)
            finally:
                process.kill()
                process.wait()
        assert "mjpeg is transcoded to H.264" in err

    def test_that_refuses_ends_the_command_in_words(self, url: str, tmp_path: Path) -> None:
        with http_video(tmp_path / "hls", film(container="mp4").file) as web:
            result = run(
                web.at("/secret", "viewer:s3cr3t"), "--stream", "none", "--endpoint-url", url
            )
        message = failure(result)
        assert "refuses the login (401); check user name and password" in message
        assert "s3cr3t" not in message + result.output

    def test_takes_no_options_of_files(self, url: str) -> None:
        for option in ("--fast", "--loop"):
            result = run("rtsp://host/cam", "--stream", "x", "--endpoint-url", url, option)
            assert f"{option} is for files" in failure(result)

    def test_wants_its_stream_at_once(self) -> None:
        result = run("rtsp://host/cam", "--stream", "x", "--endpoint-url", "http://127.0.0.1:9")
        assert failure(result).startswith("nothing answers at http://127.0.0.1:9")


def started(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "streamproc", "put-media", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_services_restarted_get_the_whole_file(tmp_path: Path) -> None:
    """What a broken session held is sent again to those that follow."""
    clip = save(film(frames=125), tmp_path / "visit.mkv")  # 5 s
    folder = tmp_path / "data"
    folder.mkdir()
    with embedded_services(folder) as url:
        service(url, "kinesisvideo").create_stream(StreamName="kept", DataRetentionInHours=1)
        process = started(str(clip), "--stream", "kept", "--endpoint-url", url)
        archive = service(url, "kinesis-video-archived-media")
        wait_until(lambda: archive.list_fragments(StreamName="kept")["Fragments"], 60)
    try:
        with embedded_services(folder, int(url.rpartition(":")[2])):
            out, err = process.communicate(timeout=60)
            archive = service(url, "kinesis-video-archived-media")
            fragments = archive.list_fragments(StreamName="kept")["Fragments"]
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, err
    assert "trying again" in err
    assert "sent 5.0 s of visit.mkv" in out
    lengths = {f["ProducerTimestamp"]: f["FragmentLengthInMilliseconds"] for f in fragments}
    assert sum(lengths.values()) == pytest.approx(5_000, abs=200)


def test_a_file_that_is_cut_is_sent_as_far_as_it_goes(url: str, file: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(file.read_bytes()[: file.stat().st_size * 6 // 10])
    result = run(cut, "--stream", "cut", "--endpoint-url", url, "--fast")
    assert "cut.mkv ends after 2." in failure(result)
    assert "2 fragments received" in result.stdout


@pytest.mark.parametrize("endpoint", ["aws", "https://kinesisvideo.example.com"])
def test_another_machine_wants_credentials(file: Path, endpoint: str) -> None:
    message = failure(run(file, "--stream", "door", "--endpoint-url", endpoint))
    assert message.startswith("there are no AWS credentials; set AWS_ACCESS_KEY_ID")


def test_an_endpoint_that_is_no_url_is_refused(file: Path) -> None:
    message = failure(run(file, "--stream", "door", "--endpoint-url", "localhost:4600"))
    assert message == "--endpoint-url localhost:4600 is no http(s) URL, nor aws"


def test_ctrl_c_ends_the_media_cleanly(url: str, tmp_path: Path) -> None:
    short = save(film(frames=30), tmp_path / "short.mkv")
    service(url, "kinesisvideo").create_stream(StreamName="endless", DataRetentionInHours=1)
    archive = service(url, "kinesis-video-archived-media")
    command = [sys.executable, "-m", "streamproc", "put-media", str(short), "--stream", "endless"]
    process = subprocess.Popen(
        [*command, "--loop", "--endpoint-url", url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 30
        while not archive.list_fragments(StreamName="endless")["Fragments"]:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert err == ""
    fragments = len(archive.list_fragments(StreamName="endless")["Fragments"])
    assert f"{fragments} fragments received, {fragments} persisted" in out
