"""Somebody who keeps calling the API while the daemon is killed, and remembers what was said.

What was acknowledged must be there after the restart, and what was deleted must not; a call that
got no answer promises nothing.
"""

import asyncio
import itertools
from typing import Any

from tests.chaos.consumer import UNREACHABLE
from tests.chaos.film import portraits
from tests.chaos.ledger import Verdict

_VIDEO = "arn:aws:kinesisvideo:us-east-1:000000000000:stream/clerk/1700000000000"
_DATA = "arn:aws:kinesis:us-east-1:000000000000:stream/clerk"


class Clerk:
    """Collections with one face each, and processors; every third pair is deleted again."""

    def __init__(self, rekognition: Any) -> None:
        self._rekognition = rekognition
        self._png = next(png for _, png in portraits())
        self.calls_total = 0  # that were answered
        self._there: dict[str, bool] = {}  # "kind name": whether it must be there

    async def run(self) -> None:
        for number in itertools.count():
            try:
                await self._work(number)
            except UNREACHABLE:
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.1)

    async def _work(self, number: int) -> None:
        name = f"clerk-{number}"
        await self._call("collection", name, "create_collection", CollectionId=name)
        await self._call(
            "face", name, "index_faces",
            CollectionId=name, ExternalImageId="0", Image={"Bytes": self._png},
            QualityFilter="NONE",
        )  # fmt: skip
        await self._call(
            "processor", name, "create_stream_processor",
            Name=name,
            Input={"KinesisVideoStream": {"Arn": _VIDEO}},
            Output={"KinesisDataStream": {"Arn": _DATA}},
            Settings={"FaceSearch": {"CollectionId": name}},
            RoleArn="arn:aws:iam::000000000000:role/any",
        )  # fmt: skip
        if number % 3 == 0:
            await self._call("processor", name, "delete_stream_processor", gone=True, Name=name)
            self._there.pop(f"face {name}", None)
            await self._call("collection", name, "delete_collection", gone=True, CollectionId=name)

    async def _call(
        self, kind: str, name: str, call: str, *, gone: bool = False, **members: Any
    ) -> None:
        self._there.pop(f"{kind} {name}", None)  # until it is answered nothing is promised
        await getattr(self._rekognition, call)(**members)
        self._there[f"{kind} {name}"] = not gone
        self.calls_total += 1

    async def verdict(self) -> Verdict:
        """Whether all that was acknowledged is so."""
        found = set()
        async for page in self._rekognition.get_paginator("list_stream_processors").paginate():
            found |= {f"processor {each['Name']}" for each in page.get("StreamProcessors", ())}
        async for page in self._rekognition.get_paginator("list_collections").paginate():
            found |= {f"collection {name}" for name in page["CollectionIds"]}
        for key in [key for key in self._there if key.startswith("face ")]:
            collection = key.removeprefix("face ")
            if f"collection {collection}" in found:
                answer = await self._rekognition.list_faces(CollectionId=collection)
                found |= {key} if answer["Faces"] else set()
        lost = [key for key, there in self._there.items() if there != (key in found)]
        return Verdict(
            sampled=len(self._there),
            arrived=len(self._there) - len(lost),
            lost=len(lost),
            examples=tuple(f"not as acknowledged: {key}" for key in lost[:5]),
        )
