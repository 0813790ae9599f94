"""streamproc backup and restore: a file, all of it or nothing, and nothing that is not ours."""

import asyncio
import io
import json
import os
import re
import shutil
import sqlite3
import stat
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import cv2
import numpy as np
import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner, Result

from streamproc.audit.verify import read_lines, verify
from streamproc.backup.archive import is_member
from streamproc.cli.demo_video import encode
from streamproc.cli.main import app
from streamproc.config import load_config
from streamproc.daemon import serving
from streamproc.data_folder import locked_folder
from streamproc.engines.fake import FakeEngine
from streamproc.errors import AuditBroken, StreamprocError
from streamproc.model.media import Image
from tests.conftest import aws_client, wait_until
from tests.small_disk import small_disk

LEFT_OUT = {"lock", "endpoint"}
"""Files of a data folder that say something of a process, not of the world."""


def serve(data_dir: Path, work: Callable[[str], None], *, signed: bool = False) -> None:
    """Run a daemon with painted faces while this works with it, on a thread of its own."""
    tables: dict[str, dict[str, Any]] = {
        "storage": {"data_dir": data_dir}, "server": {"port": 0},
        "buckets": {"clips": data_dir.parent}, "auth": {"required": signed},
    }  # fmt: skip

    async def run() -> None:
        async with serving(load_config(None, tables), engine=FakeEngine()) as url:
            await asyncio.to_thread(work, url)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    thread.join()


def painted(person: int) -> Image:
    image = np.full((200, 300, 3), 128, np.uint8)
    FakeEngine.paint(image, person, 60, 60, 80)
    return image


def picture(person: int) -> bytes:
    return bytes(cv2.imencode(".png", painted(person))[1].tobytes())


def fill(url: str) -> None:
    rekognition, kinesis = aws_client("rekognition", url), aws_client("kinesis", url)
    rekognition.create_collection(CollectionId="people", Tags={"floor": "2"})
    for person in range(3):
        rekognition.index_faces(
            CollectionId="people",
            ExternalImageId=f"p{person}",
            QualityFilter="NONE",
            Image={"Bytes": picture(person)},
        )
    kinesis.create_stream(StreamName="faces", ShardCount=1)
    kinesis.put_record(StreamName="faces", Data=b"a record", PartitionKey="p")
    aws_client("kinesisvideo", url).create_stream(StreamName="cam", DataRetentionInHours=1)
    video = {"S3Object": {"Bucket": "clips", "Name": "squares.mp4"}}
    job_id = rekognition.start_face_detection(Video=video)["JobId"]
    wait_until(lambda: faces_of(rekognition, job_id), 120)


