"""The daemon in a process of its own, with a clock that can be stepped and painted faces.

`python -m tests.chaos.process --data-dir D [--set table.key=value …]` does what `streamproc serve`
does, signals included, but for its engine and its clock. It talks JSON lines: it says {"url": …}
once it answers; then {"clock": 3600} steps its clock, {"stats": true} asks what it holds.
DaemonChild is the other end. Knows nothing of cameras, records or faults.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
START_TIMEOUT_S = 60.0
_PORTS = iter(range(20_000 + os.getpid() % 10_000, 32_000))


class DaemonChild:
    """Start, kill, stop and start again; the port, and so the URL, stays the same."""

    def __init__(
        self,
        data_dir: Path,
        settings: Mapping[str, object] | None = None,
        *,
        real_engine: bool = False,
        log_file: Path | None = None,
    ) -> None:
        """settings: {"table.key": value}. real_engine runs what the settings say and not painted
        faces. Without log_file the log lies beside data_dir."""
        self.data_dir = data_dir
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.started_at = 0.0  # time.monotonic() of the last start
        self._settings = {"server.port": self.port, **(settings or {})}
        self._real_engine = real_engine
        self.log_file = log_file or data_dir.parent / f"{data_dir.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "start() it first"
        return self._process

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def set(self, key: str, value: object) -> None:
        """A setting for its next start."""
        self._settings[key] = value

    def launch(self) -> None:
        """Start it and do not wait."""
        assert not self.is_running, "it runs already"
        options = [f"--set={key}={value}" for key, value in self._settings.items()]
        options += ["--real-engine"] if self._real_engine else []
        self.started_at = time.monotonic()
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.process", f"--data-dir={self.data_dir}",
                 *options],
                cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, bufsize=0,
                env={**os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"},
            )  # fmt: skip

    def start(self) -> "DaemonChild":
        """Start it; return once it answers. Raises AssertionError with its log if it ends."""
        self.launch()
        said = self._hear(START_TIMEOUT_S)
        assert said.get("url") == self.url, f"the daemon does not start: {self.log[-3000:]}"
        return self

    def refuses_to_start(self) -> str | None:
        """Start it; None if it answers, else what it wrote to its log before it ended."""
        told = len(self.log)
        self.launch()
        if self._hear(START_TIMEOUT_S):
            return None
        self._rest(10)
        return self.log[told:]

    def kill(self) -> None:
        """kill -9: nothing of the daemon's own runs after this."""
        self.process.kill()
        self._rest(10)

    def terminate(self) -> None:
        """SIGTERM, as systemd sends it; returns at once."""
        self.process.send_signal(signal.SIGTERM)

    def stop(self, timeout_s: float = 60.0) -> int:
        """SIGTERM; returns the exit code. Raises TimeoutExpired."""
        if self.is_running:
            self.terminate()
        return self._rest(timeout_s)

    def close(self) -> None:
        """Leave nothing behind."""
        if self._process is not None:
            self._process.kill()
            self._rest(10)

    def step_clock(self, seconds: float) -> float:
        """Set the daemon's wall clock forward, or back; returns what it shows then."""
        return float(self._ask({"clock": seconds})["now"])

    def stats(self) -> dict[str, int]:
        """tasks, threads, open_files, connections, rss_bytes."""
        return {key: int(value) for key, value in self._ask({"stats": True}).items()}

    def _rest(self, timeout_s: float) -> int:
        code = self.process.wait(timeout_s)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        return code

    def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        said = self._hear(10.0)
        assert said, f"the daemon does not answer {command}: {self.log[-2000:]}"
        return said

    def _hear(self, timeout_s: float) -> dict[str, Any]:
        """The next line it says; empty if it ends or is silent for so long."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], timeout_s)
        line = self.process.stdout.readline() if ready else b""
        return dict(json.loads(line)) if line else {}


def _free_port() -> int:
    """Below the range that outgoing connections take theirs from, so that it stays free; never
    the same one twice."""
    for port in _PORTS:
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no free port below 32000")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.process")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], metavar="table.key=value")
    parser.add_argument("--real-engine", action="store_true")
    options = parser.parse_args()
    from streamproc.errors import StreamprocError

    try:
        asyncio.run(_serve(options.data_dir, options.set, real_engine=options.real_engine))
    except StreamprocError as error:
        print(f"streamproc: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(data_dir: Path, assignments: list[str], *, real_engine: bool) -> None:
    from streamproc.clock import SystemClock
    from streamproc.config import load_config, parse_assignment
    from streamproc.daemon import serving
    from streamproc.engines.fake import FakeEngine
    from streamproc.heap import return_freed_memory
    from streamproc.logs import configure_logging

    class SteppedClock(SystemClock):
        stepped_s = 0.0

        def now(self) -> float:
            return super().now() + self.stepped_s

    return_freed_memory()
    overrides: dict[str, dict[str, Any]] = {"storage": {"data_dir": data_dir}}
    for table, key, value in map(parse_assignment, assignments):
        overrides.setdefault(table, {})[key] = value
    config = load_config(None, overrides)
    configure_logging(config.logging)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    clock = SteppedClock()
    engine = None if real_engine else FakeEngine()
    async with serving(config, clock=clock, engine=engine) as url:
        commands = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
        _say({"url": url})
        obeying = asyncio.create_task(_obey(commands, clock))
        await stop.wait()
        logging.getLogger(__name__).info("stopping: draining jobs and processors")
        obeying.cancel()


async def _obey(commands: asyncio.StreamReader, clock: Any) -> None:
    while line := await commands.readline():
        command = json.loads(line)
        if "clock" in command:
            clock.stepped_s += command["clock"]
            _say({"now": clock.now()})
        else:
            _say(_stats())


def _stats() -> dict[str, int]:
    """What the databases' pools hold, up to five connections each with a thread and two or three
    files, is counted by itself: it depends on how many asked at the same moment, once."""
    resident = int(Path("/proc/self/statm").read_text().split()[1])
    pooled = sum("_connection_worker" in thread.name for thread in threading.enumerate())
    return {
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count() - pooled,
        "open_files": sum(not _is_of_a_database(fd) for fd in Path("/proc/self/fd").iterdir()),
        "connections": pooled,
        "rss_bytes": resident * os.sysconf("SC_PAGE_SIZE"),
    }


def _is_of_a_database(descriptor: Path) -> bool:
    try:
        return str(descriptor.readlink()).endswith((".db", ".db-wal", ".db-shm"))
    except FileNotFoundError:  # that of the listing itself
        return True


def _say(value: dict[str, Any]) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    sys.exit(main())
