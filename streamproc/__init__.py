"""streamproc watches live video for people you know."""

import os

__version__ = "0.1.0"

# ONNX Runtime's Linux builds report to Microsoft unless this stands before they are loaded (its
# Privacy.md, "Disabling Telemetry"), so here: before any part of ours can load it. People who may
# not send faces anywhere do not send what they run either. Not to be overridden.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

OTHERS_THREADS = {"OPENCV_FOR_THREADS_NUM": "1", "OPENBLAS_NUM_THREADS": "1"}
"""OpenCV and numpy's OpenBLAS spread each call over threads of their own, a core each, which spin
when they have nothing to do. We call them from as many threads as there are cores. Both libraries
read this once, when they are loaded, so it stands here too. Who has set one already keeps it."""
for _name, _threads in OTHERS_THREADS.items():
    os.environ.setdefault(_name, _threads)