def faces_of(rekognition: Any, job_id: str) -> list[Any]:
    found: list[Any] = rekognition.get_face_detection(JobId=job_id)["Faces"]
    return found


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that a daemon has worked in. Copy it before you change it."""
    folder = tmp_path_factory.mktemp("filled") / "data"
    encode(folder.parent / "squares.mp4", (painted(1) for _ in range(24)))
    serve(folder, fill)
    made = CliRunner().invoke(app, ["keys", "create", "ann", "--data-dir", str(folder)])
    (folder.parent / "ann").write_text(made.stdout)
    with closing(sqlite3.connect(folder / "video" / "video.db")) as index:
        header = (1, b"digest", b"header")
        index.execute(
            "INSERT INTO video_headers (stream_id, digest, data) VALUES (?, ?, ?)", header
        )
        for number in range(4):
            row = (1, f"{number}", 0, 0, 1, b"digest", 1 + number // 2, 10 * (number % 2), 10)
            index.execute(
                "INSERT INTO video_fragments (stream_id, number, server_ms, producer_ms, "
                'length_ms, header_digest, segment, "offset", size) '
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
        index.commit()
    streams = folder / "video" / "streams" / "1"
    streams.mkdir(parents=True, exist_ok=True)
    (streams / "00000001.segment").write_bytes(b"0123456789" * 2)
    (streams / "00000002.segment").write_bytes(b"abcdefghij" * 2 + b"still arriving")
    return folder


@pytest.fixture
def data_dir(filled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(filled, tmp_path / "data"))


@pytest.fixture
def archive(data_dir: Path, tmp_path: Path) -> Path:
    file = tmp_path / "backup.tar"
    assert backup(data_dir, file).exit_code == 0
    return file


def backup(data_dir: Path, target: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["backup", str(target), "--data-dir", str(data_dir), *options])


def restore(file: Path, data_dir: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["restore", str(file), "--data-dir", str(data_dir), *options])


def refusal(result: Result) -> str:
    """One line of ours."""
    assert isinstance(result.exception, StreamprocError), result.exception
    text = str(result.exception)
    assert "\n" not in text
    return text


def jobs_of(data_dir: Path) -> list[str]:
    with closing(sqlite3.connect(data_dir / "jobs.db")) as jobs:
        return [job_id for (job_id,) in jobs.execute("SELECT id FROM jobs")]


def names(archive: Path) -> set[str]:
    with tarfile.open(archive) as tar:
        return set(tar.getnames())


def test_a_restored_daemon_has_everything(archive: Path, tmp_path: Path) -> None:
    restored = tmp_path / "restored"
    result = restore(archive, restored)
    assert result.exit_code == 0, result.output

    def look(url: str) -> None:
        rekognition, kinesis = aws_client("rekognition", url), aws_client("kinesis", url)
        found = rekognition.search_faces_by_image(
            CollectionId="people", Image={"Bytes": picture(1)}
        )["FaceMatches"]
        assert [match["Face"]["ExternalImageId"] for match in found] == ["p1"]
        arn = "arn:aws:rekognition:us-east-1:000000000000:collection/people"
        assert rekognition.list_tags_for_resource(ResourceArn=arn)["Tags"] == {"floor": "2"}
        shard = kinesis.list_shards(StreamName="faces")["Shards"][0]["ShardId"]
        iterator = kinesis.get_shard_iterator(
            StreamName="faces", ShardId=shard, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        assert [
            record["Data"] for record in kinesis.get_records(ShardIterator=iterator)["Records"]
        ] == [b"a record"]
        assert aws_client("kinesisvideo", url).describe_stream(StreamName="cam")
        [job] = jobs_of(tmp_path / "restored")
        assert len(faces_of(rekognition, job)) > 1

    failed: list[BaseException] = []

    def looked(url: str) -> None:
        try:
            look(url)
        except BaseException as error:
            failed.append(error)

    serve(restored, looked)
    assert not failed, failed
    verify(restored / "audit")
    events = [line.event for line in read_lines(restored / "audit")]
    assert events[-3:] == ["MakeBackup", "RestoreBackup", "SearchFacesByImage"]


def test_keys_open_the_restored_daemon_and_nothing_else_does(
    filled: Path, archive: Path, tmp_path: Path
) -> None:
    restored = tmp_path / "restored"
    assert restore(archive, restored).exit_code == 0
    told = re.findall(
        r"^export AWS_(\w+)=(\S+)$", (filled.parent / "ann").read_text(), re.MULTILINE
    )
    ann = {f"aws_{name.lower()}": value for name, value in told}
    seen: list[object] = []

    def look(url: str) -> None:
        service = partial(boto3.client, "rekognition", endpoint_url=url, region_name="us-east-1")
        seen.append(service(**ann).list_collections()["CollectionIds"])
        try:
            seen.append(service(**ann | {"aws_secret_access_key": "wrong"}).list_collections())
        except ClientError as error:
            seen.append(error.response["Error"]["Code"])

    serve(restored, look, signed=True)
    assert seen == [["people"], "InvalidSignatureException"]


def test_every_file_of_a_data_folder_is_in_the_backup_or_left_out_on_purpose(
    data_dir: Path, archive: Path
) -> None:
    there = {
        str(path.relative_to(data_dir))
        for path in data_dir.rglob("*")
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }
    assert names(archive) == (there - LEFT_OUT - {"audit/lock"}) | {"manifest.json"}


def test_segments_are_copied_as_far_as_the_index_refers_to_them(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        second = tar.extractfile("video/streams/1/00000002.segment")
        assert second is not None
        assert second.read() == b"abcdefghij" * 2


def test_a_segment_that_was_swept_meanwhile_is_forgotten(data_dir: Path, tmp_path: Path) -> None:
    (data_dir / "video" / "streams" / "1" / "00000001.segment").unlink()
    assert backup(data_dir, tmp_path / "b.tar").exit_code == 0
    assert restore(tmp_path / "b.tar", tmp_path / "restored").exit_code == 0
    with closing(sqlite3.connect(tmp_path / "restored" / "video" / "video.db")) as index:
        assert index.execute("SELECT DISTINCT segment FROM video_fragments").fetchall() == [(2,)]


def test_without_video_streams_stay_and_recordings_go(data_dir: Path, tmp_path: Path) -> None:
    result = backup(data_dir, tmp_path / "b.tar", "--without-video")
    assert "without video" in result.stdout
    assert not [name for name in names(tmp_path / "b.tar") if name.endswith(".segment")]
    assert restore(tmp_path / "b.tar", tmp_path / "restored").exit_code == 0
    with closing(sqlite3.connect(tmp_path / "restored" / "video" / "video.db")) as index:
        assert index.execute("SELECT count(*) FROM video_fragments").fetchone() == (0,)
        assert index.execute("SELECT name FROM video_streams").fetchall() == [("cam",)]


def test_a_backup_is_its_owners_alone_and_so_is_what_is_restored(
    archive: Path, tmp_path: Path
) -> None:
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    restore(archive, tmp_path / "restored")
    for path in [tmp_path / "restored", *(tmp_path / "restored").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_into_a_folder_it_gets_a_name_of_its_own(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    assert backup(data_dir, tmp_path / "backups").exit_code == 0
    [file] = (tmp_path / "backups").iterdir()
    assert file.name.startswith("streamproc-")


def test_what_lies_in_the_write_ahead_log_of_a_killed_daemon_is_in_it(
    data_dir: Path, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "data" / "tags.db", isolation_level=None)) as tags:
        tags.execute("PRAGMA journal_mode=WAL")
        tags.execute("CREATE TABLE late (word)")
        tags.execute("INSERT INTO late VALUES ('kept')")
        killed = shutil.copytree(data_dir, tmp_path / "killed")
    assert (killed / "tags.db-wal").stat().st_size
    assert backup(killed, tmp_path / "b.tar").exit_code == 0
    assert restore(tmp_path / "b.tar", tmp_path / "restored").exit_code == 0
    with closing(sqlite3.connect(tmp_path / "restored" / "tags.db")) as tags:
        assert tags.execute("SELECT word FROM late").fetchall() == [("kept",)]


class TestABackupIsNotMade:
    @pytest.fixture(autouse=True)
    def _nothing_left(self, tmp_path: Path) -> Iterator[None]:
        yield
        assert not list(tmp_path.glob(".streamproc-backup-*"))

    def test_over_a_file_that_exists(self, data_dir: Path, tmp_path: Path) -> None:
        (tmp_path / "b.tar").write_bytes(b"dear to somebody")
        assert "exists" in refusal(backup(data_dir, tmp_path / "b.tar"))
        assert (tmp_path / "b.tar").read_bytes() == b"dear to somebody"

    def test_of_a_folder_without_data(self, tmp_path: Path) -> None:
        assert "--data-dir" in refusal(backup(tmp_path / "nothing", tmp_path / "b.tar"))

    def test_into_the_data_folder_itself(self, data_dir: Path) -> None:
        assert "another disk" in refusal(backup(data_dir, data_dir / "b.tar"))

    def test_into_a_folder_that_does_not_exist(self, data_dir: Path, tmp_path: Path) -> None:
        assert "No such file" in refusal(backup(data_dir, tmp_path / "nowhere" / "b.tar"))

    def test_of_a_damaged_database(self, data_dir: Path, tmp_path: Path) -> None:
        with (data_dir / "collections.db").open("r+b") as database:
            database.seek(4096)
            database.write(b"\xff" * 4096)
        assert "collections.db" in refusal(backup(data_dir, tmp_path / "b.tar"))
        assert not (tmp_path / "b.tar").exists()

    def test_on_a_full_disk(self, data_dir: Path, tmp_path: Path) -> None:
        with small_disk(tmp_path / "disk") as disk:
            disk.fill()
            told = refusal(backup(data_dir, disk.folder / "b.tar"))
            assert str(disk.folder) in told
            assert re.search("disk is full|No space left", told), told
            assert [left.name for left in disk.folder.iterdir()] == ["ballast"]
            with (disk.folder / "ballast").open("r+b") as ballast:  # room for some of it
                ballast.truncate(ballast.seek(0, os.SEEK_END) - 200_000)
            assert str(disk.folder) in refusal(backup(data_dir, disk.folder / "b.tar"))
            assert [left.name for left in disk.folder.iterdir()] == ["ballast"]


class TestNothingIsRestored:
    """And nothing is left behind."""

    @pytest.fixture(autouse=True)
    def _nothing_left(self, tmp_path: Path) -> Iterator[None]:
        yield
        assert not (tmp_path / "restored").exists()
        assert not list(tmp_path.glob(".restored*"))

    def test_from_a_file_that_is_no_backup(self, tmp_path: Path) -> None:
        for content in (b"", b"GIF89a", b"x" * 5000, bytes(5000)):
            (tmp_path / "b.tar").write_bytes(content)
            told = refusal(restore(tmp_path / "b.tar", tmp_path / "restored"))
            assert "no backup of streamproc" in told

    def test_from_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        assert "No such file" in refusal(restore(tmp_path / "b.tar", tmp_path / "restored"))

    def test_from_one_that_was_cut_anywhere(self, archive: Path, tmp_path: Path) -> None:
        whole = archive.read_bytes()
        end = whole.rindex(b"}") + 1  # of the manifest; what is behind it is only filled up
        for size in (*range(1, end, 40_009), end - 1):
            archive.write_bytes(whole[:size])
            refusal(restore(archive, tmp_path / "restored"))

    def test_from_one_that_is_damaged_anywhere(self, archive: Path, tmp_path: Path) -> None:
        whole = archive.read_bytes()
        with tarfile.open(archive) as tar:
            spots = [(member.name, member.offset_data + member.size // 2) for member in tar]
        for name, spot in spots:
            if name == "manifest.json":
                continue
            damaged = bytearray(whole)
            damaged[spot] ^= 1
            archive.write_bytes(damaged)
            told = refusal(restore(archive, tmp_path / "restored"))
            assert f"{name} is not what the manifest says" in told

    def test_from_one_whose_manifest_goes_on_without_end(self, tmp_path: Path) -> None:
        forge(tmp_path / "b.tar", [], b"[" * 200_000)
        told = refusal(restore(tmp_path / "b.tar", tmp_path / "restored"))
        assert "manifest is damaged" in told

    @pytest.mark.parametrize(
        "name",
        ["../evil.db", "/tmp/evil.db", "video/streams/../../../evil.segment", "audit/../evil.db",
         "processors.db/evil", "evil.sh", "lock", "endpoint", "x" * 90 + ".db", "A.db", "évil.db",
         "./processors.db", "processors.db\n", "video/streams/1/00000001.segment.db"],
    )  # fmt: skip
    def test_from_one_with_a_name_that_no_backup_has(self, tmp_path: Path, name: str) -> None:
        forge(tmp_path / "b.tar", [member(name)])
        told = refusal(restore(tmp_path / "b.tar", tmp_path / "restored"))
        assert "which no backup has" in told or "no backup of streamproc" in told

    @pytest.mark.parametrize(
        "kind",
        [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE,
         tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.GNUTYPE_SPARSE],
    )  # fmt: skip
    def test_from_one_with_a_member_that_is_no_file(self, tmp_path: Path, kind: bytes) -> None:
        odd = member("processors.db")
        odd.type, odd.linkname = kind, "/etc/passwd"
        forge(tmp_path / "b.tar", [odd])
        told = refusal(restore(tmp_path / "b.tar", tmp_path / "restored"))
        assert "which no backup has" in told

    def test_from_one_with_a_size_below_nothing(self, tmp_path: Path) -> None:
        odd = member("processors.db")
        odd.size = -5
        forge(tmp_path / "b.tar", [odd])
        refusal(restore(tmp_path / "b.tar", tmp_path / "restored"))

    def test_from_one_with_a_member_twice(self, tmp_path: Path) -> None:
        forge(tmp_path / "b.tar", [member("processors.db"), member("processors.db")])
        assert "twice" in refusal(restore(tmp_path / "b.tar", tmp_path / "restored"))

    def test_from_one_that_its_manifest_does_not_describe(
        self, archive: Path, tmp_path: Path
    ) -> None:
        with tarfile.open(archive) as tar:
            manifest = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
        wrong = {
            "lists": manifest,
            "not what": manifest | {"files": [{"name": "processors.db", "size": 0, "sha256": ""}]},
            "format 9": manifest | {"format": 9},
            "manifest is damaged": {},
        }
        for told, members in wrong.items():
            members_of = [] if told == "lists" else [member("processors.db")]
            forge(tmp_path / "b.tar", members_of, json.dumps(members).encode())
            assert told in refusal(restore(tmp_path / "b.tar", tmp_path / "restored"))


def member(name: str) -> tarfile.TarInfo:
    return tarfile.TarInfo(name)


def forge(file: Path, members: list[tarfile.TarInfo], manifest: bytes = b"{}") -> None:
    described = member("manifest.json")
    described.size = len(manifest)
    blocks = [each.tobuf(tarfile.GNU_FORMAT) for each in members]
    blocks += [described.tobuf(tarfile.GNU_FORMAT), manifest, bytes(-len(manifest) % 512)]
    file.write_bytes(b"".join(blocks) + bytes(1024))


def test_a_folder_in_use_is_not_touched(archive: Path, data_dir: Path, tmp_path: Path) -> None:
    assert "not empty" in refusal(restore(archive, data_dir))
    with locked_folder(data_dir):
        assert "running streamproc" in refusal(restore(archive, data_dir, "--force"))
    assert (data_dir / "collections.db").is_file()


def test_force_moves_the_old_folder_aside(archive: Path, data_dir: Path, tmp_path: Path) -> None:
    (data_dir / "mine.txt").write_text("dear to somebody")
    result = restore(archive, data_dir, "--force")
    assert result.exit_code == 0, result.output
    [before] = tmp_path.glob("data.before-*")
    assert (before / "mine.txt").read_text() == "dear to somebody"
    assert str(before) in result.stdout.replace("\n", "")
    assert not (data_dir / "mine.txt").exists()
    assert (data_dir / "collections.db").is_file()


@pytest.mark.parametrize("locked_before", [False, True])
def test_an_empty_folder_is_taken(archive: Path, tmp_path: Path, locked_before: bool) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    if locked_before:
        (empty / "lock").touch()
    assert restore(archive, empty).exit_code == 0
    assert (empty / "collections.db").is_file()


def test_a_broken_audit_log_is_backed_up_as_it_is(data_dir: Path, tmp_path: Path) -> None:
    (data_dir / "audit" / "head").write_bytes(b"{}")
    assert backup(data_dir, tmp_path / "b.tar").exit_code == 0
    assert restore(tmp_path / "b.tar", tmp_path / "restored").exit_code == 0
    with pytest.raises(AuditBroken):
        verify(tmp_path / "restored" / "audit")


def test_other_files_of_the_folder_are_nobodys_business(data_dir: Path, tmp_path: Path) -> None:
    (data_dir / "My own.db").write_bytes(b"whatever")
    assert not is_member("My own.db")
    assert backup(data_dir, tmp_path / "b.tar").exit_code == 0
    assert "My own.db" not in names(tmp_path / "b.tar")


def test_any_tar_reads_a_backup(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        manifest = tar.extractfile("manifest.json")
        assert manifest is not None
        described = json.load(io.TextIOWrapper(manifest))
        assert {item["name"] for item in described["files"]} == set(tar.getnames()) - {
            "manifest.json"
        }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files for others")
def test_root_restores_for_whoever_had_the_folder(archive: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    os.chown(empty, 12345, 12345)
    assert restore(archive, empty).exit_code == 0
    for path in (empty, *empty.rglob("*")):
        assert path.stat().st_uid == 12345, path
