"""A connection to an MQTT broker: login, TLS, and in a person's words why there is none.

Knows aiomqtt, and what it and paho leave undone; knows nothing of events or topics. aiomqtt is
imported with the first connection.
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from streamproc.events.ports import NotTaken
from streamproc.settings import MqttConfig

if TYPE_CHECKING:
    import aiomqtt

ANSWER_S = 10.0
"""A broker that has not answered by then is taken to be away."""

_GIVEN_UP_S = 5.0  # what paho takes at most to connect
_RECEIVED_MAX: Final = 20_000  # messages that wait to be looked at
_NO_ANSWER: Final = "Operation timed out"  # as aiomqtt has it
_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
# We say ourselves what goes wrong, once and in words.
_SILENT: Final = logging.getLogger(f"{__name__}.library")
_SILENT.setLevel(logging.CRITICAL + 1)
# Of CONNACK, as paho names them for every version of the protocol (MQTT 5, 3.2.2.2).
_LOGIN_REFUSED: Final = {134, 135, 138}


@asynccontextmanager
async def connected(
    config: MqttConfig, will: "aiomqtt.Will | None" = None
) -> AsyncIterator["aiomqtt.Client"]:
    """A client that the broker has let in. Raises NotTaken, with words for who can mend it."""
    import aiomqtt

    url = urlsplit(config.url)
    assert url.hostname is not None  # the setting was checked
    port = url.port or _PORTS[url.scheme]
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    place = f"{url.scheme}://{host}:{port}"
    tls = await asyncio.to_thread(_tls, config) if url.scheme == "mqtts" else None
    password = await asyncio.to_thread(_password, config)
    client = aiomqtt.Client(
        url.hostname,
        port,
        username=config.username or None,
        password=password or None,
        identifier=config.client_id,
        protocol=aiomqtt.ProtocolVersion.V311,
        clean_session=True,
        will=will,
        keepalive=round(config.keepalive_s),
        timeout=ANSWER_S,
        max_queued_incoming_messages=_RECEIVED_MAX,
        tls_context=tls,
        logger=_SILENT,
    )
    try:
        await _entered(client)
    except aiomqtt.MqttError as error:
        raise _explained(error, place) from None
    try:
        yield client
    finally:
        with contextlib.suppress(aiomqtt.MqttError):  # it has gone before us
            await client.__aexit__(None, None, None)


async def _entered(client: "aiomqtt.Client") -> None:
    """Connect. aiomqtt does so on a thread, which cannot be cancelled: whoever gives up waits a
    little for it. Whatever comes of it, no connection is left behind."""
    entering = asyncio.ensure_future(client.__aenter__())
    try:
        await asyncio.shield(entering)
    except asyncio.CancelledError:
        await asyncio.wait({entering}, timeout=_GIVEN_UP_S)
        entering.cancel()
        await asyncio.gather(entering, return_exceptions=True)
        await _left(client)
        raise
    except Exception:
        await _left(client)
        raise
    finally:
        del entering  # a failure's traceback leads here, and to the socket that paho leaves open


async def _left(client: "aiomqtt.Client") -> None:
    """Close a connection that was never let in: aiomqtt leaves it open, and would wait in vain for
    the end of it."""
    import aiomqtt

    client.timeout = 0.0
    with contextlib.suppress(aiomqtt.MqttError):
        await client.__aexit__(None, None, None)


def _tls(config: MqttConfig) -> ssl.SSLContext:
    """Files are read with every connection: a certificate may be renewed meanwhile."""
    try:
        context = ssl.create_default_context(cafile=config.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise _unreadable("ca_file", config.ca_file, "certificates in PEM", error) from None
    if config.certificate_file:
        try:
            context.load_cert_chain(config.certificate_file, config.private_key_file or None)
        except (OSError, ssl.SSLError) as error:
            files = f"{config.certificate_file} {config.private_key_file}".strip()
            what = "a certificate and its private key in PEM"
            raise _unreadable("certificate_file", files, what, error) from None
    return context


def _password(config: MqttConfig) -> str:
    if not config.password_file:
        return config.password
    try:
        return Path(config.password_file).read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        what = "the password"
        raise _unreadable("password_file", config.password_file, what, error) from None


def _unreadable(key: str, file: str, what: str, error: Exception) -> NotTaken:
    reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error)
    return NotTaken(
        f"mqtt.{key} = {file!r} cannot be read: {reason}; it should hold {what}", is_slow=True
    )


@contextlib.contextmanager
def in_words() -> Iterator[None]:
    """What goes wrong on a connection, as NotTaken."""
    import aiomqtt

    try:
        yield
    except aiomqtt.MqttError as error:
        if str(error) == _NO_ANSWER:
            raise NotTaken(f"the broker has not answered in {ANSWER_S:g} s") from None
        raise NotTaken(
            f"the connection to the broker was lost: {error}; if that goes on, another client may "
            "use the same mqtt.client_id"
        ) from None


def obey_cancellation() -> None:
    """To be called behind a wait of aiomqtt's: wait_for() of Python 3.11 loses a cancellation that
    comes in the same turn as what it waits for (python/cpython#86296)."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _explained(error: "aiomqtt.MqttError", place: str) -> NotTaken:
    """What a person can do about it. aiomqtt passes on only the text of what went wrong."""
    code = getattr(getattr(error, "rc", None), "value", None)
    text = str(error)
    if code in _LOGIN_REFUSED:
        return NotTaken(
            f"the broker at {place} refuses the login: {error.rc}; see mqtt.username, "  # type: ignore[attr-defined]
            "mqtt.password and mqtt.password_file",
            is_slow=True,
        )
    if code is not None:
        return NotTaken(f"the broker at {place} refuses us: {error.rc}", is_slow=True)  # type: ignore[attr-defined]
    if "CERTIFICATE_VERIFY_FAILED" in text or "doesn't match" in text:
        return NotTaken(
            f"the certificate of the broker at {place} is not trusted: {text}; see mqtt.ca_file, "
            "and that mqtt.url has the name in the certificate",
            is_slow=True,
        )
    if text == _NO_ANSWER:
        return NotTaken(
            f"the broker at {place} lets us connect and then says nothing; see that mqtt.url has "
            "its port for MQTT, and mqtt.certificate_file if it asks for a certificate"
        )
    return NotTaken(f"no answer from the broker at {place}: {text}; see mqtt.url")


async def trouble_with(config: MqttConfig) -> str:
    """What keeps us from the broker, in a person's words; "" if it lets us in. Under a name of our
    own, so that a daemon that is connected stays so."""
    name = f"{config.client_id}-check"
    try:
        async with connected(config.model_copy(update={"client_id": name})):
            return ""
    except NotTaken as error:
        return str(error)
