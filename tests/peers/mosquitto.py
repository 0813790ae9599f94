"""A real MQTT broker, mosquitto from Debian, on a free port; and a client that is not ours.

The broker keeps nothing between two starts, so what it retains afterwards is what it was told;
unless it remembers, so that consumers miss nothing while it is off.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

_START_S = 60.0


def mosquitto_binary() -> str:
    """Where it is; the test is skipped without it."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip("mosquitto is not installed; on Debian: apt install mosquitto")
    return found


@dataclass
class Mosquitto:
    """start() it; kill() or stop() and start() again leave it on the same port."""

    folder: Path
    username: str = ""
    password: str = ""
    certificate: Path | None = None  # with its private key in the same file: TLS
    authorities: Path | None = None  # clients need a certificate of these
    remembers: bool = False  # sessions, and what is retained, when it is stopped
    port: int = 0

    def __post_init__(self) -> None:
        self._binary = mosquitto_binary()
        self._process: subprocess.Popen[bytes] | None = None
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "mosquitto.log"
        if not self.port:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.port = free.getsockname()[1]

    @property
    def url(self) -> str:
        host = "localhost" if self.certificate else "127.0.0.1"
        return f"{'mqtts' if self.certificate else 'mqtt'}://{host}:{self.port}"

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def start(self) -> "Mosquitto":
        config = self.folder / "mosquitto.conf"
        config.write_text(self._config())
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary, "-v", "-c", str(config)], stdout=log, stderr=log
            )
        deadline = time.monotonic() + _START_S
        while not self._listens():
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)
        return self

    def kill(self) -> None:
        """As a power cut would: nobody is told."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def stop(self) -> None:
        """As a person would; one that remembers has everything on disk then."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(60)
        self._process = None

    def save(self) -> None:
        """Of one that remembers: what it knows now is known after a kill() too."""
        assert self._process is not None
        saved = self.folder / "mosquitto.db"
        saved.unlink(missing_ok=True)
        self._process.send_signal(signal.SIGUSR1)  # see mosquitto(8)
        deadline = time.monotonic() + _START_S
        while not saved.exists():  # written under another name first
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def freeze(self) -> None:
        """It takes connections, and does nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _config(self) -> str:
        lines = [
            f"listener {self.port} 127.0.0.1",
            "max_queued_messages 0",
            f"allow_anonymous {'false' if self.username else 'true'}",
        ]
        if self.remembers:
            lines += ["persistence true", f"persistence_location {self.folder}/"]
        if self.username:
            passwords = self.folder / "passwords"
            tool = Path(self._binary).with_name("mosquitto_passwd")
            subprocess.run(
                [shutil.which("mosquitto_passwd") or str(tool), "-c", "-b", str(passwords),
                 self.username, self.password],
                check=True, capture_output=True,
            )  # fmt: skip
            passwords.chmod(0o644)  # mosquitto reads it as a user of its own
            lines.append(f"password_file {passwords}")
        if self.certificate:
            lines += [f"certfile {self.certificate}", f"keyfile {self.certificate}"]
        if self.authorities:
            lines += [f"cafile {self.authorities}", "require_certificate true"]
        if os.geteuid() == 0:
            lines.append("user root")
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Heard:
    """One message, as a consumer got it."""

    topic: str
    payload: str
    retained: bool  # the broker had it before we came

    @property
    def json(self) -> Any:
        return json.loads(self.payload)


class Subscriber:
    """Hears everything below the given filters, with QoS 1, and connects again by itself; its
    session lasts where the broker remembers."""

    def __init__(self, broker: Mosquitto, *filters: str, **login: str) -> None:
        self._filters = filters
        self._heard: list[Heard] = []
        self._subscribed = threading.Event()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id="consumer", clean_session=False
        )
        if login:
            self._client.username_pw_set(login["username"], login["password"])
        self._client.on_connect = self._subscribe
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._hear
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", broker.port, keepalive=60)
        self._client.loop_start()
        assert self._subscribed.wait(60)

    def _subscribe(self, *_: Any) -> None:
        self._client.subscribe([(one, 1) for one in self._filters])

    def _hear(self, _client: Any, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        self._heard.append(Heard(message.topic, message.payload.decode(), message.retain))

    @property
    def heard(self) -> list[Heard]:
        return list(self._heard)

    def on(self, topic: str) -> list[Heard]:
        return [one for one in self.heard if one.topic == topic]

    def last(self, topic: str) -> str:
        """The payload that came last; "" if none did."""
        found = self.on(topic)
        return found[-1].payload if found else ""

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def subscriber(broker: Mosquitto, *filters: str, **login: str) -> Iterator[Subscriber]:
    found = Subscriber(broker, *(filters or ("#",)), **login)
    try:
        yield found
    finally:
        found.close()
