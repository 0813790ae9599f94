"""The daemon needs no door to its own streams."""

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


def test_no_crowd_keeps_the_daemon_from_its_own_streams(
    rig_with: Callable[..., Any], clip: Path, run_cli: Callable[..., Any]
) -> None:
    rig = rig_with("--set", "server.connections_max=16", engine="dlib")
    video, data = rig.streams()
    rig.create(video, data)
    sent = run_cli("put-media", str(clip), "--stream", "cam", "--fast",
                   "--endpoint-url", rig.daemon.url)  # fmt: skip
    assert sent.returncode == 0, sent.stderr
    where = urlsplit(rig.daemon.url)
    with contextlib.ExitStack() as crowd:
        for _ in range(16):  # who asks here already keeps a connection
            crowd.enter_context(socket.create_connection((where.hostname, where.port), 60))
        with socket.create_connection((where.hostname, where.port), 60) as late:
            assert late.recv(64).startswith(b"HTTP/1.1 503 ")
        rig.start()
        assert rig.wait_until(rig.records, 60.0)
