"""A collection service over hand-written vectors; Similarity is 100 times the cosine."""

from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Protocol

import pytest

from streamproc.clock import FakeClock
from streamproc.collection.service import CollectionService
from streamproc.model.engine import EngineInfo
from tests.collection.vectors import REGION, SQUARES


class OpenService(Protocol):
    def __call__(
        self,
        info: EngineInfo = ...,
        index_bytes_max: int = ...,
        folder: Path | None = ...,
        exact_faces_max: int = ...,
    ) -> Awaitable[CollectionService]: ...


@pytest.fixture
async def open_service(tmp_path: Path) -> AsyncIterator[OpenService]:
    """Opens the service on one database; a second call sees what the first one left."""
    opened: list[CollectionService] = []

    async def open_(
        info: EngineInfo = SQUARES,
        index_bytes_max: int = 1 << 30,
        folder: Path | None = None,
        exact_faces_max: int = 2048,
    ) -> CollectionService:
        service = await CollectionService.open(
            (folder or tmp_path) / "collections.sqlite",
            info,
            lambda cosine: max(cosine, 0.0) * 100,
            lambda similarity: similarity / 100,
            "123456789012",
            FakeClock(),
            index_bytes_max=index_bytes_max,
            exact_faces_max=exact_faces_max,
        )
        opened.append(service)
        return service

    yield open_
    for service in opened:
        await service.aclose()


@pytest.fixture
async def service(open_service: OpenService) -> CollectionService:
    """The service with one empty collection, "team"."""
    service = await open_service()
    await service.create(REGION, "team")
    return service
