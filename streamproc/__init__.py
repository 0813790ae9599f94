"""streamproc watches live video for people you know."""

import os

__version__ = "0.1.0"

# ONNX Runtime's Linux builds report to Microsoft unless this stands before they are loaded (its
# Privacy.md, "Disabling Telemetry"), so here: before any part of ours can load it. People who may
# not send faces anywhere do not send what they run either. Not to be overridden.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
