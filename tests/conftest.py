"""Fixtures that every folder of tests may use."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def testdata() -> Path:
    """The folder of real recordings, photos and models; the test is skipped without it."""
    folder = Path(os.environ.get("STREAMPROC_TESTDATA", ROOT.parent / "shared" / "testdata"))
    if not (folder / "README.md").is_file():
        pytest.skip(f"no test data at {folder}; set STREAMPROC_TESTDATA to its folder")
    return folder
