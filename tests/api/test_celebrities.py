"""People known by name, as boto3 and our own two operations see them."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from streamproc.api.own_model import OWN
from streamproc.engines.fake import FakeEngine
from tests.api.live_api import REGION, live_api

ANN = {
    "Id": "3SF8x1",
    "Name": "Ann Ahn",
    "Urls": ["www.example.com/ann", "example.org/ähn"],
    "KnownGender": {"Type": "Female"},
}
BOB = {"Id": "bob1", "Name": "Bob", "Urls": []}


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """boto3, taught the operations of our own, which says itself what is right."""
    root = tmp_path_factory.mktemp("celebrities")
    folder = root / "models" / "rekognition" / "2016-06-27"
    folder.mkdir(parents=True)
    (folder / "service-2.sdk-extras.json").write_text(json.dumps({"version": 1.0, "merge": OWN}))
    session = boto3.Session("test", "test", region_name=REGION)
    session._loader.search_paths.append(str(root / "models"))
    with live_api(root, FakeEngine(), {}) as url:
        yield session.client(
            "rekognition", endpoint_url=url, config=Config(parameter_validation=False)
        )


@pytest.fixture
def client(taught: Any) -> Iterator[Any]:
    """With an empty collection."""
    taught.create_collection(CollectionId="stars")
    yield taught
    taught.delete_collection(CollectionId="stars")


def put(client: Any, *people: dict[str, Any], collection: str = "stars") -> dict[str, Any]:
    return dict(client.put_streamproc_people(CollectionId=collection, People=list(people)))


def listed(client: Any) -> list[dict[str, Any]]:
    return list(client.list_streamproc_people(CollectionId="stars")["People"])


def test_a_celebrity_is_told_of_by_id(client: Any) -> None:
    put(client, ANN, BOB)
    info = client.get_celebrity_info(Id="3SF8x1")
    del info["ResponseMetadata"]
    assert info == {key: value for key, value in ANN.items() if key != "Id"}
    assert "KnownGender" not in client.get_celebrity_info(Id="bob1")


@pytest.mark.parametrize("unknown", ["4SF8x1", "3sf8X1", ""])
def test_an_unknown_celebrity_is_named(client: Any, unknown: str) -> None:
    put(client, ANN)
    with pytest.raises(
        client.exceptions.ResourceNotFoundException,
        match=f"The celebrity id: {unknown} does not exist",
    ):
        client.get_celebrity_info(Id=unknown)


def test_putting_people_replaces_them_all(client: Any) -> None:
    put(client, ANN, BOB)
    assert listed(client) == [ANN, BOB]
    put(client, BOB)
    assert listed(client) == [BOB]
    put(client)
    assert listed(client) == []


@pytest.mark.parametrize(
    ("wrong", "member"),
    [
        ({"Id": "a-b"}, r"People\[0\]\.Id"),
        ({"Id": "x" * 65}, r"People\[0\]\.Id"),
        ({"Name": ""}, r"People\[0\]\.Name"),
        ({"Name": "x" * 256}, r"People\[0\]\.Name"),
        ({"Urls": ["example.com"] * 256}, r"People\[0\]\.Urls"),
        ({"KnownGender": {"Type": "unknown"}}, r"People\[0\]\.KnownGender\.Type"),
    ],
)
def test_a_wrong_entry_is_named_and_nothing_changes(
    client: Any, wrong: dict[str, Any], member: str
) -> None:
    put(client, BOB)
    with pytest.raises(client.exceptions.InvalidParameterException, match=member):
        put(client, {**ANN, **wrong})
    assert listed(client) == [BOB]


def test_one_id_for_two_people_is_refused(client: Any) -> None:
    with pytest.raises(
        client.exceptions.InvalidParameterException,
        match=r"People\[1\]\.Id 3SF8x1 is that of another entry, named Ann Ahn",
    ):
        put(client, ANN, {**BOB, "Id": "3SF8x1"})


def test_an_unknown_collection_has_no_people_either(client: Any) -> None:
    with pytest.raises(ClientError, match="The collection id: nobody does not exist"):
        put(client, ANN, collection="nobody")
