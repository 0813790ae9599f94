"""Which bucket is where."""

from pathlib import Path
from typing import Any

import pytest

from streamproc.aws import AwsClients
from streamproc.errors import ObjectUnavailable
from streamproc.model.video import ObjectRef
from streamproc.objects.info import ObjectInfo
from streamproc.objects.store import ObjectStore
from streamproc.settings import AwsConfig, EndpointsConfig
from tests.objects.conftest import REGION


async def test_a_bucket_with_a_folder_is_read_there_and_all_others_in_s3(
    store: ObjectStore, s3: Any, folder: Path, scratch: Path
) -> None:
    (folder / "clip").write_bytes(b"in the folder")
    s3.put_object(Bucket="clips", Key="clip", Body=b"in S3")
    for bucket, data in (("local", b"in the folder"), ("clips", b"in S3")):
        ref = ObjectRef(bucket, "clip")
        assert await store.describe(ref, REGION) == ObjectInfo(len(data), "")
        assert await store.read(ref, REGION, 100) == data
        async with store.fetch(ref, REGION, scratch, lambda _: None) as path:
            assert path.read_bytes() == data


async def test_a_bucket_that_is_nowhere_names_both_remedies(scratch: Path) -> None:
    store = ObjectStore({}, AwsClients(EndpointsConfig(), AwsConfig(), ""))
    ref = ObjectRef("clips", "clip.mp4")
    told = []
    for asked in (store.describe(ref, REGION), store.read(ref, REGION, 100)):
        with pytest.raises(ObjectUnavailable) as error:
            await asked
        told.append(str(error.value))
    with pytest.raises(ObjectUnavailable) as error:
        async with store.fetch(ref, REGION, scratch, lambda _: None):
            pass
    told.append(str(error.value))
    [words] = set(told)
    assert words.startswith("s3://clips/clip.mp4 cannot be read: no folder stands for bucket clips")
    assert "Set endpoints.s3 to aws" in words
    assert "name the folder of clips in [buckets]" in words
