"""A disk that refuses is an error that clients try again, in words for whoever runs the server."""

import logging
from typing import Any

import pytest
from botocore.exceptions import ClientError

from streamproc.errors import StoreDamaged, StoreUnavailable
from streamproc.gateway.dispatch import RequestContext, Service
from tests.gateway.conftest import Call, Client, Serve

TROUBLE = "the database /data/x.db cannot be used just now (disk is full); free space on its disk"


@pytest.mark.parametrize("error", [StoreUnavailable(TROUBLE), StoreDamaged(TROUBLE)])
@pytest.mark.parametrize(
    ("service", "operation", "request_", "code"),
    [
        ("rekognition", "DescribeCollection", {"CollectionId": "c"}, "InternalServerError"),
        ("kinesis", "DescribeStream", {"StreamName": "s"}, "InternalFailureException"),
        ("kinesisvideo", "DescribeStream", {"StreamName": "s"}, "InternalFailure"),
    ],
)
async def test_trouble_with_the_disk_is_told_and_no_traceback_logged(
    serve: Serve,
    client: Client,
    call: Call,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    service: str,
    operation: str,
    request_: dict[str, Any],
    code: str,
) -> None:
    served = Service[None](service, validation_error="ValidationException")

    @served.operation(operation)
    async def refuse(_: None, request: dict[str, Any], context: RequestContext) -> dict[str, Any]:
        raise error

    url = await serve(served.bind(None))
    describe = "describe_collection" if service == "rekognition" else "describe_stream"
    with caplog.at_level(logging.WARNING), pytest.raises(ClientError) as raised:
        await call(getattr(client(service, url), describe), **request_)
    answer = raised.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (code, 500)
    assert answer["Error"]["Message"] == f"{TROUBLE}."
    [record] = caplog.records
    assert TROUBLE in record.getMessage()
    assert record.exc_info is None
