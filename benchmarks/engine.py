"""The engine that a benchmark of recognition runs, from its command line."""

import argparse

from benchmarks.clips import testdata
from streamproc.config import load_config
from streamproc.engines.base import FaceEngine
from streamproc.engines.load import load_engine


def engine_asked_for(description: str | None) -> FaceEngine:
    """Parse --engine and --pack, and load what they name."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--engine", default="insightface", choices=("insightface", "dlib"))
    parser.add_argument("--pack", help="pack or folder [the test data's mbf_arcface]")
    options = parser.parse_args()
    pack = options.pack or str(testdata() / "models" / "mbf_arcface")
    overrides = {"engine": {"name": options.engine, "pack": pack}}
    return load_engine(load_config(overrides=overrides).engine)
