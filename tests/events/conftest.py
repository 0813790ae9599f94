"""Engines and faces for labelled clips."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from streamproc.engines.base import FaceEngine
from streamproc.engines.load import load_engine
from streamproc.model.media import Image
from streamproc.settings import EngineConfig
from tests.events.clips import cast_of


@pytest.fixture(scope="session")
def mbf(testdata: Path) -> FaceEngine:
    return load_engine(EngineConfig(pack=str(testdata / "models" / "mbf_arcface")))


@pytest.fixture(scope="session")
def dlib() -> FaceEngine:
    return load_engine(EngineConfig(name="dlib"))


@pytest.fixture(scope="session")
def portraits(testdata: Path) -> Mapping[str, Sequence[Image]]:
    return cast_of(testdata)
