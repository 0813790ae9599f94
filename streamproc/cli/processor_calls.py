"""What is asked and done of stream processors, call by call, and told while it happens.

Knows the operations and their order; knows nothing of options and tables.
"""

import asyncio
from typing import Any

from streamproc.cli.access import Access
from streamproc.cli.making import ensure_collection, ensure_data_stream, ensure_video_stream
from streamproc.cli.output import say, waiting
from streamproc.cli.own_operations import call, listed
from streamproc.cli.processor_tables import Processor
from streamproc.cli.resources import known, processor_names
from streamproc.errors import StreamprocError

ROLE = "arn:aws:iam::000000000000:role/streamproc"
"""The API asks for one, and AWS alone uses it."""

_LOOK_S = 0.3
_ON_THE_WAY = {"STARTING", "STOPPING", "UPDATING"}
_OTHERWISE = "make one with: streamproc processors create NAME"


async def find_processors(access: Access) -> list[Processor]:
    """All of the region, by name; from AWS without figures."""
    if access.endpoint_url != "aws":
        return await listed(access, "ListStreamprocProcessors", "Processors")
    names = await listed(access, "ListStreamProcessors", "StreamProcessors")
    return [await ask(access, "DescribeStreamProcessor", each["Name"]) for each in names]


async def create_processor(
    access: Access,
    name: str,
    collection_id: str,
    video_stream: str,
    data_stream: str,
    threshold: float | None,
    *,
    create: bool,
    role_arn: str = ROLE,
) -> None:
    """create: make streams and collection too. Raises OperationRefused, with the code
    ResourceInUseException if the processor exists."""
    await ensure_collection(access, collection_id, create=create, told=say)
    video_arn = await ensure_video_stream(access, video_stream, create=create, told=say)
    data_arn = await ensure_data_stream(access, data_stream, create=create, told=say)
    search: dict[str, Any] = {"CollectionId": collection_id}
    if threshold is not None:
        search["FaceMatchThreshold"] = threshold
    request = {
        "Name": name,
        "Input": {"KinesisVideoStream": {"Arn": video_arn}},
        "Output": {"KinesisDataStream": {"Arn": data_arn}},
        "Settings": {"FaceSearch": search},
        "RoleArn": role_arn,
    }
    await call(access, "CreateStreamProcessor", request)


async def settled(access: Access, name: str, goal: str) -> None:
    """Return when it has come to rest in the status that was asked for.

    Raises StreamprocError with its message if that is another.
    """
    with waiting(f"processor {name} …") as tell:
        while True:
            found = await ask(access, "DescribeStreamProcessor", name)
            status, message = found["Status"], found.get("StatusMessage") or ""
            if status not in _ON_THE_WAY:
                break
            tell(f"processor {name} is {status} … {message}")
            await asyncio.sleep(_LOOK_S)
    if status != goal:
        raise StreamprocError(f"processor {name} is {status}, not {goal}" + _because(message))
    # What one that runs has to say is of its video, which may come later.
    say(f"processor {name} is {status}" + ("" if goal == "RUNNING" else _because(message)))


async def start(access: Access, name: str, *, wait: bool) -> None:
    await ask(access, "StartStreamProcessor", name)
    if wait:
        await settled(access, name, "RUNNING")
    else:
        say(f"processor {name} is starting; --wait tells how that ends")


async def stop(access: Access, name: str, *, wait: bool) -> None:
    await ask(access, "StopStreamProcessor", name)
    if wait:
        await settled(access, name, "STOPPED")
    else:
        say(f"processor {name} is stopping")


async def stop_if_it_runs(access: Access, name: str) -> None:
    found = await ask(access, "DescribeStreamProcessor", name)
    if found["Status"] in {"STARTING", "RUNNING"}:
        await stop(access, name, wait=True)


async def described(access: Access, name: str) -> Processor:
    """What DescribeStreamProcessor tells, and the figures beside it."""
    found = await ask(access, "DescribeStreamProcessor", name)
    if access.endpoint_url == "aws":
        return found
    figures = await listed(access, "ListStreamprocProcessors", "Processors")
    return next((each for each in figures if each["Name"] == name), {}) | found


async def ask(access: Access, operation: str, name: str) -> dict[str, Any]:
    """An operation on one processor. Raises StreamprocError with what there is, if not this."""
    work = call(access, operation, {"Name": name})
    return await known(work, "processor", name, access, processor_names, _OTHERWISE)


def _because(message: str) -> str:
    return f": {message}" if message else ""
