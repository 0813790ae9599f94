"""Rekognition on a free port, for boto3."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from streamproc.engines.fake import FakeEngine
from tests.api.live_api import client_of, live_api

StartApi: TypeAlias = Callable[..., str]


@pytest.fixture
def start_api(tmp_path: Path) -> Iterator[StartApi]:
    """Starts the API with these settings, as tables; gives its URL. A second start sees what
    the first one stored."""
    with ExitStack() as running:

        def start(engine: Any = None, **settings: Any) -> str:
            return running.enter_context(live_api(tmp_path, engine or FakeEngine(), settings))

        yield start


@pytest.fixture
def rekognition(start_api: StartApi) -> Any:
    """A boto3 client of an API with default settings and painted faces."""
    return client_of(start_api())
