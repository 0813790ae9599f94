"""Engines and faces for labelled clips."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamproc.engines.base import FaceEngine
from streamproc.engines.load import load_engine
from streamproc.model.media import Image
from streamproc.settings import EngineConfig


@pytest.fixture(scope="session")
def mbf(testdata: Path) -> FaceEngine:
    return load_engine(EngineConfig(pack=str(testdata / "models" / "mbf_arcface")))


@pytest.fixture(scope="session")
def dlib() -> FaceEngine:
    return load_engine(EngineConfig(name="dlib"))


@pytest.fixture(scope="session")
def portraits(testdata: Path) -> Mapping[str, Sequence[Image]]:
    """Six pictures each of people of LFW, by another name."""
    cast = {"alice": "Michael_Schumacher", "bob": "Andy_Roddick", "stranger": "Anna_Kournikova"}
    return {
        name: [_read(file) for file in sorted((testdata / "lfw" / "gallery" / folder).iterdir())]
        for name, folder in cast.items()
    }


def _read(file: Path) -> Image:
    picture = cv2.imread(str(file))
    assert picture is not None
    return np.asarray(picture, np.uint8)
