"""What runs tells nobody that it runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ENTRIES = ["streamproc.cli.main", "streamproc.daemon", "streamproc.engines.runtime"]
SESSION = """
import importlib, sys
importlib.import_module(sys.argv[1])
import onnx, onnxruntime
from onnx import TensorProto, helper
value = helper.make_tensor_value_info
graph = helper.make_graph(
    [helper.make_node("Identity", ["x"], ["y"])], "toy",
    [value("x", TensorProto.FLOAT, [1])], [value("y", TensorProto.FLOAT, [1])],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
"""


@pytest.mark.parametrize("entry", ENTRIES)
def test_onnx_runtime_reports_to_nobody(entry: str, tmp_path: Path) -> None:
    """Where its telemetry is on, it keeps what it is about to send, and an id of the machine,
    in a database under the home folder."""
    quiet = {"CI", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "XDG_CACHE_HOME"}
    environment = {name: value for name, value in os.environ.items() if name not in quiet}
    subprocess.run(
        [sys.executable, "-c", SESSION, entry],
        check=True, timeout=120, env={**environment, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert not [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name]
