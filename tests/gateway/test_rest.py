"""Members outside the body, through a boto3 client whose model has the same toy operation."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.loaders import Loader

from streamproc.gateway.dispatch import RequestContext, Service

Serve = Callable[..., Awaitable[str]]
Fetch = Callable[..., Awaitable[Any]]
Client = Callable[..., Any]
Call = Callable[..., Awaitable[Any]]


def member(shape: str, location: str, name: str, **traits: Any) -> dict[str, Any]:
    return {"shape": shape, "location": location, "locationName": name, **traits}


TOYS = {
    "operations": {
        "PutToy": {
            "name": "PutToy",
            "http": {"method": "PUT", "requestUri": "/toys/{Name}/{Path+}", "responseCode": 201},
            "input": {"shape": "PutToyInput"},
            "output": {"shape": "PutToyOutput"},
        },
        "GetToy": {
            "name": "GetToy",
            "http": {"method": "GET", "requestUri": "/toys/{Name}"},
            "input": {"shape": "GetToyInput"},
            "output": {"shape": "GetToyOutput"},
        },
        "DropToy": {"name": "DropToy", "http": {"method": "DELETE", "requestUri": "/toys"}},
        "PostText": {
            "name": "PostText",
            "http": {"method": "POST", "requestUri": "/text"},
            "input": {"shape": "TextInput"},
            "output": {"shape": "TextInput"},
        },
        "PostBox": {
            "name": "PostBox",
            "http": {"method": "POST", "requestUri": "/box"},
            "input": {"shape": "BoxInput"},
            "output": {"shape": "BoxInput"},
        },
    },
    "shapes": {
        "PutToyInput": {
            "type": "structure",
            "required": ["Name", "Path"],
            "members": {
                "Name": member("ToyText", "uri", "Name"),
                "Path": member("ToyText", "uri", "Path"),
                "Count": member("ToyInteger", "querystring", "count"),
                "Weight": member("ToyFloat", "querystring", "weight"),
                "Big": member("ToyBoolean", "querystring", "big"),
                "Since": member("Timestamp", "querystring", "since"),
                "Tags": member("ToyList", "querystring", "tag"),
                "Owner": member("ToyText", "header", "x-toy-owner"),
                "Rank": member("ToyInteger", "header", "x-toy-rank"),
                "Born": member("Timestamp", "header", "x-toy-born"),
                "Seen": member(
                    "Timestamp", "header", "x-toy-seen", timestampFormat="unixTimestamp"
                ),
                "Note": {"shape": "ToyText", "locationName": "note"},
                "Box": {"shape": "ToyBox"},
            },
        },
        "PutToyOutput": {
            "type": "structure",
            "members": {
                "Owner": member("ToyText", "header", "x-toy-owner"),
                "Rank": member("ToyInteger", "header", "x-toy-rank"),
                "Big": member("ToyBoolean", "header", "x-toy-big"),
                "Born": member("Timestamp", "header", "x-toy-born"),
                "Note": {"shape": "ToyText", "locationName": "note"},
            },
        },
        "GetToyInput": {
            "type": "structure",
            "required": ["Name"],
            "members": {"Name": member("ToyText", "uri", "Name")},
        },
        "GetToyOutput": {
            "type": "structure",
            "members": {"Data": {"shape": "ToyBlob"}},
            "payload": "Data",
        },
        "TextInput": {
            "type": "structure",
            "members": {"Text": {"shape": "ToyText"}},
            "payload": "Text",
        },
        "BoxInput": {
            "type": "structure",
            "members": {"Box": {"shape": "ToyBox"}},
            "payload": "Box",
        },
        "ToyBox": {
            "type": "structure",
            "union": True,
            "members": {"Red": {"shape": "ToyText"}, "Blob": {"shape": "ToyBlob"}},
        },
        "ToyText": {"type": "string"},
        "ToyInteger": {"type": "integer", "max": 10},
        "ToyFloat": {"type": "double"},
        "ToyBoolean": {"type": "boolean"},
        "ToyList": {"type": "list", "member": {"shape": "ToyText"}},
        "ToyBlob": {"type": "blob"},
    },
}

Seen = dict[str, Any]
toys = Service[Seen]("kinesisvideo", validation_error="InvalidArgumentException", extra=TOYS)


@toys.operation("PutToy")
async def put_toy(seen: Seen, request: dict[str, Any], context: RequestContext) -> Any:
    seen |= request
    return {name: request.get(name) for name in ("Owner", "Rank", "Big", "Born", "Note")}


@toys.operation("GetToy")
async def get_toy(seen: Seen, request: dict[str, Any], context: RequestContext) -> Any:
    return {"Data": request["Name"].encode()} if request["Name"] != "none" else {}


@toys.operation("DropToy")
async def drop_toy(seen: Seen, request: dict[str, Any], context: RequestContext) -> Any:
    return {}


@toys.operation("PostText")
@toys.operation("PostBox")
async def echo(seen: Seen, request: dict[str, Any], context: RequestContext) -> Any:
    return request


@pytest.fixture
def seen() -> Seen:
    return {}


@pytest.fixture
async def url(serve: Serve, seen: Seen) -> str:
    return await serve(toys.bind(seen))


@pytest.fixture
def toy_client(client: Client, url: str, tmp_path: Path) -> Any:
    """boto3 with the toy operations in its own copy of the model."""
    description = Loader().load_service_model("kinesisvideo", "service-2")
    for part in ("operations", "shapes"):
        description[part] |= TOYS[part]
    folder = tmp_path / "kinesisvideo" / description["metadata"]["apiVersion"]
    folder.mkdir(parents=True)
    (folder / "service-2.json").write_text(json.dumps(description))
    session = botocore.session.get_session()
    session.get_component("data_loader").search_paths.insert(0, str(tmp_path))
    return client("kinesisvideo", url, session=boto3.Session(botocore_session=session))


async def test_members_arrive_from_path_query_headers_and_body(
    toy_client: Any, seen: Seen, call: Call
) -> None:
    at = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
    answer = await call(
        toy_client.put_toy,
        Name="a/b ç%",
        Path="x/y z",
        Count=7,
        Weight=2.5,
        Big=True,
        Since=at,
        Tags=["one", "two & three"],
        Owner="Zoe",
        Rank=-3,
        Born=at,
        Seen=at,
        Note="inside",
        Box={"Blob": b"\x00\xff"},
    )
    assert seen == {
        "Name": "a/b ç%",
        "Path": "x/y z",
        "Count": 7,
        "Weight": 2.5,
        "Big": True,
        "Since": at.timestamp(),
        "Tags": ["one", "two & three"],
        "Owner": "Zoe",
        "Rank": -3,
        "Born": at.timestamp(),
        "Seen": at.timestamp(),
        "Note": "inside",
        "Box": {"Blob": b"\x00\xff"},
    }
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert (answer["Owner"], answer["Rank"], answer["Big"]) == ("Zoe", -3, True)
    assert (answer["Born"], answer["Note"]) == (at, "inside")


async def test_members_with_a_place_do_not_come_in_the_body(
    url: str, seen: Seen, fetch: Fetch
) -> None:
    await fetch("PUT", f"{url}/toys/a/b", json={"note": "n", "Owner": "me", "x-toy-owner": "me"})
    assert seen == {"Name": "a", "Path": "b", "Note": "n"}


async def test_a_blob_payload_is_the_whole_body(toy_client: Any, call: Call) -> None:
    assert (await call((await call(toy_client.get_toy, Name="é"))["Data"].read)) == "é".encode()
    assert (await call((await call(toy_client.get_toy, Name="none"))["Data"].read)) == b""


async def test_text_and_structures_may_be_the_whole_body_too(
    toy_client: Any, url: str, call: Call, fetch: Fetch
) -> None:
    assert (await call(toy_client.post_box, Box={"Red": "r"}))["Box"] == {"Red": "r"}
    headers = {"Content-Type": "application/json"}
    answer = await fetch("POST", f"{url}/text", data="ünïcode".encode(), headers=headers)
    assert (answer.body, answer.headers["Content-Type"]) == (
        "ünïcode".encode(),
        "application/octet-stream",
    )
    refused = await fetch("POST", f"{url}/text", data=b"\xff", headers=headers)
    assert "not UTF-8" in refused.json()["message"]


async def test_an_operation_without_input_and_output_works(toy_client: Any, call: Call) -> None:
    assert (await call(toy_client.drop_toy))["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.parametrize(
    ("path", "headers", "words"),
    [
        ("/toys/a/b?count=eleven", {}, "Value 'eleven' at 'Count' must be a whole number."),
        ("/toys/a/b?count=1.5", {}, "Value '1.5' at 'Count' must be a whole number."),
        ("/toys/a/b?count=11", {}, "'Count' failed to satisfy constraint: Member must have value"),
        ("/toys/a/b?weight=NaN", {}, "Value 'NaN' at 'Weight' must be a number."),
        ("/toys/a/b?weight=1e999", {}, "'Weight' must be a finite number."),
        ("/toys/a/b?big=yes", {}, "Value 'yes' at 'Big' must be true or false."),
        ("/toys/a/b?since=noon", {}, "'Since' must be a time such as 2026-01-31T12:00:00Z."),
        ("/toys/a/b", {"x-toy-born": "noon"}, "must be a time such as Sat, 31 Jan 2026"),
        ("/toys/a/b", {"x-toy-seen": "1e300"}, "must be a time in seconds (not milliseconds)"),
        ("/toys/%ff/b", {}, "Value at 'Name' in the path is not UTF-8."),
    ],
)
async def test_text_that_is_no_value_is_refused_by_member_and_value(
    url: str, fetch: Fetch, path: str, headers: dict[str, str], words: str
) -> None:
    answer = await fetch("PUT", url + path, headers=headers)
    assert answer.status == 400
    assert words in answer.json()["message"]


async def test_a_union_has_exactly_one_member(url: str, fetch: Fetch) -> None:
    for box in ({}, {"Red": "r", "Blob": "AA=="}):
        answer = await fetch("POST", f"{url}/box", json=box)
        assert answer.status == 400
        assert "Member must have exactly one of: [Red, Blob]" in answer.json()["message"]
